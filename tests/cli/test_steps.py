"""The steps of an explanation, as values: they lead to the very verdict that a run comes to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.evaluator.evaluate import evaluate
from fc_reaper.evaluator.explain import Explanation, explain
from fc_reaper.evaluator.verdict import Kind
from fc_reaper.models import FINISHED, UNFINISHED, Millis, Task
from fc_reaper.policy import PolicyFile, load_policy
from tests.builders import NOON, a_policy, a_task, compiled, ms, running_for

STUCK_AFTER = ms("3m")
OTHERS = load_policy(
    "version: 1\npolicies:\n- {name: x, targets: [other/one], match: {alive_for: 1h}, stop: why}\n",
    source="p",
)
LENGTHS = st.sampled_from(["30s", "1m", "59m", "1h", "2h", "3h", "26h"])
MATCHES = st.sampled_from(
    [
        "{running_for: 1h}",
        "{alive_for: 2h}",
        "{queued_for: 1h}",
        "{stopping_for: 1m}",
        "{retries_over: 1}",
        "{id: 'job-*', alive_for: 1h}",
        "{status: [Running, Enqueued], alive_for: 1h}",
    ]
)
EXEMPTIONS = st.sampled_from(["[]", "['job-1']", "['keep-*']", "[{running_for: 2h}]", "[{status: Enqueued}]"])


def explained(task: Task, file: PolicyFile, now: Millis = NOON) -> Explanation:
    return explain(task, file, now, stuck_after=STUCK_AFTER)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """Tasks in any status, with events that fit it, contradict it, or are not there."""
    status = draw(st.sampled_from((*UNFINISHED, *FINISHED, "Sleeping")))
    events = [(name, draw(LENGTHS)) for name in draw(st.lists(st.sampled_from(UNFINISHED), max_size=4))]
    if draw(st.booleans()):
        events.append((status, "30s"))
    return a_task(status, *events, retries=draw(st.sampled_from([None, 0, 1, 2])))


@given(tasks(), MATCHES, EXEMPTIONS, EXEMPTIONS)
def test_the_explanation_comes_to_the_verdict_of_a_run(
    task: Task, match: str, exempt: str, unless: str
) -> None:
    """Nobody is told another reason than the log has."""
    file = a_policy(match, exempt=exempt, unless=unless)
    assert explained(task, file).verdict == evaluate(task, compiled(file), NOON)


@given(tasks(), MATCHES, EXEMPTIONS, EXEMPTIONS)
def test_due_in_is_the_first_moment_at_which_it_is_due(
    task: Task, match: str, exempt: str, unless: str
) -> None:
    """Then it is due, and a millisecond before it was not."""
    file = a_policy(match, exempt=exempt, unless=unless)
    wait = explained(task, file).due_in
    if wait is not None:
        assert evaluate(task, compiled(file), NOON + wait).kind is Kind.DUE
        assert evaluate(task, compiled(file), NOON + wait - 1).kind is not Kind.DUE


def test_a_task_an_hour_below_its_limit_is_due_in_an_hour() -> None:
    """And a millisecond: exactly at the limit is within it."""
    assert explained(running_for("1h"), a_policy("{running_for: 2h}")).due_in == ms("1h") + 1


def test_each_key_is_answered_by_itself() -> None:
    """So that it shows which one did not hold."""
    file = a_policy("{id: 'other-*', running_for: 1h, retries_over: 0}")
    (step,) = explained(running_for("2h"), file).steps
    assert step.match is not None
    answers = {one.key: one.result.holds for one in step.match.keys}
    assert answers == {"id": False, "running_for": True, "retries_over": False}
    assert step.match.holds is False


def test_a_policy_for_others_is_shown_and_not_asked() -> None:
    """Its targets do not fit."""
    (step,) = explained(running_for("2h"), OTHERS).steps
    assert (step.match, step.result) == (None, None)


def test_what_decides_before_the_policies_leaves_them_unasked() -> None:
    """An end, an exemption, a record that contradicts itself."""
    file = a_policy(exempt="[keep-*]")
    contradicts = a_task("Running", ("Enqueued", "3h"), ("Retrying", "1h"))
    for task in (
        running_for("3h", invocation_id="keep-1"),
        a_task("Succeeded"),
        contradicts,
        a_task("Sleeping"),
    ):
        assert explained(task, file).steps == ()
    assert explained(contradicts, file).inconsistency is not None
