"""Comparisons of one thing that cannot hold together: && of `== 'x'` and `== 'y'`, of `> 5` and `< 3`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

from fc_reaper.cli.checking.lint.expressions.shapes import Fault

Node = Mapping[str, Any]

_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "ne": operator.ne,
    "lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge,
}  # fmt: skip
_TURNED = {"lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte"}
_SPOKEN = {
    "ne": "not {}",
    "lt": "less than {}",
    "lte": "{} or less",
    "gt": "more than {}",
    "gte": "{} or more",
}

_MOST = 40
"""Comparisons that are looked at; of more nothing is said."""


class _Asked(NamedTuple):
    """One thing is compared with a value that is written out."""

    what: str
    sign: str
    value: Any

    @property
    def spoken(self) -> str:
        return _SPOKEN.get(self.sign, "{}").format(repr(self.value))


def clash(node: Node) -> Fault | None:
    """Why both sides of && cannot be true; None where they may be."""
    asked = list(_comparisons(node))
    for one, other in combinations(asked if len(asked) <= _MOST else (), 2):
        if one.what == other.what and not _both(one, other):
            several = ", or contains(['a', 'b'], payload.x)" if one.sign == other.sign == "eq" else ""
            remedy = f"write || between them{several}"
            return f"nothing is {one.spoken} and {other.spoken} at once", remedy
    return None


def _comparisons(node: Node) -> Iterator[_Asked]:
    if node["type"] == "and_expression":
        for child in node["children"]:
            yield from _comparisons(child)
    elif node["type"] == "comparator":
        (left, right), sign = node["children"], node["value"]
        if left["type"] == "literal":
            left, right, sign = right, left, _TURNED.get(sign, sign)
        if right["type"] == "literal" and left["type"] != "literal":
            yield _Asked(str(left), sign, right["value"])


def _both(one: _Asked, other: _Asked) -> bool:
    """Whether some value satisfies both; where values of two kinds are asked for, nothing is said."""
    for left, right in ((one, other), (other, one)):
        if left.sign == "eq":
            return not _alike(left.value, right.value, right.sign) or _HOLDS[right.sign](
                left.value, right.value
            )
    if not _are_numbers(one.value, other.value):
        return True
    for low, high in ((one, other), (other, one)):
        if low.sign in ("gt", "gte") and high.sign in ("lt", "lte"):
            touching = low.sign == "gte" and high.sign == "lte"
            return bool(low.value < high.value or (touching and low.value == high.value))
    return True


def _alike(one: Any, other: Any, sign: str) -> bool:
    texts = sign == "ne" and isinstance(one, str) and isinstance(other, str)
    return sign == "eq" or texts or _are_numbers(one, other)


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in values)
