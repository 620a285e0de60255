"""One JSON object a line, whatever is in it."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.clock import Clock
from fc_reaper.log import LEVELS, LONGEST_LINE, JsonLog
from fc_reaper.log_lines import LINES, Counts
from tests.emulator_server import Emulator
from tests.reaping import reap
from tests.run.account import POLICY

CLOCK = Clock(lambda: 1_795_000_000_123, lambda: 0.0, lambda seconds: None)
HEAD: dict[str, Any] = {"run_id": "r", "request_id": "", "mode": "dry-run", "trigger": "timer"}
TASK: dict[str, Any] = {
    **dict.fromkeys(("function", "qualifier", "invocation_id", "status", "reason"), "x"),
    **dict.fromkeys(("service", "policy", "rule", "age_s", "limit_s", "over_s", "clock")),
    "also": [],
    "new": False,
}


def logged(event: str, *, verbose: bool = False, **fields: Any) -> list[str]:
    """What is printed of one line."""
    stream = io.StringIO()
    JsonLog(stream, CLOCK, verbose=verbose, **HEAD)(event, **fields)
    return stream.getvalue().splitlines()


def test_a_line_says_when_how_loud_and_what() -> None:
    """UTC with milliseconds; names are constant; what was not given is left out."""
    fields: dict[str, Any] = {"policies": ["a"], "targets": [], "requests": []}
    (line,) = logged("run_started", **fields)
    when = {"timestamp": "2026-11-18T11:06:40.123Z", "level": "INFO", "event": "run_started"}
    assert json.loads(line) == {**when, **HEAD, **fields}


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_makes_exactly_one_line(text: str) -> None:
    """Line breaks and halves of characters included."""
    (line,) = logged("not_approved", policy="p", why=text)
    assert json.loads(line)["why"] == text.encode("utf-8", "replace").decode()
    line.encode()


@given(st.sampled_from(["x", "\u00e9", "\n"]), st.integers(1, 5))
def test_no_line_is_longer_than_the_platform_keeps(letter: str, times: int) -> None:
    """What is too long is cut, and the line says what."""
    counts = dict.fromkeys(Counts.model_fields, 1)
    fields: dict[str, Any] = {"counts": counts, "policies": {}, "calls": {}, "duration_ms": 1}
    fields |= {"partial": False, "unmatched": [], "errors": [letter * 20_000] * times}
    (line,) = logged("run_finished", **fields)
    assert len(f"{line}\n".encode()) <= LONGEST_LINE
    assert json.loads(line)["counts"] == counts
    written = len(json.dumps(letter, ensure_ascii=False).encode()) - 2
    assert ("cut" in json.loads(line)) == (written * 20_000 * times > 32_000)


def test_text_is_written_as_it_is() -> None:
    """UTF-8 without escapes, but for what ends a line or turns the direction of the rest, and on a stream
    that takes no UTF-8."""
    text = "转码任务 \u3000 é 😀 👩\u200d💻"
    (line,) = logged("not_approved", policy="p", why=text)
    assert f'"why": "{text}"' in line
    (line,) = logged("not_approved", policy="p", why="a\x1b\x7f\x85\u2028\u202eb")
    assert line.isprintable()
    assert json.loads(line)["why"] == "a\x1b\x7f\x85\u2028\u202eb"
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
    JsonLog(stream, CLOCK, **HEAD)("not_approved", policy="p", why=text)
    assert json.loads(stream.buffer.getvalue())["why"] == text


def test_half_a_character_breaks_no_line() -> None:
    """In keys and values; the other text stays."""
    (line,) = logged("run_finished", policies={"a\ud800转": {}}, errors=["\udfff码"])
    assert json.loads(line)["policies"] == {"a?转": {}}
    assert json.loads(line)["errors"] == ["?码"]


def test_no_kind_of_line_can_flood_the_log() -> None:
    """For each policy, and for none: so many lines of one event, and a line that counts the rest."""
    stream = io.StringIO()
    log = JsonLog(stream, CLOCK, most=3, verbose=True, **HEAD)
    noisy = sorted(set(LEVELS) | {event for kind in LINES for event in kind.events()})
    noisy = [event for event in noisy if event not in ("run_started", "run_finished", "lines_omitted")]
    for _ in range(5):
        for event in noisy:
            for policy in (None, "a", "b"):
                log(event, policy=policy)
    log.omit("skipped", "b", 100)
    log("run_finished")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    counted = Counter((line["event"], line["policy"]) for line in lines if line["event"] in noisy)
    assert set(counted.values()) == {3}
    assert len(counted) == 3 * len(noisy)
    told = {
        (line["omitted"], line["policy"]): (line["due"], line["allowed"])
        for line in lines
        if line["event"] == "lines_omitted"
    }
    assert told == {**dict.fromkeys(counted, (5, 3)), ("skipped", "b"): (105, 3)}
    assert lines[-1]["event"] == "run_finished"


def test_details_are_logged_only_with_verbose() -> None:
    """Kept tasks are logged at DEBUG only."""
    assert logged("kept", **TASK) == []
    (line,) = logged("kept", verbose=True, **TASK)
    assert json.loads(line)["level"] == "DEBUG"


def test_a_listener_receives_what_is_printed(cloud: Emulator) -> None:
    """The same lines in the same order, as values."""
    reaped = reap(cloud.endpoint, POLICY, enforce=True)
    assert [line.fields() for line in reaped.values] == reaped.lines
    assert {line.invocation_id for line in reaped.values.of("confirmed")} == reaped.ids("confirmed")
