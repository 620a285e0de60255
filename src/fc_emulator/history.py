"""From a few moments in a seed entry to a life with dated events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fc_emulator.life import FINISHED, Event, Life, Step, step
from fc_emulator.times import moment_ms

DEQUEUED_BEFORE = 50
"""A task leaves the queue this many milliseconds before it runs, yet never before it was enqueued."""

_QUEUED = ("Enqueued", "Dequeued")
_NEVER_RAN = ("Expired", "Invalid")


class _Told(NamedTuple):
    """What an entry says about its life, in epoch milliseconds, gaps filled."""

    status: str
    retries: int
    enqueued: int
    started: int | None
    stopping: int
    ends: int | None
    ends_as: str
    now: int

    @property
    def executed(self) -> int:
        """When the present attempt began; 0 for a task that never ran."""
        if self.status in (*_QUEUED, *_NEVER_RAN):
            return 0
        return self.enqueued if self.started is None else self.started

    @property
    def ended(self) -> int:
        if self.status not in FINISHED:
            return 0
        return self.now if self.ends is None else self.ends


def life_of(entry: Mapping[str, Any], now: int) -> Life:
    """The life that a checked seed entry describes, its relative times counted from *now*.

    The seeded status stays until `ends`, Enqueued and Dequeued only until a `started` that is yet to come.
    A `started` in the past says nothing about them, nor about tasks that never ran. To seed a record that
    contradicts itself, write its `events`.

    Raises:
        ValueError: a moment cannot be read; the text begins with the key.
    """
    told = _told(entry, now)
    return Life(
        status=told.status,
        history=_given(entry["events"], now) if "events" in entry else _derived(told),
        steps=_steps(told),
        enqueued=told.enqueued,
        executed=told.executed,
        ended=told.ended,
        retries=told.retries,
        started_time=_moment(entry, "startedTime", now),
        end_time=_moment(entry, "endTime", now),
    )


def _told(entry: Mapping[str, Any], now: int) -> _Told:
    at = {key: _moment(entry, key, now) for key in ("enqueued", "started", "stopping", "ends")}
    status = entry["status"]
    return _Told(
        status=status,
        retries=entry.get("retries", 0),
        enqueued=_first(at["enqueued"], at["started"], now),
        started=at["started"],
        stopping=_first(at["stopping"], at["ends"] if status == "Stopped" else None, now),
        ends=at["ends"],
        ends_as=entry.get("endsAs") or ("Stopped" if status == "Stopping" else "Succeeded"),
        now=now,
    )


def _moment(entry: Mapping[str, Any], key: str, now: int) -> int | None:
    if entry.get(key) is None:
        return None
    try:
        return moment_ms(entry[key], now)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _first(*moments: int | None) -> int:
    return next(moment for moment in moments if moment is not None)


def _steps(told: _Told) -> tuple[Step, ...]:
    """What is still to come."""
    steps: list[Step] = []
    if told.status in _QUEUED and told.started is not None and told.started > told.now:
        if told.status == "Enqueued":
            steps.append(step(max(told.now, told.started - DEQUEUED_BEFORE), "Dequeued"))
        steps.append(step(told.started, "Running"))
    if told.ends is not None and told.status not in FINISHED:
        steps = [coming for coming in steps if coming.at < told.ends]
        steps.append(step(told.ends, told.ends_as))
    return tuple(steps)


def _derived(told: _Told) -> tuple[Event, ...]:
    events = [Event(told.enqueued, "Enqueued")]
    if told.status in ("Dequeued", *_NEVER_RAN):
        events.append(Event(told.enqueued, "Dequeued"))
    elif told.status != "Enqueued":
        events += _attempts(told)
    if told.status in ("Stopping", "Stopped"):
        events.append(Event(told.stopping, "Stopping"))
    if told.status in FINISHED:
        events.append(Event(told.ended, told.status))
    return tuple(events)


def _attempts(told: _Told) -> list[Event]:
    """Earlier attempts evenly spread between enqueued and executed, then the present one."""
    enqueued, executed = told.enqueued, told.executed
    retrying = told.status == "Retrying"
    earlier = max(0, told.retries - 1) if retrying else told.retries
    gap = (executed - enqueued) // (2 * earlier + 1)
    first_run = enqueued + gap if earlier else executed
    events = [Event(max(enqueued, first_run - DEQUEUED_BEFORE), "Dequeued")]
    for attempt in range(earlier):
        events.append(Event(enqueued + (2 * attempt + 1) * gap, "Running"))
        events.append(Event(enqueued + (2 * attempt + 2) * gap, "Retrying"))
    events.append(Event(executed, "Running"))
    if retrying:
        events.append(Event((executed + max(executed, told.now)) // 2, "Retrying"))
    return events


def _given(events: list[Mapping[str, Any]], now: int) -> tuple[Event, ...]:
    return tuple(_event(event, f"events[{number}].timestamp", now) for number, event in enumerate(events))


def _event(event: Mapping[str, Any], where: str, now: int) -> Event:
    at = _moment({where: event.get("timestamp")}, where, now)
    return Event(at, event["status"], event.get("eventDetail", ""), event_id=event.get("eventId"))
