"""The pages of `plan --html` and `backtest --html`: one file each that requests nothing from anywhere.

jinja2 escapes each text, after `printable` has made it so. The content security policy allows the style and
the scripts of `page_files` by their hashes, and nothing else, so charts are freed of the styles they carry.
"""

import base64
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from re import sub
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from fc_reaper.backtest.stats import Replay, by_outcome
from fc_reaper.cli.backtest import IN_TRUTH
from fc_reaper.cli.chart import AS_TEXT, draw_chart, to_svg
from fc_reaper.cli.history import Past, minute
from fc_reaper.cli.output import counted, format_seconds, printable, short
from fc_reaper.cli.plan import failures, fate, measures, plan_notes
from fc_reaper.cli.planfile import Plan, Where
from fc_reaper.cli.upcoming import Upcoming
from fc_reaper.log_lines import Lines, TaskVerdict
from fc_reaper.models import Millis, iso
from fc_reaper.models import printable as cut
from fc_reaper.policy import PolicyFile
from fc_reaper.policy.lock import file_fingerprint
from fc_reaper.run import RunResult

Drawn = tuple[str, str]  # an SVG, and what it shows in words
Steps = Iterable[tuple[str, str]]  # what a person may do next, and the command for it

_ROWS, _CHARTS, _BARS = 500, 8, 40
"""The most rows of a table, charts of a page, and bars of a chart."""

_FILES = Path(__file__).with_name("page_files")
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_COLOURS = {"#000000": "currentColor", "#ffffff": "none"}
_UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))


def plan_page(
    plan: Plan, finished: RunResult, lines: Lines, file: PolicyFile, upcoming: Upcoming, steps: Steps
) -> str:
    """The page of a dry run and of the *plan* made of it."""
    result, soon = finished.result, upcoming.tasks
    due = sorted(result.tasks, key=lambda task: (-(task.over_s or 0), task.invocation_id))
    reported = lines.of("reported")
    functions: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for task in due:
        functions[short(*task.place)].update(("due", task.event))
    for one in soon:
        functions[short(*one.place)]["next"] += 1
    where: Where = {"account": plan.account, "region": plan.region, "endpoint": plan.endpoint}
    complete = "yes" if plan.complete else "no: not everything could be listed"
    return _render(
        "plan",
        plan.time,
        f"{counted(result.counts.due, 'task')} due" if due else "Nothing is due",
        [*_facts(where, file), ("Complete", complete), ("Run", result.run_id), ("Trigger", result.trigger)],
        list(_timelines([*due, *reported, *soon], plan.time)),
        steps,
        [*failures(finished, lines), *plan_notes(finished, lines, file.policies)],
        due=due,
        next=upcoming,
        others=[*lines.of("stuck", "unknown"), *reported],
        functions=functions,
        counts=result.counts,
        of_policy=result.policies,
        policies=file.policies,
        fate=lambda task: fate(task).plain,
        measures=measures,
    )


def backtest_page(
    past: Past, file: PolicyFile, replayed: Replay, where: Where, now: Millis, steps: Steps
) -> str:
    """The page of a replay of *file* that was made *now*."""
    every = [one for policy in replayed.policies for one in policy.found]
    wrong = {id(one) for policy in replayed.policies for one in policy.false_stops}
    functions: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in every:
        what = "reported" if one.due_since is None else "stopped"
        functions[short(*one.task.function)].update((what, "wrong") if id(one) in wrong else (what,))
    charts = [
        (
            draw_chart(past.history, replayed, one.policy),
            f"{one.policy.name}: {len(one.found)} found, {len(one.false_stops)} false stops. "
            "Each mark is a task; the dashed line is the limit.",
        )
        for one in replayed.policies[:_CHARTS]
    ]
    return _render(
        "backtest",
        iso(now),
        f"{counted(len(replayed.stops), 'stop')}, {len(wrong)} of them false",
        [*_facts(where, file), ("History", past.history.source)],
        charts,
        steps,
        [*past.headline(replayed), *past.left_out([("", replayed)])],
        replayed=replayed,
        history=past.history,
        functions=functions,
        wrong=wrong,
        # False stops first, those that had run longest before the others: a table may be cut.
        found=sorted(every, key=lambda one: (0, -one.lost) if id(one) in wrong else (1, one.at)),
        in_truth=IN_TRUTH,
        by_outcome=by_outcome,
        id=id,
    )


def _facts(where: Where, file: PolicyFile) -> list[tuple[str, str | None]]:
    places = [(name.capitalize(), where[name]) for name in ("region", "account", "endpoint")]
    return [*places, ("Policy", file.source), ("Fingerprint of the policy", file_fingerprint(file))]


def _timelines(tasks: Sequence[TaskVerdict], time: str) -> Iterator[Drawn]:
    """Draw for each policy how old its *tasks* are, in their order, and when they reach their limits."""
    measured = [one for one in tasks if one.age_s is not None and one.limit_s is not None]
    for policy in list(dict.fromkeys(one.policy for one in measured))[:_CHARTS]:
        its = [one for one in measured if one.policy == policy]
        over = sum((one.over_s or 0) > 0 for one in its)
        more = f" Drawn are the first {_BARS}." if len(its) > _BARS else ""
        said = f"{policy}: {over} over the limit, {len(its) - over} soon.{more}"
        yield _timeline(its[:_BARS], time), said


def _timeline(tasks: Sequence[TaskVerdict], time: str) -> str:
    spans = [(one.age_s or 0, one.limit_s or 0) for one in tasks]
    unit, word = next((one for one in _UNITS if max(map(max, spans)) >= 2 * one[0]), _UNITS[-1])
    kinds = {"within the limit": "C0", "over the limit": "C3", "time left": "C7"}
    with rc_context(AS_TEXT):
        figure = Figure(figsize=(9, 1.6 + 0.24 * len(tasks)), layout="constrained")
        axes = figure.add_subplot(xlabel=f"{word} from now, {time[:16].replace('T', ' ')} UTC")
        for at, (age, limit) in enumerate(spans):
            left = limit - age
            pieces = ((-age, min(0, left)), (max(-age, left), 0), (0, left))
            for (begin, end), (what, colour) in zip(pieces, kinds.items(), strict=True):
                if end > begin:
                    label = f"_{what}" if what in axes.get_legend_handles_labels()[1] else what
                    axes.barh(at, (end - begin) / unit, 0.6, begin / unit, color=colour, label=label)
        limits = [(limit - age) / unit for age, limit in spans]
        axes.plot(limits, range(len(tasks)), "k|", markersize=10, markeredgewidth=2, label="limit")
        axes.set_yticks(range(len(tasks)), [cut(one.invocation_id, 28) for one in tasks])
        axes.invert_yaxis()
        axes.axvline(0, color="k", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=4)
        return to_svg(figure)


def _inlined(number: int, svg: str, said: str) -> Markup:
    """A chart of matplotlib as part of a page, where its *number* makes ids unique.

    Its styles become attributes, and its colours those of the page; what it says of itself is left out.
    """
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in [one for one in parent if one.tag in (f"{_SVG}metadata", f"{_SVG}style")]:
            parent.remove(child)
    for one in root.iter():
        for declaration in filter(None, one.attrib.pop("style", "").split(";")):
            name, _, value = (part.strip() for part in declaration.partition(":"))
            if name != "font-family":
                one.set(name, _COLOURS.get(value, sub("#([0-9a-f]{6})", r"var(--c\1, #\1)", value)))
        if _LINK in one.attrib:
            one.set("href", one.attrib.pop(_LINK))
        for name in one.attrib.keys() & {"href", "clip-path"}:
            one.set(name, one.attrib[name].replace("#", f"#c{number}-"))
        if "id" in one.attrib:
            one.set("id", f"c{number}-{one.attrib['id']}")
    for name in ("width", "height", "version"):
        del root.attrib[name]
    root.attrib |= {"role": "img", "aria-label": printable(said), "stroke-linejoin": "round"}
    ElementTree.register_namespace("", _SVG[1:-1])
    return Markup(ElementTree.tostring(root, "unicode"))


def _render(
    kind: str,
    time: str,
    headline: str,
    facts: Iterable[tuple[str, str | None]],
    charts: Sequence[Drawn],
    steps: Steps,
    notes: Sequence[str],
    **shown: Any,
) -> str:
    parts = {name: (_FILES / name).read_text("utf-8") for name in ("page.css", "headers.js", "sortable.js")}
    digests = (base64.b64encode(sha256(text.encode()).digest()).decode() for text in parts.values())
    style, *scripts = (f"'sha256-{one}'" for one in digests)
    drawn = [(_inlined(number, *one), one[1]) for number, one in enumerate(charts, 1)]
    images = "; img-src data:" if any("<image" in svg for svg, _ in drawn) else ""
    environment = Environment(
        loader=FileSystemLoader(_FILES),
        autoescape=True,
        finalize=lambda one: printable(one) if type(one) is str else one,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"seconds": format_seconds, "place": lambda place: short(*place), "iso": iso}
    environment.filters |= {"minute": minute}
    return environment.get_template(f"{kind}.html.j2").render(
        shown,
        allowed=f"default-src 'none'; style-src {style}; script-src {' '.join(scripts)}{images}",
        files={name: Markup(text) for name, text in parts.items()},
        kind=kind,
        time=time,
        headline=headline,
        facts=facts,
        charts=drawn,
        steps=steps,
        notes=notes,
        rows=_ROWS,
    )
