"""The queries of a scan: as few as are sound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.evaluator.evaluate import compile_policies, evaluate
from fc_reaper.models import Query
from fc_reaper.rules.ages import StartedTime
from fc_reaper.rules.result import Kind
from fc_reaper.sweep.scanner import queries
from tests.builders import AT_NOON, NOON, TRANSCODE, a_policy, a_task, ago, compiled, ms

ALIVE = {"Enqueued", "Dequeued", "Running", "Retrying"}


def wanted(match: str, meaning: StartedTime = "unknown") -> dict[str, Query]:
    """The queries for one policy, by status."""
    policies = compiled(a_policy(match), started_time=meaning)
    return {query.status: query for query in queries(TRANSCODE, policies, NOON)}


@pytest.mark.parametrize(
    ("match", "statuses"),
    [
        ("{running_for: 2h}", {"Running", "Stopping"}),
        ("{queued_for: 2h}", {"Enqueued", "Dequeued", "Stopping"}),
        ("{alive_for: 2h}", ALIVE | {"Stopping"}),
        ("{alive_for: 2h, status: Retrying}", {"Retrying", "Stopping"}),
        ("{stopping_for: 5m}", {"Stopping"}),
    ],
)
def test_only_the_statuses_that_matter_are_listed(match: str, statuses: set[str]) -> None:
    """And always Stopping, since stuck tasks are reported in every run."""
    assert set(wanted(match)) == statuses


@pytest.mark.parametrize(
    ("match", "meaning", "bound"),
    [
        ("{running_for: 2h}", "unknown", "2h"),
        ("{running_for: 2h}", "execution", "2h"),
        ("{running_for: 2h, alive_for: 5h}", "unknown", "2h"),
        ("{running_for: 2h, alive_for: 5h}", "enqueue", "5h"),
        ("{alive_for: 2h}", "enqueue", "2h"),
        ("{alive_for: 2h}", "execution", None),
        ("{alive_for: 2h}", "unknown", None),
    ],
)
def test_started_time_is_pushed_down_only_where_it_is_sound(
    match: str, meaning: StartedTime, bound: str | None
) -> None:
    """With a second of slack, since the cloud gives its time in seconds."""
    expected = None if bound is None else ago(bound) + 1000
    assert wanted(match, meaning)["Running"].started_before == expected
    assert wanted(match, meaning)["Stopping"].started_before is None


@pytest.mark.parametrize(
    ("ids", "prefix"), [("'batch-*'", "batch-"), ("['ab-1*', 'ab-2']", "ab-"), ("'*x'", "")]
)
def test_a_common_beginning_of_the_ids_is_pushed_down(ids: str, prefix: str) -> None:
    """Only what every glob begins with."""
    assert wanted(f"{{running_for: 1h, id: {ids}}}")["Running"].id_prefix == prefix


def test_where_policies_differ_the_weakest_filter_is_used() -> None:
    """One listing serves all policies of a function, so it must show what any of them could want."""
    file = a_policy("{running_for: 2h, id: 'batch-*'}")
    more = a_policy("{running_for: 1h, id: 'bat*'}")
    both = compile_policies(TRANSCODE, [*file.policies, *more.policies], ())
    (running,) = [query for query in queries(TRANSCODE, both, NOON) if query.status == "Running"]
    assert (running.started_before, running.id_prefix) == (ago("1h") + 1000, "bat")


@given(
    st.sampled_from(["running_for", "alive_for", "queued_for"]),
    st.integers(1, 400),
    st.lists(st.integers(0, 500), min_size=1, max_size=4),
    st.sampled_from(["enqueue", "execution"]),
)
def test_no_due_task_is_ever_filtered_out(
    clock: str, limit: int, minutes: list[int], truth: StartedTime
) -> None:
    """Whatever `startedTime` means, and whether or not we know it, what is due passes the filter."""
    first, *rest = sorted(minutes, reverse=True)
    events = [("Enqueued", f"{first}m")] + [("Running", f"{minute}m") for minute in rest]
    events = [(name, "0s" if when == "0m" else when) for name, when in events]
    started = NOON - ms(events[0][1] if truth == "enqueue" else events[-1][1])
    task = a_task(events[-1][0], *events, started_at=started)
    for setting in ("unknown", truth):
        policies = compiled(a_policy(f"{{{clock}: {limit}m}}"), started_time=setting)
        if evaluate(task, policies, AT_NOON).kind is not Kind.DUE:
            continue
        shown = [query for query in queries(TRANSCODE, policies, NOON) if query.status == task.status]
        assert shown
        assert all(query.started_before is None or started <= query.started_before for query in shown)
