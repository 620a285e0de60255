"""The words of a judgement."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from fc_reaper.models import Millis, Task


class Kind(str, Enum):
    """What becomes of a task; each task gets exactly one."""

    KEPT = "kept"
    EXEMPT = "exempt"
    UNKNOWN = "unknown"
    REPORTED = "reported"
    DUE = "due"


KEEP = "keep"
"""The rule of a task that is one too many."""


class Member(NamedTuple):
    """A task's place in the population of one `keep` policy, where the others decide what becomes of it.

    `group` tells its group from others; it is a digest, since what it is made of may be a payload. `since` is
    when the task was first enqueued, `age` how long ago that was. `choosable` is False for a task that is
    spared: it counts, and is never chosen. `asked` is False where the run was asked about other tasks only.
    """

    policy: str
    group: str
    since: Millis
    age: Millis
    clock: str
    choosable: bool
    asked: bool


class Verdict(NamedTuple):
    """The fate of one task, with the reason that travels unchanged to the log line.

    `policy` names the policy whose claim won, or which could not be decided. `rule` is the key that
    decided (`alive_for`, `exempt`, …). Ages and limits are milliseconds, None where the rule has none.
    `clock` is `events` or `started_time`. `also` names the other policies that claim the task.
    `line` is the line of the policy file that decided. `unread` says that reading the task by itself
    may tell more. `members` are the populations in which the task counts: the verdict then holds unless
    `choose` finds it one too many.
    """

    kind: Kind
    reason: str
    policy: str | None = None
    rule: str | None = None
    age: Millis | None = None
    limit: Millis | None = None
    clock: str | None = None
    also: tuple[str, ...] = ()
    line: int | None = None
    unread: bool = False
    members: tuple[Member, ...] = ()

    @property
    def over(self) -> Millis | None:
        """By how much the limit is exceeded, in milliseconds; negative while there is time left."""
        return None if self.age is None or self.limit is None else self.age - self.limit


class Evaluation(NamedTuple):
    """A task together with its verdict; `at` is the moment of it, the same for all where none is told."""

    task: Task
    verdict: Verdict
    at: Millis = 0

    @property
    def order(self) -> tuple[bool, Millis, bool, Millis, str, str]:
        """Most overdue first, then oldest, then by name: the same for every order of listing."""
        verdict, task = self.verdict, self.task
        overdue, old = self._since(verdict.over), self._since(verdict.age)
        return (*overdue, *old, str(task.function), task.invocation_id)

    def _since(self, length: Millis | None) -> tuple[bool, Millis]:
        """Since when: to be seen a second later makes nobody older than others. Last, where it is unknown."""
        return (True, 0) if length is None else (False, self.at - length)
