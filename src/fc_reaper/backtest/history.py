"""Histories of tasks: which records can be replayed, and what a record was at an earlier moment."""

import marshal
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any, Literal, get_args

from fc_reaper.errors import CloudError
from fc_reaper.models import FINISHED, STOPPED, STOPPING, UNFINISHED, Millis, Moment, Task, TaskEvent, iso
from fc_reaper.rules.ages import Reading, flaw, restarts

Outcome = Literal["succeeded", "failed", "censored", "open", "unknown"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_ONLY_AT_THE_END = (
    "alreadyRetriedTimes", "endTime", "durationMs", "returnPayload", "invocationErrorMessage",
    "taskErrorMessage", "destinationStatus",
)  # fmt: skip


class Tasks:
    """Tasks in little memory: packed when they come, and made anew when read, with events from 1 on."""

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self._packed: list[bytes] = []
        self._shapes: list[Any] = []  # function, status and statuses of events: there are few
        self._numbers: dict[Any, int] = {}
        for task in tasks:
            self.append(task)

    def append(self, task: Task) -> None:
        self._packed.append(self._pack(task))

    def __len__(self) -> int:
        return len(self._packed)

    def __iter__(self) -> Iterator[Task]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, number: int) -> Task:
        shape, invocation_id, others, begin, lengths, rest = marshal.loads(self._packed[number])
        function, status, statuses = self._shapes[shape]
        events = tuple(map(TaskEvent, (begin + one for one in lengths), count(1), statuses))
        return Task._make((function, invocation_id, status, *others, events, *rest))

    def __setitem__(self, number: int, task: Task) -> None:
        self._packed[number] = self._pack(task)

    def __delitem__(self, numbers: slice) -> None:
        del self._packed[numbers]

    def _pack(self, task: Task) -> bytes:
        shape = task.function, task.status, tuple(event.status for event in task.events)
        number = self._numbers.setdefault(shape, len(self._shapes))
        if number == len(self._shapes):
            self._shapes.append(shape)
        begin = task.events[0].at if task.events else 0  # lengths take fewer bytes than moments
        lengths = tuple([event.at - begin for event in task.events])
        rest: Any = (task.undated, task.inconsistency, task.record)
        return marshal.dumps((number, task.invocation_id, tuple(task[3:7]), begin, lengths, rest))

    def same(self, key: Callable[[Task], Any]) -> Iterator[tuple[int, int]]:
        """Yield the numbers of tasks of the same *key*, each later one with the first."""
        hashes = array("q", (hash(key(task)) for task in self))
        # A dict of all keys would take more memory than the tasks.
        twice = {one for one, following in pairwise(sorted(hashes)) if one == following}
        first = dict[int, int]()
        for number, one in enumerate(hashes):
            before = first.setdefault(one, number) if one in twice else number
            if before != number and key(self[before]) == key(self[number]):
                yield before, number


@dataclass(frozen=True)
class BrokenLine:
    """A line of a file that is no record, counted from 1, and why."""

    line: int
    why: str


@dataclass
class History:
    """The tasks of a history that can be replayed, and what was left out of it.

    What `tasks` did is known from `begin` to `end`, both 0 without tasks. `undated` counts records without
    events, or with one that has no date, `repeated` further records about a task, `retried_more_than_told`
    tasks that were retried more often than their events show. `unmatched` are targets that fit no function.
    `configurations` are those of functions, by `Function`, as far as they are known.
    """

    source: str = ""
    records: int = 0
    tasks: Tasks = field(default_factory=Tasks)
    begin: Millis = 0
    end: Millis = 0
    undated: int = 0
    contradicting: Tasks = field(default_factory=Tasks)
    repeated: int = 0
    retried_more_than_told: int = 0
    broken_lines: list[BrokenLine] = field(default_factory=list)
    not_listed: dict[str, CloudError] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)
    saved: str | None = None
    configurations: Mapping[Any, dict[str, Any]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        shown = {name: value for name, value in vars(self).items() if name not in ("tasks", "configurations")}
        refused = [
            {"what": what, "error": one.detail, "http_status": one.http_status, "error_code": one.error_code}
            for what, one in self.not_listed.items()
        ]
        torn = [{**identity(task), "why": task.inconsistency} for task in self.contradicting]
        begin, end = (iso(at) if at else None for at in (self.begin, self.end))
        shown |= {"begin": begin, "end": end, "contradicting": torn, "not_listed": refused}
        return {**shown, "replayed": len(self.tasks)}


def identity(task: Task) -> dict[str, str | None]:
    """What names a task in JSON, and its status."""
    names = {"invocation_id": task.invocation_id, "request_id": task.request_id, "status": task.status}
    return {**task.function.fields(), **names}


def make_history(tasks: Iterable[Task], taken: Millis = 0, **known: Any) -> History:
    """Make a history; of several records of one task (function, id, request id) the most complete counts.

    It ends with the last moment in a consistent record, or when it was *taken* if that is later: tasks
    without an end were alive then. *known* are other fields of it. It takes over what are `Tasks`.
    """
    tasks = tasks if isinstance(tasks, Tasks) else Tasks(tasks)
    history = History(tasks=tasks, records=len(tasks), end=taken, **known)
    repeated, kept = bytearray(len(tasks)), 0
    for first, later in tasks.same(lambda task: (task.function, task.invocation_id, task.request_id)):
        repeated[later] = True
        tasks[first] = max(tasks[later], tasks[first], key=_completeness)
    history.repeated = sum(repeated)
    for number, record in enumerate(tasks):
        if repeated[number]:
            continue
        task, why = _with_end(record)
        if why is not None:
            history.contradicting.append(task._replace(inconsistency=why, record=None))
            continue
        dates = [event.at for event in task.events]
        history.end = max(history.end, task.started_at or 0, task.ended_at or 0, *dates)
        if not dates or task.undated:
            history.undated += 1
            continue
        tasks[kept], kept = task, kept + 1
        history.begin = min(history.begin or dates[0], dates[0])
        history.retried_more_than_told += (task.retries or 0) > restarts(task.events)
    del tasks[kept:]
    history.end = history.end if kept else 0
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
    if task.status in (STOPPED, STOPPING):
        return "censored"
    if task.status in FINISHED:
        return "succeeded" if task.status == "Succeeded" else "failed"
    return "open" if task.status in UNFINISHED else "unknown"


def as_of(task: Task, at: Millis) -> Task | None:
    """The record of *task*, whose events are all dated, as it was at a moment; None before its first event.

    One that shows fewer restarts than it counts is inconsistent before its latest event: nobody knows its
    status then. One that does not count them, or lacks its beginning, does not tell how many there had been.
    """
    past = tuple(event for event in task.events if event.at <= at)
    if not past or (len(past) == len(task.events) and task.status in FINISHED):
        return task if past else None
    started_at = task.started_at if task.started_at is not None and task.started_at <= at else None
    retries, missing = task.retries, None
    if len(past) < len(task.events) and retries is not None:
        missing = "it shows fewer restarts than it counts" if restarts(task.events) < retries else None
        retries = min(retries, restarts(past)) if task.events[0].status == "Enqueued" else None
    now = task._replace(status=past[-1].status, started_at=started_at, ended_at=None)
    now = now._replace(retries=retries, events=past, inconsistency=missing)
    return now if task.record is None else now._replace(record=_record(now, task.record))


def _record(task: Task, final: Mapping[str, Any]) -> dict[str, Any]:
    """*final* without what came later; its events as the cloud wrote them."""
    record = {name: value for name, value in final.items() if name not in _ONLY_AT_THE_END}
    if task.started_at is None:
        record.pop("startedTime", None)
    if all(event.status != "Running" for event in task.events):
        record.pop("instanceId", None)
    if "events" in record:
        record["events"] = record["events"][: len(task.events)]
    if task.retries is not None:
        record["alreadyRetriedTimes"] = task.retries
    return {**record, "status": task.status}


def _stages(task: Task, end: Millis) -> Iterator[tuple[Task, Millis]]:
    """The task after each of its events, and until when it was so; the last stage lasts until *end*."""
    for number, event in enumerate(task.events, 1):
        if event.status not in FINISHED:
            until = task.events[number].at if number < len(task.events) else max(event.at, end)
            events = task.events[:number]
            yield task._replace(status=event.status, events=events, retries=restarts(events)), until


def running(task: Task, begin: Millis, end: Millis) -> Millis:
    """How long the task was Running between *begin* and *end*."""
    return sum(
        max(0, min(until, end) - max(stage.events[-1].at, begin))
        for stage, until in _stages(task, end)
        if stage.status == "Running"
    )


def longest(task: Task, clock: str, end: Millis) -> Millis | None:
    """The most that *clock* reaches in the life of the task, until *end*; None if it never runs."""
    stages = ((Reading(one, Moment.exactly(at), "unknown", read=True), at) for one, at in _stages(task, end))
    begun = ((reading.bounds(clock).latest, until) for reading, until in stages)
    return max((until - began for began, until in begun if began is not None), default=None)
