"""The promises of the product, each kept against a Function Compute on loopback."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fc_reaper.models import Exit
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import Reaped, reap
from tests.run.account import POLICY, SEED, operations, policy, seeded, stopped

OVER = {"over-1", "over-2", "over-3"}


def adds_up(reaped: Reaped) -> bool:
    """Whether each task was counted exactly once."""
    counts = reaped.finished.fields["counts"]
    listed = sum(counts[name] for name in ("kept", "exempt", "unknown", "reported", "due"))
    outcomes = ("would_stop", "confirmed", "accepted", "ended", "skipped", "failed")
    return bool(counts["listed"] == listed and counts["due"] == sum(counts[name] for name in outcomes))


def test_a_dry_run_changes_nothing_and_names_what_would_be_stopped(cloud: Emulator) -> None:
    """Dry run is the default; it reads, evaluates and logs, and stops nothing."""
    reaped = reap(cloud.endpoint, POLICY)
    assert reaped.ids("would_stop") == OVER
    assert "StopStatefulAsyncInvocation" not in operations(cloud)
    assert stopped(cloud) == set()
    assert adds_up(reaped)


def test_enforcing_stops_exactly_what_a_dry_run_named(cloud: Emulator) -> None:
    """One code path: the same tasks, stopped, and confirmed by reading each again."""
    dry_run = reap(cloud.endpoint, POLICY).ids("would_stop")
    reaped = reap(cloud.endpoint, POLICY, enforce=True)
    assert reaped.ids("accepted") == reaped.ids("confirmed") == dry_run == stopped(cloud)
    assert reaped.counts["confirmed"] == 3
    assert adds_up(reaped)


def test_running_twice_stops_nothing_new(cloud: Emulator) -> None:
    """The second run finds nothing due."""
    reap(cloud.endpoint, POLICY, enforce=True)
    again = reap(cloud.endpoint, POLICY, enforce=True)
    assert stopped(cloud) == OVER
    assert "due" not in again.counts


@pytest.mark.parametrize(
    "event",
    [
        {"dryRun": True},
        [{"functionName": "transcode"}, {"dryRun": True}],
        {"triggerTime": "2026-11-20T02:15:00Z", "triggerName": "t", "payload": '{"dryRun": true}'},
    ],
)
def test_an_event_can_turn_a_run_into_a_dry_run(cloud: Emulator, event: Any) -> None:
    """One dryRun anywhere makes the whole run a dry run."""
    reaped = reap(cloud.endpoint, POLICY, event, enforce=True)
    assert reaped.ids("would_stop") == OVER
    assert stopped(cloud) == set()


@pytest.mark.parametrize(
    "event",
    [
        {"dryRun": False},
        {"mode": "enforce", "REAPER_MODE": "enforce"},
        {"serviceName": "media", "functionName": "transcode", "dryRun": False, "budget": "100/run"},
    ],
)
def test_no_event_arms_a_run(cloud: Emulator, event: Any) -> None:
    """Enforcing needs the environment; an event cannot do it."""
    assert reap(cloud.endpoint, POLICY, event).ids("would_stop") == OVER
    assert stopped(cloud) == set()


@pytest.mark.parametrize(
    "event",
    [
        {"functionName": "resize"},
        {"serviceName": "other", "functionName": "transcode"},
        {"functionName": "transcode", "qualifier": "LATEST"},
        {"invocationId": "three-1"},
        {"invocationId": "nobody"},
    ],
)
def test_no_event_widens_the_targets(cloud: Emulator, event: Any) -> None:
    """What is named outside the targets is refused, and nothing of it is even listed."""
    reaped = reap(cloud.endpoint, POLICY, event, enforce=True)
    assert reaped.logged("trigger_refused")
    assert reaped.finished.exit is Exit.REFUSED
    assert stopped(cloud) == set()
    assert "ListStatefulAsyncInvocations" not in operations(cloud)


def test_a_task_named_by_its_id_is_evaluated_like_any_other(cloud: Emulator) -> None:
    """An event that names a task can stop it only if the policy says that it is due."""
    young = reap(cloud.endpoint, POLICY, {"invocationId": "young-1"}, enforce=True)
    assert (young.counts["kept"], young.finished.result.trigger) == (1, "task")
    over = reap(cloud.endpoint, POLICY, {"invocationId": "over-2", "qualifier": "prod"}, enforce=True)
    assert over.ids("confirmed") == stopped(cloud) == {"over-2"}


CANCELLED = """\
version: 1
policies:
  - name: cancelled
    targets: [media/transcode@prod]
    match: {status: [Enqueued, Running, Retrying]}
    triggers: [task]
    stop: our application cancelled it
"""


def test_an_application_can_cancel_its_own_task(cloud: Emulator) -> None:
    """A policy for tasks that are named stops them at any age, and nothing that is not named."""
    assert "due" not in reap(cloud.endpoint, CANCELLED, enforce=True).counts
    named = [{"invocationId": "young-1"}, {"invocationId": "queue-2"}, {"invocationId": "done-1"}]
    reaped = reap(cloud.endpoint, CANCELLED, named, enforce=True)
    assert stopped(cloud) == reaped.ids("confirmed") == {"young-1", "queue-2"}


def test_an_id_that_two_functions_know_is_refused() -> None:
    """Only exactly one task may be meant; naming its function settles it."""
    pair = [{**SEED["invocations"][0], "functionName": name, "count": 1} for name in ("transcode", "resize")]
    with running_emulator("--stopping", "5ms", seed={"invocations": pair}) as cloud:
        text = policy(targets="[media/transcode@prod, media/resize@prod]")
        refused = reap(cloud.endpoint, text, {"invocationId": "over-1"}, enforce=True)
        assert "several" in refused.logged("trigger_refused")[0]["why"]
        assert (refused.finished.exit, stopped(cloud)) == (Exit.REFUSED, set())
        named = reap(cloud.endpoint, text, {"invocationId": "over-1", "functionName": "resize"}, enforce=True)
        assert named.logged("confirmed")[0]["function"] == "resize"


def test_an_id_is_not_certain_while_one_function_cannot_be_read(cloud: Emulator) -> None:
    """The other function might know the id as well, so nothing is stopped."""
    cloud.faults(
        [{"operation": "GetStatefulAsyncInvocation", "times": 1, "status": 403, "code": "AccessDenied"}]
    )
    text = policy(targets="[media/transcode@prod, media/transcode@other]")
    reaped = reap(cloud.endpoint, text, {"invocationId": "over-1"}, enforce=True)
    assert stopped(cloud) == set()
    assert reaped.logged("trigger_refused")


def test_the_qualifier_received_is_the_qualifier_sent(cloud: Emulator) -> None:
    """Get and Stop carry the qualifier of the event; nothing is rewritten on the way."""
    reap(
        cloud.endpoint,
        policy(targets="['media/transcode@*']"),
        {"invocationId": "over-1", "qualifier": "prod"},
        enforce=True,
    )
    calls = [call for call in cloud.calls()["recent"] if "over-1" in call["path"]]
    assert [call["operation"][:3] for call in calls] == ["Get", "Get", "Sto", "Get"]
    assert all("qualifier=prod" in call["query"].split("&") for call in calls)


@pytest.mark.parametrize("targets", ["['media/*@*']", "['*/transcode@prod']", "['media/transcode@*']"])
def test_patterns_find_their_functions_by_discovery(cloud: Emulator, targets: str) -> None:
    """A pattern is matched against what exists in task mode."""
    reaped = reap(cloud.endpoint, policy(targets=targets), enforce=True)
    assert stopped(cloud) == OVER
    assert operations(cloud)["ListStatefulAsyncInvocationFunctions"] == 1
    assert adds_up(reaped)


def test_functions_of_3_0_are_reaped_alike(cloud: Emulator) -> None:
    """A target without a service speaks the 3.0 dialect; a pattern discovers what is in task mode."""
    for targets in ("[resize]", "['res*@*']"):
        cloud.reset()
        reaped = reap(cloud.endpoint, policy(targets=targets), enforce=True)
        assert reaped.ids("confirmed") == stopped(cloud) == {"three-1"}
        assert reaped.logged("confirmed")[0]["service"] is None


@pytest.mark.parametrize("version", ["2021-04-06", "2016-08-15"])
def test_both_dialects_of_2_0_reap_alike(cloud: Emulator, version: str) -> None:
    """The dialect is a setting; what happens is the same."""
    assert reap(cloud.endpoint, POLICY, enforce=True, api_version=version).ids("confirmed") == OVER


def test_the_reaper_never_stops_itself(cloud: Emulator) -> None:
    """Its own function is exempt under every qualifier, also where it is named outright."""
    reaped = reap(cloud.endpoint, POLICY, enforce=True, self="media/transcode")
    assert stopped(cloud) == set()
    assert reaped.counts["exempt"] > 0


def test_patterns_are_not_enforced_while_nobody_knows_who_the_reaper_is(cloud: Emulator) -> None:
    """A pattern might mean the reaper itself."""
    reaped = reap(cloud.endpoint, policy(targets="['media/*@*']"), enforce=True, self="")
    assert reaped.finished.exit is Exit.REFUSED
    assert "REAPER_SELF" in reaped.finished.result.errors[0]
    assert operations(cloud) == {}


def test_a_listing_that_failed_proves_nothing(cloud: Emulator) -> None:
    """With halt_over, a policy whose tasks could not all be counted stops none."""
    cloud.faults(
        [{"operation": "ListStatefulAsyncInvocations", "times": 1, "status": 403, "code": "AccessDenied"}]
    )
    reaped = reap(cloud.endpoint, policy(halt_over="5", match="{alive_for: 4h}"), enforce=True)
    assert stopped(cloud) == set()
    assert reaped.logged("list_failed")
    assert reaped.finished.exit is Exit.ATTENTION


def test_more_than_halt_over_stops_none(cloud: Emulator) -> None:
    """Exactly so many are stopped; one more halts the policy."""
    halted = reap(cloud.endpoint, policy(halt_over="2"), enforce=True)
    assert (halted.counts["skipped"], stopped(cloud)) == (3, set())
    assert (halted.logged("halted")[0]["due"], halted.logged("halted")[0]["allowed"]) == (3, 2)
    reap(cloud.endpoint, policy(halt_over="3"), enforce=True)
    assert stopped(cloud) == OVER


def test_the_budget_stops_the_most_overdue_first(cloud: Emulator) -> None:
    """What is beyond the budget waits for the next run, and is logged."""
    text = policy(match="{alive_for: 1h}", budget="2/run", unless="[over-*, queue-*]")
    reaped = reap(cloud.endpoint, text, enforce=True)
    assert reaped.ids("confirmed") == {"vip-1", "waited-1"}
    cloud.reset()
    reaped = reap(
        cloud.endpoint, policy(match="{alive_for: 1h}", budget="1/run", unless="[queue-*]"), enforce=True
    )
    assert reaped.ids("confirmed") == {"vip-1"}
    assert reaped.counts["skipped"] == 4
    assert {line["why"] for line in reaped.logged("skipped")} == {"budget"}
    assert reaped.finished.exit is Exit.ATTENTION


def test_a_task_that_ended_in_the_meantime_is_an_outcome_not_an_error() -> None:
    """The list lags behind; reading again right before the stop finds the truth."""
    seed = {"invocations": [{**SEED["invocations"][0], "count": 1, "ends": "-1s"}]}
    with running_emulator("--list-lag", "30s", seed=seed) as cloud:
        reaped = reap(cloud.endpoint, POLICY, enforce=True)
        assert reaped.ids("ended") == {"over-1"}
        assert (reaped.counts["ended"], reaped.finished.exit) == (1, Exit.DONE)
        assert "StopStatefulAsyncInvocation" not in operations(cloud)


def test_a_task_that_is_due_by_another_policy_when_it_is_read_is_left_alone_and_the_line_says_so() -> None:
    """The list has no events, so `startedTime` says how old it is; its record lacks its first enqueueing."""
    cut = seeded("cut-1", "Running", enqueued="-7h", reenqueued="-4h", started="-3h", retries=1, cutHead=1)
    text = """\
version: 1
policies:
  - {name: old, targets: [media/transcode@prod], match: {alive_for: 6h}, stop: x}
  - {name: runs, targets: [media/transcode@prod], match: {running_for: 2h}, stop: x}
"""
    flags = ("--events", "get", "--started-time", "enqueue")
    with running_emulator(*flags, seed={"invocations": [cut]}) as cloud:
        reaped = reap(cloud.endpoint, text, enforce=True, started_time="enqueue")
        (line,) = reaped.logged("skipped")
        assert (line["policy"], line["why"], stopped(cloud)) == ("old", "spared", set())
        assert line["detail"] == "it is due by another policy by now: runs"


def test_an_answer_that_was_lost_is_settled_by_reading(cloud: Emulator) -> None:
    """The stop took effect though its answer never came; it is not sent again."""
    cloud.faults([{"operation": "StopStatefulAsyncInvocation", "times": 1, "drop": "after"}])
    reaped = reap(cloud.endpoint, policy(unless="[over-2, over-3, vip-*]"), enforce=True)
    assert reaped.counts["confirmed"] == 1
    assert operations(cloud)["StopStatefulAsyncInvocation"] == 1


def test_a_stop_is_tried_again_after_a_passing_trouble(cloud: Emulator) -> None:
    """Before each attempt the task is read and evaluated again."""
    cloud.faults(
        [{"operation": "StopStatefulAsyncInvocation", "times": 2, "status": 503, "code": "ResourceThrottled"}]
    )
    reaped = reap(cloud.endpoint, policy(unless="[over-2, over-3, vip-*]"), enforce=True)
    assert reaped.counts["confirmed"] == 1
    calls = operations(cloud)
    assert (calls["StopStatefulAsyncInvocation"], calls["GetStatefulAsyncInvocation"]) == (3, 4)


def test_a_refused_stop_is_a_failure_with_its_reason(cloud: Emulator) -> None:
    """A refusal that no retry cures is sent once and logged with status, code and request id."""
    cloud.faults(
        [{"operation": "StopStatefulAsyncInvocation", "times": 9, "status": 403, "code": "AccessDenied"}]
    )
    reaped = reap(cloud.endpoint, POLICY, enforce=True)
    line = reaped.logged("stop_failed")[0]
    assert (line["http_status"], line["error_code"], bool(line["fc_request_id"])) == (
        403,
        "AccessDenied",
        True,
    )
    assert operations(cloud)["StopStatefulAsyncInvocation"] == 3
    assert (reaped.counts["failed"], reaped.finished.exit) == (3, Exit.ATTENTION)


@pytest.mark.parametrize(("stopping", "outcome"), [("never", "accepted"), ("5ms", "confirmed")])
def test_an_accepted_stop_is_confirmed_only_when_it_was_seen(stopping: str, outcome: str) -> None:
    """A 200 is a promise of the cloud, not a fact."""
    with running_emulator("--stopping", stopping, seed=SEED) as cloud:
        reaped = reap(cloud.endpoint, POLICY, enforce=True)
        assert reaped.counts[outcome] == 3


def test_a_task_that_stops_for_too_long_is_reported_in_every_run(cloud: Emulator) -> None:
    """It is not stopped again, since no policy says so; it is reported."""
    for _ in range(2):
        reaped = reap(cloud.endpoint, POLICY, enforce=True)
        assert reaped.ids("stuck") == {"stuck-1"}
        assert reaped.finished.exit is Exit.ATTENTION
    assert "stuck-1" not in stopped(cloud)


@pytest.mark.parametrize("shift", ["-1h", "+1h"])
def test_clocks_that_disagree_stop_nothing(cloud: Emulator, shift: str) -> None:
    """More than half a minute between our clock and the cloud's: nobody knows how old anything is."""
    cloud.faults([{"operation": "GetStatefulAsyncInvocation", "times": 9, "date": shift}])
    reaped = reap(cloud.endpoint, POLICY, enforce=True)
    assert stopped(cloud) == set()
    assert reaped.counts.get("confirmed") is None
    assert reaped.finished.exit is Exit.ATTENTION


def test_a_run_ends_within_its_margin_whatever_the_cloud_does(cloud: Emulator) -> None:
    """A cloud that does not answer costs the time that was given, and the run says that it is partial."""
    cloud.faults([{"operation": "*", "times": 99, "delay": "30s"}])
    reaped = reap(cloud.endpoint, POLICY, enforce=True, timeout=3, margin="1s")
    assert reaped.finished.result.duration_ms < 3000
    assert reaped.finished.result.partial
    assert reaped.finished.exit is Exit.UNREACHABLE
    cloud.reset()


def test_one_missing_function_does_not_hinder_the_others(cloud: Emulator) -> None:
    """The function that does not exist is reported, the others are swept."""
    reaped = reap(
        cloud.endpoint, policy(targets="[media/nobody, gone/at-all, media/transcode@prod]"), enforce=True
    )
    assert {line["error_code"] for line in reaped.logged("list_failed")} == {
        "FunctionNotFound",
        "ServiceNotFound",
    }
    assert stopped(cloud) == OVER
    assert reaped.finished.exit is Exit.ATTENTION


def test_wrong_keys_are_a_cloud_that_refuses(cloud: Emulator) -> None:
    """Nothing could be listed: the run says so and is not tried again by raising."""
    cloud.faults([{"operation": "*", "times": 99, "status": 403, "code": "SignatureNotMatch"}])
    reaped = reap(cloud.endpoint, POLICY, enforce=True)
    assert reaped.finished.exit is Exit.UNREACHABLE
    assert not reaped.finished.curable


def test_a_cloud_that_is_down_can_be_cured_by_trying_again() -> None:
    """Only then does the handler raise, so that the platform's own retry comes."""
    reaped = reap("http://127.0.0.1:9", POLICY, enforce=True, timeout=3, margin="1s")
    assert reaped.finished.exit is Exit.UNREACHABLE
    assert reaped.finished.curable


@pytest.mark.parametrize(
    "event", [b"", b"{}", b"not json", b"[[[[", b"\xff\xfe", b"null", b'{"dry_run": true}', b"[" * 2_000_000]
)
def test_every_run_ends_with_exactly_one_last_line(cloud: Emulator, event: bytes) -> None:
    """Any bytes give a run or a refusal, and either way one `run_finished`."""
    reaped = reap(cloud.endpoint, POLICY, event)
    assert len(reaped.logged("run_finished")) == 1
    assert reaped.lines[-1]["event"] == "run_finished"


@pytest.mark.parametrize("text", ["\n", "version: 2\n", "nonsense\n", "version: 1\npolicies: []\n"])
def test_a_wrong_policy_is_a_refused_run(cloud: Emulator, text: str) -> None:
    """Nothing is listed, and every issue stands in the result."""
    reaped = reap(cloud.endpoint, text, enforce=True)
    assert reaped.finished.exit is Exit.REFUSED
    assert reaped.finished.result.errors
    assert operations(cloud) == {}


def test_secrets_never_reach_a_line(cloud: Emulator) -> None:
    """Also when the cloud repeats them in its refusal."""
    body = '{"Code": "AccessDenied", "Message": "you sent emulator-secret"}'
    cloud.faults([{"operation": "StopStatefulAsyncInvocation", "times": 9, "status": 403, "foreign": body}])
    reaped = reap(cloud.endpoint, POLICY, enforce=True)
    assert "you sent" in reaped.logged("stop_failed")[0]["error"]
    assert "emulator-secret" not in str(reaped.lines)


def test_of_a_payload_nothing_is_logged_but_the_owner() -> None:
    """Whatever reads it: a condition, a group, a limit; and the owner only where the policy says so."""
    payload = {"team": "team-seven", "tier": "of-silver", "order": "order-17", "max": "1h47m"}
    seed = {"invocations": [seeded("over-1", "Running", enqueued="-5h", started="-3h", payload=payload)]}
    keys = {
        "match": "{running_for: {from: payload.max, at_most: 2h}, where: \"payload.tier != 'x'\"}",
        "keep": "{at_most: 1, per: payload.order}",
        "unless": "[{where: \"payload.tier == 'y'\"}]",
    }
    with running_emulator(seed=seed) as cloud:
        reaped = [reap(cloud.endpoint, policy(**keys), log_level="DEBUG")]
        del keys["keep"]
        reaped += [reap(cloud.endpoint, policy(**keys, **owner), log_level="DEBUG")
                   for owner in ({}, {"owner": "{from: payload.team}"})]  # fmt: skip
    logged = [json.dumps([one.lines, one.finished.fields]) for one in reaped]
    assert [[value in text for value in payload.values()] for text in logged] == [
        [False] * 4, [False] * 4, [True, False, False, False],
    ]  # fmt: skip


def test_somebody_who_interrupts_gets_a_true_summary(cloud: Emulator) -> None:
    """What was not begun is skipped, and the run says that it is partial."""

    def after_the_first_stop() -> bool:
        return "StopStatefulAsyncInvocation" in operations(cloud)

    reaped = reap(cloud.endpoint, POLICY, enforce=True, concurrency="1", interrupted=after_the_first_stop)
    assert reaped.finished.result.partial
    assert stopped(cloud) == reaped.ids("accepted")
    assert 0 < len(stopped(cloud)) < len(OVER)
    assert reaped.ids("skipped") == OVER - stopped(cloud)
    assert adds_up(reaped)


def test_what_time_does_not_allow_is_left_alone(cloud: Emulator) -> None:
    """Where each call takes long, scanning ends early and what is due is skipped for `margin`."""
    cloud.faults([{"operation": "GetStatefulAsyncInvocation", "times": 99, "delay": "5s"}])
    reaped = reap(cloud.endpoint, POLICY, enforce=True, timeout=3, margin="1s", concurrency="1")
    assert reaped.finished.result.partial
    assert stopped(cloud) == set()
    assert reaped.counts["due"] == 3
    assert {line["why"] for line in reaped.logged("skipped")} == {"margin"}
    assert adds_up(reaped)
