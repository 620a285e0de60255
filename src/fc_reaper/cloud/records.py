"""The cloud's records and pages, read into tasks: tolerant of form, strict about what contradicts itself.

https://help.aliyun.com/zh/functioncompute/fc-2-0/developer-reference/api-fc-open-2021-04-06-struct-statefulasyncinvocation
https://alibabacloud.com/help/en/functioncompute/fc-3-0/developer-reference/api-fc-2023-03-30-struct-asynctask
"""

import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from operator import itemgetter
from typing import Any

from pydantic_core import SchemaValidator, ValidationError, core_schema

from fc_reaper.cloud.api import ASYNC_TASK, STATEFUL, Answer, check_names
from fc_reaper.cloud.errors import unreadable
from fc_reaper.errors import InvalidName
from fc_reaper.models import INVOCATION_ID, LATEST, UNFINISHED, Function, Millis, Task, TaskEvent, printable

# acs:fc:REGION:ACCOUNT:functions/NAME, or with / before functions as some official pages print it; then
# /QUALIFIER or .QUALIFIER or nothing.
_ARN = r"acs:fc:[^:/]*:[^:/]*[:/]functions/([^/.]+)(?:[/.]([^/.]+))?"
_SECONDS_BELOW = 100_000_000_000
_YEAR_2017, _YEAR_10000 = 1_483_228_800_000, 253_402_300_800_000
_LONGEST_TOKEN = 4096  # it is sent back in an address
_NUMBER = r"\s*[0-9]{1,19}(?:\.0{1,9})?\s*"
_ISO = SchemaValidator(core_schema.datetime_schema(tz_constraint="aware"))


def read_task(function: Function, record: Mapping[str, Any], asked: str | None = None) -> Task:
    """Read one record found under *function*; *asked* is the invocation id if one was asked for.

    A record that contradicts the request or itself does not raise: the task has an `inconsistency`. The
    record that the task keeps has no `eventDetail`, and says Dequeued for Processed.
    """
    found = record.get((ASYNC_TASK if function.service is None else STATEFUL).id_field)
    found = found if isinstance(found, str) else ""
    ended_at = read_moment(record.get("endTime"))
    listed = record.get("events")
    events = [one if isinstance(one, dict) else {} for one in listed] if isinstance(listed, list) else []
    if any(facts.get("eventDetail") or facts.get("status") == "Processed" for facts in (record, *events)):
        events = [_cleaned(one) for one in events]
        record = {**_cleaned(record), "events": events}
    dated: list[TaskEvent] = []
    undated: list[str] = []
    for event in events:
        at, its_status = read_moment(event.get("timestamp")), event.get("status")
        its_status = sys.intern(printable(its_status, 64)) if isinstance(its_status, str) else ""
        if at is None:
            undated.append(its_status)
        else:
            dated.append(TaskEvent(at, _whole(event.get("eventId")) or 0, its_status))
    dated.sort(key=itemgetter(0, 1))
    status, request_id = record.get("status"), record.get("requestId")
    # A history holds millions of statuses.
    status = sys.intern(printable(status, 64)) if isinstance(status, str) else ""
    inconsistency = _names_another(function, record, found, asked)
    if inconsistency is None and not status:
        inconsistency = "the record has no status"
    elif inconsistency is None and ended_at is not None and status in UNFINISHED:
        inconsistency = f"the record has an end, yet it is {status}"
    return Task(
        function,
        asked or printable(found, 128),
        status,
        printable(request_id, 128) or None if isinstance(request_id, str) else None,
        read_moment(record.get("startedTime")),
        ended_at,
        _whole(record.get("alreadyRetriedTimes")),
        tuple(dated),
        tuple(undated),
        inconsistency,
        record,
    )


def _cleaned(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A record or an event without what the function put out.

    The console and newer pages call Processed what the API called Dequeued first.
    """
    status = {"status": "Dequeued"} if facts.get("status") == "Processed" else {}
    return {**{name: facts[name] for name in facts if name != "eventDetail"}, **status}


def read_items(answer: Answer, key: str, asked: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """The objects in the list *key* of a page, and the token of the next page; *asked* is that of this one.

    CallFailed (`UnreadableAnswer`) where the body is no page, or the token leads back.
    """
    if answer.value is None:
        raise unreadable(answer, "the body is not a JSON object of sound size")
    items, token = answer.value.get(key), answer.value.get("nextToken")
    # Real answers leave the list out, or write null, where nothing was found: only on a first page.
    foreign = key not in answer.value and answer.value.keys() - {"nextToken", "requestId", "RequestId"}
    if items is None and (asked or foreign):
        raise unreadable(answer, f"the body has no {key!r}; it is no page")
    items = [] if items is None else items
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise unreadable(answer, f"{key!r} is not a list of objects")
    if token is not None and not (isinstance(token, str) and len(token) <= _LONGEST_TOKEN):
        raise unreadable(answer, f"'nextToken' is not text of at most {_LONGEST_TOKEN:,} characters")
    if token and token == asked:
        raise unreadable(answer, "'nextToken' leads to the same page again")
    return items, token or None


def read_function(answer: Answer, facts: Mapping[str, Any], *, services: bool) -> Function | None:
    """Read one entry of a list of functions; None for a function of FC 3.0 that is not in task mode.

    CallFailed (`UnreadableAnswer`) where it names no function.
    """
    if services:
        # Without a service a function would be taken for one of FC 3.0.
        qualifier = facts.get("qualifier") or LATEST
        function = Function(facts.get("serviceName") or "", facts.get("functionName", ""), qualifier)
    elif facts.get("asyncTask") is not True:
        return None
    else:
        name, qualifier = function_in_arn(facts.get("functionArn")) or ("", "")
        function = Function(None, name, qualifier)
    try:
        check_names(function)
    except InvalidName as error:
        raise unreadable(answer, f"a function in the page has an impossible name: {error}") from None
    return function


def function_of(record: Mapping[str, Any]) -> Function | None:
    """The function that a record names, of 3.0 without a service, None if it names none; else InvalidName."""
    texts = {name: text for name, text in record.items() if isinstance(text, str) and text}
    service, name, qualifier = (texts.get(key) for key in ("serviceName", "functionName", "qualifier"))
    in_arn = function_in_arn(record.get("functionArn")) if service is None else None
    if in_arn is not None:
        name, qualifier = in_arn[0], qualifier or in_arn[1]
    if name is None:
        return None
    function = Function(service, name, qualifier or LATEST)
    check_names(function)
    return function


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
    millis = _whole(value)
    if millis is not None and millis < _SECONDS_BELOW:
        millis *= 1000
    elif isinstance(value, str) and value.strip()[4:5] == "-":
        with suppress(ValidationError):
            millis = round(_ISO.validate_python(value.strip()).timestamp() * 1000)
    return millis if millis is not None and _YEAR_2017 <= millis < _YEAR_10000 else None


def _whole(value: Any) -> int | None:
    """A whole number that is not negative, also as text; None for anything else."""
    if type(value) is int:
        return value if value >= 0 else None
    if isinstance(value, str) and re.fullmatch(_NUMBER, value):
        return int(value.partition(".")[0])
    return int(value) if isinstance(value, float) and value >= 0 and value.is_integer() else None


def _names_another(
    function: Function, record: Mapping[str, Any], found: str, asked: str | None
) -> str | None:
    """Why the record is not about the task that was asked for, or about no task at all."""
    if not found:
        return "the record has no id"
    if asked is not None and found != asked:
        return f"the record is about another task, '{printable(found, 128)}'"
    if not INVOCATION_ID.fullmatch(found):
        return "the record's id is none that the platform could have given"
    service, name = record.get("serviceName"), record.get("functionName")
    if service and service != function.service:
        return f"the record names another service, '{printable(str(service), 128)}'"
    arn = record.get("functionArn") if function.service is None else None
    named = function_in_arn(arn) if arn else None
    if arn and (named is None or named[0] != function.name):
        return f"the record names another function, '{printable(str(arn), 256)}'"
    if name and name != function.name:
        return f"the record names another function, '{printable(str(name), 128)}'"
    return None
