"""`evaluate`: the verdict on one task by all policies of its function. Pure: no clock, no cloud, no log.

Order: exempt, then for each policy match and unless. A stop policy wins over a report policy, then the order
of the file decides. A `keep` policy needs the other tasks: `evaluate` only makes a task a member of its
concurrency group, and `select` decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fc_reaper.evaluator.concurrency import member_of
from fc_reaper.evaluator.verdict import Kind, Member, Verdict
from fc_reaper.models import ALIVE, FINISHED, UNFINISHED, Function, Millis, Moment, Task
from fc_reaper.policy import Matcher, Policy
from fc_reaper.rules.ages import StartedTime, inconsistency, is_exact
from fc_reaper.rules.expression import Subject
from fc_reaper.rules.rules import (
    RULES,
    PushDown,
    Reading,
    Rule,
    RuleResult,
    StatusRule,
    StoppingFor,
    TargetRule,
)


class CompiledMatcher(NamedTuple):
    """A matcher compiled for one function: what selects functions and statuses is settled.

    `rule` is the key that decides where nothing is measured.
    """

    line: int
    statuses: frozenset[str] | None
    rules: tuple[Rule, ...]
    rule: str

    def push_down(self, now: Millis, started_time: StartedTime) -> PushDown:
        """The strongest filter of a listing that no task passes by for which all of the rules hold."""
        filters = [rule.push_down(now, started_time) for rule in self.rules]
        bounds = [one.started_before for one in filters if one.started_before is not None]
        prefix = max((one.id_prefix for one in filters), key=len, default="")
        return PushDown(min(bounds, default=None), prefix)


class CompiledPolicy(NamedTuple):
    """One policy compiled for one function.

    `in_scope` is False where the run is about other functions and the tasks of this one are only counted.
    """

    policy: Policy
    match: CompiledMatcher
    unless: tuple[CompiledMatcher, ...]
    in_scope: bool = True


class FunctionPolicies(NamedTuple):
    """All that the tasks of one function are evaluated by in one run.

    `keeps` are the `keep` policies, `policies` the others in scope. `withholding` are policies by which no
    task of this function is due in this run, but whose tasks count for no `keep` policy. `own_function` is
    true for the reaper's own function, whose tasks are always exempt.
    """

    exempt: tuple[CompiledMatcher, ...]
    policies: tuple[CompiledPolicy, ...]
    keeps: tuple[CompiledPolicy, ...] = ()
    withholding: tuple[CompiledPolicy, ...] = ()
    started_time: StartedTime = "unknown"
    own_function: bool = False
    has_expressions: bool = False
    exempt_needs_payload: bool = False

    @property
    def every(self) -> tuple[CompiledPolicy, ...]:
        """The policies by which a task may become due, `keep` policies last."""
        return (*self.policies, *self.keeps)


class PolicyResult(NamedTuple):
    """Whether one policy holds for a task (None: unknown), and by which rule.

    `spared_by` is the `unless` that spares the task or may spare it.
    """

    policy: Policy
    holds: bool | None
    result: RuleResult
    spared_by: CompiledMatcher | None = None


Exemption = tuple[CompiledMatcher, RuleResult]
"""A matcher of `exempt` or `unless` that holds for a task, or whose result is unknown."""


def compile_policies(
    function: Function,
    policies: Sequence[Policy],
    exempt: Sequence[Matcher],
    *,
    started_time: StartedTime = "unknown",
    own_function: bool = False,
    counted: Sequence[Policy] = (),
) -> FunctionPolicies:
    """Compile *policies*, whose targets fit *function*.

    For *counted* (`keep` policies, and those that withhold tasks from them) its tasks only count.
    """
    compiled: list[CompiledPolicy] = []
    for policy, in_scope in (*((one, True) for one in policies), *((one, False) for one in counted)):
        match = compile_matcher(policy.match, function, as_match=True)
        if match is not None:
            compiled.append(CompiledPolicy(policy, match, _compiled(policy.unless, function), in_scope))
    return FunctionPolicies(
        exempt=_compiled(exempt, function),
        policies=tuple(one for one in compiled if one.policy.keep is None and one.in_scope),
        keeps=tuple(one for one in compiled if one.policy.keep is not None),
        withholding=tuple(
            one for one in compiled if one.policy.withholds and not (one.in_scope and one.policy.stops)
        ),
        started_time=started_time,
        own_function=own_function,
        has_expressions=any(matcher.expressions for matcher in exempt)
        or any(one.policy.expressions for one in compiled),
        exempt_needs_payload=any(one.needs_payload for matcher in exempt for one in matcher.expressions),
    )


def _compiled(matchers: Sequence[Matcher], function: Function) -> tuple[CompiledMatcher, ...]:
    compiled = (compile_matcher(matcher, function, as_match=False) for matcher in matchers)
    return tuple(one for one in compiled if one is not None)


def compile_matcher(matcher: Matcher, function: Function, *, as_match: bool) -> CompiledMatcher | None:
    """Compile *matcher* for the tasks of *function*; None when it means other functions.

    With *as_match* it is a policy's `match`, which without any word on status means the alive ones:
    a task that is being stopped already is matched only by a policy that says so.
    """
    if not all(rule.concerns(function) for rule in matcher.rules):
        return None
    statuses = matcher.match_statuses if as_match else matcher.stated_statuses
    selecting = [rule.key for rule in matcher.rules if rule.selects]
    return CompiledMatcher(
        matcher.line,
        None if statuses is None else frozenset(statuses),
        tuple(rule for rule in matcher.rules if not isinstance(rule, (TargetRule, StatusRule))),
        selecting[-1] if selecting else "target",
    )


def evaluate(task: Task, policies: FunctionPolicies, moment: Moment, *, read: bool = True) -> Verdict:
    """Evaluate one task at *moment*. Unknown always means that the task is kept.

    *read* says that the record came from reading the task by itself (Get); the verdict on a listed record
    may be `unread` instead.
    """
    if task.status in FINISHED and task.inconsistency is None:
        return Verdict(Kind.KEPT, f"it is {task.status} already", rule="status")
    subject = Subject(task, moment, policies.started_time) if policies.has_expressions else None
    reading = Reading(moment, policies.started_time, read, subject)
    exemption = None if policies.own_function else _first_exemption(policies.exempt, task, reading)
    verdict = _without_groups(task, policies, reading, exemption)
    counts = policies.keeps and task.status in ALIVE and inconsistency(task) is None
    if not counts or verdict.kind is Kind.DUE:
        return verdict
    return _with_members(verdict, task, policies, reading, exemption)


def evaluate_matcher(matcher: CompiledMatcher, task: Task, reading: Reading) -> RuleResult:
    """Evaluate every rule of *matcher*: one that does not hold settles it, else one unknown is an unknown."""
    if matcher.statuses is not None and task.status not in matcher.statuses:
        return RuleResult(False, "status")
    binding: RuleResult | None = None
    unknown: RuleResult | None = None
    for rule in matcher.rules:
        result = rule.evaluate(task, reading)
        if result.holds is False:
            return result
        if result.holds is None:
            unknown = result
        elif not rule.selects and (binding is None or _binds(result, binding)):
            binding = result
    return unknown or binding or RuleResult(True, matcher.rule)


def _binds(result: RuleResult, binding: RuleResult) -> bool:
    """Whether *result* is exceeded by less, so that it is the reason why a task is due only now."""
    return result.over is not None and binding.over is not None and result.over < binding.over


def evaluate_policy(compiled: CompiledPolicy, task: Task, reading: Reading) -> PolicyResult:
    """Evaluate one policy for one task; `unless` only where `match` is not false."""
    policy, result = compiled.policy, evaluate_matcher(compiled.match, task, reading)
    if result.holds is False:
        return PolicyResult(policy, False, result)
    exemption = _first_exemption(compiled.unless, task, reading)
    if exemption is None:
        return PolicyResult(policy, result.holds, result)
    matcher, spared = exemption
    if spared.holds:
        return PolicyResult(policy, False, result, spared_by=matcher)
    why = f"cannot tell whether it is spared: {spared.why}"
    return PolicyResult(policy, None, spared._replace(why=why), spared_by=matcher)


def membership(compiled: CompiledPolicy, task: Task, reading: Reading) -> Member | RuleResult:
    """The task's place in the groups of a `keep` policy; the deciding result where it has none.

    A task that `unless` spares has a place and is never selected. `exempt` is not considered here.
    """
    found = evaluate_policy(compiled, task, reading)
    spared = found.spared_by is not None and found.holds is False
    if not found.holds and not spared:
        return found.result
    if found.result.holds is None:
        return RuleResult(False, "unless", unread=found.result.unread) if spared else found.result
    member = member_of(compiled.policy, task, reading)
    if isinstance(member, RuleResult):
        return member
    return member._replace(selectable=not spared, in_scope=compiled.in_scope)


def stopping_too_long(task: Task, limit: Millis, moment: Moment, *, read: bool = True) -> RuleResult:
    """Whether a task was asked to stop longer than *limit* ago; exactly at the limit it was not."""
    if inconsistency(task) is not None:
        return RuleResult(None, StoppingFor.key, why="its record contradicts itself")
    return StoppingFor(limit).evaluate(task, Reading(moment, "unknown", read))


def _without_groups(
    task: Task, policies: FunctionPolicies, reading: Reading, exemption: Exemption | None
) -> Verdict:
    """The verdict as far as it does not depend on other tasks."""
    if policies.own_function:
        return Verdict(Kind.EXEMPT, "the reaper never stops itself", rule="exempt")
    if exemption is not None and exemption[1].holds:
        return Verdict(Kind.EXEMPT, "exempt", rule="exempt", line=exemption[0].line)
    why = inconsistency(task)
    if task.status not in UNFINISHED and task.inconsistency is None:
        why = f"the status {task.status!r} is unknown"
    if why is not None:
        return Verdict(Kind.UNKNOWN, why, rule="status")
    results = [evaluate_policy(one, task, reading) for one in policies.policies]
    verdict = _strongest(results)
    if exemption is not None and verdict.kind in (Kind.DUE, Kind.REPORTED):
        return _perhaps_exempt(exemption)
    if any(one.result.unread for one in results):
        # A weaker policy may hold already, yet reading the task may let a stronger one hold.
        return verdict._replace(unread=True)
    return verdict


def _with_members(
    verdict: Verdict, task: Task, policies: FunctionPolicies, reading: Reading, exemption: Exemption | None
) -> Verdict:
    """*verdict* with the concurrency groups in which the task counts; unknown where that is unknown."""
    if any(evaluate_policy(one, task, reading).holds for one in policies.withholding):
        return verdict
    exempt = verdict.kind is Kind.EXEMPT
    members: list[Member] = []
    for compiled in policies.keeps:
        member = membership(compiled, task, reading)
        if isinstance(member, RuleResult):
            if member.unread:
                verdict = verdict._replace(unread=True)
            if member.holds is None and verdict.kind is Kind.KEPT:
                verdict = _by(member, Kind.UNKNOWN, member.why, compiled.policy)
        elif exemption is not None and not exemption[1].holds:
            return verdict if exempt else _perhaps_exempt(exemption)
        else:
            members.append(member._replace(selectable=False) if exempt else member)
    return verdict._replace(members=tuple(members))


def _first_exemption(matchers: Sequence[CompiledMatcher], task: Task, reading: Reading) -> Exemption | None:
    """The first matcher that holds, else the first whose result is unknown; None where all are false."""
    perhaps = None
    for matcher in matchers:
        result = _exact(evaluate_matcher(matcher, task, reading), reading)
        if result.holds:
            return matcher, result
        if result.holds is None and perhaps is None:
            perhaps = matcher, result
    return perhaps


def _exact(result: RuleResult, reading: Reading) -> RuleResult:
    """*result*, unknown where it is false by an age that may be too young: that rules out no exemption."""
    if result.holds is not False or result.clock is None or result.rule is None:
        return result
    if is_exact(result.rule, result.clock, reading.started_time):
        return result
    return result._replace(holds=None, why="its first enqueueing is not dated", unread=not reading.read)


def _strongest(results: Sequence[PolicyResult]) -> Verdict:
    """The first stop that holds, else the first report, else the first unknown, else why it is kept."""
    holding = [one for one in results if one.holds]
    if holding:
        best = min(holding, key=lambda one: not one.policy.stops)
        kind = Kind.DUE if best.policy.stops else Kind.REPORTED
        also = tuple(one.policy.name for one in holding if one is not best)
        return _by(best.result, kind, best.policy.reason, best.policy, also)
    for policy, holds, result, _ in results:
        if holds is None:
            return _by(result, Kind.UNKNOWN, result.why, policy)
    for policy, _, _, spared_by in results:
        if spared_by is not None:
            return Verdict(Kind.KEPT, "spared by unless", policy.name, "unless", line=spared_by.line)
    for policy, _, result, _ in results:
        if result.rule in RULES and RULES[result.rule].is_limit:
            return _by(result, Kind.KEPT, "within its limit", policy)
    return Verdict(Kind.KEPT, "no policy matches it", rule="status")


def _perhaps_exempt(exemption: Exemption) -> Verdict:
    matcher, result = exemption
    verdict = _by(result, Kind.UNKNOWN, f"cannot tell whether it is exempt: {result.why}", None)
    return verdict._replace(line=matcher.line)


def _by(
    result: RuleResult, kind: Kind, reason: str, policy: Policy | None, also: tuple[str, ...] = ()
) -> Verdict:
    """The verdict that *result* leads to."""
    _, rule, age, limit, clock, _, unread = result
    name, line = (None, None) if policy is None else (policy.name, policy.line)
    unread = unread and kind is Kind.UNKNOWN
    return Verdict(kind, reason, name, rule, age, limit, clock, also, line, unread)
