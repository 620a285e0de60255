"""What a seed may contain, what it means, and what is refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from fc_emulator.lifecycle import STATUSES
from fc_emulator.seed import Seed, read_seed
from fc_emulator.tasks import Task

NOW = 1_700_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE


def _seed(*entries: dict[str, Any]) -> Seed:
    basic = {"functionName": "f", "invocationId": "job", "status": "Running"}
    return read_seed(json.dumps({"invocations": [{**basic, **entry} for entry in entries]}))


def _task(**entry: Any) -> Task:
    (task,) = _seed(entry).tasks(NOW)
    return task


def _history(task: Task) -> list[tuple[str, float]]:
    """Statuses and minutes before now."""
    return [(e.status, (NOW - e.at) / MINUTE) for e in task.lifecycle.history]


def test_count_copies_an_entry_and_numbers_the_copies() -> None:
    """{n} counts from 1, in the id, the request id and in strings of the payload, not in its keys."""
    entry = {"invocationId": "job-{n}", "count": 3, "requestId": "r-{n}", "instanceId": "c-{n}"}
    tasks = list(_seed({**entry, "payload": {"order{n}": ["o-{n}", 1]}}).tasks(NOW))
    assert [task.id for task in tasks] == ["job-1", "job-2", "job-3"]
    assert [(task.request_id, task.instance_id) for task in tasks[:2]] == [("r-1", "c-1"), ("r-2", "c-2")]
    assert json.loads(tasks[1].payload) == {"order{n}": ["o-2", 1]}


def test_without_a_count_the_number_is_1() -> None:
    assert _task(invocationId="job-{n}").id == "job-1"


@pytest.mark.parametrize(
    ("given", "payload"),
    [
        ({}, ""),
        ({"payload": {}}, "{}"),
        ({"payload": None}, "null"),
        ({"payload": "text"}, '"text"'),
        ({"payload": "order {n}"}, '"order 1"'),
        ({"payloadText": "not {JSON {n}"}, "not {JSON {n}"),
    ],
)
def test_a_payload_is_json_text_unless_given_as_text(given: dict[str, Any], payload: str) -> None:
    assert _task(**given).payload == payload


def test_service_and_qualifier_are_optional() -> None:
    """No service, or an empty one: 3.0. No qualifier: LATEST."""
    assert _task().function == (None, "f", "LATEST")
    assert _task(serviceName="").function == (None, "f", "LATEST")
    assert _task(serviceName="s", qualifier="v").function == ("s", "f", "v")


@pytest.mark.parametrize(
    "written", [NOW - HOUR, str(NOW - HOUR), "-1h", "-60m", "-30m30m", "2023-11-14T21:13:20Z"]
)
def test_a_moment_has_several_notations(written: object) -> None:
    assert _task(enqueued=written).lifecycle.enqueued == NOW - HOUR


@pytest.mark.parametrize(
    ("entry", "history"),
    [
        ({"status": "Enqueued", "enqueued": "-3h"}, [("Enqueued", 180)]),
        ({"status": "Enqueued"}, [("Enqueued", 0)]),
        ({"status": "Dequeued", "enqueued": "-3h"}, [("Enqueued", 180), ("Dequeued", 180)]),
        ({"enqueued": "-3h"}, [("Enqueued", 180), ("Dequeued", 180), ("Running", 180)]),
        ({"started": "-2h"}, [("Enqueued", 120), ("Dequeued", 120), ("Running", 120)]),
        (
            {"status": "Stopping", "enqueued": "-2h", "stopping": "-4m"},
            [("Enqueued", 120), ("Dequeued", 120), ("Running", 120), ("Stopping", 4)],
        ),
        (
            {"status": "Failed", "enqueued": "-2h", "ends": "-1h"},
            [("Enqueued", 120), ("Dequeued", 120), ("Running", 120), ("Failed", 60)],
        ),
        (
            {"status": "Stopped", "enqueued": "-2h", "ends": "-1h"},
            [("Enqueued", 120), ("Dequeued", 120), ("Running", 120), ("Stopping", 60), ("Stopped", 60)],
        ),
        (
            {"status": "Expired", "enqueued": "-2h", "ends": "-1h"},
            [("Enqueued", 120), ("Dequeued", 120), ("Expired", 60)],
        ),
    ],
)
def test_events_are_derived(entry: dict[str, Any], history: list[tuple[str, float]]) -> None:
    assert _history(_task(**entry)) == history


@pytest.mark.parametrize("retries", [1, 2, 8])
def test_every_retry_has_a_running_and_a_retrying_event(retries: int) -> None:
    """Between the first enqueueing and the present attempt, in order."""
    task = _task(enqueued="-3h", started="-1h", retries=retries)
    statuses = [status for status, _ in _history(task)]
    assert statuses == ["Enqueued", "Dequeued", *["Running", "Retrying"] * retries, "Running"]
    ages = [age for _, age in _history(task)]
    assert ages == sorted(ages, reverse=True)
    assert (ages[0], ages[-1]) == (180, 60)
    assert task.lifecycle.retries == retries


def test_a_retrying_task_last_ran_at_started() -> None:
    task = _task(status="Retrying", enqueued="-3h", started="-1h", retries=2)
    statuses = [status for status, _ in _history(task)]
    assert statuses == ["Enqueued", "Dequeued", "Running", "Retrying", "Running", "Retrying"]
    assert _history(task)[-2:] == [("Running", 60), ("Retrying", 30)]


@pytest.mark.parametrize("status", [*STATUSES, "Suspended"])
def test_the_last_derived_event_is_the_status(status: str) -> None:
    """An undocumented status is possible too, with the events of a running task."""
    task = _task(status=status, enqueued="-3h", started="-2h", retries=1)
    assert task.lifecycle.status_at(NOW) == status
    assert _history(task)[-1][0] == ("Running" if status == "Suspended" else status)


def test_events_that_are_given_are_taken_literally() -> None:
    """Contradictions, impossible timestamps, ids out of order and missing timestamps included."""
    events = [
        {"eventId": 9, "status": "Retrying", "timestamp": "-1h", "eventDetail": "{}"},
        {"status": "Odd", "timestamp": 0},
        {"status": "Odd", "timestamp": -5},
        {"status": "Running"},
    ]
    history = _task(enqueued="-3h", events=events).lifecycle.history
    assert [(e.event_id, e.status, e.at) for e in history] == [
        (9, "Retrying", NOW - HOUR),
        (None, "Odd", 0),
        (None, "Odd", -5),
        (None, "Running", 0),
    ]
    assert _task(events=[]).lifecycle.history == ()


@pytest.mark.parametrize(
    ("cut", "left"),
    [
        ({"cutHead": 1}, ["Dequeued", "Running", "Retrying", "Running"]),
        ({"cutHead": 2, "cutTail": 1}, ["Running", "Retrying"]),
        ({"cutTail": 3}, ["Enqueued", "Dequeued"]),
        ({"cutHead": 4, "cutTail": 4}, []),
        ({"cutTail": 9}, []),
    ],
)
def test_a_record_may_be_cut_at_its_head_and_at_its_tail(cut: dict[str, int], left: list[str]) -> None:
    """Retries and the moments of the record stay."""
    task = _task(enqueued="-3h", started="-1h", retries=1, **cut)
    assert [status for status, _ in _history(task)] == left
    assert (task.lifecycle.retries, task.lifecycle.executed) == (1, NOW - HOUR)


@pytest.mark.parametrize(
    ("entry", "after"),
    [
        ({"status": "Enqueued"}, []),
        ({"status": "Dequeued"}, [("Dequeued", 60)]),
        ({"status": "Running", "started": "-30m"}, [("Dequeued", 30), ("Running", 30)]),
        ({"status": "Running"}, [("Dequeued", 60), ("Running", 60)]),
        ({"status": "Expired", "ends": "-10m"}, [("Dequeued", 60), ("Expired", 10)]),
    ],
)
@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_task_may_be_enqueued_again(
    entry: dict[str, Any], after: list[tuple[str, int]], retries: int
) -> None:
    """The attempts before it failed, the last of them at that moment; there was one at least."""
    task = _task(enqueued="-3h", reenqueued="-1h", retries=retries, **entry)
    failed = ["Running", "Retrying"] * max(1, retries)
    history = [(status, round(age)) for status, age in _history(task)]
    assert [status for status, _ in history[: -len(after) or None]] == [
        *["Enqueued", "Dequeued"],
        *failed,
        "Enqueued",
    ]
    assert history[0] == ("Enqueued", 180)
    assert [item for item in history if item[1] <= 60] == [("Retrying", 60), ("Enqueued", 60), *after]
    assert task.lifecycle.retries == max(1, retries)
    assert task.lifecycle.enqueued == NOW - 3 * HOUR


def test_a_delayed_task_waits_in_the_queue() -> None:
    """From its enqueueing; then it runs."""
    lifecycle = _task(status="Enqueued", enqueued="-10m", delay="30m").lifecycle
    statuses = {minutes: lifecycle.status_at(NOW + minutes * MINUTE) for minutes in (0, 19, 20)}
    assert statuses == {0: "Enqueued", 19: "Enqueued", 20: "Running"}
    assert lifecycle.enqueued == NOW - 10 * MINUTE


def test_started_time_and_end_time_may_be_given() -> None:
    lifecycle = _task(startedTime="+1h", endTime=5).lifecycle
    assert [lifecycle.started_time_at(NOW, basis) for basis in ("enqueue", "execution")] == [NOW + HOUR] * 2
    assert lifecycle.end_time_at(NOW) == 5


@pytest.mark.parametrize(
    ("entry", "minutes", "status"),
    [
        ({"ends": "+10m"}, 9.9, "Running"),
        ({"ends": "+10m"}, 10, "Succeeded"),
        ({"ends": "+10m", "endsAs": "Failed"}, 10, "Failed"),
        ({"status": "Stopping", "ends": "+10m"}, 10, "Stopped"),
        ({"status": "Stopping"}, 99_999, "Stopping"),
        ({"status": "Enqueued"}, 99_999, "Enqueued"),
        ({"status": "Enqueued", "enqueued": "-3h", "started": "-2h"}, 99_999, "Enqueued"),
        ({"status": "Enqueued", "started": "+10m"}, 9.9, "Enqueued"),
        ({"status": "Enqueued", "started": "+10m"}, 10, "Running"),
        ({"status": "Enqueued", "started": "+10m", "ends": "+5m"}, 99, "Succeeded"),
        ({"status": "Dequeued", "started": "+10m", "ends": "+15m"}, 15, "Succeeded"),
        ({"status": "Succeeded", "ends": "-5m"}, 99, "Succeeded"),
    ],
)
def test_a_seeded_status_stays_until_its_time(entry: dict[str, Any], minutes: float, status: str) -> None:
    assert _task(**entry).lifecycle.status_at(NOW + round(minutes * MINUTE)) == status


@pytest.mark.parametrize(
    ("entry", "path", "word"),
    [
        ({"qualifer": "prod"}, ".qualifer", "did you mean qualifier"),
        ({"colour": "red"}, ".colour", "serviceName, functionName, qualifier"),
        ({"status": ""}, ".status", "empty"),
        ({"status": 7}, ".status", "7 is not text"),
        ({"count": 0}, ".count", "1 or more"),
        ({"count": "3"}, ".count", "whole number"),
        ({"count": True}, ".count", "whole number"),
        ({"count": 3}, ".invocationId", "{n}"),
        ({"invocationId": "a/b"}, ".invocationId", "no id that a task can have"),
        ({"invocationId": "1" + "x" * 128}, ".invocationId", "no id that a task can have"),
        ({"invocationId": "x" * 127 + "{n}", "count": 10}, ".invocationId", "no id that a task can have"),
        ({"serviceName": "a.b"}, ".serviceName", "no name on the platform"),
        ({"serviceName": "a$b"}, ".serviceName", "no name on the platform"),
        ({"functionName": "a/b"}, ".functionName", "no name on the platform"),
        ({"functionName": "media/*"}, ".functionName", "no name on the platform"),
        ({"functionName": "$f"}, ".functionName", "no name on the platform"),
        ({"functionName": "a$b$c"}, ".functionName", "no name on the platform"),
        ({"functionName": "转码"}, ".functionName", "no name on the platform"),
        ({"functionName": "1f"}, ".functionName", "no name on the platform"),
        ({"qualifier": "@prod"}, ".qualifier", "no name on the platform"),
        ({"qualifier": "a b"}, ".qualifier", "no name on the platform"),
        ({"invocationId": "\ud83d"}, ".invocationId", "surrogate"),
        ({"status": "\ud83d"}, ".status", "surrogate"),
        ({"payloadText": "a\udc00"}, ".payloadText", "surrogate"),
        ({"events": [{"status": "Running", "eventDetail": "\ud83d"}]}, ".events[0].eventDetail", "surrogate"),
        ({"retries": -1}, ".retries", "0 or more"),
        ({"retries": 1001}, ".retries", "1000 or less"),
        ({"delay": "3601s"}, ".delay", "3600000 or less"),
        ({"delay": 60}, ".delay", "not a duration"),
        ({"cutHead": -1}, ".cutHead", "0 or more"),
        ({"enqueued": "3h"}, ".enqueued", "'3h' is not a moment"),
        ({"started": "-3"}, ".started", "'-3' is not a moment"),
        ({"ends": True}, ".ends", "True is not a moment"),
        ({"startedTime": "late"}, ".startedTime", "'late' is not a moment"),
        ({"events": {}}, ".events", "not a list"),
        ({"events": [{"status": "Running", "timestamp": "x"}]}, ".events[0].timestamp", "moment"),
        ({"events": [{"timestamp": 1}]}, ".events[0].status", "missing"),
        ({"events": [{"status": "Running", "state": 1}]}, ".events[0].state", "did you mean status"),
        ({"payload": 1, "payloadText": "1"}, ".payloadText", "leave one of them out"),
        ({"invocationId": "first"}, ".invocationId", "used twice in f@LATEST"),
    ],
)
def test_a_wrong_entry_is_refused_with_the_path_of_its_key(
    entry: dict[str, Any], path: str, word: str
) -> None:
    with pytest.raises(ValueError, match=rf"^invocations\[1\]{re.escape(path)}: .*{re.escape(word)}.*$"):
        _seed({"invocationId": "first"}, {"invocationId": "second", **entry})


@pytest.mark.parametrize("name", ["f", "_f-1", "media$f", "x" * 128])
def test_names_that_the_platform_has_are_taken(name: str) -> None:
    """A function of 2.0 has a `$` in its name of 3.0; a version is a number."""
    (function,) = read_seed(json.dumps({"functions": [{"functionName": name, "qualifier": "17"}]})).functions
    assert function.function_name == name


def test_all_problems_are_reported_at_once() -> None:
    """A line each; required keys that are missing among them."""
    given = {"invocations": [{"count": "3", "ends": "x"}], "functions": {}}
    with pytest.raises(ValueError, match="count") as refused:
        read_seed(json.dumps(given))
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        "invocations[0].functionName",
        "invocations[0].count",
        "invocations[0].invocationId",
        "invocations[0].status",
        "invocations[0].ends",
        "functions",
    ]


def test_functions_without_tasks_may_be_seeded() -> None:
    given = [{"functionName": "f"}, {"serviceName": "s", "functionName": "g", "taskMode": False}]
    assert list(read_seed(json.dumps({"functions": given})).all_functions()) == [
        ((None, "f", "LATEST"), True),
        (("s", "g", "LATEST"), False),
    ]
