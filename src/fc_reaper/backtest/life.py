"""The life of one task, read from the dated events of its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from fc_reaper.models import FINISHED, STOPPED, STOPPING, UNFINISHED, Millis, Task, TaskEvent
from fc_reaper.policy import CLOCKS

Outcome = Literal["succeeded", "failed", "censored", "open", "unknown"]

OUTCOMES: tuple[Outcome, ...] = ("succeeded", "failed", "censored", "open", "unknown")

_ENDS = frozenset(FINISHED)
_ONLY_AT_THE_END = (
    "endTime", "durationMs", "returnPayload", "invocationErrorMessage", "taskErrorMessage",
    "destinationStatus",
)  # fmt: skip
_STARTS = {"queued_for": "Enqueued", "running_for": "Running", "stopping_for": STOPPING}


def outcome_of(task: Task) -> Outcome:
    """How a task ended, by the last word of its record; who is Stopping has been stopped by somebody.

    A status that nobody here knows may be an end or not.
    """
    if task.status == "Succeeded":
        return "succeeded"
    if task.status in (STOPPED, STOPPING):
        return "censored"
    if task.status in _ENDS:
        return "failed"
    return "open" if task.status in UNFINISHED else "unknown"


def as_of(task: Task, at: Millis) -> Task | None:
    """The record of *task* as it was at a moment, epoch milliseconds; None before its first event.

    An event at that very moment has happened. *task* must have nothing but dated events.
    """
    past = _until(task.events, at)
    if not past:
        return None
    if len(past) == len(task.events) and task.status in _ENDS:
        return task
    started_at = task.started_at if task.started_at is not None and task.started_at <= at else None
    retries = sum(event.status == "Retrying" for event in past)
    status = past[-1].status
    record = None if task.record is None else _record(task.record, task, past, started_at, retries)
    return task._replace(
        status=status, started_at=started_at, ended_at=None, retries=retries, events=past, record=record
    )


def _until(events: tuple[TaskEvent, ...], at: Millis) -> tuple[TaskEvent, ...]:
    count = len(events)
    while count and events[count - 1].at > at:
        count -= 1
    return events[:count]


def _record(
    final: Mapping[str, Any], task: Task, past: tuple[TaskEvent, ...], started_at: Millis | None, retries: int
) -> dict[str, Any]:
    """*final* without what came later."""
    record = {name: value for name, value in final.items() if name not in _ONLY_AT_THE_END}
    if started_at is None:
        record.pop("startedTime", None)
    if not any(event.status == "Running" for event in past):
        record.pop("instanceId", None)
    written = _written(final.get("events"), task.events)
    events = [
        {"eventId": event.id, "status": event.status, "timestamp": event.at} if raw is None else raw
        for event, raw in zip(past, written, strict=False)
    ]
    return {**record, "status": past[-1].status, "events": events, "alreadyRetriedTimes": retries}


def _written(listed: Any, events: tuple[TaskEvent, ...]) -> list[Any]:
    """The events as the cloud wrote them, in the order of *events*; None where that cannot be told."""
    raw = listed if isinstance(listed, list) else []
    same = len(raw) <= len(events) and all(
        isinstance(one, Mapping) and one.get("status") == event.status
        for one, event in zip(raw, events, strict=False)
    )
    return [*raw, *[None] * (len(events) - len(raw))] if same else [None] * len(events)


def spans(task: Task, end: Millis) -> Iterator[tuple[int, Millis, Millis]]:
    """Each stretch between two events: the number of events up to it, its beginning and its end.

    The last one of a task that has not ended lasts until *end*.
    """
    events = task.events
    for number, event in enumerate(events, 1):
        if number < len(events):
            yield number, event.at, events[number].at
        elif event.status not in _ENDS:
            yield number, event.at, max(event.at, end)


def running(task: Task, begin: Millis, end: Millis, last: Millis) -> Millis:
    """How long the task was in Running between *begin* and *end*; *last* is the end of the history."""
    return sum(
        max(0, min(until, end) - max(since, begin))
        for number, since, until in spans(task, last)
        if task.events[number - 1].status == "Running"
    )


def longest(task: Task, clock: str, end: Millis) -> Millis | None:
    """The most that *clock* ever comes to in the life of the task, all attempts; None if it never runs.

    At the very end of a stretch the task is in its next status, so a rule sees a millisecond less.
    """
    most: Millis | None = None
    for number, _, until in spans(task, end):
        if task.events[number - 1].status not in CLOCKS[clock]:
            continue
        since = _start(task.events[:number], clock)
        if since is not None:
            most = until - since if most is None else max(most, until - since)
    return most


def _start(past: tuple[TaskEvent, ...], clock: str) -> Millis | None:
    wanted = _STARTS.get(clock, "Enqueued")
    events = past if clock == "alive_for" else reversed(past)
    return next((event.at for event in events if event.status == wanted), None)


def first_enqueued(task: Task) -> Millis:
    """When it was first enqueued; its first event where nothing says so."""
    start = _start(task.events, "alive_for")
    return task.events[0].at if start is None else start
