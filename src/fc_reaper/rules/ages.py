"""How old a task is, by which clock, and when that cannot be known.

The platform dates every change of status (`events`). `startedTime` is not documented well enough to stop a
task by: no page says whether it is the moment of enqueueing or of execution, so it is used only where every
reading of it is on the task's side.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from fc_reaper.models import ALIVE, FINISHED, STOPPING, Millis, Task

StartedTime = Literal["unknown", "enqueue", "execution"]
"""What this account's `startedTime` is known to mean."""

CLOCKS: dict[str, tuple[str, ...]] = {
    "queued_for": ("Enqueued", "Dequeued"),
    "running_for": ("Running",),
    "alive_for": ALIVE,
    "stopping_for": (STOPPING,),
}
"""The clocks, and the statuses in which each of them runs."""

_LAST = {"queued_for": "Enqueued", "running_for": "Running", "stopping_for": STOPPING}

# Different parts of the cloud date attempts and events; a minute apart they speak of different attempts.
_LATE: Millis = 60_000

# The cloud dates in whole seconds, so a moment may be up to one second behind the truth.
_COARSENESS: Millis = 1000


Source = Literal["events", "started_time"]

_EVENTS: Source = "events"
_STARTED_TIME: Source = "started_time"


class Age(NamedTuple):
    """How long a clock has been running, in milliseconds, and what it was read from."""

    ms: Millis
    source: Source


def inconsistency(task: Task) -> str | None:
    """Say in what the record contradicts itself; None when it does not.

    The latest event must name the present status, no event of an unfinished task may be an end, and
    no attempt can have started long after the latest event.
    """
    if task.inconsistency is not None:
        return task.inconsistency
    if task.events:
        latest = task.events[-1]
        if task.started_at is not None and task.started_at > latest.at + _LATE:
            return "its startedTime is later than its latest event"
        if latest.status != task.status:
            return f"status {task.status} contradicts its latest event {latest.status}"
    if any(status in FINISHED for status in (*task.undated, *(event.status for event in task.events))):
        return f"status {task.status} contradicts an event that says it ended"
    return None


def age(clock: str, task: Task, now: Millis, started_time: StartedTime) -> Age | None:
    """Read *clock* for *task* at *now*; None when the record does not say.

    Meaningful only in the clock's own statuses (`CLOCKS`). Once a record has dated events they alone
    count; `startedTime` never fills a gap in them. A date in the future is no date, and while one event
    has none it is unknown which is the latest.
    """
    start, source = None, _STARTED_TIME
    if not task.events:
        start = task.started_at if _believable(clock, task, started_time) else None
    elif not task.undated and task.events[-1].at <= now + _COARSENESS:
        source = _EVENTS
        first = clock == "alive_for"
        wanted = "Enqueued" if first else _LAST[clock]
        for event in task.events if first else reversed(task.events):
            if event.status == wanted:
                start = event.at
                break
    if start is None or start > now + _COARSENESS:
        return None
    return Age(max(0, now - start), source)


def is_exact(clock: str, source: str, started_time: StartedTime) -> bool:
    """Whether an age from *source* is neither too young nor too old.

    `alive_for` by a `startedTime` of unknown meaning may be too young: that may keep a task
    from being due, but must not keep it from being spared.
    """
    return source == "events" or clock != "alive_for" or started_time == "enqueue"


def cannot_exceed(clock: str, task: Task, limit: Millis, now: Millis, started_time: StartedTime) -> bool:
    """Whether *clock* is surely within *limit*, under every reading of `startedTime` that is possible.

    An attempt cannot begin, and a stop cannot be asked for, before `startedTime`, whatever it means; and
    nothing at all before a task was first enqueued, which is where a record with dated events begins.
    """
    if task.events:
        first = task.events[0]
        return first.status == "Enqueued" and not task.undated and now - first.at <= limit
    if task.started_at is None or task.started_at > now + _COARSENESS:
        return False
    if clock not in ("running_for", "stopping_for") and started_time != "enqueue":
        return False
    return now - task.started_at <= limit


def _believable(clock: str, task: Task, started_time: StartedTime) -> bool:
    """Whether `startedTime` can only make the task look younger than it is."""
    meaning = {"running_for": "execution", "queued_for": "enqueue"}.get(clock)
    return clock == "alive_for" or (started_time == meaning and task.retries == 0)
