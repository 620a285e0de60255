"""The lifecycle of one task: its status as a function of time.

Nothing runs in the background: a task that ends in ten minutes already holds that event, and its status is
computed for the moment that is asked about. A stop replaces the events that have not happened yet. So every
moment can be asked about, past ones included.
"""

from __future__ import annotations

import json
from typing import NamedTuple

FINISHED = ("Succeeded", "Failed", "Stopped", "Expired", "Invalid")
"""https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/asynchronous-task"""

QUEUED = ("Enqueued", "Dequeued")

STATUSES = (*QUEUED, "Running", "Retrying", "Stopping", *FINISHED)

DEQUEUED_AFTER, RUNNING_AFTER, SUCCEEDED_AFTER = 100, 200, 5_000
"""Milliseconds from the invocation of a task until it is dequeued, runs and succeeds."""

RETRIED_AFTER = 2_000
"""Milliseconds from a failed attempt of an invoked task until the next."""

MAX_RUN = 86_400
"""Seconds that an attempt can take: https://alibabacloud.com/help/zh/functioncompute/fc-2-0/product-overview/limits"""


class Event(NamedTuple):
    """A change of status at a moment in epoch milliseconds.

    `cause` is `seed`, `invoke`, `time` or `stop`; `request_id` is that of the call that caused it. A record
    shows `event_id` in place of the event's number, and no timestamp when the event is not `dated`.
    """

    at: int
    status: str
    cause: str = "seed"
    request_id: str = ""
    detail: str = ""
    event_id: int | None = None
    dated: bool = True


class Lifecycle(NamedTuple):
    """How a task began and what follows. All times are epoch milliseconds.

    The task exists from `created` on; 0 for a seeded one. `status` and `history` hold at the beginning,
    `changes` follow in order. `enqueued`, `executed` and `ended` are 0 for "never" at the beginning.
    `started_time` and `end_time` replace what the record would show.
    """

    status: str
    history: tuple[Event, ...] = ()
    changes: tuple[Event, ...] = ()
    created: int = 0
    enqueued: int = 0
    executed: int = 0
    ended: int = 0
    retries: int = 0
    started_time: int | None = None
    end_time: int | None = None

    def changes_until(self, now: int) -> list[Event]:
        """The changes that have happened, one at exactly *now* included."""
        return [change for change in self.changes if change.at <= now]

    def status_at(self, now: int) -> str:
        for change in reversed(self.changes):
            if change.at <= now:
                return change.status
        return self.status

    def events_at(self, now: int) -> list[Event]:
        return [*self.history, *self.changes_until(now)]

    def executed_at(self, now: int) -> int:
        """When the present attempt began; 0 for a task that never ran."""
        runs = [change.at for change in self.changes_until(now) if change.status == "Running"]
        return runs[-1] if runs else self.executed

    def started_time_at(self, now: int, basis: str) -> int:
        """What `startedTime` shows: *basis* is `enqueue` or `execution`."""
        if self.started_time is not None:
            return self.started_time
        return self.enqueued if basis == "enqueue" else self.executed_at(now)

    def end_time_at(self, now: int) -> int:
        """What `endTime` shows; 0 while unfinished."""
        if self.end_time is not None:
            return self.end_time
        ends = [change.at for change in self.changes_until(now) if change.status in FINISHED]
        return ends[-1] if ends else self.ended

    def retries_at(self, now: int) -> int:
        """What `alreadyRetriedTimes` shows."""
        return self.retries + sum(change.status == "Retrying" for change in self.changes_until(now))

    def reordered(self) -> list[int]:
        """The moments at which its position in a list sorted by `startedTime` may change."""
        return [self.created, *(change.at for change in self.changes if change.status == "Running")]

    def stopped(self, now: int, stopping: int | None, request_id: str) -> Lifecycle:
        """The lifecycle after a stop request: Stopping *now*, Stopped *stopping* ms later, None for never."""
        changes = [*self.changes_until(now), Event(now, "Stopping", "stop", request_id)]
        if stopping is not None:
            changes.append(Event(now + stopping, "Stopped", "stop", request_id))
        return self._replace(changes=tuple(changes))

    def finished(self, now: int, status: str) -> Lifecycle:
        """The lifecycle of a task that ends by itself *now*."""
        return self._replace(changes=(*self.changes_until(now), Event(now, status, "time")))

    def retried(self, now: int) -> Lifecycle:
        """The lifecycle of a task whose attempt fails *now*, and which runs again at once."""
        again = (Event(now, "Retrying", "time"), Event(now, "Running", "time"))
        return self._replace(changes=(*self.changes_until(now), *again))


class Work(NamedTuple):
    """What each attempt of an invoked task does: it takes *ms*, then fails or not."""

    ms: int = SUCCEEDED_AFTER - RUNNING_AFTER
    fails: bool = False

    @classmethod
    def of(cls, payload: str) -> Work:
        """The work that a payload such as `{"sleep_s": 20, "fail": true}` requests; by default 4.8 s."""
        try:
            asked = json.loads(payload)
            seconds = asked.get("sleep_s")
        except (ValueError, RecursionError, AttributeError):
            return cls()
        valid = type(seconds) in (int, float) and 0 <= seconds <= MAX_RUN
        return cls(round(seconds * 1000) if valid else cls().ms, asked.get("fail") is True)


def invoked(
    now: int, request_id: str, delay: int = 0, work: Work | None = None, retries: int = 3
) -> Lifecycle:
    """The lifecycle of a task that a call enqueued at *now*, to be dequeued *delay* ms later than others.

    Where its *work* fails, it is tried again *retries* times.
    """
    ms, fails = work or Work()
    changes = [Event(now + delay + DEQUEUED_AFTER, "Dequeued", "time")]
    at = now + delay + RUNNING_AFTER
    for left in range(retries if fails else 0, -1, -1):
        ends_as = "Retrying" if left else "Failed" if fails else "Succeeded"
        changes += [Event(at, "Running", "time"), Event(at + ms, ends_as, "time")]
        at += ms + RETRIED_AFTER
    history = (Event(now, "Enqueued", "invoke", request_id),)
    return Lifecycle("Enqueued", history, tuple(changes), created=now, enqueued=now)
