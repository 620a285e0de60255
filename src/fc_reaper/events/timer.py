"""Function Compute's own timer: `{"triggerTime", "triggerName", "payload"}`.

The payload is the text typed into the trigger, copied as it stands, so a command in it is JSON inside JSON.
https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/time-triggers
"""

from __future__ import annotations

import re
from typing import Any

from fc_reaper.errors import EventRefused
from fc_reaper.events.decode import JsonObject, looks_like_json, parse, strip
from fc_reaper.events.dry_run import mentions_dry_run, parse_guarded
from fc_reaper.events.names import kind_of

KEYS = ("triggerTime", "triggerName", "payload")

_TRIGGER_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_MOST_TEXTS = 3


def is_timer(said: JsonObject) -> bool:
    """Whether the timer sent it: its time and name are there, or one of them and nothing foreign."""
    marks = {"triggerTime", "triggerName"} & said.keys()
    return len(marks) == 2 or (len(marks) == 1 and said.keys() <= set(KEYS))


def trigger_name(said: JsonObject) -> str | None:
    """The timer's name; None when it is missing or is none a trigger can have."""
    name = said.get("triggerName")
    return name if isinstance(name, str) and _TRIGGER_NAME.fullmatch(name) else None


def read_payload(payload: Any) -> JsonObject | list[Any] | None:
    """What may be a command, or several, in the payload; None for none, empty, and plain words.

    Text that begins like an object or a list must be one: somebody meant a command.

    Raises:
        EventRefused: such text is not JSON, or the payload is of another type than text.
    """
    for _ in range(_MOST_TEXTS):
        if isinstance(payload, str):
            payload = _opened(strip(payload))
    if payload is None or isinstance(payload, (JsonObject, list)):
        return payload
    raise EventRefused(f"the timer's payload is {kind_of(payload)}; write text, or the text of a JSON object")


def read_element(element: Any) -> JsonObject:
    """One command of a list in the payload, an object or the text of one.

    Raises:
        EventRefused: it is anything else.
    """
    payload = read_payload(element) if isinstance(element, str) else element
    if isinstance(payload, JsonObject):
        return payload
    raise EventRefused(
        f"{kind_of(element)} in the timer's list of commands; write objects only",
        dry_run=mentions_dry_run(element),
    )


def _opened(text: str) -> Any:
    if looks_like_json(text):
        return parse_guarded(text)
    return _quoted(text) if text.startswith('"') else None


def _quoted(text: str) -> str | None:
    """What is within quotation marks: JSON encoded twice, or just words that somebody quoted."""
    try:
        return str(parse(text))
    except EventRefused:
        return None
