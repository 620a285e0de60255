"""The operations of the API: what each reads from a call, asks of the account, and responds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from starlette.responses import Response

from fc_emulator import parameters
from fc_emulator.account import Account
from fc_emulator.api_versions import ApiVersion, function_arn, task_record
from fc_emulator.errors import ApiError, invalid_argument, not_found
from fc_emulator.listing import ListQuery
from fc_emulator.tasks import LATEST, Function, Task

MAX_ASYNC_BODY, MAX_BODY = 128 * 1024, 32 * 1024 * 1024
"""Bytes that an invocation may carry, the limit itself included:
https://alibabacloud.com/help/zh/functioncompute/fc-2-0/product-overview/limits"""


@dataclass(frozen=True)
class Call:
    """A call whose signature was right. Header names are lower case."""

    account: Account
    version: ApiVersion
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    request_id: str

    @property
    def function(self) -> Function:
        return self.version.function(self.path, self.query)


Operation = Callable[[Call], Response]


def json_response(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value), status, media_type="application/json")


def identify(call: Call) -> Response:
    """Whose keys they are: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-getcalleridentity"""
    options = call.account.options
    kind, arn = "RAMUser", f"acs:ram::{options.account_id}:user/{options.access_key_id}"
    if options.security_token is not None:
        kind, arn = "AssumedRoleUser", f"acs:sts::{options.account_id}:assumed-role/emulator/session"
    return json_response(
        {"IdentityType": kind, "AccountId": options.account_id, "Arn": arn, "RequestId": call.request_id}
    )


def stop(call: Call) -> Response:
    call.account.stop(call.function, call.path["id"], call.request_id)
    if call.account.options.stop_answer == 204:
        return Response(status_code=204)
    return Response() if call.version.is_classic else json_response({})


def get(call: Call) -> Response:
    task = call.account.task(call.function, call.path["id"])
    events = call.account.options.events != "no"
    return json_response(_record(call, task, call.account.now(), events=events, payload=True))


def list_tasks(call: Call) -> Response:
    account, query = call.account, _list_query(call)
    page = account.page(call.function, query)
    at = account.now() - account.options.list_lag
    events, payload = account.options.events == "list", parameters.flag(call.query, "includePayload")
    records = [_record(call, task, at, events=events, payload=payload) for task in page.tasks]
    token = {} if page.next is None else {"nextToken": parameters.page_token(_listing(call), page.next)}
    return _list_response(call, call.version.tasks_key, records, token)


def _list_response(call: Call, key: str, items: list[Any], token: dict[str, str]) -> Response:
    shown = {key: items} if items or call.account.options.empty_list == "key" else {}
    return json_response({**shown, **token})


def _record(call: Call, task: Task, at: int, *, events: bool, payload: bool) -> dict[str, Any]:
    account, qualifier = call.account, task.function.qualifier
    if account.options.record_qualifier == "version":
        qualifier = task.version or account.version_of(task.function)
    record = task_record(task, account, at, events=events, payload=payload, qualifier=qualifier)
    return call.version.record(record, account.options)


def _list_query(call: Call) -> ListQuery:
    query, advanced = call.query, call.account.advanced
    begin, end = (parameters.moment(query, name) for name in ("startedTimeBegin", "startedTimeEnd"))
    return ListQuery(
        limit=parameters.limit(query),
        newest_first=parameters.choice(query, "sortOrderByTime", ("asc", "desc")) != "asc",
        begin=begin + advanced if begin else begin,
        end=end + advanced if end else end,
        status=parameters.choice(query, "status", call.version.statuses),
        prefix=query.get(call.version.prefix_key, ""),
        after=_row_after(call),
    )


def _row_after(call: Call) -> tuple[int, str] | None:
    match parameters.after_token(call.query, _listing(call)):
        case None:
            return None
        case [int(at), str(task_id)]:
            return at, task_id
    raise invalid_argument("nextToken was not issued by this API")


def _listing(call: Call) -> str:
    """What a page token is valid for; the page size and the payloads may change between pages."""
    names = ("status", "startedTimeBegin", "startedTimeEnd", "sortOrderByTime", call.version.prefix_key)
    return json.dumps([*call.function, *(call.query.get(name) for name in names)])


def list_modes(call: Call) -> Response:
    """Functions of 2.0 in task mode; one that was in task mode for single calls only is missing."""
    functions = [one for one, state in call.account.functions.items() if state.task_mode and one.service]
    page, token = _functions_page(call, "functions", functions)
    data = [{"serviceName": service, "functionName": name, "qualifier": at} for service, name, at in page]
    return _list_response(call, "data", data, token)


def list_async_configs(call: Call) -> Response:
    """The configurations of asynchronous calls in 3.0; `asyncTask` says whether they are tasks."""
    name, account = call.query.get("functionName"), call.account
    if name is not None:
        account.existing(Function(None, name, LATEST))
    configured = [
        function
        for function, state in account.functions.items()
        if function.service is None and name in (None, function.name)
        if state.task_mode or state.async_config is not None
    ]
    page, token = _functions_page(call, f"configs {name}", configured)
    return _list_response(call, "configs", [_async_config(call, function) for function in page], token)


def _functions_page(
    call: Call, listing: str, functions: list[Function]
) -> tuple[list[Function], dict[str, str]]:
    limit, after = parameters.limit(call.query), parameters.after_token(call.query, listing)
    rows = sorted([one.service or "", one.name, one.qualifier] for one in functions)
    if after is not None:
        rows = [row for row in rows if row > [str(part) for part in after]]
    page = [Function(service or None, name, qualifier) for service, name, qualifier in rows[:limit]]
    more = len(rows) > limit
    return page, {"nextToken": parameters.page_token(listing, rows[limit - 1])} if more else {}


def get_async_config(call: Call) -> Response:
    return json_response(_async_config(call, call.function))


def put_async_config(call: Call) -> Response:
    """Switch task mode on or off. `maxAsyncRetryAttempts` counts; the others are stored and returned only."""
    given, key = _json_object(call.body), call.version.task_mode_key
    task_mode = given.pop(key, False)
    if not isinstance(task_mode, bool):
        raise invalid_argument(f"{key} is {task_mode!r}; it must be true or false")
    retries = given.get("maxAsyncRetryAttempts", 0)
    if type(retries) is not int or not 0 <= retries <= 8:
        raise invalid_argument(f"maxAsyncRetryAttempts is {retries!r}; it must be a number from 0 to 8")
    call.account.put_async_config(call.function, given, task_mode)
    return get_async_config(call)


def _async_config(call: Call, function: Function) -> dict[str, Any]:
    account, stored = call.account, call.account.async_config(function)
    rest = {key: value for key, value in stored.items() if key not in ("created", "modified")}
    if function.service is None:
        names = {"functionArn": function_arn(f"{function.name}/{function.qualifier}", account.options)}
    else:
        names = dict(zip(("service", "function", "qualifier"), map(str, function), strict=True))
    times = {"createdTime": _iso(stored["created"]), "lastModifiedTime": _iso(stored["modified"])}
    return {**names, call.version.task_mode_key: account.functions[function].task_mode, **rest, **times}


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise invalid_argument("the body is not JSON") from None
    if not isinstance(value, dict):
        raise invalid_argument("the body is not a JSON object")
    return value


def invoke(call: Call) -> Response:
    """Asynchronous: 202 and, in task mode, a task that runs a few seconds. Otherwise an echo of the body."""
    headers, function = call.headers, call.function
    if headers.get("x-fc-invocation-type", "Sync").lower() != "async":
        call.account.existing(function)
        return Response(call.body, media_type="application/octet-stream")
    if len(call.body) > MAX_ASYNC_BODY:
        message = f"the body has {len(call.body)} bytes; {MAX_ASYNC_BODY} are allowed"
        raise ApiError(400, "EntityTooLarge", message)
    task_id = call.account.invoke(
        function,
        headers.get(call.version.id_header) or None,
        task_mode=headers.get("x-fc-stateful-async-invocation-enable", "false").lower() == "true",
        payload=call.body.decode("utf-8", "replace"),
        delay=parameters.delay(headers),
        request_id=call.request_id,
    )
    return Response(status_code=202, headers={} if task_id is None else {call.version.id_header: task_id})


def get_service(call: Call) -> Response:
    name = call.function.service
    if all(function.service != name for function in call.account.functions):
        raise not_found("Service", f"there is no service {name!r}")
    return json_response({"serviceName": name})


def list_services(call: Call) -> Response:
    names = sorted({one.service for one in call.account.functions if one.service is not None})
    return json_response({"services": [{"serviceName": name} for name in names]})


def get_function(call: Call) -> Response:
    state = call.account.functions.get(call.account.existing(call.function))
    return json_response({"functionName": call.function.name, **(state.shown if state else {"timeout": 60})})


def list_functions(call: Call) -> Response:
    service = call.function.service
    if service is not None:
        get_service(call)
    names = sorted({one.name for one in call.account.functions if one.service == service})
    return json_response({"functions": [{"functionName": name} for name in names]})
