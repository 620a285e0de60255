"""The two scales of a picture: moments along it, lengths of time up it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from fc_reaper.models import Millis

_S, _M, _H, _D = 1_000, 60_000, 3_600_000, 86_400_000

NICE: tuple[Millis, ...] = (
    _S, 2 * _S, 5 * _S, 10 * _S, 15 * _S, 30 * _S, _M, 2 * _M, 5 * _M, 10 * _M, 15 * _M, 30 * _M, _H, 2 * _H,
    3 * _H, 6 * _H, 12 * _H, _D, 2 * _D, 5 * _D, 10 * _D, 30 * _D, 90 * _D, 180 * _D, 365 * _D,
)  # fmt: skip
"""Lengths that people read at a glance."""

_FAR_APART = 50
"""From this ratio of the longest to a short one on, a linear scale presses the short ones to the ground."""

_TICKS = 7


@dataclass(frozen=True)
class Scale:
    """Where a value lies between two ends of the picture; `ticks` are the values to name."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[Millis, ...]
    logarithmic: bool = False

    def __call__(self, value: Millis) -> float:
        share = self._share(min(max(value, self.low), self.high))
        return self.start + share * (self.end - self.start)

    def _share(self, value: float) -> float:
        if self.logarithmic:
            return log(value / self.low) / log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def moments(values: Sequence[Millis], start: float, end: float) -> Scale:
    """A scale for moments, with a little room at both ends."""
    low, high = min(values, default=0), max(values, default=0)
    room = max((high - low) // 50, _M)
    low, high = low - room, high + room
    step = next((nice for nice in NICE if nice >= _M and (high - low) // nice <= _TICKS), NICE[-1])
    ticks = tuple(range(-(-low // step) * step, high + 1, step))
    return Scale(low, high, start, end, ticks)


def durations(values: Sequence[Millis], start: float, end: float) -> Scale:
    """A scale for lengths of time, logarithmic where they are far apart."""
    longest = max((*values, _S))
    ordered = sorted(values)
    short = max(ordered[len(ordered) // 20] if ordered else _S, 1)
    if longest / short >= _FAR_APART:
        low, high = max(min(ordered), _S) * 0.8, longest * 1.25
        ticks = tuple(nice for nice in NICE if low <= nice <= high)
        return Scale(low, high, start, end, ticks[:: -(-len(ticks) // 12) or 1], logarithmic=True)
    high = longest * 1.1
    step = next((nice for nice in NICE if high // nice <= _TICKS), NICE[-1])
    return Scale(0, high, start, end, tuple(range(0, int(high) + 1, step)))
