"""What a replay found, what a change of policy changes, and how long the tasks of each function take."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from fc_reaper.backtest.history import Outcome, longest, outcome_of
from fc_reaper.evaluator.verdict import Verdict
from fc_reaper.models import FINISHED, STOPPED, Function, Millis, Task
from fc_reaper.policy import Policy


class Stop(NamedTuple):
    """A stop that a policy would have made: when, why, and what became of the task in truth.

    `task` is the whole record. `due_since` is the run at which the task became due. `saved` is the time in
    Running after the stop (0 if it succeeded), `lost` the time in Running before it, milliseconds.
    """

    task: Task
    at: Millis
    verdict: Verdict
    outcome: Outcome
    due_since: Millis
    saved: Millis
    lost: Millis


class Reported(NamedTuple):
    """A task that a `report` policy would have reported, and the first run that would have."""

    task: Task
    at: Millis
    verdict: Verdict
    outcome: Outcome


@dataclass
class PolicyReplay:
    """What one policy would have done. Counts are of tasks, each once, but `halted_runs`.

    `halted_runs` are the runs that stopped none because too many were due. `tasks` are the numbers of the
    tasks in the history that were `due`, `reported`, or held back by `budget`, `halted` or `holdout`;
    `reasons` says of those that were unknown in some run what was missing.
    """

    policy: Policy
    stops: list[Stop] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)
    halted_runs: int = 0
    tasks: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    reasons: dict[int, str] = field(default_factory=dict)

    @property
    def due(self) -> int:
        return len(self.tasks["due"])

    @property
    def held_back(self) -> dict[str, int]:
        """How many due tasks were held back, for a while or for good, and by what."""
        return {why: len(self.tasks[why]) for why in ("budget", "halted", "holdout")}

    @property
    def unknown_why(self) -> Counter[str]:
        """How many tasks were unknown in some run and never due, by what was missing."""
        found = self.tasks["due"] | self.tasks["reported"]
        return Counter(why for number, why in self.reasons.items() if number not in found)

    @property
    def unknown(self) -> int:
        return sum(self.unknown_why.values())

    @property
    def found(self) -> Sequence[Stop | Reported]:
        """The tasks that it stops or reports, in the order of time."""
        return self.stops if self.policy.stops else self.reported

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How the tasks that it found ended in truth."""
        return Counter(one.outcome for one in self.found)

    @property
    def false_stops(self) -> list[Stop]:
        """The stops of tasks that would have succeeded; those that had run longest first."""
        wrong = [stop for stop in self.stops if stop.outcome == "succeeded"]
        return sorted(wrong, key=lambda stop: (-stop.lost, str(stop.task.function), stop.task.invocation_id))

    @property
    def saved(self) -> Millis:
        return sum(stop.saved for stop in self.stops)


@dataclass
class Replay:
    """A whole replay.

    `first` and `last` are its first and last run, None when there was none; `runs` counts them all.
    `not_replayed` are the policies that no timer runs; `outside` counts tasks outside all replayed targets.
    """

    policies: list[PolicyReplay]
    not_replayed: list[Policy]
    interval: Millis
    outside: int = 0
    runs: int = 0
    first: Millis | None = None
    last: Millis | None = None

    @property
    def stops(self) -> list[Stop]:
        return [stop for one in self.policies for stop in one.stops]


How = Literal["more", "less", "earlier", "later"]
CHANGES: tuple[How, ...] = ("more", "less", "earlier", "later")


class Change(NamedTuple):
    """One task that two policy files treat differently, with its stops; None where it has none."""

    how: How
    old: Stop | None
    new: Stop | None

    @property
    def stop(self) -> Stop:
        """The stop that there is: the new one where there are both."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def task(self) -> Task:
        return self.stop.task

    @property
    def outcome(self) -> Outcome:
        return self.stop.outcome


class Comparison(NamedTuple):
    """All changes, and how many tasks both stop in the same run. `saved` is the new's less the old's."""

    changes: tuple[Change, ...]
    same: int
    saved: Millis

    def of(self, how: How) -> list[Change]:
        """The changes of one kind."""
        return [change for change in self.changes if change.how == how]

    def outcomes(self, how: How) -> Counter[Outcome]:
        """How the tasks of the changes of one kind ended in truth."""
        return Counter(change.outcome for change in self.of(how))


def compare(old: Replay, new: Replay) -> Comparison:
    """Compare two replays of one history: whether and when each task is stopped, whichever policy does it.

    Sorted by kind, then tasks that succeeded first, then by time.
    """
    before, after = _by_task(old.stops), _by_task(new.stops)
    found = [_change(before.get(key), after.get(key)) for key in {**before, **after}]
    changes = sorted((one for one in found if one is not None), key=_order)
    saved = sum(stop.saved for stop in after.values()) - sum(stop.saved for stop in before.values())
    return Comparison(tuple(changes), len(found) - len(changes), saved)


def _by_task(stops: Iterable[Stop]) -> dict[tuple[object, ...], Stop]:
    return {(stop.task.function, stop.task.invocation_id, stop.task.request_id): stop for stop in stops}


def _change(old: Stop | None, new: Stop | None) -> Change | None:
    if old is None or new is None:
        return Change("more" if old is None else "less", old, new)
    if old.at == new.at:
        return None
    return Change("earlier" if new.at < old.at else "later", old, new)


def _order(change: Change) -> tuple[int, bool, Millis, str, str]:
    kind, task = CHANGES.index(change.how), change.task
    return kind, change.outcome != "succeeded", change.stop.at, str(task.function), task.invocation_id


MEASURES = (("queue", "queued_for"), ("run", "running_for"), ("alive", "alive_for"))
"""What is measured, and the matcher key that limits it."""

_SECOND: Millis = 1_000
_MINUTE: Millis = 60_000


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

    `stopped` counts those that somebody stopped, `alive` those that have not ended, `unknown` those with an
    unknown status: none of them is measured.
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
    outcomes = Counter(outcome_of(task) for task in tasks)
    spreads = (_spread(measure, clock, ended) for measure, clock in MEASURES)
    return Suggestion(
        function,
        dict(Counter(task.status for task in ended)),
        outcomes["censored"],
        outcomes["open"],
        outcomes["unknown"],
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
    return ordered[-(-share * len(ordered) // 100) - 1]


def smallest_limit(length: Millis) -> tuple[Millis, Millis]:
    """The smallest limit, in whole units, that a task of that length is never seen over, and the unit.

    Exactly at a limit is not over it, and in the last millisecond of *length* the task has ended.
    """
    unit = _SECOND if length <= 10 * _MINUTE else _MINUTE
    return max(1, -(-(length - 1) // unit)) * unit, unit
