"""jmespath's interpreter with three values: absence, null, other types and failures are unknown.

JMESPath answers null where a field is absent, and `!null` is true. Here both are undecided, unless the other
side of an `&&` or `||` settles it. Imports jmespath, so `rules.expression` imports it where it evaluates.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from jmespath.visitor import TreeInterpreter

from fc_reaper.errors import kind_of
from fc_reaper.rules.ages import Reading
from fc_reaper.rules.expression import Node, Undecided, undecided_by
from fc_reaper.rules.result import FALSE, TRUE, UNKNOWN, Truth

MOST = 100_000
"""Steps of one evaluation, and values and parts of texts (32 characters each) that it makes, together."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,99})?(?:[eE][+-]?[0-9]{1,9})?")
"""A number as JSON writes it."""

_MAKES = ("multi_select_list", "multi_select_dict", "function_expression")
_MAY_FIND_NOTHING = ("index", "slice", "flatten", "multi_select_list", "multi_select_dict")


class Exhausted(Undecided):
    """An evaluation takes too long or makes too much; nothing else settles the expression then."""


class Interpreter(TreeInterpreter):  # type: ignore[misc]
    """One evaluation over one reading of a task."""

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        self._reading, self._left = reading, MOST

    def visit(self, node: Node, value: Any, *args: Any, **kwargs: Any) -> Any:
        kind = node["type"]
        self._spend(1)
        answer = super().visit(node, value, *args, **kwargs)
        if kind in _MAKES:
            self._charge(answer)
        if answer is not None:
            return answer
        if kind == "field":
            raise Undecided(f"{node['value']} is absent")
        if kind in _MAY_FIND_NOTHING:
            raise Undecided(f"{kind.replace('_', ' ')} finds nothing in {kind_of(value)}")
        return None

    def visit_age(self, node: Node, value: Any) -> bool:
        clock, limit, negated = node["value"]
        over = self._reading.bounds(clock).over(limit, self._reading.moment)
        if over is UNKNOWN:
            raise Undecided(f"{clock} is not known, or not so exactly")
        return (over is TRUE) is not negated

    def visit_comparator(self, node: Node, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        _must_be_alike(left, right)
        if node["value"] not in ("eq", "ne") and kind_of(left) != "a number":
            raise Undecided(f"it asks whether {kind_of(left)} is more or less")
        return self.COMPARATOR_FUNC[node["value"]](left, right)

    def visit_not_expression(self, node: Node, value: Any) -> bool:
        return not self._truth("!", node["children"][0], value)

    def visit_and_expression(self, node: Node, value: Any) -> bool:
        return self._joined("&&", node, value, operator.and_, FALSE)

    def visit_or_expression(self, node: Node, value: Any) -> bool:
        return self._joined("||", node, value, operator.or_, TRUE)

    def visit_filter_projection(self, node: Node, value: Any) -> list[Any]:
        _, projected, condition = node["children"]
        found = [one for one in self._elements(node, value) if self._truth("[? ]", condition, one)]
        return [_present(self.visit(projected, one)) for one in found]

    def visit_projection(self, node: Node, value: Any) -> list[Any]:
        return [_present(self.visit(node["children"][1], one)) for one in self._elements(node, value)]

    visit_value_projection = visit_projection

    def visit_function_expression(self, node: Node, value: Any) -> Any:
        name, given = node["value"], [self.visit(child, value) for child in node["children"]]
        _check_arguments(name, given)
        answer = self._functions.call_function(name, given)
        if answer is None or (isinstance(answer, float) and not isfinite(answer)):
            raise Undecided(f"{name}() answers nothing")
        return answer

    def _elements(self, node: Node, value: Any) -> list[Any]:
        """What is projected: of an object its values, for `.*`, else the elements of a list."""
        found, kind = self.visit(node["children"][0], value), node["type"]
        if not isinstance(found, dict if kind == "value_projection" else list):
            raise Undecided(f"{kind.replace('_', ' ')} finds nothing in {kind_of(found)}")
        return [_present(one) for one in (found.values() if isinstance(found, dict) else found)]

    def _joined(
        self, sign: str, node: Node, value: Any, join: Callable[[Truth, Truth], Truth], settles: Truth
    ) -> bool:
        """Join both sides; what *settles* it needs no other side."""
        whole, whys = ~settles, list[Undecided]()
        for child in node["children"]:
            try:
                side = Truth(self._truth(sign, child, value))
            except Exhausted:
                raise
            except Exception as error:
                side = UNKNOWN
                whys.append(undecided_by(error))
            whole = join(whole, side)
            if whole is settles:
                break
        if whole is UNKNOWN:
            raise whys[0]
        return whole is TRUE

    def _truth(self, sign: str, node: Node, value: Any) -> bool:
        """Whether *node* holds. Text is neither true nor false, the text `false` least of all."""
        answer = self.visit(node, value)
        if not isinstance(answer, bool):
            raise Undecided(f"{sign} is asked of {kind_of(answer)}")
        return answer

    def _charge(self, made: Any) -> None:
        """Spend for each value within *made*, as often as it stands there."""
        values = [made]
        while values:
            one = values.pop()
            self._spend(1 + (len(one) // 32 if isinstance(one, str) else 0))
            values += one if isinstance(one, list) else one.values() if isinstance(one, dict) else ()

    def _spend(self, number: int) -> None:
        self._left -= number
        if self._left < 0:
            raise Exhausted("it takes too many steps, or makes too much")


def _present(value: Any) -> Any:
    """A value in a list or an object, where null is as absent as elsewhere."""
    if value is None:
        raise Undecided("one of several is null")
    return value


def _must_be_alike(left: Any, right: Any) -> None:
    """Different kinds are not compared, nor lists and objects that hold them: Python takes true for 1."""
    if kind_of(left) != kind_of(right):
        raise Undecided(f"it compares {kind_of(left)} with {kind_of(right)}")
    if isinstance(left, list):
        for one, other in zip(left, right, strict=False):
            _must_be_alike(one, other)
    elif isinstance(left, Mapping):
        for name in left.keys() & right.keys():
            _must_be_alike(left[name], right[name])


def _check_arguments(name: str, given: Sequence[Any]) -> None:
    """What jmespath itself lets pass: Python takes an empty list for an object, and `1_0` for ten."""
    if name == "contains" and isinstance(given[0], list):
        for item in given[0]:
            _must_be_alike(item, given[1])
    if name == "merge":
        for one in given:
            if not isinstance(one, Mapping):
                raise Undecided(f"merge() does not take {kind_of(one)}")
    if name == "to_number" and isinstance(given[0], str) and not _NUMBER.fullmatch(given[0]):
        raise Undecided("to_number() answers nothing")
