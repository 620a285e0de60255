"""Lengths of time as people write them: `90m`, `2h`, `1d12h`, `PT2H`."""

from __future__ import annotations

import re

from fc_reaper.models import Millis
from fc_reaper.names import shown

_UNITS: dict[str, Millis] = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
LONGEST: Millis = 366 * _UNITS["d"]

_COUNT = "[0-9]{1,12}"
_SHORT = "(?=.)" + "".join(f"(?:(?P<{unit}>{_COUNT}){unit})?" for unit in _UNITS)
_ISO = (
    f"P(?=.)(?:(?P<w>{_COUNT})W)?(?:(?P<d>{_COUNT})D)?"
    f"(?:T(?=.)(?:(?P<h>{_COUNT})H)?(?:(?P<m>{_COUNT})M)?(?:(?P<s>{_COUNT})S)?)?"
)
PATTERN = re.sub(r"\?P<\w>", "?:", f"{_SHORT}|{_ISO}")
"""What has the shape of a length of time, for a schema; bounds are not in it."""

LENGTH = "a length such as 90m, 2h or 1d12h"


class NotADuration(ValueError):
    """The text is no length of time that can be used; its message says why and what to write."""


def parse_duration(text: str) -> Millis:
    """Read a length of time, in milliseconds: more than zero, at most 366 days (itself allowed).

    Units are w d h m s, each at most once, the longest first; or ISO 8601 without years and months.

    Raises:
        NotADuration: another shape, no unit, zero, negative or too long.
    """
    match = re.fullmatch(_SHORT, text) or re.fullmatch(_ISO, text)
    if match is None:
        raise NotADuration(_no_duration(text))
    length = sum(int(count) * _UNITS[unit] for unit, count in match.groupdict().items() if count)
    if length == 0:
        raise NotADuration(f"{text} is zero, so every task would be over it; write {LENGTH}")
    if length > LONGEST:
        raise NotADuration(f"{shown(text)} is longer than 366d; write {LENGTH}")
    return length


def spell_duration(length: Millis) -> str:
    """Write a length of time exactly (to the second, rounded down), as `parse_duration` reads it."""
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, length = divmod(length, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def format_duration(length: Millis) -> str:
    """Write a length of time for a table: rounded down to what still matters, at most two units.

    Days come with hours, hours with minutes; ten minutes and more stand alone; less has seconds.
    """
    if length < 0:
        return f"-{format_duration(-length)}"
    for floor, step in ((_UNITS["d"], "h"), (600_000, "m"), (0, "s")):
        if length >= floor:
            return spell_duration(length - length % _UNITS[step])
    return "0s"


def _no_duration(text: str) -> str:
    seconds = int(text) * 1000 if re.fullmatch("[0-9]{1,12}", text) else 0
    if 0 < seconds <= LONGEST:
        choices = dict.fromkeys((spell_duration(seconds), f"{int(text)}s"))
        return f"{text} has no unit; if seconds are meant, write {' or '.join(choices)}"
    return f"{shown(text)} is not a length of time; write {LENGTH}"
