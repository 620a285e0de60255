"""Histories with good defaults: a test says only what matters to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from fc_reaper.backtest.history import History, Tasks, make_history
from fc_reaper.backtest.replay import ReplayOptions, replay
from fc_reaper.backtest.stats import Replay
from fc_reaper.models import Function, Millis, Task, TaskEvent
from fc_reaper.policy import PolicyFile, load_policy
from tests.builders import TRANSCODE, ms

MIDNIGHT: Millis = 1_794_960_000_000
"""A multiple of every interval that the tests use."""

MINUTE: Millis = 60_000


def at(text: str) -> Millis:
    """The moment so long after midnight."""
    return MIDNIGHT + ms(text)


def lived(invocation_id: str, *events: tuple[str, str], **fields: Any) -> Task:
    """A task whose life is *events*, such as `("Running", "3h")`: what happened, how long after midnight."""
    dated = tuple(TaskEvent(at(when), number, name) for number, (name, when) in enumerate(events, 1))
    identity = {"function": TRANSCODE, "invocation_id": invocation_id, "request_id": f"r-{invocation_id}"}
    retries = sum(name == "Retrying" for name, _ in events)
    return Task(**{**identity, "status": events[-1][0], "events": dated, "retries": retries, **fields})


def history(*tasks: Task, taken: str = "") -> History:
    """A history of *tasks*, all of which must be fit for a replay."""
    history = make_history(tasks, at(taken) if taken else 0)
    assert len(history.tasks) == len(tasks), (list(history.contradicting), history.undated)
    return history


def as_it_is(tasks: Iterable[Task]) -> History:
    """A history of *tasks*, whatever they say of themselves."""
    tasks = list(tasks)
    events = [event.at for task in tasks for event in task.events]
    return History(tasks=Tasks(tasks), begin=min(events), end=max(events))


def policies(*entries: str, exempt: str = "") -> PolicyFile:
    """A file of *entries*, each the flow keys of one policy without name, targets and braces."""
    lines = ["version: 1", *([f"exempt: {exempt}"] if exempt else []), "policies:"]
    for number, entry in enumerate(entries):
        name = "" if "name:" in entry else f"name: p{number}, "
        targets = "" if "targets:" in entry else "targets: ['media/*@*'], "
        reason = "" if "report:" in entry else ", stop: it takes too long"
        lines.append(f"  - {{{name}{targets}{entry}{reason}}}")
    return load_policy("\n".join(lines), source="policy.yaml")


def replayed(past: History, *entries: str, interval: str = "5m", exempt: str = "", **options: Any) -> Replay:
    """The replay of *past* under *entries*."""
    return replay(past, policies(*entries, exempt=exempt), ReplayOptions(ms(interval), **options))


STEPS = {
    "Enqueued": ("Dequeued", "Running", "Expired", "Stopping", "Thinking"),
    "Dequeued": ("Running", "Invalid", "Expired", "Stopped"),
    "Running": ("Succeeded", "Failed", "Retrying", "Stopping"),
    "Retrying": ("Running", "Enqueued", "Failed", "Stopping"),
    "Stopping": ("Stopped", "Succeeded"),
    "Thinking": ("Running",),
}


def shown_restarts(events: Iterable[TaskEvent]) -> int:
    """How often the events show that a task was started again."""
    retrying = running = 0
    for event in events:
        retrying += event.status == "Retrying"
        running += event.status == "Running"
    return max(retrying, running - 1, 0)


@st.composite
def lives(draw: st.DrawFn, number: int = 0) -> Task:
    """Any life that a task can have, of up to nine events within some hours."""
    function = draw(st.sampled_from([TRANSCODE, Function("media", "resize", "LATEST")]))
    status, moment = "Enqueued", MIDNIGHT + draw(st.integers(0, 60)) * 30_000
    events = [TaskEvent(moment, 1, status)]
    for step in range(2, draw(st.integers(1, 9)) + 1):
        if status not in STEPS:
            break
        status = draw(st.sampled_from(STEPS[status]))
        moment += draw(st.sampled_from([0, 1, 30_000, MINUTE, 299_999, 5 * MINUTE, 17 * MINUTE, 60 * MINUTE]))
        events.append(TaskEvent(moment, step, status))
    name = draw(st.sampled_from(["job", "keep", "vip"]))
    raw = [{"eventId": one.id, "status": one.status, "timestamp": one.at} for one in events]
    started = draw(st.none() | st.integers(0, 40).map(lambda halves: events[0].at + halves * 30_000))
    record = {"status": status, "events": raw, "invocationPayload": draw(PAYLOADS), "startedTime": started}
    identity = (function, f"{name}-{number}", status, f"r-{number}")
    restarts = shown_restarts(events)
    retries = draw(st.sampled_from([restarts, restarts, max(0, restarts - 1), restarts + 1, None]))
    return Task(*identity, events=tuple(events), record=record, started_at=started, retries=retries)


PAYLOADS = st.sampled_from(
    [
        '{"order": 1, "run": "10m", "most": 400}',
        '{"order": 2, "most": 720.0005}',
        '{"order": 2, "run": "1h"}',
        "none",
    ]
)


@st.composite
def histories(draw: st.DrawFn, most: int = 14) -> History:
    """A history of up to *most* tasks of two functions."""
    count = draw(st.integers(1, most))
    return as_it_is(draw(lives(number)) for number in range(count))
