"""The keys of a matcher: one class a key, which says all that is to be known of it.

All others read `RULES`, so a new key is a new class here. tests/rules/test_rules.py has one.
"""

import re
from collections.abc import Iterable
from fnmatch import translate
from posixpath import commonprefix  # of any texts
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

from fc_reaper.models import ALIVE, UNFINISHED, Function, Millis, Task, spellings
from fc_reaper.rules import fields
from fc_reaper.rules.ages import CLOCKS, Reading, StartedTime
from fc_reaper.rules.duration import parse_carried, spell_duration
from fc_reaper.rules.expression import Expression, Undecided, ask
from fc_reaper.rules.fields import CarriedLimit
from fc_reaper.rules.language import DISTINCT, SOME, OneOrMore
from fc_reaper.rules.result import NOT_IN_STATUS, UNKNOWN, RuleResult, Truth

SLACK: Millis = 1000  # the cloud rounds its clock down to whole seconds


class PushDown(NamedTuple):
    """What a listing may be asked for without losing a task for which a rule holds."""

    started_before: Millis | None = None
    id_prefix: str = ""

    def weaker(self, other: "PushDown") -> "PushDown":
        """A filter that passes whatever either passes."""
        one, two = self.started_before, other.started_before
        bound = None if one is None or two is None else max(one, two)
        return PushDown(bound, commonprefix((self.id_prefix, other.id_prefix)))


class Rule:
    """One key of a matcher with the value that a policy gives it (`wanted`).

    `field` is the pydantic type of that value, `example` one as it is written. `statuses` are those in which
    the rule can hold, None for any. One that is `by_name` reads nothing but where a task is and its id, which
    no flaw of a record touches; it names a verdict only where no other rule does. Without `in_match` only
    `exempt` and `unless` may state it. `is_limit`: it is limit enough for a policy that stops. `timeless`:
    its result changes only with the record and the ages in its expression; others a replay evaluates every
    tick.
    """

    key: ClassVar[str]
    field: ClassVar[Any]
    description: ClassVar[str]
    example: ClassVar[Any]
    statuses: tuple[str, ...] | None = None
    by_name: ClassVar[bool] = False
    in_match: ClassVar[bool] = True
    is_limit: ClassVar[bool] = False
    timeless: ClassVar[bool] = False

    def __init__(self, wanted: Any) -> None:
        self.wanted = wanted

    def __str__(self) -> str:
        """What is wanted, in the policy's own words."""
        return ", ".join(map(str, self.wanted)) if isinstance(self.wanted, tuple) else str(self.wanted)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The expressions that it evaluates."""
        return (self.wanted,) if isinstance(self.wanted, Expression) else ()

    def concerns(self, function: Function) -> bool:
        """Whether it can hold for tasks of *function*."""
        return True

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        """Whether it holds for *task*, whose record has no flaw. Exactly at a limit is within it."""
        raise NotImplementedError

    def push_down(self, now: Millis, started_time: StartedTime) -> PushDown:
        """What a listing at *now* may be asked for."""
        return PushDown()


def common_statuses(rules: Iterable[Rule]) -> tuple[str, ...] | None:
    """The statuses in which all of *rules* can hold, None for any; empty where they exclude each other."""
    demands = [rule.statuses for rule in rules if rule.statuses is not None]
    if not demands:
        return None
    return tuple(status for status in UNFINISHED if all(status in demand for demand in demands))


# Every rule by its key, in the order in which they are evaluated; those that measure nothing come first.
RULES: dict[str, type[Rule]] = {}
R = TypeVar("R", bound=Rule)


def register(rule: type[R]) -> type[R]:
    """Make *rule* a key of every matcher."""
    RULES[rule.key] = rule
    return rule


@register
class TargetRule(Rule):
    key = "target"
    field = Annotated[tuple[fields.SparedTarget, ...], SOME, DISTINCT, OneOrMore()]
    description = "The function fits this target, [service/]function[@qualifier]; without @ any qualifier."
    example = "media/transcode@prod"
    by_name = True
    in_match = False
    timeless = True

    def concerns(self, function: Function) -> bool:
        # An exemption knows a function by both its names, `media/transcode` and `media$transcode`.
        return any(target.fits(name) for target in self.wanted for name in spellings(function))

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        return RuleResult(Truth(self.concerns(task.function)), self.key)


@register
class Until(Rule):
    key = "until"
    field = fields.Until
    description = "The exemption holds until this moment, which has a zone; it stands beside another key."
    example = "2026-12-01T00:00:00+08:00"
    by_name = True
    in_match = False
    timeless = True  # `Changes` knows the moment

    def __str__(self) -> str:
        return fields.spell_moment(self.wanted)

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        return RuleResult(Truth(reading.moment.earliest <= self.wanted), self.key)


@register
class StatusRule(Rule):
    key = "status"
    field = Annotated[tuple[fields.Status, ...], SOME, DISTINCT, OneOrMore()]
    description = "The task has this status, or one of these."
    example = "Running"
    timeless = True

    def __init__(self, wanted: tuple[str, ...]) -> None:
        super().__init__(wanted)
        self.statuses = wanted

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        return RuleResult(Truth(task.status in self.wanted), self.key)


@register
class IdRule(Rule):
    key = "id"
    field = Annotated[tuple[fields.IdGlob, ...], SOME, DISTINCT, OneOrMore()]
    description = "The invocation id fits this pattern (* and ?, with case), or one of these."
    example = "nightly-*"
    by_name = True
    timeless = True

    def __init__(self, wanted: tuple[str, ...]) -> None:
        super().__init__(wanted)
        self._pattern = re.compile("|".join(translate(glob) for glob in wanted))

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        return RuleResult(Truth(self._pattern.match(task.invocation_id) is not None), self.key)

    def push_down(self, now: Millis, started_time: StartedTime) -> PushDown:
        return PushDown(id_prefix=commonprefix([re.split("[*?]", glob)[0] for glob in self.wanted]))


class Clock(Rule):
    """A limit of time; `rules.ages` reads the clock of its name."""

    field = fields.Limit
    example = "2h"
    is_limit = True
    # By these meanings of `startedTime` every task over the limit started longer ago than the limit.
    bounds_start: ClassVar[tuple[StartedTime, ...]] = ("enqueue",)

    def __init__(self, wanted: Millis | CarriedLimit) -> None:
        super().__init__(wanted)
        self.statuses = CLOCKS[self.key]

    def __str__(self) -> str:
        return str(self.wanted) if isinstance(self.wanted, CarriedLimit) else spell_duration(self.wanted)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return (self.wanted.expression,) if isinstance(self.wanted, CarriedLimit) else ()

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        if task.status not in CLOCKS[self.key]:
            return NOT_IN_STATUS
        limit, origin = self.wanted, "policy"
        if isinstance(limit, CarriedLimit):
            carried = carried_limit(limit, reading)
            if isinstance(carried, RuleResult):
                return carried._replace(rule=self.key)
            limit, origin = carried
        began = reading.bounds(self.key)
        holds = began.over(limit, reading.moment)
        unread = holds is UNKNOWN and not task.events and not reading.read
        why, age, clock = "", None, None
        if holds is UNKNOWN:
            why = "its events were not listed" if unread else f"its record does not settle {self.key}"
        if began.latest is not None:
            age, clock = max(0, reading.moment.earliest - began.latest), began.source
        return RuleResult(holds, self.key, age, limit, clock, origin, why=why, unread=unread)

    def push_down(self, now: Millis, started_time: StartedTime) -> PushDown:
        # A task may carry any limit up to the policy's.
        if started_time not in self.bounds_start or isinstance(self.wanted, CarriedLimit):
            return PushDown()
        return PushDown(now - self.wanted + SLACK)


def carried_limit(limit: CarriedLimit, reading: Reading) -> tuple[Millis, str] | RuleResult:
    """The limit that the task carries, at most the policy's, and where it comes from; unknown without one."""
    try:
        carried = parse_carried(ask(limit.expression, reading, str))
        if carried > limit.at_most:
            return limit.at_most, "at_most"
        if round(carried) > 0:
            return round(carried), "task"
        unknown = Undecided("it is no length of time").result("from")
    except Undecided as error:
        unknown = error.result("from")
    if unknown.unread or limit.otherwise is None:
        return unknown
    return limit.otherwise, "else"


@register
class QueuedFor(Clock):
    key = "queued_for"
    description = "The task waits (Enqueued, Dequeued) for longer than this since it was last enqueued."


@register
class RunningFor(Clock):
    key = "running_for"
    description = "The task is Running for longer than this in its present attempt."
    bounds_start = ("unknown", "enqueue", "execution")  # no attempt begins before it, whatever it means


@register
class AliveFor(Clock):
    key = "alive_for"
    description = "The task is alive for longer than this since it was first enqueued, all attempts together."


@register
class StoppingFor(Clock):
    key = "stopping_for"
    description = "The task is Stopping for longer than this since it was asked to stop."
    bounds_start = ()


@register
class RetriesOver(Rule):
    key = "retries_over"
    field = fields.CountOrZero
    description = "The task is alive and was retried more than this many times."
    example = 3
    statuses = ALIVE
    is_limit = True
    timeless = True

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        if task.status not in ALIVE:
            return NOT_IN_STATUS
        if task.retries is None:
            return RuleResult(UNKNOWN, self.key, why="the record does not count retries")
        over = Truth(task.retries > self.wanted)
        return RuleResult(over, self.key, retries=task.retries, retries_limit=self.wanted)


@register
class Where(Rule):
    key = "where"
    field = fields.ExpressionField
    description = "This JMESPath over the record, payload and ages answers true; unknown without the fields."
    example = "payload.tier == 'gold'"
    timeless = True

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        try:
            return RuleResult(Truth(ask(self.wanted, reading, bool)), self.key)
        except Undecided as undecided:
            return undecided.result(self.key)
