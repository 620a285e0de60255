"""fc2's client with the operations that it lacks for asynchronous tasks, and its one seam replaced."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

import fc2
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout

from fc_reaper import __version__
from fc_reaper.clock import SYSTEM_CLOCK, Clock, Deadline, Retry
from fc_reaper.cloud.api import (
    CLASSIC,
    OPEN,
    WITHOUT_SERVICES,
    Answer,
    names_for,
    parse_endpoint,
    path_of,
    version_for,
)
from fc_reaper.cloud.errors import (
    CallFailed,
    closed,
    no_answer,
    out_of_time,
    refusal,
    secrets_of,
    unreadable,
)
from fc_reaper.cloud.records import json_object, read_functions_page, read_page, read_task
from fc_reaper.cloud.signing import Request, signed_headers
from fc_reaper.errors import SettingsError
from fc_reaper.models import Credentials, Function, FunctionsPage, Millis, Moment, Page, Snapshot
from fc_reaper.names import check_names

WITH_PAYLOAD = 25
"""Tasks a page with payloads of up to 128 KB each: many pages are in flight at once, and memory is small."""

_CHUNK = 1 << 16
_LARGEST_BODY = 64 << 20
"""A page of 100 tasks with 128 KB of payload each is a fifth of it."""


class _Turns(threading.local):
    waited = 0


class AsyncTaskClient(fc2.Client):  # type: ignore[misc]  # fc2 has no types
    """The asynchronous tasks of one account in one region. Safe for any number of threads.

    *endpoint* is https, except on loopback or with *insecure*. *api_version* is that for functions with a
    service, `2021-04-06` or `2016-08-15`; functions without one always use `2023-03-30`. *account_id* and
    *trace_id* are sent as headers. Time-outs are in seconds; *read_timeout* is the longest pause within an
    answer. At most *pool_size* connections are kept. Nothing is redirected or sent through a proxy, and no
    netrc is read.

    Before each attempt *rate_limiter* is called with the deadline, then *on_call* with the operation's name.
    *jitter* returns a number from 0 up to 1.

    Reads are retried until *deadline* (see `Retry`). A stop never is. fc2's own methods are not served: they
    check no names. Every method raises:
        CallFailed: a `CloudError` and a `fc2.FcError`: refused, not understood, or not answered.
        InvalidName: a name or id that the platform could not have given; nothing was sent.
        SettingsError: the API version cannot name the function; nothing was sent.

    Raises:
        SettingsError: the endpoint, the version, a key, the account or the trace id cannot be used.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        access_key_id: str,
        access_key_secret: str,
        security_token: str = "",
        account_id: str | None = None,
        api_version: str = OPEN,
        trace_id: str | None = None,
        insecure: bool = False,
        connect_timeout: float = 3.0,
        read_timeout: float = 10.0,
        pool_size: int = 16,
        clock: Clock = SYSTEM_CLOCK,
        jitter: Callable[[], float] = random.random,
        rate_limiter: Callable[[Deadline | None], None] = lambda _deadline: None,
        on_call: Callable[[str], None] = lambda _operation: None,
    ) -> None:
        where = parse_endpoint(endpoint, insecure=insecure)
        if not access_key_id.strip() or not access_key_secret.strip():
            names = "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET"
            raise SettingsError(f"there are no credentials; set {names}")
        self._credentials = Credentials(
            access_key_id=_printable(access_key_id, "the access key id"),
            access_key_secret=_printable(access_key_secret, "the access key secret"),
            security_token=_printable(security_token, "the security token"),
        )
        super().__init__(endpoint=where.url, accessKeyID=access_key_id, accessKeySecret=access_key_secret)
        if api_version not in (CLASSIC, OPEN, WITHOUT_SERVICES):
            raise SettingsError(
                f"the API version {api_version!r} is not known; set REAPER_API_VERSION to {OPEN} or {CLASSIC}"
            )
        self._version = api_version
        if where.scheme == "http":
            self._pool = HTTPConnectionPool(where.host, where.port, maxsize=pool_size)
        else:
            self._pool = HTTPSConnectionPool(
                where.host,
                where.port,
                maxsize=pool_size,
                cert_reqs="CERT_REQUIRED",
                ca_certs=DEFAULT_CA_BUNDLE_PATH,
            )
        self._timeouts = {"connect": connect_timeout, "read": read_timeout}
        self._headers = {"user-agent": f"fc-reaper/{__version__} {self.user_agent}"}
        for name, value in (("x-fc-account-id", account_id), ("x-fc-trace-id", trace_id)):
            if value:
                self._headers[name] = _printable(value, f"the header {name}")
        self._clock, self._rate_limiter, self._on_call = clock, rate_limiter, on_call
        self._retry = Retry(clock, jitter, self._check_open)
        self._closed = False
        self._lock = threading.Lock()
        self._turns = _Turns()
        self.skew_ms: Millis = 0
        """The largest difference seen for certain between the local clock and the answers' `Date`."""

    def stop(self, function: Function, invocation_id: str, *, deadline: Deadline | None = None) -> Moment:
        """Request once that a task be stopped, and return the moment of the answer.

        Returning means accepted, not stopped. After an error only the task's own status says whether
        the request took effect: read it before sending another.
        https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-stopstatefulasyncinvocation
        """
        names = names_for(services=function.service is not None)
        path, query = path_of(self._version, function, invocation_id)
        path += names.stop_suffix
        return self._do_request("PUT", path, {}, query, operation=names.stop, deadline=deadline).moment

    def get(self, function: Function, invocation_id: str, *, deadline: Deadline | None = None) -> Snapshot:
        """Read one task. A record about something else is returned with an `inconsistency`."""
        names = names_for(services=function.service is not None)
        answer = self._read(names.get, *path_of(self._version, function, invocation_id), deadline)
        return Snapshot(read_task(function, json_object(answer), invocation_id), answer.moment)

    def list_page(
        self,
        function: Function,
        *,
        status: str | None = None,
        started_before: Millis | None = None,
        started_after: Millis | None = None,
        id_prefix: str = "",
        token: str | None = None,
        include_payload: bool = False,
        deadline: Deadline | None = None,
    ) -> Page:
        """List one page of tasks, those with the oldest `startedTime` first.

        *status* is one status name, None for all. *started_after* and *started_before* are sent as
        `startedTimeBegin` and `startedTimeEnd`; whether a bound is itself inside is not documented. A page
        holds 100 tasks, 25 with payloads. Absence from a list proves nothing: it lags some seconds behind.
        """
        names = names_for(services=function.service is not None)
        path, query = path_of(self._version, function, id_prefix=id_prefix)
        query |= {
            "limit": str(WITH_PAYLOAD if include_payload else 100),
            "sortOrderByTime": "asc",
            "includePayload": "true" if include_payload else "false",
        }
        if token:
            query["nextToken"] = token
        if status is not None:
            query["status"] = status
        if started_before is not None:
            query["startedTimeEnd"] = str(started_before)
        if started_after is not None:
            query["startedTimeBegin"] = str(started_after)
        return read_page(
            function, self._read(names.list, f"{path}/{names.collection}", query, deadline), token
        )

    def functions_page(
        self, *, services: bool, token: str | None = None, deadline: Deadline | None = None
    ) -> FunctionsPage:
        """List one page of the functions in task mode: those with a service, or those of FC 3.0.

        FC 3.0 has no such list; its asynchronous configurations say the same.
        """
        names = names_for(services=services)
        path = f"/{version_for(self._version, services=services)}/{names.functions_path}"
        query = {"limit": "100", **({"nextToken": token} if token else {})}
        answer = self._read(names.functions, path, query, deadline)
        return read_functions_page(answer, token, services=services)

    def invoke_async(
        self,
        function: Function,
        payload: bytes,
        *,
        invocation_id: str | None = None,
        deadline: Deadline | None = None,
    ) -> str:
        """Submit a task, and return its request id.

        It is retried only with an *invocation_id*, since the platform refuses a second task of that id. If
        such a refusal follows an unclear attempt, that attempt had worked, and its request id is unknown: an
        empty text is returned.
        """
        check_names(function, invocation_id)
        path, query = path_of(self._version, function)
        headers = {"content-type": "application/octet-stream", "x-fc-invocation-type": "Async"}
        if invocation_id is not None:
            headers[names_for(services=function.service is not None).id_header] = invocation_id
        send = partial(self._do_request, "POST", f"{path}/invocations", headers, query, payload)
        unclear = False

        def attempt() -> str:
            nonlocal unclear
            try:
                answer = send(operation="InvokeFunction", deadline=deadline)
            except CallFailed as error:
                if unclear and error.http_status == 409:
                    return ""
                unclear = unclear or error.unclear
                raise
            if answer.status != 202:
                why = "this is no answer to an asynchronous invocation (202); it may have run"
                raise unreadable(answer, why)
            return answer.request_id or ""

        return attempt() if invocation_id is None else self._retry(attempt, deadline)

    def close(self) -> None:
        """Let the kept connections go. Every later call fails at once with the code `Aborted`.

        A call under way ends with its answer or its time-out; it is not retried.
        """
        self._closed = True
        self._pool.close()

    def take_turns(self, calls: int, deadline: Deadline | None) -> None:
        """Wait for the turns of the next *calls* calls of this thread, so that they follow at once.

        What was not used stays for the calls after them.
        """
        while self._turns.waited < calls:
            self._rate_limiter(deadline)
            self._turns.waited += 1

    def _read(self, operation: str, path: str, query: Mapping[str, str], deadline: Deadline | None) -> Answer:
        """Send a request that changes nothing, again after a passing error (see `Retry`)."""
        call = partial(self._do_request, "GET", path, {}, query, operation=operation, deadline=deadline)
        return self._retry(call, deadline)

    def _do_request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        params: Mapping[str, str] = {},  # never changed
        body: bytes = b"",
        *,
        operation: str,
        deadline: Deadline | None = None,
    ) -> Answer:
        """Send one request, signed for this moment, and read its answer. Every request passes here.

        *path* is escaped. *operation* is the name that is signed and counted. Nothing is begun at *deadline*.

        Raises:
            CallFailed: no whole answer, or one outside 200..299.
        """
        self.take_turns(1, deadline)
        self._turns.waited -= 1
        self._check_open()
        left = None if deadline is None else deadline - self._clock.monotonic()
        if left is not None and left <= 0:
            raise out_of_time(operation)
        self._on_call(operation)
        sent = self._clock.now()
        # Only letters, digits and `_.-~` stay unescaped in a query.
        query = urlencode(sorted(params.items()), safe="~", quote_via=quote)
        request = Request(operation, method, path, query, {**self._headers, **headers}, body)
        signed = signed_headers(request, self._credentials, self.host, sent, uuid.uuid4().hex)
        try:
            response = self._pool.urlopen(
                method=method,
                url=f"{path}?{query}" if query else path,
                body=body or None,
                headers=signed,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=Timeout(left, **self._timeouts),
                preload_content=False,
            )
            whole = _body(response)
        except CallFailed:
            raise
        except Exception as fault:  # urllib3, http.client and what parses numbers raise all kinds
            raise closed(unclear=method != "GET") if self._closed else no_answer(fault) from None
        answer = Answer.of(response.status, response.headers, whole, sent, self._clock.now())
        skew = answer.moment.skew or 0
        if skew > self.skew_ms:
            with self._lock:
                self.skew_ms = max(self.skew_ms, skew)
        if not 200 <= answer.status < 300:
            raise refusal(answer, secrets_of(signed, self._credentials))
        return answer

    def _build_common_headers(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse: fc2's own methods begin with this call, and they escape and check nothing."""
        raise NotImplementedError("this client serves asynchronous tasks only; use fc2.Client for the rest")

    def _check_open(self) -> None:
        if self._closed:
            raise closed()


def _body(response: Any) -> bytes:
    """Read the body within its bound. The connection is kept only after the whole of it."""
    try:
        body = bytearray()
        while chunk := response.read(_CHUNK):
            body += chunk
            if len(body) > _LARGEST_BODY:
                why = "the body is larger than 64 MiB"
                raise CallFailed(
                    why, http_status=response.status, error_code="UnreadableAnswer", unclear=True
                )
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return bytes(body)


def _printable(text: str, what: str) -> str:
    text = text.strip()
    if not text.isascii() or not text.isprintable():
        # The text is not repeated: it may be a secret.
        raise SettingsError(f"{what} holds a line break or a character outside ASCII; copy it again")
    return text
