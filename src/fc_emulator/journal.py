"""What truly happened: every change of status with its cause, and every stop request that changed nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fc_emulator.account import Account, Fruitless
from fc_emulator.life import Event
from fc_emulator.tasks import Task


def journal_of(account: Account) -> list[dict[str, Any]]:
    """All entries, oldest first; `at` is in the time that callers see."""
    now = account.now()
    entries = [entry for task in account.tasks() for entry in _changes(task, account, now)]
    entries += [_fruitless(stop, account) for stop in account.fruitless]
    return sorted(entries, key=lambda entry: int(entry["at"]))


def _changes(task: Task, account: Account, now: int) -> Iterator[dict[str, Any]]:
    life = task.life
    began = Event(life.born or account.began, life.status, cause="invoke" if life.born else "seed")
    yield _entry(task, account, began, None, task.request_id if life.born else None)
    before = life.status
    for taken in life.past(now):
        entry = _entry(task, account, taken.event, before, taken.event.request_id or None)
        asked = taken.event.status == "Stopping" and taken.event.cause == "stop"
        yield {**entry, "answer": {"status": 200, "code": None}} if asked else entry
        before = taken.event.status


def _fruitless(stop: Fruitless, account: Account) -> dict[str, Any]:
    event = Event(stop.at, stop.status, cause="stop")
    entry = _entry(stop.task, account, event, stop.status, stop.request_id)
    return {**entry, "answer": {"status": stop.answer, "code": stop.code}}


def _entry(
    task: Task, account: Account, event: Event, before: str | None, request_id: str | None
) -> dict[str, Any]:
    return {
        "at": account.shown(event.at or 0),
        "serviceName": task.place.service,
        "functionName": task.place.function,
        "qualifier": task.place.qualifier,
        "invocationId": task.id,
        "from": before,
        "to": event.status,
        "cause": event.cause,
        "requestId": request_id,
    }
