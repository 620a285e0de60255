"""Lengths of time as people write them: `90m`, `2h`, `1d12h`, `PT2H`."""

import re
from math import inf

from fc_reaper.errors import shown
from fc_reaper.models import Millis

_UNITS: dict[str, Millis] = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
LONGEST: Millis = 366 * _UNITS["d"]


def _short(count: str, between: str = "", **names: str) -> str:
    parts = (f"(?:(?P<{unit}>{count}){between}{names.get(unit, unit)})?" for unit in _UNITS)
    return "(?=.)" + between.join(parts)


def _iso(count: str) -> str:
    weeks, days, *time = (f"(?:(?P<{unit}>{count}){unit.upper()})?" for unit in _UNITS)
    return f"P(?=.){weeks}{days}(?:T(?=.){''.join(time)})?"


_STRICT = (_short("[0-9]{1,12}"), _iso("[0-9]{1,12}"))
PATTERN = re.sub(r"\?P<\w>", "?:", "|".join(_STRICT))  # its shape for a schema; bounds are not in it

_COUNT = r"[0-9]+(?:\.[0-9]+)?"
_NAMES = {
    "w": "w(?:eeks?)?", "d": "d(?:ays?)?", "h": "h(?:ours?|rs?)?", "m": "m(?:inutes?|ins?)?",
    "s": "s(?:econds?|ecs?)?",
}  # fmt: skip
_LOOSE = (f"(?ai){_short(_COUNT, ' ?', **_NAMES)}", f"(?ai){_iso(_COUNT)}")
_ENDLESS = frozenset(("forever", "unlimited", "infinite", "infinity", "inf", "never", "none"))

LENGTH = "a length such as 90m, 2h or 1d12h"


def parse_duration(text: str) -> Millis:
    """Read a length of time: more than zero, at most 366 days (itself allowed); else a ValueError.

    Units are w d h m s, each at most once, the longest first; or ISO 8601 without years and months.
    """
    match = re.fullmatch(_STRICT[0], text) or re.fullmatch(_STRICT[1], text)
    if match is None:
        if re.fullmatch("[1-9][0-9]{0,6}", text):
            raise ValueError(f"{text} has no unit; if seconds are meant, write {text}s")
        raise ValueError(f"{shown(text)} is not a length of time; write {LENGTH}")
    length = sum(int(count) * _UNITS[unit] for unit, count in match.groupdict().items() if count)
    if length == 0:
        raise ValueError(f"{text} is zero, so every task would be over it; write {LENGTH}")
    if length > LONGEST:
        raise ValueError(f"{shown(text)} is longer than 366d; write {LENGTH}")
    return length


def parse_carried(text: str) -> float:
    """Read a length of time as callers of a task write it, in milliseconds: infinite for words such as never.

    Beside what `parse_duration` reads: units in words (5 hours, 300min), any case, decimals, blanks, zero
    parts, and any length. All else is 0.
    """
    text = " ".join(text.split())
    if text.lower() in _ENDLESS:
        return inf
    match = (re.fullmatch(_LOOSE[0], text) or re.fullmatch(_LOOSE[1], text)) if len(text) <= 1000 else None
    counts = {} if match is None else match.groupdict()
    return sum(float(count) * _UNITS[unit] for unit, count in counts.items() if count)


def spell_duration(length: Millis) -> str:
    """Write a length of time exactly (to the second, rounded down), as `parse_duration` reads it."""
    text = ""
    for unit in ("d", "h", "m", "s"):
        count, length = divmod(length, _UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def format_duration(length: Millis) -> str:
    """Write a length of time for a table, rounded down: `1d2h`, `3h5m`, `12m`, `9m30s`."""
    if length < 0:
        return f"-{format_duration(-length)}"
    step = "h" if length >= _UNITS["d"] else "m" if length >= 600_000 else "s"
    return spell_duration(length - length % _UNITS[step])
