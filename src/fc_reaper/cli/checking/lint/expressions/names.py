"""Names that no record has: a text without its quotes, a field of the payload, a slip of the pen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from fc_reaper.cli.checking.lint.expressions.shapes import Fault
from fc_reaper.policy import CLOCKS
from fc_reaper.rules.expression import AGES, PAYLOAD, RECORD_FIELDS, Expression

Node = Mapping[str, Any]

_VALUES = ("true", "false", "True", "False")
_NOTHING = ("null", "none", "None", "nil")


def strange_name(expression: Expression) -> Fault:
    """What is wrong with a name of *expression* that no record has, and what is probably meant.

    Where one stands in the place of a value it is told first: nobody then means a field.
    """
    unknown = expression.strange_roots
    values = [name for name in dict.fromkeys(_values(expression.tree)) if name in unknown]
    name = values[0] if values else unknown[0]
    return f"no record has a field {name}", _meant(name, as_value=bool(values))


def _meant(name: str, *, as_value: bool) -> str:
    if name in _VALUES:
        return f"if the value is meant, write it between backticks: `{name.lower()}`"
    if name in _NOTHING:
        return "write nothing about null: what is absent is unknown, and kept"
    names = {one.lower(): one for one in (*RECORD_FIELDS, PAYLOAD, AGES)}
    near = get_close_matches(name.lower(), list(names), n=1, cutoff=0.75)
    if near:
        return f"did you mean {names[near[0]]}?"
    if name in CLOCKS:
        return f"write {AGES}.{name}, which is in seconds"
    plain = name if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) else f'"{name}"'
    if as_value:
        return f"text stands in single quotes: write '{name}', or {PAYLOAD}.{plain} if the field is meant"
    return f"if it is in what the task was invoked with, write {PAYLOAD}.{plain}"


def _values(node: Node) -> Iterator[str]:
    """Bare names that stand where a value is expected: compared with a field, in a list, in a call."""
    children = [child for child in node["children"] if isinstance(child, Mapping)]
    bare = [child["value"] for child in children if child["type"] == "field"]
    kind = node["type"]
    if kind in ("multi_select_list", "function_expression"):
        yield from bare
    elif kind == "comparator" and not any(child["type"] == "literal" for child in children):
        # On the left stands whom the question is about, unless that is on the right.
        yield from reversed(bare)
    if kind not in ("subexpression", "pipe", "index_expression"):
        for child in children:
            yield from _values(child)
