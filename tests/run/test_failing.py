"""What cannot be read or stopped spends no budget and starves nobody; what is unclear spends it."""

from __future__ import annotations

from typing import Any

import pytest

from fc_reaper.models import Exit
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import Reaped, reap
from tests.run.account import operations, policy, seeded, stopped
from tests.run.test_promises import adds_up

ANOTHER = {"invocationId": "other", "status": "Stopped"}
BAD, GOOD = {"bad-1", "bad-2", "bad-3", "bad-4"}, {"ok-1", "ok-2"}
STOP, GET = "StopStatefulAsyncInvocation", "GetStatefulAsyncInvocation"


def old(name: str, hours: int, **fields: Any) -> dict[str, Any]:
    return seeded(name, "Running", enqueued=f"-{hours}h", started=f"-{hours}h", **fields)


SEED = {"invocations": [old("bad-{n}", 9, count=4), old("ok-{n}", 3, count=2)]}
"""Four of which nothing comes are more overdue than two good ones."""


def run(cloud: Emulator, text: str = policy(budget="2/run"), event: object = b"", **options: Any) -> Reaped:
    reaped = reap(cloud.endpoint, text, event, enforce=True, **options)
    assert adds_up(reaped)
    return reaped


def failing(operation: str, ids: str = "bad-*", **broken: Any) -> dict[str, Any]:
    return {"operation": operation, "times": 999, "match": {"invocationId": ids}, **broken}


def error(status: int, code: str = "Whatever", **more: Any) -> dict[str, Any]:
    return {"status": status, "code": code, **more}


@pytest.mark.parametrize(
    ("fault", "event", "why", "attention"),
    [
        (failing(GET, **error(500)), "skipped", "unreadable", True),
        (failing(GET, **error(503, "Throttled")), "skipped", "unreadable", True),
        (failing(GET, truncate=True), "skipped", "unreadable", True),
        (failing(GET, status=200, body={}), "skipped", "unreadable", True),
        (failing(GET, foreign="<html>busy</html>"), "skipped", "unreadable", True),
        (failing(GET, drop="before"), "skipped", "unreadable", True),
        (failing(GET, status=200, body=ANOTHER), "skipped", "unreadable", True),
        (failing(GET, **error(404, "StatefulAsyncInvocationNotFound")), "ended", None, False),
        (failing(STOP, **error(412)), "stop_failed", None, True),
        (failing(STOP, **error(400, "InvalidArgument")), "stop_failed", None, True),
        (failing(STOP, **error(409, "ConcurrentUpdateError")), "stop_failed", None, True),
        (failing(STOP, **error(404, "StatefulAsyncInvocationNotFound")), "stop_failed", None, True),
    ],
)  # fmt: skip
def test_the_place_of_a_task_of_which_nothing_comes_goes_to_the_next(
    fault: dict[str, Any], event: str, why: str | None, attention: bool
) -> None:
    """Each time, however many there are of them before the good ones."""
    with running_emulator("--stopping", "5ms", seed=SEED) as cloud:
        cloud.faults([fault])
        reaped = run(cloud)
        assert stopped(cloud) == GOOD
        assert reaped.ids(event) == BAD
        assert {line.get("why") for line in reaped.logged(event)} == {why}
        assert (reaped.finished.exit is Exit.ATTENTION) is attention
        assert {line["level"] for line in reaped.logged(event)} == {"WARNING" if attention else "INFO"}


@pytest.mark.parametrize(("status", "shown"), [("Su\u202espended", "Su\\u202espended"), ("a\nb", "a\\nb")])
def test_what_cannot_be_shown_is_escaped_once(status: str, shown: str) -> None:
    """A second time would say that the cloud had written a backslash."""
    with running_emulator(seed=SEED) as cloud:
        record = {"invocationId": "bad-1", "status": status, "functionName": "transcode"}
        cloud.faults([failing(GET, "bad-1", status=200, body=record)])
        lines = run(cloud).logged("skipped")
        assert f"the status '{shown}' is unknown" in {line.get("detail") for line in lines}


@pytest.mark.parametrize("change", ["retry", "resubmit"])
def test_a_task_that_changes_after_a_lost_stop_has_spent_its_place(change: str) -> None:
    """It is not due any more, and yet nobody knows whether the stop took effect."""
    with running_emulator("--stopping", "5ms", seed=SEED) as cloud:
        place = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}
        changed = {"change": change, **place, "invocationId": "bad-1"}
        cloud.faults([{"operation": STOP, **error(500), "change": changed}])
        (line,) = run(cloud, policy(budget="1/run")).logged("stop_failed")
        assert (line["invocation_id"], line["unclear"]) == ("bad-1", True)
        assert stopped(cloud) == set()


def test_a_status_that_nobody_knows_right_before_the_stop_is_unreadable() -> None:
    """It is not spared, since nobody knows what it is."""
    with running_emulator(seed=SEED) as cloud:
        body = {
            "invocationId": "bad-1",
            "functionName": "transcode",
            "serviceName": "media",
            "status": "Paused",
        }
        cloud.faults([failing(GET, "bad-1", status=200, body=body)])
        (line,) = run(cloud, policy(match="{running_for: 2h, id: bad-1}")).logged("skipped")
        assert line["why"] == "unreadable"
        assert "Paused" in line["detail"]


@pytest.mark.parametrize("operation", [STOP, GET])
@pytest.mark.parametrize("status", [401, 403])
def test_after_three_denials_in_a_row_the_rest_of_a_function_is_left_alone(
    operation: str, status: int
) -> None:
    """Under all its qualifiers and by all policies; others go on."""
    seed = {"invocations": [
        old("a-{n}", 9, count=30), {**old("b-{n}", 8, count=30), "qualifier": "canary"},
        {**old("c-{n}", 3, count=5), "functionName": "resize"},
    ]}  # fmt: skip
    text = policy(targets="['media/transcode@*', media/resize@prod]", match="{running_for: 2h, id: 'a-*'}")
    text += "  - {name: q, targets: ['media/*@*'], match: {running_for: 2h}, stop: x}\n"
    with running_emulator("--stopping", "5ms", seed=seed) as cloud:
        fault = {"operation": operation, "times": 999, "match": {"functionName": "transcode"}}
        cloud.faults([{**fault, **error(status, "AccessDenied")}])
        reaped = run(cloud, text, concurrency="1")
        assert stopped(cloud) == {f"c-{n}" for n in range(1, 6)}
        denied = [line for line in reaped.logged("skipped") if line["why"] == "denied"]
        assert len(denied) == 57
        assert {line["error_code"] for line in denied} == {"AccessDenied"}
        assert reaped.finished.exit is Exit.ATTENTION


def test_denials_count_only_in_a_row() -> None:
    """An answer of another kind in between says that the function is not closed."""
    seed = {"invocations": [old("a-{n}", 9 - n) | {"invocationId": f"a-{n}"} for n in range(6)]}
    with running_emulator("--stopping", "5ms", seed=seed) as cloud:
        ids = "{running_for: 2h}"
        cloud.faults([failing(STOP, f"a-{n}", **error(403, "AccessDenied")) for n in (0, 1, 3, 4)])
        reaped = run(cloud, policy(match=ids), concurrency="1")
        assert stopped(cloud) == {"a-2", "a-5"}
        assert len(reaped.logged("stop_failed")) == 4


def test_functions_without_failures_go_first_once_a_budget_has_failed() -> None:
    """Two hundred slow failures must not use up the time of the others."""
    seed = {
        "invocations": [old("a-{n}", 9, count=200), {**old("c-{n}", 3, count=2), "functionName": "resize"}]
    }
    text = policy(targets="[media/transcode@prod, media/resize@prod]", budget="2/run")
    with running_emulator("--stopping", "5ms", seed=seed) as cloud:
        cloud.faults([failing(STOP, "a-*", **error(412))])
        reaped = run(cloud, text, concurrency="2")
        assert stopped(cloud) == {"c-1", "c-2"}
        assert len(reaped.logged("stop_failed")) <= 4


def test_however_many_fail_in_one_function_the_rest_of_it_is_not_forgotten() -> None:
    """More than the budget and the log have places for."""
    with running_emulator(
        "--stopping", "5ms", seed={"invocations": [old("a-{n}", 9, count=300), old("ok", 3)]}
    ) as cloud:
        cloud.faults([failing(STOP, "a-*", **error(412))])
        run(cloud)
        assert stopped(cloud) == {"ok"}


def test_however_many_fail_in_one_function_another_is_not_forgotten() -> None:
    """More than are remembered of one policy."""
    seed = {"invocations": [old("a-{n}", 9, count=3_000), {**old("c-1", 3), "functionName": "resize"}]}
    text = policy(targets="[media/transcode@prod, media/resize@prod]", budget="2/run")
    with running_emulator("--stopping", "5ms", seed=seed) as cloud:
        cloud.faults([failing(STOP, "a-*", **error(403, "AccessDenied"))])
        run(cloud, text)
        assert stopped(cloud) == {"c-1"}


UNCLEAR = [
    error(408, "RequestTimeout"), error(500), {"status": 302, "foreign": ""},
    {"status": 409, "foreign": "<html>"},
]  # fmt: skip


@pytest.mark.parametrize("status", [400, 403, 412])
def test_a_stop_that_was_refused_in_so_many_words_and_then_read_as_stopping_spends_its_place(
    status: int,
) -> None:
    """Another caller may have asked for it; the place is gone all the same."""
    with running_emulator(seed=SEED) as cloud:
        cloud.faults([failing(STOP, "*", **error(status, "Refused", applied=True))])
        run(cloud)
        assert len(stopped(cloud)) == 2


@pytest.mark.parametrize("answer", UNCLEAR, ids=str)
def test_a_stop_whose_outcome_stays_unclear_is_a_failure_that_says_so(answer: dict[str, Any]) -> None:
    """It spends the budget: it may still take effect."""
    with running_emulator(seed=SEED) as cloud:
        cloud.faults([failing(STOP, "*", **answer)])
        reaped = run(cloud)
        assert (len(reaped.logged("stop_failed")), reaped.counts["failed"]) == (2, 2)
        assert all(line["unclear"] for line in reaped.logged("stop_failed"))
        assert reaped.finished.exit is Exit.ATTENTION


def test_an_interruption_in_the_middle_of_a_stop_says_that_it_is_unclear() -> None:
    """Not that the time was up."""
    with running_emulator(seed=SEED) as cloud:
        cloud.faults([failing(STOP, "*", delay="5s")])
        reaped = run(cloud, interrupted=lambda: STOP in operations(cloud), concurrency="1")
        (line,) = reaped.logged("stop_failed")
        assert (line["why"], line["unclear"]) == ("interrupted", True)
        assert {line["why"] for line in reaped.logged("skipped")} == {"interrupted", "budget"}
        assert reaped.finished.exit is Exit.ATTENTION


@pytest.mark.parametrize(
    ("date", "only"), [("nonsense", "*"), ("nonsense", GET), ("-33s", GET), ("+33s", GET)]
)
def test_a_stop_needs_a_readable_date_on_its_own_reading(date: str, only: str) -> None:
    """And one that is no more than half a minute from ours."""
    with running_emulator(seed=SEED) as cloud:
        cloud.faults([{"operation": only, "times": 999, "date": date}])
        reaped = run(cloud)
        assert stopped(cloud) == set()
        assert "clock" in {line["why"] for line in reaped.logged("skipped")}
        assert reaped.finished.exit is Exit.ATTENTION


@pytest.mark.parametrize("date", ["nonsense", "", "-31s", "+33s"])
def test_a_dry_run_promises_no_stop_that_would_not_be_made(date: str) -> None:
    """It says which clock is in the way, as enforcement does."""
    with running_emulator(seed=SEED) as cloud:
        cloud.faults([failing(GET, "bad-*", date=date)])
        reaped = reap(cloud.endpoint, policy())
        assert {line["why"] for line in reaped.logged("skipped")} == {"clock"}
        assert BAD.isdisjoint(reaped.ids("would_stop"))
        assert reaped.finished.exit is Exit.ATTENTION


def test_one_answer_without_a_date_hinders_no_other() -> None:
    """Its place goes to the next."""
    with running_emulator("--stopping", "5ms", seed=SEED) as cloud:
        cloud.faults([failing(GET, "bad-*", date="nonsense")])
        run(cloud)
        assert stopped(cloud) == GOOD


def test_a_stop_of_which_nothing_can_be_read_any_more_says_why(cloud: Emulator) -> None:
    """The answers to the stops are lost, and so are the readings after them."""
    get = {"operation": "GetStatefulAsyncInvocation"}
    lost = {"operation": "StopStatefulAsyncInvocation", "times": 99, "drop": "after"}
    cloud.faults([lost, {**get, "times": 3}, {**get, "times": 99, "status": 400, "code": "InvalidArgument"}])
    reaped = reap(cloud.endpoint, policy(), enforce=True)
    assert {line["unclear"] for line in reaped.logged("stop_failed")} == {True}
    details = [line["detail"] for line in reaped.logged("stop_failed")]
    assert all(one.startswith("it could not be read again: HTTP 400") for one in details)
