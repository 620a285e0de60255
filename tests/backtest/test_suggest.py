"""How long tasks take, and the smallest limit that spares every success."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fc_reaper.backtest.history import History, make_history
from fc_reaper.backtest.replay import ReplayOptions, replay
from fc_reaper.backtest.stats import suggest
from fc_reaper.models import Function, Target, Task, TaskEvent
from tests.backtest.lives import MIDNIGHT, history, lived, policies
from tests.builders import TRANSCODE

HUNDRED = [
    lived(f"job-{n}", ("Enqueued", "0s"), ("Running", f"{n}s"), ("Succeeded", f"{n + 60 * n}s"))
    for n in range(1, 101)
]


def suggested(*tasks: Task) -> dict[str, dict[str, Any]]:
    """What is suggested for TRANSCODE, by clock."""
    return {one["clock"]: one for one in suggest(tasks, [Target(*TRANSCODE)])}


def test_each_clock_of_a_function_has_its_percentiles_and_its_smallest_limit() -> None:
    """A hundred tasks: n seconds of waiting, n minutes of running. A percentile is the nearest rank."""
    found = suggested(*history(*HUNDRED).tasks)
    names = ("tasks", "p50_s", "p95_s", "p99_s", "max_s", "smallest_limit_s")
    assert {clock: [one[name] for name in names] for clock, one in found.items()} == {
        "alive_for": [100, 3050, 95 * 61, 99 * 61, 6100, 6100],
        "queued_for": [100, 50, 95, 99, 100, 100],
        "running_for": [100, 3000, 5700, 5940, 6000, 6000],
    }
    few = [HUNDRED[n - 1] for n in (15, 20, 35, 40, 50)]
    assert [suggested(*few)["queued_for"][name] for name in names] == [5, 35, 50, 50, 50, 50]


def test_only_tasks_that_ended_by_themselves_are_measured() -> None:
    """How long the others would have taken nobody knows; only a success bounds the limit."""
    tasks = history(
        lived("good", ("Enqueued", "0s"), ("Running", "1m"), ("Succeeded", "2m")),
        lived("bad", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "9h")),
        lived("late", ("Enqueued", "0s"), ("Expired", "3h")),
        lived("cut", ("Enqueued", "0s"), ("Running", "1m"), ("Stopping", "20h"), ("Stopped", "21h")),
        lived("asked", ("Enqueued", "0s"), ("Running", "1m"), ("Stopping", "20h")),
        lived("open", ("Enqueued", "0s"), ("Running", "1m")),
    ).tasks
    names = ("tasks", "max_s", "smallest_limit_s")
    assert {clock: [one[name] for name in names] for clock, one in suggested(*tasks).items()} == {
        "alive_for": [3, 540 * 60, 120],
        "queued_for": [3, 180 * 60, 60],
        "running_for": [2, 539 * 60, 60],
    }


def test_where_nothing_succeeded_no_limit_is_suggested() -> None:
    """Any would do, which says nothing."""
    found = suggested(lived("x", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "2m")))
    assert {one["smallest_limit_s"] for one in found.values()} == {None}


def test_functions_are_measured_apart() -> None:
    """By name and qualifier, those of the targets alone."""
    tasks = [HUNDRED[0]._replace(function=Function("media", "transcode", one)) for one in ("prod", "1", "2")]
    targets = [Target("media", "*", "prod"), Target("media", "*", "1")]
    assert [one["qualifier"] for one in suggest(tasks, targets)] == ["1"] * 3 + ["prod"] * 3


@st.composite
def good_lives(draw: st.DrawFn, number: int) -> Task:
    """A task that waited, ran, perhaps twice, and succeeded."""
    lengths = [draw(st.integers(1, 1_500_000)) for _ in range(draw(st.sampled_from([2, 4])))]
    names = ("Enqueued", "Running", "Retrying", "Running")[: len(lengths)]
    moment, events = MIDNIGHT, []
    for step, (name, length) in enumerate(zip(names, lengths, strict=True), 1):
        events.append(TaskEvent(moment, step, name))
        moment += length
    events.append(TaskEvent(moment, len(events) + 1, "Succeeded"))
    identity = (TRANSCODE, f"job-{number}", "Succeeded", f"r-{number}")
    return Task(*identity, retries=names.count("Retrying"), events=tuple(events))


@st.composite
def good_histories(draw: st.DrawFn) -> History:
    """Tasks that all succeeded."""
    return make_history(draw(good_lives(number)) for number in range(draw(st.integers(1, 5))))


@settings(deadline=None)
@given(good_histories())
def test_the_smallest_limit_stops_no_success_and_one_second_less_does(past: History) -> None:
    """Replayed at every millisecond."""
    for clock, found in suggested(*past.tasks).items():
        limit = found["smallest_limit_s"]
        exact, tight = (
            policies(f"match: {{{clock}: {seconds}s}}, budget: 100/run")
            for seconds in (limit, max(1, limit - 1))
        )
        assert replay(past, exact, ReplayOptions(1)).stops == []
        assert limit == 1 or replay(past, tight, ReplayOptions(1)).stops != []
