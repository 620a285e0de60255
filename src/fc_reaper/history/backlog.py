"""What stands at a tick, and what a run then decides: `choose`, given no more claims than can matter.

Ages are kept as of the beginning of time. All grow alike, so that claims stay in their order, and what was
claimed at one tick can be compared with what is claimed at another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from fc_reaper.history.day import Days
from fc_reaper.history.desk import Desk
from fc_reaper.judge.choose import Choice, choose, is_held_out
from fc_reaper.judge.keep import MOST
from fc_reaper.judge.verdict import KEEP, Claim, Kind, Member, Verdict
from fc_reaper.model import Millis, Task
from fc_reaper.policy import Policy


class Decided(NamedTuple):
    """What a run comes to: who is stopped, and since when it had been due; who is reported."""

    stopped: list[tuple[int, Verdict, Millis]]
    reported: list[tuple[int, Verdict]]


Group = tuple[str, str]
"""A policy with `keep`, and one of its groups."""


class Backlog:
    """The claims of the tasks that are there, by the numbers of the tasks, from one tick to the next.

    `waits` says that somebody was due and was not stopped, so that the very next run may stop somebody.
    """

    def __init__(self, policies: Sequence[Policy], tasks: Sequence[Task]) -> None:
        self.desks = {policy.name: Desk(policy) for policy in policies if policy.stops}
        self.waits = False
        self.gone: set[int] = set()
        self._policies = policies
        self._keeps = {policy.name: policy.keep for policy in policies if policy.keep is not None}
        self._days = Days(policies, tasks)
        self._claims: dict[int, Claim] = {}
        self._groups: dict[Group, set[int]] = defaultdict(set)
        self._overfull: set[Group] = set()
        self._sizes: dict[str, int] = dict.fromkeys(self._keeps, 0)
        self._unheard: set[int] = set()
        self._turned: set[int] = set()
        self._changed = False

    def put(self, number: int, claim: Claim, now: Millis) -> None:
        """The claim of a task at *now*, in place of the one that it had."""
        verdict = _shifted(claim.verdict, -now)
        policy = verdict.policy or "" if verdict.kind is Kind.DUE else None
        self._drop(number, but=policy)
        if policy is not None and self._is_spared(policy, claim.task):
            self.desks[policy].spare(number)
        elif policy is not None or verdict.members:
            self._claims[number] = Claim(claim.task, verdict)
            self._changed = True
            self._join(number, verdict.members)
            if policy is not None:
                self.desks[policy].enter(number, self._claims[number], now)
            elif verdict.kind is Kind.REPORTED:
                self._unheard.add(number)

    def withdraw(self, number: int) -> None:
        """A task has ended."""
        self._drop(number)
        self._turned.discard(number)
        for name in self._keeps:
            if name in self.desks and number in self.desks[name]:
                self.desks[name].leave(number)

    def decide(self, now: Millis) -> Decided:
        """What a run at *now* does."""
        if not self._changed and not self.waits:
            return Decided([], [])
        self._changed = False
        self._days.begin()
        mattering = {number: self._claims[number] for number in self._that_matter()}
        numbers = {id(claim.task): number for number, claim in mattering.items()}
        settled: dict[int, Verdict] = {}
        choices = choose(
            mattering.values(),
            self._policies,
            spare=len(mattering),
            allowance=lambda policy, due: self._days.allowance(policy, due, now, self.gone),
            settled=lambda claim: settled.update({numbers[id(claim.task)]: claim.verdict}),
        )
        reported = [(number, _shifted(verdict, now)) for number, verdict in self._reports(settled)]
        stopped = [one for choice in choices for one in self._carry_out(choice, numbers, now)]
        self.waits = any(map(len, self.desks.values()))
        return Decided(stopped, reported)

    def close(self) -> None:
        """The history is over."""
        for desk in self.desks.values():
            for number in desk.waiting:
                desk.leave(number)

    def _is_spared(self, policy: str, task: Task) -> bool:
        share = self.desks[policy].policy.holdout
        return share is not None and is_held_out(task.invocation_id, share)

    def _drop(self, number: int, *, but: str | None = None) -> None:
        """Forget the claim of a task; at the desk of *but* it keeps its place for the next one."""
        before = self._claims.pop(number, None)
        if before is None:
            return
        self._changed = True
        self._unheard.discard(number)
        for member in before.verdict.members:
            self._part(number, member)
        for name, desk in self.desks.items():
            # Who is one too many for a `keep` policy is settled anew by each run.
            if name not in self._keeps and name != but and number in desk:
                desk.leave(number)

    def _join(self, number: int, members: Sequence[Member]) -> None:
        for member in members:
            group = member.policy, member.group
            self._groups[group].add(number)
            self._sizes[member.policy] += 1
            self._weigh(group)

    def _part(self, number: int, member: Member) -> None:
        group = member.policy, member.group
        self._groups[group].discard(number)
        self._sizes[member.policy] -= 1
        self._weigh(group)

    def _weigh(self, group: Group) -> None:
        if len(self._groups[group]) > self._keeps[group[0]].at_most:
            self._overfull.add(group)
        else:
            self._overfull.discard(group)

    def _that_matter(self) -> Iterator[int]:
        """The tasks that a run may stop, report as one too many, or count on the way."""
        for name, desk in self.desks.items():
            if name not in self._keeps:
                yield from desk.first()
        for group in self._overfull:
            yield from self._groups[group]
        for name, size in self._sizes.items():
            if size > MOST:
                yield from (
                    number for group, some in self._groups.items() if group[0] == name for number in some
                )

    def _reports(self, settled: Mapping[int, Verdict]) -> Iterator[tuple[int, Verdict]]:
        """Whom this run reports and an earlier one may not have."""
        yield from ((number, verdict) for number, verdict in settled.items() if verdict.kind is Kind.REPORTED)
        turned = {number for number, verdict in settled.items() if verdict.rule == KEEP}
        for number in (self._unheard | (self._turned - turned)) - settled.keys():
            claim = self._claims.get(number)
            if claim is not None and claim.verdict.kind is Kind.REPORTED:
                yield number, claim.verdict
        self._unheard.clear()
        self._turned = turned

    def _carry_out(
        self, choice: Choice, numbers: Mapping[int, int], now: Millis
    ) -> Iterator[tuple[int, Verdict, Millis]]:
        desk = self.desks[choice.policy.name]
        if choice.policy.keep is not None:
            _settle_desk(desk, choice, numbers, now)
        for claim in choice.chosen:
            number = numbers[id(claim.task)]
            since = desk.leave(number)
            self.gone.add(number)
            self.withdraw(number)
            self._days.stopped(number, claim.task, now)
            yield number, _shifted(claim.verdict, now), since
        desk.note(now, halted=choice.halted is not None)


def _settle_desk(desk: Desk, choice: Choice, numbers: Mapping[int, int], now: Millis) -> None:
    """Who is one too many in this run, and who is not any more."""
    due = {numbers[id(claim.task)]: claim for claim in (*choice.chosen, *choice.spare)}
    for number in desk.waiting:
        if number not in due:
            desk.leave(number)
    for number, claim in due.items():
        if number not in desk:
            desk.enter(number, claim, now)
    for claim in choice.heldout:
        desk.spare(numbers[id(claim.task)])


def _shifted(verdict: Verdict, by: Millis) -> Verdict:
    """*verdict* with all its ages so much greater."""
    members = tuple(member._replace(age=member.age + by) for member in verdict.members)
    age = None if verdict.age is None else verdict.age + by
    return verdict._replace(age=age, members=members)
