"""Reads the query of a call: every number, name and flag is checked, one wrong one refuses the call."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from fc_emulator.refusals import invalid

MOST_PER_PAGE, PER_PAGE = 100, 20
"""https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-liststatefulasyncinvocations"""


def read_query(text: str) -> dict[str, str]:
    """Parameters by name; an empty one counts as absent.

    Raises:
        Refusal: one is given twice.
    """
    query: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name in query:
            raise invalid(f"{name} is given twice; it takes one value")
        query[name] = value
    return {name: value for name, value in query.items() if value}


def limit_in(query: Mapping[str, str]) -> int:
    """Tasks per page, 1 to 100, both inside; 20 when nothing is said."""
    text = query.get("limit", str(PER_PAGE))
    if not _is_digits(text) or not 1 <= int(text) <= MOST_PER_PAGE:
        raise invalid(f"limit is {text!r}; it must be a number from 1 to {MOST_PER_PAGE}")
    return int(text)


def moment_in(query: Mapping[str, str], name: str) -> int | None:
    """Epoch milliseconds, None when nothing is said."""
    text = query.get(name)
    if text is not None and not _is_digits(text):
        raise invalid(f"{name} is {text!r}; it must be epoch milliseconds")
    return None if text is None else int(text)


def flag_in(query: Mapping[str, str], name: str) -> bool:
    """True or false in any case, false when nothing is said."""
    text = query.get(name, "false").lower()
    if text not in ("true", "false"):
        raise invalid(f"{name} is {text!r}; it must be true or false")
    return text == "true"


def choice_in(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    """One of *choices*, None when nothing is said."""
    text = query.get(name)
    if text is not None and text not in choices:
        raise invalid(f"{name} is {text!r}; it must be one of {', '.join(choices)}")
    return text


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
