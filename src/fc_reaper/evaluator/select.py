"""`select`: which of the due tasks a run stops, by `keep`, `holdout`, `halt_over` and the budgets."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from operator import attrgetter
from typing import Any, NamedTuple

from fc_reaper.errors import CloudError
from fc_reaper.evaluator.concurrency import MOST, ConcurrencyGroups, Key, by_age, key_of, too_many
from fc_reaper.evaluator.evaluate import Evaluation
from fc_reaper.models import STOPPED, Function, Millis, Task, TaskKey
from fc_reaper.policy import Policy
from fc_reaper.rules.result import Kind

# So many due tasks of a function are remembered however many others are more overdue: those may fail.
_OF_EACH_FUNCTION = 20


class Allowance(NamedTuple):
    """How many tasks a policy may stop in this run; `why` says why they are fewer than its budget a run."""

    most: int
    why: str | None = None


_NOTHING = Allowance(0)


@dataclass(eq=False, repr=False)
class Selection:
    """What happens to the due tasks of one policy.

    `due` counts all, `held_out` those of them that `holdout` spares; `duplicates`, which were listed twice,
    count in neither. `counted` are due in a `keep` policy, and the run is about others. `first` and
    `held_out_tasks` are the first *room* of each, most overdue first, and a few of each function. `halted`
    says why none is selected; `allowed` is the budget of this run. `group_order` has, for each due task of a
    `keep` policy, its group: first the tasks that stay, then those that are stopped, the last one first.
    """

    policy: Policy
    room: int
    due: int = 0
    held_out: int = 0
    duplicates: int = 0
    counted: int = 0
    first: list[Evaluation] = field(default_factory=list)
    held_out_tasks: list[Evaluation] = field(default_factory=list)
    halted: str | None = None
    allowed: Allowance = _NOTHING
    group_order: dict[Key, tuple[Task, ...]] = field(default_factory=dict)
    _bound: int = 64

    @property
    def selected(self) -> list[Evaluation]:
        """The tasks that are stopped; the others of `first` replace those of which nothing comes."""
        return self.first[: self.allowed.most]

    def add(self, evaluation: Evaluation) -> None:
        """Take one more due task, in whatever order they come."""
        held_out = is_held_out(evaluation.task.invocation_id, self.policy.holdout)
        (self.held_out_tasks if held_out else self.first).append(evaluation)
        self.held_out += held_out
        self.due += 1
        if len(self.first) + len(self.held_out_tasks) > self._bound:
            self.trim()

    def trim(self) -> None:
        """Put the tasks in order, each once, and forget all but the first."""
        keep = self.policy.keep
        newest = keep is not None and keep.stop_first == "newest"
        order: Callable[[Evaluation], Any] = attrgetter("order") if keep is None else _age_in_group
        for tasks in (self.first, self.held_out_tasks):
            once = {one.task.key: one for one in tasks}
            doubled = len(tasks) - len(once)
            self.duplicates += doubled
            self.due -= doubled
            self.held_out -= doubled if tasks is self.held_out_tasks else 0
            tasks.clear()
            number: Counter[Function] = Counter()
            for one in sorted(once.values(), key=order, reverse=newest):
                number[one.task.function] += 1
                if len(tasks) < self.room or number[one.task.function] <= _OF_EACH_FUNCTION:
                    tasks.append(one)
        self._bound = 2 * (len(self.first) + len(self.held_out_tasks)) + 64


def _age_in_group(one: Evaluation) -> tuple[Millis, str, str]:
    return by_age(one.verdict.members[0], one.task)


def is_held_out(invocation_id: str, share: int | None) -> bool:
    """Whether the task belongs to the spared *share*, in hundredths of a percent; always the same."""
    if share is None:
        return False
    number = int.from_bytes(sha256(invocation_id.encode()).digest()[:8], "big")
    return number * 10_000 < share * 2**64


DueInAll = Callable[[Policy, Sequence[Evaluation]], int | None]


def select(
    evaluations: Iterable[Evaluation],
    policies: Sequence[Policy],
    *,
    room: int = 0,
    incomplete: Callable[[Policy], bool] = lambda policy: False,
    due_in_all: DueInAll | None = None,
    allowance: Callable[[Policy, int], Allowance] | None = None,
    settled: Callable[[Evaluation], None] = lambda evaluation: None,
) -> list[Selection]:
    """Decide which of the due *evaluations* are stopped; the order in which they come does not matter.

    Keeps at most *room* due tasks a policy beyond twice its budget, and a few of each function. `incomplete`
    is asked, once all evaluations have been consumed, whether some of a policy's tasks were not listed: then
    nothing follows from their number, and a policy with `halt_over` or `keep` stops none. `due_in_all`
    returns how many tasks are due in all targets of a policy with `halt_over`, those given included, and
    None where that is unknown. `allowance` is asked for a policy that may stop something, with the number of
    its due tasks. `settled` receives every evaluation that has members, with its final verdict.
    """
    selections = {one.name: Selection(one, 2 * one.budget.per_run + room) for one in policies if one.stops}
    kept = {one.name: ConcurrencyGroups(one) for one in policies if one.keep is not None}
    index: dict[str | None, int] = {one.name: one.index for one in policies}
    found: dict[TaskKey, Evaluation] = {}
    for evaluation in evaluations:
        task, verdict = evaluation.task, evaluation.verdict
        if verdict.kind is Kind.DUE:
            selections[verdict.policy or ""].add(evaluation)
            for groups in kept.values():
                groups.exclude(task)
        elif verdict.members:
            added = [kept[one.policy].add(one, task) for one in verdict.members]
            if not any(added):
                settled(evaluation)
                continue
            if task.key in found:
                settled(found[task.key])
            found[task.key] = evaluation
    for groups in kept.values():
        if groups.policy.stops or not (groups.overflowed or incomplete(groups.policy)):
            _take_excess(groups, kept.values(), found, selections, index)
    for evaluation in found.values():
        settled(evaluation)
    for name, selection in selections.items():
        selection.trim()
        policy, due = selection.policy, selection.due - selection.held_out
        if due and name in kept and kept[name].overflowed:
            selection.halted = f"more than {MOST} tasks match, too many to be counted in one run"
        elif due:
            selection.halted = _halted(selection, incomplete, due_in_all)
        if due and selection.halted is None:
            selection.allowed = allowance(policy, due) if allowance else Allowance(policy.budget.per_run)
    return list(selections.values())


def _take_excess(
    groups: ConcurrencyGroups,
    every: Collection[ConcurrencyGroups],
    found: dict[TaskKey, Evaluation],
    selections: Mapping[str, Selection],
    index: Mapping[str | None, int],
) -> None:
    """Change the verdicts *found* on what is one too many in *groups*; exclude it from *every* other."""
    policy, stops = groups.policy, groups.policy.stops
    for task, member, order in list(groups.excess()):
        if member.in_scope:
            before = found[task.key]
            later = policy.index > index.get(before.verdict.policy, -1)
            now = before._replace(verdict=too_many(policy, member, before.verdict, later=later))
            found[task.key] = now
            if stops:
                selections[policy.name].group_order[key_of(task)] = order
                selections[policy.name].add(now)
        elif stops and not is_held_out(task.invocation_id, policy.holdout):
            selections[policy.name].counted += 1
        if stops or not policy.approved:
            for other in every:
                if other is not groups:
                    other.exclude(task)


def _halted(
    selection: Selection, incomplete: Callable[[Policy], bool], due_in_all: DueInAll | None
) -> str | None:
    """Why a policy stops none of its due tasks, None where nothing halts it."""
    policy, most = selection.policy, selection.policy.halt_over
    if policy.keep is not None and incomplete(policy):
        return "not all of its tasks could be listed, so it is unknown how many are one too many"
    if most is None:
        return None
    due: int | None = selection.due - selection.held_out + selection.counted
    if due is not None and due <= most and policy.keep is None and due_in_all:
        due = due_in_all(policy, selection.first)
    if due is not None and due > most:
        return f"{due} tasks are due at once, more than halt_over {most}: is it a mistake?"
    if due is None or incomplete(policy):
        return "not all of its tasks could be listed, so it is unknown how many are due"
    return None


DAY: Millis = 86_400_000


def within_a_day(task: Task, now: Millis) -> bool:
    """Whether a Stopped or Stopping task got that status within a day before *now*, or that is not dated."""
    dates = [event.at for event in task.events if event.status == task.status]
    at = max(dates, default=task.ended_at if task.status == STOPPED else None)
    return at is None or at > now - DAY


class Budgets:
    """The allowances of one run; called policy by policy, in the order of the file.

    What earlier policies were allowed on a shared function counts, too; one whose functions cannot be listed
    shares with every policy. `left` is what remains of each day's budget.
    """

    def __init__(
        self,
        functions: Callable[[Policy], frozenset[Function]],
        stopped: Callable[[Policy, frozenset[Function]], set[TaskKey]],
    ) -> None:
        self._functions, self._stopped = functions, stopped
        self._granted: list[tuple[frozenset[Function] | None, int]] = []
        self._watched: dict[str, frozenset[Function]] = {}
        self._counted: set[TaskKey] = set()
        self.left: dict[str, int] = {}

    def __call__(self, policy: Policy, due: int) -> Allowance:
        """How many of the *due* tasks of *policy* may be stopped. Raises whatever the callables raise."""
        functions = None
        try:
            functions = self._functions(policy)
        except CloudError:
            if policy.budget.per_day is not None:
                raise
        allowed = Allowance(policy.budget.per_run)
        if policy.budget.per_day is not None and functions is not None:
            self._watched[policy.name], self.left[policy.name] = functions, 0
            known = self._stopped(policy, functions)
            self._counted |= known
            stopped = len(known)
            granted = sum(most for on, most in self._granted if on is None or on & functions)
            self.left[policy.name] = left = max(0, policy.budget.per_day - stopped - granted)
            if left < policy.budget.per_run:
                # Counting may end once there are enough.
                at_least = "at least " if stopped >= policy.budget.per_day else ""
                others = f", other policies of this run may stop {granted} more" if granted else ""
                day = f"were stopped within a day{others}, {policy.budget.per_day} are allowed"
                allowed = Allowance(left, f"{at_least}{stopped} of its tasks {day}")
        self._granted.append((functions, min(due, allowed.most)))
        return allowed

    def found_stopped(self, key: TaskKey) -> None:
        """Take off the day a task that the run itself read as stopped, if no list showed it so."""
        if key not in self._counted:
            self._counted.add(key)
            for name, functions in self._watched.items():
                self.left[name] -= key[0] in functions
