"""The way behind the scenes, under /_emulator/: it needs no signature and is no part of the API."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fc_emulator.account import Account
from fc_emulator.calls import Calls
from fc_emulator.dialects import THREE
from fc_emulator.faults import FaultError, Faults
from fc_emulator.journal import journal_of
from fc_emulator.records import record_of
from fc_emulator.tasks import Task
from fc_emulator.times import length_ms

FARTHEST = 3650 * 86_400_000
"""The clock goes at most so many milliseconds ahead at once, itself included."""


class Admin:
    """Truth, trouble and time of one account."""

    def __init__(self, account: Account, calls: Calls, faults: Faults) -> None:
        self._account, self._calls, self._faults = account, calls, faults

    def routes(self) -> list[Route]:
        return [
            Route("/tasks", self.tasks, methods=["GET"]),
            Route("/calls", self.calls, methods=["GET"]),
            Route("/journal", self.journal, methods=["GET"]),
            Route("/faults", self.faults, methods=["GET"]),
            Route("/faults", self.order_faults, methods=["POST"]),
            Route("/clock", self.advance, methods=["POST"]),
            Route("/reset", self.reset, methods=["POST"]),
        ]

    async def tasks(self, request: Request) -> Response:
        return JSONResponse({"tasks": [self._record(task) for task in self._account.tasks()]})

    async def calls(self, request: Request) -> Response:
        return JSONResponse(self._calls.shown())

    async def journal(self, request: Request) -> Response:
        return JSONResponse({"journal": journal_of(self._account)})

    async def faults(self, request: Request) -> Response:
        return self._waiting()

    async def order_faults(self, request: Request) -> Response:
        try:
            self._faults.order(await _json(request))
        except FaultError as error:
            return _wrong(str(error))
        return self._waiting()

    async def advance(self, request: Request) -> Response:
        given = await _json(request)
        if not isinstance(given, dict) or set(given) != {"advance"}:
            return _wrong('write {"advance": "1h"}')
        try:
            by = length_ms(given["advance"])
        except ValueError as error:
            return _wrong(f"advance: {error}")
        if by > FARTHEST:
            return _wrong("advance: at most 3650d at once")
        self._account.advance(by)
        return JSONResponse({"advancedMs": self._account.advanced})

    async def reset(self, request: Request) -> Response:
        self._account.reset()
        self._calls.clear()
        self._faults.waiting = []
        return JSONResponse({})

    def _record(self, task: Task) -> dict[str, Any]:
        """The wire record with everything; one of 3.0 also carries the plain names."""
        account, qualifier = self._account, task.place.qualifier
        record = record_of(task, account, account.now(), events=True, payload=True, qualifier=qualifier)
        if task.place.service is not None:
            return record
        return {**record, **THREE.record(record, account.options)}

    def _waiting(self) -> Response:
        return JSONResponse({"faults": [asdict(fault) for fault in self._faults.waiting]})


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError):
        return None


def _wrong(message: str) -> Response:
    return JSONResponse({"error": message}, status_code=400)
