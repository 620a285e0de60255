"""Durations and moments as people write them: `-2h30m`, `+10m`, `1s`, ISO 8601, epoch milliseconds."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import NamedTuple

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PIECE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(ms|s|m|h|d)", re.ASCII)
_DURATION = re.compile(rf"(?:{_PIECE.pattern})+", re.ASCII)


def parse_duration(text: object) -> int:
    """Read a duration such as `1h30m` or `20ms` in milliseconds; zero is `0s`.

    Raises:
        ValueError: it is not text, or a number lacks its unit.
    """
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; write it with units, such as 1h30m, 2s or 20ms")
    return round(sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(text)))


class Moment(NamedTuple):
    """Milliseconds since the epoch, or since now when `relative`."""

    ms: int
    relative: bool = False

    def at(self, now: int) -> int:
        """The moment in epoch milliseconds."""
        return now + self.ms if self.relative else self.ms


def parse_moment(value: object) -> Moment:
    """Read a moment: `-3h`, `+10m`, `now`, ISO 8601 (UTC unless it says otherwise) or epoch milliseconds.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return Moment(value)
    if isinstance(value, str):
        if value == "now":
            return Moment(0, relative=True)
        if value[:1] in ("+", "-") and _DURATION.fullmatch(value[1:]):
            sign = 1 if value[0] == "+" else -1
            return Moment(sign * parse_duration(value[1:]), relative=True)
        if re.fullmatch(r"\d{11,}", value, re.ASCII):
            return Moment(int(value))
        try:
            return Moment(_iso_ms(value))
        except (ValueError, OverflowError):
            pass
    known = "-2h30m, +10m, now, 2024-05-01T12:00:00Z or epoch milliseconds"
    raise ValueError(f"{value!r} is not a moment; write {known}")


def _iso_ms(text: str) -> int:
    parsed = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=timezone.utc)
    return round(parsed.timestamp() * 1000)
