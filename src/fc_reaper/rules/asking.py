"""Asking an expression of one record, so strictly that nobody is condemned by what is not there.

JMESPath answers null where a field is absent, and `!null` is true. Here an absent field, a null, a
comparison of different types and whatever fails leave the question open: `Undecided`.

Imports jmespath, so this is imported only where a policy has an expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from jmespath.visitor import TreeInterpreter

from fc_reaper.rules.expression import Expression, Path, spelt, step_into

Node = Mapping[str, Any]

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
"""A number as JSON writes it."""


class Undecided(Exception):
    """An expression has no answer for this task; `why` names fields and types, never a value."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def ask(expression: Expression, subject: Mapping[str, Any]) -> Any:
    """Answer *expression* for *subject*: never None.

    Raises:
        Undecided: a field that it reads is absent or null, types do not fit, or anything else fails.
    """
    # First of all, so that neither ! nor || can make an answer of what is not there.
    for path in expression.paths:
        _follow(subject, path)
    try:
        answer = _STRICT.visit(expression.tree, subject)
    except Undecided:
        raise
    except Exception as error:
        raise Undecided(_failure(error)) from None
    if answer is None:
        raise Undecided("it answers nothing")
    return answer


def holds(expression: Expression, subject: Mapping[str, Any]) -> bool:
    """Answer *expression* where that is true or false.

    Raises:
        Undecided: as `ask`, or the answer is anything else.
    """
    answer = ask(expression, subject)
    if not isinstance(answer, bool):
        raise Undecided(f"it answers {kind_of(answer)}, neither true nor false")
    return answer


def kind_of(value: Any) -> str:
    """What kind of value it is, in words of JSON with their article."""
    if isinstance(value, bool):
        return "true or false"
    kinds = ((int, "a number"), (float, "a number"), (str, "text"), (list, "a list"), (dict, "an object"))
    return next((word for kind, word in kinds if isinstance(value, kind)), "nothing")


class _Strict(TreeInterpreter):  # type: ignore[misc]
    """jmespath's interpreter, which here raises wherever that one answers null."""

    def visit_field(self, node: Node, value: Any) -> Any:
        found = value.get(node["value"]) if isinstance(value, Mapping) else None
        if found is None:
            raise Undecided(f"{node['value']} is absent")
        return found

    def visit_comparator(self, node: Node, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        _must_be_alike(left, right)
        if node["value"] not in ("eq", "ne") and kind_of(left) != "a number":
            raise Undecided(f"it asks whether {kind_of(left)} is more or less")
        return self.COMPARATOR_FUNC[node["value"]](left, right)

    def visit_not_expression(self, node: Node, value: Any) -> bool:
        return not self._truth("!", node["children"][0], value)

    def visit_and_expression(self, node: Node, value: Any) -> bool:
        one, other = node["children"]
        return self._truth("&&", one, value) and self._truth("&&", other, value)

    def visit_or_expression(self, node: Node, value: Any) -> bool:
        one, other = node["children"]
        return self._truth("||", one, value) or self._truth("||", other, value)

    def visit_filter_projection(self, node: Node, value: Any) -> list[Any]:
        listed = self.visit(node["children"][0], value)
        if not isinstance(listed, list):
            raise Undecided(f"filter projection finds nothing in {kind_of(listed)}")
        _, projected, condition = node["children"]
        return [
            _there(self.visit(projected, _there(one)))
            for one in listed
            if self._truth("[? ]", condition, _there(one))
        ]

    def visit_projection(self, node: Node, value: Any) -> list[Any]:
        listed = self.visit(node["children"][0], value)
        if not isinstance(listed, list):
            raise Undecided(f"projection finds nothing in {kind_of(listed)}")
        return [_there(self.visit(node["children"][1], _there(one))) for one in listed]

    def visit_value_projection(self, node: Node, value: Any) -> list[Any]:
        named = self.visit(node["children"][0], value)
        if not isinstance(named, Mapping):
            raise Undecided(f"value projection finds nothing in {kind_of(named)}")
        return [_there(self.visit(node["children"][1], _there(one))) for one in named.values()]

    def _truth(self, asker: str, node: Node, value: Any) -> bool:
        """Whether *node* holds. Text is neither true nor false, the text `false` least of all."""
        answer = self.visit(node, value)
        if not isinstance(answer, bool):
            raise Undecided(f"{asker} is asked of {kind_of(answer)}")
        return answer

    def visit_function_expression(self, node: Node, value: Any) -> Any:
        given = [self.visit(child, value) for child in node["children"]]
        self._check(node["value"], given)
        answer = self._functions.call_function(node["value"], given)
        if answer is None or (isinstance(answer, float) and not isfinite(answer)):
            raise Undecided(f"{node['value']}() answers nothing")
        return answer

    def _check(self, name: str, given: Sequence[Any]) -> None:
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


def _there(value: Any) -> Any:
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


def _something(kind: str) -> Callable[[Any, Node, Any], Any]:
    inherited = getattr(TreeInterpreter, f"visit_{kind}")

    def visit(self: Any, node: Node, value: Any) -> Any:
        found = inherited(self, node, value)
        if found is None:
            raise Undecided(f"{kind.replace('_', ' ')} finds nothing in {kind_of(value)}")
        return found

    return visit


for _kind in ("index", "slice", "flatten", "multi_select_list", "multi_select_dict"):
    setattr(_Strict, f"visit_{_kind}", _something(_kind))

_STRICT = _Strict()


def _follow(subject: Any, path: Path) -> None:
    here = subject
    for number, step in enumerate(path, 1):
        here = step_into(here, step)
        if here is None:
            raise Undecided(f"{spelt(path[:number])} is absent")


def _failure(error: Exception) -> str:
    """What failed, without the values that jmespath puts into its messages."""
    name, actual = getattr(error, "function_name", None), getattr(error, "actual_type", None)
    return f"{name}() does not take {actual}" if name and actual else "it cannot be computed"
