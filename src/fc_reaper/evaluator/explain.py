"""`explain`: the steps to a verdict, with their numbers, and the time until the task is due. Pure.

The models are what `explain --json` prints, lengths of time in seconds and moments in epoch milliseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field, PlainSerializer, SkipValidation, model_serializer

from fc_reaper.errors import kind_of
from fc_reaper.evaluator import evaluate as evaluator
from fc_reaper.evaluator.evaluate import CompiledMatcher, CompiledPolicy, FunctionPolicies
from fc_reaper.evaluator.select import is_held_out
from fc_reaper.models import FINISHED, STOPPING, Millis, Moment, Task
from fc_reaper.policy import Keep, Matcher, Policy, PolicyFile
from fc_reaper.policy.model import TASK
from fc_reaper.rules.ages import Reading, StartedTime
from fc_reaper.rules.expression import AGES, Expression, record_of, spelt, step_into
from fc_reaper.rules.fields import CarriedLimit
from fc_reaper.rules.result import TRUE, UNKNOWN, Kind, Member, RuleResult, Verdict
from fc_reaper.rules.rules import Clock, Rule, StatusRule, carried_limit

_SAMPLES = [60_000 * minutes for minutes in (*range(1, 2 * 1440), *range(2 * 1440, 60 * 1440, 60))]
"""How much later a verdict is tried that may change at any moment."""


def _verdict(verdict: Verdict) -> dict[str, Any]:
    named = {name: getattr(verdict, name) for name in ("policy", "reason", "line", "also")}
    return {"kind": verdict.kind.value, **named, **verdict.by.fields()}


def _record(task: Task) -> dict[str, Any]:
    return {
        **task.function._asdict(),
        "invocation_id": task.invocation_id,
        "status": task.status,
        "retries": task.retries,
        "started_time_ms": task.started_at,
        "events": [{"at_ms": event.at, "status": event.status} for event in task.events],
        "inconsistency": task.inconsistency,
    }


Seconds = Annotated[Millis, PlainSerializer(lambda length: length / 1000)]
Age = Annotated[Seconds | None, Field(serialization_alias="age_s")]
Record = Annotated[Task, SkipValidation, PlainSerializer(_record), Field(serialization_alias="record")]
VerdictInJson = Annotated[Verdict, SkipValidation, PlainSerializer(_verdict)]


class FieldRead(BaseModel):
    """A field that an expression reads, and the kind of its value in words, never the value itself.

    An absent field, and one that is null, is not `present` and has no `kind`.
    """

    field: str
    present: bool
    kind: str | None


class KeyResult(BaseModel):
    """One key of a matcher, evaluated by itself.

    `wanted` is what the policy says, in its own words. `limit_from` says where the limit comes from: policy,
    task, at_most or else. `reads` are the fields that its expression reads.
    """

    key: str
    wanted: str
    holds: bool | None
    age: Age
    limit: Annotated[Seconds | None, Field(serialization_alias="limit_s")]
    limit_from: str | None
    why: str | None
    reads: list[FieldRead]


class MatcherResult(BaseModel):
    """A matcher, key by key, and whether all its keys hold together."""

    line: int
    holds: bool | None
    keys: list[KeyResult]


class Place(BaseModel):
    """A `keep`, and whether a run counts the task for it: None where that is unknown.

    `reads` are the fields that make the group, `age` is the time since the task was first enqueued.
    """

    at_most: int
    stop_first: Literal["newest", "oldest"]
    per: str | None
    reads: list[FieldRead]
    counts: bool | None
    may_be_chosen: bool
    age: Age
    why: str | None


class Step(BaseModel):
    """One policy of the file. `match` is None where its targets do not fit, so that it was not evaluated.

    `held_out` says whether `holdout` spares the task, None where there is none or the policy stops nothing.
    `not_approved` says why the lock lets a stop policy only report.
    """

    policy: Annotated[Policy, Field(exclude=True)]
    match: MatcherResult | None = None
    unless: list[MatcherResult] = []
    claims: bool | None = None
    keep: Place | None = None
    held_out: bool | None = None
    not_approved: str | None = None

    @property
    def stops(self) -> bool:
        """Whether the policy stops what is due, so that it does not only report it."""
        return self.policy.stops and self.not_approved is None

    @model_serializer(mode="wrap")
    def _with_policy(self, dump: Callable[[Step], dict[str, Any]]) -> dict[str, Any]:
        return {
            "name": self.policy.name,
            "line": self.policy.line,
            "does": self.policy.does,
            "triggers": self.policy.triggers or ["all"],
            "target_fits": self.match is not None,
            **dump(self),
        }


class Explanation(BaseModel):
    """Every step from a task's record to its verdict, in their order.

    `steps` is empty where the verdict was reached before any policy. `verdict` is that of a run over
    everything, `if_named` that of a run whose event names this task; neither knows the other tasks, which
    `keep` needs. `held_out_by` is the policy by which the task is due, if its `holdout` spares it. `due_in`
    is the time after which the task becomes due if nothing else happens; None when it is due already or never
    will be. `task.inconsistency` says why its record cannot be trusted, whoever noticed it.
    `stuck` says whether it has been Stopping for too long.
    """

    source: str
    now: Annotated[Millis, Field(serialization_alias="now_ms")]
    task: Record
    exempt: list[MatcherResult]
    steps: Annotated[list[Step], Field(serialization_alias="policies")]
    verdict: VerdictInJson
    if_named: VerdictInJson
    held_out_by: str | None
    due_in: Annotated[Seconds | None, Field(serialization_alias="due_in_s")]
    stuck: bool


def explain(
    task: Task,
    file: PolicyFile,
    moment: Moment,
    *,
    stuck_after: Millis,
    started_time: StartedTime = "unknown",
    own_function: bool = False,
    unapproved: Mapping[str, str] | None = None,
) -> Explanation:
    """Evaluate *task*, read by itself, at *moment* by all policies whose targets fit.

    *own_function* is true for a task of the reaper's own function. *unapproved* says why which stop policies
    may only report.
    """
    unapproved = unapproved or {}
    policies = file.report_only(unapproved).policies
    fitting = [one for one in policies if one.watches(task.function)]

    def compiled(some: Iterable[Policy]) -> FunctionPolicies:
        return evaluator.compile_policies(
            task.function, list(some), file.exempt, started_time=started_time, own_function=own_function
        )

    in_sweep = compiled(one for one in fitting if not one.only_named)
    named = compiled(one for one in fitting if one.fits_trigger(TASK))
    verdict = evaluator.evaluate(task, in_sweep, moment)
    reading = Reading(task, moment, started_time, read=True)
    steps = []
    # An end, an exemption or an inconsistent record decides before any policy.
    if reading.flaw is None and (verdict.kind is not Kind.EXEMPT or verdict.members):
        by_index = {one.policy.index: one for one in compiled(fitting).every}
        members = {one.policy: one for one in verdict.members}
        steps = [
            _step(one, by_index.get(one.index), reading, members.get(one.name), unapproved.get(one.name))
            for one in file.policies
        ]
    held_out = any(one.held_out and one.policy.name == verdict.policy for one in steps)
    stuck = evaluator.stopping_too_long(task, stuck_after, moment)
    return Explanation(
        source=file.source,
        now=moment.earliest,
        task=task if task.status in FINISHED else task._replace(inconsistency=reading.flaw),
        exempt=list(_exemptions(file.exempt, reading)),
        steps=steps,
        verdict=verdict,
        if_named=evaluator.evaluate(task, named, moment),
        held_out_by=verdict.policy if held_out and verdict.kind is Kind.DUE else None,
        due_in=_due_in(reading, file, in_sweep),
        stuck=task.status == STOPPING and stuck.holds is TRUE,
    )


def _due_in(reading: Reading, file: PolicyFile, policies: FunctionPolicies) -> Millis | None:
    """The time until `evaluate` says due for the first time; None when it does now, or never."""
    changes = Changes.of((one.policy for one in policies.every), file.exempt)
    waits = {*changes.after(reading), *(_SAMPLES if changes.any_time else ())}

    def is_due(wait: Millis) -> bool:
        later = reading.moment.later(wait)
        return evaluator.evaluate(reading.task, policies, later).kind is Kind.DUE

    before = 0
    for wait in () if is_due(0) else sorted(waits):
        if is_due(wait):
            return before + 1 + bisect_left(range(before + 1, wait), True, key=is_due)
        before = wait
    return None


def _step(
    policy: Policy,
    compiled: CompiledPolicy | None,
    reading: Reading,
    member: Member | None,
    not_approved: str | None,
) -> Step:
    """*member* is the task's place where a run counts it, other policies considered."""
    if compiled is None:
        keep = None if policy.keep is None else _place(policy.keep, None, [], None)
        return Step(policy=policy, keep=keep, not_approved=not_approved)
    found, keep = evaluator.evaluate_policy(compiled, reading), None
    if policy.keep is not None:
        reads = _fields(policy.keep.per, reading) if isinstance(policy.keep.per, Expression) else []
        keep = _place(policy.keep, evaluator.membership(found, compiled, reading), reads, member)
    holdout = policy.holdout if policy.stops else None
    return Step(
        policy=policy,
        match=_matcher(policy.match, compiled.match, reading),
        unless=list(_exemptions(policy.unless, reading)),
        claims=found.holds.value,
        keep=keep,
        held_out=None if holdout is None else is_held_out(reading.task.invocation_id, holdout),
        not_approved=not_approved,
    )


def _place(
    keep: Keep, found: Member | RuleResult | None, reads: list[FieldRead], member: Member | None
) -> Place:
    result = found if isinstance(found, RuleResult) else None
    return Place(
        at_most=keep.at_most,
        stop_first=keep.stop_first,
        per=None if keep.per is None else str(keep.per),
        reads=reads,
        counts=None if result is not None and result.holds is UNKNOWN else member is not None,
        may_be_chosen=member is not None and member.selectable,
        age=found.age if isinstance(found, Member) else None,
        why=None if result is None else result.why or None,
    )


def _exemptions(matchers: Sequence[Matcher], reading: Reading) -> Iterator[MatcherResult]:
    """The results of the matchers that concern the task's function."""
    for matcher in dict.fromkeys(matchers):
        compiled = evaluator.compile_matcher(matcher, reading.task.function, as_match=False)
        if compiled is not None:
            yield _matcher(matcher, compiled, reading)


def _matcher(matcher: Matcher, compiled: CompiledMatcher, reading: Reading) -> MatcherResult:
    rules = matcher.rules
    if compiled.statuses is not None and all(rule.statuses is None for rule in rules):
        # A `match` without any word on status means these.
        rules = (StatusRule(matcher.match_statuses), *rules)
    holds = evaluator.evaluate_matcher(compiled, reading).holds.value
    return MatcherResult(line=matcher.line, holds=holds, keys=[_key(rule, reading) for rule in rules])


def _key(rule: Rule, reading: Reading) -> KeyResult:
    result = RuleResult(UNKNOWN, why=reading.flaw or "")
    if reading.flaw is None or rule.by_name:
        result = rule.evaluate(reading.task, reading)
    return KeyResult(
        key=rule.key,
        wanted=str(rule),
        holds=result.holds.value,
        age=result.age,
        limit=result.limit,
        limit_from=result.limit_from,
        why=result.why or None,
        reads=[field for one in rule.expressions for field in _fields(one, reading)],
    )


def _fields(expression: Expression, reading: Reading) -> list[FieldRead]:
    record: Any = record_of(reading)
    found = {spelt(path) or "@": reduce(step_into, path, record) for path in expression.paths}
    found |= {f"{AGES}.{clock}": reading.bounds(clock).latest for clock, _ in expression.ages}
    kinds = {path: None if value is None else kind_of(value) for path, value in found.items()}
    return [FieldRead(field=path, present=kind is not None, kind=kind) for path, kind in kinds.items()]


class Changes(NamedTuple):
    """What the verdicts of policies depend on as time goes on.

    `limits` are the lengths, by clock, beyond which a result may change; a task may carry its own. `any_time`
    says that a rule uses the time in another way, so that any moment may count.
    """

    limits: tuple[tuple[str, Millis | CarriedLimit], ...]
    any_time: bool

    @classmethod
    def of(cls, policies: Iterable[Policy], exempt: Iterable[Matcher]) -> Changes:
        """All that may change a verdict by *policies* and *exempt*."""
        policies, exempt = tuple(policies), tuple(exempt)
        matchers = [*exempt, *(matcher for policy in policies for matcher in (policy.match, *policy.unless))]
        rules = [rule for matcher in matchers for rule in matcher.rules]
        expressions = [one for matcher in exempt for one in matcher.expressions]
        expressions += [one for policy in policies for one in policy.expressions]
        limits = [(rule.key, rule.wanted) for rule in rules if isinstance(rule, Clock)]
        limits += [age for one in expressions for age in one.ages]
        any_time = any(not rule.timeless and not isinstance(rule, Clock) for rule in rules)
        return cls(tuple(dict.fromkeys(limits)), any_time)

    def after(self, reading: Reading) -> Iterator[Millis]:
        """How much later the verdict may change if nothing happens to the task, in no order."""
        for clock, limit in self.limits:
            began = reading.bounds(clock)
            if isinstance(limit, CarriedLimit):
                carried = carried_limit(limit, reading)
                if isinstance(carried, RuleResult):
                    continue
                limit = carried[0]
            for now, start in zip(reading.moment[:2], (began.latest, began.earliest), strict=True):
                if start is not None and start + limit >= now:
                    yield start + limit + 1 - now
