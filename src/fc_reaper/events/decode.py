"""Bytes and text become JSON values, within bounds, whatever they hold.

Every way to be unreadable is one `EventRefused`. Objects remember which of their keys were written twice,
because JSON parsers silently keep the last and two readers could disagree about a command.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NoReturn

from fc_reaper.errors import EventRefused
from fc_reaper.json_depth import DEEPEST, nests_too_deep

MOST_BYTES = 1_048_576
"""An event may be this long, in bytes, the limit included."""

_BLANKS = " \t\r\n"
_LONGEST_NUMBER = 400


class JsonObject(dict[str, Any]):
    """A JSON object; `repeated` holds the keys that were written more than once."""

    repeated: frozenset[str] = frozenset()


def text_of(raw: bytes) -> str:
    """The text of an event, without byte order mark and surrounding blanks.

    Raises:
        EventRefused: more than 1 MiB, or not UTF-8.
    """
    if len(raw) > MOST_BYTES:
        raise EventRefused(f"the event has {len(raw)} bytes; at most {MOST_BYTES} are read")
    try:
        text = bytes(raw).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EventRefused(f"byte {error.start} is not UTF-8; send the event as UTF-8 JSON") from None
    return strip(text)


def strip(text: str) -> str:
    """*text* without the blanks that JSON allows around a value."""
    return text.strip(_BLANKS)


def looks_like_json(text: str) -> bool:
    """Whether somebody who wrote *text* meant an object or a list, readable or not."""
    return text.startswith(("{", "["))


def parse(text: str) -> Any:
    """The JSON value that *text* holds; objects are `JsonObject`.

    Raises:
        EventRefused: not JSON, nested deeper than 64, NaN or Infinity, or a number of absurd length.
    """
    if nests_too_deep(text):
        raise EventRefused(f"it is nested deeper than {DEEPEST} levels; nothing we know is")
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")
        where = f"line {error.lineno} column {error.colno}"
        raise EventRefused(f"it is not JSON: {what} at {where}; a bare pulse is {{}}") from None


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = JsonObject(pairs)
    if len(found) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        found.repeated = frozenset(key for key, count in counts.items() if count > 1)
    return found


def _integer(digits: str) -> int:
    # Python's own limit (4,300 digits, then ValueError) came with 3.10.7; reading more is slow before it.
    if len(digits) > _LONGEST_NUMBER:
        raise EventRefused(f"it holds a number of {len(digits)} digits; no event has such a number")
    return int(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise EventRefused(f"it holds {name}, which is not JSON")
