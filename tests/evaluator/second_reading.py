"""The table of age bounds, read a second time from the documents alone: plain, slow, one row at a time.

It takes a record as the platform writes it and asks the product nothing, so that a mistake there has no
brother here. Times are epoch milliseconds.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, NamedTuple

YEAR_2017 = int(datetime(2017, 1, 1, tzinfo=timezone.utc).timestamp() * 1000)

HOLDS_IN = {
    "queued_for": ("Enqueued", "Dequeued"),
    "running_for": ("Running",),
    "alive_for": ("Enqueued", "Dequeued", "Running", "Retrying"),
    "stopping_for": ("Stopping",),
}
COUNTS_FROM = {"queued_for": "Enqueued", "running_for": "Running", "stopping_for": "Stopping"}
"""The latest event of this status; `alive_for` counts from the first of all."""


class Now(NamedTuple):
    """The bounds of the present."""

    earliest: int
    latest: int


class Bounds(NamedTuple):
    """An age is at least and at most so much; None: nobody knows."""

    least: int | None = None
    most: int | None = None


def verdict(record: dict[str, Any], clock: str, now: Now, meaning: str, limit: int) -> bool | None:
    """Whether the clock is over its limit: yes, no, or None, nobody can tell.

    *meaning* is that of `startedTime`: `unknown`, `enqueue` or `execution`.
    """
    if is_unknown(record, now):
        return None
    if record["status"] not in HOLDS_IN[clock]:
        return False
    least, most = bounds(record, clock, now, meaning)
    if least is not None and least > limit:
        return True
    if most is not None and most <= limit:
        return False
    return None


def is_unknown(record: dict[str, Any], now: Now) -> bool:
    """An event without a usable date, or a status that contradicts the latest event."""
    events = record.get("events", [])
    if not events:
        return False
    if not all(is_usable(event.get("timestamp"), now) for event in events):
        return True
    return bool(in_order(events)[-1]["status"] != record["status"])


def is_usable(date: object, now: Now) -> bool:
    """Not missing, zero, negative, before 2017 or in the future."""
    return isinstance(date, int) and YEAR_2017 <= date <= now.latest


def in_order(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Oldest first; of one moment, by their numbers."""
    return sorted(events, key=lambda event: (event["timestamp"], event.get("eventId", 0)))


def bounds(record: dict[str, Any], clock: str, now: Now, meaning: str) -> Bounds:
    """What a record that is not unknown proves about one clock, which its status has."""
    events = record.get("events", [])
    if events:
        return by_events(in_order(events), record.get("alreadyRetriedTimes"), clock, now)
    started = record.get("startedTime")
    if started is None or not is_usable(started, now):
        return Bounds()
    return by_started_time(started, record.get("alreadyRetriedTimes"), clock, now, meaning)


def by_events(events: list[dict[str, Any]], retries: int | None, clock: str, now: Now) -> Bounds:
    dates = [event["timestamp"] for event in events]
    own = [event["timestamp"] for event in events if event["status"] == COUNTS_FROM.get(clock)]
    if is_complete(events, retries):
        begin = dates[0] if clock == "alive_for" else own[-1] if own else None
        return Bounds() if begin is None else fixed(begin, now)
    if clock == "alive_for":
        return Bounds(least=now.earliest - dates[0])
    if not own:
        return Bounds()
    missing_at_its_head = events[0]["status"] != "Enqueued"
    if missing_at_its_head and events[-1]["status"] == COUNTS_FROM[clock]:
        return fixed(own[-1], now)
    return Bounds(most=now.latest - own[-1])


def is_complete(events: list[dict[str, Any]], retries: int | None) -> bool:
    """It begins with Enqueued, and shows all restarts that the record counts."""
    statuses = [event["status"] for event in events]
    restarts = max(statuses.count("Retrying"), statuses.count("Running") - 1)
    return statuses[0] == "Enqueued" and retries is not None and restarts >= retries


def by_started_time(started: int, retries: int | None, clock: str, now: Now, meaning: str) -> Bounds:
    if clock == "alive_for":
        return fixed(started, now) if meaning == "enqueue" else Bounds(least=now.earliest - started)
    if clock == "queued_for":
        return fixed(started, now) if meaning == "enqueue" and retries == 0 else Bounds()
    if clock == "running_for" and meaning == "execution" and retries == 0:
        return fixed(started, now)
    return Bounds(most=now.latest - started)


def fixed(begin: int, now: Now) -> Bounds:
    return Bounds(now.earliest - begin, now.latest - begin)
