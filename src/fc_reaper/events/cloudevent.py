"""CloudEvents 1.0, as EventBridge delivers them, one by one or in lists.

https://www.alibabacloud.com/help/en/doc-detail/181428.htm
"""

from __future__ import annotations

from typing import Any

from fc_reaper.events.decode import JsonObject

KEYS = ("specversion", "id", "source", "type", "data", "data_base64")


def is_cloud_event(said: JsonObject) -> bool:
    """Whether it has the envelope; a transform may have dropped some of it, so one more mark is enough."""
    return "specversion" in said and any(key in said for key in ("id", "source", "type"))


def identity(said: JsonObject) -> tuple[str, str] | None:
    """`source` and `id`, which a resent event keeps; None when it lacks one."""
    source, event_id = said.get("source"), said.get("id")
    if isinstance(source, str) and isinstance(event_id, str) and source and event_id:
        return source, event_id
    return None


def content(said: JsonObject) -> Any:
    """What the envelope carries; None when nothing."""
    return said.get("data", said.get("data_base64"))
