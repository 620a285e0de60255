"""Histories of tasks: which records can be replayed, and what a record was at an earlier moment.

The models of this module and of `stats` are what `--json` prints, lengths of time in seconds and moments in
ISO 8601.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, PlainSerializer, SkipValidation, model_serializer

from fc_reaper.models import FINISHED, STOPPED, STOPPING, UNFINISHED, Function, Millis, Task, TaskEvent, iso
from fc_reaper.rules.ages import CLOCKS, bounds, flaw
from fc_reaper.rules.result import Verdict

Outcome = Literal["succeeded", "failed", "censored", "open", "unknown"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_ONLY_AT_THE_END = (
    "alreadyRetriedTimes", "endTime", "durationMs", "returnPayload", "invocationErrorMessage",
    "taskErrorMessage", "destinationStatus",
)  # fmt: skip


def _identity(task: Task) -> dict[str, str | None]:
    names = dict(zip(("service", "function", "qualifier"), task.function, strict=True))
    return {
        **names,
        "invocation_id": task.invocation_id,
        "request_id": task.request_id,
        "status": task.status,
    }


def _grounds(verdict: Verdict) -> dict[str, Any]:
    return {name: value for name, value in verdict.by.fields().items() if name not in ("over_s", "clock")}


Seconds = Annotated[Millis, PlainSerializer(lambda length: length / 1000)]
Timestamp = Annotated[Millis, PlainSerializer(lambda at: iso(at) if at else None)]
WholeTask = Annotated[Task, SkipValidation, PlainSerializer(_identity)]
Grounds = Annotated[Verdict, SkipValidation, PlainSerializer(_grounds)]


class Result(BaseModel):
    """Something about a task; in JSON `task` and `verdict` become fields of its own."""

    @model_serializer(mode="wrap")
    def _flat(self, dump: Callable[[Result], dict[str, Any]]) -> dict[str, Any]:
        dumped = dump(self)
        return {**dumped.pop("task", {}), **dumped.pop("verdict", {}), **dumped}


class Inconsistent(Result):
    """A record that contradicts itself, and how."""

    task: WholeTask
    why: str


class BrokenLine(BaseModel):
    """A line of a file that is no record, counted from 1, and why."""

    line: int
    why: str


class Refused(BaseModel):
    """What the cloud refused: to list a function or the functions, or to read one task."""

    what: str
    http_status: int | None
    error_code: str
    error: str


class History(BaseModel):
    """The tasks of a history that can be replayed, and what was left out of it.

    What `tasks` did is known from `begin` to `end`; both are 0 without tasks. `undated` counts records
    without events, or with one that has no date, `repeated` further records about a task, `unseen_retries`
    tasks that were retried more often than their events show. `unmatched` are targets that fit no function.
    `payloads` says whether the cloud was asked for payloads.
    """

    source: str = ""
    records: int = 0
    tasks: Annotated[
        list[Task], SkipValidation, PlainSerializer(len), Field(serialization_alias="replayed")
    ] = []
    begin: Timestamp = 0
    end: Timestamp = 0
    undated: int = 0
    inconsistent: Annotated[list[Inconsistent], Field(serialization_alias="contradicting")] = []
    repeated: int = 0
    unseen_retries: Annotated[int, Field(serialization_alias="retried_more_than_told")] = 0
    broken: Annotated[list[BrokenLine], Field(serialization_alias="broken_lines")] = []
    refused: Annotated[list[Refused], Field(serialization_alias="not_listed")] = []
    unmatched: list[str] = []
    saved: str | None = None
    payloads: Annotated[bool, Field(exclude=True)] = False


def make_history(tasks: Iterable[Task], taken: Millis = 0, **known: Any) -> History:
    """Make a history; of several records of one task (function, id, request id) the most complete counts.

    The history ends with the last moment in a consistent record, or when it was *taken* if that is later:
    tasks without an end were alive then. *known* are other fields of it.
    """
    history, moments = History(**known), [taken]
    best: dict[tuple[Function, str, str | None], Task] = {}
    for task in tasks:
        history.records += 1
        key = (task.function, task.invocation_id, task.request_id)
        if key not in best or _completeness(task) >= _completeness(best[key]):
            best[key] = task
    history.repeated = history.records - len(best)
    for record in best.values():
        task, why = _with_end(record)
        if why is not None:
            history.inconsistent.append(Inconsistent(task=task, why=why))
            continue
        moments += (task.started_at or 0, task.ended_at or 0, *(event.at for event in task.events))
        if task.events and not task.undated:
            history.tasks.append(task)
            history.unseen_retries += (task.retries or 0) > _retries(task.events)
        else:
            history.undated += 1
    if history.tasks:
        history.begin, history.end = min(task.events[0].at for task in history.tasks), max(moments)
    return history


def _completeness(task: Task) -> tuple[bool, Millis, int]:
    return task.status in FINISHED, task.events[-1].at if task.events else 0, len(task.events)


def _with_end(task: Task) -> tuple[Task, str | None]:
    """The task with its end among its events, which `endTime` may date, and how it contradicts itself."""
    if task.inconsistency is not None or task.undated or not task.events:
        return task, task.inconsistency
    latest, ended_at = task.events[-1], task.ended_at
    if task.status in FINISHED and latest.status not in FINISHED and ended_at and ended_at >= latest.at:
        latest = TaskEvent(ended_at, latest.id + 1, task.status)
        task = task._replace(events=(*task.events, latest))
    if latest.status != task.status:
        return task, f"status {task.status or 'none'} contradicts its latest event {latest.status or 'none'}"
    if task.status not in FINISHED:
        return task, flaw(task, latest.at)
    # As it was before its end, which is when it is evaluated.
    events = task.events[:-1]
    status = events[-1].status if events else ""
    return task, flaw(task._replace(events=events, status=status, started_at=None), latest.at)


def outcome_of(task: Task) -> Outcome:
    """How a task ended, by the last status of its record; a Stopping one was stopped by somebody."""
    if task.status == "Succeeded":
        return "succeeded"
    if task.status in (STOPPED, STOPPING):
        return "censored"
    if task.status in FINISHED:
        return "failed"
    return "open" if task.status in UNFINISHED else "unknown"


def as_of(task: Task, at: Millis) -> Task | None:
    """The record of *task* as it was at a moment (epoch milliseconds), events at that moment included.

    None before its first event. *task* must have nothing but dated events. One that shows fewer restarts than
    it counts is inconsistent before its latest event: nobody knows its status then. One that does not count
    them, or lacks its beginning, does not tell how many there had been.
    """
    past = tuple(event for event in task.events if event.at <= at)
    if not past or (len(past) == len(task.events) and task.status in FINISHED):
        return task if past else None
    started_at = task.started_at if task.started_at is not None and task.started_at <= at else None
    retries, missing = task.retries, None
    if len(past) < len(task.events) and retries is not None:
        if _retries(task.events) < retries:
            missing = "it shows fewer restarts than it counts"
        retries = min(retries, _retries(past)) if task.events[0].status == "Enqueued" else None
    now = task._replace(
        status=past[-1].status,
        started_at=started_at,
        ended_at=None,
        retries=retries,
        events=past,
        inconsistency=missing,
    )
    return now if task.record is None else now._replace(record=_record(now, task.record))


def _retries(events: Iterable[TaskEvent]) -> int:
    """How many restarts *events* show."""
    statuses = [event.status for event in events]
    return max(statuses.count("Retrying"), statuses.count("Running") - 1, 0)


def _record(task: Task, final: Mapping[str, Any]) -> dict[str, Any]:
    """*final* without what came later; its events as the cloud wrote them, if they are those of the task."""
    record = {name: value for name, value in final.items() if name not in _ONLY_AT_THE_END}
    statuses, listed = [event.status for event in task.events], final.get("events")
    if task.started_at is None:
        record.pop("startedTime", None)
    if "Running" not in statuses:
        record.pop("instanceId", None)
    events = listed[: len(statuses)] if isinstance(listed, list) else []
    if [one.get("status") for one in events if isinstance(one, Mapping)] != statuses:
        events = [{"eventId": one.id, "status": one.status, "timestamp": one.at} for one in task.events]
    retried = {} if task.retries is None else {"alreadyRetriedTimes": task.retries}
    return {**record, "status": task.status, "events": events, **retried}


def _stages(task: Task, end: Millis) -> Iterator[tuple[Task, Millis]]:
    """The task after each of its events, and until when it was so; the last stage lasts until *end*."""
    for number, event in enumerate(task.events, 1):
        if event.status not in FINISHED:
            until = task.events[number].at if number < len(task.events) else max(event.at, end)
            events = task.events[:number]
            yield task._replace(status=event.status, events=events, retries=_retries(events)), until


def running(task: Task, begin: Millis, end: Millis) -> Millis:
    """How long the task was Running between *begin* and *end*."""
    return sum(
        max(0, min(until, end) - max(stage.events[-1].at, begin))
        for stage, until in _stages(task, end)
        if stage.status == "Running"
    )


def longest(task: Task, clock: str, end: Millis) -> Millis | None:
    """The most that *clock* reaches in the life of the task, all attempts; None if it never runs.

    An unfinished task lives until *end*. At the very end of a stage the task has its next status, so a rule
    sees a millisecond less.
    """
    lengths = (
        until - began
        for stage, until in _stages(task, end)
        if stage.status in CLOCKS[clock]
        and (began := bounds(clock, stage, until, "unknown").latest) is not None
    )
    return max(lengths, default=None)
