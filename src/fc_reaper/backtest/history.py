"""Histories of tasks: which records can be replayed, and what a record was at an earlier moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from fc_reaper.models import FINISHED, STOPPED, STOPPING, UNFINISHED, Function, Millis, Task, TaskEvent
from fc_reaper.rules.ages import CLOCKS, inconsistency

Outcome = Literal["succeeded", "failed", "censored", "open", "unknown"]

OUTCOMES: tuple[Outcome, ...] = ("succeeded", "failed", "censored", "open", "unknown")

_ENDS = frozenset(FINISHED)
_ONLY_AT_THE_END = (
    "endTime", "durationMs", "returnPayload", "invocationErrorMessage", "taskErrorMessage",
    "destinationStatus",
)  # fmt: skip
_STARTS = {"queued_for": "Enqueued", "running_for": "Running", "stopping_for": STOPPING}


@dataclass(frozen=True)
class History:
    """Tasks with nothing but dated events, the latest of which is their status.

    `taken` is the moment at which the history was taken, None if unknown; tasks without an end were alive
    then. `begin` is the moment of the first event, `end` up to when it is known what the tasks did.
    """

    tasks: tuple[Task, ...]
    taken: Millis | None = None

    @cached_property
    def begin(self) -> Millis:
        return min((task.events[0].at for task in self.tasks), default=0)

    @cached_property
    def last_event(self) -> Millis:
        return max((task.events[-1].at for task in self.tasks), default=0)

    @cached_property
    def end(self) -> Millis:
        return max(self.last_event, self.taken or 0)


class Inconsistent(NamedTuple):
    """A record that contradicts itself, and how."""

    task: Task
    why: str


@dataclass
class Sifted:
    """The records of a history: those that can be replayed (`tasks`), and why the others cannot.

    `undated` counts records with no events, or with an event that has no date. `inconsistent` are those that
    contradict themselves. `repeated` counts further records about a task. `unseen_retries` counts tasks that
    were retried more often than their events show. `latest` is the last moment in a consistent record.
    """

    tasks: list[Task] = field(default_factory=list)
    records: int = 0
    undated: int = 0
    inconsistent: list[Inconsistent] = field(default_factory=list)
    repeated: int = 0
    unseen_retries: int = 0
    latest: Millis | None = None

    def _extend(self, task: Task) -> None:
        moments = (*(event.at for event in task.events), task.started_at, task.ended_at, self.latest)
        self.latest = max((one for one in moments if one is not None), default=None)

    def _add(self, task: Task) -> None:
        if task.inconsistency is None and (not task.events or task.undated):
            self._extend(task)
            self.undated += 1
            return
        whole = _with_end(task)
        why = _contradiction(whole)
        if why is not None:
            self.inconsistent.append(Inconsistent(task, why))
            return
        self._extend(whole)
        self.tasks.append(whole)
        self.unseen_retries += (task.retries or 0) > _retries(task.events)


def sift(tasks: Iterable[Task]) -> Sifted:
    """Sort records; of several about one task (function, id, request id) the most complete one counts."""
    sifted = Sifted()
    best: dict[tuple[Function, str, str | None], Task] = {}
    for task in tasks:
        sifted.records += 1
        key = (task.function, task.invocation_id, task.request_id)
        sifted.repeated += key in best
        if key not in best or _completeness(task) >= _completeness(best[key]):
            best[key] = task
    for task in best.values():
        sifted._add(task)
    return sifted


def _completeness(task: Task) -> tuple[bool, Millis, int]:
    return task.status in _ENDS, task.events[-1].at if task.events else 0, len(task.events)


def _with_end(task: Task) -> Task:
    """The task with its end among its events: a record may date it by `endTime` alone."""
    if task.inconsistency is not None or task.status not in _ENDS or task.events[-1].status in _ENDS:
        return task
    if task.ended_at is None or task.ended_at < task.events[-1].at:
        return task
    end = TaskEvent(task.ended_at, task.events[-1].id + 1, task.status)
    return task._replace(events=(*task.events, end))


def _contradiction(task: Task) -> str | None:
    if task.inconsistency is not None:
        return task.inconsistency
    latest = task.events[-1].status
    if latest != task.status:
        return f"status {task.status or 'none'} contradicts its latest event {latest or 'none'}"
    if task.status in _ENDS:
        # As it was before its end, which is when it is evaluated.
        before = task.events[:-1]
        task = task._replace(events=before, status=before[-1].status if before else "", started_at=None)
    return inconsistency(task) if task.events else None


def outcome_of(task: Task) -> Outcome:
    """How a task ended, by the last status of its record; a Stopping one was stopped by somebody."""
    if task.status == "Succeeded":
        return "succeeded"
    if task.status in (STOPPED, STOPPING):
        return "censored"
    if task.status in _ENDS:
        return "failed"
    return "open" if task.status in UNFINISHED else "unknown"


def as_of(task: Task, at: Millis) -> Task | None:
    """The record of *task* as it was at a moment (epoch milliseconds), events at that moment included.

    None before its first event. *task* must have nothing but dated events.
    """
    events = task.events
    count = len(events)
    while count and events[count - 1].at > at:
        count -= 1
    if not count:
        return None
    if count == len(events) and task.status in _ENDS:
        return task
    past, status = events[:count], events[count - 1].status
    started_at = task.started_at if task.started_at is not None and task.started_at <= at else None
    retries = _retries(past)
    record = None if task.record is None else _record(task.record, past, started_at, retries)
    return task._replace(
        status=status, started_at=started_at, ended_at=None, retries=retries, events=past, record=record
    )


def _retries(events: Iterable[TaskEvent]) -> int:
    return sum(event.status == "Retrying" for event in events)


def _record(
    final: Mapping[str, Any], past: tuple[TaskEvent, ...], started_at: Millis | None, retries: int
) -> dict[str, Any]:
    """*final* without what came later; its events as the cloud wrote them, if they are those of the task."""
    record = {name: value for name, value in final.items() if name not in _ONLY_AT_THE_END}
    if started_at is None:
        record.pop("startedTime", None)
    if not any(event.status == "Running" for event in past):
        record.pop("instanceId", None)
    listed = final.get("events")
    events = listed[: len(past)] if isinstance(listed, list) else []
    if [one.get("status") for one in events if isinstance(one, Mapping)] != [one.status for one in past]:
        events = [{"eventId": one.id, "status": one.status, "timestamp": one.at} for one in past]
    return {**record, "status": past[-1].status, "events": events, "alreadyRetriedTimes": retries}


def _spans(task: Task, end: Millis) -> Iterator[tuple[int, Millis, Millis]]:
    """Each status of the task: the number of events up to it, its beginning and its end.

    The last one of an unfinished task lasts until *end*.
    """
    for number, event in enumerate(task.events, 1):
        if number < len(task.events):
            yield number, event.at, task.events[number].at
        elif event.status not in _ENDS:
            yield number, event.at, max(event.at, end)


def running(task: Task, begin: Millis, end: Millis, last: Millis) -> Millis:
    """How long the task was Running between *begin* and *end*; *last* is the end of the history."""
    return sum(
        max(0, min(until, end) - max(since, begin))
        for number, since, until in _spans(task, last)
        if task.events[number - 1].status == "Running"
    )


def longest(task: Task, clock: str, end: Millis) -> Millis | None:
    """The most that *clock* reaches in the life of the task, all attempts; None if it never runs.

    At the very end of a span the task has its next status, so a rule sees a millisecond less.
    """
    lengths = [
        until - since
        for number, _, until in _spans(task, end)
        if task.events[number - 1].status in CLOCKS[clock]
        if (since := _start(task.events[:number], clock)) is not None
    ]
    return max(lengths, default=None)


def _start(past: tuple[TaskEvent, ...], clock: str) -> Millis | None:
    wanted = _STARTS.get(clock, "Enqueued")
    events = past if clock == "alive_for" else reversed(past)
    return next((event.at for event in events if event.status == wanted), None)


def first_enqueued(task: Task) -> Millis:
    """When it was first enqueued; its first event where none says Enqueued."""
    start = _start(task.events, "alive_for")
    return task.events[0].at if start is None else start
