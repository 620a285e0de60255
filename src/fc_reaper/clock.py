"""Where time comes from. Nothing else in the product looks at a clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from fc_reaper.models import Millis


@dataclass(frozen=True)
class Clock:
    """Three views of time that travel together.

    `now` answers epoch milliseconds, `monotonic` seconds that never run back, `sleep` takes seconds.
    """

    now: Callable[[], Millis]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


SYSTEM_CLOCK = Clock(now=lambda: time.time_ns() // 1_000_000, monotonic=time.monotonic, sleep=time.sleep)

Deadline = float
"""A moment on the monotonic clock, in seconds, after which nothing more may be begun."""
