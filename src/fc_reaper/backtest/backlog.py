"""What stands at a tick, and what a run then decides: `choose`, given no more claims than can matter.

Ages are kept as of the beginning of time. All grow alike, so that claims stay in their order, and what was
claimed at one tick can be compared with what is claimed at another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from fc_reaper.backtest.crowd import Crowd, Move
from fc_reaper.backtest.day import Days
from fc_reaper.backtest.desk import Desk
from fc_reaper.evaluator.concurrency import Key, by_age, key_of, too_many
from fc_reaper.evaluator.select import Selection, is_held_out, select
from fc_reaper.evaluator.verdict import Evaluation, Kind, Verdict
from fc_reaper.models import Millis, Task
from fc_reaper.policy import Policy


class Decided(NamedTuple):
    """What a run comes to: who is stopped, and since when it had been due; who is reported."""

    stopped: list[tuple[int, Verdict, Millis]]
    reported: list[tuple[int, Verdict]]


class Backlog:
    """The claims of the tasks that are there, by the numbers of the tasks, from one tick to the next.

    `waits` says that the very next run may do something although nothing happens until then.
    """

    def __init__(self, policies: Sequence[Policy], tasks: Sequence[Task]) -> None:
        self.desks = {policy.name: Desk(policy) for policy in policies if policy.stops}
        self.waits = False
        self.gone: set[int] = set()
        self._policies = policies
        self._places = {one.name: one.index for one in policies}
        self._same = _same(tasks)
        self._crowds = {policy.name: Crowd(policy) for policy in policies if policy.keep is not None}
        self._days = Days(policies, tasks)
        self._claims: dict[int, Evaluation] = {}
        self._fresh: set[int] = set()
        self._changed = False

    def put(self, number: int, claim: Evaluation, now: Millis) -> None:
        """The claim of a task at *now*, in place of the one that it had."""
        verdict = _shifted(claim.verdict, -now)
        due = verdict.policy or "" if verdict.kind is Kind.DUE else None
        self._drop(number, but=due)
        if due is None and not verdict.members:
            return
        self._claims[number] = Evaluation(claim.task, verdict)
        self._changed = True
        for member in verdict.members:
            self._crowds[member.policy].join(number, member, claim.task)
        if due is None:
            self._fresh.add(number)
        else:
            self._hide(claim.task, 1)
            self._take(self.desks[due], number, now)

    def withdraw(self, number: int) -> None:
        """A task has ended."""
        self._drop(number)

    def decide(self, now: Millis) -> Decided:
        """What a run at *now* does."""
        if not self._changed and not self.waits:
            return Decided([], [])
        self._changed = False
        crowds = list(self._crowds.values())
        for place, crowd in enumerate(crowds, 1):
            self._turn(crowd, crowds[place:], now)
        self._days.begin()
        mattering = {number: self._settled(number) for number in self._that_matter(now)}
        numbers = {id(claim.task): number for number, claim in mattering.items()}
        choices = select(
            mattering.values(),
            self._policies,
            incomplete=self._is_unseen,
            allowance=lambda policy, due: self._days.allowance(policy, due, now, self.gone),
        )
        reported = list(self._reports(now))
        stopped = [one for choice in choices for one in self._carry_out(choice, numbers, now)]
        self.waits = self._changed or any(map(len, self.desks.values()))
        return Decided(stopped, reported)

    def close(self) -> None:
        """The history is over."""
        for desk in self.desks.values():
            for number in desk.waiting:
                desk.leave(number)

    def _drop(self, number: int, *, but: str | None = None) -> None:
        """Forget the claim of a task; at the desk of *but* it keeps its place for the next one."""
        before = self._claims.pop(number, None)
        if before is None:
            return
        self._changed = True
        self._fresh.discard(number)
        for member in before.verdict.members:
            self._crowds[member.policy].part(number)
        if before.verdict.kind is Kind.DUE:
            self._hide(before.task, -1)
            desk = self.desks[before.verdict.policy or ""]
            if desk.policy.name != but and number in desk:
                desk.leave(number)

    def _hide(self, task: Task, by: int) -> None:
        """Who is due by its own clock counts in no population, under whatever name it was found."""
        for crowd in self._crowds.values():
            crowd.hide(key_of(task), by)

    def _turn(self, crowd: Crowd, later: Sequence[Crowd], now: Millis) -> None:
        """Who is one too many in this run and was not in the last one, and who is not any more."""
        for move in crowd.turn():
            self._fresh.add(move.number)
            if crowd.withholds:
                for other in later:
                    other.hide(move.key, 1 if move.goes else -1)
            if crowd.policy.stops:
                self._move(self.desks[crowd.policy.name], move, now)

    def _move(self, desk: Desk, move: Move, now: Millis) -> None:
        if move.goes:
            self._take(desk, move.number, now)
        elif move.number in desk:
            desk.leave(move.number)

    def _take(self, desk: Desk, number: int, now: Millis) -> None:
        claim, policy = self._claims[number], desk.policy
        if policy.holdout is not None and is_held_out(claim.task.invocation_id, policy.holdout):
            desk.spare(number)
        elif policy.keep is None:
            desk.enter(number, claim.order, now)
        else:
            (member,) = (one for one in claim.verdict.members if one.policy == policy.name)
            desk.enter(number, by_age(member, claim.task), now)

    def _settled(self, number: int) -> Evaluation:
        """The claim of a task, once those with it have been counted."""
        task, verdict, _ = self._claims[number]
        for member in verdict.members:
            crowd = self._crowds[member.policy]
            if number in crowd.going and verdict.kind is not Kind.DUE:
                later = self._places[crowd.policy.name] > self._places.get(verdict.policy or "", -1)
                verdict = too_many(crowd.policy, member, verdict, later=later)
        return Evaluation(task, verdict)

    def _that_matter(self, now: Millis) -> Iterator[int]:
        """Enough of the due tasks that `choose` decides as it would if it were given all."""
        for desk in self.desks.values():
            if len(desk):
                most = (
                    0
                    if self._is_unseen(desk.policy.name)
                    else self._days.at_most(desk.policy, now, self.gone)
                )
                yield from desk.first(max(1, 2 * most))

    def _is_unseen(self, name: str) -> bool:
        """Whether `choose` is not given all of a policy's tasks that it would have to count."""
        crowd = self._crowds.get(name)
        if crowd is not None and crowd.overflown:
            return True
        return name in self.desks and self.desks[name].crowded

    def _reports(self, now: Millis) -> Iterator[tuple[int, Verdict]]:
        """Whom this run reports and an earlier one may not have."""
        for number in self._fresh & self._claims.keys():
            verdict = self._settled(number).verdict
            if verdict.kind is Kind.REPORTED:
                yield number, _shifted(verdict, now)
        self._fresh.clear()

    def _carry_out(
        self, choice: Selection, numbers: Mapping[int, int], now: Millis
    ) -> Iterator[tuple[int, Verdict, Millis]]:
        desk = self.desks[choice.policy.name]
        for claim in choice.selected:
            number = numbers[id(claim.task)]
            if number in self.gone:
                continue
            since = desk.leave(number)
            for same in self._same.get(number, (number,)):
                self.gone.add(same)
                self.withdraw(same)
            self._days.stopped(number, claim.task, now)
            yield number, _shifted(claim.verdict, now), since
        desk.note(now, halted=choice.halted is not None)


def _same(tasks: Sequence[Task]) -> Mapping[int, Sequence[int]]:
    """The numbers of each task that was found under several qualifiers; an id alone may be used again."""
    numbers: dict[tuple[Key, str], list[int]] = {}
    for number, task in enumerate(tasks):
        if task.request_id is not None:
            numbers.setdefault((key_of(task), task.request_id), []).append(number)
    return {number: same for same in numbers.values() if len(same) > 1 for number in same}


def _shifted(verdict: Verdict, by: Millis) -> Verdict:
    """*verdict* with all its ages so much greater."""
    members = tuple(member._replace(age=member.age + by) for member in verdict.members)
    age = None if verdict.age is None else verdict.age + by
    return verdict._replace(age=age, members=members)
