"""`explain`: the judgement of `claim`, taken apart into the steps that led to it. Pure, as `claim` is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

from fc_reaper.evaluator.compiled import CompiledPolicy, FunctionPolicies, compile_policies
from fc_reaper.evaluator.evaluate import PolicyResult, claim, evaluate_policy, member_of, stopping_too_long
from fc_reaper.evaluator.moments import moments_of
from fc_reaper.evaluator.outlook import TASK, Outlook, outlook
from fc_reaper.evaluator.select import is_held_out
from fc_reaper.evaluator.verdict import Kind, Member, Verdict
from fc_reaper.evaluator.waiting import due_in
from fc_reaper.models import FINISHED, STOPPING, UNFINISHED, Millis, Task
from fc_reaper.policy import Carried, Limit, Matcher, Policy, PolicyFile, spell_duration
from fc_reaper.rules.ages import StartedTime, inconsistency
from fc_reaper.rules.expression import Expression, spelt, step_into
from fc_reaper.rules.matcher import CompiledMatcher, Moment, RuleResult, evaluate_matcher, ready
from fc_reaper.rules.subject import Subject


class Read(NamedTuple):
    """A field that an expression reads: its path, and what kind of value is there, never the value itself.

    `kind` is in words, such as `text`; None where the field is absent or null.
    """

    path: str
    kind: str | None


class Question(NamedTuple):
    """One key of a matcher, asked of the task by itself.

    `wanted` is what the policy states, in the policy's own words; `finding` has age and limit as numbers.
    `reads` are the fields that it asks for, where it is an expression.
    """

    key: str
    wanted: str
    finding: RuleResult
    reads: tuple[Read, ...] = ()


class Asked(NamedTuple):
    """A whole matcher, asked of the task: key by key, and whether the keys hold together."""

    line: int
    questions: tuple[Question, ...]
    holds: bool | None


class Step(NamedTuple):
    """One policy of the file. `opinion` is None when its targets do not fit, so that it was not asked.

    `place` is the task's place in the population of a `keep` policy, or why it has none; the others decide
    what becomes of it. `grouped` are the fields by which it is told from other groups. `held_out` says
    whether `holdout` spares the task, None where there is none, or where the policy stops nothing anyway.
    `unapproved` says why the lock lets a stop policy only report.
    """

    policy: Policy
    match: Asked | None = None
    unless: tuple[Asked, ...] = ()
    opinion: PolicyResult | None = None
    place: Member | RuleResult | None = None
    grouped: tuple[Read, ...] = ()
    held_out: bool | None = None
    unapproved: str | None = None


class Explanation(NamedTuple):
    """Every step from a task's record to its verdict, in the order in which they are taken.

    `doubt` says what in the record speaks against it. `steps` is empty where the verdict was reached before
    any policy was asked. `verdict` is what a run that looks at everything comes to, `if_named` what a run
    comes to whose event names this very task; neither knows the other tasks, which `keep` needs. `due_in`
    is the time in milliseconds after which the task becomes due if nothing but time goes on; None when it
    is due already, or never will be, `due_by` the policy by which it then is. `outlook` says which steps
    would have to change. `stuck` says whether it has been Stopping for too long, None for a task that is
    not Stopping.
    """

    task: Task
    now: Millis
    doubt: str | None
    exempt: tuple[Asked, ...]
    steps: tuple[Step, ...]
    verdict: Verdict
    if_named: Verdict
    due_in: Millis | None
    outlook: Outlook
    stuck: RuleResult | None
    due_by: str | None = None

    def held_out_by(self, policy: str | None) -> Step | None:
        """The step of the stop policy of that name, if its `holdout` spares the task whenever it is due."""
        return next((one for one in self.steps if one.held_out and one.policy.name == policy), None)

    def counted(self, step: Step) -> Member | None:
        """The task's place in the population of that step's policy, None where a run does not count it."""
        return next((one for one in self.verdict.members if one.policy == step.policy.name), None)


def explain(
    task: Task,
    file: PolicyFile,
    now: Millis,
    *,
    stuck_after: Millis,
    started_time: StartedTime = "unknown",
    ourselves: bool = False,
    unapproved: Mapping[str, str] | None = None,
) -> Explanation:
    """Judge *task*, read by itself, at *now* by all policies whose targets fit.

    *ourselves* is true for a task of the reaper's own function. *unapproved* says why which stop policies may
    only report.
    """
    judged = file.report_only(unapproved or {})
    fitting = [one for one in judged.policies if any(target.fits(task.function) for target in one.targets)]
    every = compile_policies(
        task.function, fitting, file.exempt, started_time=started_time, ourselves=ourselves
    )
    sweeping = _only(every, lambda policy: policy.triggers != (TASK,))
    verdict = claim(task, sweeping, now)
    doubt = inconsistency(task) if task.status not in FINISHED else None
    view = Moment(now, started_time, read=True, facts=Subject(task, now, started_time))
    steps = _steps(file.policies, unapproved or {}, every, task, view)
    wait = due_in(task, sweeping, moments_of((one.policy for one in sweeping.every), file.exempt), now)
    return Explanation(
        task=task,
        now=now,
        doubt=doubt,
        exempt=tuple(_mercies(file.exempt, task, view)),
        steps=tuple(steps) if _was_weighed(task, doubt, verdict) else (),
        verdict=verdict,
        if_named=claim(task, _only(every, lambda policy: policy.fits_trigger(TASK)), now),
        due_in=wait,
        outlook=outlook(task, file, sweeping, now, unapproved or {}),
        stuck=stopping_too_long(task, stuck_after, now) if task.status == STOPPING else None,
        due_by=None if wait is None else claim(task, sweeping, now + wait).policy,
    )


def _only(rules: FunctionPolicies, wanted: Callable[[Policy], bool]) -> FunctionPolicies:
    return rules._replace(
        clauses=tuple(clause for clause in rules.clauses if wanted(clause.policy)),
        keeps=tuple(clause for clause in rules.keeps if wanted(clause.policy)),
        others=tuple(clause for clause in rules.others if wanted(clause.policy)),
    )


def _was_weighed(task: Task, doubt: str | None, verdict: Verdict) -> bool:
    """Whether the policies were asked: an end, an exemption or a doubt comes before them."""
    if verdict.kind is Kind.EXEMPT and not verdict.members:
        return False
    return task.status in UNFINISHED and doubt is None


def _steps(
    policies: Sequence[Policy],
    unapproved: Mapping[str, str],
    rules: FunctionPolicies,
    task: Task,
    view: Moment,
) -> Iterator[Step]:
    clauses = {clause.policy.index: clause for clause in rules.every}
    for policy in policies:
        clause = clauses.get(policy.index)
        step = Step(policy) if clause is None else _weighed(policy, clause, task, view)
        yield step._replace(unapproved=unapproved.get(policy.name))


def _weighed(policy: Policy, clause: CompiledPolicy, task: Task, view: Moment) -> Step:
    match = _asked(policy.match, clause.match, task, view, as_match=True)
    keep = policy.keep
    per = None if keep is None or not isinstance(keep.per, Expression) else keep.per
    return Step(
        policy,
        match,
        tuple(_mercies(policy.unless, task, view)),
        evaluate_policy(clause, task, view),
        None if keep is None else member_of(clause, task, view),
        () if per is None else _reads(per, task, view),
        None
        if policy.holdout is None or not policy.stops
        else is_held_out(task.invocation_id, policy.holdout),
    )


def _mercies(matchers: Iterable[Matcher], task: Task, view: Moment) -> Iterator[Asked]:
    """The matchers that concern the task's function."""
    for matcher in matchers:
        condition = ready(matcher, task.function, as_match=False)
        if condition is not None:
            yield _asked(matcher, condition, task, view, as_match=False)


def _asked(
    matcher: Matcher, condition: CompiledMatcher, task: Task, view: Moment, *, as_match: bool
) -> Asked:
    questions = (
        Question(key, wanted, evaluate_matcher(alone, task, view), _fields(alone, task, view))
        for key, wanted, alone in _keys(matcher, condition, as_match=as_match)
    )
    return Asked(matcher.line, tuple(questions), evaluate_matcher(condition, task, view).holds)


def _keys(
    matcher: Matcher, whole: CompiledMatcher, *, as_match: bool
) -> Iterator[tuple[str, str, CompiledMatcher]]:
    """Each key as it is written, with a condition that asks nothing else."""
    nothing = CompiledMatcher(matcher.line, None, None, (), None, "target")
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
        yield clock, _spelt(limit), nothing._replace(limits=((clock, limit),))
    if matcher.retries_over is not None:
        yield "retries_over", str(matcher.retries_over), nothing._replace(retries_over=matcher.retries_over)
    if matcher.where is not None:
        yield "where", str(matcher.where), nothing._replace(where=matcher.where)


def _spelt(limit: Limit) -> str:
    if not isinstance(limit, Carried):
        return spell_duration(limit)
    other = "" if limit.otherwise is None else f", else {spell_duration(limit.otherwise)}"
    return f"from {limit.expression}, at most {spell_duration(limit.at_most)}{other}"


def _fields(condition: CompiledMatcher, task: Task, view: Moment) -> tuple[Read, ...]:
    """What the one expression of *condition* reads, if it has one."""
    limits = (limit.expression for _, limit in condition.limits if isinstance(limit, Carried))
    expression = condition.where or next(limits, None)
    return () if expression is None else _reads(expression, task, view)


def _reads(expression: Expression, task: Task, view: Moment) -> tuple[Read, ...]:
    from fc_reaper.rules.asking import kind_of

    subject: Any = (view.facts or Subject(task, view.now, view.started_time)).subject(expression)
    found = ((path, reduce(step_into, path, subject)) for path in expression.paths)
    return tuple(Read(spelt(path) or "@", None if value is None else kind_of(value)) for path, value in found)
