"""The ASGI application: every call is matched, recorded, delayed, verified, carried out and answered here."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fc_emulator.account import Account
from fc_emulator.admin import admin_api
from fc_emulator.api_versions import version_of_path
from fc_emulator.errors import ApiError, invalid_argument
from fc_emulator.faults import NO_FAULT, Fault, Faults, drop_connection, send_truncated
from fc_emulator.journal import CallRecord, Calls, without_secrets
from fc_emulator.operations import MAX_BODY, Call, json_response
from fc_emulator.parameters import read_query
from fc_emulator.routes import Match, match
from fc_emulator.signature import SignedRequest
from fc_emulator.times import parse_moment

MAX_TARGET = 4096
"""Bytes of path and query together: https://help.aliyun.com/zh/fc/developer-reference/error-codes"""


def application(account: Account, report: Callable[[str], object] = sys.stderr.write) -> ASGIApp:
    """The API and the admin API of one account.

    *report* is called with the traceback of every fault in the emulator itself.
    """
    calls, faults = Calls(), Faults()
    limiter = RateLimiter(account.options.rate, time.monotonic)
    api = Api(account, calls, faults, limiter, asyncio.sleep, lambda: str(uuid.uuid4()), report)
    admin = admin_api(account, calls, faults)

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        await (admin if scope["path"].startswith("/_emulator") else api)(scope, receive, send)

    return served


@dataclass
class RateLimiter:
    """At most *per_second* calls a second, with one second's worth at once; None for no limit.

    *monotonic* returns seconds and never runs back.
    """

    per_second: float | None
    monotonic: Callable[[], float]
    _left: float = field(init=False)
    _updated: float = field(init=False)

    def __post_init__(self) -> None:
        self._left, self._updated = max(1.0, self.per_second or 0), self.monotonic()

    def allows(self) -> bool:
        """Whether one more call is allowed now; it then counts."""
        if self.per_second is None:
            return True
        now = self.monotonic()
        self._left = min(max(1.0, self.per_second), self._left + (now - self._updated) * self.per_second)
        self._updated = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass
class Api:
    """The API as an ASGI application.

    `sleep` takes seconds, `new_id` makes a request id, `report` takes the traceback of our own faults.
    """

    account: Account
    calls: Calls
    faults: Faults
    limiter: RateLimiter
    sleep: Callable[[float], Awaitable[None]]
    new_id: Callable[[], str]
    report: Callable[[str], object]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            # The body is read first: a caller that disconnects during a delay has still made the call.
            body = await _body(request)
        except ClientDisconnect:
            return
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        signed = SignedRequest(request.method, path, query, dict(request.headers), body)
        await self._serve(signed, scope, receive, send)

    async def _serve(self, request: SignedRequest, scope: Scope, receive: Receive, send: Send) -> None:
        found, request_id = match(request.method, request.path), self.new_id()
        if found and found.route.version.version in self.account.options.unserved:
            found = None
        record = self._recorded(request, found, request_id)
        fault = self.faults.take(record.operation, _names(request, found))
        record.fault = fault is not NO_FAULT
        delay = self.account.options.latency + fault.delay
        if delay:
            await self.sleep(delay / 1000)
        if fault.change:
            fault.change.make(self.account)
        if fault.drop == "before":
            return await drop_connection(scope, receive)
        response = self._faulty_response(fault, request, found, record)
        if fault.drop == "after":
            return await drop_connection(scope, receive)
        record.status = response.status_code
        response.headers.update({"Date": self._date(fault.date), "X-Fc-Request-Id": request_id})
        response.headers.update(fault.headers)
        if fault.truncate:
            return await send_truncated(response, scope, receive, send)
        return await response(scope, receive, send)

    def _recorded(self, request: SignedRequest, found: Match | None, request_id: str) -> CallRecord:
        record = CallRecord(
            at=self.account.clock(),
            operation=found.route.name if found else "Unknown",
            method=request.method,
            path=request.path,
            query=without_secrets(request.query),
            request_id=request_id,
            trace_id=request.headers.get("x-fc-trace-id"),
            account_id=request.headers.get("x-fc-account-id"),
        )
        self.calls.add(record)
        return record

    def _faulty_response(
        self, fault: Fault, request: SignedRequest, found: Match | None, record: CallRecord
    ) -> Response:
        """The true response, or in its place that of the fault, which may leave the operation undone."""
        if fault.status is None and fault.foreign is None:
            return self._response(request, found, record)
        if fault.applied:
            self._response(request, found, record)
        record.error_code = None
        if fault.foreign is not None:
            return Response(fault.foreign, fault.status or 502, media_type="text/html")
        status = fault.status or 500
        if fault.body is None:
            return _error(ApiError(status, fault.code, fault.message), record)
        record.error_code = fault.code
        if isinstance(fault.body, str):
            return Response(fault.body, status, media_type="application/json")
        return json_response(fault.body, status)

    def _response(self, request: SignedRequest, found: Match | None, record: CallRecord) -> Response:
        try:
            return self._carry_out(request, found, record.request_id)
        except ApiError as error:
            return _error(error, record)
        except Exception:  # a fault in the emulator must not look like a mistake of the caller
            self.report(traceback.format_exc())
            message = "a fault in the emulator; its standard error has the traceback"
            return _error(ApiError(500, "InternalServerError", message), record)

    def _carry_out(self, request: SignedRequest, found: Match | None, request_id: str) -> Response:
        if found is None:
            raise ApiError(400, "PathNotSupported", f"{request.method} {request.path} is not served")
        if len(request.path) + len(request.query) > MAX_TARGET:
            raise invalid_argument(f"path and query are longer than {MAX_TARGET} bytes")
        if len(request.body) > MAX_BODY:
            raise ApiError(400, "EntityTooLarge", f"the body is larger than {MAX_BODY} bytes")
        version, account = found.route.version, self.account
        version.check_signature(request, account.options, account.clock())
        _check_action(request, found)
        if not self.limiter.allows():
            raise ApiError(429, "ResourceExhausted", "too many calls per second; try again later")
        query = read_query(request.query)
        call = Call(account, version, found.params, query, request.headers, request.body, request_id)
        return found.route.operation(call)

    def _date(self, wrong: str | None) -> str:
        if wrong is None or wrong[:1] in ("+", "-"):
            return formatdate(parse_moment(wrong or "now").at(self.account.clock()) / 1000, usegmt=True)
        return wrong


def _check_action(request: SignedRequest, found: Match) -> None:
    """`x-acs-action` and `x-acs-version`, when given, must be those of the path."""
    for header, right in (("x-acs-action", found.route.name), ("x-acs-version", found.route.version.version)):
        given = request.headers.get(header)
        if given is not None and given != right:
            raise invalid_argument(f"{header} is {given!r}, but {request.method} {request.path} is {right!r}")


def _names(request: SignedRequest, found: Match | None) -> dict[str, str | None]:
    """What a fault may match: the function, task and status that a call names."""
    if found is None:
        return {}
    version, params, query = found.route.version, found.params, dict(parse_qsl(request.query))
    try:
        function = version.function(params, query)
    except ApiError:
        return {}
    return {
        "serviceName": function.service,
        "functionName": function.name,
        "qualifier": function.qualifier,
        "invocationId": params.get("id") or request.headers.get(version.id_header),
        "status": query.get("status"),
    }


def _error(error: ApiError, record: CallRecord) -> Response:
    version = version_of_path(record.path)
    record.error_code = version.error_code(error)
    return json_response(version.error(error, record.request_id), error.status)


async def _body(request: Request) -> bytes:
    """The body, or so much of it that it is certainly too large."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            break
    return bytes(body)
