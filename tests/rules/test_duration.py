"""Lengths of time: what is read, what is refused and with which words, how they are written."""

from __future__ import annotations

import re
from math import inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fc_reaper.rules.duration import LONGEST, format_duration, parse_carried, parse_duration, spell_duration

NO_LENGTHS = (
    "", "   ", "-5m", "2 h", "2H", "2 hours", "1M", "P1M", "90M", "1h30m20", "90min", "12h1d", "1d, 12h",
    "12:30", "500ms", "1y", "P1Y", "P", "PT", "P1DT", "2h\n", "٢h", "soon", "9" * 400 + "h", "1e3h",
)  # fmt: skip

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", 90 * SECOND),
        ("90m", 90 * MINUTE),
        ("2h", 2 * HOUR),
        ("1d12h", 36 * HOUR),
        ("1w", 7 * DAY),
        ("1w1d1h1m1s", 8 * DAY + HOUR + MINUTE + SECOND),
        ("PT2H", 2 * HOUR),
        ("P1DT12H", 36 * HOUR),
        ("P1W", 7 * DAY),
        ("PT90S", 90 * SECOND),
        ("0h1s", SECOND),
        ("366d", LONGEST),
    ],
)
def test_a_length_of_time_has_units(text: str, length: int) -> None:
    """Weeks to seconds, the longest first, or ISO 8601; 366 days are still allowed."""
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("7200", "no unit; if seconds are meant, write 7200s"),
        ("90", "no unit; if seconds are meant, write 90s"),
        ("30", "no unit; if seconds are meant, write 30s"),
        ("010", "is not a length of time"),
        ("0", "write a length such as 90m, 2h or 1d12h"),
        ("0s", "zero"),
        ("PT0S", "zero"),
        ("367d", "longer than 366d"),
        ("366d1s", "longer than 366d"),
        *((text, "is not a length of time") for text in NO_LENGTHS),
    ],
)
def test_anything_else_is_refused_with_what_to_write(text: str, words: str) -> None:
    """With what to write; a number without a unit may be seconds."""
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        parse_duration(text)
    assert len(str(caught.value)) < 200


@given(st.integers(1, LONGEST // SECOND))
def test_what_is_spelt_is_read_back(seconds: int) -> None:
    """`spell_duration` loses nothing down to the second."""
    assert parse_duration(spell_duration(seconds * SECOND)) == seconds * SECOND


@given(st.text(alphabet="0123456789wdhms PTWDHMS.:-", max_size=12))
@example("53W")
def test_every_suggestion_can_be_written(text: str) -> None:
    """Whoever follows the advice `write X` is not refused a second time."""
    try:
        parse_duration(text)
    except ValueError as error:
        advice = str(error).rpartition("write ")[2]
        for suggestion in advice.removeprefix("a length such as ").replace(", ", " or ").split(" or "):
            assert parse_duration(suggestion) > 0


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (0, "0s"),
        (999, "0s"),
        (62 * SECOND, "1m2s"),
        (10 * MINUTE, "10m"),
        (14 * MINUTE + 59 * SECOND, "14m"),
        (2 * HOUR + 14 * MINUTE + 59 * SECOND, "2h14m"),
        (5 * HOUR + 59 * SECOND, "5h"),
        (DAY + 12 * HOUR + 59 * MINUTE, "1d12h"),
        (-90 * SECOND, "-1m30s"),
    ],
)
def test_a_table_shows_at_most_two_units(length: int, text: str) -> None:
    """Rounded down, so that no age looks older than it is."""
    assert format_duration(length) == text


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90m", 90 * MINUTE),
        ("5.5h", 5.5 * HOUR),
        ("300min", 5 * HOUR),
        ("5H", 5 * HOUR),
        ("5M", 5 * MINUTE),
        (" 5 h ", 5 * HOUR),
        ("4 Hours", 4 * HOUR),
        ("1 hour  30 mins", 90 * MINUTE),
        ("2 weeks 1 day", 15 * DAY),
        ("1 hr 1 sec", HOUR + SECOND),
        ("0.5 hr", HOUR / 2),
        ("90 Minutes 7200 secs", 90 * MINUTE + 7200 * SECOND),
        ("P1D", DAY),
        ("5 parsecs", 0),
        ("5h0m0s", 5 * HOUR),
        ("PT90M", 90 * MINUTE),
        ("p1dt1.5h", 25.5 * HOUR),
        ("400d", 400 * DAY),
        ("9" * 400 + "h", inf),
        *((word, inf) for word in ("forever", "Unlimited", "INFINITE", "infinity", " inf ", "never", "none")),
        *(
            (text, 0)
            for text in ("", " ", "soon", "-3h", "05:00:00", "5", "0m", "0h 0m", "h", "1 0h", "30m1h")
        ),
        *(
            (text, 0)
            for text in ("1h1h", "1h and 1m", "P1M", "P", "PT", "5e3h", "٢h", "5ſ", ".5h", "1,5h", "∞")
        ),
        ("1h" + " " * 2000 + "1m", HOUR + MINUTE),
        ("0" * 2000 + "1h", 0),
    ],
)
def test_a_task_carries_a_length_as_people_write_it(text: str, length: float) -> None:
    """A closed list: nothing else is guessed at."""
    assert parse_carried(text) == length


@given(st.integers(1, LONGEST // 1000))
def test_what_a_policy_may_say_a_task_may_carry(seconds: int) -> None:
    """With the same meaning."""
    assert parse_carried(spell_duration(seconds * 1000)) == seconds * 1000
