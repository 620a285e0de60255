"""`explain`: the steps to a verdict, with their numbers, and the time until the task is due. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, Field, PlainSerializer, SkipValidation

from fc_reaper.evaluator import evaluate as evaluator
from fc_reaper.evaluator.evaluate import FunctionPolicies, compile_policies, evaluate
from fc_reaper.evaluator.select import is_held_out
from fc_reaper.models import FINISHED, Millis, Moment, Task
from fc_reaper.policy import Keep, Matcher, Policy, PolicyFile
from fc_reaper.rules.ages import Bounds, Reading, StartedTime
from fc_reaper.rules.fields import CarriedLimit, spell_share
from fc_reaper.rules.result import FALSE, TRUE, UNKNOWN, Kind, Member, RuleResult, Truth, Verdict
from fc_reaper.rules.rules import Clock, Rule, StatusRule, Until, carried_limit


def _verdict(verdict: Verdict) -> dict[str, Any]:
    named = {name: getattr(verdict, name) for name in ("policy", "owner", "reason", "line", "also")}
    return {"kind": verdict.kind.value, **named, **verdict.spared_by, **verdict.by.fields()}


def _record(task: Task) -> dict[str, Any]:
    return {
        **task.function._asdict(),
        **{name: getattr(task, name) for name in ("invocation_id", "status", "retries", "inconsistency")},
        "started_time_ms": task.started_at,
        "events": [{"at_ms": event.at, "status": event.status} for event in task.events],
    }


@dataclass
class Step:
    """One condition of an exemption or of a *policy*, with its result by itself.

    `holds` is None where that is unknown; `said` is why, or what was measured, which `numbers` has as values.
    """

    name: str
    policy: str | None
    line: int
    condition: str
    numbers: Annotated[RuleResult, SkipValidation, PlainSerializer(RuleResult.fields)]
    said: str = ""
    holds: bool | None = None

    def __post_init__(self) -> None:
        by = self.numbers
        self.holds = by.holds.value
        self.said = self.said or (by.why if by.holds is UNKNOWN else by.measured)


class Explanation(BaseModel):
    """Every step from a task's record to its verdict, in their order.

    Without steps of a policy the verdict was reached before any. `verdict` is that of a run over everything
    that does not know the other tasks, which `keep` needs. `due_in` is the time after which the task becomes
    due if nothing else happens; None if it is due already or never will be. `stuck`: it has been Stopping for
    too long.
    """

    source: str
    now: Annotated[Millis, Field(serialization_alias="now_ms")]
    task: Annotated[Task, SkipValidation, PlainSerializer(_record), Field(serialization_alias="record")]
    steps: list[Step]
    verdict: Annotated[Verdict, SkipValidation, PlainSerializer(_verdict)]
    due_in: Annotated[
        Millis | None,
        PlainSerializer(lambda wait: wait and wait / 1000),
        Field(serialization_alias="due_in_s"),
    ]
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
    unapproved, function = unapproved or {}, task.function
    policies = [one for one in file.report_only(unapproved).policies if one.watches(function)]
    policies = [one for one in policies if not one.only_named]
    compiled = compile_policies(
        function, policies, file.exempt, started_time=started_time, own_function=own_function
    )
    verdict = evaluate(task, compiled, moment)
    reading = Reading(task, moment, started_time, read=True)
    steps = list(_matchers("exempt", None, file.exempt, reading))
    # An end, an exemption or an inconsistent record decides before any policy.
    if reading.flaw is None and (verdict.kind is not Kind.EXEMPT or verdict.members):
        members = {one.policy: one for one in verdict.members}
        for one in file.policies:
            steps += _policy(one, reading, members.get(one.name), unapproved.get(one.name))
    return Explanation(
        source=file.source,
        now=moment.earliest,
        task=task if task.status in FINISHED else task._replace(inconsistency=reading.flaw),
        steps=steps,
        verdict=verdict,
        due_in=due_in(reading, compiled, Changes.of(compiled)),
        stuck=evaluator.stopping_too_long(task, stuck_after, moment).holds is TRUE,
    )


def _matchers(name: str, policy: str | None, matchers: Iterable[Matcher], reading: Reading) -> Iterator[Step]:
    """A step for each key of the matchers that concern the task's function."""
    for matcher in dict.fromkeys(matchers):
        rules = matcher.rules
        if not all(rule.concerns(reading.task.function) for rule in rules):
            continue
        if name == "match" and all(rule.statuses is None for rule in rules):
            # A `match` without any word on status means these.
            rules = (StatusRule(matcher.match_statuses), *rules)
        for rule in rules:
            by = RuleResult(UNKNOWN, rule.key, why=reading.flaw or "")
            if reading.flaw is None or rule.by_name:
                by = rule.evaluate(reading.task, reading)
            yield Step(name, policy, matcher.line, f"{rule.key}: {rule}", by)


def _policy(
    policy: Policy, reading: Reading, member: Member | None, not_approved: str | None
) -> Iterator[Step]:
    """The steps of one policy; *member* is the task's place where a run counts it, for all policies."""
    name, line, function = policy.name, policy.line, reading.task.function
    does = policy.does if not_approved is None else "stop, not approved"
    only = f", only by {' or '.join(policy.triggers)}" if policy.triggers else ""
    watches = Truth(policy.watches(function))
    fits = "its targets fit" if watches is TRUE else f"its targets are {', '.join(map(str, policy.targets))}"
    yield Step("policy", name, line, f"{name} ({does}{only})", RuleResult(watches), fits)
    if watches is not TRUE:
        return
    yield from _matchers("match", name, [policy.match], reading)
    yield from _matchers("unless", name, policy.unless, reading)
    if policy.keep is not None:
        (compiled,) = compile_policies(function, [policy], ()).every
        place = evaluator.membership(compiled, reading, *evaluator.evaluate_policy(compiled, reading))
        if member is not None:
            counts = RuleResult(TRUE), f"it counts{'' if member.selectable else ', and is never stopped'}"
        elif isinstance(place, RuleResult):
            counts = place, place.why or "it does not count"
        else:
            counts = RuleResult(FALSE), "it does not count: another policy decides"
        yield Step("keep", name, line, keep_text(policy.keep), *counts)
    if policy.stops and policy.holdout is not None:
        held_out = RuleResult(Truth(is_held_out(reading.task.invocation_id, policy.holdout)))
        yield Step("holdout", name, line, f"{spell_share(policy.holdout)} of all ids are spared", held_out)
    if not_approved is not None:
        yield Step("lock", name, line, "approved", RuleResult(FALSE), not_approved)


def keep_text(keep: Keep) -> str:
    """What a `keep` says, in words."""
    per = "" if keep.per is None else f" for each {keep.per}"
    return f"at most {keep.at_most}{per}, {keep.stop_first} go first"


class Changes(NamedTuple):
    """What verdicts depend on as time goes on: `limits` by clock, or, with `any_time`, on every moment."""

    limits: tuple[tuple[str, Millis | CarriedLimit], ...]
    any_time: bool

    @classmethod
    def of(cls, policies: FunctionPolicies) -> "Changes":
        """All that may change a verdict by *policies*."""
        matchers = [*policies.exempt, *(each for one in policies.every for each in (one.match, *one.unless))]
        rules = [rule for matcher in matchers for rule in matcher.rules]
        limits = [(rule.key, rule.wanted) for rule in rules if isinstance(rule, (Clock, Until))]
        parts: list[Rule | Policy] = [*rules, *(one.policy for one in policies.every)]
        limits += [age for part in parts for one in part.expressions for age in one.ages]
        any_time = any(not rule.timeless and not isinstance(rule, Clock) for rule in rules)
        return cls(tuple(dict.fromkeys(limits)), any_time)

    def after(self, reading: Reading) -> Iterator[Millis]:
        """How much later the verdict may change if nothing happens to the task, in no order."""
        for clock, limit in self.limits:
            began = Bounds(0, 0) if clock == Until.key else reading.bounds(clock)  # since 1970
            if isinstance(limit, CarriedLimit):
                carried = carried_limit(limit, reading)
                if isinstance(carried, RuleResult):
                    continue
                limit = carried[0]
            for now, start in zip(reading.moment[:2], (began.latest, began.earliest), strict=True):
                if start is not None and start + limit >= now:
                    yield start + limit + 1 - now


def due_in(reading: Reading, policies: FunctionPolicies, changes: Changes) -> Millis | None:
    """The time until `evaluate` says due for the first time; None when it does now, or never."""
    for wait in (0, *sorted(set(changes.after(reading)))):
        if evaluate(reading.task, policies, reading.moment.later(wait)).kind is Kind.DUE:
            return wait or None
    return None
