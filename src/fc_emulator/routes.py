"""The whole served API on one page."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from fc_emulator import operations as op
from fc_emulator.api_versions import STS, V2016, V2021, V2023, ApiVersion
from fc_emulator.operations import Operation

_F = "/services/{service}/functions/{function}"

API_2: tuple[tuple[str, str, str, Operation], ...] = (
    ("PUT", f"{_F}/stateful-async-invocations/{{id}}", "StopStatefulAsyncInvocation", op.stop),
    ("GET", f"{_F}/stateful-async-invocations/{{id}}", "GetStatefulAsyncInvocation", op.get),
    ("GET", f"{_F}/stateful-async-invocations", "ListStatefulAsyncInvocations", op.list_tasks),
    ("GET", "/stateful-async-invocation-functions", "ListStatefulAsyncInvocationFunctions", op.list_modes),
    ("POST", f"{_F}/invocations", "InvokeFunction", op.invoke),
    ("PUT", f"{_F}/async-invoke-config", "PutFunctionAsyncInvokeConfig", op.put_async_config),
    ("GET", f"{_F}/async-invoke-config", "GetFunctionAsyncInvokeConfig", op.get_async_config),
    ("GET", "/services", "ListServices", op.list_services),
    ("GET", "/services/{service}", "GetService", op.get_service),
    ("GET", "/services/{service}/functions", "ListFunctions", op.list_functions),
    ("GET", _F, "GetFunction", op.get_function),
)
"""Of 2016-08-15, where {service} is `name` or `name.qualifier`, and 2021-04-06, with a query `qualifier`."""

API_3: tuple[tuple[str, str, str, Operation], ...] = (
    ("PUT", "/functions/{function}/async-tasks/{id}/stop", "StopAsyncTask", op.stop),
    ("GET", "/functions/{function}/async-tasks/{id}", "GetAsyncTask", op.get),
    ("GET", "/functions/{function}/async-tasks", "ListAsyncTasks", op.list_tasks),
    ("GET", "/async-invoke-configs", "ListAsyncInvokeConfigs", op.list_async_configs),
    ("POST", "/functions/{function}/invocations", "InvokeFunction", op.invoke),
    ("PUT", "/functions/{function}/async-invoke-config", "PutAsyncInvokeConfig", op.put_async_config),
    ("GET", "/functions/{function}/async-invoke-config", "GetAsyncInvokeConfig", op.get_async_config),
    ("GET", "/functions", "ListFunctions", op.list_functions),
    ("GET", "/functions/{function}", "GetFunction", op.get_function),
)
"""Of 2023-03-30, with `qualifier` in the query."""

NAMES_IN_3 = {
    "StopStatefulAsyncInvocation": "StopAsyncTask",
    "GetStatefulAsyncInvocation": "GetAsyncTask",
    "ListStatefulAsyncInvocations": "ListAsyncTasks",
    "ListStatefulAsyncInvocationFunctions": "ListAsyncInvokeConfigs",
    "PutFunctionAsyncInvokeConfig": "PutAsyncInvokeConfig",
    "GetFunctionAsyncInvokeConfig": "GetAsyncInvokeConfig",
}
"""Operations of 2.0 and their names in 3.0, where they differ."""

WHOSE_KEYS = "GetCallerIdentity"

OPERATIONS = frozenset((WHOSE_KEYS, *(name for _, _, name, _ in (*API_2, *API_3))))


class Route(NamedTuple):
    method: str
    pattern: re.Pattern[str]
    version: ApiVersion
    name: str
    operation: Operation


class Match(NamedTuple):
    route: Route
    params: dict[str, str]


def _compiled(version: ApiVersion, api: tuple[tuple[str, str, str, Operation], ...]) -> list[Route]:
    return [
        Route(method, _pattern(f"/{version.version}{path}"), version, name, operation)
        for method, path, name, operation in api
    ]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path))


ROUTES = [
    *(*_compiled(V2016, API_2), *_compiled(V2021, API_2), *_compiled(V2023, API_3)),
    *(Route(method, re.compile("/"), STS, WHOSE_KEYS, op.identify) for method in ("GET", "POST")),
]


def match(method: str, path: str) -> Match | None:
    """The route of a request, None when nothing is served there. *path* is as sent, still escaped."""
    for route in ROUTES:
        found = route.pattern.fullmatch(path) if route.method == method else None
        if found:
            return Match(route, {name: unquote(text) for name, text in found.groupdict().items()})
    return None
