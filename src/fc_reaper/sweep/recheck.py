"""The second count of a `keep` policy: right before its stops the tasks that stay are read again.

Tasks that came since the first count can only make more tasks too many, never fewer; so a task is one too
many as long as enough of those that stand before it still count.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from threading import Lock

from fc_reaper.clock import Deadline, Jobs
from fc_reaper.errors import CloudError
from fc_reaper.evaluator.concurrency import key_of, still_counted, too_many
from fc_reaper.evaluator.evaluate import Evaluation, FunctionPolicies, evaluate
from fc_reaper.evaluator.select import Selection
from fc_reaper.models import Function, Task
from fc_reaper.rules.result import Kind, Member, Verdict
from fc_reaper.sweep import SweepContext

# Seconds, from its beginning, for which a count may be used for further stops of the same group; twice as
# long as it took where it takes longer than half of that.
FRESH = 5.0
Counted = list[tuple[Member, Task]]


@dataclass
class _Group:
    """The members of a concurrency group that counted when they were last read."""

    lock: Lock = field(default_factory=Lock)
    counted: Counted = field(default_factory=list)
    until: Deadline = float("-inf")


@dataclass
class Recheck:
    """Evaluates tasks that are one too many again, in the light of the others."""

    context: SweepContext
    selections: Mapping[str, Selection]
    policies: Mapping[Function, FunctionPolicies]
    _groups: dict[tuple[str, str], _Group] = field(default_factory=dict)

    def verdict(self, due: Evaluation, read: Task, fresh: Verdict) -> Verdict:
        """The verdict on the task of *due* as it was just *read*; *fresh* is the one without its group."""
        if fresh.kind is Kind.DUE:
            return fresh
        policy = self.selections[due.verdict.policy or ""].policy
        member = next((one for one in fresh.members if one.policy == policy.name), None)
        if member is None or not member.selectable or member.group != due.verdict.members[0].group:
            return fresh if fresh.kind is not Kind.KEPT else Verdict(Kind.KEPT, "it does not count any more")
        counted = self._groups[policy.name, member.group].counted
        counts = (still_counted(policy, member, other, read, task) for other, task in counted)
        if policy.keep is not None and sum(counts) < policy.keep.at_most:
            return Verdict(Kind.KEPT, "it is not one too many any more")
        return too_many(policy, member, fresh)

    def prepare(self, due: Evaluation, until: Deadline) -> None:
        """Count the group of *due* again if the last count is not fresh; a CloudError if that fails."""
        selection = self.selections[due.verdict.policy or ""]
        group = self._groups.setdefault((selection.policy.name, due.verdict.members[0].group), _Group())
        with group.lock:
            begin = self.context.clock.monotonic()
            if begin >= group.until:
                group.counted = self._count(selection, due, until)
                group.until = begin + max(FRESH, 2 * (self.context.clock.monotonic() - begin))

    def _count(self, selection: Selection, due: Evaluation, until: Deadline) -> Counted:
        """As many of the group as are needed, read in its order; no task is read in vain."""
        counted: Counted = []
        rest = iter(selection.group_order.get(key_of(due.task), ()))
        at_most = selection.policy.keep.at_most if selection.policy.keep else 0
        while batch := list(islice(rest, at_most - len(counted))):
            jobs: Jobs[None, Counted] = deque((None, partial(self._read, due, task, until)) for task in batch)
            for _, found in self.context.pool.each(jobs, until):
                if isinstance(found, CloudError):
                    raise found
                counted += found
        return counted

    def _read(self, due: Evaluation, task: Task, until: Deadline) -> Counted:
        """The task as a member of the group, if it still is one."""
        try:
            seen = self.context.cloud.get(task.function, task.invocation_id, deadline=until)
        except CloudError as error:
            if error.missing:
                return []
            same = task.function[:2] == due.task.function[:2]  # else it denies nothing there
            raise error if same else CloudError(str(error), error_code=error.error_code) from None
        members, record = evaluate(seen.task, self.policies[task.function], seen.moment).members, seen.task
        return [(one, record._replace(record=None)) for one in members if one.policy == due.verdict.policy]
