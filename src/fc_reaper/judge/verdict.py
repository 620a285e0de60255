"""The words of a judgement."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from fc_reaper.model import Millis, Task


class Kind(str, Enum):
    """What becomes of a task; each task gets exactly one."""

    KEPT = "kept"
    EXEMPT = "exempt"
    UNKNOWN = "unknown"
    REPORTED = "reported"
    DUE = "due"


class Verdict(NamedTuple):
    """The fate of one task, with the reason that travels unchanged to the log line.

    `policy` names the policy whose claim won, or which could not be decided. `rule` is the key that
    decided (`alive_for`, `exempt`, …). Ages and limits are milliseconds, None where the rule has none.
    `clock` is `events` or `started_time`. `also` names the other policies that claim the task.
    `line` is the line of the policy file that decided. `unread` says that reading the task by itself
    may tell more.
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

    @property
    def over(self) -> Millis | None:
        """By how much the limit is exceeded, in milliseconds; negative while there is time left."""
        return None if self.age is None or self.limit is None else self.age - self.limit


class Claim(NamedTuple):
    """A task together with its verdict."""

    task: Task
    verdict: Verdict

    @property
    def order(self) -> tuple[Millis, Millis, str, str]:
        """Most overdue first, then oldest, then by name: the same for every order of listing."""
        verdict, task = self.verdict, self.task
        return (-(verdict.over or 0), -(verdict.age or 0), str(task.function), task.invocation_id)
