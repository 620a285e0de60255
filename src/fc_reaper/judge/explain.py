"""`explain`: the judgement of `claim`, taken apart into the steps that led to it. Pure, as `claim` is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from fc_reaper.judge.claim import Clause, Opinion, Rules, claim, rules_for, stopping_too_long, weigh
from fc_reaper.judge.clocks import StartedTime, age, contradiction
from fc_reaper.judge.condition import Condition, Finding, View, examine, ready
from fc_reaper.judge.verdict import Kind, Verdict
from fc_reaper.model import FINISHED, STOPPING, UNFINISHED, Millis, Task
from fc_reaper.policy import CLOCKS, Matcher, Policy, PolicyFile, spell_duration

TASK = "task"
"""The trigger of an event that names one task by its invocation id."""


class Question(NamedTuple):
    """One key of a matcher, asked of the task by itself.

    `wanted` is what the policy states, in the policy's own words; `finding` has age and limit as numbers.
    """

    key: str
    wanted: str
    finding: Finding


class Asked(NamedTuple):
    """A whole matcher, asked of the task: key by key, and whether the keys hold together."""

    line: int
    questions: tuple[Question, ...]
    holds: bool | None


class Step(NamedTuple):
    """One policy of the file. `opinion` is None when its targets do not fit, so that it was not asked."""

    policy: Policy
    match: Asked | None = None
    unless: tuple[Asked, ...] = ()
    opinion: Opinion | None = None


class Explanation(NamedTuple):
    """Every step from a task's record to its verdict, in the order in which they are taken.

    `doubt` says what in the record speaks against it. `steps` is empty where the verdict was reached before
    any policy was asked. `verdict` is what a run that looks at everything comes to, `if_named` what a run
    comes to whose event names this very task. `due_in` is the time in milliseconds after which the task
    becomes due if nothing but time goes on; None when it is due already, or never will be. `stuck` says
    whether it has been Stopping for too long, None for a task that is not Stopping.
    """

    task: Task
    now: Millis
    doubt: str | None
    exempt: tuple[Asked, ...]
    steps: tuple[Step, ...]
    verdict: Verdict
    if_named: Verdict
    due_in: Millis | None
    stuck: Finding | None


def explain(
    task: Task,
    file: PolicyFile,
    now: Millis,
    *,
    stuck_after: Millis,
    started_time: StartedTime = "unknown",
    ourselves: bool = False,
) -> Explanation:
    """Judge *task*, read by itself, at *now* by all policies whose targets fit.

    *ourselves* is true for a task of the reaper's own function.
    """
    fitting = [one for one in file.policies if any(target.fits(task.function) for target in one.targets)]
    every = rules_for(task.function, fitting, file.exempt, started_time=started_time, ourselves=ourselves)
    sweeping = _only(every, lambda policy: policy.triggers != (TASK,))
    verdict = claim(task, sweeping, now)
    doubt = contradiction(task) if task.status not in FINISHED else None
    view = View(now, started_time, read=True)
    return Explanation(
        task=task,
        now=now,
        doubt=doubt,
        exempt=tuple(_mercies(file.exempt, task, view)),
        steps=tuple(_steps(file.policies, every, task, view)) if _was_weighed(task, doubt, verdict) else (),
        verdict=verdict,
        if_named=claim(task, _only(every, lambda policy: policy.fits_trigger(TASK)), now),
        due_in=_due_in(task, sweeping, now),
        stuck=stopping_too_long(task, stuck_after, now) if task.status == STOPPING else None,
    )


def _only(rules: Rules, wanted: Callable[[Policy], bool]) -> Rules:
    return rules._replace(clauses=tuple(clause for clause in rules.clauses if wanted(clause.policy)))


def _was_weighed(task: Task, doubt: str | None, verdict: Verdict) -> bool:
    """Whether the policies were asked: an end, an exemption or a doubt comes before them."""
    return verdict.kind is not Kind.EXEMPT and task.status in UNFINISHED and doubt is None


def _steps(policies: Sequence[Policy], rules: Rules, task: Task, view: View) -> Iterator[Step]:
    clauses = {clause.policy.index: clause for clause in rules.clauses}
    for policy in policies:
        clause = clauses.get(policy.index)
        yield Step(policy) if clause is None else _weighed(clause, task, view)


def _weighed(clause: Clause, task: Task, view: View) -> Step:
    policy = clause.policy
    match = _asked(policy.match, clause.match, task, view, as_match=True)
    return Step(policy, match, tuple(_mercies(policy.unless, task, view)), weigh(clause, task, view))


def _mercies(matchers: Iterable[Matcher], task: Task, view: View) -> Iterator[Asked]:
    """The matchers that concern the task's function."""
    for matcher in matchers:
        condition = ready(matcher, task.function, as_match=False)
        if condition is not None:
            yield _asked(matcher, condition, task, view, as_match=False)


def _asked(matcher: Matcher, condition: Condition, task: Task, view: View, *, as_match: bool) -> Asked:
    keys = _keys(matcher, condition, as_match=as_match)
    questions = tuple(Question(key, wanted, examine(alone, task, view)) for key, wanted, alone in keys)
    return Asked(matcher.line, questions, examine(condition, task, view).holds)


def _keys(matcher: Matcher, whole: Condition, *, as_match: bool) -> Iterator[tuple[str, str, Condition]]:
    """Each key as it is written, with a condition that asks nothing else."""
    nothing = Condition(matcher.line, None, None, (), None, "target")
    if matcher.target:
        yield "target", ", ".join(map(str, matcher.target)), nothing
    statuses = matcher.statuses
    if statuses is None and as_match and not matcher.demands:
        statuses = matcher.condition_statuses
    if statuses is not None:
        yield "status", ", ".join(statuses), nothing._replace(statuses=frozenset(statuses), rule="status")
    if matcher.ids:
        yield "id", ", ".join(matcher.ids), nothing._replace(ids=whole.ids, rule="id")
    for clock, limit in matcher.limits:
        yield clock, spell_duration(limit), nothing._replace(limits=((clock, limit),))
    if matcher.retries_over is not None:
        yield "retries_over", str(matcher.retries_over), nothing._replace(retries_over=matcher.retries_over)


def _due_in(task: Task, rules: Rules, now: Millis) -> Millis | None:
    """The first moment at which one more clock runs over its limit and `claim` then says due."""
    if claim(task, rules, now).kind is Kind.DUE:
        return None
    waits = sorted(set(_waits(task, rules, now)))
    return next((wait for wait in waits if claim(task, rules, now + wait).kind is Kind.DUE), None)


def _waits(task: Task, rules: Rules, now: Millis) -> Iterator[Millis]:
    for clock, limit in _limits(rules):
        known = age(clock, task, now, rules.started_time) if task.status in CLOCKS[clock] else None
        if known is not None and known.ms <= limit:
            yield limit - known.ms + 1


def _limits(rules: Rules) -> Iterator[tuple[str, Millis]]:
    for condition in rules.exempt:
        yield from condition.limits
    for clause in rules.clauses:
        for condition in (clause.match, *clause.unless):
            yield from condition.limits
