"""When a verdict may change although nothing happens to the task: a clock passes a limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import floor
from typing import Any, NamedTuple

from fc_reaper.models import Millis, Moment, Task
from fc_reaper.policy import Matcher, Policy
from fc_reaper.rules.ages import CLOCKS, StartedTime, age
from fc_reaper.rules.expression import AGES, Expression
from fc_reaper.rules.fields import CarriedLimit
from fc_reaper.rules.rules import Clock, Reading, carried_limit

_LONGEST = 10**11
"""Seconds that no task lives."""


class Moments(NamedTuple):
    """What the verdict on a task depends on as time goes on.

    `limits` are the lengths, by clock, after which a result may change; a task may carry its own. `any_time`
    says that a rule or an expression uses the time in another way, so that any moment may count.
    """

    limits: tuple[tuple[str, Millis | CarriedLimit], ...]
    any_time: bool

    def after(self, task: Task, now: Millis, started_time: StartedTime) -> Iterator[Millis]:
        """The moments after *now*, in no order, at which the verdict on *task* as it is may change."""
        reading = Reading(Moment.exactly(now), started_time, read=True)
        for clock, limit in self.limits:
            known = age(clock, task, now, started_time) if task.status in CLOCKS[clock] else None
            length = carried_limit(limit, task, reading) if isinstance(limit, CarriedLimit) else limit
            if known is not None and isinstance(length, int) and length >= known.ms:
                yield now + length + 1 - known.ms


def moments_of(policies: Iterable[Policy], exempt: Iterable[Matcher]) -> Moments:
    """All that may change the verdict on a task by *policies* and *exempt*."""
    policies, exempt = list(policies), list(exempt)
    matchers = [*exempt, *(matcher for policy in policies for matcher in (policy.match, *policy.unless))]
    rules = [rule for matcher in matchers for rule in matcher.rules]
    expressions = [one for matcher in exempt for one in matcher.expressions]
    expressions += [one for policy in policies for one in policy.expressions]
    compared = [_compared_ages(one.tree) for one in dict.fromkeys(expressions)]
    limits = [limit for matcher in matchers for limit in matcher.limits]
    return Moments(
        limits=tuple(dict.fromkeys((*limits, *(one for found in compared for one in found or ())))),
        any_time=None in compared or any(not rule.timeless and not isinstance(rule, Clock) for rule in rules),
    )


def _compared_ages(node: Any) -> list[tuple[str, Millis]] | None:
    """The ages after which comparisons with a number may change; None where ages are used in another way."""
    if not isinstance(node, Mapping) or not Expression("", node).needs_ages:
        return []
    if node["type"] == "comparator":
        for one, other in (node["children"], node["children"][::-1]):
            clock, seconds = _clock(one), other.get("value") if other["type"] == "literal" else None
            if clock is not None and isinstance(seconds, (int, float)) and 0 <= seconds < _LONGEST:
                near = floor(seconds * 1000)
                return [(clock, length) for length in range(near - 2, near + 2)]
    parts = [_compared_ages(child) for child in node["children"]]
    return None if not parts or None in parts else [one for part in parts for one in part or ()]


def _clock(node: Mapping[str, Any]) -> str | None:
    """The clock of a plain `ages.CLOCK`."""
    names = [child.get("value") for child in node["children"] if child["type"] == "field"]
    plain = node["type"] == "subexpression" and len(node["children"]) == len(names) == 2 and names[0] == AGES
    return names[1] if plain and names[1] in CLOCKS else None
