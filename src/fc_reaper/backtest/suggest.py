"""How long the tasks of each function take, and the smallest limits that spare all that succeed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fc_reaper.backtest.life import longest, outcome_of
from fc_reaper.models import FINISHED, STOPPED, Function, Millis, Task

MEASURES = (("queue", "queued_for"), ("run", "running_for"), ("alive", "alive_for"))
"""What is measured, and the matcher key that limits it."""

_SECOND: Millis = 1_000
_MINUTE: Millis = 60_000
_MINUTES_FROM: Millis = 10 * _MINUTE


class Spread(NamedTuple):
    """The lengths of one measure, milliseconds; percentiles are by nearest rank.

    `limit` is the smallest limit in whole units under which no task that succeeded would have been stopped
    at any interval; None when none succeeded. The unit is a second up to ten minutes, else a minute.
    """

    measure: str
    clock: str
    tasks: int
    p50: Millis
    p95: Millis
    p99: Millis
    most: Millis
    limit: Millis | None
    unit: Millis


class Suggestion(NamedTuple):
    """The tasks of one function that ended by themselves: how many ended how, and how long they took.

    `stopped` counts those that somebody stopped, `alive` those that have not ended, `unknown` those of which
    nobody knows that: none of them is measured.
    """

    function: Function
    ended: dict[str, int]
    stopped: int
    alive: int
    unknown: int
    spreads: tuple[Spread, ...]


def suggest(tasks: Iterable[Task]) -> list[Suggestion]:
    """Measure the tasks of each function, in the order of their names.

    `queue` is the longest wait since an enqueueing, `run` the longest attempt, `alive` the whole life from
    the first enqueueing. A task that never ran has no run.
    """
    by_function: dict[Function, list[Task]] = {}
    for task in tasks:
        by_function.setdefault(task.function, []).append(task)
    return [_suggestion(function, by_function[function]) for function in sorted(by_function, key=str)]


def _suggestion(function: Function, tasks: Sequence[Task]) -> Suggestion:
    ended = [task for task in tasks if task.status in FINISHED and task.status != STOPPED]
    others = Counter(outcome_of(task) for task in tasks)
    spreads = (_spread(measure, clock, ended) for measure, clock in MEASURES)
    return Suggestion(
        function,
        dict(Counter(task.status for task in ended)),
        others["censored"],
        others["open"],
        others["unknown"],
        tuple(spread for spread in spreads if spread is not None),
    )


def _spread(measure: str, clock: str, tasks: Sequence[Task]) -> Spread | None:
    lengths = [(length, task.status) for task in tasks if (length := longest(task, clock, 0)) is not None]
    if not lengths:
        return None
    ordered = sorted(length for length, _ in lengths)
    good = max((length for length, status in lengths if status == "Succeeded"), default=None)
    limit, unit = (None, _SECOND) if good is None else smallest_limit(good)
    p50, p95, p99 = (percentile(ordered, share) for share in (50, 95, 99))
    return Spread(measure, clock, len(ordered), p50, p95, p99, ordered[-1], limit, unit)


def percentile(ordered: Sequence[Millis], share: int) -> Millis:
    """The nearest rank: the smallest value such that *share* percent of all are not greater.

    *ordered* is ascending and not empty, *share* from 1 to 100.
    """
    rank = -(-share * len(ordered) // 100)
    return ordered[rank - 1]


def smallest_limit(length: Millis) -> tuple[Millis, Millis]:
    """The smallest limit, in whole units, that a task of that length is never seen over, and the unit.

    Exactly at a limit is not over it, and in the last millisecond of *length* the task has ended.
    """
    unit = _SECOND if length <= _MINUTES_FROM else _MINUTE
    return max(1, -(-(length - 1) // unit)) * unit, unit
