"""What an expression may answer, by its parse tree: for `where` above all, whether that can be true.

The rules are those of `asking`: what is not there, or of another kind, has no answer. Where nobody can know,
anything may come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fc_reaper.cli.checking.lint.expressions.at_once import clash
from fc_reaper.cli.checking.lint.expressions.calls import called
from fc_reaper.cli.checking.lint.expressions.comparing import compared
from fc_reaper.cli.checking.lint.expressions.shapes import (
    ANY,
    FALSE,
    LIST,
    NULL,
    OBJECT,
    TEXT,
    TRUE,
    Fault,
    Shape,
    literal,
    nothing,
    spoken,
)

Node = Mapping[str, Any]

_A_LIST = Shape(frozenset((LIST,)))
_EMPTY = frozenset((FALSE, NULL, TEXT, LIST, OBJECT))
"""Kinds of which some value counts as false: '', [], {}."""

_PROJECTED = {"projection": LIST, "filter_projection": LIST, "flatten": LIST, "value_projection": OBJECT}

_COMPARE = "compare it with something, such as == 'x'"


def untrue(node: Node, record: Shape) -> tuple[Fault, bool] | None:
    """Why *node* never answers true of any such *record*, and whether it answers; None where it may."""
    shape = answer(node, record)
    if TRUE in shape.kinds:
        return None
    fault = shape.fault or (f"it answers {spoken(shape.kinds)}, neither true nor false", _COMPARE)
    return fault, FALSE in shape.kinds


def answer(node: Node, here: Shape) -> Shape:
    """All that *node* may answer, asked of *here*."""
    kind, children = node["type"], node["children"]
    if kind in ("subexpression", "index_expression", "pipe"):
        for child in children:
            here = answer(child, here)
        return here
    if kind in _PROJECTED:
        return _only_of(_PROJECTED[kind], answer(children[0], here))
    if kind == "function_expression":
        return called(node["value"], [answer(child, here) for child in children])
    known = _BY_KIND.get(kind)
    return ANY if known is None else known(node, here)


def _only_of(kind: str, base: Shape) -> Shape:
    if kind in base.kinds:
        return _A_LIST
    return nothing(base.fault or (f"a projection needs {kind}, not {spoken(base.kinds)}", "leave it out"))


def _index(_: Node, here: Shape) -> Shape:
    wrong = (f"{spoken(here.kinds)} has no places to count", "leave the number out")
    return ANY if LIST in here.kinds else nothing(here.fault or wrong)


def _several(node: Node, here: Shape) -> Shape:
    items = tuple(answer(child, here) for child in node["children"])
    return next((one for one in items if not one.kinds), _A_LIST._replace(items=items))


def _named(node: Node, here: Shape) -> Shape:
    fields = {child["value"]: answer(child["children"][0], here) for child in node["children"]}
    return next((one for one in fields.values() if not one.kinds), Shape(frozenset((OBJECT,)), fields=fields))


def _and(node: Node, here: Shape) -> Shape:
    """The left side where that counts as false, else the right one."""
    left, right = (answer(child, here) for child in node["children"])
    if not left.kinds or left.kinds == {FALSE}:
        return left
    kinds = left.kinds & _EMPTY | right.kinds
    fault = clash(node)
    if fault is not None:
        return Shape(kinds - {TRUE}, fault=fault)
    return Shape(kinds, fault=right.fault or left.fault)


def _or(node: Node, here: Shape) -> Shape:
    """The left side where that counts as true, else the right one."""
    left, right = (answer(child, here) for child in node["children"])
    if not left.kinds:
        return left
    kinds = left.kinds - {FALSE} | (right.kinds if left.kinds & _EMPTY else frozenset())
    return Shape(kinds, fault=left.fault or right.fault)


def _not(node: Node, here: Shape) -> Shape:
    inner = answer(node["children"][0], here)
    if not inner.kinds:
        return inner
    kinds = ({TRUE} if inner.kinds & _EMPTY else set()) | ({FALSE} if inner.kinds - {FALSE} else set())
    fault = (f"not {spoken(inner.kinds)} is always false", _COMPARE)
    return Shape(frozenset(kinds), fault=None if TRUE in kinds else fault)


def _compared(node: Node, here: Shape) -> Shape:
    left, right = (answer(child, here) for child in node["children"])
    return compared(node["value"], left, right)


_BY_KIND: dict[str, Callable[[Node, Shape], Shape]] = {
    "field": lambda node, here: here.field(node["value"]),
    "current": lambda _, here: here,
    "identity": lambda _, here: here,
    "literal": lambda node, _: literal(node["value"]),
    "index": _index,
    "slice": lambda node, here: here if not here.kinds else _only_of(LIST, here),
    "multi_select_list": _several,
    "multi_select_dict": _named,
    "and_expression": _and,
    "or_expression": _or,
    "not_expression": _not,
    "comparator": _compared,
    "expref": lambda *_: Shape(frozenset(("expref",))),
}
