"""The published schema of the log lines: true of every line, and of nothing else."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.errors import CloudError
from fc_reaper.evaluator.verdict import Evaluation, Kind, Verdict
from fc_reaper.handler import handler
from fc_reaper.log import JsonLines, fitted
from fc_reaper.log_schema import ALWAYS, LINES
from fc_reaper.models import Function, Task
from fc_reaper.sweep.ledger import Ledger
from fc_reaper.sweep.report import Report
from fc_reaper.sweep.stopping import Outcome
from fc_reaper.sweep.teller import Teller
from tests.emulator_process import running_emulator
from tests.monitoring.history import History
from tests.monitoring.published import SCHEMA, must_be_published
from tests.reaping import KEYS
from tests.run.account import POLICY, SEED

ROOT = Path(__file__).parents[2]


def test_the_published_files_are_what_the_table_says() -> None:
    """After a change of the table: python scripts/log_schema.py."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/log_schema.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_schema_is_one() -> None:
    """By the rules of 2020-12 itself."""
    Draft202012Validator.check_schema(SCHEMA)


def test_every_kind_of_line_is_really_printed(history: History) -> None:
    """The table invents nothing, and real runs print nothing that it does not know."""
    assert {record.line["event"] for record in history.records} == set(LINES)


@pytest.mark.parametrize("event", [event for event, line in LINES.items() if line.perhaps])
def test_what_a_line_may_leave_out_is_there_at_times(history: History, event: str) -> None:
    """An optional field that no run prints would be an invention."""
    lines = [*history.lines(event), *([out_of_time()] if event == "skipped" else [])]
    printed = {name for line in lines for name in line}
    assert set(LINES[event].perhaps) <= printed


def out_of_time() -> dict[str, Any]:
    """The line of a task whose stop was refused until the time was up; no run can be made to end so."""
    stream = io.StringIO()
    tell = JsonLines(stream, SYSTEM_CLOCK, run_id="r", request_id="", mode="enforce", trigger="timer")
    teller = Teller(tell, limit=1, tick=1, verbose=False)
    due = Evaluation(
        Task(Function(None, "resize", "LATEST"), "job-1", "Running"),
        Verdict(Kind.DUE, "too long", "runaway", "running_for", 2, 1, "events"),
    )
    outcome = Outcome("skipped", due, "margin", "the time was up", CloudError("busy", http_status=503))
    Report(Ledger(), teller, shown=1, tick=1).settled(outcome)
    line: dict[str, Any] = json.loads(stream.getvalue())
    must_be_published(line)
    return line


def test_the_counts_are_those_of_a_run() -> None:
    """The ledger counts them, the table explains them."""
    counts = LINES["run_finished"].fields["counts"]
    assert tuple(counts["properties"]) == tuple(counts["required"]) == tuple(Ledger().counts())


@pytest.mark.parametrize("event", LINES)
def test_a_line_is_told_at_its_level(event: str) -> None:
    """Alerts look at levels, so that the table must know them."""
    stream = io.StringIO()
    for errors in ([], ["something"]):
        JsonLines(stream, SYSTEM_CLOCK, verbose=True)(event, errors=errors)
    levels = {json.loads(line)["level"] for line in stream.getvalue().splitlines()}
    assert levels == set(LINES[event].levels)


BREACHES: dict[str, dict[str, Any]] = {
    "a field that nobody described": {"colour": "red"},
    "an unknown event": {"event": "deleted"},
    "another level": {"level": "ERROR"},
    "a number as text": {"age_s": "7200"},
    "a local time": {"timestamp": "2026-11-20T02:15:00+08:00"},
    "a clock that does not exist": {"clock": "guess"},
    "an id that is missing": {"invocation_id": None},
}


@pytest.mark.parametrize("breach", BREACHES)
def test_the_schema_refuses(history: History, breach: str) -> None:
    """A schema that allows everything would prove nothing."""
    line = history.lines("would_stop")[0]
    must_be_published(line)
    with pytest.raises(AssertionError):
        must_be_published({**line, **BREACHES[breach]})


@pytest.mark.parametrize("event", LINES)
def test_a_line_without_one_of_its_fields_is_refused(history: History, event: str) -> None:
    """Whoever reads a line may rely on every field that is said to be always there."""
    line = history.lines(event)[0]
    for name in {*ALWAYS, *LINES[event].fields}:
        with pytest.raises(AssertionError):
            must_be_published({key: value for key, value in line.items() if key != name})


def test_a_line_that_was_cut_is_still_one(history: History) -> None:
    """Too long for a record: shortened texts and lists keep their kinds, and `cut` names them."""
    line = fitted({**history.lines("run_finished")[0], "errors": ["x" * 30_000] * 20})
    assert line["cut"] == ["errors"]
    must_be_published(line)


def test_what_the_handler_prints_is_published(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The door for the cloud tells by the same lines."""
    with running_emulator(seed=SEED) as cloud:
        for name, value in {**KEYS, "REAPER_ENDPOINT": cloud.endpoint, "REAPER_POLICY": POLICY}.items():
            monkeypatch.setenv(name, value)
        handler(b"", SimpleNamespace(request_id="r", function=SimpleNamespace(timeout=60)))
    printed = capsys.readouterr().out.splitlines()
    assert printed
    for line in printed:
        must_be_published(json.loads(line))
