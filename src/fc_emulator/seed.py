"""The seed: the tasks and functions that an account starts with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationInfo, field_validator, model_validator

from fc_emulator.lifecycle import FINISHED, QUEUED, Event, Lifecycle
from fc_emulator.parameters import MAX_DELAY
from fc_emulator.tasks import CHOSEN_ID, LATEST, TASK_ID, Function, Task, TaskTemplate
from fc_emulator.validation import Duration, Model, Str, Timestamp, parse

MAX_COPIES = 5_000_000

DEQUEUED_BEFORE = 50
"""A task leaves the queue this many milliseconds before it runs, yet never before it was enqueued."""

MAX_RETRIES = 1_000
"""The platform itself retries after errors of its own, so more than the eight that one can configure."""

_NEVER_RAN = ("Expired", "Invalid")


class _Absent:
    """The payload of an entry that has none; null is a payload."""


Name = Annotated[Str, Field(min_length=1)]


class SeededFunction(Model):
    """A function under one qualifier. Without `serviceName` it is one of Function Compute 3.0."""

    service_name: Str | None = None
    function_name: Name
    qualifier: Name = LATEST

    @field_validator("service_name", "function_name", "qualifier")
    @classmethod
    def _can_be_a_name(cls, value: str | None, info: ValidationInfo) -> str | None:
        shape = TASK_ID if info.field_name == "qualifier" else CHOSEN_ID
        parts = (value or "").split("$", 1 if info.field_name == "function_name" else 0)
        if value and not all(map(shape.fullmatch, parts)):
            raise ValueError(f'"{value}" is no name on the platform; it must match {shape.pattern}')
        return value

    @property
    def function(self) -> Function:
        return Function(self.service_name or None, self.function_name, self.qualifier)


class FunctionEntry(SeededFunction):
    """A function that need not have tasks. Without `starts` none runs; GetFunction shows `resources` too."""

    task_mode: bool = True
    starts: bool = True
    timeout: Annotated[int, Field(ge=1, le=86_400)] = 60
    resources: dict[str, Any] = Field({})
    async_config: dict[str, Any] | None = None


class EventEntry(Model):
    """An event taken literally; without `timestamp` the record shows none."""

    event_id: int | None = None
    status: Name
    timestamp: Timestamp | None = None
    event_detail: Str = ""

    def event(self, now: int) -> Event:
        at = self.timestamp.at(now) if self.timestamp else 0
        dated = self.timestamp is not None
        return Event(at, self.status, detail=self.event_detail, event_id=self.event_id, dated=dated)


class TaskEntry(SeededFunction):
    """`count` tasks that differ in `{n}`.

    The seeded status stays until `ends`; Enqueued and Dequeued only until a `started` in the future. A
    `started` in the past means nothing for them, nor for tasks that never ran; `delay` is another way to
    write it. `reenqueued` is when an attempt had failed and the task waited again, so there is a retry at
    least. Events are derived from the moments unless `events` are given, which is also the way to a record
    that contradicts itself; `cut_head` and `cut_tail` leave out so many of the first and of the last.
    """

    count: Annotated[int, Field(ge=1, le=MAX_COPIES)] = 1
    invocation_id: Name
    status: Name
    enqueued: Timestamp | None = None
    delay: Annotated[Duration, Field(le=MAX_DELAY * 1000)] = 0
    reenqueued: Timestamp | None = None
    started: Timestamp | None = None
    stopping: Timestamp | None = None
    ends: Timestamp | None = None
    ends_as: Name | None = None
    retries: Annotated[int, Field(ge=0, le=MAX_RETRIES)] = 0
    payload: Any = _Absent
    payload_text: Str | None = None
    events: list[EventEntry] | None = None
    cut_head: Annotated[int, Field(ge=0)] = 0
    cut_tail: Annotated[int, Field(ge=0)] = 0
    request_id: Str | None = None
    instance_id: Str | None = None
    invocation_error_message: Str = ""
    started_time: Timestamp | None = None
    end_time: Timestamp | None = None

    @field_validator("invocation_id")
    @classmethod
    def _numbered(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("count", 1) > 1 and "{n}" not in value:
            raise ValueError(f'"{value}" is the same for all copies of "count"; write {{n}} into it')
        if not TASK_ID.fullmatch(value.replace("{n}", str(info.data.get("count", 1)))):
            raise ValueError(f'"{value}" is no id that a task can have; it must match {TASK_ID.pattern}')
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
        given = self.events
        history = _derived(times) if given is None else [entry.event(now) for entry in given]
        return Lifecycle(
            status=self.status,
            history=tuple(history[self.cut_head : max(0, len(history) - self.cut_tail)]),
            changes=_changes(times, self.ends_as),
            enqueued=times.enqueued,
            executed=times.executed,
            ended=times.ended,
            retries=times.retries,
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
    wanted = 'write one object such as {"invocations": []}; docs/emulator.md has its keys'
    return parse(Seed, text, "the seed", wanted)


class _Times(NamedTuple):
    """The moments of an entry in epoch milliseconds, gaps filled."""

    status: str
    retries: int
    enqueued: int
    reenqueued: int | None
    started: int | None
    stopping: int
    ends: int | None
    now: int

    @classmethod
    def of(cls, entry: TaskEntry, now: int) -> _Times:
        written = (entry.enqueued, entry.reenqueued, entry.started, entry.stopping, entry.ends)
        first, again, started, stopping, ends = (moment.at(now) if moment else None for moment in written)
        enqueued = _first(first, started, now)
        if started is None and entry.delay:
            started = enqueued + entry.delay
        fewest = 0 if again is None else 2 if entry.status == "Retrying" else 1
        return cls(
            status=entry.status,
            retries=max(entry.retries, fewest),
            enqueued=enqueued,
            reenqueued=again,
            started=started,
            stopping=_first(stopping, ends if entry.status == "Stopped" else None, now),
            ends=ends,
            now=now,
        )

    @property
    def executed(self) -> int:
        """When the present attempt began; 0 for a task that never ran."""
        if self.status in (*QUEUED, *_NEVER_RAN):
            return 0
        return _first(self.started, self.reenqueued, self.enqueued)

    @property
    def ended(self) -> int:
        return _first(self.ends, self.now) if self.status in FINISHED else 0


def _first(*moments: int | None) -> int:
    return next(moment for moment in moments if moment is not None)


def _changes(times: _Times, ends_as: str | None) -> tuple[Event, ...]:
    """What is still to come."""
    changes: list[Event] = []
    if times.status in QUEUED and times.started is not None and times.started > times.now:
        if times.status == "Enqueued":
            changes.append(Event(max(times.now, times.started - DEQUEUED_BEFORE), "Dequeued", "time"))
        changes.append(Event(times.started, "Running", "time"))
    if times.ends is not None and times.status not in FINISHED:
        end = ends_as or ("Stopped" if times.status == "Stopping" else "Succeeded")
        changes = [change for change in changes if change.at < times.ends]
        changes.append(Event(times.ends, end, "time"))
    return tuple(changes)


def _derived(times: _Times) -> list[Event]:
    queued, earlier = times.enqueued, times.retries - (times.status == "Retrying")
    events = [Event(queued, "Enqueued")]
    if times.reenqueued is not None:
        events += _failed(queued, (times.reenqueued - queued) // (2 * earlier), earlier)
        events.append(Event(times.reenqueued, "Enqueued"))
        queued, earlier = times.reenqueued, 0
    if times.status in ("Dequeued", *_NEVER_RAN):
        events.append(Event(queued, "Dequeued"))
    elif times.status != "Enqueued":
        events += _attempts(times, queued, max(0, earlier))
    if times.status in ("Stopping", "Stopped"):
        events.append(Event(times.stopping, "Stopping"))
    if times.status in FINISHED:
        events.append(Event(times.ended, times.status))
    return events


def _attempts(times: _Times, queued: int, earlier: int) -> list[Event]:
    """Earlier attempts evenly spread between queued and executed, then the present one."""
    executed = times.executed
    events = _failed(queued, (executed - queued) // (2 * earlier + 1), earlier)
    events.append(Event(executed, "Running"))
    if times.status == "Retrying":
        events.append(Event((executed + max(executed, times.now)) // 2, "Retrying"))
    return events


def _failed(queued: int, gap: int, count: int) -> list[Event]:
    """*count* attempts that failed, *gap* ms between any two of their events."""
    events = [Event(max(queued, queued + gap - DEQUEUED_BEFORE), "Dequeued")]
    for number in range(1, 2 * count + 1):
        events.append(Event(queued + number * gap, "Running" if number % 2 else "Retrying"))
    return events
