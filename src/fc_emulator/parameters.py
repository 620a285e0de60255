"""The query parameters of a call: one wrong value refuses the call."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from fc_emulator.errors import invalid_argument

MAX_LIMIT, DEFAULT_LIMIT = 100, 20
"""https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-liststatefulasyncinvocations"""

MAX_DELAY = 3600
"""Seconds that an asynchronous invocation may be delayed."""

Query = Mapping[str, str]


def read_query(text: str) -> dict[str, str]:
    """Parameters by name; an empty one counts as absent.

    Raises:
        ApiError: one is given twice.
    """
    query: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name in query:
            raise invalid_argument(f"{name} is given twice; it takes one value")
        query[name] = value
    return {name: value for name, value in query.items() if value}


def limit(query: Query) -> int:
    """Tasks per page, 1 to 100, both included; 20 when absent."""
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not _is_number(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise invalid_argument(f"limit is {text!r}; it must be a number from 1 to {MAX_LIMIT}")
    return int(text)


def moment(query: Query, name: str) -> int | None:
    """Epoch milliseconds, None when absent."""
    text = query.get(name)
    if text is not None and not _is_number(text):
        raise invalid_argument(f"{name} is {text!r}; it must be epoch milliseconds")
    return None if text is None else int(text)


def flag(query: Query, name: str) -> bool:
    """True or false in any case, false when absent."""
    text = query.get(name, "false").lower()
    if text not in ("true", "false"):
        raise invalid_argument(f"{name} is {text!r}; it must be true or false")
    return text == "true"


def delay(headers: Mapping[str, str]) -> int:
    """Milliseconds from `x-fc-async-delay`, which is 0 to 3600 seconds; 0 when absent."""
    text = headers.get("x-fc-async-delay") or "0"
    if not _is_number(text) or int(text) > MAX_DELAY:
        raise invalid_argument(f"x-fc-async-delay is {text!r}; it must be 0 to {MAX_DELAY} seconds")
    return int(text) * 1000


def choice(query: Query, name: str, choices: tuple[str, ...]) -> str | None:
    """One of *choices*, None when absent."""
    text = query.get(name)
    if text is not None and text not in choices:
        raise invalid_argument(f"{name} is {text!r}; it must be one of {', '.join(choices)}")
    return text


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def page_token(listing: str, key: Sequence[object]) -> str:
    """A token for the page after *key*, valid only for the same *listing*: function, filters and order."""
    return base64.urlsafe_b64encode(json.dumps([_digest(listing), *key]).encode()).decode()


def after_token(query: Query, listing: str) -> list[object] | None:
    """The sort key in `nextToken`, None when absent.

    Raises:
        ApiError: the token was not issued here, or belongs to another listing.
    """
    given = query.get("nextToken")
    if given is None:
        return None
    try:
        digest, *key = json.loads(base64.urlsafe_b64decode(given.encode("ascii")))
    except (ValueError, TypeError):
        raise invalid_argument("nextToken was not issued by this API") from None
    if digest != _digest(listing) or not key:
        raise invalid_argument("nextToken belongs to another query; keep the other parameters unchanged")
    return list(key)


def _digest(listing: str) -> str:
    return hashlib.sha256(listing.encode()).hexdigest()[:12]
