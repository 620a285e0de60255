"""A history in a file: what is a record, and why every other line is none."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.backtest.history import BrokenLine
from fc_reaper.backtest.source import NotARecord, only, read_file, to_be_saved
from fc_reaper.models import Function, Task
from tests.cli.histories import RECORDS, a_history, record


def read(path: Path, *reads: str) -> tuple[list[Task], list[BrokenLine]]:
    """The tasks of a file with those fields of their records, and the lines that are none."""
    broken: list[BrokenLine] = []
    return [only(reads, task) for task in read_file(str(path), broken, {})], broken


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
    ((task,), _) = read(file)
    assert (task.function, task.invocation_id, task.inconsistency) == (function, invocation_id, None)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "it is not JSON: Expecting property name"),
        ("[1]", "it is not a JSON object"),
        ("17", "it is not a JSON object"),
        ("[" * 100_000, "it is not JSON"),
        ('{"invocationId": ' + "9" * 401 + "}", "it holds a number of 401 digits; at most 400 are read"),
        ('{"invocationId": "a", "cpu": Infinity}', "it holds Infinity, which is not JSON"),
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
    tasks, broken = read(a_history(tmp_path, ["", RECORDS[0], line, RECORDS[1]]))
    assert [task.invocation_id for task in tasks] == ["slow", "broken"]
    assert [one.line for one in broken] == [3]
    assert why in broken[0].why


@pytest.mark.parametrize(
    "wrapped",
    [
        json.dumps(RECORDS[:2]),
        json.dumps({"invocations": RECORDS[:2], "nextToken": ""}),
        json.dumps({"statusCode": 200, "body": {"invocations": RECORDS[:2]}}, indent=2),
        json.dumps(RECORDS[0], indent=1),
    ],
)
def test_an_answer_of_the_cloud_is_a_history_too(tmp_path: Path, wrapped: str) -> None:
    """On one line or on many."""
    tasks, broken = read(a_history(tmp_path, [wrapped]))
    assert [task.invocation_id for task in tasks] == ["slow", "broken"][: len(tasks)]
    assert (bool(tasks), broken) == (True, [])


def test_bytes_that_are_no_utf8_are_a_broken_line(tmp_path: Path) -> None:
    """And a byte order mark at the beginning is none."""
    path = tmp_path / "history.jsonl"
    good = json.dumps(RECORDS[0]).encode()
    path.write_bytes(b"\xef\xbb\xbf" + good + b"\r\n" + b'{"a": "\xff"}\n' + good)
    tasks, (broken,) = read(path)
    assert len(tasks) == 2
    assert broken.line == 2
    assert "can't decode byte 0xff" in broken.why


@pytest.mark.parametrize(
    ("text", "why"), [("", "there is no record in it"), ("x\n", "first: line 1"), ("\n\n", "one line")]
)
def test_a_file_without_any_record_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """With the first reason, and what a record looks like."""
    path = tmp_path / "history.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NotARecord, match=why):
        read(path)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """Missing, or a folder."""
    with pytest.raises(NotARecord, match="No such file"):
        read(tmp_path / "nothing")
    with pytest.raises(NotARecord, match="cannot be read"):
        read(tmp_path)


def test_records_are_kept_only_for_expressions_with_their_events_in_order(tmp_path: Path) -> None:
    """They may hold payloads, and are most of the memory."""
    events = [
        {"eventId": "2", "status": "Running", "timestamp": "2026-11-18T00:01:00Z", "eventDetail": "s3cret"},
        {"eventId": "1", "status": "Enqueued", "timestamp": 1_794_960_000},
    ]
    file = a_history(tmp_path, [record("x", ("Running", "0s"), events=events)])
    assert read(file)[0][0].record is None
    ((task,), _) = read(file, "@")
    assert task.record is not None
    assert [event["eventId"] for event in task.record["events"]] == ["1", "2"]
    assert "s3cret" not in str(task)
    assert [event.status for event in task.events] == ["Enqueued", "Running"]


@pytest.mark.parametrize(
    "put_out",
    [
        {"returnPayload": "s3cret"},
        {"somethingNew": {"logTail": "s3cret"}},
        {"events": [{**LIFE[0], "eventDetail": '{"logTail": "s3cret"}'}, {**LIFE[0], "new": "s3cret"}]},
        {"events": ["s3cret", *LIFE]},
        {"events": {"eventDetail": "s3cret"}},
    ],
)
def test_what_a_function_put_out_is_never_saved(put_out: dict[str, Any]) -> None:
    """Nor anything that nobody knows; what is left is replayed as before."""
    whole = record("x", ("Enqueued", "0s"))
    saved = to_be_saved({**whole, **put_out})
    assert "s3cret" not in json.dumps(saved)
    assert {**whole, "events": None} == {**saved, "events": None}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["invocationId", "taskId", "functionName", "functionArn", "events", "body", "tasks"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.lists(st.binary(max_size=20) | JSON.map(lambda value: json.dumps(value).encode()), max_size=5))
def test_any_bytes_are_records_or_broken_lines(lines: list[bytes]) -> None:
    """Nothing else comes of them, whoever wrote the file; a record among them is read."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "history.jsonl")
        path.write_bytes(b"\n".join([*lines, json.dumps(RECORDS[0]).encode()]))
        tasks, broken = read(path, "@")
    assert tasks[-1].invocation_id == "slow"
    assert all(task.invocation_id for task in tasks)
    assert all(one.why for one in broken)
