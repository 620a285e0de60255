"""Trouble on order: each kind of fault, its times, and whom it meets."""

from __future__ import annotations

import time
import urllib.error
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from tests.emulator.wire import CLASSIC, OPEN, THREE, Caller, Door
from tests.emulator_process import EmulatorProcess

STOP = "StopStatefulAsyncInvocation"


def _status(emulator: EmulatorProcess, door: Door, task_id: str = "job-1") -> str:
    (record,) = [
        task
        for task in emulator.tasks()
        if task["invocationId"] == task_id and (task["serviceName"] is None) == (door.version == THREE)
    ]
    return str(record["status"])


def test_a_status_comes_in_place_of_the_truth_so_many_times(emulator: EmulatorProcess, door: Door) -> None:
    """The call is not done, the error has the shape of the dialect, and afterwards all is well."""
    emulator.faults([{"operation": STOP, "times": 2, "status": 503, "code": "ResourceThrottled"}])
    for _ in range(2):
        answer = door.stop("job-1")
        assert (answer.status_code, door.code(answer)) == (503, "ResourceThrottled")
        assert _status(emulator, door) == "Running"
    assert door.stop("job-1").status_code == 200


def test_a_fault_may_come_after_the_deed(emulator: EmulatorProcess, door: Door) -> None:
    emulator.faults([{"operation": STOP, "status": 500, "applied": True}])
    answer = door.stop("job-1")
    assert (answer.status_code, door.code(answer)) == (500, "InternalServerError")
    assert _status(emulator, door) == "Stopping"


@pytest.mark.parametrize(("when", "status"), [("before", "Running"), ("after", "Stopping")])
def test_a_connection_may_drop_before_or_after_the_deed(
    emulator: EmulatorProcess, door: Door, when: str, status: str
) -> None:
    emulator.faults([{"operation": STOP, "drop": when}])
    with pytest.raises(requests.ConnectionError):
        door.stop("job-1")
    assert _status(emulator, door) == status
    assert emulator.calls()["recent"][-1]["status"] is None


def test_a_body_may_be_cut_off(emulator: EmulatorProcess, door: Door) -> None:
    emulator.faults([{"operation": "*", "truncate": True}])
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        door.page()
    assert door.page().status_code == 200


def test_a_body_may_be_somebody_elses(emulator: EmulatorProcess, door: Door) -> None:
    emulator.faults([{"operation": "*", "foreign": "<html>Bad gateway</html>"}])
    answer = door.page()
    assert (answer.status_code, answer.text) == (502, "<html>Bad gateway</html>")
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("body", "text"),
    [({"errorCode": "Odd"}, '{"errorCode": "Odd"}'), ("", ""), ([], "[]"), ("plain", "plain")],
)
def test_a_body_may_be_anything(emulator: EmulatorProcess, door: Door, body: Any, text: str) -> None:
    emulator.faults([{"operation": "*", "status": 500, "body": body}])
    assert door.page().text == text


def test_headers_and_retry_after_are_added(emulator: EmulatorProcess, door: Door) -> None:
    fault = {"operation": "*", "status": 429, "code": "ResourceExhausted", "retryAfter": 3}
    emulator.faults([{**fault, "headers": {"X-Fc-Request-Id": "odd"}}])
    answer = door.call("GET", door.tasks_path, door._query({}))
    assert (answer.headers["Retry-After"], answer.headers["X-Fc-Request-Id"]) == ("3", "odd")


def test_a_redirect_can_be_sent(emulator: EmulatorProcess, door: Door) -> None:
    emulator.faults([{"operation": "*", "status": 307, "headers": {"Location": "http://127.0.0.1:1/"}}])
    with pytest.raises(requests.ConnectionError):
        door.page()


def test_the_date_may_be_wrong(emulator: EmulatorProcess, door: Door) -> None:
    emulator.faults([{"operation": "*", "date": "-1h"}, {"operation": "*", "date": "soon"}])
    moved, odd = door.page(), door.page()
    assert 3590 < time.time() - parsedate_to_datetime(moved.headers["Date"]).timestamp() < 3610
    assert odd.headers["Date"] == "soon"
    assert odd.status_code == 200


def test_a_delay_outlasts_an_impatient_caller_who_is_heard_nevertheless(
    emulator: EmulatorProcess, door: Door
) -> None:
    """The stop is done although nobody waits for the answer any more."""
    emulator.faults([{"operation": STOP, "delay": "400ms"}])
    impatient = Door(Caller(emulator.endpoint, timeout=0.1), door.version)
    with pytest.raises(requests.Timeout):
        impatient.stop("job-1")
    for _ in range(200):
        if _status(emulator, door) != "Running":
            break
        time.sleep(0.02)
    assert _status(emulator, door) in ("Stopping", "Stopped")


@pytest.mark.parametrize("named", [STOP, "StopAsyncTask"])
def test_either_name_of_an_operation_meets_all_dialects(
    emulator: EmulatorProcess, door: Door, named: str
) -> None:
    emulator.faults([{"operation": named, "status": 500}])
    assert door.page().status_code == 200
    assert door.stop("job-1").status_code == 500


def test_a_fault_may_wait_for_one_task(emulator: EmulatorProcess, door: Door) -> None:
    """`match` takes globs on what a call names; all of them must fit."""
    emulator.faults(
        [{"operation": STOP, "status": 500, "match": {"invocationId": "*-5", "qualifier": "prod"}}]
    )
    assert [door.stop(f"job-{n}").status_code for n in (4, 5)] == [200, 500]


def test_faults_are_met_in_the_order_they_were_given(emulator: EmulatorProcess, door: Door) -> None:
    emulator.faults([{"operation": "*", "status": 500}, {"operation": "*", "status": 503}])
    emulator.faults([{"operation": "*", "status": 502}])
    assert [door.page().status_code for _ in range(4)] == [500, 503, 502, 200]


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({}, "operation"),
        ({"operation": "StopTask"}, "operation"),
        ({"operation": "*", "time": 1}, "time"),
        ({"operation": "*", "times": 0}, "times"),
        ({"operation": "*", "times": True}, "times"),
        ({"operation": "*", "status": "500"}, "status"),
        ({"operation": "*", "status": 99}, "status"),
        ({"operation": "*", "delay": 2}, "delay"),
        ({"operation": "*", "drop": "never"}, "drop"),
        ({"operation": "*", "truncate": 1}, "truncate"),
        ({"operation": "*", "foreign": 1}, "foreign"),
        ({"operation": "*", "date": "-1"}, "date"),
        ({"operation": "*", "headers": []}, "headers"),
        ({"operation": "*", "match": {"id": "x"}}, "match"),
        ({"operation": "*", "retryAfter": -1}, "retryAfter"),
        ({"operation": "*", "code": "Odd"}, "code"),
        ([], "fault"),
    ],
)
def test_a_wrong_fault_is_refused_and_says_where(emulator: EmulatorProcess, fault: Any, word: str) -> None:
    """None of those that came with it is ordered either."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        emulator.faults([{"operation": "*", "status": 500}, fault])
    with refused.value as answer:
        assert answer.code == 400
        assert word in answer.read().decode()
    assert emulator.admin("GET", "faults") == {"faults": []}


def test_a_fault_is_marked_among_the_calls(emulator: EmulatorProcess, call: Caller) -> None:
    emulator.faults([{"operation": "*", "status": 500}])
    for version in (CLASSIC, OPEN):
        Door(call, version).page()
    assert [recent["fault"] for recent in emulator.calls()["recent"]] == [True, False]
