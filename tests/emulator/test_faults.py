"""Ordered faults: each kind, how many times, and for which calls."""

from __future__ import annotations

import json
import time
import urllib.error
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from tests.emulator.wire import V2016, V2021, V2023, Api, Caller
from tests.emulator_server import Emulator

STOP = "StopStatefulAsyncInvocation"


def _status(emulator: Emulator, api: Api, task_id: str = "job-1") -> str:
    (record,) = [
        task
        for task in emulator.tasks()
        if task["invocationId"] == task_id and (task["serviceName"] is None) == (api.version == V2023)
    ]
    return str(record["status"])


def test_a_status_replaces_the_response_so_many_times(emulator: Emulator, api: Api) -> None:
    """The operation is not carried out, and the error has the shape of the API version."""
    emulator.faults([{"operation": STOP, "times": 2, "status": 503, "code": "ResourceThrottled"}])
    for _ in range(2):
        answer = api.stop("job-1")
        assert (answer.status_code, api.code(answer)) == (503, "ResourceThrottled")
        assert _status(emulator, api) == "Running"
    assert api.stop("job-1").status_code == 200


def test_an_error_may_follow_an_operation_that_was_carried_out(emulator: Emulator, api: Api) -> None:
    emulator.faults([{"operation": STOP, "status": 500, "applied": True}])
    answer = api.stop("job-1")
    assert (answer.status_code, api.code(answer)) == (500, "InternalServerError")
    assert _status(emulator, api) == "Stopping"


@pytest.mark.parametrize(("when", "status"), [("before", "Running"), ("after", "Stopping")])
def test_a_connection_may_drop_before_or_after_the_operation(
    emulator: Emulator, api: Api, when: str, status: str
) -> None:
    emulator.faults([{"operation": STOP, "drop": when}])
    with pytest.raises(requests.ConnectionError):
        api.stop("job-1")
    assert _status(emulator, api) == status
    assert emulator.calls()["recent"][-1]["status"] is None


def test_a_body_may_be_truncated(emulator: Emulator, api: Api) -> None:
    emulator.faults([{"operation": "*", "truncate": True}])
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        api.page()
    assert api.page().status_code == 200


def test_a_body_may_be_that_of_a_gateway(emulator: Emulator, api: Api) -> None:
    emulator.faults([{"operation": "*", "foreign": "<html>Bad gateway</html>"}])
    answer = api.page()
    assert (answer.status_code, answer.text) == (502, "<html>Bad gateway</html>")
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("body", "text"),
    [({"errorCode": "Odd"}, '{"errorCode": "Odd"}'), ("", ""), ([], "[]"), ("plain", "plain")],
)
def test_a_body_may_be_anything(emulator: Emulator, api: Api, body: Any, text: str) -> None:
    emulator.faults([{"operation": "*", "status": 500, "body": body}])
    assert api.page().text == text


def test_headers_and_retry_after_are_added(emulator: Emulator, api: Api) -> None:
    fault = {"operation": "*", "status": 429, "code": "ResourceExhausted", "retryAfter": 3}
    emulator.faults([{**fault, "headers": {"X-Fc-Request-Id": "odd"}}])
    answer = api.call("GET", api.tasks_path, api._query({}))
    assert (answer.headers["Retry-After"], answer.headers["X-Fc-Request-Id"]) == ("3", "odd")


def test_a_redirect_can_be_sent(emulator: Emulator, api: Api) -> None:
    emulator.faults([{"operation": "*", "status": 307, "headers": {"Location": "http://127.0.0.1:1/"}}])
    with pytest.raises(requests.ConnectionError):
        api.page()


def test_the_date_may_be_wrong(emulator: Emulator, api: Api) -> None:
    emulator.faults([{"operation": "*", "date": "-1h"}, {"operation": "*", "date": "soon"}])
    moved, odd = api.page(), api.page()
    assert 3590 < time.time() - parsedate_to_datetime(moved.headers["Date"]).timestamp() < 3610
    assert odd.headers["Date"] == "soon"
    assert odd.status_code == 200


def test_a_stop_is_carried_out_after_its_caller_timed_out(emulator: Emulator, api: Api) -> None:
    emulator.faults([{"operation": STOP, "delay": "400ms"}])
    hasty = Api(Caller(emulator.endpoint, timeout=0.1), api.version)
    with pytest.raises(requests.Timeout):
        hasty.stop("job-1")
    for _ in range(200):
        if _status(emulator, api) != "Running":
            break
        time.sleep(0.02)
    assert _status(emulator, api) in ("Stopping", "Stopped")


@pytest.mark.parametrize("named", [STOP, "StopAsyncTask"])
def test_either_name_of_an_operation_applies_to_all_versions(
    emulator: Emulator, api: Api, named: str
) -> None:
    emulator.faults([{"operation": named, "status": 500}])
    assert api.page().status_code == 200
    assert api.stop("job-1").status_code == 500


def test_a_fault_may_be_for_one_task(emulator: Emulator, api: Api) -> None:
    """`match` takes globs for what a call names; all of them must match."""
    emulator.faults(
        [{"operation": STOP, "status": 500, "match": {"invocationId": "*-5", "qualifier": "prod"}}]
    )
    assert [api.stop(f"job-{n}").status_code for n in (4, 5)] == [200, 500]


def test_faults_apply_in_the_order_they_were_given(emulator: Emulator, api: Api) -> None:
    emulator.faults([{"operation": "*", "status": 500}, {"operation": "*", "status": 503}])
    emulator.faults([{"operation": "*", "status": 502}])
    assert [api.page().status_code for _ in range(4)] == [500, 503, 502, 200]


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({}, ".operation: is missing"),
        ({"operation": "StopTask"}, "did you mean StopAsyncTask?"),
        ({"operation": "*", "tims": 1}, ".tims: is not a known key; did you mean times?"),
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
        ({"operation": "*", "match": {"function": "x"}}, "did you mean functionName?"),
        ({"operation": "*", "retryAfter": -1}, "retryAfter"),
        ({"operation": "*", "code": "Odd"}, "code"),
        ([], "not an object"),
    ],
)
def test_a_wrong_fault_is_refused_with_its_path(emulator: Emulator, fault: Any, word: str) -> None:
    """None of the faults in the same request is ordered either."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        emulator.faults([{"operation": "*", "status": 500}, fault])
    with refused.value as answer:
        assert answer.code == 400
        error = json.load(answer)["error"]
        assert error.startswith("faults[1]")
        assert word in error
    assert emulator.admin("GET", "faults") == {"faults": []}


def test_faults_that_wait_may_be_removed(emulator: Emulator, api: Api) -> None:
    emulator.faults([{"operation": "*", "times": 9, "status": 500}])
    assert api.page().status_code == 500
    assert emulator.admin("DELETE", "faults") == {"faults": []}
    assert api.page().status_code == 200


def test_a_call_with_a_fault_is_marked(emulator: Emulator, call: Caller) -> None:
    emulator.faults([{"operation": "*", "status": 500}])
    for version in (V2016, V2021):
        Api(call, version).page()
    assert [recent["fault"] for recent in emulator.calls()["recent"]] == [True, False]
