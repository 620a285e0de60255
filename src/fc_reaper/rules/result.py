"""What a condition comes to: true, false or unknown, and by which measure."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from fc_reaper.models import Millis


class Truth(Enum):
    """Whether a condition holds. It is no bool, and a test such as `if truth` raises: write `is TRUE`.

    `&`, `|` and `~` are and, or and not. One false settles an and, one true an or; else one unknown makes
    the whole unknown. `Truth(True)` is TRUE, and `value` is True, False or None.
    """

    TRUE = True
    FALSE = False
    UNKNOWN = None

    def __and__(self, other: Truth) -> Truth:
        if self is FALSE or other is FALSE:
            return FALSE
        return TRUE if self is TRUE and other is TRUE else UNKNOWN

    def __or__(self, other: Truth) -> Truth:
        return ~(~self & ~other)

    def __invert__(self) -> Truth:
        return UNKNOWN if self is UNKNOWN else FALSE if self is TRUE else TRUE

    def __bool__(self) -> bool:
        raise TypeError("a Truth has three values; compare it by `is`")


TRUE, FALSE, UNKNOWN = Truth


class RuleResult(NamedTuple):
    """Whether a condition holds, and by which key: of several clocks, the one exceeded least.

    `age` is at least so long (milliseconds), `limit` what it was compared with, `limit_from` where that came
    from: policy, task, at_most or else. `retries` and `retries_limit` are the same for a number of retries.
    What a rule does not measure is None. `clock` says what the age was read from. `why` explains an unknown,
    `unread` marks one that reading the task by itself may settle.
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
