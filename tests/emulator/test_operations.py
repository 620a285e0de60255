"""List, get and stop say the same in every dialect."""

from __future__ import annotations

import time

import pytest

from fc_emulator.account import Account
from tests.emulator.seeds import A_SHIFT
from tests.emulator.wire import CLASSIC, OPEN, THREE, Caller, Door
from tests.emulator_process import EmulatorProcess, running_emulator


def test_a_task_is_read_with_its_fields(door: Door) -> None:
    """A record has the documented names: whole numbers for times, payload as JSON text, dated events."""
    record = door.get("job-3").json()
    three = door.version == THREE
    named = {"functionArn": "acs:fc:cn-hangzhou:123456789:functions/transcode"}
    if not three:
        named = {"serviceName": "media", "functionName": "transcode"}
    events = record.pop("events")
    assert record == {
        **named,
        "qualifier": "prod",
        door.id_key: "job-3",
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


def test_a_list_shows_only_the_tasks_of_the_asked_qualifier(door: Door) -> None:
    assert set(door.ids()) == {
        *(f"job-{n}" for n in range(1, 6)), "queued-1", "taken-1", "again-1", "stopping-1", "done-1"
    }  # fmt: skip


def test_without_a_qualifier_latest_is_meant(door: Door) -> None:
    latest = Door(door.call, door.version, qualifier=None)
    assert latest.ids() == ["elsewhere-1"]
    assert latest.get("elsewhere-1").json()["qualifier"] == "LATEST"


def test_the_classic_dialect_reads_its_qualifier_from_the_path_alone(call: Caller) -> None:
    """A qualifier in the query belongs to the other dialects; here it says nothing."""
    door = Door(call, CLASSIC, qualifier=None)
    assert door.ids(qualifier="prod") == ["elsewhere-1"]


def test_payloads_are_listed_only_when_asked_for_in_any_case(door: Door) -> None:
    key = "taskPayload" if door.version == THREE else "invocationPayload"
    plain, full = door.page().json(), door.page(includePayload="True").json()
    assert all(key not in task for task in plain[door.tasks_key])
    assert all(key in task for task in full[door.tasks_key])


def test_a_stop_is_accepted_first_and_true_later(emulator: EmulatorProcess, door: Door) -> None:
    """The task is Stopping at once; Stopped, with an end, once its time has come."""
    answer = door.stop("job-1")
    assert answer.status_code == 200
    assert door.get("job-1").json()["status"] == "Stopping"
    emulator.advance("1s")
    record = door.get("job-1").json()
    assert record["status"] == "Stopped"
    assert [event["status"] for event in record["events"][-2:]] == ["Stopping", "Stopped"]
    assert record["endTime"] == record["events"][-1]["timestamp"]
    assert record["durationMs"] > 0


@pytest.mark.parametrize(
    ("version", "body", "content_type"),
    [(CLASSIC, b"", None), (OPEN, b"{}", "application/json"), (THREE, b"{}", "application/json")],
)
def test_the_answer_to_a_stop(call: Caller, version: str, body: bytes, content_type: str | None) -> None:
    """Classic: nothing at all, and no claim that it were JSON; the others: an empty object."""
    answer = Door(call, version).stop("job-1")
    assert (answer.content, answer.headers.get("content-type")) == (body, content_type)


@pytest.mark.parametrize("task", ["queued-1", "taken-1", "job-1", "again-1"])
def test_every_living_task_can_be_stopped(door: Door, task: str) -> None:
    assert door.stop(task).status_code == 200
    assert door.get(task).json()["status"] == "Stopping"


def test_stopping_a_finished_task_is_refused_with_412(door: Door) -> None:
    answer = door.stop("done-1")
    assert answer.status_code == 412
    assert door.code(answer) == door.named("StatefulAsyncInvocationAlreadyCompleted")


def test_stopping_a_stopping_task_is_answered_200_and_changes_nothing(door: Door) -> None:
    before = door.get("stopping-1").json()
    assert door.stop("stopping-1").status_code == 200
    assert door.get("stopping-1").json() == before


def test_a_task_is_unknown_under_another_qualifier(door: Door) -> None:
    """Neither read nor stopped: a task is found only where it lives."""
    other = Door(door.call, door.version, qualifier=None)
    for answer in (other.get("job-1"), other.stop("job-1"), door.get("nobody")):
        assert answer.status_code == 404
        assert door.code(answer) == door.named("StatefulAsyncInvocationNotFound")
    assert door.get("job-1").json()["status"] == "Running"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"function": "nothing"}, "FunctionNotFound"),
        ({"qualifier": "nothing"}, "AliasNotFound"),
        ({"qualifier": "7"}, "VersionNotFound"),
    ],
)
def test_what_does_not_exist_is_named(door: Door, change: dict[str, str], code: str) -> None:
    lost = Door(door.call, door.version, **change)
    for answer in (lost.page(), lost.get("job-1"), lost.stop("job-1"), lost.invoke()):
        assert (answer.status_code, door.code(answer)) == (404, code)


@pytest.mark.parametrize("version", [CLASSIC, OPEN])
def test_a_service_that_does_not_exist_is_named(call: Caller, version: str) -> None:
    lost = Door(call, version, service="nothing")
    for answer in (lost.page(), lost.get("job-1"), lost.stop("job-1"), lost.invoke()):
        assert (answer.status_code, lost.code(answer)) == (404, "ServiceNotFound")


@pytest.mark.parametrize(
    "path", ["/", "/2016-08-15/no", "/2021-04-06/services/a//functions/b", "/1999-01-01/x"]
)
def test_an_unknown_path_is_refused(call: Caller, path: str) -> None:
    answer = call("GET", path)
    assert answer.status_code == 400
    assert "PathNotSupported" in answer.text


def test_an_unknown_method_is_refused(call: Caller) -> None:
    answer = call("DELETE", Door(call, OPEN).tasks_path)
    assert (answer.status_code, answer.json()["Code"]) == (400, "PathNotSupported")


@pytest.mark.parametrize("target", ["job-1/extra", "job-1/", "", "/job-1"])
def test_a_path_is_taken_as_it_was_sent(call: Caller, target: str) -> None:
    """No slash is added, dropped or merged, and nothing is redirected."""
    path = f"{Door(call, CLASSIC).tasks_path}/{target}"
    answer = call("PUT", path)
    assert (answer.status_code, answer.json()["ErrorCode"]) == (400, "PathNotSupported")


def test_an_escaped_slash_stays_inside_an_id(door: Door) -> None:
    answer = door.get("a%2Fb")
    assert answer.status_code == 404
    assert "a/b" in answer.text


def test_a_service_that_ends_in_a_dot_is_refused(call: Caller) -> None:
    answer = call("GET", "/2016-08-15/services/media./functions/transcode/stateful-async-invocations")
    assert (answer.status_code, answer.json()["ErrorCode"]) == (400, "InvalidArgument")


def test_too_long_a_path_and_query_is_refused(door: Door) -> None:
    answer = door.page(nextToken="x" * 4096)
    assert (answer.status_code, door.code(answer)) == (400, "InvalidArgument")


def test_every_answer_carries_a_request_id_and_the_date(door: Door) -> None:
    answers = [door.page(), door.get("nobody"), door.stop("job-1"), door.call("GET", "/nowhere")]
    ids = {answer.headers["X-Fc-Request-Id"] for answer in answers}
    assert len(ids) == len(answers)
    for answer in answers:
        moment = time.strptime(answer.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")
        assert moment.tm_year == time.gmtime().tm_year or moment.tm_yday in (1, 365, 366)


def test_a_fault_in_the_emulator_is_a_500_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """It never looks like a mistake of the caller, and a test that meets it fails."""

    def stop(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Account, "stop", stop)
    block = running_emulator(seed=A_SHIFT)
    answer = Door(Caller(block.__enter__().endpoint), CLASSIC).stop("job-1")
    assert (answer.status_code, answer.json()["ErrorCode"]) == (500, "InternalServerError")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        block.__exit__(None, None, None)
