"""The due tasks of one stop policy, from the tick at which each becomes due to the one at which it is not."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from fc_reaper.judge.verdict import Claim
from fc_reaper.model import Millis
from fc_reaper.policy import Policy

Order = tuple[Millis, Millis, str, str]


class Desk:
    """Who waits, most overdue first, and what was in the way of those who had to.

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
        self._last = {"budget": -1, "halted": -1}

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, number: int) -> bool:
        return number in self._since

    @property
    def waiting(self) -> list[int]:
        """All who wait, in no order."""
        return list(self._since)

    def enter(self, number: int, claim: Claim, now: Millis) -> None:
        """A task is due, now or still."""
        self.ever.add(number)
        self._since.setdefault(number, now)
        self._unqueue(number)
        self._orders[number] = claim.order
        insort(self._queue, (claim.order, number))

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

    def first(self) -> Iterable[int]:
        """Enough of the first that `choose` decides as it would if it were given all."""
        room = max(2 * self.policy.per_run, (self.policy.halt_over or 0) + 1)
        return (number for _, number in self._queue[:room])

    def _unqueue(self, number: int) -> None:
        order = self._orders.pop(number, None)
        if order is not None:
            del self._queue[bisect_left(self._queue, (order, number))]
