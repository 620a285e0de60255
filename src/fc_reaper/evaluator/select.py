"""`select`: which of the due tasks a run stops. All that depends on other tasks is decided here.

In this order: `keep`, `holdout`, `halt_over`, the budgets. Memory is bounded by the budgets, not by how many
tasks are due; a `keep` policy counts up to a fixed number of tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from fc_reaper.evaluator.concurrency import MOST, ConcurrencyGroups, Key, by_age, key_of, too_many
from fc_reaper.evaluator.verdict import Evaluation, Kind
from fc_reaper.models import STOPPED, Function, Millis, Task
from fc_reaper.policy import Policy

_Record = tuple[Function, str]
"""One task under one qualifier."""


class Allowance(NamedTuple):
    """How many tasks a policy may stop in this run; `why` says why they are fewer than its budget a run."""

    most: int
    why: str | None = None


class Selection(NamedTuple):
    """What happens to the due tasks of one policy.

    `selected` are stopped, most overdue first; `waiting` are the next ones. `halted` says why none is
    selected, None when nothing halts the policy. `due` counts all due tasks, `held_out` those of them that
    `holdout` spares; the first of these are in `held_out_tasks`. `duplicates` counts tasks that were listed
    twice; `due` is without them. `allowed` is the budget of this run. `group_order` has, for each due task of
    a `keep` policy, its group: first the tasks that stay, then those that are stopped, the last one first.
    """

    policy: Policy
    due: int
    selected: tuple[Evaluation, ...]
    waiting: tuple[Evaluation, ...]
    halted: str | None
    duplicates: int = 0
    allowed: Allowance = Allowance(0)
    held_out: int = 0
    held_out_tasks: tuple[Evaluation, ...] = ()
    group_order: Mapping[Key, tuple[Task, ...]] = {}

    @property
    def reserve(self) -> tuple[Evaluation, ...]:
        """The tasks that replace selected ones that need no stop any more: at most as many as the budget."""
        return () if self.halted else self.waiting[: self.allowed.most]


class _Queue:
    """The first *room* due tasks of one policy, whatever order they are added in."""

    def __init__(self, policy: Policy, room: int) -> None:
        self.due = 0
        self.duplicates = 0
        self.policy = policy
        self._room = room
        self._evaluations: list[Evaluation] = []

    def add(self, evaluation: Evaluation) -> None:
        self.due += 1
        self._evaluations.append(evaluation)
        if len(self._evaluations) >= 2 * self._room + 64:
            self._shrink()

    def first(self) -> tuple[Evaluation, ...]:
        self._shrink()
        return tuple(self._evaluations)

    def _shrink(self) -> None:
        once = {_record_of(one.task): one for one in self._evaluations}
        self.duplicates += len(self._evaluations) - len(once)
        self.due -= len(self._evaluations) - len(once)
        keep = self.policy.keep
        newest = keep is not None and keep.stop_first == "newest"
        ordered = sorted(once.values(), key=_most_overdue if keep is None else _oldest, reverse=newest)
        self._evaluations = ordered[: self._room]


def _most_overdue(evaluation: Evaluation) -> tuple[Any, ...]:
    return evaluation.order


def _oldest(evaluation: Evaluation) -> tuple[Any, ...]:
    return by_age(evaluation.verdict.members[0], evaluation.task)


def is_held_out(invocation_id: str, share: int) -> bool:
    """Whether the task belongs to the spared *share*, in hundredths of a percent; always the same."""
    number = int.from_bytes(sha256(invocation_id.encode()).digest()[:8], "big")
    return number * 10_000 < share * 2**64


def select(
    evaluations: Iterable[Evaluation],
    policies: Sequence[Policy],
    *,
    room: int = 0,
    incomplete: Callable[[str], bool] = lambda policy: False,
    allowance: Callable[[Policy, int], Allowance] = lambda policy, due: Allowance(policy.per_run),
    settled: Callable[[Evaluation], None] = lambda evaluation: None,
) -> list[Selection]:
    """Decide which of the due *evaluations* are stopped; the order in which they come does not matter.

    Keeps at most *room* due tasks a policy beyond twice its budget. `incomplete` is asked, once all
    evaluations have been consumed, whether some of a policy's tasks were not listed: then nothing follows
    from their number, and a policy with `halt_over` or `keep` stops none. `allowance` is asked for a policy
    that may stop something, with the number of its due tasks. `settled` receives every evaluation that has
    members, with its final verdict.
    """
    return _Selecting(policies, room, incomplete, allowance, settled).run(evaluations)


class _Selecting:
    """One call of `select`: a queue for each stop policy, the groups of each `keep` policy."""

    def __init__(
        self,
        policies: Sequence[Policy],
        room: int,
        incomplete: Callable[[str], bool],
        allowance: Callable[[Policy, int], Allowance],
        settled: Callable[[Evaluation], None],
    ) -> None:
        self._stopping = [one for one in policies if one.stops]
        self._due = {one.name: _Queue(one, 2 * one.per_run + room) for one in self._stopping}
        self._held_out = {one.name: _Queue(one, room) for one in self._stopping}
        self._group_order: dict[str, dict[Key, tuple[Task, ...]]] = {one.name: {} for one in self._stopping}
        self._groups = {one.name: ConcurrencyGroups(one) for one in policies if one.keep is not None}
        self._index = {one.name: one.index for one in policies}
        self._members: dict[_Record, Evaluation] = {}
        self._incomplete, self._allowance, self._settled = incomplete, allowance, settled

    def run(self, evaluations: Iterable[Evaluation]) -> list[Selection]:
        for evaluation in evaluations:
            if evaluation.verdict.kind is Kind.DUE:
                self._enqueue(evaluation)
                for groups in self._groups.values():
                    groups.exclude(evaluation.task)
            elif evaluation.verdict.members:
                self._count(evaluation)
        for name, groups in self._groups.items():
            if groups.policy.stops or not (groups.overflowed or self._incomplete(name)):
                self._settle(groups)
        for evaluation in self._members.values():
            self._settled(evaluation)
        return [self._selection(policy) for policy in self._stopping]

    def _enqueue(self, evaluation: Evaluation) -> None:
        name = evaluation.verdict.policy or ""
        share = self._due[name].policy.holdout
        held_out = share is not None and is_held_out(evaluation.task.invocation_id, share)
        (self._held_out if held_out else self._due)[name].add(evaluation)

    def _count(self, evaluation: Evaluation) -> None:
        """Count a member in its groups; its verdict stands until these are settled."""
        added = [self._groups[one.policy].add(one, evaluation.task) for one in evaluation.verdict.members]
        record = _record_of(evaluation.task)
        if not any(added):
            self._settled(evaluation)
            return
        if record in self._members:
            self._settled(self._members[record])
        self._members[record] = evaluation

    def _settle(self, groups: ConcurrencyGroups) -> None:
        """Change the verdicts of the tasks that are one too many, and exclude them from the other groups."""
        policy = groups.policy
        for task, member, order in list(groups.excess()):
            if member.in_scope:
                before = self._members[_record_of(task)]
                later = self._index[policy.name] > self._index.get(before.verdict.policy or "", -1)
                verdict = too_many(policy, member, before.verdict, later=later)
                self._members[_record_of(task)] = evaluation = before._replace(verdict=verdict)
                if policy.stops:
                    self._group_order[policy.name][key_of(task)] = order
                    self._enqueue(evaluation)
            if policy.stops or not policy.approved:
                for other in self._groups.values():
                    if other is not groups:
                        other.exclude(task)

    def _selection(self, policy: Policy) -> Selection:
        queue, held_out = self._due[policy.name], self._held_out[policy.name]
        first, held_out_tasks = queue.first(), held_out.first()
        halted = self._halted(policy, queue.due)
        allowed = Allowance(0) if halted or not first else self._allowance(policy, queue.due)
        return Selection(
            policy,
            queue.due + held_out.due,
            first[: allowed.most],
            first[allowed.most :],
            halted,
            queue.duplicates + held_out.duplicates,
            allowed,
            held_out.due,
            held_out_tasks,
            self._group_order[policy.name],
        )

    def _halted(self, policy: Policy, due: int) -> str | None:
        if due == 0:
            return None
        groups, incomplete = self._groups.get(policy.name), self._incomplete(policy.name)
        if groups is not None and groups.overflowed:
            return f"more than {MOST} tasks match, too many to be counted in one run"
        if groups is not None and incomplete:
            return "not all of its tasks could be listed, so it is unknown how many are one too many"
        if policy.halt_over is not None and due > policy.halt_over:
            return f"{due} tasks are due at once, more than halt_over {policy.halt_over}: is it a mistake?"
        if policy.halt_over is not None and incomplete:
            return "not all of its tasks could be listed, so it is unknown how many are due"
        return None


def _record_of(task: Task) -> _Record:
    return task.function, task.invocation_id


DAY: Millis = 86_400_000


def within_a_day(task: Task, now: Millis) -> bool:
    """Whether a Stopped or Stopping task got that status within a day before *now*, or that is not dated."""
    dates = [event.at for event in task.events if event.status == task.status]
    at = max(dates, default=task.ended_at if task.status == STOPPED else None)
    return at is None or at > now - DAY


class Budgets:
    """The allowances of one run; called policy by policy, in the order of the file.

    *functions* are those of a policy's targets, *stopped* counts their tasks that were stopped within a day,
    by any caller. What earlier policies of this run were allowed on a shared function counts as well.
    """

    def __init__(
        self,
        policies: Iterable[Policy],
        functions: Callable[[Policy], frozenset[Function]],
        stopped: Callable[[Policy, frozenset[Function]], int],
    ) -> None:
        self._functions, self._stopped = functions, stopped
        self._any_daily = any(one.per_day is not None for one in policies)
        self._granted: list[tuple[frozenset[Function], int]] = []

    def __call__(self, policy: Policy, due: int) -> Allowance:
        """How many of the *due* tasks of *policy* may be stopped. Raises whatever the callables raise."""
        functions = self._functions(policy) if self._any_daily else frozenset[Function]()
        allowed = Allowance(policy.per_run)
        if policy.per_day is not None:
            allowed = self._of_the_day(policy, policy.per_day, functions)
        self._granted.append((functions, min(due, allowed.most)))
        return allowed

    def _of_the_day(self, policy: Policy, per_day: int, functions: frozenset[Function]) -> Allowance:
        stopped = self._stopped(policy, functions)
        granted = sum(number for others, number in self._granted if not others.isdisjoint(functions))
        left = max(0, per_day - stopped - granted)
        if left >= policy.per_run:
            return Allowance(policy.per_run)
        # Counting may end once there are enough.
        at_least = "at least " if stopped >= per_day else ""
        others = f", other policies of this run may stop {granted} more" if granted else ""
        why = f"{at_least}{stopped} of its tasks were stopped within a day{others}, {per_day} are allowed"
        return Allowance(left, why)
