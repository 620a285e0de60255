"""`N/day`: what was stopped within a day, by the platform's own records, is taken off the budget."""

from __future__ import annotations

from typing import Any

import pytest

from fc_reaper.models import Exit
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import Reaped, reap
from tests.run.account import operations, policy, seeded, stopped
from tests.run.test_promises import adds_up

ACCOUNT: dict[str, Any] = {
    "invocations": [
        seeded("over-{n}", "Running", count=5, enqueued="-5h", started="-3h"),
        seeded("lately-{n}", "Stopped", count=2, enqueued="-9h", started="-9h", ends="-23h59m"),
        seeded("long-ago-{n}", "Stopped", count=9, enqueued="-40h", started="-40h", ends="-24h1m"),
        seeded("done-{n}", "Succeeded", count=9, enqueued="-9h", started="-9h", ends="-1h"),
    ]
}


def run(cloud: Emulator, budget: str, event: object = b"", **env: Any) -> Reaped:
    reaped = reap(cloud.endpoint, policy(budget=budget), event, enforce=True, **env)
    assert adds_up(reaped)
    return reaped


@pytest.mark.parametrize(
    ("budget", "number"),
    [("20/run, 4/day", 2), ("20/run, 3/day", 1), ("20/run, 2/day", 0), ("20/run, 1/day", 0),
     ("1/run, 9/day", 1), ("20/run, 200/day", 5), ("4/day", 2), ("9/day, 3/run", 3)],
)  # fmt: skip
def test_whoever_stopped_them_they_are_taken_off(budget: str, number: int) -> None:
    """Tasks that ended earlier, or by themselves, are not."""
    for lately in ("-23h59m", "-1m"):
        seed = {"invocations": [{**one, "ends": lately} if "lately" in one["invocationId"] else one
                                for one in ACCOUNT["invocations"]]}  # fmt: skip
        with running_emulator(seed=seed) as cloud:
            reaped = run(cloud, budget)
            assert len(stopped(cloud)) == number
            assert (reaped.finished.exit is Exit.ATTENTION) is (number < 5)


def test_the_line_says_what_the_day_has_left() -> None:
    """With the reason."""
    with running_emulator(seed=ACCOUNT) as cloud:
        (line,) = run(cloud, "20/run, 3/day").logged("budget_spent")
        assert (line["allowed"], line["due"]) == (1, 5)
        assert line["why"] == "2 of its tasks were stopped within a day, 3 are allowed"


def test_runs_of_one_day_share_its_budget() -> None:
    """Nothing is remembered: the second run sees what the first one stopped, even while it is Stopping."""
    for stopping in ("100ms", "never"):
        with running_emulator("--stopping", stopping, seed=ACCOUNT) as cloud:
            for _ in range(3):
                run(cloud, "1/run, 4/day")
            assert len(stopped(cloud)) == 2


def test_the_day_is_asked_for_only_when_something_is_due(cloud: Emulator) -> None:
    """An idle run costs not a call more."""
    idle = policy(match="{running_for: 99h}")
    reap(cloud.endpoint, idle, enforce=True)
    without = operations(cloud)
    cloud.reset()
    reap(cloud.endpoint, f"{idle}    budget: 20/run, 100/day\n", enforce=True)
    assert operations(cloud) == without


def test_a_policy_without_a_day_does_not_wait_for_the_count_of_another() -> None:
    """Its functions cannot be listed: it stops all the same, and what it may stop is taken off every day."""
    text = """\
version: 1
policies:
  - {name: any, targets: [media/transcode@prod, 'm*/*@*'], match: {running_for: 2h}, stop: x, budget: 2/run}
  - {name: daily, targets: [resize], match: {running_for: 2h}, stop: x, budget: 5/day}
"""
    three = {"functionName": "resize", "status": "Running", "enqueued": "-5h", "started": "-3h", "count": 9}
    seed = {"invocations": [*ACCOUNT["invocations"], {**three, "invocationId": "three-{n}"}]}
    with running_emulator(seed=seed) as cloud:
        cloud.faults([{"operation": "ListStatefulAsyncInvocationFunctions", "status": 403, "times": 9}])
        reaped = reap(cloud.endpoint, text, enforce=True)
        assert adds_up(reaped)
        assert len({one for one in stopped(cloud) if one.startswith("over")}) == 2
        assert len({one for one in stopped(cloud) if one.startswith("three")}) == 3


def test_what_cannot_be_counted_is_taken_for_spent() -> None:
    """Nothing follows from records that nobody could list."""
    with running_emulator(seed=ACCOUNT) as cloud:
        fault = {
            "operation": "ListStatefulAsyncInvocations",
            "times": 99,
            "status": 403,
            "code": "AccessDenied",
        }
        cloud.faults([{**fault, "match": {"status": "Stopped"}}])
        reaped = run(cloud, "20/run, 100/day")
        assert stopped(cloud) == set()
        assert reaped.finished.exit is Exit.ATTENTION
        (line,) = reaped.logged("budget_spent")
        assert "AccessDenied" in line["why"]


def test_a_day_that_time_does_not_allow_to_be_counted_makes_the_run_partial() -> None:
    """And nothing is stopped."""
    with running_emulator(seed=ACCOUNT) as cloud:
        listing = {"operation": "ListStatefulAsyncInvocations", "match": {"status": "Stopped"}}
        cloud.faults([{**listing, "times": 99, "delay": "9s"}])
        text = policy(budget="20/run, 100/day")
        reaped = reap(cloud.endpoint, text, enforce=True, timeout=1.5, margin="1s", concurrency="1")
        assert (stopped(cloud), reaped.finished.fields["partial"]) == (set(), True)
        (line,) = reaped.logged("budget_spent")
        assert "it is not known how many" in line["why"]


def test_all_targets_count_whatever_the_event_asks_about() -> None:
    """An event that names one function gets no budget of its own."""
    other = [
        {**one, "functionName": "resize"}
        for one in ACCOUNT["invocations"]
        if "over" not in one["invocationId"]
    ]
    over = ACCOUNT["invocations"][:1]
    about = {"serviceName": "media", "functionName": "transcode"}
    for targets in ("['media/*@*']", "[media/transcode@prod, media/resize@prod]"):
        with running_emulator(seed={"invocations": [*over, *other]}) as cloud:
            text = policy(targets=targets, budget="20/run, 3/day")
            reap(cloud.endpoint, text, about, enforce=True)
            assert len(stopped(cloud)) == 1


@pytest.mark.parametrize("code", ["FunctionNotFound", "ServiceNotFound", ""])
def test_a_function_whose_tasks_were_listed_has_not_gone(code: str) -> None:
    """Not found, its stopped tasks are not none: they cannot be counted."""
    with running_emulator(seed=ACCOUNT) as cloud:
        gone = {"status": 404, "code": code} if code else {"status": 404, "foreign": "no such page"}
        operation = "ListStatefulAsyncInvocations"
        cloud.faults([{"operation": operation, "match": {"status": "Stopped"}, "times": 999, **gone}])
        reaped = run(cloud, "20/run, 4/day")
        assert stopped(cloud) == set()
        assert reaped.finished.exit is Exit.ATTENTION


def test_a_target_that_does_not_exist_has_stopped_nothing() -> None:
    """The day of the others can be counted all the same."""
    with running_emulator(seed=ACCOUNT) as cloud:
        reap(cloud.endpoint, policy(targets="[media/transcode@prod, media/gone]", budget="20/run, 4/day"),
             enforce=True)  # fmt: skip
        assert len(stopped(cloud)) == 2


@pytest.mark.parametrize(
    "event", [b"", {"functionName": "transcode"}, {"invocationId": "over-1"}], ids=["all", "function", "task"]
)
def test_what_discovery_leaves_out_and_another_policy_writes_out_counts(event: object) -> None:
    """The policy with the pattern stops tasks of that function, so it counts those that were stopped."""
    text = """\
version: 1
policies:
  - {name: daily, targets: ['*/*@*'], match: {running_for: 2h}, stop: x, budget: '20/run, 2/day'}
  - {name: other, targets: [media/transcode@prod], match: {running_for: 9h}, report: x}
"""
    with running_emulator(seed=ACCOUNT) as cloud:
        cloud.faults(
            [{"operation": "ListStatefulAsyncInvocationFunctions", "status": 200, "body": {}, "times": 9}]
        )
        reaped = reap(cloud.endpoint, text, event, enforce=True, self="ops/fc-reaper")
        assert adds_up(reaped)
        assert [line["allowed"] for line in reaped.logged("budget_spent")] == [0]
        assert stopped(cloud) == set()


def test_two_policies_of_one_function_do_not_spend_the_same_day_twice() -> None:
    """What the first is about to stop is taken off the second's day."""
    text = (
        policy(budget="2/run, 9/day")
        + """\
  - name: second
    targets: [media/transcode@prod]
    match: {alive_for: 4h, id: over-*}
    stop: b
    budget: 20/run, 4/day
"""
    )
    seed = {
        "invocations": [*ACCOUNT["invocations"], seeded("over-q{n}", "Enqueued", count=5, enqueued="-5h")]
    }
    with running_emulator(seed=seed) as cloud:
        assert adds_up(reap(cloud.endpoint, text, enforce=True))
        assert len(stopped(cloud)) == 2


def test_a_dry_run_counts_the_day_as_an_enforcement_does() -> None:
    """One code path."""
    with running_emulator(seed=ACCOUNT) as cloud:
        dry_run = reap(cloud.endpoint, policy(budget="20/run, 4/day")).ids("would_stop")
        run(cloud, "20/run, 4/day")
        assert dry_run == stopped(cloud)
        assert len(dry_run) == 2


def test_a_share_is_held_out_of_every_run() -> None:
    """The held-out tasks are due and spared; that needs no attention."""
    seed = {"invocations": [seeded("job-{n}", "Running", count=60, enqueued="-5h", started="-3h")]}
    with running_emulator(seed=seed) as cloud:
        text = policy(holdout="25%", budget="100/run")
        reaped = reap(cloud.endpoint, text, enforce=True)
        held = reaped.ids("skipped")
        assert adds_up(reaped)
        assert reaped.finished.exit is Exit.DONE
        assert {line["why"] for line in reaped.logged("skipped")} == {"spared"}
        assert 5 < len(held) < 25
        assert stopped(cloud) == {f"job-{n}" for n in range(1, 61)} - held
        again = reap(cloud.endpoint, text, enforce=True)
        assert again.ids("skipped") == held


@pytest.mark.parametrize("events", ["list", "get"])
def test_what_the_run_reads_as_stopped_counts_though_the_list_lags(events: str) -> None:
    """The list says Running for five more seconds; each reading tells otherwise."""
    seed = {"invocations": [seeded("job-{n}", "Running", count=12, enqueued="-5h", started="-3h")]}
    for stopping in ("5ms", "never"):
        with running_emulator(
            "--list-lag", "30s", "--stopping", stopping, "--events", events, seed=seed
        ) as cloud:
            for _ in range(3):
                run(cloud, "5/run, 5/day")
            assert len(stopped(cloud)) == 5


def test_a_long_history_is_left_unread() -> None:
    """What was stopped before any task of today can have begun is not listed."""
    old = seeded("gone-{n}", "Stopped", count=2_000, enqueued="-50d", started="-50d", ends="-49d")
    never = seeded("queued-1", "Stopped", enqueued="-20h", ends="-1h")
    lived = seeded("lived-1", "Stopped", enqueued="-30d", started="-1d", ends="-1h")
    for meaning in ("enqueue", "execution"):
        with running_emulator(
            "--started-time", meaning, seed={"invocations": [ACCOUNT["invocations"][0], old, never, lived]}
        ) as cloud:
            run(cloud, "20/run, 4/day")
            assert len(stopped(cloud)) == 2
            assert operations(cloud)["ListStatefulAsyncInvocations"] < 10


@pytest.mark.parametrize("started_time", ["enqueue", "execution"])
@pytest.mark.parametrize(
    "spent",
    [
        seeded("x-{n}", "Stopping", count=2, enqueued="-5h", started="-3h", stopping="-1m"),
        seeded("x-{n}", "Stopped", count=2, enqueued="-5h", ends="-1h"),
        seeded("x-{n}", "Stopped", count=2, enqueued="-5h", ends="-1h", startedTime=0),
        seeded("x-{n}", "Stopped", count=2, enqueued="-20d", started="-10d", ends="-1h"),
    ],
    ids=["they are stopping", "they never ran", "their startedTime is 0", "they ran for days"],
)
def test_what_was_stopped_elsewhere_in_the_targets_counts(spent: dict[str, Any], started_time: str) -> None:
    """The event is about another function, whose tasks alone this run lists."""
    due = seeded("over-{n}", "Running", count=3, enqueued="-5h", started="-3h")
    text = policy(targets="[media/transcode@prod, media/resize@prod]", budget="20/run, 3/day")
    about = {"serviceName": "media", "functionName": "transcode"}
    seed = {"invocations": [due, {**spent, "functionName": "resize"}]}
    with running_emulator("--stopping", "5ms", "--started-time", started_time, seed=seed) as cloud:
        reap(cloud.endpoint, text, about, enforce=True)
        assert len(stopped(cloud)) == 1
