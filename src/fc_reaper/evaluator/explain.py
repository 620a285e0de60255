"""`explain`: the steps to a verdict, with their numbers, and the time until the task is due. Pure.

The models are what `explain --json` prints, lengths of time in seconds and moments in epoch milliseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    SkipValidation,
    model_serializer,
)

from fc_reaper.evaluator.evaluate import (
    CompiledMatcher,
    CompiledPolicy,
    FunctionPolicies,
    compile_matcher,
    compile_policies,
    evaluate,
    evaluate_matcher,
    evaluate_policy,
    membership,
    stopping_too_long,
)
from fc_reaper.evaluator.moments import moments_of
from fc_reaper.evaluator.select import is_held_out
from fc_reaper.evaluator.verdict import Kind, Member, Verdict
from fc_reaper.models import FINISHED, STOPPING, UNFINISHED, Millis, Moment, Task
from fc_reaper.names import kind_of
from fc_reaper.policy import Keep, Matcher, Policy, PolicyFile
from fc_reaper.policy.model import TASK
from fc_reaper.rules.ages import StartedTime, inconsistency
from fc_reaper.rules.expression import Expression, Subject, spelt, step_into
from fc_reaper.rules.rules import Reading, Rule, RuleResult, StatusRule

_MINUTE: Millis = 60_000
_SAMPLES = (*range(1, 2 * 1440), *range(2 * 1440, 60 * 1440, 60))
"""Minutes from now at which a verdict is tried that may change at any reading."""


def _verdict(verdict: Verdict) -> dict[str, Any]:
    lengths = {"age_s": verdict.age, "limit_s": verdict.limit, "over_s": verdict.over}
    return {
        "kind": verdict.kind.value,
        "policy": verdict.policy,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "line": verdict.line,
        **{name: None if length is None else length / 1000 for name, length in lengths.items()},
        "clock": verdict.clock,
        "also": verdict.also,
    }


def _record(task: Task) -> dict[str, Any]:
    return {
        **task.function._asdict(),
        "invocation_id": task.invocation_id,
        "status": task.status,
        "retries": task.retries,
        "started_time_ms": task.started_at,
        "events": [{"at_ms": event.at, "status": event.status} for event in task.events],
        "inconsistency": _inconsistency(task),
    }


def _inconsistency(task: Task) -> str | None:
    return inconsistency(task) if task.status not in FINISHED else None


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

    `wanted` is what the policy says, in its own words. `reads` are the fields that its expression reads.
    """

    key: str
    wanted: str
    holds: bool | None
    age: Age
    limit: Annotated[Seconds | None, Field(serialization_alias="limit_s")]
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
    def _with_policy(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
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
    will be. `stuck` says whether it has been Stopping for too long.
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

    @property
    def inconsistency(self) -> str | None:
        """Why the record cannot be trusted; None if nothing speaks against it."""
        return _inconsistency(self.task)


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
        return compile_policies(
            task.function, list(some), file.exempt, started_time=started_time, own_function=own_function
        )

    in_sweep = compiled(one for one in fitting if not one.only_named)
    named = compiled(one for one in fitting if one.fits_trigger(TASK))
    verdict = evaluate(task, in_sweep, moment)
    reading = Reading(moment, started_time, read=True, subject=Subject(task, moment, started_time))
    # An end, an exemption or an inconsistent record decides before any policy.
    decided = task.status not in UNFINISHED or _inconsistency(task) is not None
    decided = decided or (verdict.kind is Kind.EXEMPT and not verdict.members)
    by_index = {one.policy.index: one for one in compiled(fitting).every}
    members = {one.policy: one for one in verdict.members}
    steps = [
        _step(one, by_index.get(one.index), task, reading, members.get(one.name), unapproved.get(one.name))
        for one in (() if decided else file.policies)
    ]
    due = verdict.kind is Kind.DUE
    held_out = due and any(one.held_out and one.policy.name == verdict.policy for one in steps)
    return Explanation(
        source=file.source,
        now=moment.earliest,
        task=task,
        exempt=list(_exemptions(file.exempt, task, reading)),
        steps=steps,
        verdict=verdict,
        if_named=evaluate(task, named, moment),
        held_out_by=verdict.policy if held_out else None,
        due_in=_due_in(task, file, in_sweep, moment),
        stuck=task.status == STOPPING and bool(stopping_too_long(task, stuck_after, moment).holds),
    )


def _due_in(task: Task, file: PolicyFile, policies: FunctionPolicies, present: Moment) -> Millis | None:
    """The time until `evaluate` says due for the first time; None when it does now, or never."""
    now = present.earliest
    changes = moments_of((one.policy for one in policies.every), file.exempt)
    moments = set(changes.after(task, now, policies.started_time))
    if changes.any_time:
        moments.update(now + minutes * _MINUTE for minutes in _SAMPLES)

    def is_due(at: Millis) -> bool:
        return evaluate(task, policies, present.later(at - now)).kind is Kind.DUE

    before = now
    for moment in () if is_due(now) else sorted(moments):
        if is_due(moment):
            return before + 1 + bisect_left(range(before + 1, moment), True, key=is_due) - now
        before = moment
    return None


def _step(
    policy: Policy,
    compiled: CompiledPolicy | None,
    task: Task,
    reading: Reading,
    member: Member | None,
    not_approved: str | None,
) -> Step:
    keep = None if policy.keep is None else _place(policy.keep, compiled, task, reading, member)
    if compiled is None:
        return Step(policy=policy, keep=keep, not_approved=not_approved)
    holdout = policy.holdout if policy.stops else None
    return Step(
        policy=policy,
        match=_matcher(policy.match, compiled.match, task, reading),
        unless=list(_exemptions(policy.unless, task, reading)),
        claims=evaluate_policy(compiled, task, reading).holds,
        keep=keep,
        held_out=None if holdout is None else is_held_out(task.invocation_id, holdout),
        not_approved=not_approved,
    )


def _place(
    keep: Keep, compiled: CompiledPolicy | None, task: Task, reading: Reading, member: Member | None
) -> Place:
    """*member* is the task's place where a run counts it, other policies considered."""
    found = None if compiled is None else membership(compiled, task, reading)
    result = found if isinstance(found, RuleResult) else None
    return Place(
        at_most=keep.at_most,
        stop_first=keep.stop_first,
        per=None if keep.per is None else str(keep.per),
        reads=_fields(keep.per, task, reading) if compiled and isinstance(keep.per, Expression) else [],
        counts=None if result is not None and result.holds is None else member is not None,
        may_be_chosen=member is not None and member.selectable,
        age=found.age if isinstance(found, Member) else None,
        why=None if result is None else result.why or None,
    )


def _exemptions(matchers: Sequence[Matcher], task: Task, reading: Reading) -> Iterator[MatcherResult]:
    """The results of the matchers that concern the task's function."""
    for matcher in dict.fromkeys(matchers):
        compiled = compile_matcher(matcher, task.function, as_match=False)
        if compiled is not None:
            yield _matcher(matcher, compiled, task, reading)


def _matcher(matcher: Matcher, compiled: CompiledMatcher, task: Task, reading: Reading) -> MatcherResult:
    rules = matcher.rules
    if compiled.statuses is not None and all(rule.statuses is None for rule in rules):
        # A `match` without any word on status means these.
        rules = (StatusRule(matcher.match_statuses), *rules)
    keys = [_key(rule, task, reading) for rule in rules]
    return MatcherResult(line=matcher.line, holds=evaluate_matcher(compiled, task, reading).holds, keys=keys)


def _key(rule: Rule, task: Task, reading: Reading) -> KeyResult:
    result = rule.evaluate(task, reading)
    return KeyResult(
        key=rule.key,
        wanted=str(rule),
        holds=result.holds,
        age=result.age,
        limit=result.limit,
        why=result.why or None,
        reads=[field for one in rule.expressions for field in _fields(one, task, reading)],
    )


def _fields(expression: Expression, task: Task, reading: Reading) -> list[FieldRead]:
    record: Any = reading.subject_of(task).record_for(expression)
    found = {spelt(path) or "@": reduce(step_into, path, record) for path in expression.paths}
    return [
        FieldRead(field=path, present=value is not None, kind=None if value is None else kind_of(value))
        for path, value in found.items()
    ]
