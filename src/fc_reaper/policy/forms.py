"""A form says how a value is read, and tells an editor the same as JSON schema.

A form that cannot read its node reports why and answers None; its caller has nothing to add.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fc_reaper.policy.document import Entries, Items, Node, Scalar
from fc_reaper.policy.findings import Place, quoted, shown

T = TypeVar("T")


@dataclass(frozen=True)
class Form(Generic[T]):
    """How a value is read, and the JSON schema of everything that is read without a fault.

    One that is used in several places has a *name*: its schema then stands once, under `$defs`.
    """

    read: Callable[[Node, Place], T | None]
    schema: Mapping[str, Any]
    name: str = ""

    @property
    def reference(self) -> Mapping[str, Any]:
        """The schema for the place where a value of this form stands."""
        return {"$ref": f"#/$defs/{self.name}"} if self.name else self.schema


class Wrong(Exception):
    """A value cannot be read; its text says what is wrong, then `; ` and what to write."""


def form(parse: Callable[[Node], T], schema: Mapping[str, Any], name: str = "") -> Form[T]:
    """Make a form of a function from node to value that raises `Wrong`."""

    def read(node: Node, place: Place) -> T | None:
        try:
            return parse(node)
        except Wrong as wrong:
            place.wrong(str(wrong), node.line)
            return None

    return Form(read, schema, name)


def list_of(
    item: Form[T], remedy: str, *, may_be_empty: bool = False, distinct: bool = True
) -> Form[tuple[T, ...]]:
    """A list, each item read by itself; where *distinct* the same item twice counts once."""

    def read(node: Node, place: Place) -> tuple[T, ...] | None:
        if not isinstance(node, Items):
            place.wrong(f"{_no_list(node)}; {remedy}", node.line)
            return None
        if not node.nodes and not may_be_empty:
            place.wrong(f"the list is empty; {remedy}", node.line)
            return None
        values = [item.read(one, place.item(at, one.line)) for at, one in enumerate(node.nodes)]
        sound = [value for value in values if value is not None]
        if len(sound) < len(values):
            return None
        return tuple(dict.fromkeys(sound) if distinct else sound)

    least = {} if may_be_empty else {"minItems": 1}
    return Form(read, {"type": "array", **least, "items": item.reference})


def one_or_list(item: Form[T], remedy: str) -> Form[tuple[T, ...]]:
    """One value, or a list of at least one."""
    several = list_of(item, remedy)

    def read(node: Node, place: Place) -> tuple[T, ...] | None:
        if isinstance(node, Items):
            return several.read(node, place)
        value = item.read(node, place)
        return None if value is None else (value,)

    return Form(read, {"anyOf": [item.reference, several.schema]})


def text_of(node: Node, what: str) -> str:
    """The text of a scalar that must be text; *what* names the thing with its article.

    Raises:
        Wrong: a list, a mapping, nothing, blank, or a scalar that YAML does not read as text.
    """
    if not isinstance(node, Scalar):
        raise Wrong(f"{kind_of(node)} stands where {what} belongs; {_text_instead(node, what)}")
    if node.reads_as != "str":
        raise Wrong(f"{misread(node)}; {_text_instead(node, what)}")
    if not node.text.strip():
        raise Wrong(f"it is empty; write {what}")
    return node.text


def kind_of(node: Node) -> str:
    """What a node is, with its article."""
    if isinstance(node, Scalar):
        return "a single value"
    return "a list" if isinstance(node, Items) else "a mapping"


def misread(scalar: Scalar) -> str:
    """What YAML makes of a scalar that is not read as text, for somebody who did not expect it."""
    if scalar.reads_as == "null":
        return f"{shown(scalar.text)} is read as nothing" if scalar.text else "it has no value"
    if scalar.reads_as == "unquoted":
        return f"{shown(scalar.text)} cannot stand unquoted in YAML"
    return f"{shown(scalar.text)} is read as {_meaning(scalar)}"


def _meaning(scalar: Scalar) -> str:
    if scalar.reads_as == "bool":
        return "true" if scalar.text.lower() in ("yes", "true", "on") else "false"
    if scalar.reads_as == "int" and ":" in scalar.text:
        return f"the base-60 number {_base_60(scalar.text)}"
    if scalar.reads_as == "alias":
        return f"a reference to &{scalar.text[1:60]}, which is not there"
    known = {"int": "a number", "float": "a number", "timestamp": "a date", "merge": "a merge key"}
    return known.get(scalar.reads_as, f"a {scalar.reads_as}")


def _base_60(text: str) -> int:
    value = 0
    for digits in text[:40].replace("_", "").lstrip("+-").split(":"):
        value = value * 60 + int(digits or "0")
    return -value if text.startswith("-") else value


def _text_instead(node: Node, what: str) -> str:
    if isinstance(node, Scalar) and node.reads_as != "null":
        return f"quote it: {quoted(node.text[:60])}, or write {what}"
    if isinstance(node, Entries) and node.opening == "?":
        return "if a pattern is meant, quote it: a ? that begins a pattern in brackets makes a mapping"
    return f"write {what}"


def _no_list(node: Node) -> str:
    if isinstance(node, Scalar) and node.reads_as == "null":
        return f"{misread(node)} (is every line under it commented out?)"
    return f"{kind_of(node)} stands where a list belongs"
