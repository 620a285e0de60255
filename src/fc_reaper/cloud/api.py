"""Requests and answers in the three versions of the API: paths, names, and where the qualifier goes.

2021-04-06: https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-stopstatefulasyncinvocation
2016-08-15: https://www.alibabacloud.com/help/zh/doc-detail/256589.htm
2023-03-30: https://help.aliyun.com/zh/functioncompute/developer-reference/api-fc-2023-03-30-stopasynctask
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_tz
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from fc_reaper.errors import SettingsError
from fc_reaper.models import Function, Millis
from fc_reaper.names import check_function, check_invocation_id

CLASSIC = "2016-08-15"
"""The only version with the FC signature."""
OPEN = "2021-04-06"
WITHOUT_SERVICES = "2023-03-30"
"""Function Compute 3.0."""

Query = tuple[tuple[str, str], ...]
"""Sorted pairs, not yet escaped."""


class Request(NamedTuple):
    """One operation before it is signed: what stays the same from one attempt to the next.

    `path` is escaped and without a query. `headers` have lower-case names.
    """

    operation: str
    method: str
    path: str
    query: Query = ()
    headers: Mapping[str, str] = {}
    body: bytes = b""

    @property
    def version(self) -> str:
        """The API version, the first segment of the path; it decides the signature."""
        return self.path.split("/", 2)[1]

    @property
    def target(self) -> str:
        """Path and query as they are sent: only letters, digits and `_.-~` stay unescaped in the query."""
        query = "&".join(f"{quote(key, safe='~')}={quote(value, safe='~')}" for key, value in self.query)
        return f"{self.path}?{query}" if query else self.path


class Answer(NamedTuple):
    """A whole answer. `headers` are looked up without case; `sent` and `received` are of the local clock."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent: Millis
    received: Millis

    @property
    def date(self) -> Millis | None:
        """The server's clock in whole seconds, None when it sent no readable date."""
        return read_date(self.headers.get("Date"))

    @property
    def moment(self) -> Millis:
        """The moment at which the answer is evaluated: the earlier clock, so that no age is too old."""
        date = self.date
        return self.sent if date is None else min(self.sent, date)

    @property
    def skew(self) -> Millis:
        """How far the clocks are apart for certain, never negative.

        The server wrote its date between `sent` and `received`, and cut it to whole seconds.
        """
        date = self.date
        return 0 if date is None else max(0, self.sent - 1000 - date, date - self.received)

    @property
    def request_id(self) -> str | None:
        """The id that the platform's support asks for."""
        return self.headers.get("X-Fc-Request-Id") or None


@lru_cache(maxsize=64)
def read_date(text: str | None) -> Millis | None:
    """Read an HTTP date as epoch milliseconds, None when it is not one. Without a zone it is GMT."""
    try:
        parsed = parsedate_tz(text or "")
        if parsed is None:
            return None
        zone = timezone(timedelta(seconds=parsed[9] or 0))
        return round(datetime(*parsed[:6], tzinfo=zone).timestamp()) * 1000
    except (ValueError, IndexError, OverflowError, TypeError):
        return None


class Names(NamedTuple):
    """What one generation of the API calls its operations, paths and fields."""

    stop: str
    get: str
    list: str
    functions: str
    functions_path: str
    collection: str
    stop_suffix: str
    prefix: str
    tasks: str
    id_field: str
    id_header: str


_STATEFUL = Names(
    stop="StopStatefulAsyncInvocation",
    get="GetStatefulAsyncInvocation",
    list="ListStatefulAsyncInvocations",
    functions="ListStatefulAsyncInvocationFunctions",
    functions_path="stateful-async-invocation-functions",
    collection="stateful-async-invocations",
    stop_suffix="",
    prefix="invocationIdPrefix",
    tasks="invocations",
    id_field="invocationId",
    id_header="x-fc-stateful-async-invocation-id",
)
_ASYNC_TASK = Names(
    stop="StopAsyncTask",
    get="GetAsyncTask",
    list="ListAsyncTasks",
    functions="ListAsyncInvokeConfigs",
    functions_path="async-invoke-configs",
    collection="async-tasks",
    stop_suffix="/stop",
    prefix="prefix",
    tasks="tasks",
    id_field="taskId",
    id_header="x-fc-async-task-id",
)


def names_for(function: Function) -> Names:
    """The names for a function of FC 2.0, or of FC 3.0, which has no services."""
    return _ASYNC_TASK if function.service is None else _STATEFUL


class Api:
    """Builds requests. *version* is that for functions with a service; the others use 2023-03-30.

    Raises:
        SettingsError: the version is unknown; or, when a request is built, it is 2023-03-30 and the function
            has a service.
        InvalidName: when a request is built with a name or an id that must not enter a path.
    """

    def __init__(self, version: str) -> None:
        if version not in (CLASSIC, OPEN, WITHOUT_SERVICES):
            raise SettingsError(
                f"the API version {version!r} is not known; set REAPER_API_VERSION to {OPEN} or {CLASSIC}"
            )
        self._version = version

    def stop(self, function: Function, invocation_id: str) -> Request:
        path, query = self._task(function, invocation_id)
        names = names_for(function)
        return Request(names.stop, "PUT", path + names.stop_suffix, query)

    def get(self, function: Function, invocation_id: str) -> Request:
        path, query = self._task(function, invocation_id)
        return Request(names_for(function).get, "GET", path, query)

    def list(self, function: Function, filters: Mapping[str, str]) -> Request:
        path, query = self._function(function)
        names = names_for(function)
        query = tuple(sorted((*query, *filters.items())))
        return Request(names.list, "GET", f"{path}/{names.collection}", query)

    def functions(self, *, services: bool, page: Mapping[str, str]) -> Request:
        names = _STATEFUL if services else _ASYNC_TASK
        path = f"/{self._version_for(services)}/{names.functions_path}"
        return Request(names.functions, "GET", path, tuple(sorted(page.items())))

    def invoke_async(self, function: Function, payload: bytes, invocation_id: str | None) -> Request:
        path, query = self._function(function)
        headers = {"content-type": "application/octet-stream", "x-fc-invocation-type": "Async"}
        if invocation_id is not None:
            check_invocation_id(invocation_id)
            headers[names_for(function).id_header] = invocation_id
        return Request("InvokeFunction", "POST", f"{path}/invocations", query, headers, payload)

    def _task(self, function: Function, invocation_id: str) -> tuple[str, Query]:
        check_invocation_id(invocation_id)
        path, query = self._function(function)
        return f"{path}/{names_for(function).collection}/{invocation_id}", query

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
