"""A history in a file: what is a record, and what is said of every line that is none."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from fc_reaper.cli.output import CommandError
from fc_reaper.cli.replaying.history_file import Saver, read_file, records_of
from fc_reaper.models import Function
from tests.cli.histories import RECORDS, a_history, record

LIFE = [{"eventId": 1, "status": "Enqueued", "timestamp": 1_794_960_000_000}]


@pytest.mark.parametrize(
    ("fields", "function", "invocation_id"),
    [
        (
            {"serviceName": "s", "functionName": "f", "qualifier": "7", "invocationId": "a"},
            Function("s", "f", "7"),
            "a",
        ),
        ({"serviceName": "s", "functionName": "f", "invocationId": "a"}, Function("s", "f", "LATEST"), "a"),
        (
            {"functionArn": "acs:fc:cn-hangzhou:1:functions/f/prod", "taskId": "a"},
            Function(None, "f", "prod"),
            "a",
        ),
        (
            {"functionArn": "acs:fc:cn-hangzhou:1:functions/s$f", "taskId": "a"},
            Function(None, "s$f", "LATEST"),
            "a",
        ),
        (
            {"functionArn": "acs:fc:cn-hangzhou:1:functions/f", "taskId": "a", "qualifier": "prod"},
            Function(None, "f", "prod"),
            "a",
        ),
        ({"functionName": "f", "invocationId": "a"}, Function(None, "f", "LATEST"), "a"),
        ({"serviceName": "s", "functionName": "f", "taskId": "a"}, Function("s", "f", "LATEST"), "a"),
    ],
)
def test_a_record_names_its_function(
    tmp_path: Path, fields: dict[str, Any], function: Function, invocation_id: str
) -> None:
    """2.0 by service and function, 3.0 by its ARN; the qualifier is LATEST where nothing names one."""
    file = a_history(tmp_path, [{**fields, "status": "Enqueued", "events": LIFE}])
    (task,) = read_file(str(file), with_records=True).tasks
    assert (task.function, task.invocation_id, task.inconsistency) == (function, invocation_id, None)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "it is not JSON, expecting property name"),
        ("[1]", "it is not a JSON object"),
        ("17", "it is not a JSON object"),
        ("[" * 100_000, "it is not JSON that can be read"),
        ('{"invocationId": "a"}', "it names no function"),
        ('{"serviceName": "s", "functionName": "f"}', "it has no id"),
        (
            '{"serviceName": "../s", "functionName": "f", "invocationId": "a"}',
            "cannot be the name of a service",
        ),
    ],
)
def test_a_broken_line_is_named_and_the_others_are_read(tmp_path: Path, line: str, why: str) -> None:
    """By its number, blank lines counted."""
    found = read_file(str(a_history(tmp_path, ["", RECORDS[0], line, RECORDS[1]])), with_records=False)
    assert [task.invocation_id for task in found.tasks] == ["slow", "broken"]
    ((number, said),) = found.broken
    assert number == 3
    assert why in said


def test_bytes_that_are_no_utf8_are_a_broken_line(tmp_path: Path) -> None:
    """And a byte order mark at the beginning is none."""
    path = tmp_path / "history.jsonl"
    good = json.dumps(RECORDS[0]).encode()
    path.write_bytes(b"\xef\xbb\xbf" + good + b"\r\n" + b'{"a": "\xff"}\n' + good)
    found = read_file(str(path), with_records=False)
    assert len(found.tasks) == 2
    assert [(one.line, one.why) for one in found.broken] == [(2, "it is not UTF-8")]


@pytest.mark.parametrize(
    ("text", "why"), [("", "there is no record in it"), ("x\n", "first: line 1"), ("\n\n", "one line")]
)
def test_a_file_without_any_record_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """With the first reason, and what a record looks like."""
    path = tmp_path / "history.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CommandError, match=why):
        read_file(str(path), with_records=False)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """Missing, or a folder."""
    with pytest.raises(CommandError, match="no such file"):
        read_file(str(tmp_path / "nothing"), with_records=False)
    with pytest.raises(CommandError, match="cannot be read"):
        read_file(str(tmp_path), with_records=False)


def test_records_are_kept_only_for_expressions_with_their_events_in_order(tmp_path: Path) -> None:
    """They may hold payloads, and are most of the memory."""
    events = [
        {"eventId": "2", "status": "Running", "timestamp": "2026-11-18T00:01:00Z", "eventDetail": "b"},
        {"eventId": "1", "status": "Enqueued", "timestamp": 1_794_960_000, "eventDetail": "a"},
    ]
    file = str(a_history(tmp_path, [record("x", ("Running", "0s"), events=events)]))
    assert read_file(file, with_records=False).tasks[0].record is None
    (task,) = read_file(file, with_records=True).tasks
    assert task.record is not None
    assert [event["eventDetail"] for event in task.record["events"]] == ["a", "b"]
    assert [event.status for event in task.events] == ["Enqueued", "Running"]


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    """Under the qualifier that it was found with; readable for its owner alone."""
    file = a_history(tmp_path)
    tasks = read_file(str(file), with_records=True).tasks
    found = [task._replace(function=task.function._replace(qualifier="7")) for task in tasks]
    saved = tmp_path / "saved.jsonl"
    with Saver(str(saved)) as saver:
        saver.save(records_of(found, with_payload=True))
    again = read_file(str(saved), with_records=True).tasks
    assert [task._replace(record=None) for task in again] == [task._replace(record=None) for task in found]
    assert saver.lines == len(RECORDS)
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_payloads_that_nobody_asked_for_are_not_saved(tmp_path: Path) -> None:
    """Reading a task by itself brings them along."""
    file = a_history(
        tmp_path, [record("x", ("Enqueued", "0s"), invocationPayload="secret", returnPayload="s")]
    )
    (saved,) = records_of(read_file(str(file), with_records=True).tasks, with_payload=False)
    assert "secret" not in json.dumps(saved)
    assert "returnPayload" not in saved


def test_a_history_is_never_written_over_and_never_half(tmp_path: Path) -> None:
    """The cloud may have forgotten by now what stands in it."""
    taken = tmp_path / "history.jsonl"
    taken.write_text("precious\n", encoding="utf-8")
    with pytest.raises(CommandError, match="not written over"), Saver(str(taken)):
        pass
    with pytest.raises(KeyboardInterrupt):
        interrupted(str(tmp_path / "new.jsonl"))
    with pytest.raises(CommandError, match="cannot be written"), Saver(str(tmp_path / "no" / "new.jsonl")):
        pass
    assert os.listdir(tmp_path) == ["history.jsonl"]
    assert taken.read_text(encoding="utf-8") == "precious\n"


def interrupted(name: str) -> None:
    """A saving that somebody ends with Ctrl-C."""
    with Saver(name) as saver:
        saver.save([{"a": 1}])
        raise KeyboardInterrupt
