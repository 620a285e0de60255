"""`explain`: the steps to a verdict, with their numbers, and the time until it changes. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, Field, PlainSerializer, SkipValidation, model_serializer

from fc_reaper.errors import kind_of
from fc_reaper.evaluator import evaluate as evaluator
from fc_reaper.evaluator.evaluate import FunctionPolicies, compile_matcher, compile_policies, evaluate
from fc_reaper.evaluator.select import is_held_out
from fc_reaper.models import FINISHED, Millis, Moment, Task
from fc_reaper.policy import Matcher, Policy, PolicyFile
from fc_reaper.policy.model import TASK
from fc_reaper.rules.ages import Reading, StartedTime
from fc_reaper.rules.expression import AGES, Expression, record_of, spelt, step_into
from fc_reaper.rules.fields import CarriedLimit, spell_share
from fc_reaper.rules.result import TRUE, UNKNOWN, Kind, Member, RuleResult, Verdict
from fc_reaper.rules.rules import Clock, StatusRule, carried_limit


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
Record = Annotated[Task, SkipValidation, PlainSerializer(_record), Field(serialization_alias="record")]
VerdictInJson = Annotated[Verdict, SkipValidation, PlainSerializer(_verdict)]


class FieldRead(BaseModel):
    """A field that an expression reads, and the kind of its value, never the value; null is not `present`."""

    field: str
    present: bool
    kind: str | None


class KeyResult(BaseModel):
    """One key of a matcher, as the policy says it, with its result by itself and the fields that it reads."""

    key: str
    wanted: str
    by: Annotated[RuleResult, SkipValidation, Field(exclude=True)]
    reads: list[FieldRead]

    @model_serializer(mode="wrap")
    def _with_result(self, dump: "Callable[[KeyResult], dict[str, Any]]") -> dict[str, Any]:
        by = self.by
        return {**dump(self), "holds": by.holds.value, "why": by.why or None, **by.fields()}


class MatcherResult(BaseModel):
    """A matcher, key by key, and whether all its keys hold together."""

    line: int
    holds: bool | None
    keys: list[KeyResult]


class Place(BaseModel):
    """A `keep`, and whether a run counts the task for it; `reads` make the group, `age` is since it came."""

    at_most: int
    stop_first: str
    per: str | None
    reads: list[FieldRead]
    counts: bool | None
    may_be_chosen: bool
    age: Annotated[Seconds | None, Field(serialization_alias="age_s")]
    why: str | None


class Step(BaseModel):
    """One policy of the file. `match` is None where its targets do not fit, `held_out` without a holdout."""

    name: str
    line: int
    does: str
    triggers: tuple[str, ...]
    targets: list[str]
    target_fits: bool
    match: MatcherResult | None = None
    unless: list[MatcherResult] = []
    claims: bool | None = None
    keep: Place | None = None
    holdout: str | None
    held_out: bool | None = None
    not_approved: str | None


class Explanation(BaseModel):
    """Every step from a task's record to its verdict, in their order.

    `steps` is empty where the verdict was reached before any policy. `verdict` is that of a run over
    everything, `if_named` that of a run whose event names this task; neither knows the other tasks, which
    `keep` needs. `held_out_by` is the policy by which the task is due, if its `holdout` spares it. `due_in`
    is the time after which it becomes due if nothing else happens; None if it is due already or never will
    be. `stuck`: it has been Stopping for too long.
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
    """Evaluate *task*, read by itself; *unapproved* says why which stop policies may only report."""
    unapproved = unapproved or {}
    fitting = [one for one in file.report_only(unapproved).policies if one.watches(task.function)]
    in_sweep, named = (
        compile_policies(
            task.function, policies, file.exempt, started_time=started_time, own_function=own_function
        )
        for policies in (
            [one for one in fitting if not one.only_named],
            [one for one in fitting if one.fits_trigger(TASK)],
        )
    )
    verdict = evaluate(task, in_sweep, moment)
    reading = Reading(task, moment, started_time, read=True)
    steps = []
    # An end, an exemption or an inconsistent record decides before any policy.
    if reading.flaw is None and (verdict.kind is not Kind.EXEMPT or verdict.members):
        members = {one.policy: one for one in verdict.members}
        steps = [
            _step(one, reading, members.get(one.name), unapproved.get(one.name)) for one in file.policies
        ]
    held_out = any(one.held_out and one.name == verdict.policy for one in steps)
    return Explanation(
        source=file.source,
        now=moment.earliest,
        task=task if task.status in FINISHED else task._replace(inconsistency=reading.flaw),
        exempt=_exemptions(file.exempt, reading),
        steps=steps,
        verdict=verdict,
        if_named=evaluate(task, named, moment),
        held_out_by=verdict.policy if held_out and verdict.kind is Kind.DUE else None,
        due_in=_due_in(reading, in_sweep, Changes.of((one.policy for one in in_sweep.every), file.exempt)),
        stuck=evaluator.stopping_too_long(task, stuck_after, moment).holds is TRUE,
    )


def _step(policy: Policy, reading: Reading, member: Member | None, not_approved: str | None) -> Step:
    """*member* is the task's place where a run counts it, other policies considered."""
    function, share = reading.task.function, policy.holdout if policy.stops else None
    step = Step(
        name=policy.name,
        line=policy.line,
        does=policy.does,
        triggers=policy.triggers or ("all",),
        targets=list(map(str, policy.targets)),
        target_fits=policy.watches(function),
        holdout=None if share is None else spell_share(share),
        not_approved=not_approved,
    )
    if not step.target_fits:
        return step
    (compiled,) = compile_policies(function, [policy], ()).every
    match, alone = evaluator.evaluate_policy(compiled, reading)
    step.match = _matcher(policy.match, reading, as_match=True)
    step.unless = _exemptions(policy.unless, reading)
    step.claims = None if alone.kind is Kind.UNKNOWN else alone.kind in evaluator.CLAIMS
    step.held_out = None if share is None else is_held_out(reading.task.invocation_id, share)
    if policy.keep is not None:
        place, per = evaluator.membership(compiled, reading, match, alone), policy.keep.per
        unknown = isinstance(place, RuleResult) and place.holds is UNKNOWN
        step.keep = Place(
            **policy.keep.model_dump(),
            reads=_fields(per, reading) if isinstance(per, Expression) else [],
            counts=None if unknown else member is not None,
            may_be_chosen=member is not None and member.selectable,
            age=place.age if isinstance(place, Member) else None,
            why=place.why or None if isinstance(place, RuleResult) else None,
        )
    return step


def _exemptions(matchers: Sequence[Matcher], reading: Reading) -> list[MatcherResult]:
    """The results of the matchers that concern the task's function."""
    results = (_matcher(matcher, reading, as_match=False) for matcher in dict.fromkeys(matchers))
    return [one for one in results if one is not None]


def _matcher(matcher: Matcher, reading: Reading, *, as_match: bool) -> MatcherResult | None:
    compiled, rules = compile_matcher(matcher, reading.task.function, as_match=as_match), matcher.rules
    if compiled is None:
        return None
    if as_match and all(rule.statuses is None for rule in rules):
        # A `match` without any word on status means these.
        rules = (StatusRule(matcher.match_statuses), *rules)
    keys = []
    for rule in rules:
        result = RuleResult(UNKNOWN, rule.key, why=reading.flaw or "")
        if reading.flaw is None or rule.by_name:
            result = rule.evaluate(reading.task, reading)
        reads = [field for one in rule.expressions for field in _fields(one, reading)]
        keys.append(KeyResult(key=rule.key, wanted=str(rule), by=result, reads=reads))
    holds = evaluator.evaluate_matcher(compiled, reading).holds.value
    return MatcherResult(line=matcher.line, holds=holds, keys=keys)


def _fields(expression: Expression, reading: Reading) -> list[FieldRead]:
    record: Any = record_of(reading)
    found = {spelt(path) or "@": reduce(step_into, path, record) for path in expression.paths}
    found |= {f"{AGES}.{clock}": reading.bounds(clock).latest for clock, _ in expression.ages}
    kinds = {path: None if value is None else kind_of(value) for path, value in found.items()}
    return [FieldRead(field=path, present=kind is not None, kind=kind) for path, kind in kinds.items()]


class Changes(NamedTuple):
    """What verdicts depend on as time goes on: `limits` by clock, or, with `any_time`, on every moment."""

    limits: tuple[tuple[str, Millis | CarriedLimit], ...]
    any_time: bool

    @classmethod
    def of(cls, policies: Iterable[Policy], exempt: Sequence[Matcher]) -> "Changes":
        """All that may change a verdict by *policies* and *exempt*."""
        parts: list[Matcher | Policy] = [*exempt, *(policies := list(policies))]
        matchers = [*exempt, *(one for policy in policies for one in (policy.match, *policy.unless))]
        limits = [limit for matcher in matchers for limit in matcher.limits]
        limits += [age for part in parts for one in part.expressions for age in one.ages]
        rules = (rule for matcher in matchers for rule in matcher.rules)
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


def _due_in(reading: Reading, policies: FunctionPolicies, changes: Changes) -> Millis | None:
    """The time until `evaluate` says due for the first time; None when it does now, or never."""
    for wait in (0, *sorted(set(changes.after(reading)))):
        if evaluate(reading.task, policies, reading.moment.later(wait)).kind is Kind.DUE:
            return wait or None
    return None
