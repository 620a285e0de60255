"""The cloud's many ways to write a moment, read as epoch milliseconds."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from fc_reaper.models import Millis

_SECONDS_BELOW = 100_000_000_000
_YEAR_10000 = 253_402_300_800_000
_NUMBER = re.compile(r"[0-9]{1,19}(?:\.0{1,9})?", re.ASCII)
_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:([Zz])|([+-][0-9]{2}):?([0-9]{2}))"
)


def read_moment(value: Any) -> Millis | None:
    """Read a number, a number as text, or ISO 8601 text with a zone; None for anything else.

    The samples of the help center hold seconds in places: what is below 1e11 is taken as seconds.
    0 and negative numbers mean that there is no such moment (an unfinished task's `endTime` is 0), and text
    without a zone names none for certain.
    """
    if type(value) is int:
        return _scaled(value)
    if isinstance(value, float):
        return _scaled(int(value)) if value.is_integer() else None
    if isinstance(value, str):
        text = value.strip()
        return _scaled(int(text.partition(".")[0])) if _NUMBER.fullmatch(text) else _iso(text)
    return None


def _scaled(number: int) -> Millis | None:
    if number <= 0:
        return None
    millis = number * 1000 if number < _SECONDS_BELOW else number
    return millis if millis < _YEAR_10000 else None


def _iso(text: str) -> Millis | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    day, time, fraction, utc, hours, minutes = match.groups()
    zone = "+00:00" if utc else f"{hours}:{minutes}"
    try:
        # Python 3.10 reads neither Z nor a fraction of any length.
        moment = datetime.fromisoformat(f"{day}T{time}.{(fraction or '').ljust(6, '0')[:6]}{zone}")
    except ValueError:
        return None
    return _scaled(round(moment.timestamp() * 1000))
