"""The keys of a matcher: one class a key, which says all that is to be known of it.

The policy's models, dump and fingerprint, the JSON schema, `explain`, the filters of a listing and the key
table of docs/policy.md read `RULES`, so a new key is a new class here. tests/rules/test_rules.py has one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import translate
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

from fc_reaper.models import ALIVE, UNFINISHED, Function, Millis, Moment, Task
from fc_reaper.rules.ages import CLOCKS, StartedTime, age, cannot_exceed
from fc_reaper.rules.duration import NotADuration, parse_duration, spell_duration
from fc_reaper.rules.expression import Expression, Subject, Undecided, ask, holds
from fc_reaper.rules.fields import (
    CarriedLimit,
    CountOrZero,
    ExpressionField,
    IdGlob,
    Limit,
    Several,
    Status,
    TargetField,
)
from fc_reaper.rules.target import spellings

SLACK: Millis = 1000
"""The clocks of the cloud and of a run may differ by the whole second to which the cloud rounds down."""


class Reading(NamedTuple):
    """The circumstances in which a task is evaluated.

    `read` is true if the task was read by itself (Get), so that what its record lacks does not exist.
    `subject` is the task's, made once where several expressions are evaluated.
    """

    moment: Moment
    started_time: StartedTime
    read: bool
    subject: Subject | None = None

    def subject_of(self, task: Task) -> Subject:
        """What the expressions are evaluated over for *task*."""
        return self.subject or Subject(task, self.moment, self.started_time)


class RuleResult(NamedTuple):
    """Whether a condition holds (None: unknown), and by which key: of several clocks, the one exceeded least.

    Ages and limits are milliseconds, None where the rule has none. `why` explains an unknown, `unread` marks
    one that reading the task by itself may settle.
    """

    holds: bool | None
    rule: str | None = None
    age: Millis | None = None
    limit: Millis | None = None
    clock: str | None = None
    why: str = ""
    unread: bool = False

    @property
    def over(self) -> Millis | None:
        """By how much the limit is exceeded; negative while there is time left."""
        return None if self.age is None or self.limit is None else self.age - self.limit


class PushDown(NamedTuple):
    """What a listing may be asked for without losing a task for which a rule holds.

    Tasks that started before a moment (None: at any time), and whose ids begin with a text.
    """

    started_before: Millis | None = None
    id_prefix: str = ""

    def weaker(self, other: PushDown) -> PushDown:
        """A filter that passes whatever either passes."""
        bounds = (self.started_before, other.started_before)
        bound = None if bounds[0] is None or bounds[1] is None else max(bounds[0], bounds[1])
        return PushDown(bound, common_prefix((self.id_prefix, other.id_prefix)))


def common_prefix(texts: Sequence[str]) -> str:
    """The longest text that all of *texts* begin with."""
    first, last = min(texts), max(texts)
    return next((first[:at] for at, letter in enumerate(first) if letter != last[at]), first)


T = TypeVar("T")


def answer(
    key: str,
    expression: Expression,
    task: Task,
    reading: Reading,
    how: Callable[[Expression, Mapping[str, Any]], T],
) -> T | RuleResult:
    """What the expression of *key* answers by *how*; an unknown result where it has no answer."""
    subject = reading.subject_of(task)
    try:
        return how(expression, subject.record_for(expression))
    except Undecided as undecided:
        unread = not reading.read and subject.lacks(expression)
        return RuleResult(None, why=f"{key}: {undecided}", unread=unread)


class Rule:
    """One key of a matcher with the value that a policy gives it (`wanted`).

    `field` is the pydantic type of that value, `example` one as it is written. `statuses` are those in which
    the rule can hold, None for any. A rule that `selects` says which tasks are meant and measures nothing; it
    names a verdict only where no other rule does. `in_match` is False for one that only `exempt` and `unless`
    may state. `is_limit` is true for one that is limit enough for a policy that stops. `timeless` is true for
    one whose result changes only with the record and with the ages in its expression; a replay evaluates
    others at every tick.
    """

    key: ClassVar[str]
    field: ClassVar[Any]
    description: ClassVar[str]
    example: ClassVar[Any]
    statuses: tuple[str, ...] | None = None
    selects: ClassVar[bool] = False
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
        """Whether it holds for *task*. Exactly at a limit is within it."""
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


RULES: dict[str, type[Rule]] = {}
"""Every rule by its key, in the order in which they are evaluated; the selecting ones come first."""

R = TypeVar("R", bound=Rule)


def register(rule: type[R]) -> type[R]:
    """Make *rule* a key of every matcher."""
    RULES[rule.key] = rule
    return rule


@register
class TargetRule(Rule):
    key = "target"
    field = Annotated[tuple[TargetField, ...], Several(or_one=True)]
    description = (
        "The function fits this target: [service/]function[@qualifier]; without @ the qualifier is LATEST."
    )
    example = "media/transcode@prod"
    selects = True
    in_match = False
    timeless = True

    def concerns(self, function: Function) -> bool:
        # An exemption knows a function by both its names, `media/transcode` and `media$transcode`.
        return any(target.fits(name) for target in self.wanted for name in spellings(function))

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        return RuleResult(self.concerns(task.function), self.key)


@register
class StatusRule(Rule):
    key = "status"
    field = Annotated[tuple[Status, ...], Several(or_one=True)]
    description = "The task has this status, or one of these."
    example = "Running"
    selects = True
    timeless = True

    def __init__(self, wanted: tuple[str, ...]) -> None:
        super().__init__(wanted)
        self.statuses = wanted

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        return RuleResult(task.status in self.wanted, self.key)


@register
class IdRule(Rule):
    key = "id"
    field = Annotated[tuple[IdGlob, ...], Several(or_one=True)]
    description = "The invocation id fits this pattern (* and ?, with case), or one of these."
    example = "nightly-*"
    selects = True
    timeless = True

    def __init__(self, wanted: tuple[str, ...]) -> None:
        super().__init__(wanted)
        self._pattern = re.compile("|".join(translate(glob) for glob in wanted))

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        return RuleResult(self._pattern.match(task.invocation_id) is not None, self.key)

    def push_down(self, now: Millis, started_time: StartedTime) -> PushDown:
        return PushDown(id_prefix=common_prefix([re.split("[*?]", glob)[0] for glob in self.wanted]))


class Clock(Rule):
    """A limit of time; `rules.ages` reads the clock of its name.

    `bounds_start` says when every task over the limit started, by `startedTime`, longer ago than the limit.
    """

    field = Limit
    example = "2h"
    is_limit = True
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
        clock, limit = self.key, self.wanted
        if task.status not in CLOCKS[clock]:
            return RuleResult(False, "status")
        if isinstance(limit, CarriedLimit):
            carried = carried_limit(limit, task, reading)
            if isinstance(carried, RuleResult):
                return carried._replace(rule=clock)
            limit = carried
        if task.events or reading.read:
            known = age(clock, task, reading.moment.earliest, reading.started_time)
            if known is not None:
                return RuleResult(known.ms > limit, clock, known.ms, limit, known.source)
        if cannot_exceed(clock, task, limit, reading.moment.latest, reading.started_time):
            return RuleResult(False, clock, limit=limit)
        if not task.events and not reading.read:
            return RuleResult(None, clock, limit=limit, why="its events were not listed", unread=True)
        return RuleResult(None, clock, limit=limit, why=f"nothing dated tells {clock}")

    def push_down(self, now: Millis, started_time: StartedTime) -> PushDown:
        # A task may carry any limit up to the policy's.
        if started_time not in self.bounds_start or isinstance(self.wanted, CarriedLimit):
            return PushDown()
        return PushDown(now - self.wanted + SLACK)


def carried_limit(limit: CarriedLimit, task: Task, reading: Reading) -> Millis | RuleResult:
    """The limit that *task* carries, at most the policy's; an unknown result without one."""
    carried = answer("from", limit.expression, task, reading, _length)
    if isinstance(carried, int):
        return min(carried, limit.at_most)
    return carried if carried.unread or limit.otherwise is None else limit.otherwise


def _length(expression: Expression, record: Mapping[str, Any]) -> Millis:
    text = ask(expression, record)
    if not isinstance(text, str):
        raise Undecided("it is no text; a length of time needs a unit")
    try:
        return parse_duration(text)
    except NotADuration:
        raise Undecided("it is no length of time") from None


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
    field = CountOrZero
    description = "The task is alive and was retried more than this many times."
    example = 3
    statuses = ALIVE
    is_limit = True
    timeless = True

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        if task.status not in ALIVE:
            return RuleResult(False, "status")
        if task.retries is None:
            return RuleResult(None, self.key, why="the record does not count retries")
        return RuleResult(task.retries > self.wanted, self.key)


@register
class Where(Rule):
    key = "where"
    field = ExpressionField
    description = (
        "This JMESPath over the record, payload and ages answers true; unknown where what it reads is absent."
    )
    example = "payload.tier == 'gold'"
    timeless = True

    def evaluate(self, task: Task, reading: Reading) -> RuleResult:
        answered = answer(self.key, self.wanted, task, reading, holds)
        if isinstance(answered, RuleResult):
            return answered._replace(rule=self.key)
        return RuleResult(answered, self.key)
