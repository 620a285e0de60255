"""Where time comes from, the rate at which calls may begin, and retries. No other module reads a clock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple, TypeVar

from fc_reaper.errors import CloudError
from fc_reaper.models import Millis

T = TypeVar("T")


class Clock(NamedTuple):
    """Three functions of time that belong together.

    `now` returns epoch milliseconds, `monotonic` seconds that never run back, `sleep` takes seconds.
    """

    now: Callable[[], Millis]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


SYSTEM_CLOCK = Clock(now=lambda: time.time_ns() // 1_000_000, monotonic=time.monotonic, sleep=time.sleep)


Deadline = float
"""A moment on the monotonic clock, in seconds, after which nothing more may begin."""


class RateLimiter:
    """Lets at most *calls* begin in any *period* seconds; safe across threads.

    A short run is not slowed down: as many calls as one period allows may begin at once.
    """

    def __init__(self, calls: int, period: float, clock: Clock) -> None:
        self._period = period
        self._clock = clock
        self._lock = Lock()
        self._begun: deque[float] = deque(maxlen=calls)

    def __call__(self, deadline: Deadline | None) -> None:
        """Wait until one more call may begin.

        Raises:
            CloudError: that would be after *deadline*; nothing was sent.
        """
        with self._lock:
            now = self._clock.monotonic()
            full = len(self._begun) == self._begun.maxlen
            turn = max(now, self._begun[0] + self._period) if full else now
            if deadline is not None and turn >= deadline:
                raise CloudError("the time was up before the call could begin", error_code="OutOfTime")
            self._begun.append(turn)
        if turn > now:
            self._clock.sleep(turn - now)


class Retry:
    """Calls again after a passing error, with waits that double from *first* to at most *longest* seconds.

    The waits have full jitter: *jitter* returns a number from 0 up to 1. *check* is called while waiting, and
    raises to end the wait.
    """

    def __init__(
        self,
        clock: Clock,
        jitter: Callable[[], float],
        check: Callable[[], None],
        *,
        first: float = 0.2,
        longest: float = 5.0,
        attempts: int = 6,
    ) -> None:
        self._clock, self._jitter, self._check = clock, jitter, check
        self._first, self._longest, self._attempts = first, longest, attempts

    def __call__(self, attempt: Callable[[], T], deadline: Deadline | None) -> T:
        """Return what *attempt* returns, calling it again after a retryable error.

        With a deadline there are at most *attempts*, and no wait that would outlast it. Without one there is
        one less, and no wait of more than a minute. A wait that the cloud asks for is a lower bound.

        Raises:
            CloudError: the last one, or the first that is not retryable; not that the time was up in
                the end, where it is known what took the time.
        """
        trouble: CloudError | None = None
        for number in range(self._attempts - (2 if deadline is None else 1)):
            try:
                return attempt()
            except CloudError as error:
                if trouble is not None and error.out_of_time:
                    raise trouble from None
                trouble = error
                wait = max(
                    self._jitter() * min(self._longest, self._first * 2.0**number), error.retry_after or 0.0
                )
                too_long = wait > 60 if deadline is None else self._clock.monotonic() + wait >= deadline
                if too_long or not error.retryable:
                    raise
            self._sleep(wait)
        return attempt()

    def _sleep(self, wait: float) -> None:
        # In short steps, so that a closed client does not sleep on.
        while wait > 0:
            self._clock.sleep(min(0.25, wait))
            self._check()
            wait -= 0.25
