"""The error that an answer stands for, and the wait it asks for."""

from __future__ import annotations

import json
import pickle
from typing import Any

import fc2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.cloud.api import redacted
from fc_reaper.cloud.errors import refusal
from fc_reaper.cloud.records import read_items, read_task
from fc_reaper.errors import CloudError
from tests.cloud.clients import AT, TRANSCODE, an_answer

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry_After": "7"}, 7),
        ({"Retry_After": "0.5"}, 0.5),
        ({"Retry_After": "-3"}, 0),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "inf"}, None),
        ({"Retry_After": "nan"}, None),
        ({"Retry_After": "Tue, 14 Nov 2023 22:13:50 GMT", "Date": DATE}, 30),
        ({"Retry_After": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30),
        ({"Retry_After": "Tue, 14 Nov 2023 22:00:00 GMT", "Date": DATE}, 0),
        ({"x_acs_retry_after": "3"}, 3),
        ({"x_acs_retry_after": "1500"}, 1.5),
        ({"Retry_After": "7", "x_acs_retry_after": "3"}, 7),
    ],
)
def test_the_wait_that_the_cloud_asks_for(headers: dict[str, Any], seconds: float | None) -> None:
    """Seconds, an HTTP date, or the platform's own header, whose large numbers are milliseconds."""
    assert refusal(an_answer(429, **headers)).retry_after == seconds


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_these_may_pass(status: int) -> None:
    """Throttling and faults of the platform."""
    assert refusal(an_answer(status)).retryable


@pytest.mark.parametrize(
    ("status", "code", "throttled"),
    [
        (429, "", True),
        (429, "ResourceExhausted", True),
        (400, "Throttling", True),
        (400, "Throttling.User", True),
        (503, "ResourceExhausted", True),
        (503, "ResourceThrottled", False),
        (400, "InvalidArgument", False),
    ],
)
def test_too_many_calls_are_said_by_status_or_code(status: int, code: str, throttled: bool) -> None:
    """503 ResourceThrottled is about instances, not about the rate of calls."""
    error = refusal(an_answer(status, {"Code": code}))
    assert error.throttled is throttled
    assert error.retryable or not throttled


@pytest.mark.parametrize("status", [300, 302, 304, 400, 401, 403, 404, 408, 409, 412, 413, 499, 501, 505])
def test_these_will_not_pass_by_waiting(status: int) -> None:
    """Everything else, all other 4xx among it."""
    assert not refusal(an_answer(status)).retryable


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"ErrorCode": "AccessDenied", "ErrorMessage": "no"}, "AccessDenied", "no"),
        ({"errorCode": "AccessDenied", "errorMessage": "no"}, "AccessDenied", "no"),
        ({"Code": "AccessDenied", "Message": "no"}, "AccessDenied", "no"),
        ({"Code": 403, "Message": None}, "403", '{"Code": 403, "Message": null}'),
        (b"<html>\n<h1>no</h1>\n</html>", "UnreadableAnswer", "<html> <h1>no</h1> </html>"),
        (b"", "UnreadableAnswer", "the answer has no body"),
        ('{"Code": "AccessDenied", "Message": "不"}'.encode("gbk"), "AccessDenied", "\ufffd\ufffd"),
        ('{"Code": "AccessDenied", "Message": "no"}'.encode("utf-16"), "AccessDenied", "no"),
        (b"x" * 10_000, "UnreadableAnswer", "x" * 299 + "…"),
    ],
)
def test_a_refusal_keeps_what_it_says(body: Any, code: str, message: str) -> None:
    """Code and message in any casing and charset, on one line, not longer than 300 characters."""
    error = refusal(an_answer(403, body))
    assert (error.error_code, error.detail) == (code, message)


TYPED = {"ErrorCode": "StatefulAsyncInvocationAlreadyCompleted", "ErrorMessage": "no"}


@pytest.mark.parametrize(
    ("status", "body", "unclear"),
    [
        *((status, TYPED, False) for status in (400, 401, 403, 404, 409, 412, 413, 429, 499)),
        *((status, TYPED, True) for status in (100, 101, 103, 199, 300, 302, 304, 399, 408, 500, 503, 599)),
        (412, {"Code": "AsyncTaskAlreadyCompleted"}, False),
        (412, {"errorCode": "AsyncTaskAlreadyCompleted"}, False),
        (412, {"Message": "no"}, True),
        (412, {"Code": ""}, True),
        (412, {"Code": None}, True),
        (412, {"Code": 412}, True),
        (412, ["AsyncTaskAlreadyCompleted"], True),
        (412, b"<html>no</html>", True),
        (412, b"", True),
        (412, b'{"Code": "AsyncTaskAlr', True),
    ],
)
def test_only_a_refusal_of_the_platforms_own_is_clear(status: int, body: Any, unclear: bool) -> None:
    """A 4xx other than 408 whose JSON names an error code; a proxy on the way proves nothing."""
    assert refusal(an_answer(status, body, X_Fc_Error_Type="AccessDenied")).unclear is unclear


@pytest.mark.parametrize(("status", "denied"), [(401, True), (403, True), (404, False), (407, False)])
def test_keys_that_lack_the_right(status: int, denied: bool) -> None:
    """401 and 403, whatever the code."""
    assert refusal(an_answer(status, TYPED)).denied is denied


@given(st.text(max_size=700), st.text(max_size=200), st.text(max_size=200))
def test_the_texts_of_an_error_are_printable_and_bounded(message: str, code: str, request_id: str) -> None:
    """Whatever they hold: line breaks, bidirectional overrides, halves of characters."""
    error = CloudError(message, error_code=code, fc_request_id=request_id)
    assert str(error).isprintable()
    assert (error.fc_request_id or "").isprintable()
    assert len(str(error)) < 420


@given(st.binary(max_size=60), st.integers(300, 999))
def test_any_body_gives_one_typed_error(body: bytes, status: int) -> None:
    """It never raises something else, and its text is one line."""
    error = refusal(an_answer(status, body))
    assert error.http_status == status
    assert len(str(error).splitlines()) == 1


def test_an_error_is_caught_by_old_code_and_by_new() -> None:
    """It is fc2's error and ours, with the facts under both sets of names."""
    body = {"ErrorCode": "AccessDenied", "ErrorMessage": "no"}
    error = refusal(an_answer(403, body, X_Fc_Request_Id="r-1"))
    assert isinstance(error, fc2.FcError)
    assert isinstance(error, CloudError)
    assert str(error) == "HTTP 403 AccessDenied: no"
    assert json.loads(error.message) == {**body, "RequestId": "r-1"}


def test_an_error_survives_pickling() -> None:
    """As fc2's does."""
    error = refusal(an_answer(503, {"Code": "ResourceThrottled"}, Retry_After="7"))
    copy = pickle.loads(pickle.dumps(error))
    assert vars(copy) == vars(error)


SPELLINGS = [
    "to/ken+=",
    "to%2Fken%2B%3D",
    "&#116;o/ken+=",
    "to\\/ken+=",
    "%26%23116;o/ken+=",
    "t\\u006f/ken+=",
]


@pytest.mark.parametrize("text", SPELLINGS)
@pytest.mark.parametrize("before", [16_370, 32_755, 200_000])
def test_no_record_of_a_long_page_repeats_a_secret_in_any_spelling(text: str, before: int) -> None:
    """Wherever it stands in the page."""
    records = [{"invocationId": "a", "invocationPayload": "x" * before}, {"invocationId": "b", "status": "@"}]
    body = json.dumps({"invocations": records}).replace("@", text).encode()
    answer = an_answer(200, body, secrets=("to/ken+=",))
    assert "ken+" not in repr(answer.value).replace("%2B", "+")


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize("text", SPELLINGS)
@pytest.mark.parametrize("form", ["{}", '{{"Message": "{}", "requestId": "{}"}}', "<p>{}</p>"])
def test_no_secret_is_repeated_in_any_spelling(text: str, form: str, status: int) -> None:
    """As it is, escaped for a path, for HTML, for JSON, or twice; in a body and in a header, good or bad."""
    body = form.replace("{}", "sign: " + text).encode()
    answer = an_answer(status, body, secrets=("to/ken+=",), X_Fc_Request_Id=text)
    shown = f"{answer._replace(headers={})} {refusal(answer)!r} {vars(refusal(answer))}"
    assert "ken" not in shown.replace("token of", "")


@pytest.mark.parametrize(
    "record",
    [
        {"invocationId": "s3cret-key"},
        {"invocationId": "job-1", "status": "s3cret-key"},
        {"invocationId": "job-1", "status": "Running", "requestId": "a s3cret-key b"},
        {"invocationId": "job-1", "status": "Running", "serviceName": "s3cret-key"},
        {"invocationId": "job-1", "status": "Running", "functionName": "s3cret-key"},
        {"invocationId": "job-1", "status": "Running", "events": [{"timestamp": AT, "status": "s3cret-key"}]},
    ],
)
def test_a_record_that_repeats_a_secret_does_not_show_it(record: dict[str, Any]) -> None:
    """Of a good answer no text is kept that holds one."""
    answer = an_answer(200, {"invocations": [record]}, secrets=("s3cret-key",))
    (found,), _ = read_items(answer, "invocations", None)
    assert "s3cret" not in repr(read_task(TRANSCODE, found))


@given(st.text(max_size=9), st.text(max_size=9))
def test_text_without_a_secret_stays_as_it_is(before: str, after: str) -> None:
    """Only secrets are taken out."""
    assert redacted(f"{before}secret{after}", ("se-cret",)) == f"{before}secret{after}"
