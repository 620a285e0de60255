"""Which steps would have to come out otherwise for a task to be judged otherwise. Pure.

Nothing is said that was not tried: each step is turned by itself, and the task judged once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from fc_reaper.evaluator.compiled import CompiledPolicy, FunctionPolicies
from fc_reaper.evaluator.evaluate import claim, evaluate_policy
from fc_reaper.evaluator.verdict import Kind
from fc_reaper.models import FINISHED, UNFINISHED, Millis, Task
from fc_reaper.policy import CLOCKS, Policy, PolicyFile
from fc_reaper.rules.ages import inconsistency
from fc_reaper.rules.matcher import CompiledMatcher, Moment, evaluate_matcher

APPROVED, EXEMPT, UNLESS, MATCH = "approved", "exempt", "unless", "match"

TASK = "task"
"""The trigger of an event that names one task by its invocation id."""

_NEVER = frozenset[str]()
"""Statuses of a condition that no task fits."""


class Change(NamedTuple):
    """One step that would have to come out otherwise.

    `part` is `match` (then `key` is the key of it), `unless`, `exempt`, or `approved` (lock). `number` is
    the place of a mercy among those that concern the function. `holds` is what it would have to be.
    """

    part: str
    line: int
    holds: bool
    policy: Policy | None = None
    key: str = ""
    number: int = 0


class Outlook(NamedTuple):
    """How a task that is due would be kept, and how any other would be due.

    Each of `ways` is enough by itself, and all its changes are needed; the shortest come first. Where there
    is none, `why` says what stands before every step.
    """

    towards: Kind
    ways: tuple[tuple[Change, ...], ...] = ()
    why: str = ""


def outlook(
    task: Task, file: PolicyFile, rules: FunctionPolicies, now: Millis, unapproved: Mapping[str, str]
) -> Outlook:
    """Find the steps that would have to change. *rules* are those of a run that looks at everything."""
    view = Moment(now, rules.started_time, read=True)
    if claim(task, rules, now).kind is Kind.DUE:
        ways = [way for way in _out(task, rules, view) if _comes_to(task, rules, way, now) is not Kind.DUE]
        return Outlook(Kind.KEPT, tuple(ways))
    why = _beyond_reach(task, rules)
    if why:
        return Outlook(Kind.DUE, (), why)
    ways = [
        way
        for way in _in(task, file, rules, view, unapproved)
        if _comes_to(task, rules, way, now) is Kind.DUE
    ]
    # Where one policy claims it already, what stands before another's claim as well need not change.
    needed = [way for way in ways if not any(set(other) < set(way) for other in ways)]
    return Outlook(
        Kind.DUE, tuple(sorted(needed, key=len)), "" if ways else _why_none(task, file, rules, view)
    )


def _beyond_reach(task: Task, rules: FunctionPolicies) -> str:
    """What no step of a policy can change."""
    if task.status in FINISHED and task.inconsistency is None:
        return f"it is {task.status} already"
    if rules.ourselves:
        return "it is the reaper's own, which it never stops"
    doubt = inconsistency(task)
    if doubt is not None:
        return f"its record would have to be sound: {doubt}"
    return "" if task.status in UNFINISHED else f"nobody here knows the status {task.status!r}"


def _why_none(task: Task, file: PolicyFile, rules: FunctionPolicies, view: Moment) -> str:
    """Why there is no way: nothing stops tasks of its function by itself."""
    stops = [policy for policy in file.policies if policy.stops]
    keeps = [one for one in rules.keeps if any(one.policy.index == policy.index for policy in stops)]
    if keeps:
        return _why_not_chosen(keeps, task, rules, view)
    fitting = [one for one in stops if any(target.fits(task.function) for target in one.targets)]
    if any(policy.triggers == (TASK,) for policy in fitting):
        return "only an event that names it runs a stop policy that looks for it"
    return "no stop policy looks for tasks of its function"


def _why_not_chosen(
    keeps: Sequence[CompiledPolicy], task: Task, rules: FunctionPolicies, view: Moment
) -> str:
    """What stands before the others, of whom `keep` makes everything else depend."""
    only = "only `keep` could choose it"
    exempt = [evaluate_matcher(mercy, task, view).holds for mercy in rules.exempt]
    if True in exempt:
        return f"it is exempt, and without that {only}"
    if None in exempt:
        return f"nobody can tell whether it is exempt, and if it is not, {only}"
    opinions = [evaluate_policy(clause, task, view) for clause in keeps]
    if any(one.holds for one in opinions):
        approved = any(one.holds and one.clause.policy.stops for one in opinions)
        return f"{only}, and there the other tasks decide" if approved else f"{only}, which is not approved"
    if any(one.spared_by is not None and one.holds is False for one in opinions):
        return f"`unless` spares it, and without that {only}"
    if any(one.holds is None for one in opinions):
        return f"{only}, and nobody can tell whether it counts there"
    return f"{only}, and it does not match"


def _comes_to(task: Task, rules: FunctionPolicies, way: Iterable[Change], now: Millis) -> Kind:
    return claim(task, turned(rules, way), now).kind


def _out(task: Task, rules: FunctionPolicies, view: Moment) -> Iterator[tuple[Change, ...]]:
    """Every stop that claims it must let go, or an exemption must hold."""
    claiming = [one for one in rules.clauses if one.policy.stops and evaluate_policy(one, task, view).holds]
    yield tuple(_binding(one, task, view) for one in claiming)
    if len(claiming) == 1:
        clause = claiming[0]
        for number, mercy in enumerate(clause.unless):
            yield (Change(UNLESS, mercy.line, True, clause.policy, number=number),)
    for number, mercy in enumerate(rules.exempt):
        yield (Change(EXEMPT, mercy.line, True, number=number),)


def _binding(clause: CompiledPolicy, task: Task, view: Moment) -> Change:
    """The key of `match` that decides: the limit that is exceeded least."""
    rule = evaluate_policy(clause, task, view).finding.rule or ""
    keys = list(_parts(clause.match))
    key = rule if rule in keys else next(iter(keys), "status")
    return Change(MATCH, clause.match.line, False, clause.policy, key)


def _in(
    task: Task, file: PolicyFile, rules: FunctionPolicies, view: Moment, unapproved: Mapping[str, str]
) -> Iterator[tuple[Change, ...]]:
    """For each stop, all that stands between the task and its claim."""
    exempt = tuple(
        Change(EXEMPT, mercy.line, False, number=number)
        for number, mercy in enumerate(rules.exempt)
        if evaluate_matcher(mercy, task, view).holds is not False
    )
    stops = {policy.index for policy in file.policies if policy.stops}
    for clause in rules.clauses:
        if clause.policy.index in stops:
            policy = clause.policy
            lock = (Change(APPROVED, policy.line, True, policy),) if policy.name in unapproved else ()
            yield (*exempt, *lock, *_blocking(clause, task, view))


def _blocking(clause: CompiledPolicy, task: Task, view: Moment) -> Iterator[Change]:
    for key, alone in _parts(clause.match).items():
        if not evaluate_matcher(alone, task, view).holds:
            yield Change(MATCH, clause.match.line, True, clause.policy, key)
    for number, mercy in enumerate(clause.unless):
        if evaluate_matcher(mercy, task, view).holds is not False:
            yield Change(UNLESS, mercy.line, False, clause.policy, number=number)


def _parts(whole: CompiledMatcher) -> dict[str, CompiledMatcher]:
    """The keys that a condition asks, each by itself; statuses only where no other key implies them."""
    nothing = CompiledMatcher(whole.line, None, None, (), None, "target")
    parts = {clock: nothing._replace(limits=((clock, limit),)) for clock, limit in whole.limits}
    if whole.retries_over is not None:
        parts["retries_over"] = nothing._replace(retries_over=whole.retries_over)
    if whole.where is not None:
        parts["where"] = nothing._replace(where=whole.where)
    if whole.ids is not None:
        parts["id"] = nothing._replace(ids=whole.ids)
    if whole.statuses is not None and not _implied(whole):
        parts["status"] = nothing._replace(statuses=whole.statuses)
    return parts


def _implied(whole: CompiledMatcher) -> bool:
    """Whether the statuses of a `match` are only those in which its clocks can hold."""
    clocks = [frozenset(CLOCKS[clock]) for clock, _ in whole.limits]
    return bool(clocks) and frozenset.intersection(*clocks) == whole.statuses


def turned(rules: FunctionPolicies, way: Iterable[Change]) -> FunctionPolicies:
    """*rules* in which each step of *way* comes out as it would have to."""
    for change in way:
        if change.part == EXEMPT:
            rules = rules._replace(exempt=_with(rules.exempt, change))
        else:
            clauses = (_turned(one, change) if _is_of(one, change) else one for one in rules.clauses)
            rules = rules._replace(clauses=tuple(clauses))
    return rules


def _is_of(clause: CompiledPolicy, change: Change) -> bool:
    return change.policy is not None and clause.policy.index == change.policy.index


def _turned(clause: CompiledPolicy, change: Change) -> CompiledPolicy:
    if change.part == APPROVED:
        return clause._replace(policy=replace(clause.policy, stops=True))
    if change.part == UNLESS:
        return clause._replace(unless=_with(clause.unless, change))
    match = clause.match
    return clause._replace(match=_without(match, change.key) if change.holds else _nobody(match))


def _with(mercies: Sequence[CompiledMatcher], change: Change) -> tuple[CompiledMatcher, ...]:
    """*mercies*, one of which holds for every task, or for none."""
    everybody = CompiledMatcher(change.line, None, None, (), None, "target")
    new = everybody if change.holds else _nobody(everybody)
    return tuple(new if number == change.number else one for number, one in enumerate(mercies))


def _nobody(condition: CompiledMatcher) -> CompiledMatcher:
    return condition._replace(statuses=_NEVER)


def _without(match: CompiledMatcher, key: str) -> CompiledMatcher:
    """*match*, which no longer asks for *key*; nor for the statuses that only that key was about."""
    dropped: dict[str, Any] = {"id": {"ids": None}, "where": {"where": None}, "status": {"statuses": None}}
    if key in dropped:
        return match._replace(**dropped[key])
    if key == "retries_over":
        return match._replace(retries_over=None, statuses=None if _implied(match) else match.statuses)
    limits = tuple(one for one in match.limits if one[0] != key)
    return match._replace(limits=limits, statuses=None if _implied(match) else match.statuses)
