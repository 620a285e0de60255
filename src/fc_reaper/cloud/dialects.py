"""One operation in three dialects: paths, names and where the qualifier goes.

2021-04-06: https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-stopstatefulasyncinvocation
2016-08-15: https://www.alibabacloud.com/help/zh/doc-detail/256589.htm
2023-03-30: https://help.aliyun.com/zh/functioncompute/developer-reference/api-fc-2023-03-30-stopasynctask
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from fc_reaper.cloud.request import CLASSIC, OPEN, VERSIONS, WITHOUT_SERVICES, Query, Request
from fc_reaper.errors import SettingsError
from fc_reaper.models import Function
from fc_reaper.names import check_function, check_invocation_id


class Words(NamedTuple):
    """What one generation of the API calls things."""

    stop: str
    get: str
    list: str
    functions: str
    functions_path: str
    collection: str
    stop_suffix: str
    prefix: str
    tasks: str
    id_header: str


_STATEFUL = Words(
    stop="StopStatefulAsyncInvocation",
    get="GetStatefulAsyncInvocation",
    list="ListStatefulAsyncInvocations",
    functions="ListStatefulAsyncInvocationFunctions",
    functions_path="stateful-async-invocation-functions",
    collection="stateful-async-invocations",
    stop_suffix="",
    prefix="invocationIdPrefix",
    tasks="invocations",
    id_header="x-fc-stateful-async-invocation-id",
)
_ASYNC_TASK = Words(
    stop="StopAsyncTask",
    get="GetAsyncTask",
    list="ListAsyncTasks",
    functions="ListAsyncInvokeConfigs",
    functions_path="async-invoke-configs",
    collection="async-tasks",
    stop_suffix="/stop",
    prefix="prefix",
    tasks="tasks",
    id_header="x-fc-async-task-id",
)


def words(function: Function) -> Words:
    """The words for a function of Function Compute 2.0, or of 3.0, which has no services."""
    return _ASYNC_TASK if function.service is None else _STATEFUL


class Dialects:
    """Builds requests. *version* is the API version for functions that have a service.

    Raises:
        SettingsError: the version is none of 2021-04-06, 2016-08-15 and 2023-03-30; or, when a request
            is built, it is 2023-03-30 and the function has a service.
        InvalidName: when a request is built with a name or an id that must not enter a path.
    """

    def __init__(self, version: str) -> None:
        if version not in VERSIONS:
            raise SettingsError(
                f"the API version {version!r} is not known; set REAPER_API_VERSION to {OPEN} or {CLASSIC}"
            )
        self._version = version

    def stop(self, function: Function, invocation_id: str) -> Request:
        path, query = self._task(function, invocation_id)
        speak = words(function)
        return Request(speak.stop, "PUT", path + speak.stop_suffix, query)

    def get(self, function: Function, invocation_id: str) -> Request:
        path, query = self._task(function, invocation_id)
        return Request(words(function).get, "GET", path, query)

    def list(self, function: Function, filters: Mapping[str, str]) -> Request:
        path, query = self._function(function)
        speak = words(function)
        return Request(speak.list, "GET", f"{path}/{speak.collection}", _query(query, filters))

    def functions(self, *, services: bool, page: Mapping[str, str]) -> Request:
        speak = _STATEFUL if services else _ASYNC_TASK
        path = f"/{self._version_for(services)}/{speak.functions_path}"
        return Request(speak.functions, "GET", path, _query((), page))

    def invoke_async(self, function: Function, payload: bytes, invocation_id: str | None) -> Request:
        path, query = self._function(function)
        headers = {"content-type": "application/octet-stream", "x-fc-invocation-type": "Async"}
        if invocation_id is not None:
            check_invocation_id(invocation_id)
            headers[words(function).id_header] = invocation_id
        return Request("InvokeFunction", "POST", f"{path}/invocations", query, headers, payload)

    def _task(self, function: Function, invocation_id: str) -> tuple[str, Query]:
        check_invocation_id(invocation_id)
        path, query = self._function(function)
        return f"{path}/{words(function).collection}/{invocation_id}", query

    def _function(self, function: Function) -> tuple[str, Query]:
        check_function(function)
        version = self._version_for(function.service is not None)
        by_query = (("qualifier", function.qualifier),)
        if function.service is None:
            return f"/{version}/functions/{quote(function.name)}", by_query
        if version == CLASSIC:
            service = f"{function.service}.{function.qualifier}"
            return f"/{version}/services/{service}/functions/{function.name}", ()
        return f"/{version}/services/{function.service}/functions/{function.name}", by_query

    def _version_for(self, has_service: bool) -> str:
        if not has_service:
            return WITHOUT_SERVICES
        if self._version == WITHOUT_SERVICES:
            raise SettingsError(
                "Function Compute 3.0 has no services; leave the service out of the target, "
                f"or set REAPER_API_VERSION to {OPEN}"
            )
        return self._version


def _query(query: Query, more: Mapping[str, str]) -> Query:
    return tuple(sorted((*query, *more.items())))
