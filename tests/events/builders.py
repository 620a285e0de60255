"""Events that hold only what matters to a test."""

from __future__ import annotations

import json
from typing import Any

from fc_reaper.events import Selector, Trigger, parse_event

EVERYTHING = Selector()


def read(event: Any) -> Trigger:
    """Read *event* as it would arrive: bytes as they are, anything else as JSON."""
    return parse_event(event if isinstance(event, bytes) else json.dumps(event).encode())


def a_timer(payload: Any = None, **more: Any) -> dict[str, Any]:
    return {"triggerTime": "2026-11-20T02:15:00Z", "triggerName": "nightly", "payload": payload, **more}


def a_cloud_event(
    data: Any, *, id: str = "7adc8c1a", source: str = "my.scheduler", **more: Any
) -> dict[str, Any]:
    return {"id": id, "source": source, "specversion": "1.0", "type": "x:Y:Z", "data": data, **more}


def requested(trigger: Trigger) -> list[tuple[str, Selector]]:
    """The kind and selector of each request."""
    return [(request.kind, request.selector) for request in trigger.requests]


def noted(trigger: Trigger) -> list[str]:
    """The events of the notes."""
    return [note.event for note in trigger.notes]


def a_selector(
    function: str | None = None,
    *,
    service: str | None = None,
    qualifier: str | None = None,
    invocation_id: str | None = None,
    shard: str | None = None,
) -> Selector:
    return Selector(service, function, qualifier, invocation_id, shard)
