"""`choose`: which of the due tasks are stopped in this run. What needs the others is decided here.

In this order: `keep`, `holdout`, `halt_over`, the budgets. Memory is bounded by the budgets, not by how many
tasks are due; a `keep` policy needs its population, up to a fixed number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from fc_reaper.evaluator.concurrency import MOST, Key, Population, by_age, key_of, too_many
from fc_reaper.evaluator.verdict import Evaluation, Kind
from fc_reaper.models import Function, Millis, Task
from fc_reaper.policy import Policy

_Record = tuple[Function, str]
"""One task under one qualifier."""


class Allowance(NamedTuple):
    """How many tasks a policy may stop in this run; `why` says why they are fewer than its budget a run."""

    most: int
    why: str | None = None


class Selection(NamedTuple):
    """What happens to the due tasks of one policy.

    `chosen` are stopped, most overdue first. `spare` are the next ones; `due` counts all, with those that
    `holdout` spares: `held` of them, the first of which are in `heldout`. `halted` says why none is chosen,
    None when nothing halts the policy. `allowed` is the budget of this run. `twice` counts claims of tasks
    that had been claimed already; `due` is without them. `stays` has, for the due tasks of a `keep` policy,
    their group: first those of it who stay, then those who go, the last first.
    """

    policy: Policy
    due: int
    chosen: tuple[Evaluation, ...]
    spare: tuple[Evaluation, ...]
    halted: str | None
    twice: int = 0
    allowed: Allowance = Allowance(0)
    held: int = 0
    heldout: tuple[Evaluation, ...] = ()
    stays: Mapping[Key, tuple[Task, ...]] = {}

    @property
    def reserve(self) -> tuple[Evaluation, ...]:
        """Who takes the places of those that need no stop any more: at most as many as the budget."""
        return () if self.halted else self.spare[: self.allowed.most]


class _Queue:
    """The first *room* claims of one policy in their order, whatever order they come in."""

    def __init__(self, policy: Policy, room: int) -> None:
        self.room = room
        self._keep = policy.keep
        self.due = 0
        self.twice = 0
        self._claims: list[Evaluation] = []

    def add(self, claim: Evaluation) -> None:
        self.due += 1
        self._claims.append(claim)
        if len(self._claims) >= 2 * self.room + 64:
            self._shrink()

    def first(self) -> tuple[Evaluation, ...]:
        self._shrink()
        return tuple(self._claims)

    def _shrink(self) -> None:
        # A task that was listed twice far apart is claimed twice; it has one place.
        once = {_record_of(one.task): one for one in self._claims}
        self.twice += len(self._claims) - len(once)
        self.due -= len(self._claims) - len(once)
        if self._keep is None:
            ordered = sorted(once.values(), key=lambda claim: claim.order)
        else:
            ordered = sorted(once.values(), key=_by_age, reverse=self._keep.stop_first == "newest")
        self._claims = ordered[: self.room]


def _by_age(claim: Evaluation) -> tuple[Millis, str, str]:
    return by_age(claim.verdict.members[0], claim.task)


class _Desk:
    """What has been put on the table for one stop policy."""

    def __init__(self, policy: Policy, spare: int) -> None:
        self.policy = policy
        self.due = _Queue(policy, 2 * policy.per_run + spare)
        self.held = _Queue(policy, spare)
        self.stays: dict[Key, tuple[Task, ...]] = {}

    def add(self, claim: Evaluation) -> None:
        held = self.policy.holdout is not None and is_held_out(claim.task.invocation_id, self.policy.holdout)
        (self.held if held else self.due).add(claim)


def is_held_out(invocation_id: str, share: int) -> bool:
    """Whether the task belongs to the spared *share*, in hundredths of a percent; always the same."""
    number = int.from_bytes(sha256(invocation_id.encode()).digest()[:8], "big")
    return number * 10_000 < share * 2**64


def choose(
    claims: Iterable[Evaluation],
    policies: Sequence[Policy],
    *,
    spare: int = 0,
    unseen: Callable[[str], bool] = lambda policy: False,
    allowance: Callable[[Policy, int], Allowance] = lambda policy, due: Allowance(policy.per_run),
    settled: Callable[[Evaluation], None] = lambda claim: None,
) -> list[Selection]:
    """Decide which of the due *claims* are stopped; the order in which they come does not matter.

    Keeps at most *spare* claims a policy beyond twice its budget. `unseen` is asked, once the claims have
    been consumed, whether some of a policy's tasks were not looked at: then nothing follows from
    their number, and a policy with `halt_over` or `keep` stops none. `allowance` is asked for a policy that
    may stop something, with how many of its tasks are due. `settled` is told every claim that is a member
    of a population, with its final verdict.
    """
    desks = {policy.name: _Desk(policy, spare) for policy in policies if policy.stops}
    populations = {policy.name: Population(policy) for policy in policies if policy.keep is not None}
    places = places_of(policies)
    waiting: dict[_Record, Evaluation] = {}
    for claim in claims:
        if claim.verdict.kind is Kind.DUE:
            desks[claim.verdict.policy or ""].add(claim)
            for population in populations.values():
                population.forget(claim.task)
        elif claim.verdict.members:
            _count(claim, populations, waiting, settled)
    for population in populations.values():
        if population.policy.stops or not (population.overflown or unseen(population.policy.name)):
            _settle_population(population, populations, waiting, desks, places)
    for claim in waiting.values():
        settled(claim)
    return [_settle(desk, populations.get(name), unseen, allowance) for name, desk in desks.items()]


def places_of(policies: Sequence[Policy]) -> dict[str, int]:
    """Where each policy stands in its file."""
    return {policy.name: policy.index for policy in policies}


def _count(
    claim: Evaluation,
    populations: Mapping[str, Population],
    waiting: dict[_Record, Evaluation],
    settled: Callable[[Evaluation], None],
) -> None:
    counted = False
    for member in claim.verdict.members:
        counted = populations[member.policy].add(member, claim.task) or counted
    record = _record_of(claim.task)
    if not counted:
        settled(claim)
        return
    if record in waiting:
        settled(waiting[record])
    waiting[record] = claim


def _record_of(task: Task) -> _Record:
    return task.function, task.invocation_id


def _settle_population(
    population: Population,
    populations: Mapping[str, Population],
    waiting: dict[_Record, Evaluation],
    desks: Mapping[str, _Desk],
    places: Mapping[str, int],
) -> None:
    """Turn the verdicts of those who are one too many, and take them out of the later populations."""
    policy = population.policy
    for task, member, stays in list(population.excess()):
        if member.asked:
            before = waiting[_record_of(task)]
            later = places[policy.name] > places.get(before.verdict.policy or "", -1)
            claim = before._replace(verdict=too_many(policy, member, before.verdict, later=later))
            waiting[_record_of(task)] = claim
            if policy.stops:
                desks[policy.name].stays[key_of(task)] = stays
                desks[policy.name].add(claim)
        if policy.stops or not policy.approved:
            for other in populations.values():
                if other is not population:
                    other.forget(task)


def _settle(
    desk: _Desk,
    population: Population | None,
    unseen: Callable[[str], bool],
    allowance: Callable[[Policy, int], Allowance],
) -> Selection:
    policy = desk.policy
    first = desk.due.first()
    heldout = desk.held.first()
    halted = _halted(policy, desk.due.due, population, unseen)
    allowed = Allowance(0) if halted or not first else allowance(policy, desk.due.due)
    return Selection(
        policy,
        desk.due.due + desk.held.due,
        first[: allowed.most],
        first[allowed.most :],
        halted,
        desk.due.twice + desk.held.twice,
        allowed,
        desk.held.due,
        heldout,
        desk.stays,
    )


def _halted(
    policy: Policy, due: int, population: Population | None, unseen: Callable[[str], bool]
) -> str | None:
    if due == 0:
        return None
    if population is not None and population.overflown:
        return f"more than {MOST} tasks match, too many to be counted in one run"
    if population is not None and unseen(policy.name):
        return "not all of its tasks could be listed, so nobody knows how many are one too many"
    if policy.halt_over is None:
        return None
    if due > policy.halt_over:
        return f"{due} tasks are due at once, more than halt_over {policy.halt_over}: looks like a mistake"
    if unseen(policy.name):
        return "not all of its tasks could be listed, so nobody knows how many are due"
    return None
