"""Functions, patterns over them, tasks and pages of them, as every part of the product sees them.

Times are epoch milliseconds, as the platform counts them; `None` means that the cloud did not say.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

Millis = int  # epoch milliseconds, or a length of time in milliseconds
LATEST = "LATEST"  # the qualifier that a target without `@` means
# The statuses of a task that may still do work and was not asked to stop, and the terminal ones:
# https://www.alibabacloud.com/help/en/functioncompute/fc/user-guide/asynchronous-task
DEQUEUED = "Dequeued"
BLIND_API = "2021-04-06"  # the API of FC 2.0 that refuses to list what is Dequeued
STOPPING = "Stopping"
STOPPED = "Stopped"
ALIVE = ("Enqueued", DEQUEUED, "Running", "Retrying")
UNFINISHED = (*ALIVE, STOPPING)
FINISHED = (STOPPED, "Succeeded", "Failed", "Expired", "Invalid")


class Function(NamedTuple):
    """A function, without `service` in FC 3.0, under the qualifier that was asked with, never a record's."""

    service: str | None
    name: str
    qualifier: str

    def __str__(self) -> str:
        path = self.name if self.service is None else f"{self.service}/{self.name}"
        return f"{path}@{self.qualifier}"

    def fields(self) -> dict[str, Any]:
        """The fields of a line that name it; `service` is null in FC 3.0."""
        return {"service": self.service, "function": self.name, "qualifier": self.qualifier}


TaskKey = tuple[Function, str]  # a task under one qualifier, by its invocation id

# fc2 escapes nothing: `..`, `#`, `?` or `/` in a name change which resource a request is about.
# Rules: https://help.aliyun.com/zh/fc/task-deduplication and the limits page of Function Compute.
_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,127}"
SERVICE = re.compile(_NAME)
FUNCTION_WITHOUT_SERVICE = re.compile(rf"(?:{_NAME}\$)?{_NAME}")  # service$function for one made in FC 2.0
QUALIFIER = re.compile(r"[A-Za-z0-9_-]{1,128}")
INVOCATION_ID = QUALIFIER  # generated ids are UUIDs, so an id may start with a digit

PART = "[A-Za-z0-9_$*?-]+"
GLOB = frozenset("*?")


class Target(Function):
    """A pattern over functions, whose parts may hold `*` and `?`; they are matched with case."""

    __slots__ = ()

    @property
    def needs_discovery(self) -> bool:
        """Whether any part is a pattern. One without is listed without asking what exists."""
        return not GLOB.isdisjoint(f"{self.service}{self.name}{self.qualifier}")

    def fits(self, function: Function, *, any_qualifier: bool = False) -> bool:
        """Whether *function* is meant, under the qualifier it is found with, or under some other one."""
        return (
            (self.service is None) == (function.service is None)
            and fnmatchcase(function.service or "", self.service or "")
            and fnmatchcase(function.name, self.name)
            and (any_qualifier or fnmatchcase(function.qualifier, self.qualifier))
        )


def spellings(function: Function) -> tuple[Function, ...]:
    """*function* and, where it has one, its other name: one made in 2.0 is `service$function` in 3.0."""
    # https://help.aliyun.com/en/functioncompute/monitoring-data
    if function.service is not None:
        return function, Function(None, f"{function.service}${function.name}", function.qualifier)
    service, dollar, name = function.name.partition("$")
    return (function, Function(service, name, function.qualifier)) if dollar else (function,)


class TaskEvent(NamedTuple):
    """A dated change of a task's status."""

    at: Millis
    id: int
    status: str


class Task(NamedTuple):
    """One asynchronous task as the cloud described it at one moment.

    `status` is the platform's word, perhaps an unknown one. `started_at` is the record's `startedTime`, whose
    meaning is not documented. `events` are the dated ones, oldest first (by time, then id), `undated` the
    statuses of the others. `inconsistency` says why the record cannot be trusted, else None. `record` is what
    the cloud wrote, by its wire names, for expressions only: it may hold a payload, so it is never logged.
    """

    function: Function
    invocation_id: str
    status: str
    request_id: str | None = None
    started_at: Millis | None = None
    ended_at: Millis | None = None
    retries: int | None = None
    events: tuple[TaskEvent, ...] = ()
    undated: tuple[str, ...] = ()
    inconsistency: str | None = None
    record: Mapping[str, Any] | None = None

    @property
    def key(self) -> TaskKey:
        """What identifies it among all that one run finds."""
        return self.function, self.invocation_id


def is_same(one: Task, other: Task) -> bool:
    """Whether both can be of one task, though an id may be used again; dates agree to less than a second."""
    if one.request_id and other.request_id and one.request_id != other.request_id:
        return False
    begins = [task.events[0] for task in (one, other) if task.events and task.events[0].status == "Enqueued"]
    return len(begins) < 2 or abs(begins[0].at - begins[1].at) < 1000


class Moment(NamedTuple):
    """The bounds of the moment at which the cloud answered: both are inside.

    `earliest` is the earlier of the local clock and the answer's `Date`, `latest` the later of the local
    clock and `Date` + 1 s, since a `Date` is cut to whole seconds. `skew` is how far the two clocks are apart
    for certain, None if the answer has no readable `Date`.
    """

    earliest: Millis
    latest: Millis
    skew: Millis | None

    @classmethod
    def exactly(cls, now: Millis) -> "Moment":
        """A moment that is known."""
        return cls(now, now, 0)

    def later(self, by: Millis) -> "Moment":
        """The moment so much later."""
        return Moment(self.earliest + by, self.latest + by, self.skew)


class Snapshot(NamedTuple):
    """One task, read by itself, and the moment at which it was so."""

    task: Task
    moment: Moment


class Query(NamedTuple):
    """The tasks of *function* to list: in *status* (empty: in any), and perhaps fewer of them.

    `payload` requests each task's payload as well. `started_before` and `started_after` are sent as
    `startedTimeEnd` and `startedTimeBegin`; whether a bound is itself inside is not documented.
    """

    function: Function
    status: str = ""
    started_before: Millis | None = None
    id_prefix: str = ""
    payload: bool = False
    started_after: Millis | None = None

    def is_refused_by(self, api_version: str) -> bool:
        """Whether that API version of FC 2.0 does not list the status."""
        return (api_version, self.status) == (BLIND_API, DEQUEUED)


class Page(NamedTuple):
    """One page of a listing; the last one has no `token`."""

    tasks: tuple[Task, ...]
    token: str | None
    moment: Moment


class Credentials(NamedTuple):
    """Keys of an account, which never show in a repr. `security_token` is empty for lasting keys."""

    access_key_id: str
    access_key_secret: str
    security_token: str = ""

    def __repr__(self) -> str:
        return "Credentials()"


class Exit(IntEnum):
    """How a run ended, as exit codes of the command line."""

    DONE = 0
    ATTENTION = 1
    REFUSED = 2
    UNREACHABLE = 3


def iso(moment: Millis) -> str:
    """A moment in UTC as ISO 8601 with milliseconds."""
    seconds = datetime.fromtimestamp(moment // 1000, timezone.utc)
    return f"{seconds:%Y-%m-%dT%H:%M:%S}.{moment % 1000:03}Z"


def printable(text: str, most: int) -> str:
    """*text* from outside on one line of at most *most* characters; what is not printable is escaped."""
    line = text[:most]
    if not line.isprintable():
        line = "".join(char if char.isprintable() else f"{char!a}"[1:-1] for char in line)
    return line if len(text) <= most and len(line) <= most else f"{line[: most - 1]}…"
