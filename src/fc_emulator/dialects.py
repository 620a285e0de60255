"""The three spellings of one account: how a place is named, a record and an error look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fc_emulator.life import STATUSES
from fc_emulator.options import REGION, Options
from fc_emulator.refusals import Refusal, invalid
from fc_emulator.signature import Scheme, check_acs3, check_fc
from fc_emulator.tasks import LATEST, Place

Json = dict[str, Any]


@dataclass(frozen=True)
class Dialect:
    """One API version. `statuses` are the names its list filter knows."""

    version: str
    check: Scheme
    place: Callable[[Mapping[str, str], Mapping[str, str]], Place]
    record: Callable[[Json, Options], Json]
    error: Callable[[Refusal, str], dict[str, str]]
    statuses: tuple[str, ...]
    tasks_key: str
    prefix_key: str
    mode_key: str
    id_header: str
    done: Json | None


def _place_in_path(params: Mapping[str, str], query: Mapping[str, str]) -> Place:
    service, dot, qualifier = params.get("service", "").partition(".")
    if dot and not qualifier:
        raise invalid(f"the service {service + dot!r} ends in a dot; leave it out or name a qualifier")
    return Place(service, params.get("function", ""), qualifier or LATEST)


def _place_with_query(params: Mapping[str, str], query: Mapping[str, str]) -> Place:
    return Place(params.get("service"), params.get("function", ""), query.get("qualifier") or LATEST)


def _record_2(record: Json, options: Options) -> Json:
    return record


_NAMES_3 = {
    "invocationId": "taskId",
    "invocationPayload": "taskPayload",
    "invocationErrorMessage": "taskErrorMessage",
}


def _record_3(record: Json, options: Options) -> Json:
    kept = {_NAMES_3.get(k, k): v for k, v in record.items() if k not in ("serviceName", "functionName")}
    return {"functionArn": function_arn(record["functionName"], options), **kept}


def function_arn(path: str, options: Options) -> str:
    """The resource name of a function, or of `NAME/QUALIFIER`."""
    return f"acs:fc:{REGION}:{options.account_id}:functions/{path}"


def _error_classic(refusal: Refusal, request_id: str) -> dict[str, str]:
    return {"ErrorCode": refusal.code, "ErrorMessage": refusal.message}


def _error_2(refusal: Refusal, request_id: str) -> dict[str, str]:
    return {"Code": refusal.code, "Message": refusal.message, "RequestId": request_id}


def _error_3(refusal: Refusal, request_id: str) -> dict[str, str]:
    code = refusal.code.replace("StatefulAsyncInvocation", "AsyncTask")
    return {"Code": code, "Message": refusal.message, "RequestId": request_id}


CLASSIC = Dialect(
    version="2016-08-15",
    check=check_fc,
    place=_place_in_path,
    record=_record_2,
    error=_error_classic,
    statuses=STATUSES,
    tasks_key="invocations",
    prefix_key="invocationIdPrefix",
    mode_key="statefulInvocation",
    id_header="x-fc-stateful-async-invocation-id",
    done=None,
)
OPEN = Dialect(
    version="2021-04-06",
    check=check_acs3,
    place=_place_with_query,
    record=_record_2,
    error=_error_2,
    # https://help.aliyun.com/zh/functioncompute/fc-2-0/developer-reference/api-fc-open-2021-04-06-struct-statefulasyncinvocation
    statuses=tuple(status for status in STATUSES if status != "Dequeued"),
    tasks_key="invocations",
    prefix_key="invocationIdPrefix",
    mode_key="statefulInvocation",
    id_header="x-fc-stateful-async-invocation-id",
    done={},
)
THREE = Dialect(
    version="2023-03-30",
    check=check_acs3,
    place=_place_with_query,
    record=_record_3,
    error=_error_3,
    statuses=STATUSES,
    tasks_key="tasks",
    prefix_key="prefix",
    mode_key="asyncTask",
    id_header="x-fc-async-task-id",
    done={},
)
DIALECTS = (CLASSIC, OPEN, THREE)


def dialect_of(path: str) -> Dialect:
    """The dialect whose version begins *path*; the classic one for everything else."""
    return next((d for d in DIALECTS if path.startswith(f"/{d.version}/")), CLASSIC)
