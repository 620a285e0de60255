"""The nouns of the product: what a function and a task are once they are inside.

Times are epoch milliseconds, as the platform counts them; `None` means the cloud did not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Millis = int
"""Epoch milliseconds, or a length of time in milliseconds."""

LATEST = "LATEST"
"""The qualifier that a target without `@` means."""

ALIVE = ("Enqueued", "Dequeued", "Running", "Retrying")
"""Statuses of a task that may still do work and that nobody has asked to stop."""

STOPPING = "Stopping"
STOPPED = "Stopped"
UNFINISHED = (*ALIVE, STOPPING)
FINISHED = (STOPPED, "Succeeded", "Failed", "Expired", "Invalid")
"""Terminal statuses: https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/asynchronous-task"""


class Function(NamedTuple):
    """A function under one qualifier: the place where tasks are listed, read and stopped.

    `service` is None for Function Compute 3.0, which has no services.
    `qualifier` is the one asked with, never one read back from a record.
    """

    service: str | None
    name: str
    qualifier: str

    def __str__(self) -> str:
        path = self.name if self.service is None else f"{self.service}/{self.name}"
        return f"{path}@{self.qualifier}"


class Event(NamedTuple):
    """A dated change of status in the life of a task."""

    at: Millis
    id: int
    status: str


class Task(NamedTuple):
    """One asynchronous task as the cloud described it at one moment.

    `status` is the platform's word and may be one that nobody here knows.
    `started_at` is the record's `startedTime`, whose meaning is not documented.
    `events` holds only dated events, oldest first (by time, then id); `undated` holds the statuses of
    those whose date is missing or none.
    `doubt` says why the record cannot be trusted, None when nothing speaks against it. `record` is what the
    cloud wrote, by its wire names, for expressions only: it may hold a payload, so it is never told.
    """

    function: Function
    invocation_id: str
    status: str
    request_id: str | None = None
    started_at: Millis | None = None
    ended_at: Millis | None = None
    retries: int | None = None
    events: tuple[Event, ...] = ()
    undated: tuple[str, ...] = ()
    doubt: str | None = None
    record: Mapping[str, Any] | None = None
