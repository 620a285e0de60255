"""What a replay comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fc_reaper.backtest.life import Outcome
from fc_reaper.evaluator.verdict import Verdict
from fc_reaper.models import Millis, Task
from fc_reaper.policy import Policy


class Stop(NamedTuple):
    """A stop that would have been: when, why, and what became of the task in truth.

    `task` is the whole record. `due_since` is the tick at which the policy claimed it first. `saved` is the
    time in Running after the stop (0 if it succeeded), `lost` the time in Running before it, milliseconds.
    """

    task: Task
    at: Millis
    verdict: Verdict
    outcome: Outcome
    due_since: Millis
    saved: Millis
    lost: Millis


class Reported(NamedTuple):
    """A task that a `report` policy would have reported, and the first tick at which it would have."""

    task: Task
    at: Millis
    verdict: Verdict
    outcome: Outcome


@dataclass
class PolicyReplay:
    """What one policy would have done. Counts are of tasks, each once, but `halted_runs`.

    `due` are the tasks that it ever claimed; some of them were held back for a while or for good by `budget`,
    `halted` or `holdout`. `halted_runs` are the runs in which it stopped none because too many were due.
    `unknown_why` counts, by what was lacking, the tasks that it could not judge at some tick and never
    claimed.
    """

    policy: Policy
    stops: list[Stop] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)
    due: int = 0
    held_back: dict[str, int] = field(default_factory=lambda: {"budget": 0, "halted": 0, "holdout": 0})
    halted_runs: int = 0
    unknown_why: Counter[str] = field(default_factory=Counter)

    @property
    def unknown(self) -> int:
        """How many tasks it could not judge, and never claimed."""
        return sum(self.unknown_why.values())

    @property
    def found(self) -> Sequence[Stop | Reported]:
        """The tasks it is about, in the order of time."""
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

    `first` and `last` are its first and last tick, None when there was none; `runs` counts them all.
    `asleep` are the policies that no timer runs, `outside` counts tasks that no replayed policy watches.
    """

    policies: list[PolicyReplay]
    asleep: list[Policy]
    interval: Millis
    outside: int = 0
    runs: int = 0
    first: Millis | None = None
    last: Millis | None = None

    @property
    def stops(self) -> list[Stop]:
        return [stop for one in self.policies for stop in one.stops]
