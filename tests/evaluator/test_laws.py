"""What holds for every task and every policy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.evaluator.evaluate import Evaluation, evaluate
from fc_reaper.evaluator.select import select
from fc_reaper.models import ALIVE, FINISHED, STOPPING, Task, TaskEvent
from fc_reaper.rules.result import Kind
from tests.builders import AT_NOON, NOON, TRANSCODE, a_policy, a_task, compiled, running_for

CLOCKS = ("queued_for", "running_for", "alive_for", "stopping_for")
STATUSES = (*ALIVE, STOPPING, *FINISHED, "Thinking")
moments = st.integers(NOON - 40_000_000, NOON + 10_000)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """Records as they come, sane and insane."""
    names = draw(st.lists(st.sampled_from(STATUSES), max_size=5))
    events = sorted(TaskEvent(draw(moments), number, name) for number, name in enumerate(names))
    return Task(
        TRANSCODE,
        draw(st.sampled_from(["job-1", "keep-1", "vip-1"])),
        draw(st.sampled_from(STATUSES)),
        started_at=draw(st.none() | moments),
        retries=draw(st.none() | st.integers(0, 9)),
        events=tuple(events),
        undated=tuple(draw(st.lists(st.sampled_from(STATUSES), max_size=1))),
        inconsistency=draw(st.sampled_from([None, None, None, "strange"])),
    )


def is_due(task: Task, match: str, started_time: str = "unknown", **keys: str) -> bool:
    file = a_policy(match, **keys)
    return evaluate(task, compiled(file, started_time=started_time), AT_NOON).kind is Kind.DUE


meanings = st.sampled_from(["unknown", "enqueue", "execution"])


@given(tasks(), st.sampled_from(CLOCKS), st.integers(1, 600), st.integers(0, 600), meanings)
def test_a_longer_limit_never_makes_more_tasks_due(
    task: Task, clock: str, limit: int, longer: int, meaning: str
) -> None:
    """Whatever a generous policy stops, a stricter one stops too."""
    if is_due(task, f"{{{clock}: {limit + longer}m}}", meaning):
        assert is_due(task, f"{{{clock}: {limit}m}}", meaning)


@given(tasks(), st.sampled_from(["keep-*", "vip-1", "{retries_over: 3}", "{running_for: 1h}"]))
def test_one_more_exemption_never_makes_more_tasks_due(task: Task, exemption: str) -> None:
    """An exemption only takes away."""
    if is_due(task, "{alive_for: 1h}", exempt=f"[{exemption}]"):
        assert is_due(task, "{alive_for: 1h}")
    if is_due(task, "{alive_for: 1h}", unless=f"[{exemption}]"):
        assert is_due(task, "{alive_for: 1h}")


@given(tasks(), st.sampled_from(CLOCKS), st.integers(1, 600), meanings)
def test_a_due_task_is_alive_by_its_own_latest_event(
    task: Task, clock: str, limit: int, meaning: str
) -> None:
    """Nobody is stopped by a record that is finished or inconsistent."""
    if is_due(task, f"{{{clock}: {limit}m}}", meaning):
        assert task.status in (*ALIVE, STOPPING)
        assert task.inconsistency is None
        assert not task.events or task.events[-1].status == task.status


@given(tasks(), st.sampled_from(CLOCKS), st.integers(1, 600), meanings)
def test_what_a_list_settles_a_reading_does_not_overturn(
    task: Task, clock: str, limit: int, meaning: str
) -> None:
    """A task that is kept without being read would have been kept after it, too, events or not."""
    file = compiled(a_policy(f"{{{clock}: {limit}m}}"), started_time=meaning)
    listed = evaluate(task._replace(events=()), file, AT_NOON, read=False)
    if listed.kind is Kind.KEPT and not listed.by.unread:
        assert evaluate(task._replace(events=()), file, AT_NOON).kind is not Kind.DUE


ids = st.lists(st.integers(0, 10_000), unique=True, max_size=60)


@given(ids, st.randoms(use_true_random=False), st.integers(1, 30))
def test_the_order_of_listing_does_not_matter(numbers: list[int], dice: object, budget: int) -> None:
    """The same tasks are selected, in the same order, however they were listed."""
    file = a_policy(budget=f"{budget}/run")
    policies = compiled(file)
    evaluations = []
    for number in numbers:
        task = running_for(f"{121 + number}m", invocation_id=f"job-{number}")
        evaluations.append(Evaluation(task, evaluate(task, policies, AT_NOON)))
    (one,) = select(evaluations, file.policies, room=5)
    dice.shuffle(evaluations)  # type: ignore[attr-defined]
    (other,) = select(evaluations, file.policies, room=5)
    assert (one.selected, one.waiting, one.due) == (other.selected, other.waiting, other.due)
    ages = [found.verdict.by.over for found in one.selected]
    assert ages == sorted(ages, key=lambda over: -(over or 0))
    assert len(one.selected) == min(budget, len(numbers))


@given(st.integers(0, 40), st.integers(1, 20), st.booleans())
def test_halt_over_stops_none_when_too_many_are_due_or_nobody_knows(
    due: int, allowed: int, unseen: bool
) -> None:
    """More than so many at once looks like a mistake; exactly so many does not; a part proves nothing."""
    file = a_policy(halt_over=str(allowed), budget="100/run")
    policies = compiled(file)
    evaluations = []
    for number in range(due):
        task = running_for("3h", invocation_id=f"job-{number}")
        evaluations.append(Evaluation(task, evaluate(task, policies, AT_NOON)))
    (selection,) = select(evaluations, file.policies, incomplete=lambda policy: unseen)
    expected = 0 if due > allowed or unseen else due
    assert len(selection.selected) == expected
    assert (selection.halted is not None) == (due > allowed or (unseen and due > 0))


def test_a_report_is_never_selected() -> None:
    """Only policies that stop have a budget to spend."""
    file = a_policy(report="it is slow")
    task = a_task("Running", ("Enqueued", "3h"), ("Running", "3h"))
    assert evaluate(task, compiled(file), AT_NOON).kind is Kind.REPORTED
    assert select([], file.policies) == []
