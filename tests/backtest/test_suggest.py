"""How long tasks take, and the smallest limit that spares every success."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fc_reaper.backtest.history import History, make_history
from fc_reaper.backtest.replay import ReplayOptions, replay
from fc_reaper.backtest.stats import percentile, smallest_limit, suggest
from fc_reaper.models import Function, Task, TaskEvent
from fc_reaper.rules.duration import spell_duration
from tests.backtest.lives import MIDNIGHT, history, lived, policies
from tests.builders import TRANSCODE

HUNDRED = [
    lived(f"job-{n}", ("Enqueued", "0s"), ("Running", f"{n}s"), ("Succeeded", f"{n + 60 * n}s"))
    for n in range(1, 101)
]


def test_percentiles_are_the_nearest_rank() -> None:
    """The smallest value such that so many percent are not greater."""
    assert [percentile(range(1, 101), share) for share in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert [percentile([15, 20, 35, 40, 50], share) for share in (5, 30, 40, 50, 100)] == [15, 20, 20, 35, 50]
    assert percentile([7], 50) == 7


def test_each_measure_of_a_function_has_its_spread() -> None:
    """A hundred tasks: n seconds of waiting, n minutes of running."""
    (found,) = suggest(history(*HUNDRED).tasks)
    assert (found["service"], found["function"], found["qualifier"]) == TRANSCODE
    assert found["ended"] == {"Succeeded": 100}
    queue, run, alive = found["measures"].values()
    assert [one["clock"] for one in (queue, run, alive)] == ["queued_for", "running_for", "alive_for"]
    assert [queue[name] for name in ("p50_s", "p95_s", "p99_s", "max_s")] == [50, 95, 99, 100]
    assert [run[name] for name in ("tasks", "p50_s", "max_s")] == [100, 50 * 60, 100 * 60]
    assert alive["max_s"] == 100 * 60 + 100
    limit = ("smallest_limit", "smallest_limit_s", "unit_s")
    assert [run[name] for name in limit] == ["1h40m", 100 * 60, 60]
    assert [queue[name] for name in limit] == ["1m40s", 100, 1]


def test_only_tasks_that_ended_by_themselves_are_measured() -> None:
    """The others are counted; how long they would have taken nobody knows."""
    tasks = history(
        lived("good", ("Enqueued", "0s"), ("Running", "1m"), ("Succeeded", "2m")),
        lived("bad", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "9h")),
        lived("late", ("Enqueued", "0s"), ("Expired", "3h")),
        lived("cut", ("Enqueued", "0s"), ("Running", "1m"), ("Stopping", "20h"), ("Stopped", "21h")),
        lived("asked", ("Enqueued", "0s"), ("Running", "1m"), ("Stopping", "20h")),
        lived("open", ("Enqueued", "0s"), ("Running", "1m")),
    ).tasks
    (found,) = suggest(tasks)
    assert found["ended"] == {"Succeeded": 1, "Failed": 1, "Expired": 1}
    assert (found["stopped"], found["alive"]) == (2, 1)
    measured = [[one["tasks"], one["max_s"], one["smallest_limit"]] for one in found["measures"].values()]
    assert measured == [[3, 180 * 60, "1m"], [2, 539 * 60, "1m"], [3, 540 * 60, "2m"]]


def test_where_nothing_succeeded_no_limit_is_suggested() -> None:
    """Any would do, which says nothing."""
    (found,) = suggest(history(lived("x", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "2m"))).tasks)
    assert [one["smallest_limit"] for one in found["measures"].values()] == [None, None, None]


def test_functions_are_measured_apart() -> None:
    """By name and qualifier."""
    other = HUNDRED[0]._replace(function=Function("media", "transcode", "LATEST"))
    assert [one["qualifier"] for one in suggest([*HUNDRED[:2], other])] == ["LATEST", "prod"]


def test_limits_are_whole_seconds_up_to_ten_minutes_and_whole_minutes_beyond() -> None:
    """Exactly at a limit is not over it, and with its last millisecond a task has ended."""
    assert smallest_limit(1) == (1_000, 1_000)
    assert smallest_limit(90_000) == (90_000, 1_000)
    assert smallest_limit(90_001) == (90_000, 1_000)
    assert smallest_limit(90_002) == (91_000, 1_000)
    assert smallest_limit(600_000) == (600_000, 1_000)
    assert smallest_limit(2_400_002) == (2_460_000, 60_000)


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
def test_the_smallest_limit_stops_no_success_and_one_unit_less_does(past: History) -> None:
    """Replayed at every millisecond."""
    (found,) = suggest(past.tasks)
    for one in found["measures"].values():
        exact = policies(f"match: {{{one['clock']}: {one['smallest_limit']}}}, budget: 100/run")
        assert replay(past, exact, ReplayOptions(1)).stops == []
        if one["smallest_limit_s"] > one["unit_s"]:
            less = spell_duration(round(1000 * (one["smallest_limit_s"] - one["unit_s"])))
            tight = policies(f"match: {{{one['clock']}: {less}}}, budget: 100/run")
            assert replay(past, tight, ReplayOptions(1)).stops != []
