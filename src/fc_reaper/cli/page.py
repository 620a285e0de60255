"""The pages of `plan --html` and `backtest --html`: one file each that requests nothing from anywhere.

jinja2 escapes each text, after `printable` has made it so. The content security policy allows the style and
the scripts of `page_files` by their hashes, charts as images within the page, and nothing else.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from re import sub
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure

from fc_reaper.backtest.stats import Replay, by_outcome
from fc_reaper.cli.backtest import IN_TRUTH
from fc_reaper.cli.chart import AS_TEXT, draw_chart, to_svg
from fc_reaper.cli.history import Past, minute
from fc_reaper.cli.output import format_seconds, printable, saved_text, short
from fc_reaper.cli.plan import NextTask, fate, measures, plan_tables
from fc_reaper.cli.planfile import Plan
from fc_reaper.log_lines import Lines, TaskVerdict
from fc_reaper.models import Millis, iso
from fc_reaper.policy import PolicyFile
from fc_reaper.policy.lock import file_fingerprint
from fc_reaper.run import RunResult
from fc_reaper.settings import Settings

_ROWS, _CHARTS, _BARS = 500, 8, (30, 10)
"""The most rows of a table, charts of a page, and bars of a chart: over the limit, and not yet."""

_FILES = Path(__file__).with_name("page_files")


def plan_page(
    plan: Plan, run: RunResult, lines: Lines, file: PolicyFile, soon: list[NextTask], **steps: Any
) -> str:
    """The page of a dry run and of its *plan*; *steps* are its file `out` or "", its `event`, and `typed`."""
    result, reported = run.result, lines.of("reported")
    due = sorted(result.tasks, key=lambda task: (-(task.over_s or 0), task.invocation_id))
    # Of what the command prints, the sentences.
    said = [one for one in plan_tables(run, lines, file.policies) if isinstance(one, str) and one[-1:] == "."]
    shown = {"plan": plan, "file": file, "run": result, "time": plan.time, **steps}
    shown |= {"due": due, "next": soon, "others": [*lines.of("stuck", "unknown"), *reported]}
    shown |= {"tasks": [(short(*one.place), one) for one in [*due, *soon]]}
    charts = _timelines([*due, *reported, *soon], plan.time)
    return _render("plan", charts, [*result.errors, *said], **shown, measures=measures, fate=fate)


def backtest_page(
    past: Past, file: PolicyFile, replayed: Replay, settings: Settings, now: Millis, **steps: Any
) -> str:
    """The page of a replay of *file* that was made *now*; `typed` of *steps* gives commands as typed here."""
    wrong = [one for policy in replayed.policies for one in policy.false_stops]
    ids = set(map(id, wrong))
    # A table may be cut, so false stops stand first, those that had run longest before the others.
    found = wrong + [one for policy in replayed.policies for one in policy.found if id(one) not in ids]
    notes = [*past.headline(replayed), *saved_text(past.saved(replayed.stops), "would have saved")]
    shown = {"replayed": replayed, "file": file, "settings": settings, "time": iso(now), **steps}
    shown |= {"found": found, "wrong": wrong, "history": past.history, "in_truth": IN_TRUTH}
    shown |= {"tasks": [(short(*one.task.function), one) for one in found]}
    charts = ((draw_chart(past.history, replayed, one.policy), one) for one in replayed.policies[:_CHARTS])
    shown |= {"by_outcome": by_outcome, "fingerprint": file_fingerprint(file)}
    return _render("backtest", charts, [*notes, *past.left_out([("", replayed)])], **shown)


def _timelines(tasks: Iterable[TaskVerdict], time: str) -> Iterator[tuple[str, list[TaskVerdict]]]:
    """For each policy how old its *tasks* are, and when they reach their limits; and these tasks."""
    measured = [one for one in tasks if one.over_s is not None]
    for policy in list(dict.fromkeys(one.policy for one in measured))[:_CHARTS]:
        its = [one for one in measured if one.policy == policy]
        over, others = ([one for one in its if ((one.over_s or 0) > 0) is late] for late in (True, False))
        yield _timeline([*over[: _BARS[0]], *others[: _BARS[1]]], time), its


def _timeline(tasks: Sequence[TaskVerdict], time: str) -> str:
    longest, rows = max(max(one.age_s or 0, one.limit_s or 0) for one in tasks), range(len(tasks))
    unit, word = (3_600, "hours") if longest >= 7_200 else (60, "minutes")
    # Ids often differ in their last characters alone, so a long one is cut in its middle.
    ids = [sub("^(.{13}).{2,}(.{14})$", r"\1…\2", printable(one.invocation_id)) for one in tasks]
    ages, left = zip(*((-(one.age_s or 0) / unit, -(one.over_s or 0) / unit) for one in tasks), strict=True)
    with rc_context(AS_TEXT):
        figure = Figure(figsize=(9, 1.6 + 0.24 * len(tasks)), layout="constrained")
        axes = figure.add_subplot(xlabel=f"{word} from now, {time[:16].replace('T', ' ')} UTC")
        axes.barh(rows, ages, 0.6, color="C0")
        axes.barh(rows, left, 0.6, color=["C3" if one < 0 else "C7" for one in left])
        axes.plot(left, rows, "k|", markersize=10, markeredgewidth=2)
        axes.set_yticks(rows, ids)
        axes.set_ylim(len(tasks) - 0.5, -0.5)
        axes.axvline(0, color="k", linewidth=0.8)
        return to_svg(figure)


def _render(kind: str, charts: Iterable[tuple[str, Any]], notes: Sequence[str], **shown: Any) -> str:
    """The text of the page of that *kind*, with *charts* as SVG and what each is of."""
    files = {name: (_FILES / name).read_text("utf-8") for name in ("page.css", "headers.js", "sortable.js")}
    hashes = [b64encode(sha256(text.encode()).digest()).decode() for text in files.values()]
    environment = Environment(
        loader=FileSystemLoader(_FILES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,  # Markup is another type
    )
    environment.filters |= {"seconds": format_seconds, "minute": minute, "iso": iso, "commas": "{:,}".format}
    page = {"kind": kind, "files": files, "hashes": hashes, "notes": notes, "rows": _ROWS, "bars": _BARS}
    page["charts"], page["most"] = [(b64encode(svg.encode()).decode(), of) for svg, of in charts], _CHARTS
    return environment.get_template(f"{kind}.html.j2").render(shown, **page, short=short)
