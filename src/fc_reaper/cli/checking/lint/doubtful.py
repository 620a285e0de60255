"""`contains` with its arguments the wrong way round, or asked of an object: seldom meant, and seldom true."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.policy import Example, Matcher, PolicyFile
from fc_reaper.rules.expression import PAYLOAD, Expression

NAME = "contains"

Node = Mapping[str, Any]


def remarks(file: PolicyFile) -> Iterator[Remark]:
    """One remark for each call that has an answer only of payloads which hardly anybody sends."""
    for at, mercy in enumerate(file.exempt):
        yield from _of(file.source, f"exempt[{at}]", mercy)
    for number, policy in enumerate(file.policies):
        path, meant = f"policies[{number}]", any(_is_no_object(one) for one in policy.examples)
        yield from _of(file.source, f"{path}.match", policy.match, meant=meant)
        meant = meant or any(map(_reads_a_field, policy.match.expressions))
        for at, mercy in enumerate(policy.unless):
            yield from _of(file.source, f"{path}.unless[{at}]", mercy, meant=meant)


def _is_no_object(example: Example) -> bool:
    """Whether somebody has thought of a payload that is text or a list."""
    return example.payload is not None and not isinstance(json.loads(example.payload), dict)


def _reads_a_field(expression: Expression) -> bool:
    """Whether it takes the payload apart, so that nothing is left to doubt about what that is."""
    return any(path[:1] == (PAYLOAD,) and len(path) > 1 for path in expression.paths)


def _of(source: str, path: str, matcher: Matcher, *, meant: bool = False) -> Iterator[Remark]:
    where = matcher.where
    for where_, what in _calls(where.tree) if where is not None else ():
        fault = _turned(where_, what) or (None if meant or where is None else _of_payload(where_, where))
        if fault is not None:
            yield Remark(source, matcher.line, f"{path}.where", *fault, NAME)


def _calls(node: Node) -> Iterator[tuple[Node, Node]]:
    children = [child for child in node["children"] if isinstance(child, Mapping)]
    if node["type"] == "function_expression" and node["value"] == "contains":
        yield children[0], children[1]
    for child in children:
        yield from _calls(child)


def _turned(where: Node, what: Node) -> tuple[str, str] | None:
    path, listed = _path(where), _listed(what)
    if listed is None or path is None or path.partition(".")[0] != PAYLOAD:
        return None
    return (
        f"contains() looks in {path} for the whole list, and only a list of lists holds one",
        f"turn the arguments round: contains({listed}, {path})",
    )


def _of_payload(where: Node, whole: Expression) -> tuple[str, str] | None:
    if _path(where) != PAYLOAD or _reads_a_field(whole):
        return None
    return (
        "of a payload that is an object contains() has no answer, so such a task is unknown",
        "write contains(keys(payload), 'x') for the name of a field, contains(payload.x, 'x') for its value",
    )


def _path(node: Node) -> str | None:
    """A plain chain of names, as it is written."""
    if node["type"] == "field":
        return str(node["value"])
    parts = [_path(child) for child in node["children"]] if node["type"] == "subexpression" else [None]
    return None if None in parts else ".".join(map(str, parts))


def _listed(node: Node) -> str | None:
    """A list of texts that is written out, as it is written."""
    if node["type"] == "literal":
        values = node["value"] if isinstance(node["value"], list) else []
    elif node["type"] == "multi_select_list":
        values = [child.get("value") if child["type"] == "literal" else None for child in node["children"]]
    else:
        return None
    texts = [f"'{value}'" for value in values if isinstance(value, str)]
    return f"[{', '.join(texts)}]" if texts and len(texts) == len(values) else None
