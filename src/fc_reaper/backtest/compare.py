"""What a change of policy would change: two replays of one history, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

from fc_reaper.backtest.life import Outcome
from fc_reaper.backtest.result import Replay, Stop
from fc_reaper.models import Millis, Task

How = Literal["more", "less", "earlier", "later"]
CHANGES: tuple[How, ...] = ("more", "less", "earlier", "later")


class Change(NamedTuple):
    """One task that the two policies treat differently, with its stops; None where it has none."""

    how: How
    old: Stop | None
    new: Stop | None

    @property
    def stop(self) -> Stop:
        """The stop that is there: the new one where both are."""
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
    """Compare two replays of one history. Which policy stops a task does not matter, only whether and when.

    Sorted by kind, then tasks that succeeded first, then by time.
    """
    before, after = _by_task(old.stops), _by_task(new.stops)
    changes, same = [], 0
    for key in {**before, **after}:
        change = _change(before.get(key), after.get(key))
        if change is None:
            same += 1
        else:
            changes.append(change)
    changes.sort(key=_order)
    saved = sum(stop.saved for stop in after.values()) - sum(stop.saved for stop in before.values())
    return Comparison(tuple(changes), same, saved)


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
