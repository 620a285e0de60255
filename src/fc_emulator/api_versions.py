"""The three API versions: how each names functions, shows records and spells errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fc_emulator.account import Account
from fc_emulator.errors import ApiError, invalid_argument
from fc_emulator.lifecycle import FINISHED, QUEUED, STATUSES, Event
from fc_emulator.options import REGION, Options
from fc_emulator.signature import Scheme, check_acs3, check_fc
from fc_emulator.tasks import LATEST, Function, Task

Json = dict[str, Any]

_NAMES_3 = {
    "invocationId": "taskId",
    "invocationPayload": "taskPayload",
    "invocationErrorMessage": "taskErrorMessage",
}


@dataclass(frozen=True)
class ApiVersion:
    """One API version. `statuses` are the values of the `status` filter of its lists."""

    version: str
    check_signature: Scheme = check_acs3
    statuses: tuple[str, ...] = STATUSES
    tasks_key: str = "invocations"
    prefix_key: str = "invocationIdPrefix"
    task_mode_key: str = "statefulInvocation"
    id_header: str = "x-fc-stateful-async-invocation-id"

    @property
    def is_classic(self) -> bool:
        return self.version == "2016-08-15"

    @property
    def is_fc3(self) -> bool:
        return self.version == "2023-03-30"

    def function(self, path: Mapping[str, str], query: Mapping[str, str]) -> Function:
        """The function that a call addresses: the classic version has the qualifier in the path."""
        name = path.get("function", "")
        if not self.is_classic:
            return Function(path.get("service"), name, query.get("qualifier") or LATEST)
        service, dot, qualifier = path.get("service", "").partition(".")
        if dot and not qualifier:
            message = f"the service {service + dot!r} ends in a dot; leave it out or name a qualifier"
            raise invalid_argument(message)
        return Function(service, name, qualifier or LATEST)

    def record(self, record: Json, options: Options) -> Json:
        """A record as this version shows it, from one in the names of 2.0."""
        if not self.is_fc3:
            return record
        kept = {_NAMES_3.get(k, k): v for k, v in record.items() if k not in ("serviceName", "functionName")}
        return {"functionArn": function_arn(record["functionName"], options), **kept}

    def error_code(self, error: ApiError) -> str:
        return error.code.replace("StatefulAsyncInvocation", "AsyncTask") if self.is_fc3 else error.code

    def error(self, error: ApiError, request_id: str) -> dict[str, str]:
        """The body of an error response."""
        code = self.error_code(error)
        if self.is_classic:
            return {"ErrorCode": code, "ErrorMessage": error.message}
        return {"Code": code, "Message": error.message, "RequestId": request_id}


V2016 = ApiVersion("2016-08-15", check_fc)
V2021 = ApiVersion(
    "2021-04-06",
    # https://help.aliyun.com/zh/functioncompute/fc-2-0/developer-reference/api-fc-open-2021-04-06-struct-statefulasyncinvocation
    statuses=tuple(status for status in STATUSES if status != "Dequeued"),
)
V2023 = ApiVersion(
    "2023-03-30",
    tasks_key="tasks",
    prefix_key="prefix",
    task_mode_key="asyncTask",
    id_header="x-fc-async-task-id",
)
STS = ApiVersion("2015-04-01")
"""The Security Token Service, whose requests have no path."""


def version_of_path(path: str) -> ApiVersion:
    """The version that *path* begins with; the classic one for every other path but `/`."""
    other = STS if path == "/" else V2016
    return next((one for one in (V2016, V2021, V2023) if path.startswith(f"/{one.version}/")), other)


def function_arn(path: str, options: Options) -> str:
    """The resource name of a function, or of `NAME/QUALIFIER`."""
    separator = {"colon": ":", "slash": "/"}[options.arn]
    return f"acs:fc:{REGION}:{options.account_id}{separator}functions/{path}"


def task_record(
    task: Task, account: Account, at: int, *, events: bool, payload: bool, qualifier: str
) -> Json:
    """The record of *task* as it was at the moment *at*, in the names of Function Compute 2.0."""
    lifecycle, shown = task.lifecycle, account.shown
    executed, ended, status = lifecycle.executed_at(at), lifecycle.end_time_at(at), lifecycle.status_at(at)
    record: Json = {
        "serviceName": task.function.service,
        "functionName": task.function.name,
        "qualifier": qualifier,
        "invocationId": task.id,
        "requestId": task.request_id,
        "status": status,
        "startedTime": shown(lifecycle.started_time_at(at, account.options.started_time)),
        "endTime": shown(ended),
        "durationMs": max(0, ended - executed) if executed and status in FINISHED else 0,
        "alreadyRetriedTimes": lifecycle.retries_at(at),
        "instanceId": task.instance_id if executed else "",
        "invocationErrorMessage": task.template.error_message,
        "destinationStatus": "",
    }
    if events:
        numbered = enumerate(lifecycle.events_at(at), start=1)
        record["events"] = [_event(number, event, task, account) for number, event in numbered]
    if payload:
        record["invocationPayload"] = task.payload
    return record


def _event(number: int, event: Event, task: Task, account: Account) -> Json:
    detail = event.detail
    if not detail and account.options.event_detail == "log-tail" and event.status not in QUEUED:
        # A function may print what it was given, and the platform then repeats it here.
        log_tail = f"FC Invoke Start RequestId: {task.request_id}\n{task.payload[:200]}"
        detail = json.dumps({"logTail": log_tail})
    timestamp = {"timestamp": account.shown(event.at)} if event.dated else {}
    event_id = number if event.event_id is None else event.event_id
    return {"eventId": event_id, "status": event.status, **timestamp, "eventDetail": detail}
