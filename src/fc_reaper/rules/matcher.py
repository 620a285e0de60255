"""Does one matcher hold for one task: yes, no, or nobody can tell.

A matcher's keys are joined by *and*: one no is a no, else one unknown is an unknown.

To add a rule: its key in `policy/matchers.py` and its field and statuses in `policy/models.py` say what
may be written; its question here (`_measure`) says what it means, for a clock in `clocks.py` instead;
`sweep/queries.py` may push it down if that is sound; `judge/explain.py` says it in words. A row in
`tests/judge/test_claim.py`, one in `tests/policy`, and the laws hold it.
"""

from __future__ import annotations

import re
from fnmatch import translate
from typing import NamedTuple

from fc_reaper.models import ALIVE, Function, Millis, Task
from fc_reaper.policy import CLOCKS, Carried, Limit, Matcher
from fc_reaper.policy.duration import NotADuration, parse_duration
from fc_reaper.rules.ages import StartedTime, age, cannot_exceed
from fc_reaper.rules.expression import Expression
from fc_reaper.rules.subject import Subject
from fc_reaper.rules.target import spellings


class Moment(NamedTuple):
    """The circumstances of one judgement.

    `read` is true when the task was read by itself (Get), so that what its record lacks does not exist.
    `facts` are the task's, where some rule asks an expression.
    """

    now: Millis
    started_time: StartedTime
    read: bool
    facts: Subject | None = None


class RuleResult(NamedTuple):
    """Whether a condition holds (None: unknown), which rule decided, and by how much.

    `rule` is the key that decided; where several clocks are exceeded, the one exceeded least.
    Ages, limits and excess are milliseconds; None where the rule has none. `why` explains an unknown,
    `unread` marks one that reading the task by itself may settle.
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


class CompiledMatcher(NamedTuple):
    """A matcher made ready for one function: its target is settled, its globs are compiled."""

    line: int
    statuses: frozenset[str] | None
    ids: re.Pattern[str] | None
    limits: tuple[tuple[str, Limit], ...]
    retries_over: int | None
    rule: str
    where: Expression | None = None


def ready(matcher: Matcher, function: Function, *, as_match: bool) -> CompiledMatcher | None:
    """Prepare *matcher* for the tasks of *function*; None when its `target` means other functions.

    With *as_match* it is a policy's `match`, which without any word on status means the alive ones:
    a task that is being stopped already is matched only by a policy that says so.
    """
    # Mercy knows a function by both its names, `media/transcode` and `media$transcode`.
    named = spellings(function)
    if matcher.target and not any(target.fits(name) for target in matcher.target for name in named):
        return None
    statuses = matcher.condition_statuses if as_match else matcher.statuses
    return CompiledMatcher(
        line=matcher.line,
        statuses=None if statuses is None else frozenset(statuses),
        ids=_any_glob(matcher.ids) if matcher.ids else None,
        limits=matcher.limits,
        retries_over=matcher.retries_over,
        rule="id" if matcher.ids else "status" if matcher.statuses else "target",
        where=matcher.where,
    )


def evaluate_matcher(condition: CompiledMatcher, task: Task, view: Moment) -> RuleResult:
    """Request every key of *condition* of *task*. Exactly at a limit is within it."""
    if condition.statuses is not None and task.status not in condition.statuses:
        return RuleResult(False, "status")
    if condition.ids is not None and condition.ids.match(task.invocation_id) is None:
        return RuleResult(False, "id")
    if condition.retries_over is None and not condition.limits and condition.where is None:
        return RuleResult(True, condition.rule)
    return _measure(condition, task, view)


def _measure(condition: CompiledMatcher, task: Task, view: Moment) -> RuleResult:
    binding: RuleResult | None = None
    unknown: RuleResult | None = None
    for clock, limit in condition.limits:
        finding = _ask_clock(clock, limit, task, view)
        if finding.holds is False:
            return finding
        if finding.holds is None:
            unknown = finding
        elif binding is None or (finding.over or 0) < (binding.over or 0):
            binding = finding
    if condition.retries_over is not None:
        finding = _ask_retries(condition.retries_over, task)
        if finding.holds is False:
            return finding
        unknown = finding if finding.holds is None else unknown
        binding = binding or finding
    if condition.where is not None:
        finding = _ask_where(condition.where, task, view)
        if finding.holds is False:
            return finding
        unknown = finding if finding.holds is None else unknown
        binding = binding or finding
    return unknown or binding or RuleResult(True, condition.rule)


def _ask_clock(clock: str, limit: Limit, task: Task, view: Moment) -> RuleResult:
    if task.status not in CLOCKS[clock]:
        return RuleResult(False, "status")
    if isinstance(limit, Carried):
        carried = carried_limit(limit, task, view)
        if isinstance(carried, RuleResult):
            return carried._replace(rule=clock)
        limit = carried
    known = age(clock, task, view.now, view.started_time) if task.events or view.read else None
    if known is not None:
        return RuleResult(known.ms > limit, clock, known.ms, limit, known.source)
    if cannot_exceed(clock, task, limit, view.now, view.started_time):
        return RuleResult(False, clock, limit=limit)
    if not task.events and not view.read:
        return RuleResult(None, clock, limit=limit, why="its events were not listed", unread=True)
    return RuleResult(None, clock, limit=limit, why=f"nothing dated tells {clock}")


def carried_limit(limit: Carried, task: Task, view: Moment) -> Millis | RuleResult:
    """The limit that *task* carries, at most the policy's; an unknown finding where nobody can tell."""
    from fc_reaper.rules.asking import Undecided, ask

    facts = view.facts or Subject(task, view.now, view.started_time)
    try:
        answer = ask(limit.expression, facts.subject(limit.expression))
        if isinstance(answer, str):
            return min(parse_duration(answer), limit.at_most)
        why = "it is no text; a length of time needs a unit"
    except NotADuration:
        why = "it is no length of time"
    except Undecided as undecided:
        why = undecided.why
    if not view.read and facts.lacks(limit.expression):
        return RuleResult(None, why=f"from: {why}", unread=True)
    if limit.otherwise is not None:
        return limit.otherwise
    return RuleResult(None, why=f"from: {why}")


def _ask_where(expression: Expression, task: Task, view: Moment) -> RuleResult:
    from fc_reaper.rules.asking import Undecided, holds

    facts = view.facts or Subject(task, view.now, view.started_time)
    try:
        return RuleResult(holds(expression, facts.subject(expression)), "where")
    except Undecided as undecided:
        unread = not view.read and facts.lacks(expression)
        return RuleResult(None, "where", why=f"where: {undecided.why}", unread=unread)


def _ask_retries(allowed: int, task: Task) -> RuleResult:
    if task.status not in ALIVE:
        return RuleResult(False, "status")
    if task.retries is None:
        return RuleResult(None, "retries_over", why="the record does not count retries")
    return RuleResult(task.retries > allowed, "retries_over")


def _any_glob(globs: tuple[str, ...]) -> re.Pattern[str]:
    """One pattern for several globs; `fnmatchcase` rules, so upper and lower case differ."""
    return re.compile("|".join(translate(glob) for glob in globs))
