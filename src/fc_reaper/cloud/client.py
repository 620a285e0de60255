"""fc2's client with the operations that it lacks for asynchronous tasks, and its one seam replaced."""

import random
import re
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

import fc2
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import Timeout, connection_from_url

from fc_reaper import __version__
from fc_reaper.clock import SYSTEM_CLOCK, Clock, Deadline, RateLimiter, Retry, untaken
from fc_reaper.cloud.api import (
    LARGE,
    LARGEST,
    OPEN,
    Answer,
    Request,
    check_names,
    generation,
    path_of,
    return_memory,
    signed_headers,
)
from fc_reaper.cloud.endpoint import LOOPBACK, BoundedResponse, parse_endpoint, sts_endpoint
from fc_reaper.cloud.errors import CallFailed, TooLarge, closed, no_answer, refusal, unreadable
from fc_reaper.cloud.records import read_function, read_items, read_task
from fc_reaper.errors import SettingsError
from fc_reaper.models import Credentials, Function, Moment, Page, Query, Snapshot, printable

WITH_PAYLOAD = 25  # tasks a page with payloads, of up to 128 KB each: within the bound of an answer
_SMALLER_PAGES = (5, 1)  # tasks a page where an answer was too large all the same
_CHUNK = 1 << 16  # bytes
_LONGEST_CALL = 60.0  # seconds that one attempt takes, however slow the server is
_AS_IT_IS: dict[str, Any] = {"retries": False, "redirect": False, "preload_content": False}


class AsyncTaskClient(fc2.Client):  # type: ignore[misc]  # fc2 has no types
    """The asynchronous tasks of one account in one region. Safe for any number of threads.

    *endpoint* is https, except on loopback or with *insecure*. *api_version* is that for functions with a
    service, `2021-04-06` or `2016-08-15`; functions without one always use `2023-03-30`. Time-outs are in
    seconds; *read_timeout* is the longest pause within an answer. Nothing is redirected or sent through a
    proxy, and no netrc is read. Each attempt waits for its turn by *rate_limiter*, which learns from refusals
    for the rate. `calls` counts what was sent by operation.

    Reads are retried until *deadline* (see `Retry`). A stop never is. fc2's own methods are not served: they
    check no names. Every method raises CallFailed (a `CloudError` and a `fc2.FcError`) where the call was
    refused, not understood, or not answered; InvalidName and SettingsError where nothing was sent, since the
    platform cannot have given a name or id, or the API version cannot name the function. A SettingsError also
    says that the endpoint, a key, the account or the trace id cannot be used.
    """

    def __init__(
        self,
        endpoint: str,
        credentials: Credentials,
        *,
        account_id: str | None = None,
        api_version: str = OPEN,
        trace_id: str | None = None,
        insecure: bool = False,
        connect_timeout: float = 3.0,
        read_timeout: float = 10.0,
        pool_size: int = 16,
        clock: Clock = SYSTEM_CLOCK,
        jitter: Callable[[], float] = random.random,
        rate_limiter: RateLimiter | None = None,
    ) -> None:
        url = parse_endpoint(endpoint, insecure=insecure)
        keys = {name: text.strip() for name, text in credentials._asdict().items()}
        headers = {"x-fc-account-id": account_id or "", "x-fc-trace-id": trace_id or ""}
        for name, text in {**keys, **headers}.items():
            if not text and name.startswith("access_key"):
                raise SettingsError(f"there is no {name}; set ALIBABA_CLOUD_{name.upper()}")
            if not (text.isascii() and text.isprintable()):
                # The text is not repeated: it may be a secret.
                raise SettingsError(f"{name} holds a line break or a character outside ASCII; copy it again")
        # fc2 signs nothing for us, and need not know a secret.
        super().__init__(endpoint=url, accessKeyID="unused", accessKeySecret="unused")
        self._credentials, self._version = Credentials(**keys), api_version
        self._headers = {name: text for name, text in headers.items() if text}
        self._headers["user-agent"] = f"fc-reaper/{__version__} {self.user_agent}"
        tls = {"cert_reqs": "CERT_REQUIRED", "ca_certs": DEFAULT_CA_BUNDLE_PATH}
        self._pool = connection_from_url(url, maxsize=pool_size, **(tls if url.startswith("https") else {}))
        bounded = {"response_class": BoundedResponse}
        self._pool.ConnectionCls = type("Connection", (self._pool.ConnectionCls,), bounded)
        self._timeouts = {"connect": connect_timeout, "read": read_timeout}
        self._clock, self._rate_limiter = clock, rate_limiter
        self._retry = Retry(clock, jitter, self._check_open)
        self._closed, self._turns = threading.Event(), threading.local()
        self._one_large, self._resolved = threading.Lock(), threading.Event()
        self._resolved_by = clock.monotonic() + 3 * connect_timeout
        if LOOPBACK.fullmatch(self._pool.host):
            self._resolved.set()
        else:
            threading.Thread(target=self._look_up, daemon=True).start()
        self.calls: Counter[str] = Counter()
        self.skew_ms = 0  # the largest difference that is certain between our clock and the answers' `Date`

    def stop(self, function: Function, invocation_id: str, *, deadline: Deadline | None = None) -> Moment:
        """Request once that a task be stopped, and return the moment of the answer.

        Returning means accepted, by any 2xx whatever its body; not stopped. After an error only the task's
        own status says whether the request took effect: read it before sending another.
        https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-stopstatefulasyncinvocation
        """
        names, path, query = path_of(self._version, function, invocation_id)
        operation, path = f"Stop{names.task}", path + names.stop_suffix
        return self._do_request("PUT", path, {}, query, operation=operation, deadline=deadline).moment

    def get(
        self, function: Function, invocation_id: str, *, deadline: Deadline | None = None, turns: int = 1
    ) -> Snapshot:
        """Read one task; a record about something else is returned with an `inconsistency`.

        *turns* are waited for first, its own among them: so more calls of this thread follow at once.
        """
        names, path, query = path_of(self._version, function, invocation_id)
        answer = self._read(f"Get{names.task}", path, query, deadline, turns)
        if answer.value is None:
            raise unreadable(answer, "the body is not a JSON object of sound size")
        return Snapshot(read_task(function, answer.value, invocation_id), answer.moment)

    def list_page(self, wanted: Query, token: str | None = None, *, deadline: Deadline | None = None) -> Page:
        """List one page of the tasks that are *wanted*, those with the oldest `startedTime` first.

        A page holds 100 tasks, 25 with payloads, fewer where these are too large for one answer. Absence from
        a list proves nothing: it lags some seconds behind.
        """
        names, path, query = path_of(self._version, wanted.function, id_prefix=wanted.id_prefix)
        filters = {
            "nextToken": token,
            "status": wanted.status,
            "startedTimeBegin": wanted.started_after,
            "startedTimeEnd": wanted.started_before,
        }
        query |= {name: str(value) for name, value in filters.items() if value}
        query |= {"sortOrderByTime": "asc", "includePayload": "true" if wanted.payload else "false"}
        path = f"{path}/{names.collection}"
        sizes = [WITH_PAYLOAD if wanted.payload else 100, *_SMALLER_PAGES]
        answer = None
        while answer is None:
            query["limit"] = str(sizes.pop(0))
            try:
                answer = self._read(f"List{names.task}s", path, query, deadline)
            except TooLarge:
                if not sizes:
                    raise
        items, next_token = read_items(answer, names.tasks, token)
        tasks = tuple([read_task(wanted.function, item) for item in items])
        if not all(task.invocation_id for task in tasks):
            raise unreadable(answer, "a record in the page has no id")
        return Page(tasks, next_token, answer.moment)

    def get_configuration(
        self, function: Function, part: str = "", operation: str = "GetFunction", *, deadline: Deadline
    ) -> dict[str, Any] | None:
        """Ask once for the configuration of a function, or a *part*; None where the answer is no object."""
        _, path, query = path_of(self._version, function)
        return self._do_request("GET", path + part, {}, query, operation=operation, deadline=deadline).value

    def functions_page(
        self, *, services: bool, token: str | None = None, deadline: Deadline | None = None
    ) -> tuple[list[Function], str | None]:
        """One page of the functions in task mode (in FC 3.0 of asynchronous configurations), and a token."""
        names, version = generation(self._version, services=services)
        query = {"limit": "100", **({"nextToken": token} if token else {})}
        answer = self._read(names.functions, f"/{version}/{names.functions_path}", query, deadline)
        items, next_token = read_items(answer, names.functions_key, token)
        found = [read_function(answer, item, services=services) for item in items]
        return [one for one in found if one is not None], next_token

    def invoke_async(
        self, function: Function, payload: bytes, *, invocation_id: str | None = None, delay: int = 0
    ) -> str:
        """Submit a task that begins *delay* seconds late, and return its request id; it is sent once."""
        check_names(function, invocation_id)
        names, path, query = path_of(self._version, function)
        headers = {"content-type": "application/octet-stream", "x-fc-invocation-type": "Async"}
        headers |= {} if invocation_id is None else {names.id_header: invocation_id}
        headers |= {"x-fc-async-delay": str(delay)} if delay else {}
        path, operation = f"{path}/invocations", "InvokeFunction"
        answer = self._do_request("POST", path, headers, query, payload, operation=operation)
        if answer.status != 202:
            raise unreadable(answer, "this is no answer to an asynchronous invocation; it may have run")
        return answer.request_id

    def close(self) -> None:
        """Let the kept connections go. Later calls fail with `Aborted`; one under way is not retried."""
        self._closed.set()
        self._pool.close()

    def _read(
        self, operation: str, path: str, query: dict[str, str], deadline: Deadline | None, turns: int = 1
    ) -> Answer:
        """Send a request that changes nothing, again after a passing error (see `Retry`)."""
        send = partial(self._do_request, "GET", path, {}, query, operation=operation, turns=turns)
        return self._retry(partial(send, deadline=deadline), deadline)

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
        turns: int = 1,
    ) -> Answer:
        """Send one request, signed for this moment, and read its answer. Every request passes here.

        *path* is escaped, *operation* the name that is signed and counted. Nothing is begun at *deadline*.
        """
        waited = self._turns.__dict__.setdefault("waited", [])
        while len(waited) < turns:
            waited.append(0 if self._rate_limiter is None else self._rate_limiter(deadline))
        turn = waited.pop(0)
        begun = self._clock.monotonic()
        until = begun + _LONGEST_CALL if deadline is None else min(deadline, begun + _LONGEST_CALL)
        if self._closed.is_set():
            raise closed()
        if until <= begun:
            raise CallFailed(f"no time was left for {operation}", error_code="OutOfTime", retryable=True)
        self.calls[operation] += 1
        # Only letters, digits and `_.-~` stay unescaped in a query.
        query = urlencode(sorted(params.items()), safe="~", quote_via=quote)
        request = Request(operation, method, path, query, {**self._headers, **headers}, body)
        sent, keys = self._clock.now(), self._credentials
        signed, signature = signed_headers(request, keys, self.host, sent, uuid.uuid4().hex)
        # What is short is a word, and no secret: the emulator's key id, a token in a test.
        secrets = [signed["authorization"], signature, keys.access_key_secret, keys.security_token]
        secrets = [one for one in secrets if len(one) >= 8]
        secrets += [keys.access_key_id] if len(keys.access_key_id) >= 16 else []
        try:
            # All calls together wait so long for it, not each of them and each of its attempts.
            if not self._resolved.wait(max(0.0, min(until, self._resolved_by) - begun)):
                why = "the endpoint's name was not resolved within the time-out"
                raise CallFailed(why, error_code="TimedOut", retryable=True)
            url, timeout = f"{path}?{query}" if query else path, Timeout(until - begun, **self._timeouts)
            response = self._pool.urlopen(method, url, body or None, signed, timeout=timeout, **_AS_IT_IS)
            answer = self._answer(response, sent, until, secrets)
        except CallFailed:
            raise
        except Exception as fault:  # urllib3, http.client and what parses numbers raise all kinds
            raise closed(unclear=method != "GET") if self._closed.is_set() else no_answer(fault) from None
        if (answer.moment.skew or 0) > self.skew_ms:
            self.skew_ms = answer.moment.skew or 0
        if not 200 <= answer.status < 300:
            error = refusal(answer)
            if error.throttled and self._rate_limiter is not None:
                self._rate_limiter.slow_down(turn, error.retry_after)
            raise error
        if answer.too_large is not None:
            raise TooLarge(answer.too_large, answer.status)
        return answer

    def _answer(self, response: Any, sent: int, until: Deadline, secrets: Sequence[str]) -> Answer:
        """Read and parse a whole answer within its bounds. The connection is kept only after all of it."""
        status, body, large = response.status, bytearray(), False
        if status < 200:  # The true answer is still to come, and must not be that of the next call.
            response.close()
        try:
            # Not `read`, which would wait for the whole chunk while a server drips.
            while chunk := response.read1(_CHUNK):
                body += chunk
                if status >= 300 and len(body) > _CHUNK:
                    break  # of an error no more is shown
                if len(body) + (response.length_remaining or 0) > LARGEST:
                    raise TooLarge("the body is larger than 8 MiB", status)
                if len(body) > LARGE and not large:
                    large = self._begin_large(until)
                if self._clock.monotonic() >= until:
                    raise TimeoutError
            else:
                response.release_conn()
            return Answer.of(status, response.headers, body, sent, self._clock.now(), secrets)
        finally:
            # An error keeps the frames that it passed, and with them what they hold.
            body.clear()
            response.close()
            if large:
                self._one_large.release()

    def _begin_large(self, until: Deadline) -> bool:
        """Wait until a large answer may be read, which holds `_one_large`; False if the time is up before."""
        return_memory()
        # One at a time, once the earlier were taken: memory must not grow with calls in flight.
        while (left := until - self._clock.monotonic()) > 0:
            if self._one_large.acquire(timeout=left):
                if not untaken():
                    return True
                self._one_large.release()
                self._closed.wait(0.02)
        return False

    def _look_up(self) -> None:
        """Look the host up in a thread, which no time-out bounds; calls repeat no failure that took long."""
        soon = self._clock.monotonic() + self._timeouts["connect"]
        try:
            socket.getaddrinfo(self._pool.host, self._pool.port)
        except OSError:
            if self._clock.monotonic() > soon:
                return
        self._resolved.set()

    def _build_common_headers(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse: fc2's own methods begin with this call, and they escape and check nothing."""
        raise NotImplementedError("this client serves asynchronous tasks only; use fc2.Client for the rest")

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise closed()


def caller_identity(endpoint: str, keys: Credentials, clock: Clock, seconds: float) -> tuple[str, str]:
    """Ask STS, as `sts_endpoint` says, whose *keys* these are: account, kind with ARN. It needs no right."""
    with closing(AsyncTaskClient(sts_endpoint(endpoint), keys, clock=clock)) as sts:
        answer = sts._read("GetCallerIdentity", "/", {}, clock.monotonic() + seconds)
    account, *who = ((answer.value or {}).get(name) for name in ("AccountId", "IdentityType", "Arn"))
    if not isinstance(account, str) or not re.fullmatch("[0-9]+", account):
        raise unreadable(answer, "the answer names no account")
    return account, printable(" ".join(str(one) for one in who if one), 300)


class ReadOnlyClient(AsyncTaskClient):
    """A client that cannot change anything: of a stop or an invocation not a byte is sent."""

    def _do_request(self, method: str, *given: Any, operation: str, **named: Any) -> Answer:
        if method != "GET":
            raise CallFailed(f"{operation} is not sent: this client only reads", error_code="ReadOnly")
        return super()._do_request(method, *given, operation=operation, **named)
