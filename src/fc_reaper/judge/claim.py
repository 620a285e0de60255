"""`claim`: the fate of one task, judged alone. Pure: no clock, no cloud, no log.

Order: exempt, then each policy: unless, match; asked the other way round, which comes to the
same. The strongest claim wins: stop over report, then the order of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fc_reaper.judge.clocks import StartedTime, contradiction
from fc_reaper.judge.condition import Condition, Finding, View, examine, ready
from fc_reaper.judge.verdict import Kind, Verdict
from fc_reaper.model import FINISHED, STOPPING, UNFINISHED, Function, Millis, Task
from fc_reaper.policy import Matcher, Policy


class Clause(NamedTuple):
    """One policy made ready for one function."""

    policy: Policy
    match: Condition
    unless: tuple[Condition, ...]


class Rules(NamedTuple):
    """All that the tasks of one function are judged by in one run.

    `ourselves` is true for the reaper's own function, whose tasks are always exempt.
    """

    exempt: tuple[Condition, ...]
    clauses: tuple[Clause, ...]
    started_time: StartedTime = "unknown"
    ourselves: bool = False


class Opinion(NamedTuple):
    """What one policy says of one task: its claim (True), its silence (False), or that it cannot tell."""

    clause: Clause
    holds: bool | None
    finding: Finding
    spared_by: Condition | None = None


def rules_for(
    function: Function,
    policies: Sequence[Policy],
    exempt: Sequence[Matcher],
    *,
    started_time: StartedTime = "unknown",
    ourselves: bool = False,
) -> Rules:
    """Prepare *policies*, which all concern *function*, for judging its tasks."""
    clauses = []
    for policy in policies:
        match = ready(policy.match, function, as_match=True)
        if match is not None:
            clauses.append(Clause(policy, match, _conditions(policy.unless, function)))
    return Rules(_conditions(exempt, function), tuple(clauses), started_time, ourselves)


def claim(task: Task, rules: Rules, now: Millis, *, read: bool = True) -> Verdict:
    """Decide the fate of one task at *now* (epoch milliseconds), with the reason for it.

    *read* tells whether the record came from reading the task by itself; a listed record without
    dated events may be `unread` instead of undecidable. Unknown always means that the task is kept.
    """
    if task.status in FINISHED and task.doubt is None:
        return Verdict(Kind.KEPT, f"it is {task.status} already", rule="status")
    if rules.ourselves:
        return Verdict(Kind.EXEMPT, "the reaper never stops itself", rule="exempt")
    view = View(now, rules.started_time, read)
    mercy = _first_mercy(rules.exempt, task, view)
    if mercy is not None and mercy[1].holds:
        return Verdict(Kind.EXEMPT, "exempt", rule="exempt", line=mercy[0].line)
    doubt = contradiction(task)
    if task.status not in UNFINISHED and task.doubt is None:
        doubt = f"nobody here knows the status {task.status!r}"
    if doubt is not None:
        return Verdict(Kind.UNKNOWN, doubt, rule="status")
    opinions = [weigh(clause, task, view) for clause in rules.clauses]
    verdict = _strongest(opinions)
    if mercy is not None and verdict.kind in (Kind.DUE, Kind.REPORTED):
        return _undecided(mercy[1], f"cannot tell whether it is exempt: {mercy[1].why}", None, mercy[0].line)
    if any(opinion.finding.unread for opinion in opinions):
        # A weaker claim may stand already, yet reading the task may raise a stronger one.
        return verdict._replace(unread=True)
    return verdict


def stopping_too_long(task: Task, limit: Millis, now: Millis, *, read: bool = True) -> Finding:
    """Whether a task was asked to stop longer than *limit* ago; exactly at the limit it was not."""
    condition = Condition(0, frozenset((STOPPING,)), None, (("stopping_for", limit),), None, "stuck")
    if contradiction(task) is not None:
        return Finding(None, "stopping_for", why="its record contradicts itself")
    return examine(condition, task, View(now, "unknown", read))


def weigh(clause: Clause, task: Task, view: View) -> Opinion:
    """Ask one policy about one task; `unless` is asked only where `match` leaves a doubt or a claim."""
    finding = examine(clause.match, task, view)
    if finding.holds is False:
        return Opinion(clause, False, finding)
    mercy = _first_mercy(clause.unless, task, view)
    if mercy is None:
        return Opinion(clause, finding.holds, finding)
    if mercy[1].holds:
        return Opinion(clause, False, finding, spared_by=mercy[0])
    why = f"cannot tell whether it is spared: {mercy[1].why}"
    return Opinion(clause, None, mercy[1]._replace(why=why), spared_by=mercy[0])


def _first_mercy(conditions: Sequence[Condition], task: Task, view: View) -> tuple[Condition, Finding] | None:
    """The condition that spares the task, else one that might; None when none does."""
    perhaps = None
    for condition in conditions:
        finding = examine(condition, task, view)
        if finding.holds:
            return condition, finding
        if finding.holds is None and perhaps is None:
            perhaps = condition, finding
    return perhaps


def _strongest(opinions: Sequence[Opinion]) -> Verdict:
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


def _claimed(opinion: Opinion, also: tuple[str, ...]) -> Verdict:
    policy, finding = opinion.clause.policy, opinion.finding
    kind = Kind.DUE if policy.stops else Kind.REPORTED
    return Verdict(
        kind, policy.reason, policy.name, finding.rule, finding.age, finding.limit, finding.clock, also,
        policy.line,
    )  # fmt: skip


def _undecided(finding: Finding, why: str, policy: str | None, line: int) -> Verdict:
    return Verdict(
        Kind.UNKNOWN, why, policy, finding.rule, finding.age, finding.limit, finding.clock, (), line,
        finding.unread,
    )  # fmt: skip


def _kept(opinions: Sequence[Opinion]) -> Verdict:
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


def _conditions(matchers: Sequence[Matcher], function: Function) -> tuple[Condition, ...]:
    prepared = (ready(matcher, function, as_match=False) for matcher in matchers)
    return tuple(condition for condition in prepared if condition is not None)
