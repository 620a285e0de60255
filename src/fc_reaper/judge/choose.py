"""`choose`: which of the due tasks are stopped in this run. What needs the others is decided here.

Memory is bounded by the budgets, not by how many tasks are due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from fc_reaper.judge.verdict import Claim
from fc_reaper.policy import Policy


class Choice(NamedTuple):
    """What happens to the due tasks of one policy.

    `chosen` are stopped, most overdue first. `spare` are the next ones; `due` counts all. `halted` says
    why none is chosen, None when nothing halts the policy. `twice` counts claims of tasks that had been
    claimed already; `due` is without them.
    """

    policy: Policy
    due: int
    chosen: tuple[Claim, ...]
    spare: tuple[Claim, ...]
    halted: str | None
    twice: int = 0

    @property
    def reserve(self) -> tuple[Claim, ...]:
        """Who takes the places of those that need no stop any more: at most as many as the budget."""
        return () if self.halted else self.spare[: self.policy.per_run]


class _Queue:
    """The first *room* claims of one policy in their order, whatever order they come in."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.due = 0
        self.twice = 0
        self._claims: list[Claim] = []

    def add(self, claim: Claim) -> None:
        self.due += 1
        self._claims.append(claim)
        if len(self._claims) >= 2 * self.room + 64:
            self._shrink()

    def first(self) -> list[Claim]:
        self._shrink()
        return self._claims

    def _shrink(self) -> None:
        # A task that was listed twice far apart is claimed twice; it has one place.
        once = {(one.task.function, one.task.invocation_id): one for one in self._claims}
        self.twice += len(self._claims) - len(once)
        self.due -= len(self._claims) - len(once)
        self._claims = sorted(once.values(), key=lambda claim: claim.order)[: self.room]


def choose(
    claims: Iterable[Claim],
    policies: Sequence[Policy],
    *,
    spare: int = 0,
    unseen: Callable[[str], bool] = lambda policy: False,
) -> list[Choice]:
    """Decide which of the due *claims* are stopped; the order in which they come does not matter.

    Keeps at most *spare* claims a policy beyond twice its budget. `unseen` is asked, once the claims have
    been consumed, whether some of a policy's tasks were not looked at: then nothing follows from
    their number, and a policy with `halt_over` stops none.
    """
    queues = {policy.name: _Queue(2 * policy.per_run + spare) for policy in policies if policy.stops}
    for claim in claims:
        queues[claim.verdict.policy or ""].add(claim)
    return [_settle(policy, queues[policy.name], unseen) for policy in policies if policy.stops]


def _settle(policy: Policy, queue: _Queue, unseen: Callable[[str], bool]) -> Choice:
    first = tuple(queue.first())
    halted = _halted(policy, queue.due, unseen)
    budget = 0 if halted else policy.per_run
    return Choice(policy, queue.due, first[:budget], first[budget:], halted, queue.twice)


def _halted(policy: Policy, due: int, unseen: Callable[[str], bool]) -> str | None:
    if policy.halt_over is None or due == 0:
        return None
    if due > policy.halt_over:
        return f"{due} tasks are due at once, more than halt_over {policy.halt_over}: looks like a mistake"
    if unseen(policy.name):
        return "not all of its tasks could be listed, so nobody knows how many are due"
    return None
