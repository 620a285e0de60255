"""What becomes of one task."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fc_reaper.evaluator.evaluate import Evaluation, compile_policies, evaluate
from fc_reaper.models import Function, Moment, Task, TaskEvent
from fc_reaper.policy import load_policy
from fc_reaper.rules import ages
from fc_reaper.rules.result import Kind
from tests.builders import AT_NOON, NOON, TRANSCODE, a_policy, a_task, ago, compiled, ms, running_for

QUEUED = [("Enqueued", "5h"), ("Dequeued", "1m"), ("Running", "1m")]
RETRIED = [("Enqueued", "5h"), ("Running", "4h"), ("Retrying", "2m"), ("Running", "1m")]
REQUEUED = [("Enqueued", "5h"), ("Running", "4h"), ("Retrying", "10m"), ("Enqueued", "5m")]


@pytest.mark.parametrize(
    ("match", "task", "kind"),
    [
        pytest.param("{running_for: 2h}", running_for("119m59s"), Kind.KEPT, id="within the limit is kept"),
        pytest.param("{running_for: 2h}", running_for("2h"), Kind.KEPT, id="exactly at the limit is kept"),
        pytest.param("{running_for: 2h}", running_for("2h1s"), Kind.DUE, id="over the limit is due"),
        pytest.param("{running_for: 2h}", a_task("Running", *QUEUED), Kind.KEPT, id="waiting is not running"),
        pytest.param("{alive_for: 2h}", a_task("Running", *QUEUED), Kind.DUE, id="waiting is being alive"),
        pytest.param(
            "{running_for: 2h}", a_task("Running", *RETRIED), Kind.KEPT, id="an attempt begins anew"
        ),
        pytest.param(
            "{alive_for: 2h}", a_task("Running", *RETRIED), Kind.DUE, id="a life spans its attempts"
        ),
        pytest.param(
            "{queued_for: 1h}", a_task("Enqueued", ("Enqueued", "2h")), Kind.DUE, id="waiting too long"
        ),
        pytest.param(
            "{queued_for: 1h}", a_task("Enqueued", *REQUEUED), Kind.KEPT, id="the last enqueueing counts"
        ),
        pytest.param(
            "{alive_for: 1h}", a_task("Enqueued", *REQUEUED), Kind.DUE, id="the first enqueueing counts"
        ),
        pytest.param(
            "{running_for: 1h}", a_task("Enqueued", *REQUEUED), Kind.KEPT, id="what waits does not run"
        ),
        pytest.param(
            "{stopping_for: 3m}",
            a_task("Stopping", ("Enqueued", "9h"), ("Running", "9h"), ("Stopping", "4m")),
            Kind.DUE,
            id="stopping for too long",
        ),
        pytest.param(
            "{alive_for: 1h}",
            a_task("Stopping", ("Enqueued", "9h"), ("Running", "9h"), ("Stopping", "4m")),
            Kind.KEPT,
            id="what is being stopped is not stopped again",
        ),
        pytest.param(
            "{retries_over: 3}", running_for("1m", retries=3), Kind.KEPT, id="exactly so many retries"
        ),
        pytest.param("{retries_over: 3}", running_for("1m", retries=4), Kind.DUE, id="more retries"),
        pytest.param(
            "{running_for: 2h, id: 'batch-*'}", running_for("3h"), Kind.KEPT, id="keys are joined by and"
        ),
        pytest.param(
            "{running_for: 2h, id: ['x-*', 'job-?']}", running_for("3h"), Kind.DUE, id="one of the globs fits"
        ),
    ],
)
def test_rules_decide_by_their_own_clock(match: str, task: Task, kind: Kind) -> None:
    """Each clock ticks in its own statuses and from its own event; the limit itself is within."""
    assert evaluate(task, compiled(a_policy(match)), AT_NOON).kind is kind


def test_a_verdict_explains_itself() -> None:
    """Policy, rule, reason, age, limit, excess and clock travel with the verdict."""
    verdict = evaluate(running_for("2h14m"), compiled(a_policy("{alive_for: 2h}")), AT_NOON)
    assert (verdict.policy, verdict.by.rule, verdict.by.clock) == ("runaway", "alive_for", "events")
    assert verdict.reason == "it takes forty minutes at worst"
    assert (verdict.by.age, verdict.by.limit, verdict.by.over) == (8_040_000, 7_200_000, 840_000)


@pytest.mark.parametrize(
    ("rule", "status"), [("alive_for", "Running"), ("running_for", "Running"), ("queued_for", "Enqueued")]
)
def test_an_age_says_what_it_was_read_from(rule: str, status: str) -> None:
    """The dated events of the record, whichever clock it is."""
    task = a_task(status, *[(name, "3h") for name in dict.fromkeys(("Enqueued", status))])
    assert evaluate(task, compiled(a_policy(f"{{{rule}: 2h}}")), AT_NOON).by.clock == "events"


def test_a_verdict_by_retries_tells_them_and_their_limit() -> None:
    """Where there is no age to tell."""
    verdict = evaluate(running_for("1h", retries=4), compiled(a_policy("{retries_over: 3}")), AT_NOON)
    assert (verdict.by.rule, verdict.by.retries, verdict.by.retries_limit) == ("retries_over", 4, 3)
    assert (verdict.by.age, verdict.by.limit, verdict.by.limit_from) == (None, None, None)


def test_rules_without_a_clock_come_last_then_the_oldest_then_the_id() -> None:
    """Most overdue first; what is bounded only from below counts by that bound."""
    file = load_policy(
        "{version: 1, policies: [{name: p, targets: ['media/*@*'], match: {alive_for: 2h}, stop: a}, "
        "{name: q, targets: ['media/*@*'], match: {retries_over: 3, status: Enqueued}, stop: a}]}",
        source="p",
    )
    tasks = [
        a_task("Enqueued", ("Enqueued", "30m"), retries=4, invocation_id="a"),
        a_task("Enqueued", ("Enqueued", "1h"), retries=4, invocation_id="d"),
        a_task("Enqueued", ("Enqueued", "1h"), retries=4, invocation_id="c"),
        a_task("Enqueued", retries=4, invocation_id="0"),
        running_for("3h", invocation_id="b"),
        running_for("5h", retries=2, invocation_id="e"),
    ]
    due = [Evaluation(one, evaluate(one, compiled(file), AT_NOON), NOON) for one in tasks]
    assert {one.verdict.kind for one in due} == {Kind.DUE}
    assert "".join(one.task.invocation_id for one in sorted(due, key=lambda one: one.order)) == "ebcda0"


@pytest.mark.parametrize(
    ("apart", "kind"), [("0s", Kind.DUE), ("1s", Kind.DUE), ("2s", Kind.UNKNOWN), ("20s", Kind.UNKNOWN)]
)
def test_a_limit_is_passed_only_when_it_is_so_by_both_clocks(apart: str, kind: Kind) -> None:
    """And an exemption is false only when it is within its limit by both."""
    moment = Moment(NOON - ms(apart), NOON, ms(apart))
    task = running_for("2h")._replace(events=running_for("7202s").events)
    assert evaluate(task, compiled(a_policy("{alive_for: 2h}")), moment).kind is kind
    young = running_for("2h")
    for exempt in ("[{alive_for: 7200s}]", "[{where: 'ages.alive_for > `7200`'}]"):
        file = a_policy("{alive_for: 1h}", exempt=exempt)
        later = Moment(NOON, NOON + ms(apart), ms(apart))
        expected = Kind.DUE if apart == "0s" else Kind.UNKNOWN
        assert evaluate(young, compiled(file), later).kind is expected


@pytest.mark.parametrize(
    ("unless", "payload", "kind", "unread"),
    [
        ("{alive_for: 6h, where: payload.vip}", '{"n": 1}', Kind.UNKNOWN, True),
        ("{where: payload.vip, alive_for: 6h}", '{"vip": false}', Kind.DUE, False),
        ("{retries_over: 3, where: payload.vip}", '{"n": 1}', Kind.UNKNOWN, False),
        ("{running_for: 3h, where: payload.vip}", '{"vip": true}', Kind.DUE, False),
    ],
)
def test_one_key_that_does_not_hold_settles_a_matcher(
    unless: str, payload: str, kind: Kind, unread: bool
) -> None:
    """Whatever is unknown of the others; a listed record is read only where that may settle one of them."""
    task = a_task(started_at=ago("3h"), retries=None, record={"invocationPayload": payload})
    verdict = evaluate(task, compiled(a_policy("{alive_for: 2h}", unless=f"[{unless}]")), AT_NOON, read=False)
    assert (verdict.kind, verdict.by.unread) == (kind, unread)


@pytest.mark.parametrize(
    ("first", "second", "unread"),
    [
        ("match: {status: Running}, report: a", "match: {running_for: 2h}, stop: a", True),
        ("match: {running_for: 2h}, stop: a", "match: {status: Running}, report: a", True),
        ("match: {alive_for: 2h}, stop: a", "match: {running_for: 2h}, stop: a", False),
        ("match: {running_for: 2h}, stop: a", "match: {alive_for: 2h}, stop: a", True),
        ("match: {running_for: 2h}, report: a", "match: {alive_for: 2h}, stop: a", False),
    ],
)
def test_a_listed_task_is_read_where_a_stronger_policy_may_hold(
    first: str, second: str, unread: bool
) -> None:
    """Stop over report, then the order of the file."""
    file = load_policy(
        f"{{version: 1, policies: [{{name: p, targets: ['media/*@*'], {first}}}, "
        f"{{name: q, targets: ['media/*@*'], {second}}}]}}",
        source="p",
    )
    task = a_task(started_at=ago("3h"))
    assert evaluate(task, compiled(file), AT_NOON, read=False).by.unread is unread


def test_of_several_clocks_the_one_exceeded_least_is_named() -> None:
    """The clock that decided when the task became due is the one that explains it."""
    file = a_policy("{running_for: 1h, alive_for: 4h}")
    verdict = evaluate(a_task("Running", ("Enqueued", "5h"), ("Running", "90m")), compiled(file), AT_NOON)
    assert (verdict.by.rule, verdict.by.over) == ("running_for", 1_800_000)


@pytest.mark.parametrize(
    ("task", "why"),
    [
        pytest.param(
            running_for("9h")._replace(status="Thinking"), "'Thinking' is unknown", id="unknown status"
        ),
        pytest.param(
            running_for("9h")._replace(status="Retrying"), "contradicts", id="status and events differ"
        ),
        pytest.param(
            running_for("9h", inconsistency="another function"), "another function", id="inconsistent record"
        ),
        pytest.param(
            a_task("Running", ("Enqueued", "9h"), ("Succeeded", "8h"), ("Running", "7h")),
            "contradicts",
            id="an end in the middle",
        ),
        pytest.param(a_task("Running"), "alive_for", id="no date at all"),
        pytest.param(a_task("Running", started_at=NOON + 3_600_000), "alive_for", id="started in the future"),
    ],
)
def test_unknown_means_keep(task: Task, why: str) -> None:
    """A record without what the rule needs, or against itself, is unknown, whatever else it says."""
    verdict = evaluate(task, compiled(a_policy("{alive_for: 2h}")), AT_NOON)
    assert verdict.kind is Kind.UNKNOWN
    assert why in verdict.reason


@pytest.mark.parametrize(
    ("match", "task"),
    [
        ("{running_for: 2h}", running_for("3h", undated=("Retrying", "Running"))),
        ("{running_for: 2h}", running_for("3h", undated=("Retrying",))),
        ("{alive_for: 2h}", running_for("3h", undated=("Succeeded",))),
        ("{alive_for: 2h}", a_task("Running", started_at=ago("3h"), undated=("Succeeded",))),
        ("{running_for: 2h}", running_for("3h", started_at=ago("5m"))),
    ],
)
def test_an_event_without_a_date_leaves_open_what_came_last(match: str, task: Task) -> None:
    """What nobody can date may be a new attempt or the end; so may a start after the latest event."""
    assert evaluate(task, compiled(a_policy(match)), AT_NOON).kind is Kind.UNKNOWN


def test_a_date_that_lies_ahead_leaves_everything_unknown() -> None:
    """Even where nothing of the task can be older than its first event."""
    task = a_task("Running", ("Enqueued", "1m"))._replace(
        events=(TaskEvent(ago("1m"), 1, "Enqueued"), TaskEvent(NOON + 5_000, 2, "Running"))
    )
    assert evaluate(task, compiled(a_policy("{running_for: 2h}")), AT_NOON).kind is Kind.UNKNOWN


def test_a_finished_record_about_something_else_proves_nothing() -> None:
    """An inconsistent record is not even believed when it says that it is over."""
    task = running_for("9h", inconsistency="another task")._replace(status="Succeeded")
    assert evaluate(task, compiled(a_policy()), AT_NOON).kind is Kind.UNKNOWN


@pytest.mark.parametrize("exempt", ["[{target: 'media/transcode@*'}]", "[{target: 'media$transcode@*'}]"])
def test_exemption_knows_a_function_by_both_its_names(exempt: str) -> None:
    """A function made in 2.0 is called media$transcode in 3.0."""
    function = Function(None, "media$transcode", "LATEST")
    file = a_policy(exempt=exempt)
    policies = compile_policies(function, file.policies, file.exempt)
    assert evaluate(running_for("9h", function=function), policies, AT_NOON).kind is Kind.EXEMPT


def test_a_date_in_the_future_is_no_date() -> None:
    """Nobody can have been running since tomorrow; the attempt before does not count instead."""
    task = a_task("Running", ("Enqueued", "9h"), ("Running", "8h"), ("Retrying", "7h"))
    task = task._replace(events=(*task.events, TaskEvent(NOON + 60_000, 9, "Running")))
    assert evaluate(task, compiled(a_policy("{running_for: 2h}")), AT_NOON).kind is Kind.UNKNOWN


@pytest.mark.parametrize(
    ("match", "meaning", "retries", "kind"),
    [
        ("{alive_for: 2h}", "unknown", 0, Kind.DUE),
        ("{alive_for: 2h}", "enqueue", 3, Kind.DUE),
        ("{alive_for: 2h}", "execution", 3, Kind.DUE),
        ("{running_for: 2h}", "unknown", 0, Kind.UNKNOWN),
        ("{running_for: 2h}", "enqueue", 0, Kind.UNKNOWN),
        ("{running_for: 2h}", "execution", 0, Kind.DUE),
        ("{running_for: 2h}", "execution", 1, Kind.UNKNOWN),
        ("{running_for: 2h}", "execution", None, Kind.UNKNOWN),
        ("{stopping_for: 2h}", "execution", 0, Kind.KEPT),
    ],
)
def test_started_time_makes_due_only_where_it_is_known(
    match: str, meaning: str, retries: int | None, kind: Kind
) -> None:
    """Without any dated event `startedTime` counts only where it can but make the task look younger."""
    task = a_task("Running", started_at=ago("3h"), retries=retries)
    verdict = evaluate(task, compiled(a_policy(match), started_time=meaning), AT_NOON)
    assert verdict.kind is kind
    assert verdict.by.clock == ("started_time" if kind is Kind.DUE else None)


@pytest.mark.parametrize(("meaning", "kind"), [("enqueue", Kind.DUE), ("execution", Kind.UNKNOWN)])
def test_started_time_tells_of_waiting_only_where_it_means_enqueueing(meaning: str, kind: Kind) -> None:
    """`queued_for` without events needs `startedTime` to be the moment of enqueueing."""
    task = a_task("Enqueued", started_at=ago("3h"))
    assert evaluate(task, compiled(a_policy("{queued_for: 2h}"), started_time=meaning), AT_NOON).kind is kind


def test_a_listed_record_without_events_is_read_where_it_does_not_decide() -> None:
    """What the list leaves out may stand in the record itself."""
    task = a_task("Running", started_at=ago("9h"))
    verdict = evaluate(task, compiled(a_policy("{running_for: 2h}")), AT_NOON, read=False)
    assert (verdict.kind, verdict.by.unread) == (Kind.UNKNOWN, True)
    verdict = evaluate(task, compiled(a_policy("{alive_for: 2h}")), AT_NOON, read=False)
    assert (verdict.kind, verdict.by.unread) == (Kind.DUE, False)


def test_what_started_within_the_limit_needs_no_reading() -> None:
    """An attempt cannot be older than `startedTime`, whatever that means: no call is spent on it."""
    task = a_task("Running", started_at=ago("1h"))
    verdict = evaluate(task, compiled(a_policy("{running_for: 2h}")), AT_NOON, read=False)
    assert (verdict.kind, verdict.by.unread) == (Kind.KEPT, False)


@pytest.mark.parametrize(
    "exempt", ["['job-*']", "[{status: Running}]", "[{running_for: 1h}]", "[{target: 'media/*@*'}]"]
)
def test_exempt_is_above_every_policy(exempt: str) -> None:
    """Whatever matches `exempt` is left alone, and the line that says so is named."""
    verdict = evaluate(running_for("9h"), compiled(a_policy(exempt=exempt)), AT_NOON)
    assert (verdict.kind, verdict.line) == (Kind.EXEMPT, 2)


def test_what_may_be_exempt_is_kept() -> None:
    """An exemption that cannot be decided is no leave to stop."""
    task = running_for("9h", retries=None)
    verdict = evaluate(task, compiled(a_policy("{alive_for: 2h}", exempt="[{retries_over: 5}]")), AT_NOON)
    assert verdict.kind is Kind.UNKNOWN
    assert "exempt" in verdict.reason


def test_unless_spares() -> None:
    """Any matcher of `unless` keeps the task from this policy."""
    verdict = evaluate(running_for("9h"), compiled(a_policy(unless="[vip-*, job-*]")), AT_NOON)
    assert (verdict.kind, verdict.by.rule) == (Kind.KEPT, "unless")


def test_what_may_be_spared_is_kept() -> None:
    """An `unless` that cannot be decided makes the policy unknown."""
    file = a_policy("{alive_for: 2h}", unless="[{retries_over: 5}]")
    assert evaluate(running_for("9h", retries=None), compiled(file), AT_NOON).kind is Kind.UNKNOWN


def test_the_reaper_never_stops_itself() -> None:
    """Tasks of its own function are exempt, whatever the policy says."""
    verdict = evaluate(running_for("9h"), compiled(a_policy(), own_function=True), AT_NOON)
    assert verdict.kind is Kind.EXEMPT


TWO = """
version: 1
policies:
  - {name: look, targets: ['media/*@*'], match: {running_for: 1h}, report: it is slow}
  - {name: act, targets: ['media/*@*'], match: {running_for: 2h}, stop: it is lost}
  - {name: act-too, targets: ['media/*@*'], match: {alive_for: 2h}, stop: it is old}
"""


@pytest.mark.parametrize(
    ("age", "kind", "policy", "also"),
    [
        ("30m", Kind.KEPT, "act", ()),
        ("90m", Kind.REPORTED, "look", ()),
        ("3h", Kind.DUE, "act", ("act-too", "look")),
    ],
)
def test_the_strongest_policy_wins(age: str, kind: Kind, policy: str, also: tuple[str, ...]) -> None:
    """Stop before report, then the order of the file; the others are named in that order."""
    verdict = evaluate(running_for(age), compiled(load_policy(TWO, source="p.yaml")), AT_NOON)
    assert (verdict.kind, verdict.policy, verdict.also) == (kind, policy, also)


def test_the_clocks_of_a_task_are_computed_once_however_many_policies_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether its record is complete is asked once for each clock, not once a policy."""
    asked: list[Task] = []

    def counting(task: Task, real: Callable[[Task], bool] = ages._is_complete) -> bool:
        asked.append(task)
        return real(task)

    monkeypatch.setattr(ages, "_is_complete", counting)
    entry = "{{name: p{}, targets: ['media/*@*'], match: {{alive_for: {}m, running_for: 1h}}, stop: a}}"
    policies = ", ".join(entry.format(number, number) for number in range(1, 60))
    file = load_policy(f"{{version: 1, policies: [{policies}]}}", source="p")
    assert len(evaluate(running_for("3h"), compiled(file), AT_NOON).also) == 58
    assert len(asked) == 2


@pytest.mark.parametrize("status", ["Stopped", "Succeeded", "Failed", "Expired", "Invalid"])
def test_what_has_ended_is_kept(status: str) -> None:
    """A finished task is never stopped, however old it is."""
    assert (
        evaluate(running_for("9h")._replace(status=status), compiled(a_policy()), AT_NOON).kind is Kind.KEPT
    )


def test_targets_of_other_functions_do_not_exempt() -> None:
    """An exemption with a `target` speaks of that function only."""
    file = a_policy(exempt="[{target: 'media/other@*', id: '*'}]")
    assert evaluate(running_for("9h", function=TRANSCODE), compiled(file), AT_NOON).kind is Kind.DUE
