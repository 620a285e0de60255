"""Changes that no call of the API makes: what the platform, its owner or another caller does meanwhile."""

from __future__ import annotations

import uuid
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from fc_emulator.account import Account
from fc_emulator.lifecycle import FINISHED, invoked
from fc_emulator.tasks import LATEST, Function, Task
from fc_emulator.validation import Model, Str

Name = Annotated[Str, Field(min_length=1)]


class Change(Model):
    """One change, made at once.

    `finish`, `retry` and `resubmit` are about the unfinished tasks of a function under a qualifier whose ids
    fit the glob `invocationId`; `delete` is about a function under all its qualifiers; `repoint` is about an
    alias, in 2.0 that of a whole service.
    """

    change: Literal["finish", "retry", "resubmit", "delete", "repoint"]
    service_name: Str | None = None
    function_name: Name
    qualifier: Name = LATEST
    invocation_id: Name = "*"
    ends_as: Name = "Succeeded"
    version: Name | None = Field(default=None, validate_default=True)

    @field_validator("version")
    @classmethod
    def _of_an_alias(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("change") == "repoint" and (value is None or not value.isdecimal()):
            raise ValueError('an alias points to a version; write its number, such as "2"')
        return value

    def make(self, account: Account) -> None:
        """Make the change; where nothing fits there is none."""
        function = Function(self.service_name or None, self.function_name, self.qualifier)
        if self.change == "delete":
            account.delete(function)
        elif self.change == "repoint":
            account.repoint(function, str(self.version))
        else:
            now, state = account.now(), account.functions.get(function)
            for task in list(state.listing.tasks.values()) if state else ():
                unfinished = task.lifecycle.status_at(now) not in FINISHED
                if unfinished and fnmatchcase(task.id, self.invocation_id):
                    account.replace(task, self._changed(task, now))

    def _changed(self, task: Task, now: int) -> Task:
        if self.change == "resubmit":
            request_id = str(uuid.uuid4())
            template = task.template._replace(request_id=request_id)
            return Task(task.function, task.id, invoked(now, request_id), template, task.number)
        life = task.lifecycle
        task.lifecycle = life.retried(now) if self.change == "retry" else life.finished(now, self.ends_as)
        return task
