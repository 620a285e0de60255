"""Histories with known answers. All of them begin at midnight; a timer runs every five minutes."""

from __future__ import annotations

import pytest

from fc_reaper.backtest.replay import ReplayOptions, replay
from fc_reaper.backtest.stats import Replay
from fc_reaper.models import Function, Task, iso
from fc_reaper.rules.ages import Reading
from fc_reaper.rules.fields import Duration
from fc_reaper.rules.result import RuleResult, Truth
from fc_reaper.rules.rules import RULES, Rule
from tests.backtest.lives import at, history, lived, policies, replayed
from tests.builders import TRANSCODE, ms

SLOW = lived("slow", ("Enqueued", "0s"), ("Running", "1m"), ("Succeeded", "5h"))
BROKEN = lived("broken", ("Enqueued", "0s"), ("Running", "1m"), ("Failed", "6h"))
CANCELLED = lived("cut", ("Enqueued", "0s"), ("Running", "1m"), ("Stopping", "4h"), ("Stopped", "241m"))
ENDLESS = lived("endless", ("Enqueued", "0s"), ("Running", "1m"))
QUICK = lived("quick", ("Enqueued", "0s"), ("Running", "1m"), ("Succeeded", "30m"))
RETRIED = lived(
    "retried", ("Enqueued", "0s"), ("Running", "1m"), ("Retrying", "90m"), ("Running", "91m"),
    ("Retrying", "180m"), ("Running", "181m"), ("Succeeded", "240m"),
)  # fmt: skip
SPARED = BROKEN._replace(invocation_id="keep-1")
"""Makes a history long."""

EXPIRED = lived("expired", ("Enqueued", "0s"), ("Dequeued", "1m"), ("Expired", "7h"))


def stops(result: Replay) -> dict[str, str]:
    """How long after midnight each task was stopped."""
    return {stop.task.invocation_id: f"{(stop.at - at('0s')) // 60_000}m" for stop in result.stops}


@pytest.mark.parametrize(
    ("task", "match", "stopped", "outcome", "saved"),
    [
        pytest.param(SLOW, "{running_for: 2h}", "125m", "succeeded", "0s", id="a false stop saves nothing"),
        pytest.param(BROKEN, "{running_for: 2h}", "125m", "failed", "235m", id="a failure ends sooner"),
        pytest.param(CANCELLED, "{running_for: 2h}", "125m", "censored", "115m", id="up to its own stop"),
        pytest.param(EXPIRED, "{queued_for: 2h}", "125m", "failed", "0s", id="expired: it never ran"),
        pytest.param(EXPIRED, "{alive_for: 119m}", "120m", "failed", "0s", id="waiting is being alive"),
        pytest.param(RETRIED, "{alive_for: 2h}", "125m", "succeeded", "0s", id="a life spans its attempts"),
        pytest.param(RETRIED, "{running_for: 80m}", "85m", "succeeded", "0s", id="the first attempt"),
        pytest.param(RETRIED, "{retries_over: 1}", "180m", "succeeded", "0s", id="the second retry"),
        pytest.param(CANCELLED, "{stopping_for: 30s}", None, "", "", id="Stopping ended between two ticks"),
        pytest.param(RETRIED, "{running_for: 90m}", None, "", "", id="no attempt took so long"),
        pytest.param(RETRIED, "{retries_over: 2}", None, "", "", id="exactly so many retries"),
        pytest.param(QUICK, "{running_for: 25m}", None, "", "", id="over the limit only after the last tick"),
        pytest.param(EXPIRED, "{running_for: 1m}", None, "", "", id="what never ran does not run"),
    ],
)
def test_one_task_is_stopped_at_the_first_tick_over_its_limit(
    task: Task, match: str, stopped: str | None, outcome: str, saved: str
) -> None:
    """Exactly at the limit is not over it, and each clock counts from its own event."""
    result = replayed(history(task, SPARED), f"match: {match}", exempt="[keep-*]")
    if stopped is None:
        assert result.stops == []
        return
    (stop,) = result.stops
    assert stops(result) == {stop.task.invocation_id: stopped}
    assert (stop.outcome, stop.saved) == (outcome, ms(saved))


@pytest.mark.parametrize(
    ("until", "stopped"), [("60m", "125m"), ("125m", "130m"), ("3h", "185m"), ("9h", None)]
)
@pytest.mark.parametrize("place", ["exempt", "unless"])
def test_an_exemption_ends_in_the_past_as_it_did(place: str, until: str, stopped: str | None) -> None:
    """At a tick exactly at its end it still spares."""
    entry = f"[{{id: slow, until: {iso(at(until))[:19]}Z, because: it was a migration}}]"
    lines = ["match: {running_for: 2h}", *([f"unless: {entry}"] if place == "unless" else [])]
    result = replayed(history(SLOW), ", ".join(lines), exempt=entry if place == "exempt" else "")
    assert stops(result) == ({} if stopped is None else {"slow": stopped})


def test_exactly_at_the_limit_is_not_over_it_also_at_a_tick() -> None:
    """Running since 00:01: at 02:01 it is two hours to the millisecond, and one more minute is over."""
    result = replayed(history(SLOW), "match: {running_for: 2h}", interval="1m")
    assert stops(result) == {"slow": "122m"}
    assert stops(replayed(history(SLOW), "match: {alive_for: 2h}", interval="1m")) == {"slow": "121m"}


def test_an_open_task_saves_up_to_the_end_of_the_history() -> None:
    """The last event of anybody is the end, unless it is known when the history was taken."""
    (stop,) = replayed(history(ENDLESS, EXPIRED), "match: {running_for: 2h}").stops
    assert (stop.outcome, stop.saved) == ("open", ms("7h") - ms("125m"))
    (stop,) = replayed(history(ENDLESS, taken="9h"), "match: {running_for: 2h}").stops
    assert (stop.outcome, stop.saved) == ("open", ms("9h") - ms("125m"))


def test_the_replay_ends_with_the_history() -> None:
    """With its last event, unless it is known when it was taken: of later runs nobody knows who was there."""
    alone = replayed(history(ENDLESS), "match: {running_for: 2h}")
    assert (alone.stops, alone.ticks[-1]) == ([], at("0s"))
    assert replayed(history(ENDLESS, QUICK), "match: {running_for: 20m}").ticks[-1] == at("30m")
    taken = replayed(history(ENDLESS, taken="127m"), "match: {running_for: 2h}")
    assert stops(taken) == {"endless": "125m"}
    assert (taken.ticks[-1], taken.stops[0].outcome, taken.stops[0].saved) == (at("125m"), "open", ms("2m"))
    assert replayed(history(ENDLESS, taken="2h"), "match: {running_for: 2h}").stops == []


def test_a_status_that_nobody_knows_is_not_being_alive() -> None:
    """It may be an end; what the task did before is replayed."""
    odd = lived("odd", ("Enqueued", "0s"), ("Running", "1m"), ("Thinking", "4h"))
    (stop,) = replayed(history(odd, SPARED), "match: {running_for: 2h}", exempt="[keep-*]").stops
    assert (stop.outcome, stop.saved) == ("unknown", ms("4h") - ms("125m"))


def test_what_could_not_be_evaluated_is_counted_with_the_reason() -> None:
    """A history without payloads proves nothing about a policy that reads them."""
    bare = [SLOW._replace(record={}), BROKEN._replace(record={})]
    told = SLOW._replace(invocation_id="told", record={"invocationPayload": '{"max": "1h"}'})
    carried = "match: {running_for: {from: payload.max, at_most: 9h}}"
    result = replayed(history(*bare, told), carried)
    assert (len(result.stops), result.unknown) == (1, {"from: payload is absent": 2})
    result = replayed(history(*bare), "match: {running_for: 2h, where: payload.a == 'x'}")
    assert result.unknown.total() == 2
    result = replayed(history(*bare), "match: {running_for: 2h}", exempt="[{where: payload.vip}]")
    assert result.unknown == {"cannot tell whether it is exempt: where: payload is absent": 2}


def test_a_record_that_lacks_restarts_is_not_taken_for_harmless() -> None:
    """What was the matter before its latest event nobody knows; at that event it is as the cloud shows it."""
    torn = SLOW._replace(retries=1)
    alive = ENDLESS._replace(retries=1)
    result = replayed(history(torn, alive), "match: {running_for: 2h}", "match: {alive_for: 2h}")
    assert stops(result) == {"endless": "125m"}
    assert result.unknown.total() == 1


def test_a_task_that_is_due_after_all_is_not_unknown() -> None:
    """It could not be evaluated only until it had run once."""
    late = lived("late", ("Enqueued", "0s"), ("Running", "20m"), ("Failed", "5h"))
    task = late._replace(started_at=at("20m"), record={"startedTime": at("20m")})
    result = replayed(history(task), "match: {alive_for: 1m, where: startedTime > `0`}")
    assert (stops(result), result.unknown) == ({"late": "20m"}, {})


def test_a_task_between_two_ticks_is_never_seen() -> None:
    """The replay is no wiser than a timer."""
    brief = lived("brief", ("Enqueued", "1m"), ("Running", "1m"), ("Failed", "4m"))
    late = lived("late", ("Enqueued", "1m"), ("Running", "1m"), ("Failed", "5m"))
    assert replayed(history(brief, late), "match: {running_for: 1s}").stops == []
    assert stops(replayed(history(brief, late), "match: {running_for: 1s}", interval="1m")) == {
        "brief": "2m",
        "late": "2m",
    }


def test_a_stopped_task_is_gone() -> None:
    """Nobody stops or reports it again, and it counts in no group."""
    result = replayed(
        history(SLOW),
        "match: {running_for: 1h}",
        "match: {running_for: 2h}",
        "match: {alive_for: 3h}, report: slow",
    )
    assert [(one.policy.name, len(one.found)) for one in result.policies] == [("p0", 1), ("p1", 0), ("p2", 0)]


def test_a_report_stops_nothing_and_names_each_task_once() -> None:
    """With the tick at which it would have been reported first."""
    result = replayed(history(SLOW, BROKEN), "match: {running_for: 2h}, report: it is slow")
    (one,) = result.policies
    assert [(found.task.invocation_id, found.at, found.outcome) for found in one.found] == [
        ("slow", at("125m"), "succeeded"),
        ("broken", at("125m"), "failed"),
    ]
    assert result.stops == []


def test_the_budget_makes_them_wait_most_overdue_first() -> None:
    """One a run: the others wait for the next tick, and who ends meanwhile is never stopped."""
    tasks = [
        lived(
            f"job-{n}", ("Enqueued", f"{n}m"), ("Running", f"{n}m"), ("Failed", f"{140 if n == 3 else 300}m")
        )
        for n in (1, 2, 3, 4)
    ]
    result = replayed(history(*tasks), "match: {running_for: 2h}, budget: 1/run")
    assert stops(result) == {"job-1": "125m", "job-2": "130m", "job-3": "135m", "job-4": "140m"}
    (one,) = result.policies
    assert len(one.due) == 4
    shorter = [task for task in tasks if task.invocation_id != "job-3"]
    ended = lived("job-3", ("Enqueued", "3m"), ("Running", "3m"), ("Failed", "135m"))
    result = replayed(history(*shorter, ended), "match: {running_for: 2h}, budget: 1/run")
    assert stops(result) == {"job-1": "125m", "job-2": "130m", "job-4": "135m"}
    assert len(result.policies[0].due) == 4


def test_a_days_budget_counts_the_replays_stops_and_those_of_the_history() -> None:
    """Whoever stopped them, within 24 hours; one that the replay stopped first counts once."""
    many = [lived(f"job-{n}", ("Enqueued", "0s"), ("Running", "0s"), ("Failed", "40h")) for n in range(4)]
    by_hand = lived("by-hand", ("Enqueued", "0s"), ("Stopped", "1h"))
    result = replayed(history(*many, by_hand), "match: {running_for: 2h}, budget: 3/day")
    assert stops(result) == {
        "job-0": "125m",
        "job-1": "125m",
        "job-2": f"{25 * 60}m",
        "job-3": f"{26 * 60 + 5}m",
    }


def test_more_than_halt_over_stops_none() -> None:
    """For as many runs as it lasts."""
    tasks = [
        lived(f"job-{n}", ("Enqueued", "0s"), ("Running", "0s"), ("Failed", f"{3 + n}h")) for n in range(3)
    ]
    result = replayed(history(*tasks), "match: {running_for: 2h}, halt_over: 2")
    (one,) = result.policies
    assert stops(result) == {"job-1": "180m", "job-2": "180m"}
    assert one.halted_runs == (180 - 125) // 5
    assert len(one.due) == 3


def test_a_holdout_is_spared_and_counted() -> None:
    """Nearly all of them here."""
    result = replayed(history(SLOW, BROKEN), "match: {running_for: 2h}, holdout: 99.99%")
    assert result.stops == []
    assert result.policies[0].due == {0, 1}


def test_keep_counts_who_is_alive_at_each_tick() -> None:
    """The newest goes as soon as there is one too many; a place becomes free when somebody ends."""
    tasks = [
        lived("first", ("Enqueued", "0s"), ("Running", "0s"), ("Succeeded", "60m")),
        lived("second", ("Enqueued", "10m"), ("Running", "10m"), ("Succeeded", "90m")),
        lived("third", ("Enqueued", "62m"), ("Running", "62m"), ("Succeeded", "95m")),
    ]
    result = replayed(history(*tasks), "match: {status: Running}, keep: {at_most: 1}")
    assert stops(result) == {"second": "10m"}
    oldest = replayed(history(*tasks), "match: {status: Running}, keep: {at_most: 1, stop_first: oldest}")
    assert stops(oldest) == {"first": "10m", "second": "65m"}


def test_what_no_timer_runs_is_not_replayed_and_named() -> None:
    """An event cannot be replayed; every timer runs at every tick."""
    result = replayed(
        history(SLOW),
        "match: {running_for: 1h}, triggers: [task]",
        "match: {running_for: 1h}, triggers: [alert, command]",
        "match: {running_for: 3h}, triggers: ['timer:hourly']",
    )
    assert [policy.name for policy in result.not_replayed] == ["p0", "p1"]
    assert stops(result) == {"slow": "185m"}


def test_tasks_outside_the_targets_are_counted() -> None:
    """No policy evaluates them."""
    other = SLOW._replace(function=Function("other", "thing", "LATEST"))
    result = replayed(history(SLOW, other), "match: {running_for: 2h}")
    assert (result.outside, len(result.stops)) == (1, 1)


def test_since_and_until_bound_the_runs_and_not_the_lives() -> None:
    """Who is long over its limit is stopped in the first run; the truth is known beyond the last."""
    result = replayed(history(SLOW, BROKEN), "match: {running_for: 2h}", since=at("181m"), until=at("4h"))
    assert stops(result) == {"slow": "185m", "broken": "185m"}
    assert (result.ticks[0], result.ticks[-1], len(result.ticks)) == (at("185m"), at("4h"), 12)
    assert replayed(history(SLOW), "match: {running_for: 2h}", until=at("2h")).stops == []
    assert replayed(history(SLOW), "match: {running_for: 2h}", since=at("9h")).ticks == range(0)


def test_runs_are_multiples_of_the_interval() -> None:
    """From the first event to the last, whatever happens at them."""
    result = replayed(history(lived("a", ("Enqueued", "1m"), ("Expired", "14m"))), "match: {queued_for: 1h}")
    assert list(result.ticks) == [at("5m"), at("10m")]


def test_the_reapers_own_tasks_are_exempt() -> None:
    """As in a run."""
    terms = ReplayOptions(ms("5m"), own_function=lambda function: function == SLOW.function)
    assert replay(history(SLOW), policies("match: {running_for: 2h}"), terms).stops == []


def test_an_empty_history_has_no_runs() -> None:
    """And nothing fails."""
    result = replayed(history(), "match: {running_for: 2h}")
    assert (list(result.ticks), result.stops) == ([], [])


def test_the_ticks_that_have_passed_are_told() -> None:
    """For a bar; up to the last one at which something happens."""
    steps: list[int] = []
    replay(history(SLOW, EXPIRED), policies("match: {alive_for: 1h}"), ReplayOptions(ms("5m")), steps.append)
    assert sum(steps) == ms("7h") // ms("5m")


def test_halt_over_counts_all_who_are_due_however_small_the_budget() -> None:
    """Five are due, four are allowed, one could be stopped: none is."""
    tasks = [lived(f"job-{n}", ("Enqueued", "0s"), ("Running", "0s"), ("Failed", "3h")) for n in range(5)]
    result = replayed(history(*tasks), "match: {running_for: 2h}, halt_over: 4, budget: 1/run")
    assert (result.stops, result.policies[0].halted_runs) == ([], 11)


def test_what_an_earlier_policy_stops_in_the_same_run_counts_for_the_day() -> None:
    """Two policies on one function: the second has one stop a day, and the first one takes it."""
    tasks = [lived(name, ("Enqueued", "0s"), ("Running", "0s"), ("Failed", "9h")) for name in ("a-1", "b-1")]
    first, second = "match: {running_for: 2h, id: a-*}", "match: {running_for: 2h, id: b-*}, budget: 1/day"
    assert stops(replayed(history(*tasks), first, second)) == {"a-1": "125m"}
    assert stops(replayed(history(*tasks), second)) == {"b-1": "125m"}


def test_who_is_one_too_many_no_more_is_reported_by_its_own_clock() -> None:
    """While there were too many, `keep` spoke for it; when the other ends, the next policy does."""
    tasks = [
        lived("old", ("Enqueued", "0s"), ("Running", "0s"), ("Succeeded", "4h")),
        lived("new", ("Enqueued", "10m"), ("Running", "10m"), ("Succeeded", "6h")),
    ]
    many = "match: {status: Running}, keep: {at_most: 1}, report: there are many"
    result = replayed(history(*tasks), many, "match: {alive_for: 3h}, report: it is slow")
    reported = [[(one.task.invocation_id, one.at) for one in each.found] for each in result.policies]
    assert reported == [[("new", at("10m"))], [("old", at("185m")), ("new", at("240m"))]]


def test_a_stop_changes_the_next_run_even_when_nothing_else_happens() -> None:
    """`new` is one too many until `old` is stopped; then the report by its own clock stands."""
    tasks = [
        lived("old", ("Enqueued", "0s"), ("Running", "0s"), ("Succeeded", "4h")),
        lived("new", ("Enqueued", "7m"), ("Running", "7m"), ("Succeeded", "4h")),
    ]
    result = replayed(
        history(*tasks),
        "match: {status: Running}, keep: {at_most: 1}, report: there are many",
        "match: {alive_for: 1m, id: new}, report: it is slow",
        "match: {status: Running}, keep: {at_most: 1, stop_first: oldest}",
    )
    assert stops(result) == {"old": "10m"}
    reported = [[(one.task.invocation_id, one.at) for one in each.found] for each in result.policies]
    assert reported == [[("new", at("10m"))], [("new", at("15m"))], [("old", at("10m"))]]


def test_who_is_one_too_many_for_one_policy_does_not_count_for_a_later_one() -> None:
    """The first takes the newest of three; of the other two the second takes the older one.

    Also while the first is halted: those who have to wait are its own.
    """
    tasks = [
        lived(f"job-{n}", ("Enqueued", f"{n}m"), ("Running", f"{n}m"), ("Failed", "3h")) for n in (1, 2, 3)
    ]
    oldest = "match: {status: Running}, keep: {at_most: 1, stop_first: oldest}"
    result = replayed(history(*tasks), "match: {status: Running}, keep: {at_most: 2}", oldest)
    assert stops(result) == {"job-3": "5m", "job-1": "5m"}
    halted = "match: {status: Running}, keep: {at_most: 1}, halt_over: 1"
    assert stops(replayed(history(*tasks), halted, oldest)) == {}


def test_too_many_to_be_counted_halt_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a run: nobody is stopped until they can be counted, and a report is silent as long."""
    monkeypatch.setattr("fc_reaper.evaluator.concurrency.MOST", 3)
    tasks = [
        lived(
            f"job-{n}", ("Enqueued", f"{n}m"), ("Running", f"{n}m"), ("Failed", f"{60 if n == 4 else 180}m")
        )
        for n in (1, 2, 3, 4)
    ]
    result = replayed(history(*tasks), "match: {status: Running}, keep: {at_most: 2}")
    assert stops(result) == {"job-3": "60m"}
    assert (result.policies[0].halted_runs, result.policies[0].due) == (11, {2})
    silent = replayed(history(*tasks), "match: {status: Running}, keep: {at_most: 2}, report: many")
    assert [(one.task.invocation_id, one.at) for one in silent.policies[0].found] == [("job-3", at("60m"))]


def test_a_comparison_of_an_age_is_foreseen_to_the_millisecond() -> None:
    """Running since 00:01, over 7,200 seconds from 02:01:00.001 on, exactly there only at that moment."""
    for where, stopped in (
        ("ages.running_for > `7200`", "122m"),
        ("ages.running_for >= `7200`", "121m"),
        ("`7200` <= ages.running_for", "121m"),
        ("!(ages.running_for <= `7200`)", "122m"),
        ("ages.running_for > `7199.9995`", "121m"),
    ):
        task = SLOW._replace(record={"invocationPayload": '{"limit": 7200}'})
        result = replayed(history(task), f'match: {{alive_for: 1m, where: "{where}"}}', interval="1m")
        assert stops(result) == {"slow": stopped}


def test_a_task_that_was_found_under_two_qualifiers_counts_once() -> None:
    """It is one task, whose place in the group nobody needs to make free."""
    one = lived("one", ("Enqueued", "0s"), ("Running", "0s"), ("Succeeded", "1h"))
    again = one._replace(function=one.function._replace(qualifier="7"))
    other = lived("other", ("Enqueued", "20m"), ("Running", "20m"), ("Succeeded", "1h"))
    keep = "targets: ['media/*@*'], match: {status: Running}, keep: {at_most: 1}"
    assert replayed(history(one, again), keep).stops == []
    assert stops(replayed(history(one, again, other), keep)) == {"other": "20m"}
    due = "targets: ['media/*@7'], match: {running_for: 10m}"
    assert TRANSCODE.qualifier != "7"
    assert stops(replayed(history(one, again, other), keep, due)) == {"one": "15m"}


def test_the_name_that_counts_is_the_one_that_a_run_would_count() -> None:
    """Whichever was recorded first: a run takes the first by name, and so the task counts in that group."""
    one = lived("one", ("Enqueued", "0s"), ("Running", "0s"), ("Succeeded", "1h"))
    again = one._replace(function=one.function._replace(qualifier="7"))
    other = lived("other", ("Enqueued", "20m"), ("Running", "20m"), ("Succeeded", "1h"))
    other = other._replace(function=again.function)
    keep = "targets: ['media/*@*'], match: {status: Running}, keep: {at_most: 1, per: qualifier}"
    for past in (history(one, again, other), history(again, one, other)):
        assert stops(replayed(past, keep)) == {"other": "20m"}


def test_an_id_that_was_used_again_is_another_task() -> None:
    """By its request id, which is never the same."""
    first = lived("job", ("Enqueued", "0s"), ("Running", "0s"), ("Succeeded", "30m"))
    second = lived("job", ("Enqueued", "2h"), ("Running", "2h"), ("Succeeded", "3h"))
    second = second._replace(request_id="r-2")
    result = replayed(history(first, second), "match: {running_for: 10m}")
    assert [stop.at for stop in result.stops] == [at("15m"), at("2h15m")]


def test_a_rule_that_reads_the_time_in_its_own_way_is_evaluated_at_every_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When its result may change is not known."""

    class EnqueuedFor(Rule):
        key = "enqueued_for"
        field = Duration
        description = "The task was enqueued longer ago than this."
        example = "2h"
        is_limit = True

        def evaluate(self, task: Task, reading: Reading) -> RuleResult:
            return RuleResult(Truth(reading.moment.earliest - task.events[0].at > self.wanted), self.key)

    monkeypatch.setitem(RULES, EnqueuedFor.key, EnqueuedFor)
    assert stops(replayed(history(SLOW), "match: {enqueued_for: 2h}")) == {"slow": "125m"}
