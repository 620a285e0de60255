"""When a verdict may change although nothing happens to the task: a clock passes a limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import floor
from typing import Any, NamedTuple

from fc_reaper.models import Millis, Task
from fc_reaper.policy import Matcher, Policy
from fc_reaper.rules.ages import CLOCKS, StartedTime, age
from fc_reaper.rules.expression import AGES, Expression
from fc_reaper.rules.fields import CarriedLimit
from fc_reaper.rules.rules import Clock, Moment, carried_limit

_LONGEST = 10**11
"""Seconds that no task lives."""


class Moments(NamedTuple):
    """What the verdict on a task depends on as time goes on.

    `ages` are the ages, by clock, at which a result may change; `carried` are the limits that tasks carry.
    `any_time` says that a rule or an expression uses the time in another way, so that any moment may count.
    """

    ages: tuple[tuple[str, Millis], ...]
    carried: tuple[tuple[str, CarriedLimit], ...]
    any_time: bool

    def after(self, task: Task, now: Millis, started_time: StartedTime) -> Iterator[Millis]:
        """The moments after *now*, in no order, at which the verdict on *task* as it is may change."""
        moment = Moment(now, started_time, read=True)
        carried = [(clock, carried_limit(limit, task, moment)) for clock, limit in self.carried]
        limits = [(clock, limit + 1) for clock, limit in carried if isinstance(limit, int)]
        for clock, length in (*self.ages, *limits):
            known = age(clock, task, now, started_time) if task.status in CLOCKS[clock] else None
            if known is not None and length > known.ms:
                yield now + length - known.ms


def moments_of(policies: Iterable[Policy], exempt: Iterable[Matcher]) -> Moments:
    """All that may change the verdict on a task by *policies* and *exempt*."""
    policies = list(policies)
    matchers = [*exempt, *(matcher for policy in policies for matcher in (policy.match, *policy.unless))]
    rules = [rule for matcher in matchers for rule in matcher.rules]
    clocks = dict.fromkeys((rule.key, rule.wanted) for rule in rules if isinstance(rule, Clock))
    expressions = [one for matcher in exempt for one in matcher.expressions]
    expressions += [one for policy in policies for one in policy.expressions]
    compared = [_compared_ages(one.tree) for one in dict.fromkeys(expressions)]
    ages = [(clock, limit + 1) for clock, limit in clocks if isinstance(limit, int)]
    ages += [one for found in compared for one in found or ()]
    return Moments(
        ages=tuple(dict.fromkeys(ages)),
        carried=tuple((clock, limit) for clock, limit in clocks if isinstance(limit, CarriedLimit)),
        any_time=None in compared or any(not rule.timeless and not isinstance(rule, Clock) for rule in rules),
    )


def _compared_ages(node: Any) -> list[tuple[str, Millis]] | None:
    """The ages at which comparisons with a number may change; None where *node* uses ages in another way."""
    if not isinstance(node, Mapping) or not Expression("", node).needs_ages:
        return []
    if node["type"] == "comparator":
        for one, other in (node["children"], node["children"][::-1]):
            clock, seconds = _clock(one), other.get("value") if other["type"] == "literal" else None
            if clock is not None and isinstance(seconds, (int, float)) and 0 <= seconds < _LONGEST:
                near = floor(seconds * 1000)
                return [(clock, length) for length in range(near - 1, near + 3)]
    parts = [_compared_ages(child) for child in node["children"]]
    return None if not parts or None in parts else [one for part in parts for one in part or ()]


def _clock(node: Mapping[str, Any]) -> str | None:
    """The clock of a plain `ages.CLOCK`."""
    names = [child.get("value") for child in node["children"] if child["type"] == "field"]
    plain = node["type"] == "subexpression" and len(node["children"]) == len(names) == 2 and names[0] == AGES
    return names[1] if plain and names[1] in CLOCKS else None
