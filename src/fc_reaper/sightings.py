"""What one look at the cloud brought back, with the moment it is true for."""

from __future__ import annotations

from typing import NamedTuple

from fc_reaper.models import Function, Millis, Task


class Snapshot(NamedTuple):
    """One task, read by itself.

    `moment` is the earlier of the local clock when the question left and the answer's `Date`:
    an age computed with it is never too old.
    """

    task: Task
    moment: Millis


class Page(NamedTuple):
    """One page of a listing. `token` None means that this was the last one."""

    tasks: tuple[Task, ...]
    token: str | None
    moment: Millis


class FunctionsPage(NamedTuple):
    """One page of the functions in task mode. `token` None means that this was the last one."""

    functions: tuple[Function, ...]
    token: str | None
