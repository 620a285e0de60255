"""`halt_over` counts all targets of a policy, however much an event narrows the run."""

from __future__ import annotations

from typing import Any

import pytest

from fc_reaper.models import Exit
from tests.emulator_server import running_emulator
from tests.reaping import reap
from tests.run.account import operations, policy, seeded, stopped
from tests.run.test_promises import adds_up

PLACES = [("transcode", "prod"), ("transcode", "canary"), ("resize", "prod")]
SEED: dict[str, Any] = {
    "invocations": [
        {**seeded(f"{at}-{name}-{{n}}", "Running", count=2, enqueued="-5h", started="-3h"),
         "functionName": name, "qualifier": at}
        for name, at in PLACES
    ]
}  # fmt: skip
EVENTS = {
    "ids": [{"invocationId": f"{at}-{name}-{n}"} for name, at in PLACES for n in (1, 2)],
    "functions": [{"functionName": name} for name, _ in PLACES],
    "qualifiers": [{"functionName": name, "qualifier": at} for name, at in PLACES],
}
TARGETS = "['media/transcode@*', media/resize@prod]"


@pytest.mark.parametrize("events", EVENTS.values(), ids=EVENTS)
@pytest.mark.parametrize("shown", ["list", "get"])
def test_many_small_events_do_not_get_round_it(events: list[Any], shown: str) -> None:
    """Six are due in all; one less than that halts each of the runs."""
    with running_emulator("--events", shown, "--stopping", "5ms", seed=SEED) as cloud:
        for event in events:
            reaped = reap(cloud.endpoint, policy(targets=TARGETS, halt_over="5"), event, enforce=True)
            assert reaped.logged("halted")[0]["why"].startswith("6 tasks are due")
            assert (stopped(cloud), reaped.finished.exit) == (set(), Exit.ATTENTION)
        for event in events:
            reap(cloud.endpoint, policy(targets=TARGETS, halt_over="6"), event, enforce=True)
        assert len(stopped(cloud)) == 6


def test_tasks_that_are_only_counted_enter_no_count_and_no_line() -> None:
    """The run is about one task."""
    with running_emulator("--stopping", "5ms", seed=SEED) as cloud:
        text = policy(targets=TARGETS, halt_over="9")
        reaped = reap(
            cloud.endpoint, text, {"invocationId": "prod-resize-1"}, enforce=True, log_level="debug"
        )
        assert reaped.counts == {"functions": 1, "listed": 1, "due": 1, "confirmed": 1}
        assert {line["invocation_id"] for line in reaped.lines if "invocation_id" in line} == {
            "prod-resize-1"
        }
        assert adds_up(reaped)


def test_what_is_not_due_costs_no_count() -> None:
    """All targets are listed only if one of the tasks that are named is due."""
    with running_emulator(seed=SEED) as cloud:
        text = policy(
            targets="[media/transcode@prod, media/resize@prod]", match="{running_for: 9h}", halt_over="3"
        )
        reap(cloud.endpoint, text, {"invocationId": "prod-resize-1"}, enforce=True)
        assert "ListStatefulAsyncInvocations" not in operations(cloud)


def test_nothing_follows_from_a_count_that_failed() -> None:
    """The one function that could not be listed may have the sixth."""
    with running_emulator(seed=SEED) as cloud:
        cloud.faults([{"operation": "ListStatefulAsyncInvocations", "times": 99, "status": 403,
                       "code": "AccessDenied", "match": {"qualifier": "canary"}}])  # fmt: skip
        text = policy(targets="[media/transcode@prod, media/transcode@canary]", halt_over="5")
        reaped = reap(cloud.endpoint, text, {"functionName": "transcode", "qualifier": "prod"}, enforce=True)
        assert (stopped(cloud), reaped.finished.exit) == (set(), Exit.ATTENTION)


def test_what_is_held_out_does_not_count() -> None:
    """Whoever is spared for good is not stopped by mistake."""
    with running_emulator("--stopping", "5ms", seed=SEED) as cloud:
        text = policy(targets=TARGETS, halt_over="5", holdout="60%")
        reaped = [reap(cloud.endpoint, text, event, enforce=True) for event in EVENTS["ids"]]
        assert not [line for one in reaped for line in one.logged("halted")]
        assert len(stopped(cloud)) + sum(len(one.logged("skipped")) for one in reaped) == 6


@pytest.mark.parametrize("event", EVENTS["qualifiers"], ids=["prod", "canary", "resize"])
def test_what_is_held_out_of_a_group_elsewhere_does_not_count(event: object) -> None:
    """One of each group is too many; the share that is spared is the same, wherever the event looks."""
    keys = {"targets": TARGETS, "match": "{status: Running}", "holdout": "80%"}
    keys["keep"] = "{at_most: 1, per: qualifier, stop_first: oldest}"
    with running_emulator("--stopping", "5ms", seed=SEED) as cloud:
        due = len(reap(cloud.endpoint, policy(**keys)).logged("would_stop"))
        assert 0 < due < len(PLACES)
        assert not reap(cloud.endpoint, policy(**keys, halt_over=str(due)), event).logged("halted")


INVENTED = [
    ("['*/*@*', '*@*']", {"serviceName": "media", "functionName": "resize"}, 2, Exit.DONE),
    ("['media/*@*']", {"functionName": "transcode", "qualifier": "canary"}, 2, Exit.DONE),
    ("['media/*@*']", {"functionName": "transcoed"}, 0, Exit.REFUSED),
    ("['media/*@*']", {"functionName": "transcode", "qualifier": "blue"}, 0, Exit.REFUSED),
    ("['media/transcode@*']", {"functionName": "transcode", "qualifier": "7"}, 0, Exit.REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("targets", "event", "number", "exit"), INVENTED)
def test_a_name_that_only_a_pattern_allows_is_not_invented(
    targets: str, event: object, number: int, exit: Exit
) -> None:
    """It must be among the functions that exist; to name another is a mistake, and nothing is listed."""
    with running_emulator("--stopping", "5ms", seed=SEED) as cloud:
        reaped = reap(cloud.endpoint, policy(targets=targets), event, enforce=True, self="ops/fc-reaper")
        assert (len(stopped(cloud)), reaped.finished.exit) == (number, exit)
        assert not reaped.logged("list_failed")
        assert len(reaped.logged("trigger_refused")) == (exit is Exit.REFUSED)


def test_the_lines_of_what_is_halted_come_before_those_of_what_holdout_spares() -> None:
    """Else an alert about them would have none, where there are more than REAPER_LOG_TASKS."""
    seed = {"invocations": [seeded("over-{n}", "Running", count=10, enqueued="-5h", started="-3h")]}
    with running_emulator(seed=seed) as cloud:
        reaped = reap(cloud.endpoint, policy(halt_over="1", holdout="50%"), log_tasks="2")
    assert [line["why"] for line in reaped.logged("skipped")] == ["halted", "halted"]
    assert [line["due"] for line in reaped.logged("lines_omitted")] == [10]
