"""A payload as an example gives it: YAML that says exactly what JSON would say.

YAML 1.1 reads `on` as true and `12:30` as 750, and what a task carries is JSON. What the two read
differently is refused, so that an example never tests another value than the one that is seen.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from fc_reaper.policy.document import Entries, Items, Node, Scalar
from fc_reaper.policy.findings import Place, quoted, shown
from fc_reaper.policy.forms import Form, Wrong, misread

_INTEGER = re.compile("-?(?:0|[1-9][0-9]{0,39})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_WORDS = {"true": True, "false": False}


def looks_like_number(text: str) -> bool:
    """Whether JSON takes the text for a number."""
    return _NUMBER.fullmatch(text) is not None


def _read(node: Node, place: Place) -> str | None:
    faults = len(place.findings)
    value = _value(node, place)
    return None if len(place.findings) > faults else json.dumps(value, separators=(",", ":"))


def _value(node: Node, place: Place) -> Any:
    """The value of a node; the depth of the tree is bounded already."""
    if isinstance(node, Items):
        return [_value(item, place.item(at, item.line)) for at, item in enumerate(node.nodes)]
    if isinstance(node, Entries):
        return _object(node, place)
    try:
        return _scalar(node)
    except Wrong as wrong:
        place.wrong(str(wrong), node.line)
        return None


def _object(node: Entries, place: Place) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in node.pairs:
        if not isinstance(key, Scalar):
            place.wrong("a list or mapping stands where a key belongs; quote it if it is text", key.line)
        elif key.reads_as != "str":
            place.wrong(
                f"{misread(key)}, and a key of JSON is text; quote it: {quoted(key.text[:60])}", key.line
            )
        elif key.text in values:
            place.wrong(f"the key {shown(key.text)} is written twice; keep one", key.line)
        else:
            name = key.text if re.fullmatch("[A-Za-z0-9_-]{1,60}", key.text) else shown(key.text)
            values[key.text] = _value(value, place.key(name, key.line))
    return values


def _scalar(scalar: Scalar) -> Any:
    text, kind = scalar.text, scalar.reads_as
    if kind == "str" and scalar.plain and looks_like_number(text):
        raise Wrong(f"{shown(text)} is text in YAML and a number in JSON; write it with a dot, or quote it")
    if kind == "str":
        return text
    if kind == "bool" and text in _WORDS:
        return _WORDS[text]
    if kind == "null" and text == "null":
        return None
    if kind == "int" and _INTEGER.fullmatch(text):
        return int(text)
    if kind == "float" and _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    raise Wrong(f"{misread(scalar)}, which JSON would not write so; {_instead(scalar)}")


def _instead(scalar: Scalar) -> str:
    text = quoted(scalar.text[:60])
    if scalar.reads_as == "bool":
        word = "true" if scalar.text.lower() in ("yes", "true", "on") else "false"
        return f"write {word}, or quote it: {text}"
    if scalar.reads_as == "null":
        return "write null" if not scalar.text else f"write null, or quote it: {text}"
    if scalar.reads_as in ("int", "float") and ":" not in scalar.text:
        return f"write a plain decimal number, or quote it: {text}"
    return f"quote it: {text}"


PAYLOAD: Form[str] = Form(_read, {})
