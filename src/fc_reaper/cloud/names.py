"""Names and ids are checked before they enter a request path.

fc2 escapes nothing: `..`, `#`, `?` or `/` in a name change which resource a request is about.
Rules: https://help.aliyun.com/zh/fc/task-deduplication and the limits page of Function Compute.
"""

from __future__ import annotations

import re
from typing import Any

from fc_reaper.errors import InvalidName
from fc_reaper.models import Function

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")
# A function of FC 2.0 that was carried over to FC 3.0 is called service$function there.
_NAME_WITHOUT_SERVICE = re.compile(rf"(?:{_NAME.pattern}\$)?{_NAME.pattern}")
_LOOSE = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PREFIX = re.compile(r"[A-Za-z0-9_-]{0,128}")

_RULE = "at most 128 letters, digits, _ and -"
_NAME_RULE = f"use {_RULE}, not starting with a digit or -"


def check_function(function: Function) -> None:
    """Let *function* pass if all its parts may enter a path; else raise InvalidName."""
    if function.service is not None:
        _check(_NAME, function.service, "the name of a service", _NAME_RULE)
    pattern = _NAME_WITHOUT_SERVICE if function.service is None else _NAME
    _check(pattern, function.name, "the name of a function", _NAME_RULE)
    _check(_LOOSE, function.qualifier, "a qualifier", f"use a version or an alias: {_RULE}")


def check_invocation_id(invocation_id: str) -> None:
    """Let an id pass that the platform could have given; it may start with a digit, as UUIDs do."""
    _check(_LOOSE, invocation_id, "an invocation id", f"use {_RULE}")


def check_id_prefix(prefix: str) -> None:
    """Let the beginning of an id pass; the empty one means every id."""
    _check(_PREFIX, prefix, "the beginning of an invocation id", f"use {_RULE}")


def is_invocation_id(text: str) -> bool:
    """Whether the platform could have given this id."""
    return _LOOSE.fullmatch(text) is not None


def _check(pattern: re.Pattern[str], text: Any, what: str, remedy: str) -> None:
    if not isinstance(text, str) or pattern.fullmatch(text) is None:
        raise InvalidName(f"{_shown(text)} cannot be {what}; {remedy}")


def _shown(text: Any) -> str:
    shown = repr(text)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
