"""Threads that make several calls at the same time, and never past a deadline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

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


class Done(Generic[Tag, Result]):
    """A job that is over. `future` is None if the deadline or an interruption came before its end.

    `begun` then says whether it was under way, so that its outcome is unknown.
    """

    def __init__(self, tag: Tag, future: Future[Result] | None, *, begun: bool = True) -> None:
        self.tag, self.future, self.begun = tag, future, begun

    def result(self) -> Result:
        """Return what the call returned.

        Raises:
            CloudError: what the call raised, that the time was up, or that a name cannot be sent.
        """
        if self.future is None:
            raise CloudError("the time was up", error_code="OutOfTime", retryable=True)
        try:
            return self.future.result()
        except InvalidName as error:
            raise CloudError(str(error), error_code="InvalidName") from None


class Pool:
    """Runs jobs on so many *threads*; results are yielded in the caller's own thread.

    Nothing more is begun once *interrupted* returns True.
    """

    def __init__(self, threads: int, clock: Clock, interrupted: Callable[[], bool]) -> None:
        self._threads, self._clock, self._interrupted = threads, clock, interrupted
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="fc-reaper")

    def each(self, jobs: Jobs[Tag, Result], until: Deadline) -> Iterator[Done[Tag, Result]]:
        """Yield each job when it is over. Jobs may be added to *jobs* meanwhile."""
        running: dict[Future[Result], Tag] = {}
        closing: Deadline | None = None
        while jobs or running:
            now = self._clock.monotonic()
            if closing is None and (now >= until or self._interrupted()):
                closing = now + _GRACE
            while jobs and closing is None and len(running) < self._threads:
                tag, call = jobs.popleft()
                running[self._executor.submit(call)] = tag
            if closing is not None:
                while jobs:
                    yield Done(jobs.popleft()[0], None, begun=False)
                if now >= closing:
                    yield from (Done(tag, None) for tag in running.values())
                    return
            timeout = max(0.0, min(_POLL, (closing or until) - now))
            for future in wait(running, timeout=timeout, return_when=FIRST_COMPLETED).done:
                yield Done(running.pop(future), future)

    def close(self) -> None:
        """Begin nothing more; threads that are busy are not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)
