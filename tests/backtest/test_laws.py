"""A replay does what a run at each tick would have done, no more and no less."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fc_reaper.backtest.history import History, as_of
from fc_reaper.backtest.replay import ReplayOptions, replay
from fc_reaper.backtest.stats import by_outcome
from fc_reaper.evaluator.evaluate import compile_policies, evaluate
from fc_reaper.evaluator.explain import Changes
from fc_reaper.models import Moment, Task, TaskEvent
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.ages import Reading
from fc_reaper.rules.result import Kind
from tests.backtest.lives import MIDNIGHT, MINUTE, histories, lives, policies, shown_restarts
from tests.backtest.naive_replay import NaiveReplay, Past, pasts
from tests.builders import TRANSCODE
from tests.evaluator.naive import record_of
from tests.evaluator.worlds import loaded

ENTRIES = (
    "match: {running_for: 10m}",
    "match: {running_for: 1m}, budget: 1/run",
    "match: {queued_for: 5m}, unless: [vip-*, {alive_for: 1h}]",
    "match: {alive_for: 20m}, halt_over: 2",
    "match: {alive_for: 7m}, budget: '2/run, 3/day'",
    "match: {alive_for: 7m}, targets: ['media/resize'], budget: 1/day",
    "match: {alive_for: 3m}, holdout: 40%, budget: 2/run",
    "match: {alive_for: 1m}, halt_over: 2, budget: 1/run",
    "match: {retries_over: 1}",
    "match: {stopping_for: 2m}",
    "match: {status: Running, where: payload.order == `2`}, triggers: [timer], keep: {at_most: 2}",
    "match: {alive_for: {from: payload.run, at_most: 30m}}",
    "match: {running_for: 2m, where: 'ages.alive_for > `600`'}",
    "match: {alive_for: 1m, where: '`599.9995` <= ages.running_for || ages.running_for < `300`'}",
    "match: {alive_for: 1m, where: 'ages.queued_for >= `60` && !(ages.alive_for < `1200`)'}",
    "match: {alive_for: 1m, where: 'ages.running_for > `420` && payload.order > `1`'}, report: it is slow",
    "match: {alive_for: 1m, where: '!(ages.alive_for <= `900`)'}",
    "match: {alive_for: 1m}, unless: [{where: 'ages.alive_for > `900` && startedTime > `0`'}], budget: 1/run",
    "match: {status: Running}, keep: {at_most: 1, per: 'ages.running_for > `420`'}",
    "match: {status: [Enqueued, Running, Retrying]}, keep: {at_most: 1}, budget: 1/run",
    "match: {status: [Running, Enqueued]}, keep: {at_most: 2, stop_first: oldest, per: function}, "
    "halt_over: 1",
    "match: {status: Running}, keep: {at_most: 1, per: payload.order}, unless: [keep-*], holdout: 30%",
    "match: {alive_for: 4m}, report: it is slow",
    "match: {status: [Enqueued, Running]}, keep: {at_most: 1, per: qualifier}, report: there are many",
    "match: {status: Running}, keep: {at_most: 2}, unless: [vip-*], halt_over: 2, budget: '1/run, 3/day'",
    "match: {status: [Running, Retrying]}, keep: {at_most: 1, stop_first: oldest}, report: there are many",
    "match: {alive_for: 1m}, triggers: [alert]",
)
EXEMPT = st.sampled_from(
    [
        "",
        "[keep-*]",
        "[{running_for: 30m}]",
        "[{where: payload.order == `1`}]",
        "[{where: 'ages.running_for < `200`'}]",
    ]
)
files = st.builds(
    lambda entries, exempt: policies(*entries, exempt=exempt),
    st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=4),
    EXEMPT,
)


@given(pasts(), st.sampled_from([5 * MINUTE, 7 * MINUTE, 20 * MINUTE]))
def test_it_is_what_the_plainest_reading_of_every_tick_comes_to(past: Past, interval: int) -> None:
    """Same stops and reports at the same ticks, same halts, same counts."""
    result = replay(past.history, loaded(past.tree), ReplayOptions(interval))
    plain = NaiveReplay(past, interval)
    stops = [(stop.verdict.policy, stop.at, *record_of(stop.task)) for stop in result.stops]
    assert sorted(stops) == sorted((name, at, *record_of(task)) for name, at, task in plain.stops)
    reports = {
        (one.policy.name, *record_of(found.task)): found.at
        for one in result.policies
        for found in one.found
        if not one.policy.stops
    }
    assert reports == plain.reports
    stopping = [one for one in result.policies if one.policy.stops]
    assert {one.policy.name: one.halted_runs for one in stopping} == plain.halted
    due = {one.policy.name: {record_of(past.history.tasks[n]) for n in one.due} for one in stopping}
    assert due == plain.due


@given(lives(), files, st.integers(0, 600).map(lambda halves: MIDNIGHT + halves * 30_000), st.integers(1, 90))
def test_between_two_moments_a_verdict_only_grows_older(
    whole: Task, file: PolicyFile, now: int, minutes: int
) -> None:
    """Whatever an expression does with the ages: a change is foreseen, or any moment may bring one."""
    fitting = [one for one in file.policies if any(target.fits(whole.function) for target in one.targets)]
    policies = compile_policies(whole.function, fitting, file.exempt)
    changes = Changes.of(policies)
    task, later = as_of(whole, now), now + minutes * MINUTE
    if task is None or task != as_of(whole, later) or changes.any_time:
        return
    reading = Reading(task, Moment.exactly(now), "unknown", read=True)
    later = min((later, *(now + wait - 1 for wait in changes.after(reading))))
    before, after = (evaluate(task, policies, Moment.exactly(one)) for one in (now, later))
    assert after == before.later(later - now)


@given(histories(most=6), files)
def test_a_verdict_of_the_replay_is_the_verdict_of_that_instant(past: History, file: PolicyFile) -> None:
    """Whoever is stopped by its own clock is due by `claim` on its record as of that tick, to the letter."""
    for stop in replay(past, file, ReplayOptions(MINUTE)).stops:
        if stop.verdict.by.rule == "keep":
            continue
        awake = [one for one in file.policies if one.triggers != ("alert",)]
        fitting = [one for one in awake if any(target.fits(stop.task.function) for target in one.targets)]
        task = as_of(stop.task, stop.at)
        assert task is not None
        verdict = evaluate(
            task, compile_policies(task.function, fitting, file.exempt), Moment.exactly(stop.at)
        )
        assert verdict == stop.verdict
        assert verdict.kind is Kind.DUE


@given(histories(), files)
def test_every_task_is_stopped_once_and_the_counts_add_up(past: History, file: PolicyFile) -> None:
    """Nobody is stopped twice, and whoever was stopped was due."""
    result = replay(past, file, ReplayOptions(5 * MINUTE))
    ids = [stop.task.invocation_id for stop in result.stops]
    assert len(ids) == len(set(ids))
    for one in result.policies:
        assert sum(by_outcome(one.found).values()) == len(one.found)
        assert {found.number for found in one.found} <= one.due


@given(lives(), st.integers(-1, 700))
def test_a_record_of_the_past_knows_nothing_of_the_future(task: Task, minutes: int) -> None:
    """Its events lie before that moment, its status is the latest of them, and an end is not foretold."""
    moment = MIDNIGHT + minutes * MINUTE
    past = as_of(task, moment)
    if past is None:
        assert moment < task.events[0].at
        return
    assert past.events == tuple(event for event in task.events if event.at <= moment)
    assert past.status == past.events[-1].status
    assert past.record is not None
    assert past.record["status"] == past.status
    assert [event["timestamp"] for event in past.record["events"]] == [event.at for event in past.events]


@st.composite
def retried(draw: st.DrawFn) -> Task:
    """A task of some attempts, whose record shows all of them."""
    statuses = ["Enqueued", *["Running", "Retrying"] * draw(st.integers(0, 3)), "Running", "Succeeded"]
    events, now = [], MIDNIGHT
    for number, status in enumerate(statuses, 1):
        events.append(TaskEvent(now, number, status))
        now += draw(st.sampled_from([MINUTE, 6 * MINUTE, 25 * MINUTE]))
    retries, record = statuses.count("Retrying"), {"status": "Succeeded", "startedTime": MIDNIGHT}
    return Task(TRANSCODE, "job", "Succeeded", "r-1", None, None, retries, tuple(events), record=record)


@settings(max_examples=2 * settings().max_examples)
@given(retried(), st.integers(1, 6), st.booleans(), files, st.integers(0, 200))
def test_a_torn_record_is_due_only_where_the_whole_one_is(
    whole: Task, at: int, beginning: bool, file: PolicyFile, halves: int
) -> None:
    """Whether its beginning is missing, or a restart that it counts; its latest event is there."""
    events = whole.events[at:] if beginning else (*whole.events[: at - 1], *whole.events[at + 1 :])
    if at + 1 >= len(whole.events) or (not beginning and shown_restarts(events) == whole.retries):
        return
    fitting = [one for one in file.policies if any(target.fits(TRANSCODE) for target in one.targets)]
    compiled = compile_policies(TRANSCODE, fitting, file.exempt)
    now = events[0].at + halves * 30_000
    torn, then = as_of(whole._replace(events=events), now), as_of(whole, now)
    assert torn is not None
    assert then is not None
    if evaluate(torn, compiled, Moment.exactly(now)).kind is Kind.DUE:
        assert evaluate(then, compiled, Moment.exactly(now)).kind is Kind.DUE
