"""A task as callers see it, in the names of Function Compute 2.0."""

from __future__ import annotations

from typing import Any

from fc_emulator.account import Account
from fc_emulator.life import FINISHED, Event
from fc_emulator.tasks import Task


def record_of(
    task: Task, account: Account, at: int, *, events: bool, payload: bool, qualifier: str
) -> dict[str, Any]:
    """The record of *task* as it was at the moment *at*."""
    life, shown = task.life, account.shown
    executed, status = life.executed_at(at), life.status_at(at)
    record: dict[str, Any] = {
        "serviceName": task.place.service,
        "functionName": task.place.function,
        "qualifier": qualifier,
        "invocationId": task.id,
        "requestId": task.request_id,
        "status": status,
        "startedTime": shown(life.started_at(at, account.options.started_time)),
        "endTime": shown(life.ended_at(at)),
        "durationMs": max(0, life.ended_at(at) - executed) if executed and status in FINISHED else 0,
        "alreadyRetriedTimes": life.retries,
        "instanceId": task.instance_id if executed else "",
        "invocationErrorMessage": task.traits.error_message,
        "destinationStatus": "",
    }
    if events:
        record["events"] = [_event(n, event, account) for n, event in enumerate(life.events_at(at), start=1)]
    if payload:
        record["invocationPayload"] = task.payload
    return record


def _event(number: int, event: Event, account: Account) -> dict[str, Any]:
    """`eventId` counts from 1 unless the seed gave another; a time that was left out stays out."""
    dated = {} if event.at is None else {"timestamp": account.shown(event.at)}
    event_id = number if event.event_id is None else event.event_id
    return {"eventId": event_id, "status": event.status, **dated, "eventDetail": event.detail}
