"""Asynchronous and synchronous invocations, and task mode."""

from __future__ import annotations

import json

import pytest

from tests.emulator.seeds import both, seed
from tests.emulator.wire import V2023, VERSIONS, Api, Caller
from tests.emulator_server import Emulator, running_emulator

ASYNC = {"x-fc-invocation-type": "Async"}


def test_a_call_in_task_mode_is_a_task_of_the_given_id(emulator: Emulator, api: Api) -> None:
    """202, an empty body, the id in a header; the task's request id is that of the call."""
    answer = api.invoke({**ASYNC, api.id_header: "mine-1"}, b'{"a": 1}')
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers[api.id_header] == "mine-1"
    record = api.get("mine-1").json()
    assert record["status"] == "Enqueued"
    assert record["requestId"] == answer.headers["X-Fc-Request-Id"]
    assert record["taskPayload" if api.version == V2023 else "invocationPayload"] == '{"a": 1}'


def test_an_invoked_task_runs_and_succeeds(emulator: Emulator, api: Api) -> None:
    """Dequeued after 100 ms, running after 200 ms, done after 5 s."""
    api.invoke({**ASYNC, api.id_header: "mine-1"})
    emulator.advance("5s")
    record = api.get("mine-1").json()
    assert [e["status"] for e in record["events"]] == ["Enqueued", "Dequeued", "Running", "Succeeded"]
    first = record["events"][0]["timestamp"]
    assert [e["timestamp"] - first for e in record["events"]] == [0, 100, 200, 5000]
    assert (record["endTime"] - first, record["durationMs"]) == (5000, 4800)


@pytest.mark.parametrize(
    ("payload", "lasts"),
    [
        (b'{"sleep_s": 20}', 20_000),
        (b'{"sleep_s": 0.25}', 250),
        (b'{"sleep_s": 0}', 0),
        *((wrong, 4_800) for wrong in (b"", b"[]", b"7", b'{"sleep_s": "9"}', b'{"sleep_s": true}', b"\xff")),
        *((wrong, 4_800) for wrong in (b'{"sleep_s": -1}', b'{"sleep_s": 86401}', b'{"sleep_s": NaN}')),
    ],
)
def test_a_payload_may_say_how_long_its_task_runs(
    emulator: Emulator, api: Api, payload: bytes, lasts: int
) -> None:
    api.invoke({**ASYNC, api.id_header: "mine-1"}, payload)
    emulator.advance("1m")
    assert (api.get("mine-1").json()["status"], api.get("mine-1").json()["durationMs"]) == (
        "Succeeded",
        lasts,
    )


@pytest.mark.parametrize("retries", [0, 1, None, 8])
def test_a_task_that_fails_is_tried_again_as_often_as_configured(
    emulator: Emulator, api: Api, retries: int | None
) -> None:
    """Three times where nothing is configured. An attempt sleeps as asked, the next follows after 2 s."""
    key, often = (
        "asyncTask" if api.version == V2023 else "statefulInvocation",
        3 if retries is None else retries,
    )
    if retries is not None:
        api.config("PUT", json.dumps({key: True, "maxAsyncRetryAttempts": retries}).encode())
    api.invoke({**ASYNC, api.id_header: "mine-1"}, b'{"sleep_s": 10, "fail": true}')
    for attempt in range(often):
        emulator.advance("11s")
        record = api.get("mine-1").json()
        assert (record["status"], record["alreadyRetriedTimes"]) == ("Retrying", attempt + 1)
        emulator.advance("1s")
    emulator.advance("11s")
    record = api.get("mine-1").json()
    assert (record["status"], record["alreadyRetriedTimes"]) == ("Failed", often)
    assert record["durationMs"] == 10_000
    statuses = [event["status"] for event in record["events"]]
    assert statuses == ["Enqueued", "Dequeued", *["Running", "Retrying"] * often, "Running", "Failed"]


def test_what_a_function_without_instances_is_given_stays_enqueued() -> None:
    functions = [
        {"functionName": "f", "starts": False},
        {"serviceName": "s", "functionName": "f", "starts": False},
    ]
    with running_emulator(seed=seed(functions=functions)) as emulator:
        for version in VERSIONS:
            emulator.reset()
            api = Api(Caller(emulator.endpoint), version, "f", None, "s")
            api.invoke({**ASYNC, api.id_header: "mine-1"})
            emulator.advance("1d")
            assert api.get("mine-1").json()["status"] == "Enqueued"
            api.stop("mine-1")
            emulator.advance("1s")
            assert api.get("mine-1").json()["status"] == "Stopped"


def test_a_delayed_task_waits_in_the_queue(emulator: Emulator, api: Api) -> None:
    api.invoke({**ASYNC, api.id_header: "late-1", "x-fc-async-delay": "600"})
    emulator.advance("9m59s")
    assert api.get("late-1").json()["status"] == "Enqueued"
    emulator.advance("2s")
    assert api.get("late-1").json()["status"] == "Running"


@pytest.mark.parametrize("wrong", ["3601", "-1", "1.5", "10m"])
def test_a_delay_is_at_most_an_hour_in_whole_seconds(api: Api, wrong: str) -> None:
    answer = api.invoke({**ASYNC, "x-fc-async-delay": wrong})
    assert (answer.status_code, api.code(answer)) == (400, "InvalidArgument")


def test_without_an_id_the_request_id_becomes_the_id(api: Api) -> None:
    answer = api.invoke(ASYNC)
    assert answer.headers[api.id_header] == answer.headers["X-Fc-Request-Id"]
    assert api.get(answer.headers[api.id_header]).status_code == 200


def test_an_id_is_taken_once_per_function(api: Api) -> None:
    """Also when the first task is finished, or belongs to another qualifier."""
    for taken in ("job-1", "done-1", "elsewhere-1"):
        answer = api.invoke({**ASYNC, api.id_header: taken})
        assert answer.status_code == 409
        assert api.code(answer) == api.named("StatefulAsyncInvocationAlreadyExists")


@pytest.mark.parametrize("wrong", ["1job", "a b", "a/b", "x" * 129])
def test_an_id_must_match_the_documented_pattern(api: Api, wrong: str) -> None:
    answer = api.invoke({**ASYNC, api.id_header: wrong})
    assert (answer.status_code, api.code(answer)) == (400, "InvalidArgument")


@pytest.mark.parametrize(("size", "status"), [(128 * 1024, 202), (128 * 1024 + 1, 400)])
def test_an_asynchronous_body_has_at_most_128_kib(api: Api, size: int, status: int) -> None:
    answer = api.invoke(ASYNC, b"x" * size)
    assert answer.status_code == status
    if status == 400:
        assert api.code(answer) == "EntityTooLarge"


def test_a_synchronous_call_is_answered_with_its_body_and_is_no_task(emulator: Emulator, api: Api) -> None:
    before = len(emulator.tasks())
    answer = api.invoke({}, b"x" * 200_000)
    assert (answer.status_code, answer.content) == (200, b"x" * 200_000)
    assert len(emulator.tasks()) == before


def test_an_id_needs_task_mode(api: Api) -> None:
    """Of the function, or for the one call."""
    plain = {"functionName": "plain", "taskMode": False}
    functions = [plain, {**plain, "serviceName": "media"}]
    with running_emulator(seed=seed(functions=functions)) as emulator:
        other = Api(Caller(emulator.endpoint), api.version, "plain", None)
        named = {**ASYNC, api.id_header: "mine-1"}
        assert other.code(other.invoke(named)) == "InvalidArgument"
        unnamed = other.invoke(ASYNC)
        assert (unnamed.status_code, api.id_header in unnamed.headers) == (202, False)
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
        for version in VERSIONS:
            emulator.reset()
            api = Api(Caller(emulator.endpoint), version, "f", None, "s")
            key = "asyncTask" if version == V2023 else "statefulInvocation"
            missing = api.config("GET")
            assert (missing.status_code, api.code(missing)) == (404, "AsyncConfigNotExists")
            stored = api.config("PUT", json.dumps({key: True, "maxAsyncRetryAttempts": 1}).encode()).json()
            assert (stored[key], stored["maxAsyncRetryAttempts"]) == (True, 1)
            assert api.config("GET").json() == stored
            assert api.invoke({**ASYNC, api.id_header: "mine-1"}).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{"),
        b'{"statefulInvocation": 1, "asyncTask": 1}',
        *(b'{"maxAsyncRetryAttempts": %s}' % wrong for wrong in (b"9", b"-1", b"true", b"null", b"1.5")),
    ],
)
def test_a_wrong_configuration_is_refused(api: Api, body: bytes) -> None:
    answer = api.config("PUT", body)
    assert (answer.status_code, api.code(answer)) == (400, "InvalidArgument")


def test_a_seed_may_have_the_same_id_under_two_qualifiers() -> None:
    """So that "found under which?" can be dry_run."""
    twins = seed(both(invocationId="twin"), both(invocationId="twin", qualifier="LATEST", status="Enqueued"))
    with running_emulator(seed=twins) as emulator:
        for version in VERSIONS:
            api = Api(Caller(emulator.endpoint), version)
            assert api.get("twin").json()["status"] == "Running"
            assert Api(api.call, version, qualifier=None).get("twin").json()["status"] == "Enqueued"
