"""What bounds a run: budgets, lines, rate, and another run at the same time."""

from __future__ import annotations

import threading
import time
from itertools import count
from threading import Lock
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.clock import SYSTEM_CLOCK, Clock, RateLimiter
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.errors import CloudError
from fc_reaper.models import Function, Snapshot
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import FASTER, reap
from tests.run.account import POLICY, SEED, operations, policy, seeded, stopped

MANY = {"invocations": [seeded("over-{n}", "Running", count=30, enqueued="-5h", started="-3h")]}


def test_a_spent_budget_is_logged_with_its_numbers(cloud: Emulator) -> None:
    """How many were due, and how many were allowed."""
    reaped = reap(cloud.endpoint, policy(budget="2/run"))
    (line,) = reaped.logged("budget_spent")
    assert (line["policy"], line["due"], line["allowed"]) == ("runaway", 3, 2)


def test_lines_beyond_the_limit_are_counted_instead() -> None:
    """Ten task lines, and one that says how many there would have been."""
    with running_emulator(seed=MANY) as cloud:
        reaped = reap(cloud.endpoint, policy(budget="50/run"), log_tasks="10")
    (line,) = reaped.logged("lines_omitted")
    assert len(reaped.logged("would_stop")) == 10
    assert (line["omitted"], line["policy"]) == ("would_stop", "runaway")
    assert (line["due"], line["allowed"]) == (30, 10)
    assert reaped.counts["would_stop"] == 30


def test_an_event_cannot_flood_the_log(cloud: Emulator) -> None:
    """Ten thousand requests that cannot be followed are ten lines, also where the settings are wrong."""
    event = [{"invocationId": f"gone-{number}"} for number in range(200)]
    reaped = reap(cloud.endpoint, POLICY, event, log_tasks="10")
    told = {line["omitted"]: (line["policy"], line["due"]) for line in reaped.logged("lines_omitted")}
    assert len(reaped.logged("trigger_refused")) == 10
    assert told == {"trigger_refused": (None, 200)}
    reaped = reap(cloud.endpoint, POLICY, [3] * 200, log_tasks="none")
    assert len(reaped.logged("trigger_unrecognised")) <= 100
    assert reaped.lines[-1]["event"] == "run_finished"


def test_an_event_that_names_too_many_tasks_ends_with_its_time(cloud: Emulator) -> None:
    """What was not looked for is refused and the run says that it is partial, however many there are."""
    ticks = count()
    clock = FASTER._replace(monotonic=lambda: next(ticks) / 100)
    event = [{"invocationId": f"gone-{number}"} for number in range(3000)]
    reaped = reap(cloud.endpoint, POLICY, event, clock=clock, timeout=12, margin="2s", log_tasks="5")
    (line,) = reaped.logged("lines_omitted")
    assert reaped.finished.result.partial
    assert (line["omitted"], line["due"]) == ("trigger_refused", 3000)
    assert sum(operations(cloud).values()) < 1500


def test_functions_that_cannot_be_listed_do_not_flood_the_log(cloud: Emulator) -> None:
    """One line each, as many as there may be, and a count."""
    targets = ", ".join(f"media/f{number}@prod" for number in range(12))
    cloud.faults([{"operation": "*", "times": 99, "status": 403, "code": "AccessDenied"}])
    reaped = reap(cloud.endpoint, policy(targets=f"[{targets}]"), log_tasks="5")
    (line,) = reaped.logged("lines_omitted")
    assert len(reaped.logged("list_failed")) == 5
    assert (line["omitted"], line["policy"], line["due"]) == ("list_failed", None, 12)


def test_a_story_that_was_begun_is_logged_to_its_end() -> None:
    """Whoever had an `accepted` line gets the `confirmed` one, too."""
    with running_emulator("--stopping", "5ms", seed=MANY) as cloud:
        reaped = reap(cloud.endpoint, policy(budget="50/run"), enforce=True, log_tasks="5")
    assert reaped.ids("accepted") == reaped.ids("confirmed")
    assert len(reaped.ids("accepted")) == 5


def test_kept_tasks_are_logged_at_debug(cloud: Emulator) -> None:
    """Each with the rule that keeps it."""
    reaped = reap(cloud.endpoint, POLICY, log_level="debug")
    rules = {
        line["invocation_id"]: line["rule"] for line in (*reaped.logged("kept"), *reaped.logged("exempt"))
    }
    assert (rules["vip-1"], rules["keep-1"], rules["stuck-1"]) == ("unless", "exempt", "status")


@pytest.mark.parametrize(("over", "new"), [("2h4m", True), ("2h30m", False)])
def test_a_task_that_was_not_due_two_ticks_ago_is_new(over: str, new: bool) -> None:
    """The timer's interval is a setting."""
    seed = {"invocations": [seeded("t-1", "Running", enqueued=f"-{over}", started=f"-{over}")]}
    with running_emulator(seed=seed) as cloud:
        assert reap(cloud.endpoint, POLICY, interval="5m").logged("would_stop")[0]["new"] is new


class FakeTime:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self._lock = Lock()

    def clock(self) -> Clock:
        return Clock(lambda: 0, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


@given(st.integers(1, 7), st.integers(1, 40))
def test_in_no_second_are_there_more_calls_than_the_rate(rate: int, calls: int) -> None:
    """As many as the rate may begin at once; then each waits for its turn."""
    time = FakeTime()
    limiter = RateLimiter(rate, 1.0, time.clock())
    begun = []
    for _ in range(calls):
        limiter(None)
        begun.append(time.now)
    for number in range(len(begun) - rate):
        assert begun[number + rate] - begun[number] >= 1.0 - 1e-9
    assert begun[: min(rate, calls)] == [0.0] * min(rate, calls)


def test_no_turn_is_waited_for_that_comes_too_late() -> None:
    """Nothing was sent, and the error says so."""
    limiter = RateLimiter(1, 1.0, FakeTime().clock())
    limiter(None)
    with pytest.raises(CloudError) as caught:
        limiter(0.5)
    assert caught.value.out_of_time


def test_a_stop_follows_its_reading_at_once(cloud: Emulator) -> None:
    """However slow the rate: the turn of the stop is waited for before the task is read."""
    reap(cloud.endpoint, policy(unless="[over-2, over-3, vip-*]"), enforce=True, rate="2/s", timeout=30)
    calls = cloud.calls()["recent"]
    stop = next(number for number, call in enumerate(calls) if call["operation"].startswith("Stop"))
    assert calls[stop - 1]["operation"].startswith("Get")
    assert calls[stop]["at"] - calls[stop - 1]["at"] < 400


def test_a_reading_that_comes_after_the_time_was_up_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though there is time left to verify what was stopped before: what is said of the task stays true."""
    verifying, get = threading.Event(), AsyncTaskClient.get

    def late(client: AsyncTaskClient, function: Function, invocation_id: str, **more: Any) -> Snapshot:
        seen = get(client, function, invocation_id, **more)
        if invocation_id == "over-2":
            verifying.wait(30)
        return seen

    def sleep(_seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():
            verifying.set()
            time.sleep(0.3)

    monkeypatch.setattr(AsyncTaskClient, "get", late)
    fast = Clock(SYSTEM_CLOCK.now, lambda: 10 * time.monotonic(), sleep)
    with running_emulator("--stopping", "5ms", seed=SEED) as cloud:
        reaped = reap(cloud.endpoint, policy(), enforce=True, timeout=20, margin="2s", clock=fast)
        assert verifying.is_set()
        assert "over-2" not in stopped(cloud)
    (line,) = reaped.logged("skipped")
    assert (line["invocation_id"], line["why"]) == ("over-2", "margin")


def test_no_wait_before_the_verification_goes_beyond_the_end(cloud: Emulator) -> None:
    """With less than the usual two seconds left it is shorter, so that there is time to read."""
    waits = [0.0]

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        FASTER.sleep(seconds)

    clock = FASTER._replace(sleep=sleep)
    reap(cloud.endpoint, policy(), enforce=True, timeout=4, margin="2s", clock=clock)
    assert stopped(cloud)
    assert max(waits) < 2
