"""When a task may be judged otherwise although nothing happens to it: one more clock runs over a limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import floor
from typing import Any, NamedTuple

from fc_reaper.models import Millis, Task
from fc_reaper.policy import CLOCKS, Carried, Limit, Matcher, Policy
from fc_reaper.rules.ages import StartedTime, age
from fc_reaper.rules.expression import AGES, Expression
from fc_reaper.rules.matcher import Moment, carried_limit
from fc_reaper.rules.subject import Subject

_NEVER = 10**11
"""Seconds that no task lives."""


class Compared(NamedTuple):
    """What an expression compares an age with: a value, or an expression that does not age itself."""

    seconds: Any


class Moments(NamedTuple):
    """What the judgement of a task depends on as time goes on.

    `restless`: an expression reads ages in a way that nobody foresees, so that any moment may change it.
    """

    limits: tuple[tuple[str, Limit], ...]
    crossings: tuple[tuple[str, Compared], ...]
    restless: bool

    def after(self, task: Task, now: Millis, started_time: StartedTime) -> Iterator[Millis]:
        """The moments after *now*, in no order, at which *task*, as it is, may be judged otherwise."""
        for clock, turns in (*self.limits, *self.crossings):
            if task.status in CLOCKS[clock]:
                known = age(clock, task, now, started_time)
                if known is not None:
                    lengths = _over(turns, task, Moment(now, started_time, read=True))
                    yield from (now + length - known.ms for length in lengths if length > known.ms)


def moments_of(policies: Iterable[Policy], exempt: Iterable[Matcher]) -> Moments:
    """All that may change the judgement of a task by *policies* and *exempt*."""
    policies = list(policies)
    matchers = [*exempt, *(matcher for policy in policies for matcher in (policy.match, *policy.unless))]
    limits = dict.fromkeys(pair for matcher in matchers for pair in matcher.limits)
    asked = [
        *(one for matcher in matchers for one in matcher.expressions),
        *(one for policy in policies for one in policy.expressions),
    ]
    crossings: list[tuple[str, Compared]] = []
    foreseen = [_foresee(one, crossings) for one in dict.fromkeys(asked) if one.needs_ages]
    return Moments(tuple(limits), tuple(crossings), not all(foreseen))


def _foresee(expression: Expression, crossings: list[tuple[str, Compared]]) -> bool:
    """Collect the crossings of an expression; whether it reads no age in another way."""
    return not Expression("", _without_ages(expression.tree, crossings)).needs_ages


def _without_ages(node: Any, crossings: list[tuple[str, Compared]]) -> Any:
    """*node*, where each comparison of an age with something that does not age has an answer."""
    if not isinstance(node, Mapping):
        return node
    if node["type"] == "comparator":
        one, other = node["children"]
        for clock, against in ((_clock(one), other), (_clock(other), one)):
            if clock is not None and not Expression("", against).needs_ages:
                crossings.append((clock, Compared(_constant(against))))
                return {"type": "literal", "value": True, "children": []}
    return {**node, "children": [_without_ages(child, crossings) for child in node["children"]]}


def _clock(node: Mapping[str, Any]) -> str | None:
    """The clock of a plain `ages.CLOCK`."""
    if node["type"] != "subexpression":
        return None
    names = [child.get("value") for child in node["children"] if child["type"] == "field"]
    plain = len(names) == len(node["children"]) == 2 and names[0] == AGES
    return names[1] if plain and names[1] in CLOCKS else None


def _constant(node: Mapping[str, Any]) -> Any:
    return node["value"] if node["type"] == "literal" else Expression("", node)


def _over(turns: Limit | Compared, task: Task, view: Moment) -> Iterable[Millis]:
    """The ages at which the answer of a limit or a comparison may change."""
    if isinstance(turns, Compared):
        return _about(_said(turns.seconds, task, view))
    limit = carried_limit(turns, task, view) if isinstance(turns, Carried) else turns
    return (limit + 1,) if isinstance(limit, int) else ()


def _said(seconds: Any, task: Task, view: Moment) -> Any:
    """What an age is compared with; None where that has no answer."""
    if not isinstance(seconds, Expression):
        return seconds
    from fc_reaper.rules.asking import Undecided, ask

    try:
        return ask(seconds, Subject(task, view.now, view.started_time).subject(seconds))
    except Undecided:
        return None


def _about(seconds: Any) -> Iterable[Millis]:
    """The lengths about so many seconds, exactly so many and one more among them."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < _NEVER:
        return ()
    return range(floor(seconds * 1000) - 1, floor(seconds * 1000) + 3)
