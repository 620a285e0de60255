"""The shapes of the platform's names and ids, checked before one enters a request path.

fc2 escapes nothing: `..`, `#`, `?` or `/` in a name change which resource a request is about.
Rules: https://help.aliyun.com/zh/fc/task-deduplication and the limits page of Function Compute.
"""

from __future__ import annotations

import re
from typing import Any

from fc_reaper.errors import InvalidName
from fc_reaper.models import Function

_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,127}"
_CHARS = r"[A-Za-z0-9_-]"

SERVICE = re.compile(_NAME)
FUNCTION = re.compile(_NAME)
FUNCTION_WITHOUT_SERVICE = re.compile(rf"(?:{_NAME}\$)?{_NAME}")
"""A function of FC 2.0 that was carried over to FC 3.0 is called `service$function` there."""
QUALIFIER = re.compile(rf"{_CHARS}{{1,128}}")
INVOCATION_ID = re.compile(rf"{_CHARS}{{1,128}}")
"""Generated ids are UUIDs, so an id may start with a digit."""
ID_PREFIX = re.compile(rf"{_CHARS}{{0,128}}")

_RULE = "at most 128 letters, digits, _ and -"
_NAME_RULE = f"use {_RULE}, not starting with a digit or -"


def check_function(function: Function) -> None:
    """Raise InvalidName unless every part of *function* may enter a path."""
    if function.service is not None:
        _check(SERVICE, function.service, "the name of a service", _NAME_RULE)
    pattern = FUNCTION_WITHOUT_SERVICE if function.service is None else FUNCTION
    _check(pattern, function.name, "the name of a function", _NAME_RULE)
    _check(QUALIFIER, function.qualifier, "a qualifier", f"use a version or an alias: {_RULE}")


def check_invocation_id(invocation_id: str) -> None:
    """Raise InvalidName unless the platform could have given this id."""
    _check(INVOCATION_ID, invocation_id, "an invocation id", f"use {_RULE}")


def check_id_prefix(prefix: str) -> None:
    """Raise InvalidName unless an id could begin with *prefix*; the empty one means every id."""
    _check(ID_PREFIX, prefix, "the beginning of an invocation id", f"use {_RULE}")


def is_invocation_id(text: str) -> bool:
    """Whether the platform could have given this id."""
    return INVOCATION_ID.fullmatch(text) is not None


def shown(value: Any) -> str:
    """*value* as a message may quote it: on one line, printable, not long."""
    text = repr(value)
    return text if len(text) <= 62 else f"{text[:59]}..."


def kind_of(value: Any) -> str:
    """The kind of a JSON value, for a message that must not show the value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


def _check(pattern: re.Pattern[str], text: Any, what: str, remedy: str) -> None:
    if not isinstance(text, str) or pattern.fullmatch(text) is None:
        raise InvalidName(f"{shown(text)} cannot be {what}; {remedy}")
