"""Which records can be replayed, and what is said of the others."""

from __future__ import annotations

import pytest

from fc_reaper.backtest.history import make_history
from fc_reaper.models import Task
from tests.backtest.lives import at, lived
from tests.builders import TRANSCODE

GOOD = lived("good", ("Enqueued", "0s"), ("Running", "1m"), ("Succeeded", "5m"))


def test_a_record_without_dated_events_is_counted_and_not_replayed() -> None:
    """Also one of whose events some have no date: nobody knows which was the latest."""
    bare = Task(TRANSCODE, "bare", "Succeeded", started_at=at("0s"), ended_at=at("5m"))
    partly = GOOD._replace(invocation_id="partly", undated=("Retrying",))
    history = make_history([GOOD, bare, partly])
    assert [task.invocation_id for task in history.tasks] == ["good"]
    assert (history.records, history.undated) == (3, 2)


@pytest.mark.parametrize(
    ("task", "why"),
    [
        pytest.param(GOOD._replace(inconsistency="the record has no id"), "no id", id="inconsistent"),
        pytest.param(GOOD._replace(status="Failed"), "contradicts its latest event Succeeded", id="two ends"),
        pytest.param(
            lived("x", ("Enqueued", "0s"), ("Succeeded", "1m"), ("Running", "2m"), ("Failed", "3m")),
            "an event that says it ended",
            id="an end and then a life",
        ),
        pytest.param(
            lived("x", ("Enqueued", "0s"), ("Running", "1m"), status="Enqueued"),
            "contradicts its latest event Running",
            id="alive in another way",
        ),
        pytest.param(
            lived("x", ("Enqueued", "0s"), ("Running", "1m"), status="Succeeded", ended_at=at("30s")),
            "contradicts its latest event Running",
            id="ended before its last event",
        ),
        pytest.param(
            lived("x", ("Enqueued", "0s"), ("Running", "1m"), started_at=at("10m")),
            "startedTime is later",
            id="started after its last event",
        ),
    ],
)
def test_a_record_at_odds_with_itself_proves_nothing(task: Task, why: str) -> None:
    """It is named with the reason."""
    history = make_history([task])
    assert list(history.tasks) == []
    (found,) = history.contradicting
    assert found.invocation_id == task.invocation_id
    assert why in (found.inconsistency or "")


def test_an_end_that_only_endtime_dates_counts_as_an_event() -> None:
    """A record that is Succeeded, and whose events end with Running."""
    history = make_history(
        [lived("x", ("Enqueued", "0s"), ("Running", "1m"), status="Succeeded", ended_at=at("9m"))]
    )
    (task,) = history.tasks
    assert (task.events[-1].status, task.events[-1].at) == ("Succeeded", at("9m"))


def test_a_history_reaches_up_to_the_last_moment_that_a_sound_record_tells_of() -> None:
    """Dates of events, startedTime and endTime; what contradicts itself tells of nothing."""
    bare = Task(TRANSCODE, "bare", "Succeeded", started_at=at("0s"), ended_at=at("9m"))
    wrong = GOOD._replace(invocation_id="wrong", status="Failed", ended_at=at("9h"))
    assert make_history([GOOD]).end == at("5m")
    assert make_history([GOOD, bare, wrong]).end == at("9m")
    assert make_history([GOOD._replace(ended_at=at("6m"))]).end == at("6m")
    assert make_history([wrong]).end == 0


def test_of_several_records_about_one_task_the_latest_word_counts() -> None:
    """Histories are exported again and again; the same id with another request id is another task."""
    young = lived("good", ("Enqueued", "0s"), ("Running", "1m"))
    other = GOOD._replace(request_id="r-other")
    for order in ([young, GOOD, other], [GOOD, other, young]):
        history = make_history(order)
        assert sorted(task.request_id or "" for task in history.tasks) == ["r-good", "r-other"]
        assert {task.status for task in history.tasks} == {"Succeeded"}
        assert (history.records, history.repeated) == (3, 1)


def test_retries_that_no_event_tells_are_counted() -> None:
    """`retries_over` would see too few of them."""
    assert make_history([GOOD._replace(retries=2)]).retried_more_than_told == 1
    assert make_history([GOOD._replace(retries=0)]).retried_more_than_told == 0
