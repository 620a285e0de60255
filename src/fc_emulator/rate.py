"""How many calls a second are let in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Rate:
    """At most *per_second* calls a second, with one second's worth at once; None lets everything in.

    *seconds* answers a time in seconds that never runs back.
    """

    per_second: float | None
    seconds: Callable[[], float]
    _left: float = field(init=False)
    _seen: float = field(init=False)

    def __post_init__(self) -> None:
        self._left, self._seen = max(1.0, self.per_second or 0), self.seconds()

    def allows(self) -> bool:
        """Whether one more call may come in now."""
        if self.per_second is None:
            return True
        now = self.seconds()
        self._left = min(max(1.0, self.per_second), self._left + (now - self._seen) * self.per_second)
        self._seen = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
