"""Decode JSON and base64 from outside, within bounds.

Objects remember which of their keys are written twice: JSON parsers keep the last one silently, so two
readers of the same bytes could disagree about a command.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from typing import Any, NoReturn

from fc_reaper.errors import EventRefused

DEEPEST = 64
"""The most levels of lists and objects in JSON from outside, inclusive."""

BLANKS = " \t\r\n"
"""What JSON allows around a value."""

BRACKETS = ("{", "[")
"""What an object or a list begins with, valid or not."""

_NO_BRACKETS = re.compile(r'"(?:[^"\\]+|\\.)*"?|[^"\[\]{}]+', re.DOTALL)
_LONGEST_NUMBER = 400


class JsonObject(dict[str, Any]):
    """A JSON object; `repeated` holds the keys that are written more than once."""

    repeated: frozenset[str] = frozenset()

    @classmethod
    def of_pairs(cls, pairs: list[tuple[str, Any]]) -> JsonObject:
        """The object of *pairs* in the order in which they are written."""
        found = cls(pairs)
        if len(found) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            found.repeated = frozenset(key for key, count in counts.items() if count > 1)
        return found


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of *pairs*, for `json.loads` where an object that names a key twice contradicts itself.

    Raises:
        ValueError: it names one.
    """
    found = JsonObject.of_pairs(pairs)
    if found.repeated:
        raise ValueError(f"the key {json.dumps(min(found.repeated))[:60]} stands twice in one object")
    return dict(found)


def parse(text: str, object_of: Callable[[list[tuple[str, Any]]], Any] = JsonObject.of_pairs) -> Any:
    """The JSON value of *text*, with objects made by *object_of*.

    Raises:
        EventRefused: not JSON, nested deeper than 64 levels, NaN or Infinity, or a number beyond 400 digits.
    """
    if nests_too_deep(text):
        raise EventRefused(f"it is nested deeper than {DEEPEST} levels")
    try:
        return json.loads(
            text,
            object_pairs_hook=object_of,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        what = f"{error.msg.removesuffix(' at')} at line {error.lineno} column {error.colno}"
        raise EventRefused(f"it is not JSON: {what}; an event that says nothing is {{}}") from None


def json_in(text: str) -> Any:
    """The JSON value of *text* if it is that of an object, a list or a text in quotes; None for other words.

    Raises:
        EventRefused: it begins like an object or a list, and `parse` refuses it.
    """
    text = text.strip(BLANKS)
    if text.startswith(BRACKETS):
        return parse(text)
    if text.startswith('"'):
        with suppress(EventRefused):
            return parse(text)
    return None


def in_base64(text: str) -> str | None:
    """The UTF-8 text that *text* is the base64 of, in either alphabet; None if it is not."""
    try:
        return b64decode(text.replace("\r", "").replace("\n", ""), "-_", validate=True).decode("utf-8-sig")
    except ValueError:
        return None


def nests_too_deep(text: str) -> bool:
    """Whether lists and objects are nested more than 64 deep in *text*, which need not be valid JSON.

    Checked before parsing, since the limit of the parser differs between Pythons.
    """
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    depth = 0
    for bracket in _NO_BRACKETS.sub("", text):
        depth += 1 if bracket in BRACKETS else -1
        if depth > DEEPEST:
            return True
    return False


def _integer(digits: str) -> int:
    # Python's own limit (4,300 digits, then ValueError) came with 3.10.7; before it, long numbers are slow.
    if len(digits) > _LONGEST_NUMBER:
        raise EventRefused(f"it holds a number of {len(digits)} digits; at most {_LONGEST_NUMBER} are read")
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse_constant(text)


def _refuse_constant(name: str) -> NoReturn:
    raise EventRefused(f"it holds {name}, which is not JSON")
