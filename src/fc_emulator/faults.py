"""Trouble on order: a queue of faults, each for one operation, each so many times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from fc_emulator.routes import OPERATIONS, TWINS
from fc_emulator.times import length_ms, moment_ms

MATCHED = ("serviceName", "functionName", "qualifier", "invocationId", "status")
"""What `match` may name; each value is a glob. `status` is the one that a list asks for."""


class FaultError(ValueError):
    """A fault that cannot be ordered; the text says which key is wrong."""


@dataclass
class Fault:
    """What goes wrong, and how often still.

    With `status` or `foreign` the call is not done, unless `applied`; without them it is done, then spoiled.
    `delay` is milliseconds, `date` what the answer's Date is moved by or set to.
    """

    operation: str
    times: int = 1
    status: int | None = None
    code: str = "InternalServerError"
    message: str = "a fault that was ordered"
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: int = 0
    drop: str | None = None
    truncate: bool = False
    foreign: str | None = None
    date: Any = None
    applied: bool = False
    match: dict[str, str] = field(default_factory=dict)

    def fits(self, operation: str, named: Mapping[str, str | None]) -> bool:
        mine = {self.operation, TWINS.get(self.operation), _TWINS_BACK.get(self.operation)}
        if self.operation != "*" and operation not in mine:
            return False
        return all(fnmatchcase(named.get(key) or "", glob) for key, glob in self.match.items())


NO_FAULT = Fault("*", times=0)

_TWINS_BACK = {three: two for two, three in TWINS.items()}


@dataclass
class Faults:
    """Faults that wait, in order. The first fault that fits is used, and used up after its times."""

    waiting: list[Fault] = field(default_factory=list)

    def take(self, operation: str, named: Mapping[str, str | None]) -> Fault:
        """The fault for a call of *operation* that names a function and task; NO_FAULT when none waits."""
        fault = next((f for f in self.waiting if f.fits(operation, named)), NO_FAULT)
        if fault is not NO_FAULT:
            fault.times -= 1
            self.waiting = [f for f in self.waiting if f.times > 0]
        return fault

    def order(self, given: object) -> None:
        """Append one fault, or those of `{"faults": [...]}`.

        Raises:
            FaultError: one of them is wrong; then none was appended.
        """
        several = given.get("faults", [given]) if isinstance(given, dict) else None
        if not isinstance(several, list):
            raise FaultError('write one fault as an object, or {"faults": [...]}')
        self.waiting = [*self.waiting, *[read_fault(one) for one in several]]


def read_fault(given: object) -> Fault:
    """Read one fault from its JSON.

    Raises:
        FaultError: a key is unknown, or its value is not what it takes.
    """
    if not isinstance(given, dict):
        raise FaultError("a fault is an object in braces")
    for key in given:
        if key not in _READ:
            raise FaultError(f"{key}: nobody knows this key; there are {', '.join(_READ)}")
    if "operation" not in given:
        raise FaultError("operation is missing; write its name, or * for any")
    read = {key: _value(key, value) for key, value in given.items() if value is not None}
    if "retryAfter" in read:
        read["headers"] = {**read.get("headers", {}), "Retry-After": read.pop("retryAfter")}
    if "code" in read and "status" not in read:
        raise FaultError("code: it needs a status, such as 500")
    return Fault(**read)


def _value(key: str, value: object) -> Any:
    try:
        return _READ[key](value)
    except (ValueError, TypeError) as error:
        raise FaultError(f"{key}: {error}") from None


def _operation(value: object) -> str:
    if value != "*" and value not in OPERATIONS:
        raise ValueError(f"{value!r} is not an operation; there are *, {', '.join(sorted(OPERATIONS))}")
    return str(value)


def _number(least: int, most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"{value!r} is not a whole number from {least} to {most}")
        return value

    return read


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is not true or false")
    return value


def _drop(value: object) -> str:
    if value not in ("before", "after"):
        raise ValueError(f"{value!r} is neither before nor after")
    return str(value)


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, (str, int)) for v in value.values()):
        raise ValueError(f"{value!r} is not an object of texts")
    return {str(name): str(text) for name, text in value.items()}


def _match(value: object) -> dict[str, str]:
    globs = _texts(value)
    unknown = [key for key in globs if key not in MATCHED]
    if unknown:
        raise ValueError(f"{unknown[0]!r} cannot be matched; there are {', '.join(MATCHED)}")
    return globs


def _date(value: object) -> Any:
    """A shift such as `-1h` stays as written; anything else is the header's text."""
    text = _text(value)
    if text[:1] in ("+", "-"):
        moment_ms(text, 0)
    return text


_READ: dict[str, Callable[[object], Any]] = {
    "operation": _operation,
    "times": _number(1, 1_000_000_000),
    "status": _number(200, 599),
    "code": _text,
    "message": _text,
    "body": lambda value: value,
    "headers": _texts,
    "delay": length_ms,
    "drop": _drop,
    "truncate": _flag,
    "foreign": _text,
    "date": _date,
    "retryAfter": lambda value: str(_number(0, 1_000_000)(value)),
    "applied": _flag,
    "match": _match,
}
