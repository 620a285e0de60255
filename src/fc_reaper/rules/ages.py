"""How old a task is: bounds of each clock, never tighter than the record proves.

A record may lack some of its events, and no page says whether `startedTime` is the enqueueing or the
execution.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from fc_reaper.models import ALIVE, FINISHED, STOPPING, UNFINISHED, Millis, Moment, Task, TaskEvent
from fc_reaper.rules.result import FALSE, TRUE, UNKNOWN, Truth

# What this account's `startedTime` is known to mean; `enqueue` is the first one, whatever the retries.
StartedTime = Literal["unknown", "enqueue", "execution"]
# The clocks, and the statuses in which each of them runs.
CLOCKS: dict[str, tuple[str, ...]] = {
    "queued_for": ("Enqueued", "Dequeued"),
    "running_for": ("Running",),
    "alive_for": ALIVE,
    "stopping_for": (STOPPING,),
}
_BEGINS_WITH = {"queued_for": "Enqueued", "running_for": "Running", "stopping_for": STOPPING}

# Different parts of the cloud date attempts and events; a minute apart they speak of different attempts.
_LATE: Millis = 60_000

YEAR_2017: Millis = 1_483_228_800_000  # Function Compute is younger, so an earlier date is none


class Bounds(NamedTuple):
    """When a clock began, bounds inside, None where unknown; `source` is `events` or `started_time`."""

    earliest: Millis | None = None
    latest: Millis | None = None
    source: str | None = None

    def over(self, limit: Millis, moment: Moment) -> Truth:
        """Whether the clock is over *limit* at *moment*; exactly at the limit it is not."""
        if self.latest is not None and moment.earliest - self.latest > limit:
            return TRUE
        if self.earliest is not None and moment.latest - self.earliest <= limit:
            return FALSE
        return UNKNOWN


def flaw(task: Task, latest: Millis) -> str | None:
    """Say why the record of an unfinished task cannot be trusted, seen at *latest*; None if it can."""
    events, status = task.events, task.status
    if task.inconsistency is not None:
        return task.inconsistency
    if task.undated or (events and (events[0].at < YEAR_2017 or events[-1].at > latest)):
        return "an event of it has no date that can be"
    if not events:
        return None
    if task.started_at is not None and task.started_at > events[-1].at + _LATE:
        return "its startedTime is later than its latest event"
    if events[-1].status != status:
        return f"status {status} contradicts its latest event {events[-1].status}"
    if any(event.status in FINISHED for event in events):
        return f"status {status} contradicts an event that says it ended"
    return None


class Reading:
    """One reading of a task, by which all policies are evaluated.

    `read`: it was read by itself (Get), so that what its record lacks does not exist. `flaw` says why the
    record cannot be trusted. `record` is what expressions are evaluated over, never logged.
    """

    __slots__ = ("_bounds", "flaw", "moment", "read", "record", "started_time", "task")

    def __init__(self, task: Task, moment: Moment, started_time: StartedTime, *, read: bool) -> None:
        self.task, self.moment, self.started_time, self.read = task, moment, started_time, read
        self.flaw = flaw(task, moment.latest)
        if task.status not in UNFINISHED and task.inconsistency is None:
            self.flaw = f"the status '{task.status}' is unknown"
        self.record: Mapping[str, Any] | None = None
        self._bounds: dict[str, Bounds] = {}

    def bounds(self, clock: str) -> Bounds:
        """When *clock* began, computed once; no bounds where it does not run. The record has no flaw.

        Events count alone where there are any. A complete record fixes what it shows. One that is not tells
        how long a task is alive at least, and how long another clock runs at most: a later event may be
        missing, unless what is missing is the beginning.
        """
        began = self._bounds.get(clock)
        if began is not None:
            return began
        task, began, meaning = self.task, Bounds(), self.started_time
        events, at = task.events, task.started_at
        if task.status not in CLOCKS[clock]:
            pass
        elif events and clock == "alive_for":
            began = Bounds(events[0].at if _is_complete(task) else None, events[0].at, "events")
        elif events:
            name = _BEGINS_WITH[clock]
            shown = next((event.at for event in reversed(events) if event.status == name), None)
            head_lost = events[0].status != "Enqueued" and events[-1].status == name
            began = Bounds(shown, shown if head_lost or _is_complete(task) else None, "events")
        elif at is not None and YEAR_2017 <= at <= self.moment.latest:
            # No attempt begins, and no stop is requested, before it, whatever it means.
            known = {"alive_for": "enqueue", "queued_for": "enqueue", "running_for": "execution"}.get(clock)
            fixed = meaning == known and (clock == "alive_for" or task.retries == 0)
            earliest = at if fixed or clock not in ("alive_for", "queued_for") else None
            began = Bounds(earliest, at if fixed or clock == "alive_for" else None, "started_time")
        self._bounds[clock] = began
        return began


def _is_complete(task: Task) -> bool:
    """Whether the record begins with the first enqueueing and shows all restarts that are counted."""
    if task.retries is None or task.events[0].status != "Enqueued":
        return False
    return not task.retries or restarts(task.events) >= task.retries


def restarts(events: Iterable[TaskEvent]) -> int:
    """How many restarts *events* show."""
    statuses = [event.status for event in events]
    return max(statuses.count("Retrying"), statuses.count("Running") - 1, 0)
