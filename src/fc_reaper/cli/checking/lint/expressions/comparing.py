"""What comparing two shapes may answer, by the rules of `asking`: different kinds are not compared."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from fc_reaper.cli.checking.lint.expressions.shapes import (
    BOOLEAN,
    FALSE,
    NULL,
    NUMBER,
    TEXT,
    TRUE,
    Fault,
    Shape,
    nothing,
    spoken,
)

TRUTH = Shape(BOOLEAN)

_MORE = {"gt": False, "gte": True}
"""Whether the number itself will do."""

_MIRRORED = {"lt": "gt", "lte": "gte"}
NEVER_ID = "write the key of the matcher instead, id: 'job-*', which takes patterns"


def compared(sign: str, left: Shape, right: Shape) -> Shape:
    """The answer of *left* and *right* with *sign* (`eq`, `lt`, …) between them."""
    for side in (left, right):
        if not side.kinds:
            return side
    if {NULL} in (left.kinds, right.kinds):
        return nothing(("nothing compares with null: what is absent is unknown", "compare with a value"))
    if sign in ("eq", "ne"):
        return _equal(left, right, FALSE if sign == "eq" else TRUE)
    if NUMBER not in left.kinds & right.kinds:
        remedy = "write the number between backticks, such as `5`; ages are in seconds"
        return nothing(("only numbers can be more or less, and one side is none", remedy))
    return _more(sign, left, right)


def _equal(left: Shape, right: Shape, otherwise: str) -> Shape:
    if not comparable(left, right):
        wrong = f"{spoken(left.kinds)} is not compared with {spoken(right.kinds)}"
        return nothing((wrong, "compare values of one kind: 'text', `5`, `true`"))
    if left.bound is None:
        left, right = right, left
    why = apart(left, right) or apart(right, left)
    if why is None:
        return TRUTH
    return Shape(frozenset((otherwise,)), fault=why if otherwise == FALSE else None)


def comparable(left: Shape, right: Shape) -> bool:
    """Whether both may be of one kind."""
    both = left.kinds & right.kinds
    return bool(both) or (left.may_be(BOOLEAN) and right.may_be(BOOLEAN))


def apart(known: Shape, other: Shape) -> Fault | None:
    """Why two values are never the same, of which *other* is written out."""
    if other.number is not None:
        if known.above is not None and other.number <= known.above:
            return known.floor
        return known.bound if known.most is not None and other.number > known.most else None
    if other.texts is None or other.kinds != {TEXT}:
        return None
    if known.texts is not None and not known.texts & other.texts:
        return never_said(known, other)
    if known.letters is not None and not any(known.letters >= set(text) for text in other.texts):
        return f"no id holds such characters as {quoted(other)} does", NEVER_ID
    if known.globs is not None and not _any_fits(known.globs, other):
        return never_said(known, other)
    return None


def _any_fits(globs: Iterable[str], other: Shape) -> bool:
    return any(fnmatchcase(text, glob) for text in other.texts or () for glob in globs)


def never_said(known: Shape, other: Shape) -> Fault:
    """Why *known* is none of the texts of *other*."""
    if known.bound is not None:
        cause, remedy = known.bound
        return f"{cause}, never {quoted(other)}", remedy
    return f"it is never {quoted(other)}", f"write one of {', '.join(sorted(known.texts or ()))}"


def quoted(shape: Shape) -> str:
    return " or ".join(repr(text) for text in sorted(shape.texts or ()))


def _more(sign: str, left: Shape, right: Shape) -> Shape:
    """Whether one side can be more than the other, which is written out, or less where it has a floor."""
    if sign not in _MORE:
        sign, left, right = _MIRRORED[sign], right, left
    if left.number is not None and right.above is not None and left.number <= right.above:
        return Shape(frozenset((FALSE,)), fault=right.floor)
    if left.most is None or right.number is None:
        return TRUTH
    reached = left.most >= right.number if _MORE[sign] else left.most > right.number
    return TRUTH if reached else Shape(frozenset((FALSE,)), fault=left.bound)
