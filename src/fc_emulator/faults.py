"""Faults that a test orders: each for one operation, each so many times."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fc_emulator.changes import Change
from fc_emulator.routes import NAMES_IN_3, OPERATIONS
from fc_emulator.times import parse_moment
from fc_emulator.validation import Duration, Model, Str, Text, suggestion, validate

MATCHED = ("serviceName", "functionName", "qualifier", "invocationId", "status")
"""The names in a call that `match` compares with globs; `status` is the one that a list asks for."""


class Fault(Model):
    """What goes wrong, and how many times still. A key that is null counts as absent.

    With `status` or `foreign` the operation is not carried out, unless `applied`; without them it is, and
    then its response is broken. `date` is the text of the Date header, or a shift of it such as `-1h`.
    `change` is made before the operation.
    """

    operation: str
    times: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    code: Str = "InternalServerError"
    message: Str = "a fault that was ordered"
    body: Any = None
    headers: dict[str, Text] = Field(default={})
    delay: Duration = 0
    drop: Literal["before", "after"] | None = None
    truncate: bool = False
    foreign: Str | None = None
    date: str | None = None
    retry_after: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(default=None, exclude=True)
    applied: bool = False
    change: Change | None = None
    match: dict[str, Text] = Field(default={})

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        known = {field.alias for field in cls.model_fields.values()}
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if value is not None or key not in known}

    @field_validator("operation")
    @classmethod
    def _known_operation(cls, value: str) -> str:
        known = ["*", *sorted(OPERATIONS)]
        if value not in known:
            raise ValueError(f'"{value}" is not an operation; {suggestion(value, known)}')
        return value

    @field_validator("match")
    @classmethod
    def _known_names(cls, value: dict[str, str]) -> dict[str, str]:
        for key in value:
            if key not in MATCHED:
                raise ValueError(f'"{key}" cannot be matched; {suggestion(key, MATCHED)}')
        return value

    @field_validator("code")
    @classmethod
    def _of_a_status(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("status", 500) is None:
            raise ValueError("it has no effect without a status; write one, such as 500")
        return value

    @field_validator("date")
    @classmethod
    def _shift_or_text(cls, value: str) -> str:
        if value[:1] in ("+", "-"):
            parse_moment(value)
        return value

    @model_validator(mode="after")
    def _retry_after_header(self) -> Fault:
        if self.retry_after is not None:
            self.headers = {**self.headers, "Retry-After": str(self.retry_after)}
        return self

    def applies_to(self, operation: str, names: Mapping[str, str | None]) -> bool:
        """Whether it is for a call of *operation*, by either of its names, that names *names*."""
        twins = {self.operation, NAMES_IN_3.get(self.operation), _NAMES_IN_2.get(self.operation)}
        if self.operation != "*" and operation not in twins:
            return False
        return all(fnmatchcase(names.get(key) or "", glob) for key, glob in self.match.items())


class FaultList(Model):
    faults: list[Fault]


NO_FAULT = Fault(operation="*")

_NAMES_IN_2 = {three: two for two, three in NAMES_IN_3.items()}


@dataclass
class Faults:
    """Faults that wait, in order. The first that applies is taken, and removed after its last time."""

    waiting: list[Fault] = field(default_factory=list)

    def take(self, operation: str, names: Mapping[str, str | None]) -> Fault:
        """The fault for a call of *operation* that names a function and task; NO_FAULT when none waits."""
        fault = next((one for one in self.waiting if one.applies_to(operation, names)), NO_FAULT)
        if fault is not NO_FAULT:
            fault.times -= 1
            self.waiting = [one for one in self.waiting if one.times > 0]
        return fault

    def add(self, given: object) -> None:
        """Append one fault, or those of `{"faults": [...]}`.

        Raises:
            ValueError: one of them is wrong, and none was appended; a line for each problem.
        """
        if isinstance(given, dict) and "faults" in given:
            self.waiting = [*self.waiting, *validate(FaultList, given).faults]
        else:
            self.waiting = [*self.waiting, validate(Fault, given)]


async def drop_connection(scope: Scope, receive: Receive) -> None:
    """Close the connection without a response."""
    _transport(scope).abort()
    await _disconnected(receive)


async def send_truncated(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Announce the whole body, send half of it, close the connection."""
    body = bytes(response.body)
    length = str(max(len(body), 2)).encode()
    headers = [(name, length if name == b"content-length" else value) for name, value in response.raw_headers]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    _transport(scope).close()
    await _disconnected(receive)


def _transport(scope: Scope) -> asyncio.Transport:
    """The connection of a request, which `server` puts into its state."""
    transport: asyncio.Transport = scope["state"]["transport"]
    return transport


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
