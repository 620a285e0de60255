"""What an account holds: a place is a function under one qualifier, a task lives in one place."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import NamedTuple

from fc_emulator.life import Life

LATEST = "LATEST"


class Place(NamedTuple):
    """A function under one qualifier. `service` is None for Function Compute 3.0."""

    service: str | None
    function: str
    qualifier: str

    def __str__(self) -> str:
        name = self.function if self.service is None else f"{self.service}/{self.function}"
        return f"{name}@{self.qualifier}"


class Traits(NamedTuple):
    """What the copies of one seed entry have in common. `{n}` stands for the number of the copy.

    `numbered`: the payload is JSON in whose values `{n}` is replaced too.
    """

    payload: str = ""
    numbered: bool = False
    request_id: str | None = None
    instance_id: str | None = None
    error_message: str = ""


@dataclass(slots=True)
class Task:
    """One asynchronous task. `life` is replaced when somebody stops it."""

    place: Place
    id: str
    life: Life
    traits: Traits
    number: int = 1

    @property
    def request_id(self) -> str:
        if self.traits.request_id is not None:
            return self.traits.request_id.replace("{n}", str(self.number))
        return str(uuid.UUID(bytes=self._digest()[:16]))

    @property
    def instance_id(self) -> str:
        if self.traits.instance_id is not None:
            return self.traits.instance_id.replace("{n}", str(self.number))
        return f"c-{self._digest().hex()[:24]}"

    @property
    def payload(self) -> str:
        """The text it was invoked with; `{n}` is replaced inside JSON strings that are values."""
        if not self.traits.numbered:
            return self.traits.payload
        return json.dumps(_numbered(json.loads(self.traits.payload), str(self.number)))

    def _digest(self) -> bytes:
        return hashlib.sha256(f"{self.place} {self.id}".encode()).digest()


def _numbered(value: object, number: str) -> object:
    if isinstance(value, str):
        return value.replace("{n}", number)
    if isinstance(value, list):
        return [_numbered(item, number) for item in value]
    if isinstance(value, dict):
        return {key: _numbered(item, number) for key, item in value.items()}
    return value
