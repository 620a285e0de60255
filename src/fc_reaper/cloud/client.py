"""fc2's client, extended by what it lacks for asynchronous tasks."""

from __future__ import annotations

import random
from collections.abc import Callable

from fc_reaper.clock import SYSTEM_CLOCK, Clock, Deadline
from fc_reaper.cloud.answers import Answer, json_object, unreadable
from fc_reaper.cloud.dialects import Dialects, words
from fc_reaper.cloud.endpoint import parse_endpoint
from fc_reaper.cloud.failures import CallFailed
from fc_reaper.cloud.line import Line
from fc_reaper.cloud.pages import read_functions_page, read_page
from fc_reaper.cloud.request import Credentials, Request
from fc_reaper.cloud.transport import Door
from fc_reaper.cloud.wire import read_task
from fc_reaper.errors import SettingsError
from fc_reaper.models import Function, FunctionsPage, Millis, Page, Snapshot
from fc_reaper.names import check_id_prefix

WITH_PAYLOAD = 25
"""Tasks a page where each brings its payload: many pages are in flight at once, and memory is small."""


class AsyncTaskClient(Door):
    """The asynchronous tasks of one account in one region; safe for any number of threads.

    *endpoint* is https, except on loopback or with *insecure*. *api_version* is the dialect for functions
    with a service, `2021-04-06` or `2016-08-15`; functions without one are always asked in `2023-03-30`.
    *account_id* and *trace_id* travel as headers. Time-outs are in seconds; *read_timeout* bounds a whole
    answer. At most *pool_size* connections are kept.

    Before each attempt *pace* is called with the deadline, then *on_call* with the operation's name.
    *jitter* answers from 0 up to 1.

    Every method that asks the cloud raises:
        CallFailed: a `CloudError` and a `fc2.FcError`: refused, not understood, or not answered.
        InvalidName: a name or id that the platform could not have given; nothing was sent.

    Questions are asked again after a passing trouble, until *deadline* (see `Retry`). A stop never is.
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
        pace: Callable[[Deadline | None], None] = lambda _deadline: None,
        on_call: Callable[[str], None] = lambda _operation: None,
    ) -> None:
        where = parse_endpoint(endpoint, insecure=insecure)
        credentials = _credentials(access_key_id, access_key_secret, security_token)
        self._dialects = Dialects(api_version)
        line = Line(
            where,
            connect_timeout=_above_zero("connect_timeout", connect_timeout),
            read_timeout=_above_zero("read_timeout", read_timeout),
            pool_size=pool_size,
            monotonic=clock.monotonic,
        )
        headers = {"x-fc-account-id": account_id or "", "x-fc-trace-id": trace_id or ""}
        super().__init__(
            where,
            credentials,
            line,
            common_headers={name: value for name, value in headers.items() if value},
            clock=clock,
            jitter=jitter,
            pace=pace,
            on_call=on_call,
        )

    def take_turns(self, calls: int, deadline: Deadline | None) -> None:
        """Wait for the turns of the next *calls* calls of this thread, so that they follow at once.

        What was not used stays for the calls after them.
        """
        while self._turns() < calls:
            self._pace(deadline)
            self._waiting.turns = self._turns() + 1

    def stop(self, function: Function, invocation_id: str, *, deadline: Deadline | None = None) -> Millis:
        """Ask once that a task be stopped, and return the moment of the answer.

        Returning means accepted, not stopped. After an error only the task's own status tells whether
        the cloud obeyed: read it before asking again.
        https://www.alibabacloud.com/help/en/fc/developer-reference/api-fc-open-2021-04-06-stopstatefulasyncinvocation
        """
        return self._attempt(self._dialects.stop(function, invocation_id), deadline).moment

    def get(self, function: Function, invocation_id: str, *, deadline: Deadline | None = None) -> Snapshot:
        """Read one task. A record about something else is returned with an `inconsistency`."""
        answer = self._ask(self._dialects.get(function, invocation_id), deadline)
        return Snapshot(read_task(function, json_object(answer), invocation_id), answer.moment)

    def list_page(
        self,
        function: Function,
        *,
        status: str | None = None,
        started_before: Millis | None = None,
        id_prefix: str = "",
        token: str | None = None,
        limit: int | None = None,
        include_payload: bool = False,
        deadline: Deadline | None = None,
    ) -> Page:
        """List one page of tasks, those with the oldest `startedTime` first.

        *status* is one status name, None for all. *started_before* is sent as `startedTimeEnd`; whether that
        bound is itself inside is not documented. *limit* is 1 to 100; None means 100, with payloads of up to
        128 KB each 25. Absence from a list proves nothing: it lags some seconds behind.
        """
        check_id_prefix(id_prefix)
        filters = {
            **_page(_most(limit, include_payload), token),
            "sortOrderByTime": "asc",
            "includePayload": "true" if include_payload else "false",
        }
        if status is not None:
            filters["status"] = status
        if started_before is not None:
            filters["startedTimeEnd"] = str(started_before)
        if id_prefix:
            filters[words(function).prefix] = id_prefix
        answer = self._ask(self._dialects.list(function, filters), deadline)
        return read_page(function, answer, token)

    def functions_page(
        self, *, services: bool, token: str | None = None, limit: int = 100, deadline: Deadline | None = None
    ) -> FunctionsPage:
        """List one page of the functions in task mode: those with a service, or those of 3.0.

        3.0 has no such list; its asynchronous configurations tell the same. *limit* is 1 to 100.
        """
        request = self._dialects.functions(services=services, page=_page(limit, token))
        return read_functions_page(self._ask(request, deadline), token, services=services)

    def invoke_async(
        self,
        function: Function,
        payload: bytes,
        *,
        invocation_id: str | None = None,
        deadline: Deadline | None = None,
    ) -> str:
        """Submit a task, and return its request id.

        Only with an *invocation_id* is it submitted again after a passing trouble, since the platform refuses
        a second task of that id. If such a refusal follows an unclear attempt, that attempt had worked, and
        its request id is unknown: the answer is an empty text.
        """
        request = self._dialects.invoke_async(function, payload, invocation_id)
        if invocation_id is None:
            return _accepted(self._attempt(request, deadline))
        return self._submit(request, deadline)

    def _submit(self, request: Request, deadline: Deadline | None) -> str:
        unclear = False

        def attempt() -> str:
            nonlocal unclear
            try:
                return _accepted(self._attempt(request, deadline))
            except CallFailed as error:
                if unclear and error.http_status == 409:
                    return ""
                unclear = unclear or error.unclear
                raise

        return self._retry(attempt, deadline)


def _accepted(answer: Answer) -> str:
    if answer.status != 202:
        raise unreadable(answer, "this is no answer to an asynchronous invocation (202); it may have run")
    return answer.request_id or ""


def _most(limit: int | None, include_payload: bool) -> int:
    """How many tasks a page may hold, where the caller leaves it open."""
    if limit is not None:
        return limit
    return WITH_PAYLOAD if include_payload else 100


def _page(limit: int, token: str | None) -> dict[str, str]:
    if not 1 <= limit <= 100:
        raise SettingsError(f"a page holds 1 to 100 entries, not {limit}")
    return {"limit": str(limit), **({"nextToken": token} if token else {})}


def _above_zero(name: str, seconds: float) -> float:
    if not 0 < seconds < float("inf"):
        raise SettingsError(f"{name} is a number of seconds above 0, not {seconds}")
    return float(seconds)


def _credentials(access_key_id: str, access_key_secret: str, security_token: str) -> Credentials:
    keys = Credentials(access_key_id.strip(), access_key_secret.strip(), (security_token or "").strip())
    if not keys.access_key_id or not keys.access_key_secret:
        raise SettingsError(
            "there are no credentials; set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET"
        )
    if any(not part.isascii() or not part.isprintable() for part in keys):
        raise SettingsError("a credential holds a line break or a character outside ASCII; copy it again")
    return keys
