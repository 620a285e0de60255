"""The emulated account: its functions and tasks, and the rules by which it answers. It knows no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fc_emulator.errors import ApiError, invalid_argument, not_found
from fc_emulator.lifecycle import FINISHED, Work, invoked
from fc_emulator.listing import ListQuery, Page, TaskList
from fc_emulator.options import Options
from fc_emulator.seed import Seed
from fc_emulator.tasks import CHOSEN_ID, LATEST, TASK_ID, Function, Task, TaskTemplate


class IneffectiveStop(NamedTuple):
    """A stop request that changed nothing, and its response. `code` is None when it was accepted."""

    at: int
    task: Task
    status: str
    request_id: str
    http_status: int
    code: str | None


@dataclass
class FunctionState:
    """The tasks of a function and its configuration of asynchronous calls. Without `starts` none runs."""

    listing: TaskList
    task_mode: bool = False
    starts: bool = True
    async_config: dict[str, Any] | None = None
    shown: dict[str, Any] = field(default_factory=lambda: {"timeout": 60})


@dataclass
class Account:
    """One account. *clock* returns epoch milliseconds and is the only source of time.

    `former` are tasks that no call finds any more, for the journal; `aliases` are those that were repointed.
    """

    options: Options
    seed: Seed
    clock: Callable[[], int]
    functions: dict[Function, FunctionState] = field(default_factory=dict)
    ineffective_stops: list[IneffectiveStop] = field(default_factory=list)
    former: list[Task] = field(default_factory=list)
    aliases: dict[Function, str] = field(default_factory=dict)
    advanced: int = 0
    seeded_at: int = 0

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start again from the seed, its relative times counted from now."""
        self.functions, self.ineffective_stops, self.advanced = {}, [], 0
        self.former, self.aliases = [], {}
        self.seeded_at = self.clock()
        for entry in self.seed.functions:
            state = self._state(entry.function)
            state.starts, state.shown = entry.starts, {"timeout": entry.timeout, **entry.resources}
            if entry.async_config is not None:
                self.put_async_config(entry.function, entry.async_config, entry.task_mode)
        for function, task_mode in self.seed.all_functions():
            state = self._state(function)
            state.task_mode = state.task_mode or task_mode
        for task in self.seed.tasks(self.seeded_at):
            self.functions[task.function].listing.add(task)
        for state in self.functions.values():
            state.listing.sort(self.seeded_at - self.options.list_lag)

    def now(self) -> int:
        """The present in the time of the tasks, `advanced` by some ms; signatures keep the real time."""
        return self.clock() + self.advanced

    def shown(self, moment: int) -> int:
        """A moment as callers see it: advancing moves tasks into the past. 0 and below stay as they are."""
        return moment - self.advanced if moment > 0 else moment

    def page(self, function: Function, query: ListQuery) -> Page:
        """A page of the tasks of *function*, as they were `list_lag` ago."""
        state = self.functions.get(self.existing(function))
        if state is None:
            return Page([], None)
        return state.listing.page(query, self.now() - self.options.list_lag)

    def task(self, function: Function, task_id: str) -> Task:
        if not TASK_ID.fullmatch(task_id):
            raise invalid_argument(f"{task_id!r} is not a task id; it must match {TASK_ID.pattern}")
        state = self.functions.get(self.existing(function))
        found = state.listing.tasks.get(task_id) if state else None
        if found is None:
            raise not_found("StatefulAsyncInvocation", f"there is no task {task_id!r} in {function}")
        return found

    def tasks(self) -> Iterator[Task]:
        for state in self.functions.values():
            yield from state.listing.tasks.values()

    def stop(self, function: Function, task_id: str, request_id: str) -> None:
        """Ask a task to stop; it is Stopping at once and Stopped later.

        Raises:
            ApiError: the task does not exist, or has finished.
        """
        task, now = self.task(function, task_id), self.now()
        status = task.lifecycle.status_at(now)
        error = self._stop_error(task, status)
        if error is not None or status == "Stopping":
            http_status, code = (error.status, error.code) if error else (self.options.stop_answer, None)
            self.ineffective_stops.append(IneffectiveStop(now, task, status, request_id, http_status, code))
            if error:
                raise error
            return
        task.lifecycle = task.lifecycle.stopped(now, self.options.stopping, request_id)

    def _stop_error(self, task: Task, status: str) -> ApiError | None:
        completed = "StatefulAsyncInvocationAlreadyCompleted"
        if status in FINISHED and self.options.stop_finished == 400:
            return invalid_argument(f"task {task.id!r} is {status} and cannot be stopped")
        if status in FINISHED:
            return ApiError(412, completed, f"task {task.id!r} is {status} already")
        if status == "Stopping" and self.options.stop_stopping == 412:
            return ApiError(412, completed, f"task {task.id!r} is being stopped already")
        return None

    def invoke(
        self,
        function: Function,
        task_id: str | None,
        *,
        task_mode: bool,
        payload: str,
        request_id: str,
        delay: int = 0,
    ) -> str | None:
        """Enqueue an asynchronous call and return the id of its task, None when it is no task.

        *task_mode*: the caller asked for task mode for this one call. It stays Enqueued for *delay* ms. What
        it then does, its *payload* says (`Work`), and how often it is tried again, the configuration.
        """
        state = self._state(self.existing(function))
        if not state.task_mode and not task_mode:
            if task_id is not None:
                message = f"{function} is not in task mode, so the call cannot be given the id {task_id!r}"
                raise invalid_argument(message)
            return None
        if task_id is not None and not CHOSEN_ID.fullmatch(task_id):
            raise invalid_argument(f"{task_id!r} is not a task id; it must match {CHOSEN_ID.pattern}")
        chosen = task_id or request_id
        same_function = [state for one, state in self.functions.items() if one[:2] == function[:2]]
        if any(chosen in other.listing.tasks for other in same_function):
            raise ApiError(409, "StatefulAsyncInvocationAlreadyExists", f"there is a task {chosen!r} already")
        template = TaskTemplate(payload=payload, request_id=request_id)
        retries = (state.async_config or {}).get("maxAsyncRetryAttempts", 3)
        life = invoked(self.now(), request_id, delay, Work.of(payload), retries)
        life = life if state.starts else life._replace(changes=())
        state.listing.add(Task(function, chosen, life, template))
        return chosen

    def put_async_config(self, function: Function, config: dict[str, Any], task_mode: bool) -> None:
        """Store the configuration of asynchronous calls, and whether they are tasks."""
        state = self._state(self.existing(function))
        created = (state.async_config or {}).get("created", self.now())
        state.async_config = {**config, "created": created, "modified": self.now()}
        state.task_mode = task_mode

    def async_config(self, function: Function) -> dict[str, Any]:
        state = self.functions.get(self.existing(function))
        if state is None or (state.async_config is None and not state.task_mode):
            message = f"{function} has no configuration of asynchronous calls"
            raise ApiError(404, "AsyncConfigNotExists", message)
        return state.async_config or {"created": self.seeded_at, "modified": self.seeded_at}

    def existing(self, function: Function) -> Function:
        """*function* itself, if its service, name and qualifier exist. LATEST exists everywhere.

        Aliases and versions belong to a service in Function Compute 2.0, to a function in 3.0.

        Raises:
            ApiError: one of them does not exist.
        """
        in_service = [one for one in self.functions if one.service == function.service]
        if function.service is not None and not in_service:
            raise not_found("Service", f"there is no service {function.service!r}")
        same_name = [one for one in in_service if one.name == function.name]
        if not same_name:
            raise not_found("Function", f"there is no function {function.name!r}")
        qualified = same_name if function.service is None else in_service
        if function.qualifier != LATEST and all(one.qualifier != function.qualifier for one in qualified):
            kind = "Version" if function.qualifier.isdecimal() else "Alias"
            raise not_found(kind, f"there is no qualifier {function.qualifier!r}")
        return function

    def replace(self, before: Task, task: Task) -> None:
        """Put *task* in the place of *before*, perhaps itself, whose lifecycle or function changed."""
        if task is not before:
            self._forget(before)
        self._state(task.function).listing.add(task)

    def delete(self, function: Function) -> None:
        """Delete a function under all its qualifiers, its tasks with it."""
        for one in [one for one in self.functions if one[:2] == function[:2]]:
            for task in self.functions.pop(one).listing.tasks.values():
                self._forget(task)

    def repoint(self, alias: Function, version: str) -> None:
        """Let *alias* point to *version*; `alias_tasks` says under which of the two its tasks stay."""
        for function, state in list(self.functions.items()):
            shares = function.service == alias.service and function.qualifier == alias.qualifier
            if not shares or (function.service is None and function.name != alias.name):
                continue
            old = self.version_of(function)
            for task in list(state.listing.tasks.values()):
                task.version = task.version or old
                if self.options.alias_tasks == "version":
                    state.listing.remove(task)
                    task.function = function._replace(qualifier=task.version)
                    self._state(task.function).listing.add(task)
            self.aliases[function] = version

    def version_of(self, function: Function) -> str:
        """The version of a qualifier: an alias points to a number, LATEST and versions to themselves."""
        if function.qualifier == LATEST or function.qualifier.isdecimal():
            return function.qualifier
        if function in self.aliases:
            return self.aliases[function]
        aliases = sorted({one.qualifier for one in self.functions if one.service == function.service})
        return str(aliases.index(function.qualifier) + 1)

    def _forget(self, task: Task) -> None:
        task.lifecycle = task.lifecycle._replace(changes=tuple(task.lifecycle.changes_until(self.now())))
        self.former.append(task)

    def _state(self, function: Function) -> FunctionState:
        if function not in self.functions:
            basis = self.options.started_time
            listing = TaskList(lambda task, now: task.lifecycle.started_time_at(now, basis))
            self.functions[function] = FunctionState(listing)
        return self.functions[function]
