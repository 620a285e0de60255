"""Where time comes from, and the rate at which calls may begin. No other module reads a clock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from threading import Lock

from fc_reaper.errors import CloudError
from fc_reaper.models import Millis


@dataclass(frozen=True)
class Clock:
    """Three functions of time that belong together.

    `now` returns epoch milliseconds, `monotonic` seconds that never run back, `sleep` takes seconds.
    """

    now: Callable[[], Millis]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


SYSTEM_CLOCK = Clock(now=lambda: time.time_ns() // 1_000_000, monotonic=time.monotonic, sleep=time.sleep)


def iso(moment: Millis) -> str:
    """A moment in UTC as ISO 8601 with milliseconds."""
    text = datetime.fromtimestamp(moment / 1000, timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


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
