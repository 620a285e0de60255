"""The moment of an answer, the error in it, and the wait it asks for."""

from __future__ import annotations

import json
import pickle
from typing import Any

import fc2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from fc_reaper.cloud.answers import Answer, json_object, read_date, refusal
from fc_reaper.cloud.failures import CallFailed
from fc_reaper.errors import CloudError

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
AT = 1_700_000_000_000


def an_answer(
    status: int = 200, body: Any = b"", *, sent: int = AT, received: int = AT, **headers: Any
) -> Answer:
    named = CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()})
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, named, raw, sent, received)


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        pytest.param(AT + 900, AT, id="the-date-is-earlier"),
        pytest.param(AT - 5, AT - 5, id="our-clock-is-earlier"),
        pytest.param(AT + 3_600_000, AT, id="our-clock-is-an-hour-ahead"),
        pytest.param(AT - 3_600_000, AT - 3_600_000, id="our-clock-is-an-hour-behind"),
    ],
)
def test_the_moment_is_the_earlier_of_both_clocks(sent: int, moment: int) -> None:
    """An age computed with it is never too old."""
    assert an_answer(sent=sent, received=sent, Date=DATE).moment == moment


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 99 Foo 2023", "Tue, 14 Nov 2023 99:99:99 GMT"])
def test_without_a_readable_date_the_local_clock_decides(date: str) -> None:
    """A server may say nothing, or nonsense."""
    answer = an_answer(sent=AT + 5, Date=date)
    assert (answer.moment, answer.skew) == (AT + 5, 0)


@pytest.mark.parametrize(
    ("sent", "received", "skew"),
    [
        pytest.param(AT + 999, AT + 1500, 0, id="within-the-cut-second"),
        pytest.param(AT - 50, AT + 50, 0, id="written-between-question-and-answer"),
        pytest.param(AT + 1000, AT + 1000, 0, id="exactly-a-second-is-not-yet-certain"),
        pytest.param(AT + 31_000, AT + 31_100, 30_000, id="the-server-is-behind"),
        pytest.param(AT - 31_000, AT - 30_000, 30_000, id="the-server-is-ahead"),
    ],
)
def test_the_skew_is_what_is_certain(sent: int, received: int, skew: int) -> None:
    """Dates are cut to seconds, and travel takes time."""
    assert an_answer(sent=sent, received=received, Date=DATE).skew == skew


@pytest.mark.parametrize(
    "text",
    [DATE, "Tue, 14 Nov 2023 22:13:20", "Wed, 15 Nov 2023 06:13:20 +0800", "Tuesday, 14-Nov-23 22:13:20 GMT"],
)
def test_a_date_is_read_in_the_forms_of_http(text: str) -> None:
    """Without a zone it is GMT, never the zone of this machine."""
    assert read_date(text) == AT


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    """It never raises."""
    assert read_date(text) is None or isinstance(read_date(text), int)


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
        (b"x" * 10_000, "UnreadableAnswer", "x" * 297 + "..."),
    ],
)
def test_a_refusal_keeps_what_it_says(body: Any, code: str, message: str) -> None:
    """Code and message in any casing and charset, on one line, not longer than 300 characters."""
    error = refusal(an_answer(403, body))
    assert (error.error_code, error.detail) == (code, message)


@given(st.binary(max_size=60), st.integers(300, 999))
def test_any_body_gives_one_typed_error(body: bytes, status: int) -> None:
    """It never raises something else, and its text is one line."""
    error = refusal(an_answer(status, body))
    assert error.http_status == status
    assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize(
    "body", [b"", b"no", b"[]", b"null", b"1", b"\xff", b"{", b"[" * 100_000, b'{"a": 1']
)
def test_a_success_that_is_no_object_is_unreadable(body: bytes) -> None:
    """It must not be taken for an empty one."""
    with pytest.raises(CallFailed) as caught:
        json_object(an_answer(200, body, X_Fc_Request_Id="r-1"))
    assert (caught.value.error_code, caught.value.fc_request_id) == ("UnreadableAnswer", "r-1")
    assert not caught.value.retryable


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
