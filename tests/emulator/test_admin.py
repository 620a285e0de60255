"""The admin API under /_emulator/: tasks, calls, journal, clock, reset."""

from __future__ import annotations

import urllib.error
from dataclasses import replace

import pytest
import requests

from tests.emulator.seeds import both, seed
from tests.emulator.wire import V2016, V2021, V2023, Api, Caller
from tests.emulator_server import Emulator, running_emulator


def test_all_tasks_are_shown_with_events_and_payload(emulator: Emulator) -> None:
    """Those of 3.0 in the names of both 3.0 and 2.0."""
    tasks = emulator.tasks()
    assert len(tasks) == 22
    assert all(task["events"] and "invocationPayload" in task for task in tasks)
    three = next(task for task in tasks if task["serviceName"] is None and task["invocationId"] == "job-1")
    assert three["taskId"] == three["invocationId"]
    assert three["taskPayload"] == three["invocationPayload"]
    assert three["functionArn"].endswith("functions/transcode")
    assert three["functionName"] == "transcode"


def test_calls_are_counted_by_the_operations_of_their_version(emulator: Emulator, call: Caller) -> None:
    for version in (V2016, V2021, V2023):
        api = Api(call, version)
        for ask in (api.page, lambda d=api: d.get("job-1"), lambda d=api: d.stop("job-1"), api.invoke):
            ask()
    for path in (f"/{V2021}/stateful-async-invocation-functions", f"/{V2023}/async-invoke-configs", "/odd"):
        call("GET", path)
    assert emulator.calls()["counts"] == {
        "ListStatefulAsyncInvocations": 2,
        "GetStatefulAsyncInvocation": 2,
        "StopStatefulAsyncInvocation": 2,
        "InvokeFunction": 3,
        "ListAsyncTasks": 1,
        "GetAsyncTask": 1,
        "StopAsyncTask": 1,
        "ListStatefulAsyncInvocationFunctions": 1,
        "ListAsyncInvokeConfigs": 1,
        "Unknown": 1,
    }


def test_a_call_is_recorded_without_its_secrets(emulator: Emulator, api: Api) -> None:
    extra = {"x-fc-trace-id": "run-1", "x-fc-account-id": "123456789"}
    traced = replace(api, call=replace(api.call, extra=extra, token="tok-5E"))
    answer = traced.get("missing")
    calls = emulator.calls()
    (recent,) = calls["recent"]
    assert recent["traceId"] == "run-1"
    assert recent["accountId"] == "123456789"
    assert recent["requestId"] == answer.headers["X-Fc-Request-Id"]
    assert (recent["method"], recent["path"]) == ("GET", f"{api.tasks_path}/missing")
    assert recent["query"] == ("" if api.version == V2016 else "qualifier=prod")
    assert (recent["status"], recent["errorCode"]) == (404, api.named("StatefulAsyncInvocationNotFound"))
    assert "tok-5E" not in str(calls)
    assert "Signature" not in str(calls)


def test_a_thousand_of_the_latest_calls_are_kept() -> None:
    """All of them are counted."""
    with running_emulator() as emulator:
        with requests.Session() as session:
            for _ in range(1001):
                session.get(emulator.endpoint + "/odd")
        calls = emulator.calls()
        assert (len(calls["recent"]), calls["counts"]) == (1000, {"Unknown": 1001})


def test_the_journal_has_every_change_with_its_cause() -> None:
    """Seeded, by time, by a call, by a stop; the stop with the request id of its call."""
    entries = seed(
        both(invocationId="job", ends="+10m")[:1], both(invocationId="done", status="Succeeded")[:1]
    )
    with running_emulator(seed=entries) as emulator:
        api = Api(Caller(emulator.endpoint), V2016)
        invoked = api.invoke({"x-fc-invocation-type": "Async", api.id_header: "mine"})
        stopped = api.stop("mine")
        emulator.advance("10m")
        refused = api.stop("done")
        lines = emulator.journal()
        changes = [(line["invocationId"], line["from"], line["to"], line["cause"]) for line in lines]
        assert sorted(changes[:2]) == [("done", None, "Succeeded", "seed"), ("job", None, "Running", "seed")]
        rest = changes[2:]
        assert rest[0] == ("mine", None, "Enqueued", "invoke")
        assert ("mine", "Enqueued", "Stopping", "stop") in rest or (
            "mine",
            "Dequeued",
            "Stopping",
            "stop",
        ) in rest
        assert rest[-1] == ("done", "Succeeded", "Succeeded", "stop")
        assert ("mine", "Stopping", "Stopped", "stop") in rest
        assert ("job", "Running", "Succeeded", "time") in rest
        by = {(line["invocationId"], line["to"]): line for line in lines}
        assert by["mine", "Enqueued"]["requestId"] == invoked.headers["X-Fc-Request-Id"]
        assert by["mine", "Stopping"]["requestId"] == stopped.headers["X-Fc-Request-Id"]
        assert by["mine", "Stopping"]["answer"] == {"status": 200, "code": None}
        assert lines[-1]["requestId"] == refused.headers["X-Fc-Request-Id"]
        assert lines[-1]["answer"] == {"status": 412, "code": "StatefulAsyncInvocationAlreadyCompleted"}
        assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
        assert {line["serviceName"] for line in lines} == {"media"}


def test_a_stopped_task_does_not_succeed_later() -> None:
    with running_emulator(seed=seed(both(invocationId="job", ends="+10m"))) as other:
        for version in (V2016, V2023):
            Api(Caller(other.endpoint), version).stop("job")
        other.advance("1h")
        assert [task["status"] for task in other.tasks()] == ["Stopped", "Stopped"]


def test_advancing_the_clock_moves_tasks_and_not_signatures(emulator: Emulator, api: Api) -> None:
    """Task times move into the past; signatures with the real time stay valid."""
    before = api.get("job-1").json()
    emulator.advance("2h30m")
    after = api.get("job-1").json()
    assert before["startedTime"] - after["startedTime"] == 9_000_000
    moved = [b["timestamp"] - a["timestamp"] for b, a in zip(before["events"], after["events"], strict=True)]
    assert moved == [9_000_000] * 3


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"advance": 1}, {"advance": "1"}, {"advance": "-1h"}, {"by": "1h"}, {"advance": "3651d"}],
)
def test_a_wrong_advance_is_refused(emulator: Emulator, body: object) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        emulator.admin("POST", "clock", body)
    with refused.value as answer:
        assert answer.code == 400


def test_a_reset_restores_the_seed(emulator: Emulator, api: Api) -> None:
    """Relative times count from now; calls, faults and the advance of the clock are gone."""
    at = api.get("job-1").json()["startedTime"]
    api.stop("job-1")
    api.invoke({"x-fc-invocation-type": "Async", api.id_header: "mine"})
    emulator.faults([{"operation": "*", "status": 500}])
    emulator.advance("1h")
    emulator.reset()
    assert emulator.calls() == {"counts": {}, "recent": []}
    assert {line["cause"] for line in emulator.journal()} == {"seed"}
    record = api.get("job-1").json()
    assert record["status"] == "Running"
    assert at <= record["startedTime"] < at + 60_000
    assert api.get("mine").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "emulator.example:80"},
        {"Host": "localhost.example"},
        {"Host": "127.0.0.1.example:80"},
        {"Host": "10.0.0.1"},
        {"Host": ""},
        {"Host": "[::1"},
        {"Origin": "http://site.example"},
        {"Origin": "http://localhost"},
        {"Origin": "null"},
    ],
)
def test_an_admin_request_of_another_site_is_refused(emulator: Emulator, headers: dict[str, str]) -> None:
    """A web page may neither read nor change the account, whatever its host name resolves to."""
    with requests.Session() as session:
        answer = session.post(f"{emulator.endpoint}/_emulator/clock", json={"advance": "1h"}, headers=headers)
        assert answer.status_code == 403
        assert session.post(f"{emulator.endpoint}/_emulator/reset", headers=headers).status_code == 403
    assert emulator.admin("POST", "clock", {"advance": "0s"}) == {"advancedMs": 0}


@pytest.mark.parametrize("host", ["localhost:9", "LOCALHOST", "127.0.0.1", "127.8.8.8:1", "[::1]:80"])
def test_an_admin_request_from_this_machine_is_served(emulator: Emulator, host: str) -> None:
    for headers in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
        answer = requests.get(f"{emulator.endpoint}/_emulator/journal", headers=headers)
        assert answer.status_code == 200


def test_an_unknown_admin_path_is_404_and_not_counted(emulator: Emulator) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        emulator.admin("GET", "secrets")
    with refused.value as answer:
        assert answer.code == 404
    assert emulator.calls()["counts"] == {}
