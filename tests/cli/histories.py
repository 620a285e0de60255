"""Histories in files, for `backtest` and `diff`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fc_reaper.models import Millis
from tests.builders import ms

MIDNIGHT: Millis = 1_794_960_000_000
"""2026-11-18 00:00 UTC."""

POLICY = """\
version: 1
exempt: [keep-*]
policies:
  - name: runaway
    targets: [media/transcode@prod]
    match: {running_for: 2h}
    stop: It takes forty minutes at worst.
"""


def record(invocation_id: str, *events: tuple[str, str], **fields: Any) -> dict[str, Any]:
    """A record of 2.0 whose life is *events*, such as `("Running", "3h")`, counted from midnight."""
    dated = [
        {"eventId": number, "status": name, "timestamp": MIDNIGHT + ms(when), "eventDetail": ""}
        for number, (name, when) in enumerate(events, 1)
    ]
    return {
        "serviceName": "media",
        "functionName": "transcode",
        "qualifier": "prod",
        "invocationId": invocation_id,
        "requestId": f"r-{invocation_id}",
        "status": events[-1][0],
        "alreadyRetriedTimes": sum(name == "Retrying" for name, _ in events),
        "events": dated,
        **fields,
    }


RECORDS = (
    record("slow", ("Enqueued", "0s"), ("Running", "1m"), ("Succeeded", "5h")),
    record("broken", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "6h")),
    record("cut", ("Enqueued", "0s"), ("Running", "1m"), ("Stopping", "4h"), ("Stopped", "241m")),
    record("endless", ("Enqueued", "0s"), ("Running", "1m")),
    record("quick", ("Enqueued", "0s"), ("Running", "1m"), ("Succeeded", "30m")),
    record("keep-1", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "9h")),
    record("undated", ("Succeeded", "0s"), events=[]),
    record("strange", ("Enqueued", "0s"), ("Running", "1m"), status="Failed"),
    record("other", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "2m"), functionName="resize"),
)
"""One of each kind; under POLICY slow, broken, cut and endless would be stopped at 02:05."""


def a_history(folder: Path, records: Iterable[Mapping[str, Any] | str] = RECORDS) -> Path:
    """A file of *records*, one a line; text stands as it is."""
    lines = (one if isinstance(one, str) else json.dumps(one) for one in records)
    path = folder / "history.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
