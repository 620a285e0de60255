"""Durations and moments as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_emulator.options import parse_rate
from fc_emulator.times import parse_duration, parse_moment

NOW = 1_700_000_000_000


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0ms", 0),
        ("20ms", 20),
        ("1s", 1_000),
        ("1.5s", 1_500),
        ("2m", 120_000),
        ("1h30m", 5_400_000),
        ("1d12h", 129_600_000),
    ],
)
def test_a_duration_has_units(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1 h", "1H", "1w", "١h", "1h ", 5, None, True])
def test_a_wrong_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("now", NOW),
        ("-1h", NOW - 3_600_000),
        ("+10m", NOW + 600_000),
        ("+0s", NOW),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T22:13:20", NOW),
        ("2023-11-15T06:13:20+08:00", NOW),
        ("2023-11-14T22:13:20.500Z", NOW + 500),
        (NOW, NOW),
        (0, 0),
        (-5, -5),
        (str(NOW), NOW),
    ],
)
def test_a_moment_is_relative_or_absolute(value: object, moment: int) -> None:
    assert parse_moment(value).at(NOW) == moment


@pytest.mark.parametrize(
    "value", ["", "1h", "-", "+", "-1", "tomorrow", "12:30", 1.5, True, None, [], "1700000000"]
)
def test_a_wrong_moment_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is not a moment"):
        parse_moment(value).at(NOW)


@given(st.integers(0, 10**9))
def test_minus_and_plus_are_the_same_distance_from_now(length: int) -> None:
    assert NOW - parse_moment(f"-{length}ms").at(NOW) == parse_moment(f"+{length}ms").at(NOW) - NOW == length


@pytest.mark.parametrize(("text", "rate"), [("none", None), ("20/s", 20), ("0.5/s", 0.5)])
def test_a_rate_is_per_second(text: str, rate: float | None) -> None:
    assert parse_rate(text) == rate
