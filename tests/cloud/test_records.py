"""Records and pages as the cloud writes them, and what must not be taken for "nothing there"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.cloud.api import Answer
from fc_reaper.cloud.errors import CallFailed
from fc_reaper.cloud.records import function_in_arn, read_moment, read_task
from fc_reaper.models import Function, Page, Query, Task, TaskEvent, is_same
from tests.cloud.clients import AT, RESIZE, TRANSCODE, an_answer, ours

ARN = "acs:fc:cn-hangzhou:123456789:functions/resize"
SLASH = "acs:fc:cn-hangzhou:123456789/functions/resize"


def answered(answer: Answer, call: Callable[[AsyncTaskClient], Any]) -> Any:
    """What a client makes of one answer."""
    with ours("http://127.0.0.1:1") as client:
        client._do_request = lambda *_args, **_more: answer  # type: ignore[method-assign]
        return call(client)


def read_page(function: Function, answer: Answer, token: str | None) -> Page:
    page: Page = answered(answer, lambda client: client.list_page(Query(function), token))
    return page


def read_functions_page(answer: Answer, token: str | None, *, services: bool) -> Any:
    return answered(answer, lambda client: client.functions_page(services=services, token=token))


def a_record(**changes: Any) -> dict[str, Any]:
    record = {
        "serviceName": "media",
        "functionName": "transcode",
        "qualifier": "3",
        "invocationId": "job-1",
        "requestId": "r-1",
        "status": "Running",
        "startedTime": AT,
        "endTime": 0,
        "alreadyRetriedTimes": 2,
    }
    return {**record, **changes}


def an_event(at: Any, status: Any = "Running", **more: Any) -> dict[str, Any]:
    return {"timestamp": at, "status": status, **more}


def test_a_record_of_two_point_oh_becomes_a_task() -> None:
    """The function is the one asked under; the record's qualifier may be the version behind an alias."""
    record = a_record()
    task = Task(TRANSCODE, "job-1", "Running", "r-1", AT, None, 2, record=record)
    assert read_task(TRANSCODE, record) == task


@pytest.mark.parametrize("arn", [ARN, f"{ARN}/prod", SLASH, f"{SLASH}/prod", f"{SLASH}.3"])
def test_a_record_of_three_point_oh_becomes_a_task(arn: str) -> None:
    """It has a taskId, and names its function by an ARN of either form, with or without a qualifier."""
    record = {"taskId": "t-1", "functionArn": arn, "status": "Enqueued", "startedTime": AT}
    assert read_task(RESIZE, record) == Task(RESIZE, "t-1", "Enqueued", None, AT, record=record)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (AT, AT),
        (str(AT), AT),
        (f" {AT} ", AT),
        (float(AT), AT),
        (f"{AT}.0", AT),
        (1_700_000_000, AT),
        ("1700000000", AT),
        (99_999_999_999, 99_999_999_999_000),
        (1_483_228_800_000, 1_483_228_800_000),
        (1_483_228_800, 1_483_228_800_000),
        ("2023-11-14T22:13:20Z", AT),
        ("2023-11-14T22:13:20.5Z", AT + 500),
        ("2023-11-14T22:13:20.123456789Z", AT + 123),
        ("2023-11-15 06:13:20+08:00", AT),
        ("2023-11-15T06:13:20+0800", AT),
    ],
)
def test_a_moment_is_read_in_every_form_seen(value: Any, moment: int) -> None:
    """Numbers, numbers as text, seconds, ISO text; below 1e11 it is seconds."""
    assert read_moment(value) == moment


@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        -1,
        0.0,
        1,
        1_483_228_799,
        1_483_228_799_999,
        100_000_000_000,
        "2016-12-31T23:59:59.999Z",
        AT * 1000,
        "0",
        "-5",
        "",
        True,
        False,
        AT + 0.5,
        float("inf"),
        float("nan"),
        10**30,
        "9" * 5000,
        "yesterday",
        "2023-11-14T22:13:20",
        "2023-13-14T22:13:20Z",
        "2023-11-14",
        "１７００００００００",
        [AT],
        {"at": AT},
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_names_no_moment_is_absent(value: Any) -> None:
    """0 stands for "not yet"; before 2017 nothing ran; text without a zone could be hours off either way."""
    assert read_moment(value) is None


@pytest.mark.parametrize(
    ("value", "retries"),
    [(0, 0), (3, 3), ("3", 3), (3.0, 3), (None, None), (-1, None), (True, None), ("many", None), (1.5, None)],
)
def test_retries_are_a_count_or_unknown(value: Any, retries: int | None) -> None:
    """An unknown count is not taken for none."""
    assert read_task(TRANSCODE, a_record(alreadyRetriedTimes=value)).retries == retries


def test_events_are_dated_and_in_order() -> None:
    """By time, then by id; what has no date is left out; what has no status keeps its place."""
    listed = [
        an_event(AT + 2, "Running", eventId=3),
        an_event(AT, "Enqueued", eventId="1"),
        an_event(AT + 2, "Dequeued", eventId=2),
        an_event(None, "Stopping", eventId=9),
        an_event(0, "Stopping", eventId=9),
        an_event(AT + 3, None),
        "Running",
    ]
    assert read_task(TRANSCODE, a_record(events=listed)).events == (
        TaskEvent(AT, 1, "Enqueued"),
        TaskEvent(AT + 2, 2, "Dequeued"),
        TaskEvent(AT + 2, 3, "Running"),
        TaskEvent(AT + 3, 0, ""),
    )


def test_an_event_detail_is_not_kept() -> None:
    """It may hold the function's output, which is payload."""
    details = [an_event(AT, "Enqueued", eventDetail=""), an_event(AT, eventDetail='{"logTail": "secret"}'), 7]
    task = read_task(TRANSCODE, a_record(events=details))
    assert "secret" not in repr(task)
    assert [event.status for event in task.events] == ["Enqueued", "Running"]
    assert details[1]["eventDetail"]  # type: ignore[index]


def test_processed_is_read_as_dequeued() -> None:
    """The console and newer pages call it so; expressions see one name as well."""
    task = read_task(TRANSCODE, a_record(status="Processed", events=[an_event(AT, "Processed")]))
    assert (task.status, task.events[0].status) == ("Dequeued", "Dequeued")
    assert task.record is not None
    assert task.record["status"] == "Dequeued"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (AT + 123, (AT + 123) // 1000, True),
        ((AT + 999) // 1000, AT + 999, True),
        (AT, AT // 1000, True),
        (AT // 1000, str(AT + 7), True),
        (AT + 600, AT // 1000 + 1, True),
        (AT, AT + 1000, False),
        (AT // 1000, AT // 1000 + 1, False),
        (AT + 1000, AT // 1000, False),
    ],
)
def test_a_task_is_the_same_whichever_unit_dates_it(one: Any, other: Any, same: bool) -> None:
    """A list may count in seconds where Get counts in milliseconds, or the other way."""
    tasks = [read_task(TRANSCODE, a_record(events=[an_event(at, "Enqueued")])) for at in (one, other)]
    assert is_same(*tasks) is is_same(*reversed(tasks)) is same


@pytest.mark.parametrize("events", [None, [], {}, "Running", 7, [None], [[]]])
def test_bad_events_are_none(events: Any) -> None:
    """Then other clocks, or nothing, decide."""
    assert read_task(TRANSCODE, a_record(events=events)).events == ()


@pytest.mark.parametrize(
    ("changes", "inconsistency"),
    [
        pytest.param({"serviceName": "other"}, "another service", id="another-service"),
        pytest.param({"serviceName": "Media"}, "another service", id="names-have-case"),
        pytest.param({"functionName": "other"}, "another function", id="another-function"),
        pytest.param({"functionName": 7}, "another function", id="a-name-that-is-no-text"),
        pytest.param({"status": None}, "no status", id="no-status"),
        pytest.param({"status": 7}, "no status", id="a-status-that-is-no-text"),
        pytest.param({"status": ""}, "no status", id="an-empty-status"),
        pytest.param({"endTime": AT}, "has an end, yet it is Running", id="ended-and-running"),
        pytest.param({"status": "Stopping", "endTime": AT}, "yet it is Stopping", id="ended-and-stopping"),
        pytest.param({"invocationId": "../x"}, "none that the platform", id="an-impossible-id"),
    ],
)
def test_a_record_that_contradicts_is_inconsistent(changes: dict[str, Any], inconsistency: str) -> None:
    """The request, or itself. Such a task is kept."""
    assert inconsistency in str(read_task(TRANSCODE, a_record(**changes)).inconsistency)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"qualifier": "7"}, id="another-qualifier"),
        pytest.param({"serviceName": None, "functionName": ""}, id="no-names"),
        pytest.param({"status": "Succeeded", "endTime": AT}, id="ended"),
        pytest.param({"status": "Hibernating"}, id="a-status-nobody-knows"),
    ],
)
def test_a_record_that_only_says_less_is_consistent(changes: dict[str, Any]) -> None:
    """Whether an unknown status may be acted on is for the evaluator."""
    assert read_task(TRANSCODE, a_record(**changes)).inconsistency is None


@pytest.mark.parametrize("arn", [f"{ARN}2", "acs:fc:r:1:services/media/functions/resize", "resize", 7])
def test_an_arn_that_names_another_function_is_inconsistent(arn: Any) -> None:
    """Also one that cannot be read."""
    record = {"taskId": "t-1", "status": "Running", "functionArn": arn}
    assert "another function" in str(read_task(RESIZE, record).inconsistency)


def test_an_answer_about_another_task_is_inconsistent() -> None:
    """The task asked for keeps its id, so that nobody stops the other one."""
    task = read_task(TRANSCODE, a_record(), asked="job-2")
    assert (task.invocation_id, task.inconsistency) == ("job-2", "the record is about another task, 'job-1'")
    assert read_task(TRANSCODE, {}, asked="job-2").inconsistency == "the record has no id"


@pytest.mark.parametrize(
    ("arn", "named"),
    [
        (ARN, ("resize", "LATEST")),
        (f"{ARN}/prod", ("resize", "prod")),
        (f"{ARN}.prod", ("resize", "prod")),
        (SLASH, ("resize", "LATEST")),
        (f"{SLASH}/prod", ("resize", "prod")),
        ("acs:fc:r:1/functions/media$resize.3", ("media$resize", "3")),
        ("acs:fc:r:1//functions/resize", None),
        ("acs:fc:r:1functions/resize", None),
        ("acs:fc:r:1:functions/media$resize/3", ("media$resize", "3")),
        (f"{ARN}/prod/more", None),
        (f"x{ARN}", None),
        (None, None),
    ],
)
def test_a_function_is_named_by_its_arn(arn: Any, named: tuple[str, str] | None) -> None:
    """The qualifier stands behind a slash or a dot, or nowhere."""
    assert function_in_arn(arn) == named


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
fields = st.sampled_from([*a_record(), "events", "taskId", "functionArn"])


@given(st.dictionaries(fields, anything), st.sampled_from([TRANSCODE, RESIZE]))
def test_any_record_becomes_a_task_of_the_function_asked(record: dict[str, Any], function: Function) -> None:
    """Nothing in it raises, moves it elsewhere, or dates it before the epoch."""
    task = read_task(function, record)
    assert task.function == function
    moments = [task.started_at, task.ended_at, *(event.at for event in task.events)]
    assert all(moment is None or moment > 0 for moment in moments)
    assert list(task.events) == sorted(task.events, key=lambda event: event[:2])


@pytest.mark.parametrize(
    "body", [{}, {"invocations": None}, {"invocations": []}, {"nextToken": ""}, {"requestId": "r-1"}]
)
def test_nothing_found_is_written_in_many_ways(body: Any) -> None:
    """The list absent, null, or empty; no token means the last page."""
    page = read_page(TRANSCODE, an_answer(200, body), None)
    assert (page.tasks, page.token, page.moment.earliest) == ((), None, AT)


@pytest.mark.parametrize(
    ("function", "body"),
    [
        (TRANSCODE, {"invocations": [{"invocationId": "a"}, {"invocationId": "b"}], "nextToken": "t"}),
        (RESIZE, {"tasks": [{"taskId": "a"}, {"taskId": "b"}], "nextToken": "t"}),
    ],
    ids=str,
)
def test_both_generations_write_pages(function: Function, body: Any) -> None:
    """With other words for the same."""
    page = read_page(function, an_answer(200, body), "s")
    assert [task.invocation_id for task in page.tasks] == ["a", "b"]
    assert page.token == "t"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"tasks": []}, id="a-page-of-the-other-generation"),
        pytest.param({"data": []}, id="a-page-of-functions"),
        pytest.param({}, id="an-empty-answer-on-a-later-page"),
        pytest.param({"nextToken": ""}, id="no-list-on-a-later-page"),
        pytest.param({"invocations": None}, id="null-on-a-later-page"),
        pytest.param({"nextToken": "t"}, id="no-list-on-a-later-page-but-a-token"),
        pytest.param({"Code": "Throttling"}, id="an-error-that-claims-success"),
        pytest.param({"html": "login"}, id="a-foreign-body"),
        pytest.param({"invocations": {}}, id="no-list"),
        pytest.param({"invocations": ["a"]}, id="no-record"),
        pytest.param({"invocations": [{"status": "Running"}]}, id="a-record-without-id"),
        pytest.param({"invocations": [{"invocationId": 7}]}, id="an-id-that-is-no-text"),
        pytest.param({"invocations": [], "nextToken": "asked"}, id="the-same-token-again"),
        pytest.param({"invocations": [], "nextToken": 7}, id="a-token-that-is-no-text"),
    ],
)
def test_what_is_no_page_is_not_taken_for_an_empty_one(body: Any) -> None:
    """Nothing may follow from what was not seen."""
    with pytest.raises(CallFailed) as caught:
        read_page(TRANSCODE, an_answer(200, body), "asked")
    assert caught.value.error_code == "UnreadableAnswer"


def test_functions_with_a_service_are_listed_with_their_qualifier() -> None:
    """Without one it is LATEST: every later request names a qualifier."""
    body = {
        "data": [
            {"serviceName": "media", "functionName": "transcode", "qualifier": "prod"},
            {"serviceName": "media", "functionName": "transcode"},
        ],
        "nextToken": "t",
    }
    page = read_functions_page(an_answer(200, body), None, services=True)
    assert page == ([TRANSCODE, Function("media", "transcode", "LATEST")], "t")


def test_functions_without_a_service_are_those_configured_for_tasks() -> None:
    """Asynchronous invocation alone is not task mode."""
    body = {
        "configs": [
            {"functionArn": f"{ARN}/prod", "asyncTask": True},
            {"functionArn": f"{ARN}/test", "asyncTask": False},
            {"functionArn": f"{ARN}/test"},
            {"functionArn": ARN, "asyncTask": True},
        ]
    }
    page = read_functions_page(an_answer(200, body), None, services=False)
    assert page == ([Function(None, "resize", "prod"), RESIZE], None)


@pytest.mark.parametrize(
    ("services", "body"),
    [
        (True, {"configs": []}),
        (True, {"data": [7]}),
        (True, {"data": [{"functionName": "f", "qualifier": "q"}]}),
        (True, {"data": [{"serviceName": "s", "qualifier": "q"}]}),
        (True, {"data": [{"serviceName": "../s", "functionName": "f"}]}),
        (True, {"data": [], "nextToken": "asked"}),
        (False, {"data": []}),
        (False, {"configs": [7]}),
        (False, {"configs": [{"asyncTask": True}]}),
        (False, {"configs": [{"asyncTask": True, "functionArn": "resize"}]}),
    ],
)
def test_a_list_of_functions_that_cannot_be_read_is_an_error(services: bool, body: Any) -> None:
    """Discovery that silently misses a function would look like a function without tasks."""
    with pytest.raises(CallFailed) as caught:
        read_functions_page(an_answer(200, body), "asked", services=services)
    assert caught.value.error_code == "UnreadableAnswer"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"no", b"[]", b"null", b"1", b"\xff", b"{", b"[" * 100_000, b'{"a": 1', b'{"a": NaN}',
        b'{"a": 1e999}',
    ],
)  # fmt: skip
def test_a_success_that_is_no_object_is_unreadable(body: bytes) -> None:
    """It must not be taken for an empty one."""
    with pytest.raises(CallFailed) as caught:
        answered(an_answer(200, body, X_Fc_Request_Id="r-1"), lambda client: client.get(TRANSCODE, "job-1"))
    assert (caught.value.error_code, caught.value.fc_request_id) == ("UnreadableAnswer", "r-1")
    assert not caught.value.retryable
