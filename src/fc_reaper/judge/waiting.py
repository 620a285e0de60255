"""When a task becomes due if nothing but time goes on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fc_reaper.judge.claim import claim
from fc_reaper.judge.clocks import age
from fc_reaper.judge.condition import Condition, Finding, View, carried_limit
from fc_reaper.judge.rules import Rules
from fc_reaper.judge.verdict import Kind
from fc_reaper.model import Millis, Task
from fc_reaper.policy import CLOCKS, Carried


def due_in(task: Task, rules: Rules, now: Millis) -> Millis | None:
    """The first moment at which one more clock runs over its limit and `claim` then says due."""
    if claim(task, rules, now).kind is Kind.DUE:
        return None
    waits = sorted(set(_waits(task, rules, now)))
    return next((wait for wait in waits if claim(task, rules, now + wait).kind is Kind.DUE), None)


def _waits(task: Task, rules: Rules, now: Millis) -> Iterator[Millis]:
    """When an answer may change: just after a limit, and about each number of seconds in an expression."""
    view = View(now, rules.started_time, read=True)
    for condition in _conditions(rules):
        for clock, limit in condition.limits:
            number = carried_limit(limit, task, view) if isinstance(limit, Carried) else limit
            if not isinstance(number, Finding):
                yield from _until(clock, number, task, rules, now)
        if condition.where is not None and condition.where.needs_ages:
            for number in set(_numbers(condition.where.tree)):
                for clock in CLOCKS:
                    yield from _until(clock, number, task, rules, now)


def _until(clock: str, limit: Millis, task: Task, rules: Rules, now: Millis) -> Iterator[Millis]:
    known = age(clock, task, now, rules.started_time) if task.status in CLOCKS[clock] else None
    if known is not None:
        yield from (wait for wait in (limit - known.ms, limit - known.ms + 1) if wait > 0)


def _numbers(node: Any) -> Iterator[Millis]:
    """The numbers that an expression names, taken for seconds."""
    if isinstance(node, Mapping):
        value = node.get("value") if node.get("type") == "literal" else None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 10**9:
            yield int(value * 1000)
        for child in node.get("children", ()):
            yield from _numbers(child)


def _conditions(rules: Rules) -> Iterator[Condition]:
    yield from rules.exempt
    for clause in rules.clauses:
        yield clause.match
        yield from clause.unless
