"""Which records of a history can be replayed, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from fc_reaper.models import FINISHED, Function, Millis, Task, TaskEvent
from fc_reaper.rules.ages import inconsistency


@dataclass(frozen=True)
class History:
    """Tasks whose lives are known: nothing but dated events, the latest of which is their status.

    `begin` is the moment of the first event. `taken` is the moment at which the history was taken, None where
    nobody knows; tasks without an end were alive then. `end` is that moment, or the last event.
    """

    tasks: tuple[Task, ...]
    taken: Millis | None = None

    @cached_property
    def begin(self) -> Millis:
        return min((task.events[0].at for task in self.tasks), default=0)

    @cached_property
    def last_event(self) -> Millis:
        return max((task.events[-1].at for task in self.tasks), default=0)

    @cached_property
    def end(self) -> Millis:
        """Up to when it is known what the tasks did."""
        return max(self.last_event, self.taken or 0)


@dataclass
class Sifted:
    """The records of a history, sorted.

    `undated` counts records without events, or with events that have no date. `contradicting` are those at
    odds with themselves, `again` those that stand there more than once, each counted once less.
    `untold_retries` counts tasks retried more often than their events tell. `latest` is the last moment that
    a sound record tells of, None where none does.
    """

    tasks: list[Task] = field(default_factory=list)
    records: int = 0
    undated: int = 0
    undated_functions: dict[Function, int] = field(default_factory=dict)
    contradicting: list[tuple[Task, str]] = field(default_factory=list)
    again: int = 0
    untold_retries: int = 0
    latest: Millis | None = None


def sift(tasks: Iterable[Task]) -> Sifted:
    """Sort records; of several about one task (function, id, request id) the one that knows most counts."""
    sifted = Sifted()
    latest: dict[tuple[Function, str, str | None], Task] = {}
    for task in tasks:
        sifted.records += 1
        key = (task.function, task.invocation_id, task.request_id)
        before = latest.get(key)
        if before is not None:
            sifted.again += 1
        if before is None or _knowledge(task) >= _knowledge(before):
            latest[key] = task
    for task in latest.values():
        _sort(task, sifted)
    return sifted


def _sort(task: Task, sifted: Sifted) -> None:
    if task.inconsistency is None and (not task.events or task.undated):
        _stretch(sifted, task)
        sifted.undated += 1
        sifted.undated_functions[task.function] = sifted.undated_functions.get(task.function, 0) + 1
        return
    whole = _ended(task)
    why = _at_odds(whole)
    if why is not None:
        sifted.contradicting.append((task, why))
        return
    _stretch(sifted, whole)
    sifted.tasks.append(whole)
    if (task.retries or 0) > sum(event.status == "Retrying" for event in task.events):
        sifted.untold_retries += 1


def _stretch(sifted: Sifted, task: Task) -> None:
    """A record that tells of a moment was made later."""
    moments = (*(event.at for event in task.events), task.started_at, task.ended_at, sifted.latest)
    sifted.latest = max((one for one in moments if one is not None), default=None)


def _knowledge(task: Task) -> tuple[bool, Millis, int]:
    return task.status in FINISHED, task.events[-1].at if task.events else 0, len(task.events)


def _ended(task: Task) -> Task:
    """The task with its end among its events: a record may tell it by `endTime` alone."""
    if task.inconsistency is not None or task.status not in FINISHED or task.events[-1].status in FINISHED:
        return task
    if task.ended_at is None or task.ended_at < task.events[-1].at:
        return task
    end = TaskEvent(task.ended_at, task.events[-1].id + 1, task.status)
    return task._replace(events=(*task.events, end))


def _at_odds(task: Task) -> str | None:
    if task.inconsistency is not None:
        return task.inconsistency
    if task.events[-1].status != task.status:
        return (
            f"status {task.status or 'none'} contradicts its latest event {task.events[-1].status or 'none'}"
        )
    if task.status in FINISHED:
        # As it was before its end, which is when it is judged.
        before = task.events[:-1]
        task = task._replace(events=before, status=before[-1].status if before else "", started_at=None)
    return inconsistency(task) if task.events else None
