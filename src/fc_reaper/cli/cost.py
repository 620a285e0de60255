"""What a policy costs in calls, told before any call is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fc_reaper.judge.claim import rules_for
from fc_reaper.judge.clocks import StartedTime
from fc_reaper.model import STOPPING, Function, Millis
from fc_reaper.policy import Matcher, Policy, PolicyFile
from fc_reaper.sweep.queries import Query, queries
from fc_reaper.sweep.scope import scope_of
from fc_reaper.trigger import Ask, Narrowing

_SOME_DAY: Millis = 1_700_000_000_000
"""Any moment will do: a query is asked only for how far before it tasks must have started."""


class Cost(NamedTuple):
    """The calls that one policy makes for each function and run.

    `everything` are the statuses of which all tasks are listed, `overdue` those of which only tasks that
    started longer ago than a limit are, by status with the limit in milliseconds (a second less than the
    policy's own). `id_prefix` is what the ids that are listed begin with.
    """

    policy: Policy
    everything: tuple[str, ...]
    overdue: tuple[tuple[str, Millis], ...]
    id_prefix: str
    only_task: bool
    discovers: bool

    @property
    def follows_overdue(self) -> bool:
        """Whether the number of calls grows with what is overdue, and not with what is alive."""
        return not self.everything


def costs(file: PolicyFile, started_time: StartedTime) -> list[Cost]:
    """The cost of each policy by itself, in the order of the file."""
    return [_cost(policy, file.exempt, started_time) for policy in file.policies]


def idle_calls(file: PolicyFile, started_time: StartedTime) -> int:
    """Listings that a timer makes of all literal targets when nothing is alive, one call each."""
    scope = scope_of([Ask("timer", None, Narrowing(), "")], file.policies)
    return sum(
        len(_queries(function, scope.policies(function), file.exempt, started_time))
        for function in scope.functions(())
    )


def generations(file: PolicyFile) -> Iterator[str]:
    """The generations of Function Compute that must be asked which functions exist."""
    patterns = [target for one in file.policies for target in one.targets if target.needs_discovery]
    if any(target.service is not None for target in patterns):
        yield "FC 2.0"
    if any(target.service is None for target in patterns):
        yield "FC 3.0"


def _cost(policy: Policy, exempt: Sequence[Matcher], started_time: StartedTime) -> Cost:
    target = policy.targets[0]
    asked = [
        one
        for one in _queries(Function(*target), [policy], exempt, started_time)
        if one.status != STOPPING or STOPPING in policy.match.condition_statuses
    ]
    bounded = [
        (one.status, _SOME_DAY - one.started_before) for one in asked if one.started_before is not None
    ]
    return Cost(
        policy=policy,
        everything=tuple(one.status for one in asked if one.started_before is None),
        overdue=tuple(bounded),
        id_prefix=next((one.id_prefix for one in asked), ""),
        only_task=policy.triggers == ("task",),
        discovers=any(one.needs_discovery for one in policy.targets),
    )


def _queries(
    function: Function, policies: Sequence[Policy], exempt: Sequence[Matcher], started_time: StartedTime
) -> list[Query]:
    fitting = [one for one in policies if any(target.fits(function) for target in one.targets)]
    return queries(function, rules_for(function, fitting, exempt, started_time=started_time), _SOME_DAY)
