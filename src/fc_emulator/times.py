"""Moments and lengths of time as people write them: `-2h30m`, `+10m`, `1s`, ISO 8601, epoch milliseconds."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_LENGTH = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII)


def length_ms(text: object) -> int:
    """Read a length of time such as `1h30m` or `20ms` in milliseconds; zero is `0s`.

    Raises:
        ValueError: it is not text, or a number lacks its unit.
    """
    if not isinstance(text, str) or not _LENGTH.fullmatch(text):
        raise ValueError(f"{text!r} is not a length of time; write it with units, such as 1h30m, 2s or 20ms")
    return round(sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(text)))


def moment_ms(value: object, now: int) -> int:
    """Read a moment in epoch milliseconds: `-3h` and `+10m` count from *now*, `now` is *now*.

    Also ISO 8601 (UTC unless it says otherwise) and epoch milliseconds, which are taken literally.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value == "now":
            return now
        if value[:1] in ("+", "-") and _LENGTH.fullmatch(value[1:]):
            return now + (1 if value[0] == "+" else -1) * length_ms(value[1:])
        if re.fullmatch(r"\d{11,}", value, re.ASCII):
            return int(value)
        return _iso_ms(value)
    raise ValueError(_NOT_A_MOMENT.format(value))


_NOT_A_MOMENT = "{!r} is not a moment; write -2h30m, +10m, now, 2024-05-01T12:00:00Z or epoch milliseconds"


def _iso_ms(text: str) -> int:
    try:
        parsed = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    except ValueError:
        raise ValueError(_NOT_A_MOMENT.format(text)) from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=timezone.utc)
    return round(parsed.timestamp() * 1000)
