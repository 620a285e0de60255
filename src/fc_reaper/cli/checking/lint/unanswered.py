"""Expressions that no task can ever answer, or that can never answer true."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.expression import AGES, PAYLOAD, RECORD_FIELDS, Expression
from fc_reaper.model import UNFINISHED
from fc_reaper.policy import CLOCKS, Carried, Matcher, Policy, PolicyFile
from fc_reaper.target import Target

NAME = "never-answered"

_OTHER_NAMES = {
    "serviceName": "functionArn", "functionName": "functionArn", "invocationId": "taskId",
    "invocationPayload": "payload", "invocationErrorMessage": "taskErrorMessage",
}  # fmt: skip
_OF_2 = frozenset(_OTHER_NAMES)
_OF_3 = frozenset(("functionArn", "taskId", "taskPayload", "taskErrorMessage"))

_NEVER_BOOLEAN = frozenset(
    ("abs", "avg", "ceil", "floor", "join", "keys", "length", "map", "merge", "reverse", "sort", "sort_by",
     "sum", "to_array", "to_number", "to_string", "type", "values")
)  # fmt: skip
_NO_BOOLEAN_NODES = frozenset(
    (
        "multi_select_list",
        "multi_select_dict",
        "projection",
        "filter_projection",
        "value_projection",
        "flatten",
    )
)

Fault = tuple[str, str]
"""Why an expression has no answer, and what to write instead."""


def remarks(file: PolicyFile) -> Iterator[Remark]:
    """One remark for each expression that is unknown for every task that it is asked of."""
    everywhere = [target for policy in file.policies for target in policy.targets]
    for at, mercy in enumerate(file.exempt):
        statuses = mercy.stated_statuses or UNFINISHED
        so = "so nobody can tell what is exempt, and all that it might mean is kept"
        yield from _of(file.source, f"exempt[{at}]", mercy, statuses, everywhere, so)
    for number, policy in enumerate(file.policies):
        yield from _of_policy(file.source, f"policies[{number}]", policy)


def _of_policy(source: str, path: str, policy: Policy) -> Iterator[Remark]:
    statuses, targets = policy.match.condition_statuses, policy.targets
    yield from _of(source, f"{path}.match", policy.match, statuses, targets, "so the policy never matches")
    for at, mercy in enumerate(policy.unless):
        both = [one for one in statuses if mercy.stated_statuses is None or one in mercy.stated_statuses]
        so = "so nobody can tell what is spared, and all that it might mean is kept"
        yield from _of(source, f"{path}.unless[{at}]", mercy, both, targets, so)
    if policy.keep is not None and isinstance(policy.keep.per, Expression):
        fault = _no_answer(policy.keep.per, statuses, targets)
        if fault is not None:
            cause, remedy = fault
            so = "so no task has a group, and none is counted or chosen"
            yield Remark(source, policy.line, f"{path}.keep.per", f"{cause}, {so}", remedy, NAME)


def _of(
    source: str, path: str, matcher: Matcher, statuses: Sequence[str], targets: Sequence[Target], so: str
) -> Iterator[Remark]:
    if not statuses:
        return
    for clock, limit in matcher.limits:
        fault = _no_answer(limit.expression, statuses, targets) if isinstance(limit, Carried) else None
        if fault is not None and isinstance(limit, Carried):
            here = so if limit.otherwise is None else "so every task has the limit in `else`"
            yield Remark(source, matcher.line, f"{path}.{clock}.from", f"{fault[0]}, {here}", fault[1], NAME)
    if matcher.where is not None:
        fault = _no_answer(matcher.where, statuses, targets) or _no_truth(matcher.where.tree)
        if fault is not None:
            yield Remark(source, matcher.line, f"{path}.where", f"{fault[0]}, {so}", fault[1], NAME)


def _no_answer(expression: Expression, statuses: Iterable[str], targets: Sequence[Target]) -> Fault | None:
    """Why what it reads is never there, for whatever task; None where it may be."""
    if expression.strange_roots:
        return _strange(expression.strange_roots[0])
    clocks = {str(path[1]) for path in expression.paths if path[:1] == (AGES,) and len(path) > 1}
    for clock in sorted(clocks - set(CLOCKS)):
        near = get_close_matches(clock, CLOCKS, n=1)
        remedy = f"did you mean {AGES}.{near[0]}?" if near else f"the clocks are {', '.join(CLOCKS)}"
        return f"{AGES} has no {clock}", remedy
    if clocks and not any(all(status in CLOCKS[clock] for clock in clocks) for status in statuses):
        spoken = " and ".join(f"{AGES}.{clock}" for clock in sorted(clocks))
        return f"no task that it is asked of has {spoken}", f"ages runs in {_running(clocks)}"
    return _other_generation(expression, targets)


def _running(clocks: Iterable[str]) -> str:
    return ", ".join(f"{clock} in {' or '.join(CLOCKS[clock])}" for clock in sorted(clocks))


def _strange(name: str) -> Fault:
    names = {one.lower(): one for one in (*RECORD_FIELDS, PAYLOAD, AGES)}
    near = get_close_matches(name.lower(), list(names), n=1, cutoff=0.75)
    if near:
        return f"no record has a field {name}", f"did you mean {names[near[0]]}?"
    if name in CLOCKS:
        return f"no record has a field {name}", f"write {AGES}.{name}, which is in seconds"
    return (
        f"no record has a field {name}",
        f"if it is in what the task was invoked with, write {PAYLOAD}.{name}",
    )


def _other_generation(expression: Expression, targets: Sequence[Target]) -> Fault | None:
    services = {target.service is not None for target in targets}
    if services == {False} and (strange := sorted(expression.roots & _OF_2)):
        return f"a record of FC 3.0 has no {strange[0]}", f"write {_OTHER_NAMES[strange[0]]}"
    if services == {True} and (strange := sorted(expression.roots & _OF_3)):
        other = {new: old for old, new in _OTHER_NAMES.items()} | {"functionArn": "functionName"}
        return f"a record of FC 2.0 has no {strange[0]}", f"write {other.get(strange[0], PAYLOAD)}"
    return None


def _no_truth(tree: Mapping[str, Any]) -> Fault | None:
    """Why an expression never answers true, as its parse tree shows; None where it may."""
    kind, children = tree["type"], tree["children"]
    if kind == "and_expression":
        return next((fault for child in children if (fault := _unknown_part(child))), None)
    return _unknown_part(tree) or _no_boolean(tree)


def _unknown_part(tree: Mapping[str, Any]) -> Fault | None:
    """Why a part that must be true is not."""
    if tree["type"] == "and_expression":
        return _no_truth(tree)
    if tree["type"] != "comparator":
        return None
    literals = [child["value"] for child in tree["children"] if child["type"] == "literal"]
    if any(value is None for value in literals):
        return "nothing compares with null: what is absent is unknown", "compare with a value"
    if tree["value"] in ("eq", "ne"):
        return None
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in literals):
        remedy = "write the number between backticks, such as `5`; ages are in seconds"
        return "only numbers can be more or less, and one side is none", remedy
    return None


def _no_boolean(tree: Mapping[str, Any]) -> Fault | None:
    kind, value = tree["type"], tree.get("value")
    remedy = "compare it with something, such as == 'x'"
    if kind in _NO_BOOLEAN_NODES:
        return "it answers a list or an object, neither true nor false", remedy
    if kind == "function_expression" and value in _NEVER_BOOLEAN:
        return f"{value}() answers neither true nor false", remedy
    if kind == "field" and value in RECORD_FIELDS:
        return f"{value} is neither true nor false", remedy
    return None
