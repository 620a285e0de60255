"""A few hands that work at the same time, and never past a deadline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from fc_reaper.clock import Clock, Deadline

Tag = TypeVar("Tag")
Result = TypeVar("Result")

_GRACE = 1.0
"""Seconds that calls under way are waited for once the deadline has passed; every call has the
deadline in hand and ends by itself, so this is only for a cloud that drips."""

_GLANCE = 0.2
"""Seconds between two looks at whether somebody interrupted the run."""


@dataclass(frozen=True)
class Done(Generic[Tag, Result]):
    """A job that came back. `future` None means that it did not: the deadline, or somebody, came first.

    `begun` then says whether it was under way, so that nobody knows what became of it.
    """

    tag: Tag
    future: Future[Result] | None
    begun: bool = True

    def result(self) -> Result:
        """What the call returned. Raises whatever the call raised."""
        if self.future is None:
            raise TimeoutError
        return self.future.result()


class Work(Generic[Tag, Result]):
    """Jobs waiting for a hand, first come first served; more may be added while others are under way."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Tag, Callable[[], Result]]] = deque()

    def add(self, tag: Tag, call: Callable[[], Result]) -> None:
        """Queue *call*, which is about *tag*."""
        self.waiting.append((tag, call))


class Pool:
    """Runs jobs on at most *hands* threads; results are handed out in the caller's own thread.

    `interrupted` is asked again and again; once it answers true nothing more is begun.
    """

    def __init__(self, hands: int, clock: Clock, interrupted: Callable[[], bool]) -> None:
        self.interrupted = interrupted
        self._hands = hands
        self._clock = clock
        self._pool = ThreadPoolExecutor(hands, thread_name_prefix="fc-reaper")

    def each(self, work: Work[Tag, Result], until: Deadline) -> Iterator[Done[Tag, Result]]:
        """Yield every job as it comes back; at *until* the waiting ones come back undone.

        Jobs added to *work* while its results are consumed are done as well.
        """
        flying: dict[Future[Result], Tag] = {}
        closing: Deadline | None = None
        while work.waiting or flying:
            now = self._clock.monotonic()
            if closing is None and (now >= until or self.interrupted()):
                closing = now + _GRACE
            if closing is None:
                self._begin(work, flying)
            else:
                while work.waiting:
                    yield Done(work.waiting.popleft()[0], None, begun=False)
                if now >= closing:
                    yield from (Done(tag, None) for tag in flying.values())
                    return
            patience = max(0.0, min(_GLANCE, (closing or until) - now))
            for future in wait(flying, timeout=patience, return_when=FIRST_COMPLETED).done:
                yield Done(flying.pop(future), future)

    def _begin(self, work: Work[Tag, Result], flying: dict[Future[Result], Tag]) -> None:
        while work.waiting and len(flying) < self._hands:
            tag, call = work.waiting.popleft()
            flying[self._pool.submit(call)] = tag

    def dismiss(self) -> None:
        """Let nobody begin anything more; hands that hang are not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
