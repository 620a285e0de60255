"""The shapes that names have on the platform. What has another shape can be no name, and never enters a path.

Ids of tasks: https://help.aliyun.com/zh/fc/task-deduplication
Ids that the platform makes up may begin with a digit, so ids are read more loosely than they may be written.
"""

from __future__ import annotations

import re
from typing import Any

from fc_reaper.errors import EventRefused

_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,127}"
_SERVICE = re.compile(_NAME)
_FUNCTION = re.compile(rf"(?:{_NAME}\$)?{_NAME}")
_LOOSE = re.compile(r"[A-Za-z0-9_-]{1,128}")

_SHAPES = {
    "serviceName": (_SERVICE, "one plain service name"),
    "functionName": (_FUNCTION, "one plain function name, without service/ and @qualifier"),
    "qualifier": (_LOOSE, "one plain version or alias"),
    "invocationId": (_LOOSE, "one whole invocation id"),
}

# An empty one of these is what CloudMonitor and the templates of EventBridge write for "not said".
_MAY_BE_EMPTY = frozenset({"serviceName", "qualifier"})


def named(key: str, value: Any) -> str | None:
    """The name that a command gives under *key*; None when it does not say.

    Null and empty text mean "not said" for serviceName and qualifier. For functionName and invocationId they
    are refused: a slot that was not filled in must not turn one task into a whole sweep.

    Raises:
        EventRefused: another type than text, or a text that no name on the platform can be.
    """
    if value in (None, ""):
        if key in _MAY_BE_EMPTY:
            return None
        raise EventRefused(f"{key} is empty: nobody filled it in; leave the key out to mean all of them")
    if not isinstance(value, str):
        raise EventRefused(f"{key} is {kind_of(value)}; write it as text in quotes")
    shape, wanted = _SHAPES[key]
    if not shape.fullmatch(value):
        raise EventRefused(
            f"{key} can be no name on the platform; write {wanted}: letters, digits, _ and -, at most 128"
        )
    return value


def kind_of(value: Any) -> str:
    """What sort of JSON value it is, for a message that must not show the value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"
