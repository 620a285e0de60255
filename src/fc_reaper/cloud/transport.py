"""fc2's client with its one seam replaced, so that every request is sent and every answer read here."""

from __future__ import annotations

import random
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import fc2
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout

from fc_reaper import __version__
from fc_reaper.clock import SYSTEM_CLOCK, Clock, Deadline, Retry
from fc_reaper.cloud.api import Answer, Api, Query, Request
from fc_reaper.cloud.errors import (
    HTTP_FAULTS,
    CallFailed,
    closed,
    no_answer,
    out_of_time,
    refusal,
    secrets_of,
)
from fc_reaper.cloud.signing import signed_headers
from fc_reaper.errors import SettingsError
from fc_reaper.models import Credentials, Millis

_CHUNK = 1 << 16
_LARGEST_BODY = 64 << 20
"""A page of 100 tasks with 128 KB of payload each is a fifth of it."""

_SHAPE = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>\d+))?/*"
)
_LOOPBACK = re.compile(r"localhost|\[::1\]|127(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_GOOD = "write https://ACCOUNT.REGION.fc.aliyuncs.com"


class Endpoint(NamedTuple):
    """A scheme, a host in lower case (IPv6 in brackets) and a port. There is never a path."""

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """The endpoint as one text, with the port only where it is not the usual one."""
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


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
    scheme = (match["scheme"] or "https").lower()
    if scheme not in _DEFAULT_PORTS:
        raise SettingsError(f"the endpoint's scheme {scheme!r} is neither https nor http; {_GOOD}")
    port = int((match["port"] or str(_DEFAULT_PORTS[scheme]))[:6])
    if not 1 <= port <= 65535:
        raise SettingsError("the endpoint's port is not within 1..65535; leave it out for the usual one")
    endpoint = Endpoint(scheme, match["host"].lower(), port)
    if scheme == "http" and not insecure and not _LOOPBACK.fullmatch(endpoint.host):
        raise SettingsError(
            f"the endpoint {endpoint.url} would send credentials in clear; "
            "write https://, or allow it by REAPER_INSECURE=true"
        )
    return endpoint


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


class Transport(fc2.Client):  # type: ignore[misc]  # fc2 has no types
    """Signs, sends, reads and retries; knows nothing of tasks. Safe for any number of threads.

    *endpoint* is https, except on loopback or with *insecure*. *api_version* is that for functions with a
    service, `2021-04-06` or `2016-08-15`; functions without one always use `2023-03-30`. *account_id* and
    *trace_id* are sent as headers. Time-outs are in seconds; *read_timeout* is the longest pause within an
    answer. At most *pool_size* connections are kept. Nothing is redirected or sent through a proxy, and no
    netrc is read.

    Before each attempt *rate_limiter* is called with the deadline, then *on_call* with the operation's name.
    *jitter* returns a number from 0 up to 1.

    fc2's own methods are not served: they check no names.

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
        api_version: str = "2021-04-06",
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
        self._credentials = _checked(access_key_id, access_key_secret, security_token)
        super().__init__(endpoint=where.url, accessKeyID=access_key_id, accessKeySecret=access_key_secret)
        self._api = Api(api_version)
        self._pool = _pool(where, pool_size)
        self._timeouts = {"connect": connect_timeout, "read": read_timeout}
        self._headers = {"user-agent": f"fc-reaper/{__version__} {self.user_agent}"}
        for name, value in (("x-fc-account-id", account_id), ("x-fc-trace-id", trace_id)):
            if value:
                self._headers[name] = _printable(value, f"the header {name}")
        self._clock = clock
        self._rate_limiter = rate_limiter
        self._on_call = on_call
        self._retry = Retry(clock, jitter, self._check_open)
        self._closed = False
        self._skew: Millis = 0
        self._lock = threading.Lock()
        self._waited = threading.local()

    @property
    def skew_ms(self) -> Millis:
        """The largest difference seen for certain between the local clock and the answers' `Date`."""
        return self._skew

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
        while self._turns() < calls:
            self._rate_limiter(deadline)
            self._waited.turns = self._turns() + 1

    def _read(self, request: Request, deadline: Deadline | None) -> Answer:
        """Send a request that changes nothing, again after a passing error (see `Retry`)."""
        return self._retry(lambda: self._send(request, deadline), deadline)

    def _send(self, request: Request, deadline: Deadline | None) -> Answer:
        """Send a request once."""
        operation, method, path, query, headers, body = request
        return self._do_request(method, path, headers, query, body, operation=operation, deadline=deadline)

    def _do_request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        params: Query = (),
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
        self._take_turn(deadline)
        self._check_open()
        timeout = self._timeout(operation, deadline)
        self._on_call(operation)
        sent = self._clock.now()
        request = Request(operation, method, path, params, {**self._headers, **headers}, body)
        signed = signed_headers(request, self._credentials, self.host, sent, uuid.uuid4().hex)
        try:
            status, answered, whole = self._exchange(request, signed, timeout)
        except HTTP_FAULTS as fault:
            raise closed() if self._closed else no_answer(fault) from None
        answer = Answer(status, answered, whole, sent, self._clock.now())
        if answer.skew > self._skew:
            with self._lock:
                self._skew = max(self._skew, answer.skew)
        if not 200 <= status < 300:
            raise refusal(answer, secrets_of(signed, self._credentials))
        return answer

    def _build_common_headers(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse: fc2's own methods begin with this call, and they escape and check nothing."""
        raise NotImplementedError("this client serves asynchronous tasks only; use fc2.Client for the rest")

    def _exchange(
        self, request: Request, headers: Mapping[str, str], timeout: Timeout
    ) -> tuple[int, Mapping[str, str], bytes]:
        response = self._pool.urlopen(
            request.method,
            request.target,
            body=request.body or None,
            headers=headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=timeout,
            preload_content=False,
        )
        try:
            chunks: list[bytes] = []
            size = 0
            while chunk := response.read(_CHUNK):
                size += len(chunk)
                if size > _LARGEST_BODY:
                    raise CallFailed(
                        "the body is larger than 64 MiB",
                        http_status=response.status,
                        error_code="UnreadableAnswer",
                    )
                chunks.append(chunk)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return response.status, response.headers, b"".join(chunks)

    def _turns(self) -> int:
        """Turns that this thread has waited for already."""
        return getattr(self._waited, "turns", 0)

    def _take_turn(self, deadline: Deadline | None) -> None:
        if self._turns():
            self._waited.turns -= 1
        else:
            self._rate_limiter(deadline)

    def _check_open(self) -> None:
        if self._closed:
            raise closed()

    def _timeout(self, operation: str, deadline: Deadline | None) -> Timeout:
        left = None if deadline is None else deadline - self._clock.monotonic()
        if left is not None and left <= 0:
            raise out_of_time(operation)
        return Timeout(left, **self._timeouts)


def _pool(endpoint: Endpoint, size: int) -> HTTPConnectionPool:
    if endpoint.scheme == "http":
        return HTTPConnectionPool(endpoint.host, endpoint.port, maxsize=size)
    return HTTPSConnectionPool(
        endpoint.host,
        endpoint.port,
        maxsize=size,
        cert_reqs="CERT_REQUIRED",
        ca_certs=DEFAULT_CA_BUNDLE_PATH,
    )


def _checked(access_key_id: str, access_key_secret: str, security_token: str) -> Credentials:
    if not access_key_id.strip() or not access_key_secret.strip():
        raise SettingsError(
            "there are no credentials; set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET"
        )
    return Credentials(
        access_key_id=_printable(access_key_id, "the access key id"),
        access_key_secret=_printable(access_key_secret, "the access key secret"),
        security_token=_printable(security_token, "the security token"),
    )


def _printable(text: str, what: str) -> str:
    text = text.strip()
    if not text.isascii() or not text.isprintable():
        # The text is not repeated: it may be a secret.
        raise SettingsError(f"{what} holds a line break or a character outside ASCII; copy it again")
    return text
