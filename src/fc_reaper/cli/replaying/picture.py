"""One picture of a replay, as SVG: when each task came, how long it took, and the limit. No script, no font.

Shapes tell what colours tell, for print and for eyes that see them alike. A dark screen gets dark paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from fc_reaper.backtest.history import History, first_enqueued, longest, outcome_of
from fc_reaper.backtest.replay import run_by_timer
from fc_reaper.backtest.stats import Replay, Stop
from fc_reaper.cli.output import CommandError, printable
from fc_reaper.cli.replaying.history_view import minute
from fc_reaper.cli.replaying.scales import Scale, durations, moments
from fc_reaper.models import Millis, Task
from fc_reaper.policy import Carried, Policy, PolicyFile, format_duration, spell_duration

WIDTH, HEIGHT = 960, 580
LEFT, RIGHT, TOP, BOTTOM = 76, 96, 104, 86
MOST = 3_000
"""Dots; only false stops may make them more."""

_LONGEST = 90

KINDS = {
    "false": "FALSE STOP, it succeeded",
    "stopped": "a stop, it failed",
    "unsure": "a stop, nobody knows how it ends",
    "succeeded": "succeeded",
    "failed": "failed, expired or invalid",
    "censored": "stopped by somebody",
    "open": "still alive",
    "unknown": "in a status that nobody here knows",
}
"""What a dot stands for, the ones drawn last first."""

_STOPS = {"succeeded": "false", "failed": "stopped"}

_STYLE = """\
text { font-family: system-ui, sans-serif; font-size: 12px; fill: #222 }
.title { font-size: 15px; font-weight: 600 }
.soft { fill: #555 }
.paper { fill: #fff }
.axis { stroke: #555; stroke-width: 1 }
.grid { stroke: #ddd; stroke-width: 1 }
.limit { stroke: #b00020; stroke-width: 1.5; stroke-dasharray: 7 4 }
.limit-label { fill: #b00020; font-weight: 600; stroke: #fff; stroke-width: 4; paint-order: stroke }
.succeeded { fill: #4a7ab5; fill-opacity: .6 }
.failed { fill: #b36b00 }
.censored { fill: none; stroke: #555; stroke-width: 1.3 }
.open { fill: none; stroke: #4a7ab5; stroke-width: 1.3 }
.stopped { fill: #1f7a3d }
.unsure { fill: none; stroke: #1f7a3d; stroke-width: 1.6 }
.unknown { fill: none; stroke: #555; stroke-width: 1.3 }
.false { fill: none; stroke: #b00020; stroke-width: 2.4 }
@media screen and (prefers-color-scheme: dark) {
text { fill: #e6e6e6 }
.soft { fill: #aaa }
.paper { fill: #15181c }
.axis { stroke: #aaa }
.grid { stroke: #333 }
.limit, .false { stroke: #ff6b7d }
.limit-label { fill: #ff6b7d; stroke: #15181c }
.succeeded { fill: #7fb0ea }
.failed { fill: #f0b04a }
.censored, .unknown { stroke: #bbb }
.open { stroke: #7fb0ea }
.stopped { fill: #5fce86 }
.unsure { stroke: #5fce86 }
}"""


class Dot(NamedTuple):
    """One task in the picture."""

    kind: str
    at: Millis
    length: Millis
    task: Task


def drawn_policy(file: PolicyFile, name: str | None) -> Policy:
    """The policy to draw: the one of that *name*, else the first that stops something, else the first.

    Raises:
        CommandError: there is none of that name that a timer runs.
    """
    awake = [policy for policy in file.policies if run_by_timer(policy)]
    if name is not None:
        named = [policy for policy in awake if policy.name == name]
        if not named:
            known = ", ".join(policy.name for policy in awake) or "none"
            raise CommandError(f"--draw {name}: a timer runs no policy of that name; there is {known}")
        return named[0]
    if not awake:
        raise CommandError(f"{file.source}: no timer runs any of its policies, so --svg has nothing to draw")
    return next((policy for policy in awake if policy.stops), awake[0])


def draw(history: History, replay: Replay, policy: Policy, source: str) -> str:
    """The picture of *policy*, as the text of an SVG file."""
    clock, limit = _limit(policy)
    stops = next((one.stops for one in replay.policies if one.policy.name == policy.name), [])
    every = list(_dots(history, policy, clock, stops))
    shown = thinned(every)
    lengths = [dot.length for dot in every] + ([] if limit is None else [limit])
    x = moments([dot.at for dot in every], LEFT, WIDTH - RIGHT)
    y = durations(lengths, HEIGHT - BOTTOM, TOP)
    title = printable(f"{policy.name}: {clock} of {', '.join(map(str, policy.targets))}")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE}\n</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        _text(LEFT, 24, title[:_LONGEST], "title"),
        *_legend(every),
        *_axes(x, y, clock),
        *(_mark(dot, x, y) for dot in shown),
        *_limit_line(policy, clock, limit, y),
        _text(LEFT, HEIGHT - 14, _caption(every, shown, source), "soft"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def thinned(dots: Sequence[Dot]) -> list[Dot]:
    """At most `MOST` of *dots*, in the order in which they are drawn; every false stop is among them.

    Those that succeeded are thinned out first, evenly in time, then the others.
    """
    by_kind = {kind: sorted((d for d in dots if d.kind == kind), key=lambda d: d.at) for kind in KINDS}
    room = MOST - len(by_kind["false"])
    others = [dot for kind in KINDS if kind not in ("false", "succeeded") for dot in by_kind[kind]]
    others = _evenly(sorted(others, key=lambda dot: dot.at), room)
    succeeded = _evenly(by_kind["succeeded"], room - len(others))
    return [*succeeded, *others, *by_kind["false"]]


def _evenly(dots: list[Dot], most: int) -> list[Dot]:
    if len(dots) <= most:
        return dots
    return [dots[number * len(dots) // most] for number in range(max(0, most))]


def _limit(policy: Policy) -> tuple[str, Millis | None]:
    """The clock that is drawn, and its limit; the most that a task may carry, if it carries its own."""
    if not policy.match.limits:
        return "alive_for", None
    clock, limit = policy.match.limits[0]
    return clock, limit.at_most if isinstance(limit, Carried) else limit


def _dots(history: History, policy: Policy, clock: str, stops: Iterable[Stop]) -> Iterator[Dot]:
    stopped = {id(stop.task): stop for stop in stops}
    watched: dict[object, bool] = {}
    for task in history.tasks:
        if task.function not in watched:
            watched[task.function] = any(target.fits(task.function) for target in policy.targets)
        length = longest(task, clock, history.end) if watched[task.function] else None
        if length is not None:
            outcome = outcome_of(task)
            kind = _STOPS.get(outcome, "unsure") if id(task) in stopped else outcome
            yield Dot(kind, first_enqueued(task), length, task)


def _axes(x: Scale, y: Scale, clock: str) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in y.ticks:
        yield _line(LEFT, y(value), right, y(value), "grid")
        yield _text(LEFT - 8, y(value) + 4, spell_duration(value), "soft", "end")
    for value in x.ticks:
        yield _line(x(value), bottom, x(value), bottom + 5, "axis")
        yield _text(x(value), bottom + 20, minute(value)[5:], "soft", "middle")
    yield _line(LEFT, TOP, LEFT, bottom, "axis")
    yield _line(LEFT, bottom, right, bottom, "axis")
    scale = ", logarithmic" if y.logarithmic else ""
    yield _text((LEFT + right) / 2, bottom + 40, "first enqueued (month-day hour:minute, UTC)", "", "middle")
    middle = (TOP + bottom) / 2
    yield (
        f'<text transform="translate(16 {_number(middle)}) rotate(-90)" text-anchor="middle">'
        f"longest {escape(clock)}{scale}</text>"
    )


def _limit_line(policy: Policy, clock: str, limit: Millis | None, y: Scale) -> Iterator[str]:
    if limit is None:
        return
    carried = isinstance(policy.match.limits[0][1], Carried)
    label = f"{'at most' if carried else 'limit'} {spell_duration(limit)}"
    yield _line(LEFT, y(limit), WIDTH - RIGHT, y(limit), "limit")
    yield _text(WIDTH - RIGHT + 6, y(limit) + 4, label, "limit-label")


def _legend(dots: Sequence[Dot]) -> Iterator[str]:
    """What is there, in lines of three, each with its shape and its number."""
    present = [kind for kind in KINDS if any(dot.kind == kind for dot in dots)]
    for place, kind in enumerate(present):
        left, top = LEFT + 6 + place % 3 * 262, 46 + place // 3 * 18
        number = sum(dot.kind == kind for dot in dots)
        yield _shape(kind, left, top)
        yield _text(left + 12, top + 4, f"{KINDS[kind]}: {number:,}", "")


def _caption(every: Sequence[Dot], shown: Sequence[Dot], source: str) -> str:
    if not every:
        return f"{printable(source)[:_LONGEST]}: no task to be drawn"
    if len(shown) == len(every):
        return f"{printable(source)[:_LONGEST]}: every task is drawn"
    thin = "false stops all, the others thinned out evenly, those that succeeded first"
    return f"{printable(source)[:_LONGEST]}: {len(shown):,} of {len(every):,} tasks are drawn: {thin}"


def _mark(dot: Dot, x: Scale, y: Scale) -> str:
    if dot.kind not in ("false", "stopped", "unsure"):
        return _shape(dot.kind, x(dot.at), y(dot.length))
    name = printable(f"{dot.task.invocation_id} of {dot.task.function}, {format_duration(dot.length)}")
    return f"<g><title>{escape(name)}</title>{_shape(dot.kind, x(dot.at), y(dot.length))}</g>"


def _shape(kind: str, x: float, y: float) -> str:
    across, down = _number(x), _number(y)
    paths = {
        "false": "m-5 -5 l10 10 m0 -10 l-10 10",
        "stopped": "m0 -5 l5 5 l-5 5 l-5 -5 z",
        "unsure": "m0 -5 l5 5 l-5 5 l-5 -5 z m-2.5 5 h5",
        "unknown": "m-4 0 h8 m-4 -4 v8",
        "failed": "m0 -4.5 l4.3 7.5 h-8.6 z",
        "censored": "m-3.5 -3.5 h7 v7 h-7 z",
    }
    if kind in paths:
        return f'<path class="{kind}" d="M{across} {down} {paths[kind]}"/>'
    return f'<circle class="{kind}" cx="{across}" cy="{down}" r="{2.4 if kind == "succeeded" else 4}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    ends = zip(("x1", "y1", "x2", "y2"), (x1, y1, x2, y2), strict=True)
    places = " ".join(f'{name}="{_number(value)}"' for name, value in ends)
    return f'<line class="{kind}" {places}/>'


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    at = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text{style} x="{_number(x)}" y="{_number(y)}"{at}>{escape(words)}</text>'


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
