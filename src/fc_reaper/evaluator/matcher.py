"""A matcher compiled for one function: its rules are joined by and, with three values."""

from __future__ import annotations

from typing import NamedTuple

from fc_reaper.models import Function, Millis, Task
from fc_reaper.policy import Matcher
from fc_reaper.rules.ages import StartedTime
from fc_reaper.rules.rules import Moment, PushDown, Rule, RuleResult, StatusRule, TargetRule


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


def evaluate_matcher(matcher: CompiledMatcher, task: Task, moment: Moment) -> RuleResult:
    """Evaluate every rule of *matcher*: one that does not hold settles it, else one unknown is an unknown."""
    if matcher.statuses is not None and task.status not in matcher.statuses:
        return RuleResult(False, "status")
    binding: RuleResult | None = None
    unknown: RuleResult | None = None
    for rule in matcher.rules:
        result = rule.evaluate(task, moment)
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
