"""The seed: the tasks and functions that an account starts with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationInfo, field_validator, model_validator

from fc_emulator.lifecycle import FINISHED, Event, Lifecycle
from fc_emulator.tasks import LATEST, Function, Task, TaskTemplate
from fc_emulator.validation import Model, Timestamp, validate

MAX_COPIES = 5_000_000

DEQUEUED_BEFORE = 50
"""A task leaves the queue this many milliseconds before it runs, yet never before it was enqueued."""

_QUEUED = ("Enqueued", "Dequeued")
_NEVER_RAN = ("Expired", "Invalid")


class _Absent:
    """The payload of an entry that has none; null is a payload."""


Name = Annotated[str, Field(min_length=1)]


class SeededFunction(Model):
    """A function under one qualifier. Without `serviceName` it is one of Function Compute 3.0."""

    service_name: str | None = None
    function_name: Name
    qualifier: Name = LATEST

    @property
    def function(self) -> Function:
        return Function(self.service_name or None, self.function_name, self.qualifier)


class FunctionEntry(SeededFunction):
    """A function that need not have tasks."""

    task_mode: bool = True


class EventEntry(Model):
    """An event taken literally; without `timestamp` the record shows none."""

    event_id: int | None = None
    status: Name
    timestamp: Timestamp | None = None
    event_detail: str = ""

    def event(self, now: int) -> Event:
        at = self.timestamp.at(now) if self.timestamp else 0
        dated = self.timestamp is not None
        return Event(at, self.status, detail=self.event_detail, event_id=self.event_id, dated=dated)


class TaskEntry(SeededFunction):
    """`count` tasks that differ in `{n}`.

    The seeded status stays until `ends`; Enqueued and Dequeued only until a `started` in the future. A
    `started` in the past means nothing for them, nor for tasks that never ran. Events are derived from the
    moments unless `events` are given, which is also the way to a record that contradicts itself.
    """

    count: Annotated[int, Field(ge=1, le=MAX_COPIES)] = 1
    invocation_id: Name
    status: Name
    enqueued: Timestamp | None = None
    started: Timestamp | None = None
    stopping: Timestamp | None = None
    ends: Timestamp | None = None
    ends_as: Name | None = None
    retries: Annotated[int, Field(ge=0)] = 0
    payload: Any = _Absent
    payload_text: str | None = None
    events: list[EventEntry] | None = None
    request_id: str | None = None
    instance_id: str | None = None
    invocation_error_message: str = ""
    started_time: Timestamp | None = None
    end_time: Timestamp | None = None

    @field_validator("invocation_id")
    @classmethod
    def _numbered(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("count", 1) > 1 and "{n}" not in value:
            raise ValueError(f'"{value}" is the same for all copies of "count"; write {{n}} into it')
        return value

    @field_validator("payload_text")
    @classmethod
    def _only_payload(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data["payload"] is not _Absent:
            raise ValueError("there is a payload already; leave one of them out")
        return value

    def ids(self) -> Iterator[str]:
        return (self.invocation_id.replace("{n}", str(number)) for number in range(1, self.count + 1))

    def template(self) -> TaskTemplate:
        is_json = self.payload is not _Absent
        payload = json.dumps(self.payload) if is_json else self.payload_text or ""
        return TaskTemplate(
            payload=payload,
            numbered=is_json and "{n}" in payload,
            request_id=self.request_id,
            instance_id=self.instance_id,
            error_message=self.invocation_error_message,
        )

    def lifecycle(self, now: int) -> Lifecycle:
        """The lifecycle that the entry describes, its relative times counted from *now*."""
        times = _Times.of(self, now)
        return Lifecycle(
            status=self.status,
            history=_derived(times) if self.events is None else tuple(e.event(now) for e in self.events),
            changes=_changes(times, self.ends_as),
            enqueued=times.enqueued,
            executed=times.executed,
            ended=times.ended,
            retries=self.retries,
            started_time=self.started_time.at(now) if self.started_time else None,
            end_time=self.end_time.at(now) if self.end_time else None,
        )


class Seed(Model):
    """What an account starts with. Every function that is named exists and is in task mode by default."""

    invocations: list[TaskEntry] = Field(default=[])
    functions: list[FunctionEntry] = Field(default=[])

    @model_validator(mode="after")
    def _unique_ids(self) -> Seed:
        taken: set[tuple[Function, str]] = set()
        for number, entry in enumerate(self.invocations):
            function = entry.function
            for task_id in entry.ids():
                if (function, task_id) in taken:
                    where = f"invocations[{number}].invocationId"
                    raise ValueError(f'{where}: "{task_id}" is used twice in {function}; rename one')
                taken.add((function, task_id))
        return self

    def all_functions(self) -> Iterator[tuple[Function, bool]]:
        """Every function that is named, and whether it is in task mode."""
        yield from ((entry.function, entry.task_mode) for entry in self.functions)
        yield from ((entry.function, True) for entry in self.invocations)

    def tasks(self, now: int) -> Iterator[Task]:
        """New tasks, with relative times counted from *now*."""
        for entry in self.invocations:
            function, lifecycle, template = entry.function, entry.lifecycle(now), entry.template()
            for number, task_id in enumerate(entry.ids(), start=1):
                yield Task(function, task_id, lifecycle, template, number)


def read_seed(text: str) -> Seed:
    """Read the JSON text of a seed.

    Raises:
        ValueError: it is not JSON, or not a seed; a line for each problem.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the seed is not JSON: {error}") from None
    return validate(Seed, value)


class _Times(NamedTuple):
    """The moments of an entry in epoch milliseconds, gaps filled."""

    status: str
    retries: int
    enqueued: int
    started: int | None
    stopping: int
    ends: int | None
    now: int

    @classmethod
    def of(cls, entry: TaskEntry, now: int) -> _Times:
        written = (entry.enqueued, entry.started, entry.stopping, entry.ends)
        enqueued, started, stopping, ends = (moment.at(now) if moment else None for moment in written)
        return cls(
            status=entry.status,
            retries=entry.retries,
            enqueued=_first(enqueued, started, now),
            started=started,
            stopping=_first(stopping, ends if entry.status == "Stopped" else None, now),
            ends=ends,
            now=now,
        )

    @property
    def executed(self) -> int:
        """When the present attempt began; 0 for a task that never ran."""
        if self.status in (*_QUEUED, *_NEVER_RAN):
            return 0
        return _first(self.started, self.enqueued)

    @property
    def ended(self) -> int:
        return _first(self.ends, self.now) if self.status in FINISHED else 0


def _first(*moments: int | None) -> int:
    return next(moment for moment in moments if moment is not None)


def _changes(times: _Times, ends_as: str | None) -> tuple[Event, ...]:
    """What is still to come."""
    changes: list[Event] = []
    if times.status in _QUEUED and times.started is not None and times.started > times.now:
        if times.status == "Enqueued":
            changes.append(Event(max(times.now, times.started - DEQUEUED_BEFORE), "Dequeued", "time"))
        changes.append(Event(times.started, "Running", "time"))
    if times.ends is not None and times.status not in FINISHED:
        end = ends_as or ("Stopped" if times.status == "Stopping" else "Succeeded")
        changes = [change for change in changes if change.at < times.ends]
        changes.append(Event(times.ends, end, "time"))
    return tuple(changes)


def _derived(times: _Times) -> tuple[Event, ...]:
    events = [Event(times.enqueued, "Enqueued")]
    if times.status in ("Dequeued", *_NEVER_RAN):
        events.append(Event(times.enqueued, "Dequeued"))
    elif times.status != "Enqueued":
        events += _attempts(times)
    if times.status in ("Stopping", "Stopped"):
        events.append(Event(times.stopping, "Stopping"))
    if times.status in FINISHED:
        events.append(Event(times.ended, times.status))
    return tuple(events)


def _attempts(times: _Times) -> list[Event]:
    """Earlier attempts evenly spread between enqueued and executed, then the present one."""
    enqueued, executed = times.enqueued, times.executed
    retrying = times.status == "Retrying"
    earlier = max(0, times.retries - 1) if retrying else times.retries
    gap = (executed - enqueued) // (2 * earlier + 1)
    first_run = enqueued + gap if earlier else executed
    events = [Event(max(enqueued, first_run - DEQUEUED_BEFORE), "Dequeued")]
    for attempt in range(earlier):
        events.append(Event(enqueued + (2 * attempt + 1) * gap, "Running"))
        events.append(Event(enqueued + (2 * attempt + 2) * gap, "Retrying"))
    events.append(Event(executed, "Running"))
    if retrying:
        events.append(Event((executed + max(executed, times.now)) // 2, "Retrying"))
    return events
