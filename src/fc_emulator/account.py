"""The imaginary account: what it holds and by which rules it answers. It knows no HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fc_emulator.life import FINISHED, invoked
from fc_emulator.options import Options
from fc_emulator.refusals import Refusal, invalid, missing
from fc_emulator.seed import Seed
from fc_emulator.shelf import Page, Shelf, Wanted
from fc_emulator.tasks import LATEST, Place, Task, Traits

TASK_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}", re.ASCII)
"""What an id that a caller chooses must look like: https://help.aliyun.com/zh/fc/task-deduplication"""


class Fruitless(NamedTuple):
    """A stop request that changed nothing, and what it was answered. `code` is None after a 200."""

    at: int
    task: Task
    status: str
    request_id: str
    answer: int
    code: str | None


@dataclass
class Corner:
    """A place and what belongs to it: its tasks and its configuration of asynchronous calls."""

    place: Place
    shelf: Shelf
    task_mode: bool = False
    config: dict[str, Any] | None = None


@dataclass
class Account:
    """One account at work. *real* answers epoch milliseconds and is the only clock."""

    options: Options
    seed: Seed
    real: Callable[[], int]
    corners: dict[Place, Corner] = field(default_factory=dict)
    fruitless: list[Fruitless] = field(default_factory=list)
    advanced: int = 0
    began: int = 0

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin again from the seed, its relative times counted from now."""
        self.corners, self.fruitless, self.advanced, self.began = {}, [], 0, self.real()
        for place, task_mode in self.seed.places():
            corner = self._corner(place)
            corner.task_mode = corner.task_mode or task_mode
        for task in self.seed.tasks(self.began):
            self.corners[task.place].shelf.add(task)
        for corner in self.corners.values():
            corner.shelf.settle(self.began - self.options.list_lag)

    def now(self) -> int:
        """The moment in the time of the tasks, which `advance` moves and signatures do not follow."""
        return self.real() + self.advanced

    def advance(self, by: int) -> None:
        self.advanced += by

    def shown(self, moment: int) -> int:
        """A moment as callers see it: advancing moves tasks into the past. 0 and below stay as they are."""
        return moment - self.advanced if moment > 0 else moment

    def page(self, place: Place, wanted: Wanted) -> Page:
        """A page of the tasks of *place*, as they were `list_lag` ago."""
        corner = self.corners.get(self.known(place))
        if corner is None:
            return Page([], None)
        return corner.shelf.page(wanted, self.now() - self.options.list_lag)

    def task(self, place: Place, task_id: str) -> Task:
        corner = self.corners.get(self.known(place))
        found = corner.shelf.tasks.get(task_id) if corner else None
        if found is None:
            raise missing("StatefulAsyncInvocation", f"there is no task {task_id!r} in {place}")
        return found

    def tasks(self) -> Iterator[Task]:
        for corner in self.corners.values():
            yield from corner.shelf.tasks.values()

    def stop(self, place: Place, task_id: str, request_id: str) -> None:
        """Ask a task to stop; it is Stopping at once and Stopped later.

        Raises:
            Refusal: nobody knows the task, or it has finished.
        """
        task, now = self.task(place, task_id), self.now()
        status = task.life.status_at(now)
        refusal = self._refusal_to_stop(task, status)
        if refusal is not None or status == "Stopping":
            answer, code = (refusal.status, refusal.code) if refusal else (200, None)
            self.fruitless.append(Fruitless(now, task, status, request_id, answer, code))
            if refusal:
                raise refusal
            return
        task.life = task.life.stopped(now, self.options.stopping, request_id)

    def _refusal_to_stop(self, task: Task, status: str) -> Refusal | None:
        already = "StatefulAsyncInvocationAlreadyCompleted"
        if status in FINISHED and self.options.stop_finished == 400:
            return invalid(f"task {task.id!r} is {status} and cannot be stopped")
        if status in FINISHED:
            return Refusal(412, already, f"task {task.id!r} is {status} already")
        if status == "Stopping" and self.options.stop_stopping == 412:
            return Refusal(412, already, f"task {task.id!r} is being stopped already")
        return None

    def invoke(
        self, place: Place, task_id: str | None, *, enabled: bool, payload: str, request_id: str
    ) -> str | None:
        """Enqueue an asynchronous call; the id of its task, None when the function is not in task mode.

        *enabled*: the caller asked for task mode for this one call.
        """
        corner = self._corner(self.known(place))
        if not corner.task_mode and not enabled:
            if task_id is not None:
                raise invalid(f"{place} is not in task mode, so the call cannot be given the id {task_id!r}")
            return None
        if task_id is not None and not TASK_ID.fullmatch(task_id):
            raise invalid(f"{task_id!r} is not a task id; it must match {TASK_ID.pattern}")
        chosen = task_id or request_id
        if any(chosen in other.shelf.tasks for other in self._same_function(place)):
            raise Refusal(409, "StatefulAsyncInvocationAlreadyExists", f"there is a task {chosen!r} already")
        traits = Traits(payload=payload, request_id=request_id)
        corner.shelf.add(Task(place, chosen, invoked(self.now(), request_id), traits))
        return chosen

    def configure(self, place: Place, config: dict[str, Any], task_mode: bool) -> dict[str, Any]:
        """Store the configuration of asynchronous calls, and whether they are tasks."""
        corner = self._corner(self.known(place))
        created = (corner.config or {}).get("created", self.now())
        corner.config = {**config, "created": created, "modified": self.now()}
        corner.task_mode = task_mode
        return corner.config

    def config(self, place: Place) -> dict[str, Any]:
        corner = self.corners.get(self.known(place))
        if corner is None or (corner.config is None and not corner.task_mode):
            raise Refusal(404, "AsyncConfigNotExists", f"{place} has no configuration of asynchronous calls")
        return corner.config or {"created": self.began, "modified": self.began}

    def known(self, place: Place) -> Place:
        """*place* itself, if its service, function and qualifier exist. LATEST exists everywhere.

        Aliases and versions belong to a service in Function Compute 2.0, to a function in 3.0.
        """
        in_service = [p for p in self.corners if p.service == place.service]
        if place.service is not None and not in_service:
            raise missing("Service", f"there is no service {place.service!r}")
        of_function = [p for p in in_service if p.function == place.function]
        if not of_function:
            raise missing("Function", f"there is no function {place.function!r}")
        named = of_function if place.service is None else in_service
        if place.qualifier != LATEST and all(p.qualifier != place.qualifier for p in named):
            kind = "Version" if place.qualifier.isdecimal() else "Alias"
            raise missing(kind, f"there is no qualifier {place.qualifier!r}")
        return place

    def version_of(self, place: Place) -> str:
        """The version behind a qualifier: an alias stands for a number, the rest for itself."""
        if place.qualifier == LATEST or place.qualifier.isdecimal():
            return place.qualifier
        aliases = sorted({p.qualifier for p in self.corners if p.service == place.service})
        return str(aliases.index(place.qualifier) + 1)

    def _same_function(self, place: Place) -> list[Corner]:
        return [c for p, c in self.corners.items() if p[:2] == place[:2]]

    def _corner(self, place: Place) -> Corner:
        if place not in self.corners:
            basis = self.options.started_time
            self.corners[place] = Corner(place, Shelf(lambda task, now: task.life.started_at(now, basis)))
        return self.corners[place]
