"""The admin API under /_emulator/: needs no signature, and its calls are not counted."""

from __future__ import annotations

import ipaddress
import json
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from fc_emulator.account import Account
from fc_emulator.api_versions import V2023, task_record
from fc_emulator.changes import Change
from fc_emulator.faults import Faults
from fc_emulator.journal import Calls, journal_of
from fc_emulator.tasks import Task
from fc_emulator.validation import Duration, Model, validate

MAX_ADVANCE = 3650 * 86_400_000
"""The clock is advanced by at most so many milliseconds at once, itself included."""


class ClockChange(Model):
    advance: Annotated[Duration, Field(le=MAX_ADVANCE)]


def admin_api(account: Account, calls: Calls, faults: Faults) -> ASGIApp:
    """State, faults and clock of one account, for callers on this machine except pages of other sites."""
    routes = Router([Mount("/_emulator", routes=_routes(account, calls, faults))])

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if _is_loopback(host) and origin in (None, f"http://{host}"):
            return await routes(scope, receive, send)
        refusal = {"error": "the Host or the Origin of this request is foreign"}
        return await JSONResponse(refusal, status_code=403)(scope, receive, send)

    return guarded


def _is_loopback(host: str) -> bool:
    """A name that resolves to loopback is foreign: a site could have one."""
    try:
        name = urlsplit(f"//{host}").hostname
        return name == "localhost" or ipaddress.ip_address(name or "").is_loopback
    except ValueError:
        return False


def _routes(account: Account, calls: Calls, faults: Faults) -> list[Route]:

    async def tasks(_: Request) -> Response:
        return JSONResponse({"tasks": [_record(task, account) for task in account.tasks()]})

    async def recent_calls(_: Request) -> Response:
        return JSONResponse(calls.as_json())

    async def journal(_: Request) -> Response:
        return JSONResponse({"journal": journal_of(account)})

    async def waiting_faults(_: Request) -> Response:
        return JSONResponse({"faults": [fault.model_dump() for fault in faults.waiting]})

    async def add_faults(request: Request) -> Response:
        try:
            faults.add(await _json(request))
        except ValueError as error:
            return _bad_request(error)
        return await waiting_faults(request)

    async def remove_faults(request: Request) -> Response:
        faults.waiting = []
        return await waiting_faults(request)

    async def advance(request: Request) -> Response:
        try:
            account.advanced += validate(ClockChange, await _json(request)).advance
        except ValueError as error:
            return _bad_request(error)
        return JSONResponse({"advancedMs": account.advanced})

    async def change(request: Request) -> Response:
        try:
            validate(Change, await _json(request)).make(account)
        except ValueError as error:
            return _bad_request(error)
        return JSONResponse({})

    async def reset(_: Request) -> Response:
        account.reset()
        calls.clear()
        faults.waiting = []
        return JSONResponse({})

    return [
        Route("/tasks", tasks, methods=["GET"]),
        Route("/calls", recent_calls, methods=["GET"]),
        Route("/journal", journal, methods=["GET"]),
        Route("/faults", waiting_faults, methods=["GET"]),
        Route("/faults", add_faults, methods=["POST"]),
        Route("/faults", remove_faults, methods=["DELETE"]),
        Route("/clock", advance, methods=["POST"]),
        Route("/changes", change, methods=["POST"]),
        Route("/reset", reset, methods=["POST"]),
    ]


def _record(task: Task, account: Account) -> dict[str, Any]:
    """The record with events and payload; one of 3.0 carries the names of both 2.0 and 3.0."""
    qualifier = task.function.qualifier
    record = task_record(task, account, account.now(), events=True, payload=True, qualifier=qualifier)
    if task.function.service is not None:
        return record
    return {**record, **V2023.record(record, account.options)}


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from None


def _bad_request(error: ValueError) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)
