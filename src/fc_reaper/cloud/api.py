"""The API in its three versions: endpoints, paths and names, and the answers.

2021-04-06: https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-stopstatefulasyncinvocation
2016-08-15: https://www.alibabacloud.com/help/zh/doc-detail/256589.htm
2023-03-30: https://help.aliyun.com/zh/functioncompute/developer-reference/api-fc-2023-03-30-stopasynctask
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_tz
from typing import NamedTuple
from urllib.parse import quote

from fc_reaper.errors import SettingsError
from fc_reaper.models import Function, Millis, Moment
from fc_reaper.names import check_names

CLASSIC = "2016-08-15"
"""The only version with the FC signature."""
OPEN = "2021-04-06"
WITHOUT_SERVICES = "2023-03-30"
"""Function Compute 3.0."""

_SHAPE = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>\d+))?/*"
)
_LOOPBACK = re.compile(r"localhost|\[::1\]|127(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_GOOD = "write https://ACCOUNT.REGION.fc.aliyuncs.com"


class Endpoint(NamedTuple):
    """A scheme, a host in lower case (IPv6 in brackets) and a port. There is never a path.

    `url` is all of it as one text, with the port only where it is not the usual one.
    """

    scheme: str
    host: str
    port: int
    url: str


def parse_endpoint(text: str, *, insecure: bool = False) -> Endpoint:
    """Read an endpoint; without a scheme it is https.

    Plain http is for loopback (127.0.0.0/8, ::1, localhost), elsewhere only with *insecure*:
    the security token is sent in a header.
    https://www.alibabacloud.com/help/en/functioncompute/fc-2-0/developer-reference/endpoints

    Raises:
        SettingsError: it is no endpoint, or holds a path, a query, a user or a password.
    """
    # The text is not repeated in these errors: it may hold a password.
    if "@" in text:
        raise SettingsError(f"the endpoint must not hold a user or a password; {_GOOD}")
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise SettingsError(f"the endpoint must be a host, perhaps with a port, and nothing after; {_GOOD}")
    scheme, host = (match["scheme"] or "https").lower(), match["host"].lower()
    if match["scheme"] is None and _LOOPBACK.fullmatch(host):
        raise SettingsError(f"the endpoint has no scheme; write http://{text.strip()}")
    if scheme not in _DEFAULT_PORTS:
        raise SettingsError(f"the endpoint's scheme {scheme!r} is neither https nor http; {_GOOD}")
    port = int((match["port"] or str(_DEFAULT_PORTS[scheme]))[:6])
    if not 1 <= port <= 65535:
        raise SettingsError("the endpoint's port is not within 1..65535; leave it out for the usual one")
    url = f"{scheme}://{host}" + ("" if port == _DEFAULT_PORTS[scheme] else f":{port}")
    if scheme == "http" and not insecure and not _LOOPBACK.fullmatch(host):
        raise SettingsError(
            f"the endpoint {url} would send credentials in clear; "
            "write https://, or allow it by REAPER_INSECURE=true"
        )
    return Endpoint(scheme, host, port, url)


def account_endpoint(account_id: str, region: str) -> str:
    """The public endpoint of one account in one region.

    Raises:
        SettingsError: the account id is not a number, or the region is no region's name.
    """
    if not re.fullmatch(r"[0-9]+", account_id):
        raise SettingsError(f"{account_id!r} is no account id; set FC_ACCOUNT_ID, or REAPER_ENDPOINT instead")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", region):
        raise SettingsError(f"the region {region!r} is no region; write one like cn-hangzhou in FC_REGION")
    return f"https://{account_id}.{region}.fc.aliyuncs.com"


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


def names_for(*, services: bool) -> Names:
    """The names for functions of FC 2.0, which have a service, or of FC 3.0."""
    return _STATEFUL if services else _ASYNC_TASK


def version_for(version: str, *, services: bool) -> str:
    """The version for functions with a service, which is *version*, or for those without.

    Raises:
        SettingsError: *version* knows no services.
    """
    if services and version == WITHOUT_SERVICES:
        raise SettingsError(
            "Function Compute 3.0 has no services; leave the service out of the target, "
            f"or set REAPER_API_VERSION to {OPEN}"
        )
    return version if services else WITHOUT_SERVICES


def path_of(
    version: str, function: Function, invocation_id: str | None = None, id_prefix: str = ""
) -> tuple[str, dict[str, str]]:
    """The escaped path of a function, or of one of its tasks, and the query that belongs to it.

    *version* is that for functions with a service.

    Raises:
        InvalidName: the platform could not have given one of the names.
        SettingsError: the version cannot name the function.
    """
    check_names(function, invocation_id, id_prefix)
    service, name, qualifier = function
    version = version_for(version, services=service is not None)
    query = {"qualifier": qualifier}
    if service is None:
        path = f"/{version}/functions/{quote(name)}"
    elif version == CLASSIC:
        path, query = f"/{version}/services/{service}.{qualifier}/functions/{name}", {}
    else:
        path = f"/{version}/services/{service}/functions/{name}"
    names = names_for(services=service is not None)
    if invocation_id is not None:
        path = f"{path}/{names.collection}/{invocation_id}"
    if id_prefix:
        query[names.prefix] = id_prefix
    return path, query


class Answer(NamedTuple):
    """A whole answer. `headers` are looked up without case.

    `date` is the server's clock, in whole seconds; ours where it sent no readable date. `request_id` is what
    the platform's support asks for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    moment: Moment
    date: Millis
    request_id: str | None

    @classmethod
    def of(
        cls, status: int, headers: Mapping[str, str], body: bytes, sent: Millis, received: Millis
    ) -> Answer:
        """An answer to a request that was *sent* and *received* at these moments of the local clock."""
        date, request_id = read_date(headers.get("Date")), headers.get("X-Fc-Request-Id") or None
        if date is None:
            return cls(status, headers, body, Moment(sent, received, None), received, request_id)
        # The server wrote its date between the two, and cut it to whole seconds.
        skew = max(0, sent - 1000 - date, date - received)
        moment = Moment(min(sent, date), max(received, date + 1000), skew)
        return cls(status, headers, body, moment, date, request_id)


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
