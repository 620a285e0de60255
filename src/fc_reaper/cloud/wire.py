"""Records as the cloud writes them, and our words for them. Tolerant of form, never of doubt.

https://help.aliyun.com/zh/functioncompute/fc-2-0/developer-reference/api-fc-open-2021-04-06-struct-statefulasyncinvocation
https://alibabacloud.com/help/en/functioncompute/fc-3-0/developer-reference/api-fc-2023-03-30-struct-asynctask
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fc_reaper.cloud.times import read_moment
from fc_reaper.models import LATEST, UNFINISHED, Function, Millis, Task, TaskEvent
from fc_reaper.names import is_invocation_id

_UNFINISHED = frozenset(UNFINISHED)
# acs:fc:REGION:ACCOUNT:functions/NAME, then /QUALIFIER or .QUALIFIER or nothing.
_ARN = re.compile(r"acs:fc:[^:/]*:[^:/]*:functions/([^/.]+)(?:[/.]([^/.]+))?")


def record_id(function: Function, record: Any) -> str | None:
    """The invocation id of a record, None when it names none."""
    if not isinstance(record, Mapping):
        return None
    found = record.get("taskId" if function.service is None else "invocationId")
    return found if isinstance(found, str) and found else None


def read_task(function: Function, record: Mapping[str, Any], asked: str | None = None) -> Task:
    """Read one record found under *function*; *asked* is the invocation id if one was asked for.

    What contradicts the question or itself does not raise: the task carries an `inconsistency`.
    """
    found = record_id(function, record)
    status = record.get("status")
    ended_at = read_moment(record.get("endTime"))
    return Task(
        function,
        asked or found or "",
        _text(status),
        _text(record.get("requestId")) or None,
        read_moment(record.get("startedTime")),
        ended_at,
        _count(record.get("alreadyRetriedTimes")),
        *_events(record.get("events")),
        _doubt(function, record, found, asked) or _doubt_of_status(status, ended_at),
        record,
    )


def function_in_arn(arn: Any) -> tuple[str, str] | None:
    """Name and qualifier (LATEST if it has none) in the ARN of a function without service, or None."""
    match = _ARN.fullmatch(arn) if isinstance(arn, str) else None
    return None if match is None else (match[1], match[2] or LATEST)


def _doubt(function: Function, record: Mapping[str, Any], found: str | None, asked: str | None) -> str | None:
    if found is None:
        return "the record has no id"
    if asked is not None and found != asked:
        return f"the record is about another task, {found[:128]!r}"
    if not is_invocation_id(found):
        return "the record's id is none that the platform could have given"
    service, name = record.get("serviceName"), record.get("functionName")
    if service and service != function.service:
        return f"the record names another service, {str(service)[:128]!r}"
    if name and name != function.name:
        return f"the record names another function, {str(name)[:128]!r}"
    arn = record.get("functionArn")
    return _doubt_of_arn(function, arn) if arn and function.service is None else None


def _doubt_of_arn(function: Function, arn: Any) -> str | None:
    named = function_in_arn(arn)
    if named is not None and named[0] == function.name:
        return None
    return f"the record names another function, {str(arn)[:256]!r}"


def _doubt_of_status(status: Any, ended_at: Millis | None) -> str | None:
    if not isinstance(status, str) or not status:
        return "the record has no status"
    if ended_at is not None and status in _UNFINISHED:
        return f"the record has an end, yet it is {status}"
    return None


def _events(listed: Any) -> tuple[tuple[TaskEvent, ...], tuple[str, ...]]:
    """The dated events, oldest first, and the statuses of those without a date."""
    if not listed or not isinstance(listed, list):
        return (), ()
    dated: list[TaskEvent] = []
    undated: list[str] = []
    for item in listed:
        if not isinstance(item, Mapping):
            undated.append("")
            continue
        at, status = read_moment(item.get("timestamp")), _text(item.get("status"))
        if at is None:
            undated.append(status)
        else:
            dated.append(TaskEvent(at, _count(item.get("eventId")) or 0, status))
    dated.sort(key=_order)
    return tuple(dated), tuple(undated)


def _order(event: TaskEvent) -> tuple[Millis, int]:
    return event.at, event.id


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int | None:
    """A number that is not negative, also as text; None for anything else."""
    if type(value) is int:
        return value if value >= 0 else None
    if isinstance(value, float) and value.is_integer():
        return int(value) if value >= 0 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return None
