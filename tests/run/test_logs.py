"""One JSON object a line, whatever is in it."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.clock import Clock
from fc_reaper.log import LONGEST_LINE, JsonLines

CLOCK = Clock(lambda: 1_795_000_000_123, lambda: 0.0, lambda seconds: None)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def told(event: str, **fields: Any) -> list[str]:
    stream = io.StringIO()
    JsonLines(stream, CLOCK, run_id="r")(event, **fields)
    return stream.getvalue().splitlines()


def test_a_line_says_when_how_loud_and_what() -> None:
    """UTC with milliseconds; names are constant."""
    (line,) = told("run_started", policies=["a"])
    assert json.loads(line) == {
        "timestamp": "2026-11-18T11:06:40.123Z",
        "level": "INFO",
        "event": "run_started",
        "run_id": "r",
        "policies": ["a"],
    }


@given(st.dictionaries(st.text(min_size=1), values, max_size=6))
def test_anything_makes_exactly_one_line(fields: dict[str, Any]) -> None:
    """Line breaks, surrogates and odd names included."""
    stream = io.StringIO()
    JsonLines(stream, CLOCK)("stuck", reason=fields)
    assert json.loads(stream.getvalue())["event"] == "stuck"
    assert stream.getvalue().count("\n") == 1


@given(st.sampled_from(["x", "\u00e9", "\n"]), st.integers(1, 5))
def test_no_line_is_longer_than_the_platform_keeps(letter: str, times: int) -> None:
    """What is too long is cut, and the line says what."""
    (line,) = told("run_finished", errors=[letter * 20_000] * times, counts={"listed": 1})
    assert len(line.encode()) < LONGEST_LINE
    assert json.loads(line)["counts"] == {"listed": 1}


def test_details_are_silent_unless_asked_for() -> None:
    """Kept tasks are told at DEBUG only."""
    assert told("kept") == []
    stream = io.StringIO()
    JsonLines(stream, CLOCK, verbose=True)("kept")
    assert json.loads(stream.getvalue())["level"] == "DEBUG"
