"""The shapes of the platform's names and ids, checked before one enters a request path.

fc2 escapes nothing: `..`, `#`, `?` or `/` in a name change which resource a request is about.
Rules: https://help.aliyun.com/zh/fc/task-deduplication and the limits page of Function Compute.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from fc_reaper.errors import InvalidName
from fc_reaper.errors import printable as printable
from fc_reaper.models import Function

_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,127}"

SERVICE = re.compile(_NAME)
FUNCTION = re.compile(_NAME)
FUNCTION_WITHOUT_SERVICE = re.compile(rf"(?:{_NAME}\$)?{_NAME}")
"""A function of FC 2.0 that was carried over to FC 3.0 is called `service$function` there."""
QUALIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}")
INVOCATION_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""Generated ids are UUIDs, so an id may start with a digit."""
_ID_PREFIX = re.compile(r"[A-Za-z0-9_-]{0,128}")

_RULE = "at most 128 letters, digits, _ and -"
_NAME_RULE = f"use {_RULE}, not starting with a digit or -"


_KINDS = {
    type(None): "null", bool: "true or false", int: "a number", float: "a number", str: "text",
    list: "a list", tuple: "a list",
}  # fmt: skip


def check_names(function: Function, invocation_id: str | None = None, id_prefix: str = "") -> None:
    """Check that a function, and the id of a task or its beginning, may enter a request.

    Raises:
        InvalidName: the platform could not have given one of them.
    """
    shape = FUNCTION_WITHOUT_SERVICE if function.service is None else FUNCTION
    checks: list[tuple[re.Pattern[str], Any, str, str]] = [
        (shape, function.name, "the name of a function", _NAME_RULE),
        (QUALIFIER, function.qualifier, "a qualifier", f"use a version or an alias: {_RULE}"),
        (_ID_PREFIX, id_prefix, "the beginning of an invocation id", f"use {_RULE}"),
    ]
    if function.service is not None:
        checks.append((SERVICE, function.service, "the name of a service", _NAME_RULE))
    if invocation_id is not None:
        checks.append((INVOCATION_ID, invocation_id, "an invocation id", f"use {_RULE}"))
    for pattern, text, what, remedy in checks:
        if not isinstance(text, str) or pattern.fullmatch(text) is None:
            raise InvalidName(f"{shown(text)} cannot be {what}; {remedy}")


def shown(value: Any) -> str:
    """*value* as a message may quote it: on one line, printable, not long."""
    text = repr(value)
    return text if len(text) <= 62 else f"{text[:59]}..."


def kind_of(value: Any) -> str:
    """The kind of a JSON value, for a message that must not show the value."""
    return _KINDS.get(type(value), "an object")


def nearest(word: str, known: Collection[str], *, cutoff: float = 0.7) -> str | None:
    """The known word that *word* probably stands for, None when none is as near as *cutoff* (0 to 1)."""
    from difflib import get_close_matches  # Only a mistake needs it.

    plain = {re.sub("[-_ ]", "", name.lower()): name for name in known}
    close = get_close_matches(re.sub("[-_ ]", "", word[:60].lower()), list(plain), n=1, cutoff=cutoff)
    return plain[close[0]] if close else None
