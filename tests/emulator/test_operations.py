"""List, get and stop in every API version."""

from __future__ import annotations

import time

import pytest

from fc_emulator.account import Account
from tests.emulator.seeds import A_SHIFT
from tests.emulator.wire import V2016, V2021, V2023, VERSIONS, Api, Caller
from tests.emulator_server import Emulator, running_emulator


def test_a_task_is_read_with_its_fields(api: Api) -> None:
    """A record has the documented names: whole numbers for times, payload as JSON text, dated events."""
    record = api.get("job-3").json()
    three = api.version == V2023
    named = {"functionArn": "acs:fc:cn-hangzhou:123456789:functions/transcode"}
    if not three:
        named = {"serviceName": "media", "functionName": "transcode"}
    events = record.pop("events")
    assert record == {
        **named,
        "qualifier": "prod",
        api.id_key: "job-3",
        "requestId": record["requestId"],
        "status": "Running",
        "startedTime": events[0]["timestamp"],
        "endTime": 0,
        "durationMs": 0,
        "alreadyRetriedTimes": 0,
        "instanceId": record["instanceId"],
        "taskErrorMessage" if three else "invocationErrorMessage": "",
        "taskPayload" if three else "invocationPayload": '{"order": "o-3"}',
        "destinationStatus": "",
    }
    assert [event["status"] for event in events] == ["Enqueued", "Dequeued", "Running"]
    assert [event["eventId"] for event in events] == [1, 2, 3]
    assert events[2]["timestamp"] - events[0]["timestamp"] == 30 * 60_000


def test_a_list_shows_only_the_tasks_of_the_asked_qualifier(api: Api) -> None:
    assert set(api.ids()) == {
        *(f"job-{n}" for n in range(1, 6)), "queued-1", "taken-1", "again-1", "stopping-1", "done-1"
    }  # fmt: skip


def test_the_default_qualifier_is_latest(api: Api) -> None:
    latest = Api(api.call, api.version, qualifier=None)
    assert latest.ids() == ["elsewhere-1"]
    assert latest.get("elsewhere-1").json()["qualifier"] == "LATEST"


def test_2016_08_15_reads_the_qualifier_from_the_path_alone(call: Caller) -> None:
    """A qualifier in the query is ignored."""
    api = Api(call, V2016, qualifier=None)
    assert api.ids(qualifier="prod") == ["elsewhere-1"]


def test_payloads_are_listed_only_on_request(api: Api) -> None:
    key = "taskPayload" if api.version == V2023 else "invocationPayload"
    plain, full = api.page().json(), api.page(includePayload="True").json()
    assert all(key not in task for task in plain[api.tasks_key])
    assert all(key in task for task in full[api.tasks_key])


def test_a_task_is_stopping_first_and_stopped_later(emulator: Emulator, api: Api) -> None:
    """Stopped has an end time and the events of both."""
    answer = api.stop("job-1")
    assert answer.status_code == 200
    assert api.get("job-1").json()["status"] == "Stopping"
    emulator.advance("1s")
    record = api.get("job-1").json()
    assert record["status"] == "Stopped"
    assert [event["status"] for event in record["events"][-2:]] == ["Stopping", "Stopped"]
    assert record["endTime"] == record["events"][-1]["timestamp"]
    assert record["durationMs"] > 0


@pytest.mark.parametrize(
    ("version", "body", "content_type"),
    [(V2016, b"", None), (V2021, b"{}", "application/json"), (V2023, b"{}", "application/json")],
)
def test_the_answer_to_a_stop(call: Caller, version: str, body: bytes, content_type: str | None) -> None:
    """2016-08-15: an empty body without a content type; the others: an empty object."""
    answer = Api(call, version).stop("job-1")
    assert (answer.content, answer.headers.get("content-type")) == (body, content_type)


@pytest.mark.parametrize("task", ["queued-1", "taken-1", "job-1", "again-1"])
def test_every_unfinished_task_can_be_stopped(api: Api, task: str) -> None:
    assert api.stop(task).status_code == 200
    assert api.get(task).json()["status"] == "Stopping"


def test_stopping_a_finished_task_is_refused_with_412(api: Api) -> None:
    answer = api.stop("done-1")
    assert answer.status_code == 412
    assert api.code(answer) == api.named("StatefulAsyncInvocationAlreadyCompleted")


def test_stopping_a_stopping_task_is_answered_200_and_changes_nothing(api: Api) -> None:
    before = api.get("stopping-1").json()
    assert api.stop("stopping-1").status_code == 200
    assert api.get("stopping-1").json() == before


def test_a_task_is_unknown_under_another_qualifier(api: Api) -> None:
    """It is neither read nor stopped."""
    other = Api(api.call, api.version, qualifier=None)
    for answer in (other.get("job-1"), other.stop("job-1"), api.get("missing")):
        assert answer.status_code == 404
        assert api.code(answer) == api.named("StatefulAsyncInvocationNotFound")
    assert api.get("job-1").json()["status"] == "Running"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"function": "nothing"}, "FunctionNotFound"),
        ({"qualifier": "nothing"}, "AliasNotFound"),
        ({"qualifier": "7"}, "VersionNotFound"),
    ],
)
def test_the_error_code_says_what_does_not_exist(api: Api, change: dict[str, str], code: str) -> None:
    unknown = Api(api.call, api.version, **change)
    for answer in (unknown.page(), unknown.get("job-1"), unknown.stop("job-1"), unknown.invoke()):
        assert (answer.status_code, api.code(answer)) == (404, code)


@pytest.mark.parametrize("version", [V2016, V2021])
def test_a_service_that_does_not_exist_is_404(call: Caller, version: str) -> None:
    unknown = Api(call, version, service="nothing")
    for answer in (unknown.page(), unknown.get("job-1"), unknown.stop("job-1"), unknown.invoke()):
        assert (answer.status_code, unknown.code(answer)) == (404, "ServiceNotFound")


@pytest.mark.parametrize(
    "path", ["/no", "/2016-08-15/no", "/2021-04-06/services/a//functions/b", "/1999-01-01/x"]
)
def test_an_unknown_path_is_refused(call: Caller, path: str) -> None:
    answer = call("GET", path)
    assert answer.status_code == 400
    assert "PathNotSupported" in answer.text


def test_an_unknown_method_is_refused(call: Caller) -> None:
    answer = call("DELETE", Api(call, V2021).tasks_path)
    assert (answer.status_code, answer.json()["Code"]) == (400, "PathNotSupported")


@pytest.mark.parametrize("target", ["job-1/extra", "job-1/", "", "/job-1"])
def test_a_path_is_taken_as_it_was_sent(call: Caller, target: str) -> None:
    """No slash is added, dropped or merged, and nothing is redirected."""
    path = f"{Api(call, V2016).tasks_path}/{target}"
    answer = call("PUT", path)
    assert (answer.status_code, answer.json()["ErrorCode"]) == (400, "PathNotSupported")


@pytest.mark.parametrize("impossible", ["a%2Fb", "a.b", "%1B", "a%0A", "%E2%80%AEa", "x" * 129])
def test_an_id_that_no_task_can_have_is_refused(api: Api, impossible: str) -> None:
    """An escaped slash stays inside the id."""
    for answer in (api.get(impossible), api.stop(impossible)):
        assert (answer.status_code, api.code(answer)) == (400, "InvalidArgument")


def test_header_names_are_spelt_as_documented(api: Api) -> None:
    """Although names of headers have no case: the official Java client looks for this spelling."""
    for answer in (api.page(), api.get("missing"), api.invoke({"x-fc-invocation-type": "Async"})):
        names = list(answer.raw.headers)
        assert {"Date", "X-Fc-Request-Id"} <= set(names)
        assert names == [name.title() for name in names]


def test_a_service_that_ends_in_a_dot_is_refused(call: Caller) -> None:
    answer = call("GET", "/2016-08-15/services/media./functions/transcode/stateful-async-invocations")
    assert (answer.status_code, answer.json()["ErrorCode"]) == (400, "InvalidArgument")


def test_too_long_a_path_and_query_is_refused(api: Api) -> None:
    answer = api.page(nextToken="x" * 4096)
    assert (answer.status_code, api.code(answer)) == (400, "InvalidArgument")


def test_every_answer_carries_a_request_id_and_the_date(api: Api) -> None:
    answers = [api.page(), api.get("missing"), api.stop("job-1"), api.call("GET", "/nowhere")]
    ids = {answer.headers["X-Fc-Request-Id"] for answer in answers}
    assert len(ids) == len(answers)
    for answer in answers:
        moment = time.strptime(answer.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")
        assert moment.tm_year == time.gmtime().tm_year or moment.tm_yday in (1, 365, 366)


def test_a_fault_in_the_emulator_is_a_500_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not look like a mistake of the caller, and it fails the test."""

    def stop(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Account, "stop", stop)
    block = running_emulator(seed=A_SHIFT)
    answer = Api(Caller(block.__enter__().endpoint), V2016).stop("job-1")
    assert (answer.status_code, answer.json()["ErrorCode"]) == (500, "InternalServerError")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        block.__exit__(None, None, None)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_seeded_function_shows_its_limits(version: str) -> None:
    """GetFunction shows its timeout, 60 s where the seed has none; the rest is in its configuration."""
    service = {} if version == V2023 else {"serviceName": "media"}
    place = {**service, "functionName": "transcode", "qualifier": "prod"}
    config: dict[str, int] = {"maxAsyncEventAgeInSeconds": 3600, "maxAsyncRetryAttempts": 1}
    limits = {"timeout": 600, "asyncConfig": config}
    plain = {**service, "functionName": "plain"}
    with running_emulator(seed={"functions": [{**place, **limits}, plain]}) as emulator:
        api = Api(Caller(emulator.endpoint), version)
        assert api._send("GET", api.path, {}).json() == {"functionName": "transcode", "timeout": 600}
        shown = api.config("GET").json()
        assert config.items() <= shown.items()
        assert shown["asyncTask" if version == V2023 else "statefulInvocation"] is True
        plainly = Api(Caller(emulator.endpoint), version, function="plain", qualifier=None)
        assert plainly._send("GET", plainly.path, {}).json()["timeout"] == 60
        emulator.reset()
        assert config.items() <= api.config("GET").json().items()
