"""`keep` in whole runs: who is one too many is stopped, and nobody because of what was not seen."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest

from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.models import Exit
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import FASTER, Reaped, reap
from tests.run.account import operations, policy, seeded, stopped
from tests.run.test_promises import adds_up


def order(name: str, enqueued: str, number: str | None, **fields: Any) -> dict[str, Any]:
    """A running task of an order."""
    payload = {"payload": {"order_id": number, "card": "4111-1111"}} if number else {"payload": {}}
    return seeded(name, "Running", enqueued=enqueued, started=enqueued, **payload, **fields)


ORDERS: dict[str, Any] = {
    "invocations": [
        order("a-old", "-3h", "a"),
        order("a-mid", "-2h", "a"),
        order("a-new", "-1h", "a"),
        order("b-only", "-9h", "b"),
        order("none", "-9h", None),
        order("keep-a", "-8h", "a"),
    ]
}
LATEST_ORDER = policy(
    match="{status: [Enqueued, Running, Retrying]}",
    keep="{at_most: 2, per: payload.order_id, stop_first: oldest}",
)


def run(cloud: Emulator, text: str = LATEST_ORDER, event: object = b"", **env: Any) -> Reaped:
    reaped = reap(cloud.endpoint, text, event, enforce=True, **env)
    assert adds_up(reaped)
    return reaped


@pytest.mark.parametrize("events", ["list", "get"])
@pytest.mark.parametrize("version", ["2021-04-06", "2016-08-15"])
def test_the_older_tasks_of_an_order_make_room(events: str, version: str) -> None:
    """An exempt one counts; one without the key is unknown; the payload is never logged."""
    with running_emulator("--events", events, seed=ORDERS) as cloud:
        reaped = run(cloud, api_version=version)
        assert stopped(cloud) == {"a-old", "a-mid"}
        assert reaped.ids("unknown") == {"none"}
        (line,) = [line for line in reaped.logged("accepted") if line["invocation_id"] == "a-old"]
        assert (line["rule"], line["limit_s"], line["over_s"], line["age_s"] > 10_000) == (
            "keep",
            None,
            None,
            True,
        )
        assert "4111" not in repr(reaped.lines) + repr(reaped.finished.result)
        assert run(cloud, api_version=version).counts.get("due") is None
        assert stopped(cloud) == {"a-old", "a-mid"}


def test_a_dry_run_names_the_same_tasks() -> None:
    """The second count belongs to the one code path."""
    with running_emulator(seed=ORDERS) as cloud:
        assert reap(cloud.endpoint, LATEST_ORDER).ids("would_stop") == {"a-old", "a-mid"}
        assert stopped(cloud) == set()


def test_who_stays_is_read_again_before_anybody_goes() -> None:
    """The list still shows a task that has ended since: without it the other one is not too many."""
    seed = {"invocations": [order("old", "-3h", "a"), order("new", "-1h", "a", ends="+50s")]}
    text = LATEST_ORDER.replace("at_most: 2", "at_most: 1")
    with running_emulator("--list-lag", "1m", seed=seed) as cloud:
        cloud.advance("55s")
        reaped = run(cloud, text)
        assert stopped(cloud) == set()
        (line,) = reaped.logged("skipped")
        assert (line["why"], line["detail"]) == ("spared", "it is not one too many any more")


def test_who_goes_is_read_again_as_well() -> None:
    """A task that ended meanwhile is an outcome, not an error."""
    seed = {"invocations": [order("old", "-3h", "a", ends="+50s"), order("new", "-1h", "a")]}
    text = LATEST_ORDER.replace("at_most: 2", "at_most: 1")
    with running_emulator("--list-lag", "1m", seed=seed) as cloud:
        cloud.advance("55s")
        assert run(cloud, text).ids("ended") == {"old"}


def test_nothing_is_concluded_where_the_second_count_fails() -> None:
    """While one of those who stay cannot be read."""
    with running_emulator(seed=ORDERS) as cloud:
        fault = {
            "operation": "GetStatefulAsyncInvocation",
            "times": 99,
            "status": 403,
            "code": "AccessDenied",
        }
        cloud.faults([{**fault, "match": {"invocationId": "a-new"}}])
        reaped = run(cloud)
        assert stopped(cloud) == set()
        assert reaped.finished.exit is Exit.ATTENTION
        assert {line["why"] for line in reaped.logged("skipped")} == {"unreadable"}


def test_nothing_is_concluded_from_a_listing_that_breaks_off() -> None:
    """The tasks that were not seen may be the ones that should go, or stay."""
    with running_emulator(seed=ORDERS) as cloud:
        fault = {
            "operation": "ListStatefulAsyncInvocations",
            "times": 99,
            "status": 403,
            "code": "AccessDenied",
        }
        cloud.faults([{**fault, "match": {"status": "Enqueued"}}])
        reaped = run(cloud)
        (halted,) = reaped.logged("halted")
        assert (stopped(cloud), halted["due"], halted["allowed"]) == (set(), 2, 0)
        assert reaped.finished.exit is Exit.ATTENTION


def test_nothing_is_concluded_from_a_listing_that_the_time_cut_off() -> None:
    """No error says so: some tasks were just not seen."""
    with running_emulator(seed=ORDERS) as cloud:
        fault = {"operation": "ListStatefulAsyncInvocations", "times": 99, "delay": "60s"}
        cloud.faults([{**fault, "match": {"status": "Enqueued"}}])
        reaped = run(cloud, timeout=3, margin="1s")
        (halted,) = reaped.logged("halted")
        assert (stopped(cloud), halted["due"], halted["allowed"]) == (set(), 2, 0)
        assert reaped.finished.fields["partial"] is True


TWO_PLACES: dict[str, Any] = {
    "invocations": [
        order("prod-old", "-3h", "a"),
        {**order("canary-new", "-1h", "a"), "qualifier": "canary"},
        {**order("canary-newest", "-1m", "a"), "qualifier": "canary"},
    ]
}
PER_FUNCTION = policy(
    targets="['media/*@*']", match="{status: Running}", keep="{at_most: 1, per: function, stop_first: oldest}"
)


def test_an_event_narrows_who_may_go_and_not_who_counts() -> None:
    """All qualifiers count, though the event is about one of them."""
    about = {"serviceName": "media", "functionName": "transcode"}
    with running_emulator(seed=TWO_PLACES) as cloud:
        run(cloud, PER_FUNCTION, {**about, "qualifier": "canary"})
        assert stopped(cloud) == {"canary-new"}
        run(cloud, PER_FUNCTION, {**about, "qualifier": "prod"})
        assert stopped(cloud) == {"canary-new", "prod-old"}


def test_an_event_that_names_a_task_runs_no_keep_policy() -> None:
    """Whether one is too many is not a matter of one task."""
    with running_emulator(seed=ORDERS) as cloud:
        reaped = run(cloud, event={"invocationId": "a-old"})
        assert stopped(cloud) == set()
        assert [line["why"] for line in reaped.logged("trigger_ignored")] == ["no policy is run by task"]
        assert operations(cloud) == {}


def test_a_budget_cuts_the_list_and_the_next_run_goes_on() -> None:
    """The first to go are the first that the policy names."""
    with running_emulator(seed=ORDERS) as cloud:
        text = f"{LATEST_ORDER}    budget: 1/run\n"
        run(cloud, text)
        assert stopped(cloud) == {"a-old"}
        run(cloud, text)
        assert stopped(cloud) == {"a-old", "a-mid"}


def test_a_report_tells_who_is_one_too_many() -> None:
    """And touches nobody."""
    with running_emulator(seed=ORDERS) as cloud:
        text = LATEST_ORDER.replace("stop: A tr", "report: A tr")
        reaped = run(cloud, text)
        assert reaped.ids("reported") == {"a-old", "a-mid"}
        assert stopped(cloud) == set()


def test_payloads_are_asked_for_only_where_an_expression_needs_them() -> None:
    """The list of a policy that reads none goes without."""
    with running_emulator(seed=ORDERS) as cloud:
        run(cloud, policy())
        assert _payload_flags(cloud) == {"false"}
        cloud.reset()
        run(cloud)
        flags = {(one["status"], one["includePayload"]) for one in _lists(cloud)}
        assert flags == {
            ("Enqueued", "true"),
            ("Running", "true"),
            ("Retrying", "true"),
            ("Stopping", "false"),
        }


def _lists(cloud: Emulator) -> list[dict[str, str]]:
    calls = cloud.calls()["recent"]
    return [
        dict(parse_qsl(one["query"])) for one in calls if one["operation"] == "ListStatefulAsyncInvocations"
    ]


def _payload_flags(cloud: Emulator) -> set[str]:
    return {one["includePayload"] for one in _lists(cloud)}


def test_calls_per_stop_grow_by_those_who_stay() -> None:
    """One reading for each task that stays in the group, once, then three calls a stop."""
    with running_emulator(seed=ORDERS) as cloud:
        run(cloud)
        counts = operations(cloud)
        assert counts["StopStatefulAsyncInvocation"] == 2
        assert counts["GetStatefulAsyncInvocation"] == 2 * 2 + 2


LATE_AND_MANY = """\
version: 1
policies:
  - {name: late, targets: ['media/*@*'], match: {running_for: 2h}, stop: a}
  - {name: many, targets: ['media/*@*'], match: {status: Running}, keep: {at_most: 2}, stop: b}
"""


def test_who_belongs_to_another_policy_does_not_count_wherever_the_event_looks() -> None:
    """An event about fewer functions makes no task due that a timer would have left alone."""
    seed = {
        "invocations": [
            seeded("p{n}", "Running", count=2, enqueued="-5h", started="-5h"),
            {**seeded("c{n}", "Running", count=2, enqueued="-5m", started="-5m"), "qualifier": "canary"},
        ]
    }
    with running_emulator(seed=seed) as cloud:
        run(
            cloud, LATE_AND_MANY, {"serviceName": "media", "functionName": "transcode", "qualifier": "canary"}
        )
        assert stopped(cloud) == set()
        run(cloud, LATE_AND_MANY)
        assert stopped(cloud) == {"p1", "p2"}


def test_one_that_ended_spares_one_and_not_all() -> None:
    """Of five too many, four are so for certain when one of those who stay has gone."""
    seed = {
        "invocations": [
            order("stay", "-1h", "a", ends="+50s"),
            *(order(f"go-{n}", f"-{9 - n}h", "a") for n in range(5)),
        ]
    }
    text = LATEST_ORDER.replace("at_most: 2", "at_most: 1")
    with running_emulator("--list-lag", "1m", seed=seed) as cloud:
        cloud.advance("55s")
        run(cloud, text)
        assert stopped(cloud) == {"go-0", "go-1", "go-2", "go-3"}


def test_those_who_stay_are_read_side_by_side() -> None:
    """A large number that may be alive does not eat the run: fifty readings of 200 ms take less than one
    after the other, and everything is done within the time of the run."""
    jobs = [seeded(f"job-{n}", "Running", enqueued=f"-{n}m", started=f"-{n}m") for n in range(1, 54)]
    text = policy(match="{status: Running}", keep="{at_most: 50}")
    with running_emulator("--latency", "200ms", seed={"invocations": jobs}) as cloud:
        reaped = run(cloud, text, timeout=20, margin="10s")
        assert (stopped(cloud), reaped.finished.result.partial) == ({"job-1", "job-2", "job-3"}, False)


def test_one_payload_does_not_keep_the_others_from_being_evaluated() -> None:
    """Whoever may invoke the function could write one; 65 levels are too many for every Python alike."""
    deep = '{"order_id": ' + "[" * 64 + "]" * 64 + "}"
    bomb = {**order("bomb", "-9h", "x"), "payloadText": deep}
    del bomb["payload"]
    with running_emulator(seed={"invocations": [*ORDERS["invocations"], bomb]}) as cloud:
        reaped = run(cloud)
        assert stopped(cloud) == {"a-old", "a-mid"}
        assert "bomb" in reaped.ids("unknown")


def placed(function: str, name: str, enqueued: str) -> dict[str, Any]:
    """A running task of some function."""
    return seeded(name, "Running", functionName=function, enqueued=enqueued, started=enqueued)


TWO_GROUPS = """\
version: 1
policies:
  - name: alone
    targets: [media/one@prod]
    match: {status: Running}
    keep: {at_most: 1}
    stop: One at a time.
  - name: together
    targets: [media/one@prod, media/two@prod]
    match: {status: Running}
    keep: {at_most: 3}
    stop: Three in all.
"""


@pytest.mark.parametrize("event", [b"", {"functionName": "one"}, {"functionName": "two"}])
def test_who_goes_by_one_policy_counts_for_no_later_one_whatever_is_asked(event: object) -> None:
    """An event that names a function never makes a task due that the whole run keeps."""
    tasks = [placed("one", f"x-{n}", f"-{n + 5}h") for n in range(4)]
    tasks += [placed("two", f"y-{n}", f"-{n + 1}h") for n in range(2)]
    with running_emulator(seed={"invocations": tasks}) as cloud:
        run(cloud, TWO_GROUPS, event)
        assert stopped(cloud) == (set() if event == {"functionName": "two"} else {"x-0", "x-1", "x-2"})


@pytest.mark.parametrize("event", [b"", {"functionName": "resize"}])
def test_an_exempt_task_counts_wherever_the_event_looks(event: object) -> None:
    """Another policy would stop it were it not exempt: so it is none of that one's, and counts."""
    text = """\
version: 1
exempt: [vip-*]
policies:
  - {name: old, targets: ['media/*@prod'], match: {running_for: 1h}, stop: x}
  - {name: few, targets: ['media/*@prod', resize], match: {id: '*'}, keep: {at_most: 2}, stop: x}
"""
    three = {"functionName": "resize", "invocationId": "new", "status": "Running", "enqueued": "-1m"}
    seed = {"invocations": [order("vip-1", "-3h", None), order("vip-2", "-2h", None), three]}
    with running_emulator(seed=seed) as cloud:
        run(cloud, text, event)
        assert stopped(cloud) == {"new"}


@pytest.mark.parametrize("events", ["list", "get"])
@pytest.mark.parametrize("more", ["", ", where: \"payload.order_id == 'a'\""])
def test_a_task_that_another_policy_stops_is_read_where_the_event_looks_elsewhere(
    more: str, events: str
) -> None:
    """A list without payloads or events does not say that it is that one's, and does not count."""
    text = f"""\
version: 1
policies:
  - {{name: old, targets: ['media/*@prod'], match: {{running_for: 1h{more}}}, stop: x}}
  - {{name: few, targets: ['media/*@prod', resize], match: {{id: '*'}}, keep: {{at_most: 2}}, stop: x}}
"""
    three = {"functionName": "resize", "invocationId": "new", "status": "Running", "enqueued": "-1m"}
    seed = {"invocations": [order("a", "-3h", "a"), order("b", "-2m", "b"), three]}
    with running_emulator("--events", events, seed=seed) as cloud:
        assert run(cloud, text, {"functionName": "resize"}).counts.get("due") is None
        assert stopped(cloud) == set()


@pytest.mark.parametrize(("seconds", "going"), [(4, {"new", "newer"}), (6, {"newer"})])
def test_a_count_serves_further_stops_for_five_seconds(
    seconds: int, going: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that stays ends with the first stop, and then the next one is not too many any more."""
    passed = [0.0]
    stop = AsyncTaskClient.stop

    def slowly(self: AsyncTaskClient, *args: Any, **kwargs: Any) -> Any:
        try:
            return stop(self, *args, **kwargs)
        finally:
            passed[0] += seconds

    monkeypatch.setattr(AsyncTaskClient, "stop", slowly)
    clock = FASTER._replace(monotonic=lambda: FASTER.monotonic() + passed[0])
    seed = {"invocations": [order("old", "-3h", "a"), order("new", "-2h", "a"), order("newer", "-1h", "a")]}
    text = policy(match="{status: Running}", keep="{at_most: 1, per: payload.order_id, stop_first: newest}")
    with running_emulator("--stopping", "5ms", seed=seed) as cloud:
        place = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}
        ends = {"change": "finish", **place, "invocationId": "old"}
        cloud.faults([{"operation": "StopStatefulAsyncInvocation", "change": ends}])
        reap(cloud.endpoint, text, enforce=True, clock=clock, concurrency="1")
        assert stopped(cloud) == going


def test_a_denial_in_one_function_denies_no_other() -> None:
    """The task that stays cannot be read where it is; what another policy has too many of elsewhere goes."""
    text = """\
version: 1
policies:
  - {name: few, targets: ['media/*@prod'], match: {status: Running}, keep: {at_most: 1}, stop: x}
  - {name: queue, targets: [media/one@prod], match: {status: Enqueued}, keep: {at_most: 1}, stop: x}
"""
    running = [placed("one", f"x-{n}", f"-{8 - n}h") for n in range(4)]
    waiting = [{**placed("one", f"q-{n}", f"-{3 - n}h"), "status": "Enqueued"} for n in range(2)]
    for one in waiting:
        del one["started"]
    with running_emulator(seed={"invocations": [placed("two", "y", "-9h"), *running, *waiting]}) as cloud:
        denied = {
            "operation": "GetStatefulAsyncInvocation",
            "times": 99,
            "status": 403,
            "code": "AccessDenied",
        }
        cloud.faults([{**denied, "match": {"functionName": "two"}}])
        reaped = run(cloud, text, concurrency="1")
        assert stopped(cloud) == {"q-1"}
        assert {line["why"] for line in reaped.logged("skipped")} == {"unreadable"}
        assert {line["error_code"] for line in reaped.logged("skipped")} == {"AccessDenied"}
