"""The cloud's records and pages, read into tasks: tolerant of form, strict about what contradicts itself.

https://help.aliyun.com/zh/functioncompute/fc-2-0/developer-reference/api-fc-open-2021-04-06-struct-statefulasyncinvocation
https://alibabacloud.com/help/en/functioncompute/fc-3-0/developer-reference/api-fc-2023-03-30-struct-asynctask
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any

from fc_reaper.cloud.api import Answer, names_for
from fc_reaper.cloud.errors import unreadable
from fc_reaper.errors import InvalidName
from fc_reaper.models import LATEST, UNFINISHED, Function, FunctionsPage, Millis, Page, Task, TaskEvent
from fc_reaper.names import INVOCATION_ID, check_names, printable

# acs:fc:REGION:ACCOUNT:functions/NAME, or with / before functions as some official pages print it; then
# /QUALIFIER or .QUALIFIER or nothing.
_ARN = r"acs:fc:[^:/]*:[^:/]*[:/]functions/([^/.]+)(?:[/.]([^/.]+))?"
_SECONDS_BELOW = 100_000_000_000
_YEAR_2017, _YEAR_10000 = 1_483_228_800_000, 253_402_300_800_000
_NUMBER = r"[0-9]{1,19}(?:\.0{1,9})?"
_ISO = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:([Zz])|([+-][0-9]{2}):?([0-9]{2}))"
)


def read_task(function: Function, record: Mapping[str, Any], asked: str | None = None) -> Task:
    """Read one record found under *function*; *asked* is the invocation id if one was asked for.

    A record that contradicts the request or itself does not raise: the task has an `inconsistency`.
    """
    found = _text(record.get(names_for(services=function.service is not None).id_field))
    status, ended_at = _status(record), read_moment(record.get("endTime"))
    dated: list[TaskEvent] = []
    undated: list[str] = []
    listed = record.get("events")
    events = [one if isinstance(one, Mapping) else {} for one in listed] if isinstance(listed, list) else []
    if record.get("status") != status or any("eventDetail" in one for one in events):
        # An eventDetail may hold the function's output.
        plain = [{name: one[name] for name in one if name != "eventDetail"} for one in events]
        record = {**record, "status": status or None, "events": plain}
    for event in events:
        at, its_status = read_moment(event.get("timestamp")), _status(event)
        if at is None:
            undated.append(its_status)
        else:
            dated.append(TaskEvent(at, _count(event.get("eventId")) or 0, its_status))
    dated.sort(key=itemgetter(0, 1))
    inconsistency = _names_another(function, record, found, asked)
    if inconsistency is None and not status:
        inconsistency = "the record has no status"
    elif inconsistency is None and ended_at is not None and status in UNFINISHED:
        inconsistency = f"the record has an end, yet it is {status}"
    return Task(
        function,
        asked or printable(found, 128),
        status,
        printable(_text(record.get("requestId")), 128) or None,
        read_moment(record.get("startedTime")),
        ended_at,
        _count(record.get("alreadyRetriedTimes")),
        tuple(dated),
        tuple(undated),
        inconsistency,
        record,
    )


def read_page(function: Function, answer: Answer, asked_token: str | None) -> Page:
    """Read one page of tasks found under *function*.

    Raises:
        CallFailed: `UnreadableAnswer`, when the body is no page, a record has no id, or the token leads back.
    """
    names = names_for(services=function.service is not None)
    items, token = _items(answer, names.tasks, asked_token)
    if not all(isinstance(item, Mapping) and _text(item.get(names.id_field)) for item in items):
        raise unreadable(answer, "a record in the page has no id")
    return Page(tuple([read_task(function, item) for item in items]), token, answer.moment)


def read_functions_page(answer: Answer, asked_token: str | None, *, services: bool) -> FunctionsPage:
    """Read one page of the functions in task mode.

    Raises:
        CallFailed: `UnreadableAnswer`, when the body is no page, names no function, or the token leads back.
    """
    items, token = _items(answer, "data" if services else "configs", asked_token)
    found = []
    for item in items:
        facts = item if isinstance(item, Mapping) else {}
        if services:
            # Without this check a function without a service would be taken for one of FC 3.0.
            if facts.get("serviceName") is None:
                raise unreadable(answer, "a function in the page has no service name")
            name, qualifier = facts.get("functionName", ""), facts.get("qualifier") or LATEST
            function = Function(facts["serviceName"], name, qualifier)
        else:
            if not isinstance(item, Mapping):
                raise unreadable(answer, "a configuration in the page is not an object")
            if facts.get("asyncTask") is not True:
                continue
            named = function_in_arn(facts.get("functionArn"))
            if named is None:
                raise unreadable(answer, "a configuration in the page has no readable functionArn")
            function = Function(None, *named)
        try:
            check_names(function)
        except InvalidName as error:
            raise unreadable(answer, f"a function in the page has an impossible name: {error}") from None
        found.append(function)
    return FunctionsPage(tuple(found), token)


def json_object(answer: Answer) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        CallFailed: `UnreadableAnswer`, when it is anything else. The body is not repeated: it may hold
            anything.
    """
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise unreadable(answer, f"the body is not JSON, but {len(answer.body)} bytes") from None
    if not isinstance(value, dict):
        raise unreadable(answer, "the body is JSON, but not an object")
    return value


def function_in_arn(arn: Any) -> tuple[str, str] | None:
    """Name and qualifier (LATEST if it has none) in the ARN of a function without service, or None."""
    match = re.fullmatch(_ARN, arn) if isinstance(arn, str) else None
    return None if match is None else (match[1], match[2] or LATEST)


def read_moment(value: Any) -> Millis | None:
    """Read a number, a number as text, or ISO 8601 text with a zone; None for anything else.

    The samples of the help center hold seconds in places: what is below 1e11 is taken as seconds.
    0 means that there is no such moment (an unfinished task's `endTime` is 0), text without a zone names none
    for certain, and nothing happened in Function Compute before 2017.
    """
    number = value if type(value) is int else 0
    if isinstance(value, float) and value.is_integer():
        number = int(value)
    elif isinstance(value, str):
        text = value.strip()
        number = int(text.partition(".")[0]) if re.fullmatch(_NUMBER, text) else _iso(text)
    millis = number * 1000 if number < _SECONDS_BELOW else number
    return millis if _YEAR_2017 <= millis < _YEAR_10000 else None


def _iso(text: str) -> Millis:
    """The moment of ISO 8601 text; 0 if it is none."""
    match = re.fullmatch(_ISO, text)
    if match is None:
        return 0
    day, time, fraction, utc, hours, minutes = match.groups()
    zone = "+00:00" if utc else f"{hours}:{minutes}"
    try:
        # Python 3.10 reads neither Z nor a fraction of any length.
        moment = datetime.fromisoformat(f"{day}T{time}.{(fraction or '').ljust(6, '0')[:6]}{zone}")
    except ValueError:
        return 0
    return round(moment.timestamp() * 1000)


def _names_another(
    function: Function, record: Mapping[str, Any], found: str, asked: str | None
) -> str | None:
    """Why the record is not about the task that was asked for, or about no task at all."""
    if not found:
        return "the record has no id"
    if asked is not None and found != asked:
        return f"the record is about another task, {found[:128]!r}"
    if not INVOCATION_ID.fullmatch(found):
        return "the record's id is none that the platform could have given"
    service, name = record.get("serviceName"), record.get("functionName")
    if service and service != function.service:
        return f"the record names another service, {str(service)[:128]!r}"
    if name and name != function.name:
        return f"the record names another function, {str(name)[:128]!r}"
    arn = record.get("functionArn") if function.service is None else None
    if arn and (function_in_arn(arn) or ("",))[0] != function.name:
        return f"the record names another function, {str(arn)[:256]!r}"
    return None


def _status(facts: Mapping[str, Any]) -> str:
    """The status of a record or an event. The console, and newer pages, call Dequeued Processed."""
    status = printable(_text(facts.get("status")), 64)
    return sys.intern("Dequeued" if status == "Processed" else status)  # a history holds millions


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


def _items(answer: Answer, key: str, asked: str | None) -> tuple[list[Any], str | None]:
    """The items of a page, and the token of the next one; *asked* is the token of this page."""
    body = json_object(answer)
    items, token = body.get(key), body.get("nextToken")
    # Real answers leave the list out, or write null, where nothing was found: only on a first page.
    if key not in body and (asked or (body.keys() - {"nextToken", "requestId", "RequestId"})):
        raise unreadable(answer, f"the body has no {key!r}; it is no page")
    if items is not None and not isinstance(items, list):
        raise unreadable(answer, f"{key!r} is not a list")
    if token is not None and not isinstance(token, str):
        raise unreadable(answer, "'nextToken' is not text")
    if token and token == asked:
        raise unreadable(answer, "'nextToken' leads to the same page again")
    return items or [], token or None
