"""What a policy costs in calls and why, told before any call is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fc_reaper.cloud.client import WITH_PAYLOAD
from fc_reaper.evaluator.evaluate import compile_policies
from fc_reaper.models import STOPPING, Function, Millis
from fc_reaper.policy import Matcher, Policy, PolicyFile
from fc_reaper.rules.ages import StartedTime
from fc_reaper.rules.expression import AGES, Expression
from fc_reaper.rules.fields import CarriedLimit
from fc_reaper.sweep.scanner import Query, queries

PAGE = WITH_PAYLOAD
"""Tasks that one call lists where each brings its payload."""

MOST_PAYLOAD = 128 * 1024
"""Bytes that an asynchronous invocation may carry:
https://alibabacloud.com/help/zh/functioncompute/fc-2-0/product-overview/limits"""

_SOME_DAY: Millis = 1_700_000_000_000
"""Any moment will do: a query is asked only for how far before it tasks must have started."""


class Cost(NamedTuple):
    """The calls that one policy makes for each function and run.

    `everything` are the statuses of which all tasks are listed, `overdue` those of which only tasks that
    started longer ago than a limit are, by status with the limit in milliseconds (a second less than the
    policy's own). `id_prefix` is what the ids that are listed begin with. `payload` says whether each listed
    task brings what it was invoked with. `whys` are sentences, each about one thing that costs.
    """

    policy: Policy
    everything: tuple[str, ...]
    overdue: tuple[tuple[str, Millis], ...]
    id_prefix: str
    only_task: bool
    discovers: bool
    payload: bool
    whys: tuple[str, ...]

    @property
    def follows_overdue(self) -> bool:
        """Whether the number of calls grows with what is overdue, and not with what is alive."""
        return not self.everything

    @property
    def page_bytes(self) -> int | None:
        """How large a page can get by its payloads, None where it brings none or nothing is listed."""
        return PAGE * MOST_PAYLOAD if self.payload and not self.only_task else None


def costs(file: PolicyFile, started_time: StartedTime) -> list[Cost]:
    """The cost of each policy by itself, in the order of the file."""
    return [_cost(policy, file.exempt, started_time) for policy in file.policies]


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
        for one in questions(Function(*target), [policy], exempt, started_time)
        if one.status != STOPPING or STOPPING in policy.match.match_statuses
    ]
    bounded = [
        (one.status, _SOME_DAY - one.started_before) for one in asked if one.started_before is not None
    ]
    everything = tuple(one.status for one in asked if one.started_before is None)
    only_task = policy.triggers == ("task",)
    payload = any(one.payload for one in asked)
    return Cost(
        policy=policy,
        everything=everything,
        overdue=tuple(bounded),
        id_prefix=next((one.id_prefix for one in asked), ""),
        only_task=only_task,
        discovers=any(one.needs_discovery for one in policy.targets),
        payload=payload,
        whys=tuple(_whys(policy, exempt, started_time, everything=bool(everything), payload=payload)),
    )


def _whys(
    policy: Policy, exempt: Sequence[Matcher], started_time: StartedTime, *, everything: bool, payload: bool
) -> Iterator[str]:
    only_task = policy.triggers == ("task",)
    if only_task:
        yield (
            "Only an event that names a task runs it: nothing is listed for it, and the task is read, 1 call "
            "for each function that the event may mean."
        )
    elif everything:
        yield _why_everything(policy, started_time)
    if payload:
        reading = [one for one in _asked(policy, exempt) if one.needs_payload]
        yield f"{_spoken(reading)} reads the payload: {_bringing(only_task)}. Nothing of it is logged."
    if not only_task and any(one.needs_ages for one in _asked(policy, exempt)):
        yield f"{AGES} is asked of dated events: a listed task without them is read by itself, one call each."
    yield from _before_stops(policy)


def _bringing(only_task: bool) -> str:
    if only_task:
        return "the task that is read brings its own, up to 128 KB"
    size = PAGE * MOST_PAYLOAD / 1024**2
    return f"every listed task brings its own, up to 128 KB, so a page of {PAGE} can be {size:.1f} MB"


def _before_stops(policy: Policy) -> Iterator[str]:
    keep = policy.keep
    if keep is not None and policy.stops:
        calls = "1 call" if keep.at_most == 1 else f"up to {keep.at_most} calls"
        yield f"Before the stops of a group those who stay in it are read again: {calls} a group."
    if policy.per_day is not None and policy.stops:
        yield (
            "Only when something is due, Stopped and Stopping tasks of each function are listed, to count "
            "those of the day: calls follow all such records that are kept, until "
            f"{policy.per_day} are found."
        )


def _why_everything(policy: Policy, started_time: StartedTime) -> str:
    """Why the cloud cannot be asked for what is overdue alone."""
    if policy.keep is not None:
        return "`keep` must see all that matches, so everything in those statuses is listed."
    carried = [clock for clock, limit in policy.match.limits if isinstance(limit, CarriedLimit)]
    clocks = [clock for clock, limit in policy.match.limits if not isinstance(limit, CarriedLimit)]
    if set(clocks) & {"alive_for", "queued_for"} and started_time != "enqueue":
        clock = next(clock for clock in clocks if clock in ("alive_for", "queued_for"))
        return (
            f"{clock} counts from enqueueing, and startedTime may be another moment: everything is listed. "
            "If it is that of enqueueing in this account, set REAPER_STARTED_TIME=enqueue."
        )
    if carried:
        return f"Each task carries its own limit for {carried[0]}, so all of them must be seen."
    if "stopping_for" in clocks:
        return "No listing can be asked for how long a task is Stopping, so all of those are listed."
    return "No listing can be asked for that, so everything in those statuses is listed."


def _asked(policy: Policy, exempt: Sequence[Matcher]) -> list[Expression]:
    return [*policy.expressions, *(one for matcher in exempt for one in matcher.expressions)]


def _spoken(expressions: Sequence[Expression]) -> str:
    texts = list(dict.fromkeys(str(one) for one in expressions))
    shown = texts[0] if len(texts[0]) <= 40 else f"{texts[0][:37]}..."
    return f"`{shown}`" if len(texts) == 1 else f"`{shown}` (and {len(texts) - 1} more)"


def questions(
    function: Function, policies: Sequence[Policy], exempt: Sequence[Matcher], started_time: StartedTime
) -> list[Query]:
    """The listings of *function* in a run of *policies*, of which some may be about other functions."""
    fitting = [one for one in policies if any(target.fits(function) for target in one.targets)]
    return queries(
        function, compile_policies(function, fitting, exempt, started_time=started_time), _SOME_DAY
    )
