"""The whole served API on one page."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from fc_emulator import operations as does
from fc_emulator.dialects import CLASSIC, OPEN, THREE, Dialect
from fc_emulator.operations import Operation

_F = "/services/{service}/functions/{function}"

API_2: tuple[tuple[str, str, str, Operation], ...] = (
    ("PUT", f"{_F}/stateful-async-invocations/{{id}}", "StopStatefulAsyncInvocation", does.stop),
    ("GET", f"{_F}/stateful-async-invocations/{{id}}", "GetStatefulAsyncInvocation", does.get),
    ("GET", f"{_F}/stateful-async-invocations", "ListStatefulAsyncInvocations", does.list_tasks),
    ("GET", "/stateful-async-invocation-functions", "ListStatefulAsyncInvocationFunctions", does.list_modes),
    ("POST", f"{_F}/invocations", "InvokeFunction", does.invoke),
    ("PUT", f"{_F}/async-invoke-config", "PutFunctionAsyncInvokeConfig", does.put_config),
    ("GET", f"{_F}/async-invoke-config", "GetFunctionAsyncInvokeConfig", does.get_config),
    ("GET", "/services", "ListServices", does.list_services),
    ("GET", "/services/{service}", "GetService", does.get_service),
    ("GET", "/services/{service}/functions", "ListFunctions", does.list_functions),
    ("GET", _F, "GetFunction", does.get_function),
)
"""Of 2016-08-15, where {service} is `name` or `name.qualifier`, and 2021-04-06, with a query `qualifier`."""

API_3: tuple[tuple[str, str, str, Operation], ...] = (
    ("PUT", "/functions/{function}/async-tasks/{id}/stop", "StopAsyncTask", does.stop),
    ("GET", "/functions/{function}/async-tasks/{id}", "GetAsyncTask", does.get),
    ("GET", "/functions/{function}/async-tasks", "ListAsyncTasks", does.list_tasks),
    ("GET", "/async-invoke-configs", "ListAsyncInvokeConfigs", does.list_async_configs),
    ("POST", "/functions/{function}/invocations", "InvokeFunction", does.invoke),
    ("PUT", "/functions/{function}/async-invoke-config", "PutAsyncInvokeConfig", does.put_config),
    ("GET", "/functions/{function}/async-invoke-config", "GetAsyncInvokeConfig", does.get_config),
    ("GET", "/functions", "ListFunctions", does.list_functions),
    ("GET", "/functions/{function}", "GetFunction", does.get_function),
)
"""Of 2023-03-30, with `qualifier` in the query."""

TWINS = {
    "StopStatefulAsyncInvocation": "StopAsyncTask",
    "GetStatefulAsyncInvocation": "GetAsyncTask",
    "ListStatefulAsyncInvocations": "ListAsyncTasks",
    "ListStatefulAsyncInvocationFunctions": "ListAsyncInvokeConfigs",
    "PutFunctionAsyncInvokeConfig": "PutAsyncInvokeConfig",
    "GetFunctionAsyncInvokeConfig": "GetAsyncInvokeConfig",
}
"""Operations of 2.0 and what 3.0 calls them, where the names differ."""

OPERATIONS = frozenset(name for _, _, name, _ in (*API_2, *API_3))


class Route(NamedTuple):
    method: str
    pattern: re.Pattern[str]
    dialect: Dialect
    name: str
    operation: Operation


class Match(NamedTuple):
    route: Route
    params: dict[str, str]


def _compiled(dialect: Dialect, api: tuple[tuple[str, str, str, Operation], ...]) -> list[Route]:
    return [
        Route(method, _pattern(f"/{dialect.version}{path}"), dialect, name, operation)
        for method, path, name, operation in api
    ]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path))


ROUTES = [*_compiled(CLASSIC, API_2), *_compiled(OPEN, API_2), *_compiled(THREE, API_3)]


def match(method: str, path: str) -> Match | None:
    """The route of a request, its *path* as sent, still escaped; None when nothing is served there."""
    for route in ROUTES:
        found = route.pattern.fullmatch(path) if route.method == method else None
        if found:
            return Match(route, {name: unquote(text) for name, text in found.groupdict().items()})
    return None
