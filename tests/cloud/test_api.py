"""The moment of an answer, and the dates of HTTP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.cloud.api import read_date
from tests.cloud.clients import AT, an_answer

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        pytest.param(AT + 900, AT, id="the-date-is-earlier"),
        pytest.param(AT - 5, AT - 5, id="our-clock-is-earlier"),
        pytest.param(AT + 3_600_000, AT, id="our-clock-is-an-hour-ahead"),
        pytest.param(AT - 3_600_000, AT - 3_600_000, id="our-clock-is-an-hour-behind"),
    ],
)
def test_the_earliest_moment_is_that_of_the_earlier_clock(sent: int, moment: int) -> None:
    """An age computed with it is never too old."""
    assert an_answer(sent=sent, received=sent, Date=DATE).moment.earliest == moment


@pytest.mark.parametrize(("received", "latest"), [(AT, AT + 1000), (AT + 1001, AT + 1001)])
def test_the_latest_moment_is_that_of_the_later_clock(received: int, latest: int) -> None:
    """The Date is cut to whole seconds."""
    assert an_answer(sent=AT, received=received, Date=DATE).moment.latest == latest


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 99 Foo 2023", "Tue, 14 Nov 2023 99:99:99 GMT"])
def test_without_a_readable_date_the_local_clock_decides(date: str) -> None:
    """A server may say nothing, or nonsense."""
    answer = an_answer(sent=AT + 5, Date=date)
    assert (answer.moment.earliest, answer.moment.skew) == (AT + 5, None)


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
    assert an_answer(sent=sent, received=received, Date=DATE).moment.skew == skew


@pytest.mark.parametrize(
    "text",
    [DATE, "Tue, 14 Nov 2023 22:13:20", "Wed, 15 Nov 2023 06:13:20 +0800", "Tuesday, 14-Nov-23 22:13:20 GMT"],
)
def test_a_date_is_read_in_the_forms_of_http(text: str) -> None:
    """Without a zone it is GMT, never the zone of this machine."""
    assert read_date(text) == AT


@pytest.mark.parametrize(("digits", "read"), [(400, True), (401, False)])
def test_no_number_is_longer_than_400_digits(digits: int, read: bool) -> None:
    """Before Python 3.10.7 one of 8 MiB would hold the whole process for minutes."""
    answer = an_answer(200, b'{"endTime": ' + b"9" * digits + b"}")
    assert (answer.value is not None) is read


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    """It never raises."""
    assert read_date(text) is None or isinstance(read_date(text), int)
