"""Two runs at once over the same tasks, a timer's and an alert's: true lines, and a bound on the day."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from random import Random
from threading import Barrier
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.emulator_server import Emulator, running_emulator
from tests.reaping import Reaped, reap
from tests.reliability.case import HURRIED, STOP, effective_stops
from tests.run.account import policy, seeded
from tests.run.test_promises import adds_up

TIMER = {"triggerTime": "2026-11-22T00:00:00Z", "triggerName": "schedule", "payload": ""}
ALERT = {
    "alertName": "backlog", "alertState": "ALERT", "curValue": "9", "metricName": "FunctionOnDemandInstance",
    "ruleId": "r", "dimensions": "{functionName=transcode, serviceName=media}",
}  # fmt: skip

ACCOUNT = {
    "invocations": [
        seeded("over-{n}", "Running", count=8, enqueued="-5h", started="-3h"),
        seeded("young-{n}", "Running", count=3, enqueued="-10m", started="-9m"),
        seeded("keep-{n}", "Running", count=2, enqueued="-9h", started="-9h"),
    ]
}

SWITCHES = [
    ("--stop-stopping", stopping, "--stop-finished", finished, "--list-lag", lag)
    for stopping, finished, lag in product(("200", "412"), ("412", "400"), ("0s", "30s"))
]


def at_once(cloud: Emulator, text: str, *events: Mapping[str, Any]) -> list[Reaped]:
    """A run for each event, begun at the same moment, each with a client of its own."""
    barrier = Barrier(len(events))

    def run(number: int) -> Reaped:
        barrier.wait()
        return reap(cloud.endpoint, text, events[number], enforce=True, clock=HURRIED, random=Random(number))

    with ThreadPoolExecutor(len(events)) as pool:
        return list(pool.map(run, range(len(events))))


def is_true(ran: Reaped, cloud: Emulator) -> None:
    """What one of several runs says is what its own calls, and the journal, have."""
    assert adds_up(ran)
    run_id = ran.lines[0]["run_id"]
    its = [
        call for call in cloud.calls()["recent"] if call["traceId"] == run_id and call["operation"] == STOP
    ]
    accepted = {call["path"].rpartition("/")[2] for call in its if call["status"] == 200}
    ended = {entry["invocationId"] for entry in cloud.journal() if entry["to"] == "Stopped"}
    assert ran.ids("accepted") == accepted
    assert ran.ids("confirmed") <= accepted & ended
    assert ran.ids("ended") <= ended
    assert not ran.ids("stop_failed")


@pytest.mark.parametrize("switches", SWITCHES, ids=" ".join)
def test_two_runs_at_once_stop_what_is_due_and_say_what_is_true(switches: tuple[str, ...]) -> None:
    """Each task is stopped once, by one of the two, and nothing else is."""
    with running_emulator("--stopping", "5ms", *switches, seed=ACCOUNT) as cloud:
        runs = at_once(cloud, policy(), TIMER, ALERT)
        stops = effective_stops(cloud)
        assert stops == {f"over-{number}": 1 for number in range(1, 9)}
        for ran in runs:
            is_true(ran, cloud)
        assert {run.finished.result.trigger for run in runs} == {"timer", "alert"}


def test_two_runs_at_once_keep_as_many_as_one_would() -> None:
    """Six count, two may stay; both runs choose the same four."""
    with running_emulator("--stopping", "5ms", "--list-lag", "30s", seed=ACCOUNT) as cloud:
        text = policy(match="{running_for: 2h, id: 'over-*'}", keep="{at_most: 5}")
        for ran in at_once(cloud, text, TIMER, TIMER):
            is_true(ran, cloud)
        assert len(effective_stops(cloud)) == 3


FUNCTIONS = ("a", "b", "c")
LAG = 30

SEVERAL = {
    "invocations": [
        {**seeded(f"over-{name}-{{n}}", "Running", count=9, started="-3h"), "functionName": name}
        for name in FUNCTIONS
    ]
}


def alert(name: str) -> dict[str, str]:
    return {**ALERT, "dimensions": f"{{functionName={name}, serviceName=media}}"}


events = st.sampled_from([TIMER, *map(alert, FUNCTIONS)])
gaps = st.sampled_from([0, 0, 10, LAG + 2])


@settings(max_examples=settings().max_examples // 8)
@given(st.integers(1, 5), st.integers(1, 8), st.lists(st.tuples(gaps, events), min_size=1, max_size=5))
@example(5, 5, [(0, alert("a")), (0, alert("b")), (0, alert("c")), (LAG + 2, TIMER)])
def test_a_days_budget_is_overspent_by_at_most_one_share_for_each_run_within_the_lag(
    a_run: int, a_day: int, started: list[tuple[int, dict[str, str]]]
) -> None:
    """A share is what one run may stop. A run that starts when lists show all stops overspends nothing."""
    targets = "[" + ", ".join(f"media/{name}@prod" for name in FUNCTIONS) + "]"
    text = policy(targets=targets, budget=f"{a_run}/run, {a_day}/day")
    share, within, since = min(a_run, a_day), 0, LAG + 1
    with running_emulator("--stopping", "0ms", "--list-lag", f"{LAG}s", seed=SEVERAL) as cloud:
        for gap, event in started:
            if gap:
                cloud.advance(f"{gap}s")
            since += gap
            within += since <= LAG
            before = len(effective_stops(cloud))
            assert adds_up(reap(cloud.endpoint, text, event, enforce=True, clock=HURRIED))
            stopped = len(effective_stops(cloud)) - before
            assert stopped <= share
            since = 0 if stopped else since
        assert len(effective_stops(cloud)) <= a_day + share * within


def test_the_bound_is_reached_by_runs_at_once_over_different_functions() -> None:
    """Three alerts at the same moment: no list shows what the others stop. Later nothing more is stopped."""
    targets = "[" + ", ".join(f"media/{name}@prod" for name in FUNCTIONS) + "]"
    with running_emulator("--stopping", "0ms", "--list-lag", f"{LAG}s", seed=SEVERAL) as cloud:
        text = policy(targets=targets, budget="4/run, 4/day")
        for ran in at_once(cloud, text, *map(alert, FUNCTIONS)):
            is_true(ran, cloud)
        assert len(effective_stops(cloud)) == 12
        cloud.advance(f"{LAG + 2}s")
        (line,) = reap(cloud.endpoint, text, TIMER, enforce=True).logged("budget_spent")
        assert (line["allowed"], len(effective_stops(cloud))) == (0, 12)
