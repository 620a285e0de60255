"""The published schema of the log lines: true of every line, and of nothing else."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.errors import CloudError
from fc_reaper.evaluator.evaluate import Evaluation
from fc_reaper.handler import handler
from fc_reaper.log import LEVELS, MAY_WARN, JsonLog
from fc_reaper.log_lines import LINES, Line, Result
from fc_reaper.models import Function, Task
from fc_reaper.rules.result import TRUE, Kind, RuleResult, Verdict
from fc_reaper.settings import Context, read_settings
from fc_reaper.sweep.report import Outcome, Report
from tests.emulator_server import running_emulator
from tests.monitoring.history import History
from tests.monitoring.published import SCHEMA, must_be_published
from tests.reaping import KEYS
from tests.run.account import POLICY, SEED

EVENTS = {event: kind for kind in LINES for event in kind.events()}
"""Every kind of line by each event it is about."""


def test_the_schema_is_one() -> None:
    """By the rules of 2020-12 itself."""
    Draft202012Validator.check_schema(SCHEMA)


def test_every_kind_of_line_is_really_printed(history: History) -> None:
    """The models invent nothing, and real runs print nothing that they do not know."""
    assert {record.line["event"] for record in history.records} == set(EVENTS)


@pytest.mark.parametrize("kind", LINES, ids=lambda kind: kind.__name__)
def test_what_a_line_may_leave_out_is_there_at_times(history: History, kind: type[Line]) -> None:
    """An optional field that no run prints would be an invention."""
    lines = [*history.lines(*kind.events()), *(seldom() if "skipped" in kind.events() else [])]
    optional = {name for name, field in kind.model_fields.items() if not field.is_required()} - {"cut"}
    assert optional <= {name for line in lines for name in line}


def seldom() -> list[dict[str, Any]]:
    """The lines of a task that was refused until the time was up, and of a stop whose answer was lost."""
    stream = io.StringIO()
    log = JsonLog(stream, SYSTEM_CLOCK, run_id="r", request_id="", mode="enforce", trigger="timer")
    due = Evaluation(
        Task(Function(None, "resize", "LATEST"), "job-1", "Running"),
        Verdict(Kind.DUE, "too long", "runaway", 3, RuleResult(TRUE, "running_for", 2, 1, "events")),
    )
    error, report = CloudError("busy", http_status=503), Report(log, read_settings({}, Context()), shown=1)
    report.settled(Outcome("skipped", due, "margin", "the time was up", error))
    report.settled(Outcome("failed", due, error=error, unclear=True))
    lines: list[dict[str, Any]] = [json.loads(line) for line in stream.getvalue().splitlines()]
    for line in lines:
        must_be_published(line)
    return lines


@pytest.mark.parametrize("event", EVENTS)
def test_a_line_has_its_level(history: History, event: str) -> None:
    """Alerts filter by level; only the first line and the last may have one of two."""
    levels = {line["level"] for line in history.lines(event)}
    assert levels == {LEVELS.get(event, "INFO")} or (event in MAY_WARN and levels <= {"INFO", "WARNING"})


def test_the_result_is_the_last_line_with_the_tasks() -> None:
    """Nothing is in one and not in the other."""
    assert set(Result.model_fields) == {*EVENTS["run_finished"].model_fields, "tasks"}


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
    """A schema that allows everything would be useless."""
    line = history.lines("would_stop")[0]
    must_be_published(line)
    with pytest.raises(AssertionError):
        must_be_published({**line, **BREACHES[breach]})


@pytest.mark.parametrize("event", EVENTS)
def test_a_line_without_one_of_its_fields_is_refused(history: History, event: str) -> None:
    """Whoever reads a line may rely on every field that is required."""
    line = history.lines(event)[0]
    for name in [name for name, field in EVENTS[event].model_fields.items() if field.is_required()]:
        with pytest.raises(AssertionError):
            must_be_published({key: value for key, value in line.items() if key != name})


def test_a_line_that_was_cut_is_still_one(history: History) -> None:
    """Too long for a record: shortened texts and lists keep their kinds, and `cut` names them."""
    stream = io.StringIO()
    fields = {**history.lines("run_finished")[0], "errors": ["x" * 30_000] * 20}
    JsonLog(stream, SYSTEM_CLOCK)(fields.pop("event"), **fields)
    line = json.loads(stream.getvalue())
    assert line["cut"] == ["errors"]
    must_be_published(line)


def test_what_the_handler_prints_is_published(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The entry point prints the same lines."""
    with running_emulator(seed=SEED) as cloud:
        for name, value in {**KEYS, "REAPER_ENDPOINT": cloud.endpoint, "REAPER_POLICY": POLICY}.items():
            monkeypatch.setenv(name, value)
        handler(b"", SimpleNamespace(request_id="r", function=SimpleNamespace(timeout=60)))
    printed = capsys.readouterr().out.splitlines()
    assert printed
    for line in printed:
        must_be_published(json.loads(line))
