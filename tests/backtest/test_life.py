"""A record as it was at an earlier moment, and what its clocks come to."""

from __future__ import annotations

import pytest

from fc_reaper.backtest.history import as_of, longest, outcome_of, running
from tests.backtest.lives import at, lived
from tests.builders import ms

RETRIED = lived(
    "retried", ("Enqueued", "0s"), ("Dequeued", "4m"), ("Running", "5m"), ("Retrying", "20m"),
    ("Enqueued", "21m"), ("Running", "31m"), ("Succeeded", "40m"),
)  # fmt: skip

RECORD = {
    "invocationId": "retried",
    "status": "Succeeded",
    "startedTime": at("31m"),
    "endTime": at("40m"),
    "durationMs": 540_000,
    "alreadyRetriedTimes": 1,
    "instanceId": "c-1",
    "invocationErrorMessage": "",
    "returnPayload": "done",
    "destinationStatus": "Succeeded",
    "invocationPayload": "{}",
    "events": [
        {
            "eventId": event.id,
            "status": event.status,
            "timestamp": event.at,
            "eventDetail": f"detail {event.id}",
        }
        for event in RETRIED.events
    ],
}
WHOLE = RETRIED._replace(record=RECORD, started_at=at("31m"), ended_at=at("40m"), retries=1)


def test_there_is_no_record_before_the_first_event() -> None:
    """And at its very moment there is one."""
    assert as_of(WHOLE, at("0s") - 1) is None
    task = as_of(WHOLE, at("0s"))
    assert task is not None
    assert (task.status, task.retries, task.ended_at, len(task.events)) == ("Enqueued", 0, None, 1)


def test_what_comes_at_the_end_is_absent_before() -> None:
    """No end, no duration, no answer, no error; no instance before it ran; no start before it started."""
    task = as_of(WHOLE, at("4m"))
    assert task is not None
    assert task.record == {
        "invocationId": "retried",
        "status": "Dequeued",
        "alreadyRetriedTimes": 0,
        "invocationPayload": "{}",
        "events": RECORD["events"][:2],  # type: ignore[index]
    }
    assert task.started_at is None


def test_the_past_is_counted_up_to_the_moment() -> None:
    """Retries by their events; the start once it was."""
    task = as_of(WHOLE, at("31m"))
    assert task is not None
    assert task.record is not None
    assert (task.status, task.retries, task.started_at) == ("Running", 1, at("31m"))
    assert (task.record["alreadyRetriedTimes"], task.record["instanceId"]) == (1, "c-1")


def test_the_end_is_the_record_itself() -> None:
    """Whole, from its last event on."""
    assert as_of(WHOLE, at("40m")) is WHOLE


@pytest.mark.parametrize(
    ("clock", "length"),
    [("queued_for", "10m"), ("running_for", "15m"), ("alive_for", "40m"), ("stopping_for", None)],
)
def test_the_longest_that_a_clock_comes_to(clock: str, length: str | None) -> None:
    """Waiting since the last enqueueing, the longest attempt, the whole life."""
    assert longest(RETRIED, clock, at("9h")) == (None if length is None else ms(length))


def test_an_unfinished_task_lasts_until_the_end_of_the_history() -> None:
    """It was alive then."""
    task = lived("x", ("Enqueued", "0s"), ("Running", "1m"))
    assert longest(task, "running_for", at("2h")) == ms("119m")
    assert running(task, at("1h"), at("2h")) == ms("1h")


def test_running_is_what_lies_between_two_moments() -> None:
    """Of all attempts, and nothing but Running."""
    assert running(RETRIED, at("0s"), at("9h")) == ms("24m")
    assert running(RETRIED, at("10m"), at("35m")) == ms("14m")
    assert running(RETRIED, at("20m"), at("31m")) == 0


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("Succeeded", "succeeded"),
        ("Failed", "failed"),
        ("Expired", "failed"),
        ("Invalid", "failed"),
        ("Stopped", "censored"),
        ("Stopping", "censored"),
        ("Running", "open"),
        ("Thinking", "unknown"),
    ],
)
def test_how_a_task_ended(status: str, outcome: str) -> None:
    """Who was stopped by somebody might have ended either way."""
    assert outcome_of(lived("x", (status, "1m"))) == outcome
