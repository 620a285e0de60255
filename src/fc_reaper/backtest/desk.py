"""The due tasks of one stop policy, from the tick at which each becomes due to the one at which it is not."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Any

from fc_reaper.models import Millis
from fc_reaper.policy import Policy

Order = tuple[Any, ...]
"""By what the tasks of one policy are put in order; all alike."""


class Desk:
    """Who waits, the first to be stopped first, and what was in the way of those who had to.

    `ever` are all tasks that became due, by number; `held_back` those that had to wait, or were spared, by
    what was in the way.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.ever: set[int] = set()
        self.held_back: dict[str, set[int]] = {"budget": set(), "halted": set(), "holdout": set()}
        self.halted_runs = 0
        self._since: dict[int, Millis] = {}
        self._orders: dict[int, Order] = {}
        self._queue: list[tuple[Order, int]] = []
        self._backwards = policy.keep is not None and policy.keep.stop_first == "newest"
        self._last = {"budget": -1, "halted": -1}

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, number: int) -> bool:
        return number in self._since

    @property
    def crowded(self) -> bool:
        """Whether more are due than its `halt_over` allows."""
        return self.policy.halt_over is not None and len(self) > self.policy.halt_over

    @property
    def waiting(self) -> list[int]:
        """All who wait, in no order."""
        return list(self._since)

    def enter(self, number: int, order: Order, now: Millis) -> None:
        """A task is due, now or still."""
        self.ever.add(number)
        self._since.setdefault(number, now)
        self._unqueue(number)
        self._orders[number] = order
        insort(self._queue, (order, number))

    def spare(self, number: int) -> None:
        """A task is due and belongs to the share that is spared."""
        self.ever.add(number)
        self.held_back["holdout"].add(number)

    def leave(self, number: int) -> Millis:
        """A task waits no more; answers since when it had been due."""
        since = self._since.pop(number)
        self._unqueue(number)
        for why, last in self._last.items():
            if since <= last:
                self.held_back[why].add(number)
        return since

    def note(self, now: Millis, *, halted: bool) -> None:
        """The run at *now* is over: whoever still waits had to."""
        self.halted_runs += halted
        if self._since:
            self._last["halted" if halted else "budget"] = now

    def first(self, room: int) -> Sequence[int]:
        """The first *room* of those who wait; at least one."""
        some = self._queue[-room:] if self._backwards else self._queue[:room]
        return [number for _, number in some]

    def _unqueue(self, number: int) -> None:
        order = self._orders.pop(number, None)
        if order is not None:
            del self._queue[bisect_left(self._queue, (order, number))]
