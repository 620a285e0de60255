"""What each operation reads from a call, asks of the account, and answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from fc_emulator.account import Account
from fc_emulator.dialects import Dialect, function_arn
from fc_emulator.questions import choice_in, flag_in, limit_in, moment_in
from fc_emulator.records import record_of
from fc_emulator.refusals import Refusal, invalid
from fc_emulator.shelf import Wanted
from fc_emulator.tasks import Place, Task
from fc_emulator.tokens import after, token

ASYNC_BODY, SYNC_BODY = 128 * 1024, 32 * 1024 * 1024
"""Bytes an invocation may carry, the limit itself included:
https://alibabacloud.com/help/zh/functioncompute/fc-2-0/product-overview/limits"""


@dataclass(frozen=True)
class Call:
    """A call whose signature was good. Header names are lower case."""

    account: Account
    dialect: Dialect
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    request_id: str

    @property
    def place(self) -> Place:
        return self.dialect.place(self.params, self.query)


@dataclass(frozen=True)
class Answer:
    """What goes back. `content_type` None: the header is not sent."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    error_code: str | None = None


Operation = Callable[[Call], Answer]


def json_answer(value: Any, status: int = 200, error_code: str | None = None) -> Answer:
    return Answer(status, json.dumps(value).encode(), "application/json", error_code=error_code)


def stop(call: Call) -> Answer:
    call.account.stop(call.place, call.params["id"], call.request_id)
    return Answer() if call.dialect.done is None else json_answer(call.dialect.done)


def get(call: Call) -> Answer:
    task = call.account.task(call.place, call.params["id"])
    events = call.account.options.events != "no"
    return json_answer(_record(call, task, call.account.now(), events=events, payload=True))


def list_tasks(call: Call) -> Answer:
    account, query, wanted = call.account, call.query, _wanted(call)
    page = account.page(call.place, wanted)
    at = account.now() - account.options.list_lag
    events, payload = account.options.events == "list", flag_in(query, "includePayload")
    records = [_record(call, task, at, events=events, payload=payload) for task in page.tasks]
    next_token = {} if page.next is None else {"nextToken": token(_question(call), page.next)}
    return json_answer({call.dialect.tasks_key: records, **next_token})


def _record(call: Call, task: Task, at: int, *, events: bool, payload: bool) -> dict[str, Any]:
    options, place = call.account.options, task.place
    qualifier = place.qualifier if options.record_qualifier == "asked" else call.account.version_of(place)
    record = record_of(task, call.account, at, events=events, payload=payload, qualifier=qualifier)
    return call.dialect.record(record, options)


def _wanted(call: Call) -> Wanted:
    query, advanced = call.query, call.account.advanced
    begin, end = moment_in(query, "startedTimeBegin"), moment_in(query, "startedTimeEnd")
    return Wanted(
        limit=limit_in(query),
        newest_first=choice_in(query, "sortOrderByTime", ("asc", "desc")) != "asc",
        begin=begin + advanced if begin else begin,
        end=end + advanced if end else end,
        status=choice_in(query, "status", call.dialect.statuses),
        prefix=query.get(call.dialect.prefix_key, ""),
        after=_row_after(call),
    )


def _row_after(call: Call) -> tuple[int, str] | None:
    if "nextToken" not in call.query:
        return None
    match after(_question(call), call.query["nextToken"]):
        case [int(at), str(task_id)]:
            return at, task_id
    raise invalid("nextToken is not one that was given out")


def _question(call: Call) -> str:
    """What a page token belongs to; the size of a page and the payloads may change on the way."""
    names = ("status", "startedTimeBegin", "startedTimeEnd", "sortOrderByTime", call.dialect.prefix_key)
    return json.dumps([*call.place, *(call.query.get(name) for name in names)])


def list_modes(call: Call) -> Answer:
    """Functions of 2.0 in task mode; one that was switched on for single calls only is missing."""
    places = [p for p, c in call.account.corners.items() if c.task_mode and p.service is not None]
    page, next_token = _some_places(call, "functions", places)
    data = [{"serviceName": p.service, "functionName": p.function, "qualifier": p.qualifier} for p in page]
    return json_answer({"data": data, **next_token})


def list_async_configs(call: Call) -> Answer:
    """The configurations of asynchronous calls in 3.0; `asyncTask` says task mode."""
    name, account = call.query.get("functionName"), call.account
    if name is not None:
        account.known(Place(None, name, "LATEST"))
    places = [p for p in account.corners if p.service is None and name in (None, p.function)]
    page, next_token = _some_places(call, f"configs {name}", [p for p in places if _configured(account, p)])
    return json_answer({"configs": [_config(call, p) for p in page], **next_token})


def _configured(account: Account, place: Place) -> bool:
    return account.corners[place].task_mode or account.corners[place].config is not None


def _some_places(call: Call, question: str, places: list[Place]) -> tuple[list[Place], dict[str, str]]:
    limit = limit_in(call.query)
    names = sorted([place.service or "", place.function, place.qualifier] for place in places)
    if "nextToken" in call.query:
        last = [str(part) for part in after(question, call.query["nextToken"])]
        names = [name for name in names if name > last]
    page = [Place(service or None, function, qualifier) for service, function, qualifier in names[:limit]]
    return page, {"nextToken": token(question, names[limit - 1])} if len(names) > limit else {}


def get_config(call: Call) -> Answer:
    call.account.config(call.place)
    return json_answer(_config(call, call.place))


def put_config(call: Call) -> Answer:
    """Switches task mode on or off. What else it holds is stored and shown, and has no effect."""
    given = _json_object(call.body)
    mode = given.pop(call.dialect.mode_key, False)
    if not isinstance(mode, bool):
        raise invalid(f"{call.dialect.mode_key} is {mode!r}; it must be true or false")
    call.account.configure(call.place, given, mode)
    return json_answer(_config(call, call.place))


def _config(call: Call, place: Place) -> dict[str, Any]:
    account = call.account
    stored = account.config(place)
    rest = {key: value for key, value in stored.items() if key not in ("created", "modified")}
    if place.service is None:
        named = {"functionArn": function_arn(f"{place.function}/{place.qualifier}", account.options)}
    else:
        named = {"service": place.service, "function": place.function, "qualifier": place.qualifier}
    times = {"createdTime": _iso(stored["created"]), "lastModifiedTime": _iso(stored["modified"])}
    return {**named, call.dialect.mode_key: account.corners[place].task_mode, **rest, **times}


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise invalid("the body is not JSON") from None
    if not isinstance(value, dict):
        raise invalid("the body is not a JSON object")
    return value


def invoke(call: Call) -> Answer:
    """Asynchronous: 202 and, in task mode, a task that runs a few seconds. Else an echo of the body."""
    headers = call.headers
    if headers.get("x-fc-invocation-type", "Sync").lower() != "async":
        call.account.known(call.place)
        _check_size(call.body, SYNC_BODY)
        return Answer(200, call.body, "application/octet-stream")
    _check_size(call.body, ASYNC_BODY)
    wanted_id = headers.get(call.dialect.id_header) or None
    enabled = headers.get("x-fc-stateful-async-invocation-enable", "false").lower() == "true"
    payload = call.body.decode("utf-8", "replace")
    task_id = call.account.invoke(
        call.place, wanted_id, enabled=enabled, payload=payload, request_id=call.request_id
    )
    return Answer(202, headers={} if task_id is None else {call.dialect.id_header: task_id})


def _check_size(body: bytes, most: int) -> None:
    if len(body) > most:
        raise Refusal(400, "EntityTooLarge", f"the body has {len(body)} bytes; {most} are allowed")


def get_service(call: Call) -> Answer:
    name = call.place.service
    if all(place.service != name for place in call.account.corners):
        raise Refusal(404, "ServiceNotFound", f"there is no service {name!r}")
    return json_answer({"serviceName": name})


def list_services(call: Call) -> Answer:
    names = sorted({place.service for place in call.account.corners if place.service is not None})
    return json_answer({"services": [{"serviceName": name} for name in names]})


def get_function(call: Call) -> Answer:
    return json_answer({"functionName": call.account.known(call.place).function})


def list_functions(call: Call) -> Answer:
    service = call.place.service
    if service is not None:
        get_service(call)
    names = sorted({place.function for place in call.account.corners if place.service == service})
    return json_answer({"functions": [{"functionName": name} for name in names]})
