"""Seeds for the tests: the same tasks once in 2.0 and once in 3.0."""

from __future__ import annotations

from typing import Any

Entry = dict[str, Any]


def both(**entry: Any) -> list[Entry]:
    """The entry under media/transcode@prod of 2.0 and under transcode@prod of 3.0."""
    fields = {"functionName": "transcode", "qualifier": "prod", "status": "Running", **entry}
    return [{"serviceName": "media", **fields}, fields]


def seed(*entries: list[Entry], functions: list[Entry] | None = None) -> dict[str, Any]:
    return {"invocations": [entry for pair in entries for entry in pair], "functions": functions or []}


A_SHIFT = seed(
    both(invocationId="job-{n}", count=5, enqueued="-3h", started="-2h30m", payload={"order": "o-{n}"}),
    both(invocationId="queued-1", status="Enqueued", enqueued="-4h"),
    both(invocationId="taken-1", status="Dequeued", enqueued="-2h"),
    both(invocationId="again-1", status="Retrying", enqueued="-5h", started="-1h", retries=2),
    both(invocationId="stopping-1", status="Stopping", enqueued="-1h", stopping="-4m"),
    both(invocationId="done-1", status="Succeeded", enqueued="-1h", ends="-10m"),
    both(invocationId="elsewhere-1", qualifier="LATEST", enqueued="-1h"),
)
"""One function with tasks in every status that is not the end, one that has ended, one under LATEST."""
