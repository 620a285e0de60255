"""The life of one task: what its status was, is and will be, as a function of time.

Nothing here runs: a task that will end in ten minutes already carries that step, and is asked "what are you
at this moment?". A stop replaces what had not happened yet. So any moment can be looked at, also a past one.
"""

from __future__ import annotations

from typing import NamedTuple

FINISHED = ("Succeeded", "Failed", "Stopped", "Expired", "Invalid")
"""https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/asynchronous-task"""

STATUSES = ("Enqueued", "Dequeued", "Running", "Retrying", "Stopping", *FINISHED)


class Event(NamedTuple):
    """A change of status. `at` is epoch milliseconds, None where a seed wants the time left out.

    `cause` is `seed`, `invoke`, `time` or `stop`; `request_id` is that of the call that caused it.
    """

    at: int | None
    status: str
    detail: str = ""
    cause: str = "seed"
    request_id: str = ""
    event_id: int | None = None


class Step(NamedTuple):
    """A change of status that comes at its time."""

    at: int
    event: Event


def step(at: int, status: str, cause: str = "time", request_id: str = "", detail: str = "") -> Step:
    return Step(at, Event(at, status, detail, cause, request_id))


class Life(NamedTuple):
    """How a task began and what follows. All times are epoch milliseconds.

    `born`: from this moment on it exists; 0 for a seeded one. `status` and `history` hold at the beginning,
    `steps` follow in order. `enqueued`, `executed` and `ended` are 0 for "never" at the beginning.
    `started_time` and `end_time` replace what the record would show.
    """

    status: str
    history: tuple[Event, ...] = ()
    steps: tuple[Step, ...] = ()
    born: int = 0
    enqueued: int = 0
    executed: int = 0
    ended: int = 0
    retries: int = 0
    started_time: int | None = None
    end_time: int | None = None

    def past(self, now: int) -> list[Step]:
        """The steps that were taken; one due exactly now was."""
        return [taken for taken in self.steps if taken.at <= now]

    def status_at(self, now: int) -> str:
        for taken in reversed(self.steps):
            if taken.at <= now:
                return taken.event.status
        return self.status

    def events_at(self, now: int) -> list[Event]:
        return [*self.history, *(taken.event for taken in self.past(now))]

    def executed_at(self, now: int) -> int:
        """When the present attempt began; 0 while it never ran."""
        runs = [taken.at for taken in self.past(now) if taken.event.status == "Running"]
        return runs[-1] if runs else self.executed

    def started_at(self, now: int, basis: str) -> int:
        """What `startedTime` shows: *basis* is `enqueue` or `execution`."""
        if self.started_time is not None:
            return self.started_time
        return self.enqueued if basis == "enqueue" else self.executed_at(now)

    def ended_at(self, now: int) -> int:
        """What `endTime` shows; 0 while unfinished."""
        if self.end_time is not None:
            return self.end_time
        ends = [taken.at for taken in self.past(now) if taken.event.status in FINISHED]
        return ends[-1] if ends else self.ended

    def moves(self) -> list[int]:
        """The moments at which its place in a list ordered by `startedTime` may change."""
        return [self.born, *(taken.at for taken in self.steps if taken.event.status == "Running")]

    def stopped(self, now: int, lasting: int | None, request_id: str) -> Life:
        """The same life, asked to stop *now*: Stopped comes after *lasting*, or never for None."""
        steps = [*self.past(now), step(now, "Stopping", "stop", request_id)]
        if lasting is not None:
            steps.append(step(now + lasting, "Stopped", "stop", request_id))
        return self._replace(steps=tuple(steps))


DEQUEUED_AFTER, RUNNING_AFTER, SUCCEEDED_AFTER = 100, 200, 5_000
"""When an invoked task is taken off the queue, runs and succeeds, in milliseconds after the call."""


def invoked(now: int, request_id: str) -> Life:
    """The life of a task that was enqueued by a call at *now*."""
    return Life(
        status="Enqueued",
        history=(Event(now, "Enqueued", cause="invoke", request_id=request_id),),
        steps=(
            step(now + DEQUEUED_AFTER, "Dequeued"),
            step(now + RUNNING_AFTER, "Running"),
            step(now + SUCCEEDED_AFTER, "Succeeded"),
        ),
        born=now,
        enqueued=now,
    )
