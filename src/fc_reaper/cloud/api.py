"""The API in its three versions, which differ in paths, names and signature: requests and answers.

2021-04-06: https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-stopstatefulasyncinvocation
2016-08-15: https://www.alibabacloud.com/help/zh/doc-detail/256589.htm
2023-03-30: https://help.aliyun.com/zh/functioncompute/developer-reference/api-fc-2023-03-30-stopasynctask
"""

import base64
import contextlib
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import timezone
from email.utils import formatdate, parsedate_to_datetime
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from fc_reaper.errors import EventRefused, InvalidName, SettingsError, shown
from fc_reaper.events.parser import NUMBERS
from fc_reaper.models import (
    FUNCTION_WITHOUT_SERVICE,
    INVOCATION_ID,
    QUALIFIER,
    SERVICE,
    Credentials,
    Function,
    Millis,
    Moment,
)

CLASSIC = "2016-08-15"  # the only version with the FC signature
OPEN = "2021-04-06"
WITHOUT_SERVICES = "2023-03-30"  # Function Compute 3.0

_ACS3, _STS = "ACS3-HMAC-SHA256", "2015-04-01"  # of the Security Token Service, whose requests have no path


class Names(NamedTuple):
    """What one generation of the API calls its operations, paths and fields.

    The operations on tasks are Stop, Get and List, followed by the name of a `task`. The defaults are those
    of FC 2.0, whose functions have a service.
    """

    task: str = "StatefulAsyncInvocation"
    collection: str = "stateful-async-invocations"
    stop_suffix: str = ""
    prefix: str = "invocationIdPrefix"
    tasks: str = "invocations"
    id_field: str = "invocationId"
    id_header: str = "x-fc-stateful-async-invocation-id"
    functions: str = "ListStatefulAsyncInvocationFunctions"
    functions_path: str = "stateful-async-invocation-functions"
    functions_key: str = "data"


STATEFUL = Names()
ASYNC_TASK = Names(
    task="AsyncTask",
    collection="async-tasks",
    stop_suffix="/stop",
    prefix="prefix",
    tasks="tasks",
    id_field="taskId",
    id_header="x-fc-async-task-id",
    functions="ListAsyncInvokeConfigs",
    functions_path="async-invoke-configs",
    functions_key="configs",
)  # of FC 3.0


def check_names(function: Function, invocation_id: str | None = None, id_prefix: str = "") -> None:
    """Raise InvalidName for a function, or an id of a task or its beginning, that no request may hold."""
    service, name, qualifier = function
    parts: list[tuple[re.Pattern[str], Any, str]] = [
        (SERVICE, "any" if service is None else service, "the name of a service"),
        (FUNCTION_WITHOUT_SERVICE if service is None else SERVICE, name, "the name of a function"),
        (QUALIFIER, qualifier, "a qualifier"),
        (INVOCATION_ID, "any" if invocation_id is None else invocation_id, "an invocation id"),
        (INVOCATION_ID, id_prefix or "any", "the beginning of an invocation id"),
    ]
    for pattern, text, what in parts:
        if not isinstance(text, str) or pattern.fullmatch(text) is None:
            rule = "at most 128 letters, digits, _ and - (the first of a name is a letter or _)"
            raise InvalidName(f"{shown(text)} cannot be {what}; use {rule}")


def generation(version: str, *, services: bool) -> tuple[Names, str]:
    """The names for functions with *services* or without, and their API version; *version* is that with.

    A SettingsError where the version knows no services.
    """
    if services and version == WITHOUT_SERVICES:
        what = "Function Compute 3.0 has no services; leave the service out of the target"
        raise SettingsError(f"{what}, or set REAPER_API_VERSION to {OPEN}")
    return (STATEFUL, version) if services else (ASYNC_TASK, WITHOUT_SERVICES)


def path_of(
    version: str, function: Function, invocation_id: str | None = None, id_prefix: str = ""
) -> tuple[Names, str, dict[str, str]]:
    """The names that go with a function, its escaped path or that of one of its tasks, and their query.

    InvalidName as `check_names` raises it, and a SettingsError where the version cannot name the function.
    """
    check_names(function, invocation_id, id_prefix)
    service, name, qualifier = function
    names, version = generation(version, services=service is not None)
    in_path = f".{qualifier}" if version == CLASSIC else ""
    query = {} if in_path else {"qualifier": qualifier}
    place = "" if service is None else f"services/{service}{in_path}/"
    path = f"/{version}/{place}functions/{quote(name)}"
    if invocation_id is not None:
        path = f"{path}/{names.collection}/{invocation_id}"
    if id_prefix:
        query[names.prefix] = id_prefix
    return names, path, query


class Request(NamedTuple):
    """What is signed: *path* and *query* as they are sent, *headers* with lower-case names."""

    operation: str
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""


def signed_headers(
    request: Request, credentials: Credentials, host: str, now: Millis, nonce: str
) -> tuple[dict[str, str], str]:
    """All headers of *request* for one attempt at the moment *now*, and the signature among them.

    https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
    """
    version = request.path.split("/", 2)[1] or _STS
    headers = {**request.headers, "host": host, "x-fc-date": formatdate(now / 1000, usegmt=True)}
    if version == CLASSIC:
        return _fc(request, {"content-type": "application/json", **headers}, credentials)
    payload_hash = hashlib.sha256(request.body).hexdigest()
    headers = {
        "accept": "application/json",
        **headers,
        "x-acs-action": request.operation,
        "x-acs-version": version,
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now / 1000)),
        "x-acs-signature-nonce": nonce,
        "x-acs-content-sha256": payload_hash,
    }
    if credentials.security_token:
        headers["x-acs-accesskey-id"] = credentials.access_key_id
        headers["x-acs-security-token"] = credentials.security_token
    names = sorted(headers)
    signed = ";".join(names)
    lines = "".join([f"{name}:{headers[name].strip()}\n" for name in names])
    canonical = "\n".join((request.method, request.path, request.query, lines, signed, payload_hash))
    to_sign = f"{_ACS3}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(credentials.access_key_secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={credentials.access_key_id},SignedHeaders={signed},Signature={signature}"
    return {**headers, "authorization": f"{_ACS3} {credential}"}, signature


def _fc(request: Request, headers: dict[str, str], credentials: Credentials) -> tuple[dict[str, str], str]:
    """The *headers* with an FC signature, which covers neither the query nor the body.

    https://www.alibabacloud.com/help/en/functioncompute/signature-authentication
    fc2 computes it as well, but writes what it signs, secrets included, into the root logger.
    """
    headers["date"] = headers["x-fc-date"]
    if credentials.security_token:
        headers["x-fc-security-token"] = credentials.security_token
    lines = [
        request.method,
        headers.get("content-md5", ""),
        headers["content-type"],
        headers["date"],
        *(f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-fc-")),
        unquote(request.path),
    ]
    key = credentials.access_key_secret.encode()
    signature = base64.b64encode(hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).digest()).decode()
    return {**headers, "authorization": f"FC {credentials.access_key_id}:{signature}"}, signature


class Answer(NamedTuple):
    """A whole answer; no text in it repeats a secret. `headers` are looked up without case, and raw.

    `value` is the body where it is a JSON object, else None; `too_large` says why it was not read, `text` is
    the body of an error. `date` is the server's clock, in whole seconds; ours where it sent no readable date.
    `request_id` is what the platform's support asks for.
    """

    status: int
    headers: Mapping[str, str]
    value: dict[str, Any] | None
    text: str
    moment: Moment
    date: Millis
    request_id: str
    too_large: str | None = None

    @classmethod
    def of(
        cls,
        status: int,
        headers: Mapping[str, str],
        body: bytes | bytearray,
        sent: Millis,
        received: Millis,
        secrets: Sequence[str] = (),
    ) -> "Answer":
        """An answer to a request that was *sent* and *received* at these moments of the local clock."""
        try:
            text = body.decode(json.detect_encoding(body))
        except UnicodeDecodeError:
            # A wrong charset spoils the message of an error, seldom its code.
            text = body.decode("utf-8", "replace") if status >= 300 else ""
        text = text if status < 300 else text[:_LONGEST_ERROR]
        text = redacted(text, secrets)
        request_id = redacted(headers.get("X-Fc-Request-Id") or "", secrets)
        too_large = oversized(text)
        try:
            value = json.loads(text, **NUMBERS) if too_large is None else None
        except (ValueError, RecursionError, EventRefused):
            value = None
        date = read_date(headers.get("Date"))
        if date is None:
            date, moment = received, Moment(sent, received, None)
        else:
            # The server wrote its date between the two, and cut it to whole seconds.
            skew = max(0, sent - 1000 - date, date - received)
            moment = Moment(min(sent, date), max(received, date + 1000), skew)
        value = value if isinstance(value, dict) else None
        text = text if status >= 300 else ""
        return cls(status, headers, value, text, moment, date, request_id, too_large)


LARGEST = 8 << 20  # bytes of a body, and of its text in memory, where one character may take four
LARGE = 1 << 18  # bytes, or characters, above which answers are read and parsed one after the other
_MOST_VALUES = 25_000  # 300 bytes each at worst; 100 records with 60 events each have fewer
_BLOCK = 1 << 16
_TOO_WIDE = "the text of the body takes more than 8 MiB of memory"
_LONGEST_ERROR = 1 << 14  # characters of the body of an error that are read


def oversized(text: str) -> str | None:
    """Why JSON *text* would take more memory than an answer may, None if it would not."""
    if text.__sizeof__() > LARGEST + 100:
        return _TOO_WIDE
    if len(text) > LARGEST // 4 or text.count(",") + text.count("[") + text.count("{") > _MOST_VALUES:
        bare = text.replace("\\\\", "").replace('\\"', "")
        width = 4 if re.search(r"\\u[dD][89abAB]", bare) else 2 if re.search(r"\\u(?!00)", bare) else 1
        if width * len(text) > LARGEST:
            return _TOO_WIDE
        # Each key and each text has two quotes.
        if bare.count('"') > 4 * _MOST_VALUES or _values(bare) > _MOST_VALUES:
            return f"the body holds more than {_MOST_VALUES:,} values"
    return None


def _values(bare: str) -> int:
    """How many values JSON holds at most; *bare* is its text without what a backslash escapes."""
    count = inside = 0
    for start in range(0, len(bare), _BLOCK):  # the pieces of all of it would take far more memory
        pieces = bare[start : start + _BLOCK].split('"')
        outside = "".join(pieces[inside::2])
        count += outside.count(",") + outside.count("[") + outside.count("{")
        inside ^= len(pieces) % 2 == 0
    return count


def redacted(text: str, secrets: Sequence[str]) -> str:
    """*text* without *secrets*; withheld as a whole if it still spells one in another way."""
    for secret in secrets:
        text = text.replace(secret, "***")
    plain = text
    if len(text) >= LARGE:
        return text  # of a page; no text of such a length is shown
    if "%" in text or "&" in text:
        from html import unescape  # hardly any answer needs it

        # Piece by piece, each with the next one: what unescaping makes takes fifty times the memory.
        pieces = (text[at : at + 2 * _LONGEST_ERROR] for at in range(0, len(text), _LONGEST_ERROR))
        plain = "".join(unescape(unquote(unescape(piece))) for piece in pieces)
    if "\\u00" in plain or "\\/" in plain:
        plain = re.sub(r"\\u00([0-7][0-9a-fA-F])", lambda escape: chr(int(escape[1], 16)), plain)
        plain = plain.replace("\\/", "/")
    spelt = plain is not text and any(secret in plain for secret in secrets)
    return "withheld: it repeats a secret" if spelt else text


def read_date(text: str | None) -> Millis | None:
    """Read an HTTP date as epoch milliseconds, None when it is not one. Without a zone it is GMT."""
    try:
        date = parsedate_to_datetime(text or "")
        return round((date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()) * 1000
    except (ValueError, IndexError, OverflowError, TypeError):
        return None


@cache
def return_memory() -> None:
    """Let what a large answer takes go back to the system: glibc would keep up to 64 MiB for each thread.

    -3 is M_MMAP_THRESHOLD: https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    import ctypes  # only a long text needs it

    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(-3, LARGE)
