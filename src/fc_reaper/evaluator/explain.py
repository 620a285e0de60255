"""`explain`: the steps to a verdict, with their numbers, and the time until the task is due. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

from fc_reaper.evaluator.evaluate import (
    CompiledMatcher,
    CompiledPolicy,
    FunctionPolicies,
    PolicyResult,
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
from fc_reaper.models import FINISHED, STOPPING, UNFINISHED, Millis, Task
from fc_reaper.names import kind_of
from fc_reaper.policy import Matcher, Policy, PolicyFile
from fc_reaper.policy.model import TASK
from fc_reaper.rules.ages import StartedTime, inconsistency
from fc_reaper.rules.expression import Expression, Subject, spelt, step_into
from fc_reaper.rules.rules import Moment, RuleResult, StatusRule

_MINUTE: Millis = 60_000
_SAMPLES = (*range(1, 2 * 1440), *range(2 * 1440, 60 * 1440, 60))
"""Minutes from now at which a verdict is tried that may change at any moment."""


class FieldRead(NamedTuple):
    """A field that an expression reads: its path and the kind of its value, never the value itself.

    `kind` is in words, such as `text`; None where the field is absent or null.
    """

    path: str
    kind: str | None


class KeyResult(NamedTuple):
    """One key of a matcher, evaluated by itself.

    `wanted` is what the policy says, in its own words. `fields` are those that its expression reads.
    """

    key: str
    wanted: str
    result: RuleResult
    fields: tuple[FieldRead, ...] = ()


class MatcherResult(NamedTuple):
    """A matcher, key by key, and whether all its keys hold together."""

    line: int
    keys: tuple[KeyResult, ...]
    holds: bool | None


class Step(NamedTuple):
    """One policy of the file. `result` is None where its targets do not fit, so that it was not evaluated.

    `membership` is the task's place in the groups of a `keep` policy, or the result for which it has none;
    `group_fields` are the fields that make the group. `held_out` says whether `holdout` spares the task, None
    where there is none or the policy stops nothing. `unapproved` says why the lock lets a stop policy only
    report.
    """

    policy: Policy
    match: MatcherResult | None = None
    unless: tuple[MatcherResult, ...] = ()
    result: PolicyResult | None = None
    membership: Member | RuleResult | None = None
    group_fields: tuple[FieldRead, ...] = ()
    held_out: bool | None = None
    unapproved: str | None = None


class Explanation(NamedTuple):
    """Every step from a task's record to its verdict, in their order.

    `inconsistency` says why the record cannot be trusted. `steps` is empty where the verdict was reached
    before any policy. `verdict` is that of a run over everything, `if_named` that of a run whose event names
    this task; neither knows the other tasks, which `keep` needs. `due_in` is the time in milliseconds after
    which the task becomes due if nothing else happens, None when it is due already or never will be. `stuck`
    says whether it has been Stopping for too long, None in any other status.
    """

    task: Task
    now: Millis
    inconsistency: str | None
    exempt: tuple[MatcherResult, ...]
    steps: tuple[Step, ...]
    verdict: Verdict
    if_named: Verdict
    due_in: Millis | None
    stuck: RuleResult | None

    def held_out_by(self, policy: str | None) -> Step | None:
        """The step of the stop policy of that name, if its `holdout` spares the task whenever it is due."""
        return next((one for one in self.steps if one.held_out and one.policy.name == policy), None)

    def counted(self, step: Step) -> Member | None:
        """The task's place in the groups of that step's policy, None where a run does not count it."""
        return next((one for one in self.verdict.members if one.policy == step.policy.name), None)


def explain(
    task: Task,
    file: PolicyFile,
    now: Millis,
    *,
    stuck_after: Millis,
    started_time: StartedTime = "unknown",
    own_function: bool = False,
    unapproved: Mapping[str, str] | None = None,
) -> Explanation:
    """Evaluate *task*, read by itself, at *now* by all policies whose targets fit.

    *own_function* is true for a task of the reaper's own function. *unapproved* says why which stop policies
    may only report.
    """
    unapproved = unapproved or {}
    policies = file.report_only(unapproved).policies
    fitting = [one for one in policies if any(target.fits(task.function) for target in one.targets)]

    def compiled(some: Iterable[Policy]) -> FunctionPolicies:
        return compile_policies(
            task.function, list(some), file.exempt, started_time=started_time, own_function=own_function
        )

    in_sweep = compiled(one for one in fitting if one.triggers != (TASK,))
    named = compiled(one for one in fitting if one.fits_trigger(TASK))
    verdict = evaluate(task, in_sweep, now)
    why = inconsistency(task) if task.status not in FINISHED else None
    moment = Moment(now, started_time, read=True, subject=Subject(task, now, started_time))
    # An end, an exemption or an inconsistent record decides before any policy.
    decided = task.status not in UNFINISHED or why is not None
    decided = decided or (verdict.kind is Kind.EXEMPT and not verdict.members)
    by_index = {one.policy.index: one for one in compiled(fitting).every}
    steps = [
        _step(one, by_index.get(one.index), task, moment)._replace(unapproved=unapproved.get(one.name))
        for one in file.policies
    ]
    return Explanation(
        task=task,
        now=now,
        inconsistency=why,
        exempt=tuple(_exemptions(file.exempt, task, moment)),
        steps=() if decided else tuple(steps),
        verdict=verdict,
        if_named=evaluate(task, named, now),
        due_in=_due_in(task, file, in_sweep, now),
        stuck=stopping_too_long(task, stuck_after, now) if task.status == STOPPING else None,
    )


def _due_in(task: Task, file: PolicyFile, policies: FunctionPolicies, now: Millis) -> Millis | None:
    """The time until `evaluate` says due for the first time; None when it does now, or never."""
    changes = moments_of((one.policy for one in policies.every), file.exempt)
    moments = set(changes.after(task, now, policies.started_time))
    if changes.any_time:
        moments.update(now + minutes * _MINUTE for minutes in _SAMPLES)

    def is_due(at: Millis) -> bool:
        return evaluate(task, policies, at).kind is Kind.DUE

    before = now
    for moment in () if is_due(now) else sorted(moments):
        if is_due(moment):
            return before + 1 + bisect_left(range(before + 1, moment), True, key=is_due) - now
        before = moment
    return None


def _step(policy: Policy, compiled: CompiledPolicy | None, task: Task, moment: Moment) -> Step:
    if compiled is None:
        return Step(policy)
    per = None if policy.keep is None else policy.keep.per
    return Step(
        policy,
        _matcher(policy.match, compiled.match, task, moment),
        tuple(_exemptions(policy.unless, task, moment)),
        evaluate_policy(compiled, task, moment),
        None if policy.keep is None else membership(compiled, task, moment),
        _fields(per, task, moment) if isinstance(per, Expression) else (),
        is_held_out(task.invocation_id, policy.holdout) if policy.holdout and policy.stops else None,
    )


def _exemptions(matchers: Sequence[Matcher], task: Task, moment: Moment) -> Iterator[MatcherResult]:
    """The results of the matchers that concern the task's function."""
    for matcher in dict.fromkeys(matchers):
        compiled = compile_matcher(matcher, task.function, as_match=False)
        if compiled is not None:
            yield _matcher(matcher, compiled, task, moment)


def _matcher(matcher: Matcher, compiled: CompiledMatcher, task: Task, moment: Moment) -> MatcherResult:
    rules = matcher.rules
    if compiled.statuses is not None and all(rule.statuses is None for rule in rules):
        # A `match` without any word on status means these.
        rules = (StatusRule(matcher.match_statuses), *rules)
    keys = (
        KeyResult(
            rule.key,
            str(rule),
            rule.evaluate(task, moment),
            tuple(field for one in rule.expressions for field in _fields(one, task, moment)),
        )
        for rule in rules
    )
    return MatcherResult(matcher.line, tuple(keys), evaluate_matcher(compiled, task, moment).holds)


def _fields(expression: Expression, task: Task, moment: Moment) -> tuple[FieldRead, ...]:
    record: Any = moment.subject_of(task).record_for(expression)
    found = {spelt(path) or "@": reduce(step_into, path, record) for path in expression.paths}
    return tuple(FieldRead(path, None if value is None else kind_of(value)) for path, value in found.items())
