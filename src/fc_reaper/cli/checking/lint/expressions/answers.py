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
    BOOLEAN,
    FALSE,
    LIST,
    OBJECT,
    TRUE,
    Fault,
    Shape,
    literal,
    nothing,
    spoken,
)

Node = Mapping[str, Any]

_A_LIST = Shape(frozenset((LIST,)))
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


def _truth(asker: str, shape: Shape) -> Shape:
    """The truths that *shape* may be: whatever else it is has no answer there."""
    if shape.may_be(BOOLEAN) or not shape.kinds:
        return Shape(shape.kinds & BOOLEAN, fault=shape.fault)
    return nothing((f"{asker} takes only true or false, never {spoken(shape.kinds)}", _COMPARE))


def _sides(asker: str, node: Node, here: Shape) -> list[Shape]:
    return [_truth(asker, answer(child, here)) for child in node["children"]]


def _and(node: Node, here: Shape) -> Shape:
    left, right = _sides("&&", node, here)
    if TRUE not in left.kinds:
        return left
    kinds, fault = left.kinds - {TRUE} | right.kinds, clash(node)
    return Shape(kinds - {TRUE}, fault=fault) if fault is not None else Shape(kinds, fault=right.fault)


def _or(node: Node, here: Shape) -> Shape:
    left, right = _sides("||", node, here)
    if FALSE not in left.kinds:
        return left
    return Shape(left.kinds - {FALSE} | right.kinds, fault=left.fault or right.fault)


def _not(node: Node, here: Shape) -> Shape:
    (inner,) = _sides("!", node, here)
    turned = frozenset({TRUE: FALSE, FALSE: TRUE}[kind] for kind in inner.kinds)
    fault = None if TRUE in turned else inner.fault or ("not true is always false", _COMPARE)
    return Shape(turned, fault=fault)


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
