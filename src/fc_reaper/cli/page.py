"""The pages of `plan --html` and `backtest --html`: one file each that requests nothing from anywhere.

jinja2 escapes each text, after `printable` has made it so. The content security policy allows the style and
the scripts of `page_files` by their hashes, and nothing else, so charts are freed of the styles they carry.
"""

from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from fc_reaper.cli.output import format_seconds, printable, saved_text, short
from fc_reaper.cli.plan import fate, measures, plan_tables
from fc_reaper.cli.planfile import Plan
from fc_reaper.cli.upcoming import Upcoming
from fc_reaper.log_lines import Lines, TaskVerdict
from fc_reaper.models import Function, Millis, iso
from fc_reaper.policy import PolicyFile
from fc_reaper.policy.lock import file_fingerprint
from fc_reaper.run import RunResult
from fc_reaper.settings import Settings

Typed = Callable[..., str]  # the command line of these words, with the options of this command

_ROWS, _CHARTS, _BARS, _BARS_OF_NEXT = 500, 8, 40, 10
"""The most rows of a table, charts of a page, bars of a chart, and those of them for who is next."""

_FILES = Path(__file__).with_name("page_files")
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_COLOURS = {"#000000": "currentColor", "#ffffff": "none"}
_UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))


def plan_page(
    plan: Plan, out: str, run: RunResult, lines: Lines, file: PolicyFile, upcoming: Upcoming, typed: Typed
) -> str:
    """The page of a dry run and of the *plan* made of it, which is in the file *out* unless that is empty."""
    result, soon, reported = run.result, upcoming.tasks, lines.of("reported")
    due = sorted(result.tasks, key=lambda task: (-(task.over_s or 0), task.invocation_id))
    happens = [(one.place, what) for one in due for what in ("due", one.event)]
    functions = _by_function([*happens, *((place, "next") for _, place in upcoming.counts.elements())])
    of_next = Counter(policy for policy, _ in upcoming.counts.elements())
    # Of what the command prints, the sentences.
    said = [one for one in plan_tables(run, lines, file.policies) if isinstance(one, str)]
    notes = [*result.errors, *(one for one in said if one.endswith("."))]
    charts = _timelines([*due, *reported, *soon], plan.time)
    tables = {"due": due, "next": upcoming, "others": [*lines.of("stuck", "unknown"), *reported]}
    given = {
        "plan": plan,
        "file": file,
        "run": result,
        "typed": typed,
        "out": out,
        "functions": functions,
        "of_next": of_next,
    }
    words = {"time": plan.time, "measures": measures, "fate": lambda task: fate(task).plain}
    return _render("plan", charts, notes, {**tables, **given, **words})


def backtest_page(
    past: Past, file: PolicyFile, replayed: Replay, settings: Settings, now: Millis, typed: Typed
) -> str:
    """The page of a replay of *file* that was made *now*."""
    wrong = {id(one) for policy in replayed.policies for one in policy.false_stops}
    found = [one for policy in replayed.policies for one in policy.found]
    # False stops first, those that had run longest before the others: a table may be cut.
    found.sort(key=lambda one: (0, -one.lost) if id(one) in wrong else (1, one.at))
    happens = [(one.task.function, "reported" if one.due_since is None else "stopped") for one in found]
    happens += [(one.task.function, "wrong") for one in found if id(one) in wrong]
    charts = ((draw_chart(past.history, replayed, one.policy), one) for one in replayed.policies[:_CHARTS])
    saved = saved_text(past.saved(replayed.stops), "would have saved")
    notes = [*past.headline(replayed), *saved, *past.left_out([("", replayed)])]
    tables = {"found": found, "wrong": wrong, "functions": _by_function(happens), "history": past.history}
    given = {"replayed": replayed, "file": file, "settings": settings, "typed": typed, "id": id}
    words = {"in_truth": IN_TRUTH, "by_outcome": by_outcome, "fingerprint": file_fingerprint(file)}
    return _render("backtest", charts, notes, {**tables, **given, **words, "time": iso(now)})


def _by_function(happens: Iterable[tuple[Function, str]]) -> dict[str, Counter[str]]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for function, what in happens:
        counts[short(*function)][what] += 1
    return counts


def _timelines(tasks: Sequence[TaskVerdict], time: str) -> Iterator[tuple[str, list[TaskVerdict]]]:
    """For each policy how old its *tasks* are, and when they reach their limits; and these tasks."""
    measured = [one for one in tasks if one.age_s is not None and one.limit_s is not None]
    for policy in list(dict.fromkeys(one.policy for one in measured))[:_CHARTS]:
        its = [one for one in measured if one.policy == policy]
        over, soon = ([one for one in its if ((one.over_s or 0) > 0) is late] for late in (True, False))
        kept = soon[:_BARS_OF_NEXT]
        yield _timeline([*over[: _BARS - len(kept)], *kept], time), its


def _timeline(tasks: Sequence[TaskVerdict], time: str) -> str:
    longest = max(max(one.age_s or 0, one.limit_s or 0) for one in tasks)
    unit, word = next((one for one in _UNITS if longest >= 2 * one[0]), _UNITS[-1])
    # Ids often differ in their last characters alone, so a long one is cut in its middle.
    ids = [sub("^(.{13}).{2,}(.{14})$", r"\1…\2", printable(one.invocation_id)) for one in tasks]
    spans = [((one.age_s or 0) / unit, (one.limit_s or 0) / unit) for one in tasks]
    with rc_context(AS_TEXT):
        figure = Figure(figsize=(9, 1.6 + 0.24 * len(tasks)), layout="constrained")
        axes = figure.add_subplot(xlabel=f"{word} from now, {time[:16].replace('T', ' ')} UTC")
        for at, (age, limit) in enumerate(spans):
            pieces = [(-age, min(age, limit)), (min(limit - age, 0), abs(limit - age))]
            axes.broken_barh(pieces, (at - 0.3, 0.6), facecolors=["C0", "C3" if limit < age else "C7"])
        limits = [limit - age for age, limit in spans]
        axes.plot(limits, range(len(tasks)), "k|", markersize=10, markeredgewidth=2)
        axes.set_yticks(range(len(tasks)), ids)
        axes.set_ylim(len(tasks) - 0.5, -0.5)
        axes.axvline(0, color="k", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        return to_svg(figure)


def _render(kind: str, charts: Iterable[tuple[str, Any]], notes: Sequence[str], shown: dict[str, Any]) -> str:
    """The text of the page of that *kind*, with *charts* as SVG and what each is of."""
    files = {name: (_FILES / name).read_text("utf-8") for name in ("page.css", "headers.js", "sortable.js")}
    digests = (sha256(text.encode()).digest() for text in files.values())
    style, *scripts = (f"'sha256-{b64encode(one).decode()}'" for one in digests)
    drawn = [(_inlined(number, svg), of) for number, (svg, of) in enumerate(charts, 1)]
    allowed = f"default-src 'none'; style-src {style}; script-src {' '.join(scripts)}"
    allowed += "; img-src data:" * any("<image" in svg for svg, _ in drawn)
    loader = FileSystemLoader(_FILES)
    environment = Environment(loader=loader, autoescape=True, finalize=_shown, undefined=StrictUndefined)
    environment.globals["short"] = short
    environment.filters |= {"seconds": format_seconds, "minute": minute, "iso": iso}
    page = {"kind": kind, "allowed": allowed, "charts": drawn, "notes": notes, "rows": _ROWS, "bars": _BARS}
    page["files"] = {name: Markup(text) for name, text in files.items()}
    return environment.get_template(f"{kind}.html.j2").render(shown, **page)


def _shown(value: Any) -> Any:
    return printable(value) if type(value) is str else value  # Markup is another type


def _inlined(number: int, svg: str) -> Markup:
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
    root.attrib |= {"role": "img", "aria-labelledby": f"chart{number}", "stroke-linejoin": "round"}
    ElementTree.register_namespace("", _SVG[1:-1])
    return Markup(ElementTree.tostring(root, "unicode"))
