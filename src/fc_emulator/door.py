"""The one way in: every call is matched, counted, perhaps spoiled, checked, done and answered here."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fc_emulator.account import Account
from fc_emulator.calls import CallRecord, Calls
from fc_emulator.dialects import dialect_of
from fc_emulator.faults import NO_FAULT, Fault, Faults
from fc_emulator.operations import SYNC_BODY, Answer, Call, json_answer
from fc_emulator.questions import read_query
from fc_emulator.rate import Rate
from fc_emulator.refusals import Refusal, invalid
from fc_emulator.routes import Match, match
from fc_emulator.signature import Signed
from fc_emulator.times import moment_ms
from fc_emulator.wounds import drop, send_truncated

LONGEST_TARGET = 4096
"""Bytes of path and query together: https://help.aliyun.com/zh/fc/developer-reference/error-codes"""


@dataclass
class Door:
    """The API as an ASGI application.

    `sleep` takes seconds, `new_id` makes a request id, `report` takes the traceback of a fault of ours.
    """

    account: Account
    calls: Calls
    faults: Faults
    rate: Rate
    sleep: Callable[[float], Awaitable[None]]
    new_id: Callable[[], str]
    report: Callable[[str], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        signed = Signed(
            request.method,
            scope["raw_path"].decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            dict(request.headers),
            b"",
        )
        try:
            # The body is read at once: a caller who loses patience later has still been heard.
            signed = signed.with_body(await _body(request))
        except ClientDisconnect:
            return
        await self._serve(signed, scope, receive, send)

    async def _serve(self, signed: Signed, scope: Scope, receive: Receive, send: Send) -> None:
        found, request_id = match(signed.method, signed.path), self.new_id()
        record = self._noted(signed, found, request_id)
        fault = self.faults.take(record.operation, _named(signed, found))
        record.fault = fault is not NO_FAULT
        await self._wait(self.account.options.latency + fault.delay)
        if fault.drop == "before":
            return await drop(scope, receive)
        answer = self._spoiled(fault, signed, found, request_id)
        record.error_code = answer.error_code
        if fault.drop == "after":
            return await drop(scope, receive)
        record.status = answer.status
        response = self._response(answer, fault, request_id)
        if fault.truncate:
            return await send_truncated(response, scope, receive, send)
        return await response(scope, receive, send)

    def _noted(self, signed: Signed, found: Match | None, request_id: str) -> CallRecord:
        record = CallRecord(
            at=self.account.real(),
            operation=found.route.name if found else "Unknown",
            method=signed.method,
            path=signed.path,
            query=signed.query,
            request_id=request_id,
            trace_id=signed.headers.get("x-fc-trace-id"),
            account_id=signed.headers.get("x-fc-account-id"),
        )
        self.calls.note(record)
        return record

    async def _wait(self, milliseconds: int) -> None:
        if milliseconds:
            await self.sleep(milliseconds / 1000)

    def _spoiled(self, fault: Fault, signed: Signed, found: Match | None, request_id: str) -> Answer:
        """The true answer, or in its place what the fault says, which may leave the call undone."""
        if fault.status is None and fault.foreign is None:
            return self._answer(signed, found, request_id)
        if fault.applied:
            self._answer(signed, found, request_id)
        if fault.foreign is not None:
            return Answer(fault.status or 502, fault.foreign.encode(), "text/html; charset=utf-8")
        return _ordered(fault, signed.path, request_id)

    def _answer(self, signed: Signed, found: Match | None, request_id: str) -> Answer:
        try:
            return self._done(signed, found, request_id)
        except Refusal as refusal:
            return _refused(refusal, signed.path, request_id)
        except Exception:  # a mistake of ours must not look like a mistake of the caller
            self.report(traceback.format_exc())
            mistake = "a mistake of the emulator; its standard error says more"
            return _refused(Refusal(500, "InternalServerError", mistake), signed.path, request_id)

    def _done(self, signed: Signed, found: Match | None, request_id: str) -> Answer:
        if found is None:
            raise Refusal(400, "PathNotSupported", f"{signed.method} {signed.path} is not served")
        if len(signed.path) + len(signed.query) > LONGEST_TARGET:
            raise invalid(f"path and query are longer than {LONGEST_TARGET} bytes")
        if len(signed.body) > SYNC_BODY:
            raise Refusal(400, "EntityTooLarge", f"the body is larger than {SYNC_BODY} bytes")
        dialect, account = found.route.dialect, self.account
        dialect.check(signed, account.options, account.real())
        _check_action(signed, found)
        if not self.rate.allows():
            raise Refusal(429, "ResourceExhausted", "too many calls per second; try again later")
        query = read_query(signed.query)
        call = Call(account, dialect, found.params, query, signed.headers, signed.body, request_id)
        return found.route.operation(call)

    def _response(self, answer: Answer, fault: Fault, request_id: str) -> Response:
        headers = {"Date": self._date(fault.date), "X-Fc-Request-Id": request_id, **answer.headers}
        if answer.content_type is not None:
            headers["Content-Type"] = answer.content_type
        response = Response(answer.body, answer.status, headers)
        response.headers.update(fault.headers)
        return response

    def _date(self, wrong: str | None) -> str:
        if wrong is None or wrong[:1] in ("+", "-"):
            return formatdate(moment_ms(wrong or "now", self.account.real()) / 1000, usegmt=True)
        return wrong


def _check_action(signed: Signed, found: Match) -> None:
    """A call may say what it is in `x-acs-action` and `x-acs-version`; it must then be that."""
    for header, right in (("x-acs-action", found.route.name), ("x-acs-version", found.route.dialect.version)):
        given = signed.headers.get(header)
        if given is not None and given != right:
            raise invalid(f"{header} says {given!r}, but {signed.method} {signed.path} is {right!r}")


def _named(signed: Signed, found: Match | None) -> dict[str, str | None]:
    """What a fault may match: the function, task and status that a call names."""
    if found is None:
        return {}
    dialect, params, query = found.route.dialect, found.params, dict(parse_qsl(signed.query))
    try:
        place = dialect.place(params, query)
    except Refusal:
        return {}
    task_id = params.get("id") or signed.headers.get(dialect.id_header)
    names = {"serviceName": place.service, "functionName": place.function}
    named = {**names, "qualifier": place.qualifier, "invocationId": task_id}
    return {**named, "status": query.get("status")}


def _ordered(fault: Fault, path: str, request_id: str) -> Answer:
    status = fault.status or 500
    if isinstance(fault.body, str):
        return Answer(status, fault.body.encode(), "application/json", error_code=fault.code)
    if fault.body is not None:
        return json_answer(fault.body, status, fault.code)
    return _refused(Refusal(status, fault.code, fault.message), path, request_id)


def _refused(refusal: Refusal, path: str, request_id: str) -> Answer:
    error = dialect_of(path).error(refusal, request_id)
    return json_answer(error, refusal.status, error.get("Code") or error["ErrorCode"])


async def _body(request: Request) -> bytes:
    """The body, or so much of it that it is certainly too large."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > SYNC_BODY:
            break
    return bytes(body)
