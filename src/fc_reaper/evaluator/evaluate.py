"""`claim`: the fate of one task, judged alone. Pure: no clock, no cloud, no log.

Order: exempt, then each policy: unless, match; asked the other way round, which comes to the
same. The strongest claim wins: stop over report, then the order of the file. What a `keep` policy
makes of a task depends on others: here the task only becomes a member of its population.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fc_reaper.evaluator.compiled import CompiledPolicy, FunctionPolicies
from fc_reaper.evaluator.concurrency import place
from fc_reaper.evaluator.verdict import Kind, Member, Verdict
from fc_reaper.models import ALIVE, FINISHED, STOPPING, UNFINISHED, Millis, Task
from fc_reaper.rules.ages import Age, inconsistency, is_exact
from fc_reaper.rules.matcher import CompiledMatcher, Moment, RuleResult, evaluate_matcher
from fc_reaper.rules.subject import Subject

Mercy = tuple[CompiledMatcher, RuleResult]
"""A condition that spares a task, or that might (its finding then is unknown)."""


class PolicyResult(NamedTuple):
    """What one policy says of one task: its claim (True), its silence (False), or that it cannot tell."""

    clause: CompiledPolicy
    holds: bool | None
    finding: RuleResult
    spared_by: CompiledMatcher | None = None


def claim(task: Task, rules: FunctionPolicies, now: Millis, *, read: bool = True) -> Verdict:
    """Decide the fate of one task at *now* (epoch milliseconds), with the reason for it.

    *read* tells whether the record came from reading the task by itself; a listed record without
    dated events may be `unread` instead of undecidable. Unknown always means that the task is kept.
    """
    if task.status in FINISHED and task.inconsistency is None:
        return Verdict(Kind.KEPT, f"it is {task.status} already", rule="status")
    facts = Subject(task, now, rules.started_time) if rules.asks else None
    view = Moment(now, rules.started_time, read, facts)
    mercy = None if rules.ourselves else _first_mercy(rules.exempt, task, view)
    verdict = _alone(task, rules, view, mercy)
    if rules.keeps and verdict.kind is not Kind.DUE and task.status in ALIVE and inconsistency(task) is None:
        return _with_members(verdict, task, rules, view, mercy)
    return verdict


def _alone(task: Task, rules: FunctionPolicies, view: Moment, mercy: Mercy | None) -> Verdict:
    """The fate of a task as far as the others have no part in it."""
    if rules.ourselves:
        return Verdict(Kind.EXEMPT, "the reaper never stops itself", rule="exempt")
    if mercy is not None and mercy[1].holds:
        return Verdict(Kind.EXEMPT, "exempt", rule="exempt", line=mercy[0].line)
    doubt = inconsistency(task)
    if task.status not in UNFINISHED and task.inconsistency is None:
        doubt = f"nobody here knows the status {task.status!r}"
    if doubt is not None:
        return Verdict(Kind.UNKNOWN, doubt, rule="status")
    opinions = [evaluate_policy(clause, task, view) for clause in rules.clauses]
    verdict = _strongest(opinions)
    if mercy is not None and verdict.kind in (Kind.DUE, Kind.REPORTED):
        return _perhaps_exempt(mercy)
    if any(opinion.finding.unread for opinion in opinions):
        # A weaker claim may stand already, yet reading the task may raise a stronger one.
        return verdict._replace(unread=True)
    return verdict


def _with_members(
    verdict: Verdict, task: Task, rules: FunctionPolicies, view: Moment, mercy: Mercy | None
) -> Verdict:
    """*verdict* with the populations in which the task counts; unknown where it may count in one."""
    members: list[Member] = []
    if any(evaluate_policy(clause, task, view).holds for clause in rules.others):
        return verdict
    for clause in rules.keeps:
        member = member_of(clause, task, view)
        if isinstance(member, RuleResult):
            if member.unread:
                verdict = verdict._replace(unread=True)
            if member.holds is None and verdict.kind is Kind.KEPT:
                verdict = _undecided(member, member.why, clause.policy.name, clause.policy.line)
        elif mercy is not None and not mercy[1].holds:
            return _perhaps_exempt(mercy) if verdict.kind is not Kind.EXEMPT else verdict
        else:
            spared = verdict.kind is Kind.EXEMPT
            members.append(member._replace(choosable=False) if spared else member)
    return verdict._replace(members=tuple(members))


def member_of(clause: CompiledPolicy, task: Task, view: Moment) -> Member | RuleResult:
    """The task's place in the population of a `keep` policy; a finding where it has none, or nobody can tell.

    A task that `unless` spares has its place, and is never chosen. Whether it is exempt is not asked here.
    """
    opinion = evaluate_policy(clause, task, view)
    spared = opinion.spared_by is not None and opinion.holds is False
    if not opinion.holds and not spared:
        return opinion.finding
    if opinion.finding.holds is None:
        return RuleResult(False, "unless", unread=opinion.finding.unread) if spared else opinion.finding
    found = place(clause.policy, task, view)
    if isinstance(found, RuleResult):
        return found
    return found._replace(choosable=not spared, asked=clause.asked)


def stopping_too_long(task: Task, limit: Millis, now: Millis, *, read: bool = True) -> RuleResult:
    """Whether a task was asked to stop longer than *limit* ago; exactly at the limit it was not."""
    condition = CompiledMatcher(0, frozenset((STOPPING,)), None, (("stopping_for", limit),), None, "stuck")
    if inconsistency(task) is not None:
        return RuleResult(None, "stopping_for", why="its record contradicts itself")
    return evaluate_matcher(condition, task, Moment(now, "unknown", read))


def evaluate_policy(clause: CompiledPolicy, task: Task, view: Moment) -> PolicyResult:
    """Request one policy about one task; `unless` is asked only where `match` leaves a doubt or a claim."""
    finding = evaluate_matcher(clause.match, task, view)
    if finding.holds is False:
        return PolicyResult(clause, False, finding)
    mercy = _first_mercy(clause.unless, task, view)
    if mercy is None:
        return PolicyResult(clause, finding.holds, finding)
    if mercy[1].holds:
        return PolicyResult(clause, False, finding, spared_by=mercy[0])
    why = f"cannot tell whether it is spared: {mercy[1].why}"
    return PolicyResult(clause, None, mercy[1]._replace(why=why), spared_by=mercy[0])


def _first_mercy(conditions: Sequence[CompiledMatcher], task: Task, view: Moment) -> Mercy | None:
    """The condition that spares the task, else one that might; None when none does."""
    perhaps = None
    for condition in conditions:
        finding = _for_certain(evaluate_matcher(condition, task, view), view)
        if finding.holds:
            return condition, finding
        if finding.holds is None and perhaps is None:
            perhaps = condition, finding
    return perhaps


def _for_certain(finding: RuleResult, view: Moment) -> RuleResult:
    """A task is not refused mercy for an age that may be too young."""
    if finding.holds is not False or finding.clock is None or finding.rule is None or finding.age is None:
        return finding
    age = Age(finding.age, "events" if finding.clock == "events" else "started_time")
    if is_exact(finding.rule, age, view.started_time):
        return finding
    why = "its first enqueueing is not dated"
    return finding._replace(holds=None, why=why, unread=not view.read)


def _strongest(opinions: Sequence[PolicyResult]) -> Verdict:
    claims = [opinion for opinion in opinions if opinion.holds]
    if claims:
        best = min(claims, key=lambda opinion: not opinion.clause.policy.stops)
        also = tuple(opinion.clause.policy.name for opinion in claims if opinion is not best)
        return _claimed(best, also)
    for opinion in opinions:
        if opinion.holds is None:
            clause = opinion.clause
            return _undecided(opinion.finding, opinion.finding.why, clause.policy.name, clause.policy.line)
    return _kept(opinions)


def _claimed(opinion: PolicyResult, also: tuple[str, ...]) -> Verdict:
    policy, finding = opinion.clause.policy, opinion.finding
    kind = Kind.DUE if policy.stops else Kind.REPORTED
    return Verdict(
        kind, policy.reason, policy.name, finding.rule, finding.age, finding.limit, finding.clock, also,
        policy.line,
    )  # fmt: skip


def _perhaps_exempt(mercy: Mercy) -> Verdict:
    condition, finding = mercy
    return _undecided(finding, f"cannot tell whether it is exempt: {finding.why}", None, condition.line)


def _undecided(finding: RuleResult, why: str, policy: str | None, line: int) -> Verdict:
    return Verdict(
        Kind.UNKNOWN, why, policy, finding.rule, finding.age, finding.limit, finding.clock, (), line,
        finding.unread,
    )  # fmt: skip


def _kept(opinions: Sequence[PolicyResult]) -> Verdict:
    """The most telling reason to keep: spared, else the first limit that is not exceeded."""
    for opinion in opinions:
        if opinion.spared_by is not None:
            name, line = opinion.clause.policy.name, opinion.spared_by.line
            return Verdict(Kind.KEPT, "spared by unless", name, "unless", line=line)
    for opinion in opinions:
        finding = opinion.finding
        if finding.limit is not None or finding.rule == "retries_over":
            name, line = opinion.clause.policy.name, opinion.clause.policy.line
            return Verdict(
                Kind.KEPT, "within its limit", name, finding.rule, finding.age, finding.limit, finding.clock,
                line=line,
            )  # fmt: skip
    return Verdict(Kind.KEPT, "no policy matches it", rule="status")
