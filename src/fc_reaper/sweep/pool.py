"""Threads that make several calls at the same time, and never past a deadline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar, cast

from fc_reaper.clock import Clock, Deadline
from fc_reaper.errors import CloudError, InvalidName

Tag = TypeVar("Tag")
Result = TypeVar("Result")

Jobs = deque[tuple[Tag, Callable[[], Result]]]
"""Calls that wait for a thread, first come first served, each with a tag that says what it is about."""

_GRACE = 1.0
"""Seconds for which calls under way are waited for after the deadline, which every call ends at by itself."""

_POLL = 0.2
"""Seconds between two checks for an interruption."""


@dataclass
class Done(Generic[Tag, Result]):
    """A job that is over, with what its call returned or raised.

    `error` is `Aborted` after an interruption, `OutOfTime` for a job that was not begun in time, and
    `TimedOut` for one that was under way when the time was up; nobody knows what became of that.
    """

    tag: Tag
    value: Result | None = None
    error: BaseException | None = None

    def result(self) -> Result:
        """Return what the call returned.

        Raises:
            CloudError: what the call raised, why it was not waited for, or that a name cannot be sent.
        """
        if isinstance(self.error, InvalidName):
            raise CloudError(str(self.error), error_code="InvalidName")
        if self.error is not None:
            raise self.error
        return cast(Result, self.value)


@dataclass
class Pool:
    """Runs jobs on so many *threads*; results are yielded in the caller's own thread.

    Nothing more is begun once *interrupted* returns True. A call that hangs does not keep the process alive.
    """

    threads: int
    clock: Clock
    interrupted: Callable[[], bool]

    def each(self, jobs: Jobs[Tag, Result], until: Deadline) -> Iterator[Done[Tag, Result]]:
        """Yield each job when it is over. Jobs may be added to *jobs* meanwhile."""
        begun: SimpleQueue[Any] = SimpleQueue()
        over: SimpleQueue[Any] = SimpleQueue()
        running: dict[int, Tag] = {}
        number = threads = 0
        closing: Deadline | None = None
        try:
            while jobs or running:
                now = self.clock.monotonic()
                if closing is None and (now >= until or self.interrupted()):
                    closing = now + _GRACE
                while jobs and closing is None and len(running) < self.threads:
                    number += 1
                    running[number], call = jobs.popleft()
                    begun.put((number, call))
                    if threads < len(running):
                        threads += 1
                        Thread(target=_work, args=(begun, over), daemon=True).start()
                while jobs and closing is not None:
                    yield Done(jobs.popleft()[0], error=self._left("the time was up", "OutOfTime"))
                if closing is not None and now >= closing:
                    late = self._left("no answer came before the time was up", "TimedOut")
                    yield from (Done(tag, error=late) for tag in running.values())
                    return
                try:
                    ended, value, error = over.get(timeout=max(0.0, min(_POLL, (closing or until) - now)))
                except Empty:
                    continue
                yield Done(running.pop(ended), value, error)
        finally:
            for _ in range(threads):
                begun.put(None)

    def _left(self, why: str, code: str) -> CloudError:
        if self.interrupted():
            why, code = "the run was interrupted", "Aborted"
        return CloudError(why, error_code=code, retryable=True)


def _work(begun: SimpleQueue[Any], over: SimpleQueue[Any]) -> None:
    """One thread: makes the calls that are *begun*, and says when each is *over*."""
    while (job := begun.get()) is not None:
        number, call = job
        try:
            over.put((number, call(), None))
        except CloudError as error:
            # The report keeps it, and its frames would keep the whole answer.
            error.__traceback__ = error.__context__ = None
            over.put((number, None, error))
        except BaseException as error:
            over.put((number, None, error))
