"""What is asked of a listing, so that calls follow what is overdue and not what is alive.

Only filters that are sound are pushed down: a task that is due is never filtered out.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import NamedTuple

from fc_reaper.evaluator.evaluate import CompiledPolicy, FunctionPolicies
from fc_reaper.models import STOPPING, UNFINISHED, Function, Millis
from fc_reaper.policy import Carried
from fc_reaper.rules.ages import StartedTime

_SLACK: Millis = 1000
"""The clocks may differ by the second in which the cloud tells its time."""


class Query(NamedTuple):
    """One listing: tasks of *function* in *status* that started before a moment (None: at any time).

    `payload` says whether each task comes with what it was invoked with.
    """

    function: Function
    status: str
    started_before: Millis | None
    id_prefix: str
    payload: bool = False


def queries(function: Function, rules: FunctionPolicies, now: Millis) -> list[Query]:
    """The listings that show every task of *function* that could be due or stuck at *now*.

    One per status that some policy cares about, and always one for Stopping: stuck tasks are
    reported in every run. Where policies differ, the weakest filter is used.
    """
    wanted: dict[str, tuple[Millis | None, str]] = {STOPPING: (None, "")}
    with_payload: set[str] = set()
    for clause in rules.every:
        bound = _started_before(clause, now, rules.started_time)
        prefix = _id_prefix(clause)
        for status in clause.match.statuses or ():
            wanted[status] = _weaker(wanted[status], (bound, prefix)) if status in wanted else (bound, prefix)
            if rules.exempt_needs_payload or any(one.needs_payload for one in clause.policy.expressions):
                with_payload.add(status)
    return [
        Query(function, status, *wanted[status], status in with_payload)
        for status in UNFINISHED
        if status in wanted
    ]


def _started_before(clause: CompiledPolicy, now: Millis, started_time: StartedTime) -> Millis | None:
    """`running_for` bounds `startedTime` under every reading of it, since an attempt cannot begin
    before it; the clocks that count from enqueueing only where it is known to be the enqueueing."""
    sound = [
        limit
        for clock, limit in clause.match.limits
        if not isinstance(limit, Carried)  # a task may carry any
        if clock == "running_for" or (started_time == "enqueue" and clock in ("alive_for", "queued_for"))
    ]
    return now - max(sound) + _SLACK if sound else None


def _id_prefix(clause: CompiledPolicy) -> str:
    literal = [re.split(r"[*?]", glob, maxsplit=1)[0] for glob in clause.policy.match.ids]
    return _common_start(literal)


def _weaker(one: tuple[Millis | None, str], other: tuple[Millis | None, str]) -> tuple[Millis | None, str]:
    bound = None if one[0] is None or other[0] is None else max(one[0], other[0])
    return bound, _common_start([one[1], other[1]])


def _common_start(texts: list[str]) -> str:
    """The longest text that all of *texts* begin with; empty when there are none."""
    shortest, longest = min(texts, default=""), max(texts, default="")
    same = takewhile(lambda pair: pair[0] == pair[1], zip(shortest, longest, strict=False))
    return "".join(letter for letter, _ in same)
