"""Where time comes from, and what it bounds: the rate of calls, retries, calls at the same time."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from threading import Lock, Thread, local
from typing import Any, NamedTuple, TypeVar

from fc_reaper.errors import CloudError, InvalidName
from fc_reaper.models import Millis

T = TypeVar("T")
Tag = TypeVar("Tag")


class Clock(NamedTuple):
    """`now` returns epoch milliseconds, `monotonic` seconds that never run back, `sleep` takes seconds."""

    now: Callable[[], Millis]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


SYSTEM_CLOCK = Clock(now=lambda: time.time_ns() // 1_000_000, monotonic=time.monotonic, sleep=time.sleep)
Deadline = float  # a moment on the monotonic clock, in seconds, after which nothing more may begin

_GROWTH = 1.1  # what a slowed rate is multiplied by in each second
_SLOWEST = 0.5  # calls a second that may begin however often the cloud refuses
_LONGEST_PAUSE = 60.0  # seconds that all calls wait at most because one answer asked for it


class RateLimiter:
    """Lets at most *calls* begin in any *period* seconds, fewer once the cloud refuses; safe across threads.

    As many calls as one period allows may begin at once. A refusal because of the rate halves it for all
    calls, which then begin one by one; it recovers by a tenth a second.
    """

    def __init__(self, calls: int, period: float, clock: Clock) -> None:
        self._period, self._clock, self._lock = period, clock, Lock()
        self._begun: deque[float] = deque(maxlen=calls)
        self._most = self._rate = calls / period
        self._next, self._refusals = float("-inf"), 0

    def __call__(self, deadline: Deadline | None) -> int:
        """Wait for a turn; return what `slow_down` takes. A CloudError if *deadline* comes first."""
        with self._lock:
            now = self._clock.monotonic()
            turn = max(now, self._next)
            if len(self._begun) == self._begun.maxlen:
                turn = max(turn, self._begun[0] + self._period)
            if deadline is not None and turn >= deadline:
                raise CloudError("the time was up before the call could begin", error_code="OutOfTime")
            if self._rate < self._most:
                passed = min(turn - self._begun[-1], 100.0)
                self._rate = min(self._most, self._rate * _GROWTH**passed)
                self._next = turn + 1 / self._rate
            self._begun.append(turn)
            given = self._refusals
        if turn > now:
            self._clock.sleep(turn - now)
        return given

    def slow_down(self, given: int, retry_after: float | None) -> None:
        """Halve the rate, or what was begun in the last second if that is less; *given* as by the turn.

        Calls whose turns were given before the rate was halved do not halve it again. For *retry_after*
        seconds, a minute at most, no turn comes.
        """
        with self._lock:
            now = self._clock.monotonic()
            if given == self._refusals:
                self._refusals += 1
                lately = sum(now - 1 < turn <= now for turn in self._begun)
                self._rate = max(min(self._rate, lately) / 2, min(_SLOWEST, self._most))
            self._next = max(self._next, now + min(retry_after or 1 / self._rate, _LONGEST_PAUSE))


class Retry(NamedTuple):
    """Calls again after a passing error; waits double from *first* to *longest* and have full jitter."""

    clock: Clock
    jitter: Callable[[], float]
    check: Callable[[], None]
    first: float = 0.2
    longest: float = 5.0
    attempts: int = 6

    def __call__(self, attempt: Callable[[], T], deadline: Deadline | None) -> T:
        """Return what *attempt* returns, calling it again after a retryable error.

        With a deadline there are at most *attempts*, and no wait that would outlast it. Without one there is
        one less, and no wait of more than a minute. A wait that the cloud asks for is a lower bound. Raises
        the last CloudError, or the first that is not retryable; not that the time was up, where it is known
        what took the time.
        """
        trouble: CloudError | None = None
        for number in range(self.attempts - (2 if deadline is None else 1)):
            try:
                return attempt()
            except CloudError as error:
                if trouble is not None and error.out_of_time:
                    raise trouble from None
                trouble = error
                doubled = self.jitter() * min(self.longest, self.first * 2.0**number)
                wait = max(doubled, error.retry_after or 0.0)
                too_long = wait > 60 if deadline is None else self.clock.monotonic() + wait >= deadline
                if too_long or not error.retryable:
                    raise
            # In short steps, so that a closed client does not sleep on.
            while wait > 0:
                self.clock.sleep(min(0.25, wait))
                self.check()
                wait -= 0.25
        return attempt()


# Calls that wait for a thread, first come first served, each with a tag that says what it is about.
Jobs = deque[tuple[Tag, Callable[[], T]]]
_POLL = 0.2  # seconds between two checks for an interruption


class Pool(NamedTuple):
    """Makes calls on so many *threads*; what they return comes back in the caller's own thread.

    Nothing more is begun once *interrupted* returns True. Calls under way at a deadline, at which each ends
    by itself, are waited for *grace* seconds. A call that hangs does not keep the process alive.
    """

    threads: int
    clock: Clock
    interrupted: Callable[[], bool]
    grace: float = 1.0

    def each(self, jobs: Jobs[Tag, T], until: Deadline) -> Iterator[tuple[Tag, T | CloudError]]:
        """Yield the tag of each job that is over, and what its call returned. Jobs may be added meanwhile.

        A CloudError takes the place of the value: one that the call raised, `InvalidName` for a name that
        cannot be sent, `Aborted` after an interruption, `OutOfTime` for a job that was not begun in time, or
        `TimedOut` for one under way when the time was up; nobody knows what became of that. Whatever else a
        call raises is raised here.
        """
        begun: SimpleQueue[Any] = SimpleQueue()
        over: SimpleQueue[Any] = SimpleQueue()
        running: dict[int, Tag] = {}
        number = threads = 0
        closing: Deadline | None = None
        try:
            while jobs or running:
                now = self.clock.monotonic()
                if closing is None and (now >= until or self.interrupted()):
                    closing = now + self.grace
                while jobs and closing is None and len(running) < self.threads:
                    number += 1
                    running[number], call = jobs.popleft()
                    begun.put((number, call))
                    if threads < len(running):
                        threads += 1
                        Thread(target=_work, args=(begun, over), daemon=True).start()
                while jobs and closing is not None:
                    yield jobs.popleft()[0], self._left("the time was up", "OutOfTime")
                if closing is not None and (now >= closing or not running):
                    late = self._left("no answer came before the time was up", "TimedOut")
                    yield from ((tag, late) for tag in running.values())
                    return
                try:
                    ended, answer = over.get(timeout=max(0.0, min(_POLL, (closing or until) - now)))
                except Empty:
                    continue
                if isinstance(answer, BaseException) and not isinstance(answer, CloudError):
                    raise answer
                yield running.pop(ended), answer
        finally:
            for _ in range(threads):
                begun.put(None)

    def _left(self, why: str, code: str) -> CloudError:
        if self.interrupted():
            why, code = "the run was interrupted", "Aborted"
        return CloudError(why, error_code=code, retryable=True)


_mine = local()


def untaken() -> int:
    """How many values wait to be taken from the pool that this thread works for; 0 in all other threads."""
    return _mine.over.qsize() if hasattr(_mine, "over") else 0


def _work(begun: SimpleQueue[Any], over: SimpleQueue[Any]) -> None:
    """One thread: makes the calls that are *begun*, and says when each is *over*."""
    _mine.over = over
    while (job := begun.get()) is not None:
        number, call = job
        try:
            over.put((number, call()))
        except InvalidName as error:
            over.put((number, CloudError(str(error), error_code="InvalidName")))
        except CloudError as error:
            # The report keeps it, and its frames would keep the whole answer.
            error.__traceback__ = error.__context__ = None
            over.put((number, error))
        except BaseException as error:
            over.put((number, error))
