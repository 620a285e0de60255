"""One rate for all calls: at most so many in any stretch of time, as early as that allows."""

from __future__ import annotations

from collections import deque
from threading import Lock

from fc_reaper.clock import Clock, Deadline
from fc_reaper.errors import CloudError


class Pace:
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
            CloudError: that would be after *deadline* (a moment on the monotonic clock); nothing was sent.
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
