"""What a run makes of answers that are late, lost, foreign or missing."""

from __future__ import annotations

from typing import Any

import pytest

from fc_reaper.models import Exit
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import reap
from tests.run.account import POLICY, policy, seeded, stopped

PAIR: dict[str, Any] = {
    "invocations": [
        seeded("same-id", "Running", enqueued="-5h", started="-3h"),
        {**seeded("same-id", "Running", enqueued="-5h", started="-3h"), "functionName": "resize"},
    ]
}
BOTH = policy(targets="[media/transcode@prod, 'media/*@*']")


def get_fault(**broken: Any) -> dict[str, Any]:
    return {"operation": "GetStatefulAsyncInvocation", "times": 99, **broken}


def test_an_id_is_not_certain_while_nobody_knows_which_functions_there_are() -> None:
    """The pattern might mean another function that knows the id as well."""
    with running_emulator(seed=PAIR) as cloud:
        cloud.faults([{"operation": "ListStatefulAsyncInvocationFunctions", "times": 9, "status": 403}])
        reaped = reap(cloud.endpoint, BOTH, {"invocationId": "same-id"}, enforce=True)
        assert (stopped(cloud), len(reaped.logged("trigger_refused"))) == (set(), 1)


def test_a_404_of_somebody_on_the_way_proves_no_absence() -> None:
    """Only the cloud's own code says that there is no such task or function."""
    with running_emulator(seed=PAIR) as cloud:
        cloud.faults([get_fault(status=404, foreign="<html>", match={"functionName": "resize"})])
        reap(cloud.endpoint, BOTH, {"invocationId": "same-id"}, enforce=True)
        assert stopped(cloud) == set()


def test_a_named_task_that_could_not_be_looked_for_is_worth_another_try(cloud: Emulator) -> None:
    """A command must not get lost because of a passing trouble."""
    cloud.faults([get_fault(status=503, code="ResourceThrottled")])
    text = policy(targets="[media/transcode@prod, media/other@prod]")
    reaped = reap(cloud.endpoint, text, {"invocationId": "over-1"}, enforce=True, timeout=4, margin="2s")
    assert (reaped.finished.curable, reaped.finished.exit is Exit.REFUSED) == (True, False)


@pytest.mark.parametrize("unread", ["over-1", "young-1"])
def test_a_cloud_that_answers_about_one_named_task_is_within_reach(cloud: Emulator, unread: str) -> None:
    """Whichever of the two that the event names cannot be read: somebody should know, but not of the keys."""
    cloud.faults([get_fault(status=403, code="AccessDenied", match={"invocationId": unread})])
    reaped = reap(cloud.endpoint, POLICY, [{"invocationId": "over-1"}, {"invocationId": "young-1"}])
    assert reaped.finished.exit is Exit.ATTENTION


def test_what_the_time_did_not_allow_is_skipped_not_failed() -> None:
    """At twenty calls a second three hundred stops do not fit into a few seconds."""
    seed = {"invocations": [seeded("over-{n}", "Running", count=300, enqueued="-5h", started="-3h")]}
    with running_emulator("--stopping", "5ms", seed=seed) as cloud:
        text = policy(budget="1000/run")
        reaped = reap(cloud.endpoint, text, enforce=True, timeout=8, margin="2s", rate="20/s")
        assert "failed" not in reaped.counts
        assert {line["why"] for line in reaped.logged("skipped")} == {"margin"}
        assert reaped.finished.result.partial
        assert len(stopped(cloud)) == reaped.counts.get("confirmed", 0) + reaped.counts.get("accepted", 0) > 5


def test_a_slow_rate_stops_few_rather_than_none(cloud: Emulator) -> None:
    """Turns are not all spent on reading."""
    reaped = reap(cloud.endpoint, POLICY, enforce=True, timeout=16, margin="1s", rate="2/s")
    assert stopped(cloud)
    assert "failed" not in reaped.counts


def test_discovery_that_hangs_does_not_starve_what_is_written_out(cloud: Emulator) -> None:
    """The literal target is swept in the time that is left."""
    cloud.faults([{"operation": "ListAsyncInvokeConfigs", "times": 9, "delay": "60s"}])
    text = POLICY + (
        "  - name: all\n    targets: ['*@*']\n    match: {running_for: 2h}\n    stop: it is lost\n"
    )
    reaped = reap(cloud.endpoint, text, enforce=True, timeout=5, margin="1s", self="reaper")
    assert {"over-1", "over-2", "over-3"} <= stopped(cloud)
    assert reaped.logged("list_failed")


def test_only_the_dialect_that_lacks_a_status_may_refuse_it() -> None:
    """Elsewhere a 400 is a listing that failed, so nothing follows from what was not seen."""
    entry = {"functionName": "resize", "status": "Enqueued", "enqueued": "-3h"}
    seed = {"invocations": [{**entry, "invocationId": "q-{n}", "count": 2}]}
    text = policy(targets="[resize]", match="{queued_for: 1h}", halt_over="5")
    with running_emulator(seed=seed) as cloud:
        cloud.faults([{"operation": "ListAsyncTasks", "times": 9, "status": 400, "code": "InvalidArgument"}])
        reaped = reap(cloud.endpoint, text, enforce=True)
        assert reaped.logged("list_failed")
        assert stopped(cloud) == set()
        assert reaped.finished.exit is Exit.UNREACHABLE


def test_stuck_tasks_of_named_policies_are_logged_by_the_timer(cloud: Emulator) -> None:
    """What a policy stopped that only runs for named tasks is watched all the same."""
    text = policy(triggers="[task]", match="{status: Running}")
    timer = {"triggerTime": "2026-11-20T02:15:00Z", "triggerName": "schedule"}
    reaped = reap(cloud.endpoint, text, timer)
    assert (reaped.ids("stuck"), reaped.counts.get("due")) == ({"stuck-1"}, None)


@pytest.mark.parametrize("shift", ["-1h", "+1h"])
def test_clocks_that_disagree_are_not_silent(cloud: Emulator, shift: str) -> None:
    """When all answers are dated an hour ago nothing seems due; the run must say so."""
    cloud.faults([{"operation": "*", "times": 99, "date": shift}])
    reaped = reap(cloud.endpoint, policy(match="{running_for: 150m}"), enforce=True)
    assert reaped.finished.exit is Exit.ATTENTION
    assert "differ" in reaped.finished.result.errors[0]


def test_a_stop_that_changed_nothing_needs_attention(cloud: Emulator) -> None:
    """Accepted, and still Running when it was read again: somebody should know."""
    fault = {"operation": "StopStatefulAsyncInvocation", "times": 9, "status": 200, "body": {}}
    cloud.faults([fault])
    reaped = reap(cloud.endpoint, POLICY, enforce=True)
    assert reaped.counts["failed"] == 3
    assert "still Running" in reaped.logged("stop_failed")[-1]["detail"]
    assert reaped.finished.exit is Exit.ATTENTION


def test_a_lost_second_stop_of_a_stopping_task_is_not_taken_for_granted() -> None:
    """It was Stopping before, so that it is Stopping is no evidence: it is requested again."""
    seed = {"invocations": [seeded("s-1", "Stopping", enqueued="-9h", started="-9h", stopping="-1h")]}
    with running_emulator(seed=seed) as cloud:
        cloud.faults([{"operation": "StopStatefulAsyncInvocation", "times": 1, "drop": "before"}])
        reap(cloud.endpoint, policy(match="{stopping_for: 10m}"), enforce=True)
        assert cloud.calls()["counts"]["StopStatefulAsyncInvocation"] == 2


def test_an_event_never_makes_a_pattern_wider() -> None:
    """A service's name narrows `media$?` to itself, not to all functions of the service."""
    entry = {"status": "Running", "enqueued": "-5h", "started": "-3h"}
    names = ("media$a", "media$transcode")
    seed = {"invocations": [{**entry, "functionName": name, "invocationId": name[-1]} for name in names]}
    with running_emulator("--stopping", "5ms", seed=seed) as cloud:
        reap(cloud.endpoint, policy(targets="['media$?@*']"), {"serviceName": "media"}, enforce=True)
        assert stopped(cloud) == {"a"}


def test_a_role_that_may_list_but_not_read_is_not_silent() -> None:
    """Where a list shows no events every task must be read; if none can be, somebody must know."""
    with running_emulator("--events", "get", seed=PAIR) as cloud:
        cloud.faults([get_fault(status=403, code="AccessDenied")])
        reaped = reap(cloud.endpoint, policy(match="{running_for: 2h}"))
        assert reaped.finished.exit is Exit.ATTENTION
        (line,) = reaped.logged("unknown")
        assert (line["error_code"], line["rule"]) == ("AccessDenied", "events")
        assert reaped.logged("list_failed") == []
        assert "media/transcode@prod" in reaped.finished.result.errors[0]


def test_a_refusal_is_logged_in_the_result_with_its_reason(cloud: Emulator) -> None:
    """And only refusals: an alert that is over is none."""
    over = {"alertState": "OK", "metricName": "m", "dimensions": "{functionName=transcode}", "ruleId": "r"}
    reaped = reap(cloud.endpoint, POLICY, [{"functionName": "unknown"}, over])
    assert reaped.finished.exit is Exit.REFUSED
    assert reaped.finished.result.errors == [
        "the event was refused: what it names is not among the targets of the policy"
    ]


def test_what_was_made_of_the_event_is_logged_also_when_the_policy_is_wrong(cloud: Emulator) -> None:
    """Two faults at once are two things to know."""
    reaped = reap(cloud.endpoint, "version: 2\n", {"dry_run": True})
    assert [line["event"] for line in reaped.lines] == ["trigger_refused", "run_finished"]


def test_a_pattern_that_stands_for_nothing_is_named(cloud: Emulator) -> None:
    """A typo in a pattern would otherwise watch nothing for ever."""
    reaped = reap(cloud.endpoint, policy(targets="['medai/*@*', 'media/*@*']"))
    assert reaped.finished.result.unmatched == ["medai/*@*"]


def test_an_id_must_not_be_known_to_another_target_either() -> None:
    """Also where the policy of that target does not run for named tasks."""
    with running_emulator(seed=PAIR) as cloud:
        other = "  - {name: o, targets: [media/resize@prod], match: {running_for: 9h}, "
        text = POLICY + other + "triggers: [timer], stop: slow}\n"
        reaped = reap(cloud.endpoint, text, {"invocationId": "same-id"}, enforce=True)
        assert (stopped(cloud), reaped.finished.exit) == (set(), Exit.REFUSED)


def test_secrets_in_an_answer_do_not_reach_the_log(cloud: Emulator) -> None:
    """Also where the cloud repeats them in disguise."""
    body = '{"Code": "SignatureNotMatch", "Message": "you sent emulator\\u002dsecret"}'
    broken = {"times": 9, "status": 403, "foreign": body, "headers": {"X-Fc-Request-Id": "emulator-secret"}}
    cloud.faults([{"operation": "*", **broken}])
    reaped = reap(cloud.endpoint, POLICY)
    assert reaped.logged("list_failed")
    assert "emulator-secret" not in str(reaped.lines)
