"""When a task becomes due if nothing but time goes on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fc_reaper.evaluator.compiled import FunctionPolicies
from fc_reaper.evaluator.evaluate import claim
from fc_reaper.evaluator.moments import Moments
from fc_reaper.evaluator.verdict import Kind
from fc_reaper.models import Millis, Task
from fc_reaper.policy import CLOCKS
from fc_reaper.rules.ages import age


def due_in(task: Task, rules: FunctionPolicies, moments: Moments, now: Millis) -> Millis | None:
    """The time after which `claim` says due, at the first of *moments* at which it does."""
    if claim(task, rules, now).kind is Kind.DUE:
        return None
    turns = set(moments.after(task, now, rules.started_time))
    if moments.restless:
        turns.update(_guesses(task, rules, now))
    due = (moment for moment in sorted(turns) if claim(task, rules, moment).kind is Kind.DUE)
    moment = next(due, None)
    return None if moment is None else moment - now


def _guesses(task: Task, rules: FunctionPolicies, now: Millis) -> Iterator[Millis]:
    """Where nobody foresees when an answer changes: about when a clock passes a number that is written."""
    conditions = [*rules.exempt, *(one for clause in rules.clauses for one in (clause.match, *clause.unless))]
    trees = [one.where.tree for one in conditions if one.where is not None and one.where.needs_ages]
    numbers = {number for tree in trees for number in _numbers(tree)}
    for clock, statuses in CLOCKS.items():
        known = age(clock, task, now, rules.started_time) if task.status in statuses else None
        if known is not None:
            yield from (now + number - known.ms + 1 for number in numbers if number >= known.ms)


def _numbers(node: Any) -> Iterator[Millis]:
    """The numbers that an expression names, taken for seconds."""
    if isinstance(node, Mapping):
        value = node.get("value") if node.get("type") == "literal" else None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 10**9:
            yield int(value * 1000)
        for child in node.get("children", ()):
            yield from _numbers(child)
