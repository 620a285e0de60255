"""Lengths of time as people write them: `90m`, `2h`, `1d12h`, `PT2H`."""

from __future__ import annotations

import re

from fc_reaper.models import Millis

_UNITS: dict[str, Millis] = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
LONGEST: Millis = 366 * _UNITS["d"]

_COUNT = "[0-9]{1,12}"
_SHORT = "(?=.)" + "".join(f"(?:(?P<{unit}>{_COUNT}){unit})?" for unit in _UNITS)
_ISO = (
    f"P(?=.)(?:(?P<w>{_COUNT})W)?(?:(?P<d>{_COUNT})D)?"
    f"(?:T(?=.)(?:(?P<h>{_COUNT})H)?(?:(?P<m>{_COUNT})M)?(?:(?P<s>{_COUNT})S)?)?"
)
PATTERN = re.sub(r"\?P<\w>", "?:", f"^(?:{_SHORT}|{_ISO})$")
"""What has the shape of a duration, for the schema; bounds are not in it."""

_WORDS = {
    "weeks": "w", "week": "w", "wk": "w", "days": "d", "day": "d", "hours": "h", "hour": "h",
    "hrs": "h", "hr": "h", "minutes": "m", "minute": "m", "mins": "m", "min": "m",
    "seconds": "s", "second": "s", "secs": "s", "sec": "s",
}  # fmt: skip
_EXAMPLES = "write a length such as 90m, 2h or 1d12h"


class NotADuration(ValueError):
    """The text is no length of time that can be used; its own text says why and what to write."""


def parse_duration(text: str) -> Millis:
    """Read a length of time, in milliseconds: more than zero, at most 366 days (itself allowed).

    Units are w d h m s, each at most once, the longest first; or ISO 8601 without years and months.

    Raises:
        NotADuration: another shape, no unit, zero, negative or too long.
    """
    match = re.fullmatch(_SHORT, text) or re.fullmatch(_ISO, text)
    if match is None:
        raise NotADuration(_what_is_wrong(text))
    length = sum(int(count) * _UNITS[unit] for unit, count in match.groupdict().items() if count)
    if length == 0:
        raise NotADuration(f"{text} is zero, so every task would be over it; {_EXAMPLES}")
    if length > LONGEST:
        raise NotADuration(f"{_short(text)} is longer than 366d, the longest that makes sense; {_EXAMPLES}")
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


def _what_is_wrong(text: str) -> str:
    if not text.strip():
        return f"the length of time is empty; {_EXAMPLES}"
    if text.lstrip().startswith("-"):
        return f"{_short(text)} is negative; {_EXAMPLES}"
    if re.fullmatch("[0-9]{1,12}", text):
        return _without_unit(text)
    if clock := re.fullmatch("([0-9]{1,4}):([0-5]?[0-9])(?::([0-5]?[0-9]))?", text):
        return f"{text} is a time of day or a number in base 60; {_write(_spelt(clock.groups(), 'hms'))}"
    return f"{_short(text)} is not a length of time; {_write(_nearest(text))}"


def _without_unit(text: str) -> str:
    seconds = int(text) * 1000
    if not 0 < seconds <= LONGEST:
        return f"{text} has no unit; {_EXAMPLES}"
    spelt = spell_duration(seconds)
    plain = f"{int(text)}s"
    choices = plain if spelt == plain else f"{spelt} or {plain}"
    return f"{text} has no unit; if seconds are meant, write {choices}"


def _nearest(text: str) -> str | None:
    """What *text* probably means, read with the tolerance that the policy itself does not have."""
    if hours := re.fullmatch(r"([0-9]{1,4})\s*h\s*([0-5]?[0-9])", text, re.IGNORECASE):
        return _spelt(hours.groups(), "hm")
    parts = re.findall(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([A-Za-z]+)", text)
    rest = re.sub(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([A-Za-z]+)", "", text)
    # A capital M may be a month, and a number that is left over is part of what was meant.
    if re.sub(r"[\s,+PpTt]", "", rest) or not parts or any(word == "M" for _, word in parts):
        return None
    total = 0.0
    for count, word in parts:
        unit = _WORDS.get(word.lower(), word.lower())
        if unit not in _UNITS:
            return None
        total += float(count) * _UNITS[unit]
    return spell_duration(round(total)) if 1000 <= total <= LONGEST else None


def _spelt(counts: tuple[str | None, ...], units: str) -> str | None:
    length = sum(int(count or 0) * _UNITS[unit] for count, unit in zip(counts, units, strict=True))
    return spell_duration(length) if 0 < length <= LONGEST else None


def _write(suggestion: str | None) -> str:
    return _EXAMPLES if suggestion is None else f"write {suggestion}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
