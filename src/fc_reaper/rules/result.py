"""What conditions come to: three values, the result of a rule with its measure, the verdict on a task."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from fc_reaper.models import Millis
from fc_reaper.rules.duration import format_duration


class Truth(Enum):
    """Whether a condition holds. It is no bool, and a test such as `if truth` raises: write `is TRUE`.

    `&`, `|` and `~` are and, or and not. One false settles an and, one true an or; else one unknown makes the
    whole unknown.
    """

    TRUE = True
    FALSE = False
    UNKNOWN = None

    def __and__(self, other: "Truth") -> "Truth":
        if self is FALSE or other is FALSE:
            return FALSE
        return TRUE if self is TRUE and other is TRUE else UNKNOWN

    def __or__(self, other: "Truth") -> "Truth":
        return ~(~self & ~other)

    def __invert__(self) -> "Truth":
        return UNKNOWN if self is UNKNOWN else FALSE if self is TRUE else TRUE

    def __bool__(self) -> bool:
        raise TypeError("a Truth has three values; compare it by `is`")


TRUE, FALSE, UNKNOWN = Truth


class RuleResult(NamedTuple):
    """Whether a condition holds, and by which key: of several clocks, the one exceeded least.

    `age` is at least so long (milliseconds), `limit_from` is where its limit comes from: policy, task,
    at_most or else; `clock` is what it was read from. What a rule does not measure is None. `why` explains an
    unknown, `unread` marks one that reading the task by itself may settle.
    """

    holds: Truth
    rule: str | None = None
    age: Millis | None = None
    limit: Millis | None = None
    clock: str | None = None
    limit_from: str | None = None
    retries: int | None = None
    retries_limit: int | None = None
    why: str = ""
    unread: bool = False

    @property
    def over(self) -> Millis | None:
        """By how much the limit is exceeded; negative while there is time left."""
        return None if self.age is None or self.limit is None else self.age - self.limit

    @property
    def measured(self) -> str:
        """What was measured, in words: `3h of 2h, 1h over`; empty where nothing was."""
        if self.retries is not None:
            return f"{self.retries} of {self.retries_limit}"
        if self.age is None:
            return ""
        if self.over is None or self.limit is None:
            return format_duration(self.age)
        origin = "" if self.limit_from in (None, "policy") else f" ({self.limit_from})"
        over = f"{format_duration(abs(self.over))} {'over' if self.over > 0 else 'left'}"
        return f"{format_duration(self.age)} of {format_duration(self.limit)}{origin}, {over}"

    def fields(self) -> dict[str, Any]:
        """By what it was decided, as log lines and JSON show it: lengths of time in seconds."""
        lengths = {"age_s": self.age, "limit_s": self.limit, "over_s": self.over}
        seconds = {name: None if length is None else length / 1000 for name, length in lengths.items()}
        others = {name: getattr(self, name) for name in ("limit_from", "retries", "retries_limit", "clock")}
        return {"rule": self.rule, **seconds, **others}


NOT_IN_STATUS = RuleResult(FALSE, "status")  # of a task that is in no status in which a rule can hold


class Kind(str, Enum):
    """The kinds of verdict; each task gets exactly one."""

    KEPT = "kept"
    EXEMPT = "exempt"
    UNKNOWN = "unknown"
    REPORTED = "reported"
    DUE = "due"


KEEP = "keep"  # the rule of a task that is one too many in its concurrency group


class Member(NamedTuple):
    """A task's place in a concurrency group of one `keep` policy.

    `group` is a digest, since it may be made of a payload. `since` is when the task was first enqueued, `age`
    how long ago that was. A spared task is not `selectable`: it only counts, as does one that is not
    `in_scope`, where the run is about others.
    """

    policy: str
    group: str
    since: Millis
    age: Millis
    clock: str
    selectable: bool
    in_scope: bool
    owner: str | None = None


class Verdict(NamedTuple):
    """The verdict on one task, with its reason as the log line shows it.

    `policy` and `line` are what decided, or could not be decided, `by` is the result that did. `also` names
    the other policies for which the task is due. `members` are the concurrency groups in which it counts: the
    verdict then stands unless `select` finds the task one too many. `owner` is who the policy says.
    `spared_by` has `until` and `because` of the exemption that spares the task, where it has them.
    """

    kind: Kind
    reason: str
    policy: str | None = None
    line: int | None = None
    by: RuleResult = RuleResult(UNKNOWN, "status")
    also: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    owner: str | None = None
    spared_by: Mapping[str, str] = {}

    def later(self, by: Millis) -> "Verdict":
        """The same verdict so much later, while no rule changes its answer."""
        members = tuple(one._replace(age=one.age + by) for one in self.members)
        age = None if self.by.age is None else self.by.age + by
        return self._replace(by=self.by._replace(age=age), members=members)
