"""What holds for every task and every policy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.evaluator.evaluate import Evaluation, evaluate
from fc_reaper.evaluator.select import select
from fc_reaper.models import ALIVE, FINISHED, STOPPING, Task, TaskEvent
from fc_reaper.rules.result import Kind
from tests.builders import AT_NOON, NOON, TRANSCODE, a_policy, compiled, running_for

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
