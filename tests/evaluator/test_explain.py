"""What an explanation adds to a verdict: what was read, when it turns, and which steps would turn it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.evaluator.compiled import FunctionPolicies, compile_policies
from fc_reaper.evaluator.evaluate import claim
from fc_reaper.evaluator.explain import Explanation, explain
from fc_reaper.evaluator.outlook import APPROVED, EXEMPT, MATCH, UNLESS, Change, turned
from fc_reaper.evaluator.verdict import Kind, Member
from fc_reaper.models import Millis, Task
from fc_reaper.policy import Policy, PolicyFile, load_policy
from fc_reaper.rules.matcher import RuleResult
from tests.builders import NOON, TRANSCODE, a_policy, a_task, ms, running_for
from tests.evaluator.small_files import files, old_tasks
from tests.evaluator.test_laws import meanings, tasks

LOCKED = st.sampled_from([{}, {"one": "it is not in policy.lock"}])


def explained(task: Task, file: PolicyFile, started_time: str = "unknown", **options: object) -> Explanation:
    return explain(task, file, NOON, stuck_after=ms("3m"), started_time=started_time, **options)  # type: ignore[arg-type]


def rules(file: PolicyFile, unapproved: dict[str, str], started_time: str) -> FunctionPolicies:
    judged = file.report_only(unapproved)
    return compile_policies(TRANSCODE, judged.policies, file.exempt, started_time=started_time)  # type: ignore[arg-type]


@given(files(), tasks() | old_tasks(), meanings, LOCKED)
def test_the_verdict_is_that_of_a_run(
    file: PolicyFile, task: Task, meaning: str, unapproved: dict[str, str]
) -> None:
    """With expressions, groups and a lock, too."""
    assert explained(task, file, meaning, unapproved=unapproved).verdict == claim(
        task, rules(file, unapproved, meaning), NOON
    )


@given(files(), tasks() | old_tasks(), meanings, LOCKED)
def test_each_way_turns_the_verdict_and_no_part_of_it_does(
    file: PolicyFile, task: Task, meaning: str, unapproved: dict[str, str]
) -> None:
    """`to be kept, …` and `to become due, …` are tried out; where there is no way, the reason is told."""
    outlook = explained(task, file, meaning, unapproved=unapproved).outlook
    before = rules(file, unapproved, meaning)
    is_due = claim(task, before, NOON).kind is Kind.DUE
    assert (outlook.towards is Kind.KEPT) == is_due
    assert outlook.ways or outlook.why
    for way in outlook.ways:
        assert (claim(task, turned(before, way), NOON).kind is Kind.DUE) != is_due
        for size in range(len(way)):
            for part in combinations(way, size):
                assert (claim(task, turned(before, part), NOON).kind is Kind.DUE) == is_due


MINUTES = st.integers(1, 300)
RUNNING_CLOCKS = st.sampled_from(["running_for", "alive_for"])


@given(st.lists(st.tuples(RUNNING_CLOCKS, MINUTES), min_size=1, max_size=3), st.integers(100, 600), MINUTES)
def test_raising_the_limits_it_names_keeps_the_task(
    limits: list[tuple[str, int]], running: int, waited: int
) -> None:
    """The sentence is about the file: to edit those numbers, up to the age, does what it says."""
    task = a_task("Running", ("Enqueued", f"{running + waited}m"), ("Running", f"{running}m"))
    lines = (f"- {{name: p{at}, targets: ['*/*@*'], match: {{{clock}: {limit}m}}, stop: x}}"
             for at, (clock, limit) in enumerate(limits))  # fmt: skip
    file = load_policy("\n".join(["version: 1", "policies:", *lines]), source="p")
    told = explained(task, file)
    if told.verdict.kind is not Kind.DUE:
        return
    (way,) = told.outlook.ways
    for change in way:
        assert change.policy is not None
        age = running if change.key == "running_for" else running + waited
        file = _with_limit(file, change.policy, change.key, age * 60_000)
    assert claim(task, rules(file, {}, "unknown"), NOON).kind is not Kind.DUE


def _with_limit(file: PolicyFile, policy: Policy, clock: str, limit: Millis) -> PolicyFile:
    changed: dict[str, Any] = {clock: limit}
    match = replace(policy.match, **changed)
    policies = (replace(one, match=match) if one.index == policy.index else one for one in file.policies)
    return replace(file, policies=tuple(policies))


@given(files(), tasks() | old_tasks(), meanings)
def test_due_in_is_the_first_moment_at_which_it_is_due(file: PolicyFile, task: Task, meaning: str) -> None:
    """Also where the limit is the task's own; a millisecond before, it is not due."""
    wait = explained(task, file, meaning).due_in
    if wait is not None:
        assert claim(task, rules(file, {}, meaning), NOON + wait).kind is Kind.DUE
        assert claim(task, rules(file, {}, meaning), NOON + wait - 1).kind is not Kind.DUE


@given(files(), old_tasks(), st.integers(1, ms("5h")))
def test_a_task_becomes_due_no_sooner_than_is_told(file: PolicyFile, task: Task, wait: Millis) -> None:
    """And one that is said never to become due does not."""
    told = explained(task, file)
    if told.verdict.kind is not Kind.DUE and (told.due_in is None or wait < told.due_in):
        assert claim(task, rules(file, {}, "unknown"), NOON + wait).kind is not Kind.DUE


@given(files(), old_tasks())
def test_no_value_of_a_payload_is_in_an_explanation(file: PolicyFile, task: Task) -> None:
    """Fields and kinds are; the record itself is not told."""
    told = explained(task, file)
    assert "s3cret" not in repr(told._replace(task=task._replace(record=None)))


def carrying(payload: str, age: str = "2h") -> Task:
    return running_for(age, record={"status": "Running", "invocationPayload": payload})


def test_an_expression_shows_what_it_reads_and_whether_it_is_there() -> None:
    """The kind of value, never the value."""
    (step,) = explained(
        carrying('{"tier": "gold"}'), a_policy("{alive_for: 1h, where: payload.tier == payload.nope}")
    ).steps
    assert step.match is not None
    (where,) = [one for one in step.match.questions if one.key == "where"]
    assert where.reads == (("payload.tier", "text"), ("payload.nope", None))
    assert where.finding.holds is None


@pytest.mark.parametrize(
    ("payload", "limit"),
    [('{"most": "30m"}', "30m"), ('{"most": "9h"}', "3h"), ('{"most": 5}', "1h"), ("?", "1h")],
)
def test_a_carried_limit_is_told_as_the_number_it_comes_to(payload: str, limit: str) -> None:
    """Its own, ours where that is less, or the one for tasks that carry none."""
    file = a_policy("{alive_for: {from: payload.most, at_most: 3h, else: 1h}}")
    (step,) = explained(carrying(payload), file).steps
    assert step.match is not None
    (question,) = step.match.questions
    assert question.finding.limit == ms(limit)
    assert question.wanted == "from payload.most, at most 3h, else 1h"


def test_a_task_of_a_keep_policy_is_told_that_it_counts() -> None:
    """Since when, and by which fields it is told from other groups; the others decide the rest."""
    file = a_policy("{status: Running}", keep="{at_most: 1, per: payload.order}", unless="[vip-*]")
    task = carrying('{"order": "s3cret"}')
    (step,) = explained(task, file).steps
    assert isinstance(step.place, Member)
    assert (step.place.age, step.place.choosable) == (ms("2h"), True)
    assert step.grouped == (("payload.order", "text"),)
    (spared,) = explained(task._replace(invocation_id="vip-1"), file).steps
    assert isinstance(spared.place, Member)
    assert not spared.place.choosable
    (unknown,) = explained(carrying("{}"), file).steps
    assert isinstance(unknown.place, RuleResult)
    assert explained(task, file).outlook.why.startswith("only `keep` could choose it")


def test_a_share_that_is_held_out_is_told_from_the_rest() -> None:
    """By the id alone."""
    file = a_policy("{running_for: 1h}", holdout="50%")
    steps = [explained(running_for("2h", invocation_id=f"job-{number}"), file).steps for number in range(40)]
    assert {step.held_out for (step,) in steps} == {True, False}
    assert explained(running_for("2h"), a_policy("{running_for: 1h}")).steps[0].held_out is None


def ways(task: Task, file: PolicyFile, **options: object) -> list[list[tuple[str, str, bool]]]:
    return [
        [(one.part, one.key, one.holds) for one in way]
        for way in explained(task, file, **options).outlook.ways  # type: ignore[arg-type]
    ]


OLD, YOUNG = running_for("3h"), running_for("1h")


@pytest.mark.parametrize(
    ("task", "file", "expected"),
    [
        (YOUNG, a_policy(), [[(MATCH, "running_for", True)]]),
        (OLD, a_policy(), [[(MATCH, "running_for", False)]]),
        (OLD, a_policy(unless="[vip-*]"), [[(MATCH, "running_for", False)], [(UNLESS, "", True)]]),
        (
            OLD,
            a_policy("{running_for: 2h, alive_for: 1h}", exempt="[keep-*]"),
            [[(MATCH, "running_for", False)], [(EXEMPT, "", True)]],
        ),
        (YOUNG, a_policy(unless="[job-*]"), [[(MATCH, "running_for", True), (UNLESS, "", False)]]),
        (OLD, a_policy(unless="[job-*]"), [[(UNLESS, "", False)]]),
        (OLD, a_policy(exempt="[job-*]"), [[(EXEMPT, "", False)]]),
        (OLD, a_policy("{running_for: 2h, id: other}"), [[(MATCH, "id", True)]]),
        (OLD, a_policy("{queued_for: 2h}"), [[(MATCH, "queued_for", True)]]),
        (OLD, a_policy("{alive_for: 2h, status: Enqueued}"), [[(MATCH, "status", True)]]),
        (OLD, a_policy("{retries_over: 2}"), [[(MATCH, "retries_over", True)]]),
        (OLD, a_policy("{running_for: 2h, where: payload.x}"), [[(MATCH, "where", True)]]),
        (OLD, a_policy(report="slow"), []),
        (a_task("Succeeded"), a_policy(), []),
    ],
)
def test_the_steps_that_would_have_to_change(
    task: Task, file: PolicyFile, expected: list[list[tuple[str, str, bool]]]
) -> None:
    """Each way is enough, and no longer than it must be."""
    assert ways(task, file) == expected


def test_a_policy_that_is_not_armed_would_have_to_be() -> None:
    """It reports until then; the lock is a step like any other."""
    unapproved = {"runaway": "it is not in policy.lock"}
    told = explained(OLD, a_policy(), unapproved=unapproved)
    assert told.verdict.kind is Kind.REPORTED
    assert told.steps[0].unapproved == "it is not in policy.lock"
    assert ways(OLD, a_policy(), unapproved=unapproved) == [[(APPROVED, "", True)]]
    (change,) = told.outlook.ways[0]
    assert isinstance(change, Change)


@pytest.mark.parametrize(
    ("where", "wait"),
    [
        ("ages.alive_for > payload.most", "1h30m"),
        ("ages.alive_for >= payload.most", "1h30m"),
        ("ages.alive_for > `10800`", "1h"),
        ("`10800` <= ages.alive_for", "1h"),
    ],
)
def test_due_in_knows_when_an_age_passes_what_it_is_compared_with(where: str, wait: str) -> None:
    """To the millisecond, whether it is written in the policy or comes with the task."""
    file = a_policy(f'{{alive_for: 1h, where: "{where}"}}')
    told = explained(carrying('{"most": 12600}'), file)
    assert told.due_in == ms(wait) + (">" in where and ">=" not in where)
