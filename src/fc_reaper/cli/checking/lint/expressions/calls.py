"""What the functions of JMESPath take and answer: https://jmespath.org/specification.html#functions"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from fc_reaper.cli.checking.lint.expressions.comparing import (
    NEVER_ID,
    TRUTH,
    apart,
    comparable,
    never_said,
    quoted,
)
from fc_reaper.cli.checking.lint.expressions.shapes import (
    ANY,
    ANYTHING,
    FALSE,
    LIST,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    TRUE,
    Fault,
    Shape,
    nothing,
    spoken,
)
from fc_reaper.cli.checking.lint.patterns import overlap

_A_TEXT, _A_NUMBER, _A_LIST = (Shape(frozenset((kind,))) for kind in (TEXT, NUMBER, LIST))

_RETURNS = {
    **dict.fromkeys(("contains", "starts_with", "ends_with"), TRUTH),
    **dict.fromkeys(("join", "to_string"), _A_TEXT),
    **dict.fromkeys(("abs", "avg", "ceil", "floor", "length", "sum", "to_number"), _A_NUMBER),
    **dict.fromkeys(("keys", "map", "sort", "sort_by", "to_array", "values"), _A_LIST),
    "merge": Shape(frozenset((OBJECT,))),
    "reverse": Shape(frozenset((TEXT, LIST))),
    **dict.fromkeys(("max", "min"), Shape(frozenset((TEXT, NUMBER)))),
    "type": _A_TEXT._replace(
        texts=frozenset(("string", "number", "boolean", "array", "object")),
        bound=("type() answers string, number, boolean, array or object", "write one of those"),
    ),
}  # fmt: skip
_TAKES = {
    "string": (TEXT,), "number": (NUMBER,), "object": (OBJECT,), "boolean": (TRUE, FALSE), "null": (NULL,),
    "array": (LIST,), "array-string": (LIST,), "array-number": (LIST,), "expref": ("expref",),
}  # fmt: skip
_IN_TEXT: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains, "starts_with": str.startswith, "ends_with": str.endswith,
}  # fmt: skip
_AROUND = {"contains": "*{}*", "starts_with": "{}*", "ends_with": "*{}"}
"""The pattern of what holds, begins with, ends with a text. A sign of a pattern in the text widens it."""


def called(name: str, given: Sequence[Shape]) -> Shape:
    """The answer of the function *name* when it is *given* these."""
    from jmespath.functions import Functions

    for shape in given:
        if not shape.kinds:
            return shape
    signature = Functions.FUNCTION_TABLE[name]["signature"]
    for shape, argument in zip(given, signature, strict=False):
        taken = {kind for word in argument["types"] for kind in _TAKES[word]} or {*ANYTHING, NULL, "expref"}
        if not shape.may_be(taken):
            return nothing((f"{name}() does not take {spoken(shape.kinds)}", _taken(name, taken)))
    if name in _IN_TEXT:
        return _found(name, given[0], given[1])
    return _RETURNS.get(name, ANY)


def _taken(name: str, kinds: set[str]) -> str:
    if name == "contains":
        return "for the name of a field write contains(keys(payload), 'x')"
    return f"give it {spoken(frozenset(kinds & ANYTHING))}"


def _found(name: str, where: Shape, what: Shape) -> Shape:
    """`contains`, `starts_with`, `ends_with`."""
    if LIST not in where.kinds and TEXT not in what.kinds:
        return nothing((f"text holds text only, not {spoken(what.kinds)}", "turn the arguments round"))
    for item in where.items or ():
        if not comparable(item, what):
            wrong = f"{spoken(item.kinds)} is not compared with {spoken(what.kinds)}"
            return nothing((wrong, "write a list of values of one kind"))
    apart = _not_among(where.items, what) if where.items is not None else _not_in(name, where, what)
    return TRUTH if apart is None else Shape(frozenset((FALSE,)), fault=apart)


def _not_among(items: Sequence[Shape], what: Shape) -> Fault | None:
    faults = [apart(what, item) for item in items]
    return next(iter(faults), None) if all(faults) else None


def _not_in(name: str, where: Shape, what: Shape) -> Fault | None:
    if what.texts is None or where.kinds != {TEXT}:
        return None
    if where.letters is not None and not any(where.letters >= set(text) for text in what.texts):
        return f"no id holds such characters as {quoted(what)} does", NEVER_ID
    found = _IN_TEXT[name]
    if where.texts is not None and not any(found(one, text) for one in where.texts for text in what.texts):
        return never_said(where, what)
    around = _AROUND[name]
    if where.globs is not None and not any(
        overlap(glob, around.format(text)) for glob in where.globs for text in what.texts
    ):
        return never_said(where, what)
    return None
