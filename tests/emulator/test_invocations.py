"""Asynchronous and synchronous calls of a function, and the switch that makes them tasks."""

from __future__ import annotations

import json

import pytest

from tests.emulator.seeds import both, seed
from tests.emulator.wire import DIALECTS, THREE, Caller, Door
from tests.emulator_process import EmulatorProcess, running_emulator

ASYNC = {"x-fc-invocation-type": "Async"}


def test_a_call_in_task_mode_is_a_task_of_the_given_id(emulator: EmulatorProcess, door: Door) -> None:
    """202, an empty body, the id in a header; the task's request id is that of the call."""
    answer = door.invoke({**ASYNC, door.id_header: "mine-1"}, b'{"a": 1}')
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers[door.id_header] == "mine-1"
    record = door.get("mine-1").json()
    assert record["status"] == "Enqueued"
    assert record["requestId"] == answer.headers["X-Fc-Request-Id"]
    assert record["taskPayload" if door.version == THREE else "invocationPayload"] == '{"a": 1}'


def test_an_invoked_task_runs_and_succeeds(emulator: EmulatorProcess, door: Door) -> None:
    """Dequeued after 100 ms, running after 200 ms, done after 5 s."""
    door.invoke({**ASYNC, door.id_header: "mine-1"})
    emulator.advance("5s")
    record = door.get("mine-1").json()
    assert [e["status"] for e in record["events"]] == ["Enqueued", "Dequeued", "Running", "Succeeded"]
    first = record["events"][0]["timestamp"]
    assert [e["timestamp"] - first for e in record["events"]] == [0, 100, 200, 5000]
    assert (record["endTime"] - first, record["durationMs"]) == (5000, 4800)


def test_without_an_id_the_request_id_becomes_the_id(door: Door) -> None:
    answer = door.invoke(ASYNC)
    assert answer.headers[door.id_header] == answer.headers["X-Fc-Request-Id"]
    assert door.get(answer.headers[door.id_header]).status_code == 200


def test_an_id_is_taken_once_per_function(door: Door) -> None:
    """Also when the first task is finished, or lives under another qualifier."""
    for taken in ("job-1", "done-1", "elsewhere-1"):
        answer = door.invoke({**ASYNC, door.id_header: taken})
        assert answer.status_code == 409
        assert door.code(answer) == door.named("StatefulAsyncInvocationAlreadyExists")


@pytest.mark.parametrize("wrong", ["1job", "a b", "a/b", "x" * 129])
def test_an_id_must_look_like_one(door: Door, wrong: str) -> None:
    answer = door.invoke({**ASYNC, door.id_header: wrong})
    assert (answer.status_code, door.code(answer)) == (400, "InvalidArgument")


@pytest.mark.parametrize(("size", "status"), [(128 * 1024, 202), (128 * 1024 + 1, 400)])
def test_an_asynchronous_body_has_at_most_128_kib(door: Door, size: int, status: int) -> None:
    answer = door.invoke(ASYNC, b"x" * size)
    assert answer.status_code == status
    if status == 400:
        assert door.code(answer) == "EntityTooLarge"


def test_a_synchronous_call_is_answered_with_its_body_and_is_no_task(
    emulator: EmulatorProcess, door: Door
) -> None:
    before = len(emulator.tasks())
    answer = door.invoke({}, b"x" * 200_000)
    assert (answer.status_code, answer.content) == (200, b"x" * 200_000)
    assert len(emulator.tasks()) == before


def test_an_id_needs_task_mode(door: Door) -> None:
    """LATEST is not in task mode under prod's service until it says so, or until one call says so."""
    plain = {"functionName": "plain", "taskMode": False}
    functions = [plain, {**plain, "serviceName": "media"}]
    with running_emulator(seed=seed(functions=functions)) as emulator:
        other = Door(Caller(emulator.endpoint), door.version, "plain", None)
        named = {**ASYNC, door.id_header: "mine-1"}
        assert other.code(other.invoke(named)) == "InvalidArgument"
        unnamed = other.invoke(ASYNC)
        assert (unnamed.status_code, door.id_header in unnamed.headers) == (202, False)
        assert emulator.tasks() == []
        once = {"x-fc-stateful-async-invocation-enable": "true"}
        assert other.invoke({**named, **once}).status_code == 202
        assert other.ids() == ["mine-1"]


def test_task_mode_is_switched_by_the_configuration() -> None:
    functions = [
        {"functionName": "f", "taskMode": False},
        {"serviceName": "s", "functionName": "f", "taskMode": False},
    ]
    with running_emulator(seed=seed(functions=functions)) as emulator:
        for version in DIALECTS:
            emulator.reset()
            door = Door(Caller(emulator.endpoint), version, "f", None, "s")
            key = "asyncTask" if version == THREE else "statefulInvocation"
            missing = door.config("GET")
            assert (missing.status_code, door.code(missing)) == (404, "AsyncConfigNotExists")
            stored = door.config("PUT", json.dumps({key: True, "maxAsyncRetryAttempts": 1}).encode()).json()
            assert (stored[key], stored["maxAsyncRetryAttempts"]) == (True, 1)
            assert door.config("GET").json() == stored
            assert door.invoke({**ASYNC, door.id_header: "mine-1"}).status_code == 202


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"statefulInvocation": 1, "asyncTask": 1}'])
def test_a_configuration_that_is_none_is_refused(door: Door, body: bytes) -> None:
    answer = door.config("PUT", body)
    assert (answer.status_code, door.code(answer)) == (400, "InvalidArgument")


def test_the_same_id_may_live_in_two_qualifiers_of_a_seed() -> None:
    """So that "found under which?" can be dry_run."""
    twins = seed(both(invocationId="twin"), both(invocationId="twin", qualifier="LATEST", status="Enqueued"))
    with running_emulator(seed=twins) as emulator:
        for version in DIALECTS:
            door = Door(Caller(emulator.endpoint), version)
            assert door.get("twin").json()["status"] == "Running"
            assert Door(door.call, version, qualifier=None).get("twin").json()["status"] == "Enqueued"
