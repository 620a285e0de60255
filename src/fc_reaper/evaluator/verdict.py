"""What `evaluate` returns: the verdict on one task."""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from fc_reaper.models import Millis, Task

if TYPE_CHECKING:
    from fc_reaper.evaluator.evaluate import FunctionPolicies


class Kind(str, Enum):
    """The kinds of verdict; each task gets exactly one."""

    KEPT = "kept"
    EXEMPT = "exempt"
    UNKNOWN = "unknown"
    REPORTED = "reported"
    DUE = "due"


KEEP = "keep"
"""The rule of a task that is one too many in its concurrency group."""


class Member(NamedTuple):
    """A task's place in a concurrency group of one `keep` policy.

    `group` is a digest, since it may be made of a payload. `since` is when the task was first enqueued, `age`
    how long ago that was. `selectable` is False for a spared task: it counts and is never selected.
    `in_scope` is False where the run is about other tasks and this one is only counted.
    """

    policy: str
    group: str
    since: Millis
    age: Millis
    clock: str
    selectable: bool
    in_scope: bool


class Verdict(NamedTuple):
    """The verdict on one task, with its reason as the log line shows it.

    `policy` names the policy that decided, or that could not be decided. `rule` is the deciding key
    (`alive_for`, `exempt`, ...). `age` is at least so long, `limit` as long, in milliseconds; `limit_from` is
    where the limit comes from: policy, task, at_most or else. `retries` and `retries_limit` are the same for
    a number of retries. What the rule does not measure is None. `clock` is `events` or `started_time`.
    `also` names the other policies for which the task is due. `line` is the line of the policy file that
    decided. `unread` says that reading the task by itself may settle more. `members` are the concurrency
    groups in which the task counts: the verdict then stands unless `select` finds the task one too many.
    """

    kind: Kind
    reason: str
    policy: str | None = None
    line: int | None = None
    rule: str | None = None
    age: Millis | None = None
    limit: Millis | None = None
    clock: str | None = None
    limit_from: str | None = None
    retries: int | None = None
    retries_limit: int | None = None
    also: tuple[str, ...] = ()
    unread: bool = False
    members: tuple[Member, ...] = ()

    @property
    def over(self) -> Millis | None:
        """By how much the limit is exceeded, in milliseconds; negative while there is time left."""
        return None if self.age is None or self.limit is None else self.age - self.limit

    def later(self, by: Millis) -> Verdict:
        """The same verdict so much later, while no rule changes its answer."""
        members = tuple(one._replace(age=one.age + by) for one in self.members)
        return self._replace(age=None if self.age is None else self.age + by, members=members)


class Evaluation(NamedTuple):
    """A task with its verdict, and the moment of the verdict (0 for all where only one moment is used).

    `policies` are those by which it was evaluated; a run evaluates a due task by them again.
    """

    task: Task
    verdict: Verdict
    at: Millis = 0
    policies: FunctionPolicies | None = None

    @property
    def order(self) -> tuple[float, float, str, str]:
        """Most overdue first, then oldest, then by name, whatever order the tasks were listed in.

        A task that is over no limit of time comes last. Lengths are told by when they began, so that a later
        reading makes no task older.
        """
        (task, verdict, at, _), overdue = self, self.verdict.over
        begun = task.events[0].at if task.events else task.started_at
        since = begun if verdict.age is None else at - verdict.age
        limit_reached = inf if overdue is None else at - overdue
        return limit_reached, inf if since is None else since, str(task.function), task.invocation_id
