"""By what the tasks of one function are judged in one run: the policies, made ready."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fc_reaper.models import Function
from fc_reaper.policy import Matcher, Policy
from fc_reaper.rules.ages import StartedTime
from fc_reaper.rules.matcher import CompiledMatcher, ready


class CompiledPolicy(NamedTuple):
    """One policy made ready for one function.

    `asked` is False where the run is about other functions and the tasks of this one are only counted.
    """

    policy: Policy
    match: CompiledMatcher
    unless: tuple[CompiledMatcher, ...]
    asked: bool = True


class FunctionPolicies(NamedTuple):
    """All that the tasks of one function are judged by in one run.

    `ourselves` is true for the reaper's own function, whose tasks are always exempt. `keeps` are the
    clauses of `keep` policies, `clauses` all the others, and `others` those stop policies which are not asked
    about this function: nobody is due by them, but who is theirs counts for no `keep` policy. `asks` says
    whether any of them asks an expression.
    """

    exempt: tuple[CompiledMatcher, ...]
    clauses: tuple[CompiledPolicy, ...]
    started_time: StartedTime = "unknown"
    ourselves: bool = False
    keeps: tuple[CompiledPolicy, ...] = ()
    others: tuple[CompiledPolicy, ...] = ()
    asks: bool = False
    exempt_needs_payload: bool = False

    @property
    def every(self) -> tuple[CompiledPolicy, ...]:
        """The clauses by which a task may come to be due, those of `keep` policies last."""
        return (*self.clauses, *self.keeps)


def compile_policies(
    function: Function,
    policies: Sequence[Policy],
    exempt: Sequence[Matcher],
    *,
    started_time: StartedTime = "unknown",
    ourselves: bool = False,
    counted: Sequence[Policy] = (),
) -> FunctionPolicies:
    """Prepare *policies*, which all concern *function*, for judging its tasks.

    For *counted* the tasks of *function* only count: `keep` policies, and stop policies that they belong to.
    """
    clauses: list[CompiledPolicy] = []
    for policy, asked in (*((one, True) for one in policies), *((one, False) for one in counted)):
        match = ready(policy.match, function, as_match=True)
        if match is not None:
            clauses.append(CompiledPolicy(policy, match, _conditions(policy.unless, function), asked))
    return FunctionPolicies(
        _conditions(exempt, function),
        tuple(clause for clause in clauses if clause.policy.keep is None and clause.asked),
        started_time,
        ourselves,
        tuple(clause for clause in clauses if clause.policy.keep is not None),
        tuple(one for one in clauses if one.policy.withholds and not (one.asked and one.policy.stops)),
        asks=any(matcher.expressions for matcher in exempt) or any(one.policy.expressions for one in clauses),
        exempt_needs_payload=any(one.needs_payload for matcher in exempt for one in matcher.expressions),
    )


def _conditions(matchers: Sequence[Matcher], function: Function) -> tuple[CompiledMatcher, ...]:
    prepared = (ready(matcher, function, as_match=False) for matcher in matchers)
    return tuple(condition for condition in prepared if condition is not None)
