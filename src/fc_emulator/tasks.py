"""Functions and their tasks. A function here is always one qualifier of a function."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import dataclass
from typing import NamedTuple

from fc_emulator.lifecycle import Lifecycle

LATEST = "LATEST"

CHOSEN_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}", re.ASCII)
"""What an id that a caller chooses must match: https://help.aliyun.com/zh/fc/task-deduplication"""

TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
"""What every id matches: those that the platform makes may begin with a digit."""


class Function(NamedTuple):
    """A function under one qualifier. `service` is None for Function Compute 3.0."""

    service: str | None
    name: str
    qualifier: str

    def __str__(self) -> str:
        name = self.name if self.service is None else f"{self.service}/{self.name}"
        return f"{name}@{self.qualifier}"


class TaskTemplate(NamedTuple):
    """What the copies of one seed entry share. `{n}` stands for the number of the copy.

    `numbered`: the payload is JSON in whose values `{n}` is replaced too.
    """

    payload: str = ""
    numbered: bool = False
    request_id: str | None = None
    instance_id: str | None = None
    error_message: str = ""


@dataclass(slots=True)
class Task:
    """One asynchronous task. A stop request replaces `lifecycle`.

    `version` is the one that it runs in, None where its alias was never repointed.
    """

    function: Function
    id: str
    lifecycle: Lifecycle
    template: TaskTemplate
    number: int = 1
    version: str | None = None

    @property
    def request_id(self) -> str:
        if self.template.request_id is not None:
            return self.template.request_id.replace("{n}", str(self.number))
        return str(uuid.UUID(bytes=self._digest()[:16]))

    @property
    def instance_id(self) -> str:
        if self.template.instance_id is not None:
            return self.template.instance_id.replace("{n}", str(self.number))
        return f"c-{self._digest().hex()[:24]}"

    @property
    def payload(self) -> str:
        """The text it was invoked with; `{n}` is replaced inside JSON strings that are values."""
        if not self.template.numbered:
            return self.template.payload
        return json.dumps(_numbered(json.loads(self.template.payload), str(self.number)))

    def _digest(self) -> bytes:
        return hashlib.sha256(f"{self.function} {self.id}".encode()).digest()


def _numbered(value: object, number: str) -> object:
    if isinstance(value, str):
        return value.replace("{n}", number)
    if isinstance(value, list):
        return [_numbered(item, number) for item in value]
    if isinstance(value, dict):
        return {key: _numbered(item, number) for key, item in value.items()}
    return value
