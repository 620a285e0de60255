"""Decode the bytes of an event to JSON values, within bounds.

Whatever cannot be decoded raises `EventRefused`. Objects remember which of their keys are written twice: JSON
parsers keep the last one silently, so two readers of the same bytes could disagree about a command.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NoReturn

from fc_reaper.errors import EventRefused
from fc_reaper.json_depth import DEEPEST, nests_too_deep

MOST_BYTES = 1_048_576
"""The largest event in bytes, inclusive."""

_BLANKS = " \t\r\n"
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


def text_of(raw: bytes) -> str:
    """The text of an event, without byte order mark and surrounding blanks.

    Raises:
        EventRefused: more than 1 MiB, or not UTF-8.
    """
    if len(raw) > MOST_BYTES:
        raise EventRefused(f"the event has {len(raw)} bytes; at most {MOST_BYTES} are read")
    try:
        return strip(bytes(raw).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise EventRefused(f"byte {error.start} is not UTF-8; send the event as UTF-8 JSON") from None


def strip(text: str) -> str:
    """*text* without the blanks that JSON allows around a value."""
    return text.strip(_BLANKS)


def looks_like_json(text: str) -> bool:
    """Whether *text* begins like an object or a list, valid or not."""
    return text.startswith(("{", "["))


def parse(text: str) -> Any:
    """The JSON value of *text*; objects are `JsonObject`.

    Raises:
        EventRefused: not JSON, nested deeper than 64 levels, NaN or Infinity, or a number beyond 400 digits.
    """
    if nests_too_deep(text):
        raise EventRefused(f"it is nested deeper than {DEEPEST} levels")
    try:
        return json.loads(
            text, object_pairs_hook=JsonObject.of_pairs, parse_int=_integer, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")
        where = f"line {error.lineno} column {error.colno}"
        raise EventRefused(f"it is not JSON: {what} at {where}; an event that says nothing is {{}}") from None


def _integer(digits: str) -> int:
    # Python's own limit (4,300 digits, then ValueError) came with 3.10.7; before it, long numbers are slow.
    if len(digits) > _LONGEST_NUMBER:
        raise EventRefused(f"it holds a number of {len(digits)} digits; at most {_LONGEST_NUMBER} are read")
    return int(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise EventRefused(f"it holds {name}, which is not JSON")
