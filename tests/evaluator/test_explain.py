"""What an explanation adds to a verdict: what was read, and when the task becomes due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.evaluator.evaluate import FunctionPolicies, compile_policies, evaluate
from fc_reaper.evaluator.explain import Explanation, explain
from fc_reaper.models import Function, Millis, Task
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.result import Kind
from tests.builders import AT_NOON, TRANSCODE, a_policy, a_task, ms, running_for
from tests.evaluator.small_files import files, old_tasks
from tests.evaluator.test_laws import meanings, tasks

LOCKED = st.sampled_from([{}, {"one": "it is not in policy.lock"}])


def explained(task: Task, file: PolicyFile, started_time: str = "unknown", **options: object) -> Explanation:
    return explain(task, file, AT_NOON, stuck_after=ms("3m"), started_time=started_time, **options)  # type: ignore[arg-type]


def sweeping(file: PolicyFile, unapproved: dict[str, str], started_time: str) -> FunctionPolicies:
    policies = file.report_only(unapproved).policies
    return compile_policies(TRANSCODE, policies, file.exempt, started_time=started_time)  # type: ignore[arg-type]


@given(files(), tasks() | old_tasks(), meanings, LOCKED)
def test_the_verdict_is_that_of_a_run(
    file: PolicyFile, task: Task, meaning: str, unapproved: dict[str, str]
) -> None:
    """With expressions, groups and a lock, too."""
    assert explained(task, file, meaning, unapproved=unapproved).verdict == evaluate(
        task, sweeping(file, unapproved, meaning), AT_NOON
    )


@given(files(), tasks() | old_tasks(), meanings)
def test_due_in_is_the_first_moment_at_which_it_is_due(file: PolicyFile, task: Task, meaning: str) -> None:
    """Also where the limit is the task's own; a millisecond before, it is not due."""
    wait = explained(task, file, meaning).due_in
    if wait is not None:
        assert evaluate(task, sweeping(file, {}, meaning), AT_NOON.later(wait)).kind is Kind.DUE
        assert evaluate(task, sweeping(file, {}, meaning), AT_NOON.later(wait - 1)).kind is not Kind.DUE


@given(files(), old_tasks(), st.integers(1, ms("5h")))
def test_a_task_becomes_due_no_sooner_than_explained(file: PolicyFile, task: Task, wait: Millis) -> None:
    """And one that is said never to become due does not."""
    explanation = explained(task, file)
    if explanation.verdict.kind is not Kind.DUE and (explanation.due_in is None or wait < explanation.due_in):
        assert evaluate(task, sweeping(file, {}, "unknown"), AT_NOON.later(wait)).kind is not Kind.DUE


@given(files(), old_tasks())
def test_no_value_of_a_payload_is_in_an_explanation(file: PolicyFile, task: Task) -> None:
    """Fields and kinds are; the record itself is not explanation."""
    explanation = explained(task, file)
    assert "s3cret" not in explanation.model_dump_json()


def carrying(payload: str, age: str = "2h") -> Task:
    return running_for(age, record={"status": "Running", "invocationPayload": payload})


def said(task: Task, file: PolicyFile, name: str) -> list[tuple[str, bool | None, str]]:
    """Conditions of that step, each with its result and what is said of it."""
    return [(one.condition, one.holds, one.said) for one in explained(task, file).steps if one.name == name]


def test_an_expression_says_which_field_is_absent() -> None:
    """Never the value of one that is there."""
    file = a_policy("{alive_for: 1h, where: payload.tier == payload.nope}")
    assert said(carrying('{"tier": "gold"}'), file, "match") == [
        ("alive_for: 1h", True, "2h of 1h, 1h over"),
        ("where: payload.tier == payload.nope", None, "where: payload.nope is absent"),
    ]


@pytest.mark.parametrize(
    ("payload", "limit", "origin"),
    [
        ('{"most": "30m"}', "30m", "task"),
        ('{"most": "9h"}', "3h", "at_most"),
        ('{"most": 5}', "1h", "else"),
        ("?", "1h", "else"),
    ],
)
def test_a_carried_limit_is_shown_as_the_number_it_comes_to(payload: str, limit: str, origin: str) -> None:
    """Its own, ours where that is less, or the one for tasks that carry none."""
    file = a_policy("{alive_for: {from: payload.most, at_most: 3h, else: 1h}}")
    (step,) = [one for one in explained(carrying(payload), file).steps if one.name == "match"]
    assert (step.numbers.limit, step.numbers.limit_from) == (ms(limit), origin)
    assert step.condition == "alive_for: from payload.most, at most 3h, else 1h"


def test_a_task_of_a_keep_policy_shows_that_it_counts() -> None:
    """The others decide the rest."""
    file = a_policy("{status: Running}", keep="{at_most: 1, per: payload.order}", unless="[vip-*]")
    task, keep = carrying('{"order": "s3cret"}'), "at most 1 for each payload.order, newest go first"
    assert said(task, file, "keep") == [(keep, True, "it counts")]
    vip = task._replace(invocation_id="vip-1")
    assert said(vip, file, "keep") == [(keep, True, "it counts, and is never stopped")]
    unknown = "per: payload.order is absent"
    assert said(carrying("{}"), file, "keep") == [(keep, None, unknown)]
    assert said(a_task("Stopping"), file, "keep")[0][1] is False


def test_a_share_that_is_held_out_is_shown_apart_from_the_rest() -> None:
    """By the id alone."""
    file = a_policy("{running_for: 1h}", holdout="50%")
    tasks = [running_for("2h", invocation_id=f"job-{number}") for number in range(40)]
    assert {one[:2] for task in tasks for one in said(task, file, "holdout")} == {
        ("50% of all ids are spared", True),
        ("50% of all ids are spared", False),
    }
    assert said(running_for("2h"), a_policy("{running_for: 1h}"), "holdout") == []


def test_a_policy_that_is_not_approved_only_reports() -> None:
    """And says why."""
    explanation = explained(running_for("3h"), a_policy(), unapproved={"runaway": "it is not in policy.lock"})
    assert explanation.verdict.kind is Kind.REPORTED
    assert [(one.holds, one.said) for one in explanation.steps if one.name == "lock"] == [
        (False, "it is not in policy.lock")
    ]


@pytest.mark.parametrize(
    ("where", "wait"), [("ages.alive_for > `10800`", "1h"), ("`10800` <= ages.alive_for", "1h")]
)
def test_due_in_knows_when_an_age_passes_what_it_is_compared_with(where: str, wait: str) -> None:
    """To the millisecond, whether it is written in the policy or comes with the task."""
    file = a_policy(f'{{alive_for: 1h, where: "{where}"}}')
    explanation = explained(carrying('{"most": 12600}'), file)
    assert explanation.due_in == ms(wait) + (">" in where and ">=" not in where)


def test_each_key_is_answered_by_itself() -> None:
    """So that it shows which one did not hold."""
    file = a_policy("{id: 'other-*', running_for: 1h, retries_over: 0}")
    assert [one[:2] for one in said(running_for("2h"), file, "match")] == [
        ("id: other-*", False),
        ("running_for: 1h", True),
        ("retries_over: 0", False),
    ]


def test_a_policy_for_others_is_shown_and_not_evaluated() -> None:
    """Its targets do not fit."""
    other = Function("other", "one", "prod")
    (step,) = explained(running_for("2h")._replace(function=other), a_policy()).steps
    assert (step.name, step.holds, step.said) == ("policy", False, "its targets are media/*@*")


@pytest.mark.parametrize(
    "task",
    [
        running_for("3h", invocation_id="keep-1"),
        a_task("Succeeded"),
        a_task("Running", ("Enqueued", "3h"), ("Retrying", "1h")),
        a_task("Sleeping"),
    ],
    ids=["exempt", "ended", "inconsistent", "unknown status"],
)
def test_what_decides_before_the_policies_leaves_them_unevaluated(task: Task) -> None:
    """An end, an exemption, a record that contradicts itself."""
    steps = explained(task, a_policy(exempt="[keep-*]")).steps
    assert [one.name for one in steps] == ["exempt"]
