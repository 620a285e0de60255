"""`evaluate`: the verdict on one task by all policies of its function. Pure: no clock, no cloud, no log.

Order: exempt, then for each policy match and unless. A stop policy wins over a report policy, then the order
of the file. For a `keep` policy `evaluate` only makes a task a member of its group, and `select` decides.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

from fc_reaper.evaluator.concurrency import member_of
from fc_reaper.models import ALIVE, FINISHED, Function, Millis, Moment, Task
from fc_reaper.policy import Matcher, Policy
from fc_reaper.rules.ages import Reading, StartedTime
from fc_reaper.rules.expression import owner_of
from fc_reaper.rules.result import FALSE, NOT_IN_STATUS, TRUE, UNKNOWN, Kind, Member, RuleResult, Verdict
from fc_reaper.rules.rules import PushDown, Rule, StatusRule, StoppingFor, TargetRule, common_statuses


class CompiledMatcher(NamedTuple):
    """A matcher compiled for one function and its statuses; `rule` decides where nothing is measured."""

    line: int
    statuses: frozenset[str] | None
    rules: tuple[Rule, ...]
    rule: str
    spared_by: Mapping[str, str] = {}

    def push_down(self, now: Millis, started_time: StartedTime) -> PushDown:
        """The strongest filter of a listing that no task passes by for which all of the rules hold."""
        filters = [rule.push_down(now, started_time) for rule in self.rules]
        bounds = [one.started_before for one in filters if one.started_before is not None]
        prefix = max((one.id_prefix for one in filters), key=len, default="")
        return PushDown(min(bounds, default=None), prefix)


_OWN_FUNCTION = CompiledMatcher(0, None, (), "target")  # exempts all tasks of the reaper's own function


class CompiledPolicy(NamedTuple):
    """One policy compiled for one function; out of scope its tasks are only counted."""

    policy: Policy
    match: CompiledMatcher
    unless: tuple[CompiledMatcher, ...]
    in_scope: bool = True


class FunctionPolicies(NamedTuple):
    """All that the tasks of one function are evaluated by in one run.

    `policies` are those in scope without `keep`, the strongest first; `every` are these and `keeps`, by which
    a task may become due. By `withholding` ones none is, but what they claim counts for no `keep` policy.
    """

    exempt: tuple[CompiledMatcher, ...]
    policies: tuple[CompiledPolicy, ...]
    keeps: tuple[CompiledPolicy, ...]
    withholding: tuple[CompiledPolicy, ...]
    started_time: StartedTime
    exempt_needs_payload: bool
    every: tuple[CompiledPolicy, ...]


class Evaluation(NamedTuple):
    """A task with its verdict `at` a moment, and the policies by which a run evaluates it again."""

    task: Task
    verdict: Verdict
    at: Millis = 0
    policies: FunctionPolicies | None = None

    @property
    def order(self) -> tuple[float, float, str, str]:
        """Most overdue first, over no limit of time last; then oldest, then by name."""
        # Lengths are told by when they began, so that a later reading makes no task older.
        task, by = self.task, self.verdict.by
        begun = task.events[0].at if task.events else task.started_at
        since = begun if by.age is None else self.at - by.age
        limit_reached = inf if by.over is None else self.at - by.over
        return limit_reached, inf if since is None else since, str(task.function), task.invocation_id


class Exemption(NamedTuple):
    """A matcher of `exempt` or `unless` that holds for a task, or may, and its result."""

    matcher: CompiledMatcher
    result: RuleResult


def compile_policies(
    function: Function,
    policies: Sequence[Policy],
    exempt: Sequence[Matcher],
    *,
    started_time: StartedTime = "unknown",
    own_function: bool = False,
    counted: Sequence[Policy] = (),
) -> FunctionPolicies:
    """Compile *policies*, whose targets fit *function*; for those *counted* its tasks only count."""
    compiled: list[CompiledPolicy] = []
    for at, policy in enumerate((*policies, *counted)):
        match = compile_matcher(policy.match, function, as_match=True)
        if match is not None:
            unless = _exemptions(policy.unless, function)
            compiled.append(CompiledPolicy(policy, match, unless, in_scope=at < len(policies)))
    plain = [one for one in compiled if one.policy.keep is None and one.in_scope]
    ranked = [one for one in plain if one.policy.stops] + [one for one in plain if not one.policy.stops]
    keeps = [one for one in compiled if one.policy.keep is not None]
    idle = [one for one in compiled if not (one.in_scope and one.policy.stops)]
    return FunctionPolicies(
        exempt=(_OWN_FUNCTION,) if own_function else _exemptions(exempt, function),
        policies=tuple(ranked),
        keeps=tuple(keeps),
        withholding=tuple(one for one in idle if one.policy.withholds),
        started_time=started_time,
        exempt_needs_payload=any(one.needs_payload for matcher in exempt for one in matcher.expressions),
        every=(*ranked, *keeps),
    )


def _exemptions(matchers: Sequence[Matcher], function: Function) -> tuple[CompiledMatcher, ...]:
    compiled = (compile_matcher(one, function, as_match=False) for one in matchers)
    return tuple(one for one in compiled if one is not None)


def compile_matcher(matcher: Matcher, function: Function, *, as_match: bool) -> CompiledMatcher | None:
    """Compile *matcher*, with *as_match* a policy's `match`, for *function*; None when it means others."""
    if not all(rule.concerns(function) for rule in matcher.rules):
        return None
    statuses = matcher.match_statuses if as_match else common_statuses(matcher.rules)
    return CompiledMatcher(
        matcher.line,
        None if statuses is None else frozenset(statuses),
        tuple(rule for rule in matcher.rules if not isinstance(rule, (TargetRule, StatusRule))),
        matcher.rules[-1].key,
        matcher.spared_by,
    )


CLAIMS = (Kind.DUE, Kind.REPORTED)  # the kinds of verdict by which a policy holds for a task
_EXEMPT = RuleResult(TRUE, "exempt")


def evaluate(task: Task, policies: FunctionPolicies, moment: Moment, *, read: bool = True) -> Verdict:
    """Evaluate one task at *moment*; unknown means keep. Of a listed one, not *read*, it may be `unread`."""
    if task.status in FINISHED and task.inconsistency is None:
        return Verdict(Kind.KEPT, f"it is {task.status} already")
    reading = Reading(task, moment, policies.started_time, read=read)
    exemption = _first_exemption(policies.exempt, reading)
    if exemption is not None and exemption.matcher is _OWN_FUNCTION:
        verdict = Verdict(Kind.EXEMPT, "the reaper never stops itself", by=_EXEMPT)
    elif exemption is not None and exemption.result.holds is TRUE:
        matcher = exemption.matcher
        verdict = Verdict(Kind.EXEMPT, "exempt", None, matcher.line, _EXEMPT, spared_by=matcher.spared_by)
    elif reading.flaw is not None:
        verdict = Verdict(Kind.UNKNOWN, reading.flaw)
    else:
        verdict = _strongest([evaluate_policy(one, reading)[1] for one in policies.policies])
        if exemption is not None and verdict.kind in CLAIMS:
            verdict = _perhaps_exempt(exemption)
    if not policies.keeps or verdict.kind is Kind.DUE or task.status not in ALIVE:
        return verdict
    return _with_members(verdict, policies, reading, exemption)


def evaluate_matcher(matcher: CompiledMatcher, reading: Reading) -> RuleResult:
    """Evaluate the rules of *matcher*, joined by and. A flaw of the record leaves unknown what reads it."""
    rules, task = matcher.rules, reading.task
    whole, binding, unknown = TRUE, None, None
    if reading.flaw is not None:
        rules = tuple(rule for rule in rules if rule.by_name)
        if matcher.statuses is not None or len(rules) < len(matcher.rules):
            whole, unknown = UNKNOWN, RuleResult(UNKNOWN, "status", why=reading.flaw)
    elif matcher.statuses is not None and task.status not in matcher.statuses:
        return NOT_IN_STATUS
    for rule in rules:
        result = rule.evaluate(task, reading)
        whole &= result.holds
        if whole is FALSE:
            return result
        if result.holds is UNKNOWN:
            # If reading the task may settle one of them, it may settle the matcher.
            unknown = result if unknown is None or result.unread else unknown
        elif not rule.by_name and (
            # Exceeded by less, so that it is the reason why the task is due only now.
            binding is None
            or (result.over is not None and binding.over is not None and result.over < binding.over)
        ):
            binding = result
    return (unknown if whole is UNKNOWN else binding) or RuleResult(TRUE, matcher.rule)


def evaluate_policy(compiled: CompiledPolicy, reading: Reading) -> tuple[RuleResult, Verdict]:
    """What the `match` of one policy comes to, and the verdict by that policy alone."""
    policy, match = compiled.policy, evaluate_matcher(compiled.match, reading)
    if match.holds is FALSE:
        if match.limit is None and match.retries_limit is None:
            return match, _NO_MATCH
        return match, Verdict(Kind.KEPT, "within its limit", policy.name, policy.line, match)
    owner = owner_of(policy.owner, reading) if policy.owner else None
    unless = _first_exemption(compiled.unless, reading)
    if unless is not None and unless.result.holds is TRUE:
        matcher = unless.matcher
        spared = Verdict(Kind.KEPT, "spared by unless", policy.name, matcher.line, _SPARED, owner=owner)
        return match, spared._replace(spared_by=matcher.spared_by)
    by, reason = match, policy.reason
    kind = Kind.DUE if policy.stops else Kind.REPORTED
    if unless is not None:
        # Reading the task may let the policy hold only if it may settle both.
        by = unless.result._replace(unread=unless.result.unread and (match.holds is TRUE or match.unread))
        kind, reason = Kind.UNKNOWN, f"cannot tell whether it is spared: {by.why}"
    elif match.holds is UNKNOWN:
        kind, reason = Kind.UNKNOWN, match.why
    return match, Verdict(kind, reason, policy.name, policy.line, by, owner=owner)


_NO_MATCH = Verdict(Kind.KEPT, "no policy matches it")
_SPARED = RuleResult(FALSE, "unless")


def membership(
    compiled: CompiledPolicy, reading: Reading, match: RuleResult, alone: Verdict
) -> Member | RuleResult:
    """The place of a task in the groups of a `keep`, by its *match* and verdict *alone*, or why none."""
    # A task that `unless` may spare is never selected. Of a spared one without a place nothing is unknown.
    place = match if match.holds is not TRUE else member_of(compiled.policy, reading)
    if isinstance(place, Member):
        return place._replace(selectable=alone.kind in CLAIMS, in_scope=compiled.in_scope, owner=alone.owner)
    return place._replace(holds=FALSE) if alone.kind is Kind.KEPT else place


def stopping_too_long(task: Task, limit: Millis, moment: Moment, *, read: bool = True) -> RuleResult:
    """Whether a task was asked to stop longer than *limit* ago; exactly at the limit it was not."""
    matcher = CompiledMatcher(0, None, (StoppingFor(limit),), StoppingFor.key)
    result = evaluate_matcher(matcher, Reading(task, moment, "unknown", read=read))
    return result._replace(limit_from=None)  # the limit is a setting


def _with_members(
    verdict: Verdict, policies: FunctionPolicies, reading: Reading, exemption: Exemption | None
) -> Verdict:
    """*verdict* with the concurrency groups in which the task counts; unknown where that is unknown."""
    spared = verdict.kind is Kind.EXEMPT or exemption is not None
    beside = [] if spared else [evaluate_policy(one, reading)[1] for one in policies.withholding]
    if any(one.kind in CLAIMS for one in beside):
        return verdict
    members: list[Member] = []
    for compiled in policies.keeps:
        match, alone = evaluate_policy(compiled, reading)
        place, unclear = membership(compiled, reading, match, alone), None
        if isinstance(place, RuleResult):
            unclear = alone._replace(kind=Kind.UNKNOWN, reason=place.why, by=place)
        else:
            members.append(place._replace(selectable=place.selectable and not spared))
            if alone.kind is Kind.UNKNOWN:
                unclear = alone
            elif exemption is not None and alone.kind in CLAIMS:
                unclear = _perhaps_exempt(exemption)
        if unclear is not None:
            unread = verdict.by.unread or unclear.by.unread
            settled = verdict.kind is not Kind.KEPT or alone.kind is Kind.KEPT
            verdict = _unread(verdict if settled else unclear, unread)
    # Reading the task may show that it does not count, because another policy stops it.
    unread = verdict.by.unread or (bool(members) and any(one.by.unread for one in beside))
    return _unread(verdict, unread)._replace(members=tuple(members))


def _first_exemption(matchers: Sequence[CompiledMatcher], reading: Reading) -> Exemption | None:
    """The first matcher that holds, else the first whose result is unknown; None where all are false."""
    whole, first = FALSE, None
    for matcher in matchers:
        result = evaluate_matcher(matcher, reading)
        if (joined := whole | result.holds) is not whole:
            whole, first = joined, Exemption(matcher, result)
        if whole is TRUE:
            break
    return first


def _strongest(alone: Sequence[Verdict]) -> Verdict:
    """The strongest of the verdicts: the first claim, else unknown, else kept, by `unless` before a limit."""
    unknown: list[Verdict] = []
    best = _NO_MATCH
    for at, one in enumerate(alone):
        if one.kind is Kind.UNKNOWN:
            unknown.append(one)
        elif one.kind is not Kind.KEPT:
            also = (other.policy or "" for other in alone[at + 1 :] if other.kind in CLAIMS)
            best = one._replace(also=tuple(also))
            break
        elif best is _NO_MATCH or (one.by is _SPARED and best.by is not _SPARED):
            best = one
    if not unknown:
        return best
    return _unread(unknown[0] if best.kind is Kind.KEPT else best, any(one.by.unread for one in unknown))


def _perhaps_exempt(exemption: Exemption) -> Verdict:
    why = f"cannot tell whether it is exempt: {exemption.result.why}"
    return Verdict(Kind.UNKNOWN, why, None, exemption.matcher.line, exemption.result)


def _unread(verdict: Verdict, unread: bool) -> Verdict:
    return verdict._replace(by=verdict.by._replace(unread=unread))
