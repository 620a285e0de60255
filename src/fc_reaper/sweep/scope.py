"""Scope of a run: the policies' targets, narrowed by what the event requests, and the functions they mean.

An event can only take away. Whatever it names must already be among the targets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import NamedTuple

from fc_reaper.clock import Deadline
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.errors import CloudError
from fc_reaper.events import Note, Request, Selector
from fc_reaper.models import Function, FunctionsPage, Snapshot
from fc_reaper.policy import Policy
from fc_reaper.rules.target import Target, spellings
from fc_reaper.sweep.context import SweepContext
from fc_reaper.sweep.pool import Jobs, Pool

EVERYTHING = Request("command", None, Selector(), "")
"""The request of a command line that narrows nothing."""

_MOST_PAGES = 1_000
"""Pages of the list of functions that are read at most."""


class Area(NamedTuple):
    """What one request leaves of one policy's targets."""

    request: Request
    policy: Policy
    targets: tuple[Target, ...]

    def fits(self, function: Function) -> bool:
        """Whether *function* is one of those meant."""
        return any(target.fits(function) for target in self.targets)


class Scope:
    """Which functions a run is about, and by which policies their tasks are evaluated.

    `watched` are targets of other policies: a timer lists them too, but only for stuck tasks, and an id must
    not be known there either. `counted` are all targets of the `keep` policies that run: their tasks count,
    also where an event is about fewer. `beside` are all targets of the other stop policies that run.
    """

    def __init__(self, areas: Iterable[Area] = ()) -> None:
        self.areas = list(areas)
        self.watched: list[Area] = []
        self.counted: list[Area] = []
        self.beside: list[Area] = []
        self.notes: list[Note] = []

    @property
    def targets(self) -> list[Target]:
        """All targets that are listed for some reason."""
        every = (*self.areas, *self.counted, *self.watched)
        return list(dict.fromkeys(target for area in every for target in area.targets))

    def policies(self, function: Function) -> set[Policy]:
        """The policies by which the tasks of *function* are evaluated."""
        return {area.policy for area in self.areas if area.fits(function)}

    def counting(self, function: Function) -> set[Policy]:
        """The policies for which the tasks of *function* count, those by which they are evaluated among them.

        Those are `keep` policies in whose targets the run is about other functions, and with them the stop
        policies to which a task may belong, so that it counts for no `keep` policy.
        """
        found = {area.policy for area in self.counted if area.fits(function)}
        return found | {area.policy for area in self.beside if found and area.fits(function)}


def scope_of(requests: Sequence[Request], policies: Sequence[Policy]) -> Scope:
    """Narrow the targets of *policies* by each of *requests*; a note says what falls outside."""
    scope = Scope()
    for request in requests:
        areas, counted, named = [], [], False
        for policy in policies:
            whole = Area(request, policy, policy.targets)
            targets = narrowed(policy.targets, request.selector)
            named = named or bool(targets)
            # A policy that keeps so many of all says nothing about a task that is named.
            runs = policy.fits_trigger(request.kind, request.name) and (
                policy.keep is None or request.selector.invocation_id is None
            )
            if runs and policy.withholds:
                scope.beside.append(whole)
            if runs and policy.keep is not None:
                counted.append(whole)
            if runs and targets:
                areas.append(Area(request, policy, targets))
            elif targets and (request.kind == "task" or (request.kind == "timer" and policy.stops)):
                scope.watched.append(Area(request, policy, targets))
        scope.areas += areas
        # A task that is one too many for one `keep` policy counts for no later one: count all, or none.
        if any(one.policy.keep is not None for one in areas):
            scope.counted += counted
        if not areas and named:
            why = f"no policy is run by {request.kind} {request.name or ''}".rstrip()
            scope.notes.append(Note("trigger_ignored", why, request.part))
        elif not areas:
            why = "what it names is not among the targets of the policy"
            scope.notes.append(Note("trigger_refused", why, request.part))
    return scope


def narrowed(targets: Iterable[Target], selector: Selector) -> tuple[Target, ...]:
    """What *selector* leaves of *targets*; a part it names replaces the pattern that allows it."""
    if not any(selector[:3]):
        return tuple(dict.fromkeys(targets))
    kept = [_narrow(target, spelling) for target in targets for spelling in _spellings(selector)]
    return tuple(dict.fromkeys(target for target in kept if target is not None))


def _narrow(target: Target, selector: Selector) -> Target | None:
    service, name, qualifier = target
    if selector.service is not None:
        if service is None or not fnmatchcase(selector.service, service):
            return None
        service = selector.service
    if selector.function is not None:
        named = _narrow_name(target, selector.function)
        if named is None:
            return None
        name = named
    if selector.qualifier is not None:
        if not fnmatchcase(selector.qualifier, qualifier):
            return None
        qualifier = selector.qualifier
    return Target(service, name, qualifier)


def _narrow_name(target: Target, function: str) -> str | None:
    """What is left of the pattern for the name; never more than it was. None when nothing is."""
    if "$" in function and target.service is not None:
        return None
    if function.endswith("$*"):  # all functions of a service, by their 3.0 names
        whole = function if target.name == "*" else target.name
        return whole if whole.startswith(function[:-1]) else None
    if function.startswith("*$"):  # one function of any service, by its 3.0 name
        whole = function if target.name == "*" else target.name
        return whole if whole.endswith(function[1:]) else None
    return function if fnmatchcase(function, target.name) else None


def _spellings(selector: Selector) -> list[Selector]:
    """A function made in 2.0 is called `service$function` in 3.0; both names mean the same one.

    https://help.aliyun.com/en/functioncompute/monitoring-data
    """
    service, function = selector.service, selector.function
    if function is not None and "$" in function and service is None:
        service, _, name = function.partition("$")
        return [selector, selector._replace(service=service, function=name)]
    if service is not None:
        name = "*" if function is None else function
        return [selector, selector._replace(service=None, function=f"{service}${name}")]
    if function is not None:
        return [selector, selector._replace(function=f"*${function}")]
    return [selector]


def is_own(function: Function, own: Target | None) -> bool:
    """Whether *function*, under any qualifier and either of its names, is the reaper's *own*."""
    return own is not None and any(own.fits_path(one.service, one.name) for one in spellings(function))


def list_functions(cloud: AsyncTaskClient, pool: Pool, *, services: bool, until: Deadline) -> list[Function]:
    """List all functions in task mode; *services* chooses Function Compute 2.0, else 3.0.

    Raises:
        CloudError: the list failed or did not end in time; nothing follows from a part of it.
    """
    found: dict[Function, None] = {}
    page_of = partial(cloud.functions_page, services=services, deadline=until)
    jobs: Jobs[int, FunctionsPage] = deque([(1, page_of)])
    for done in pool.each(jobs, until):
        page = done.result()
        found.update(dict.fromkeys(page.functions))
        if page.token is None:
            return list(found)
        if done.tag < _MOST_PAGES:
            jobs.append((done.tag + 1, partial(page_of, token=page.token)))
    raise CloudError("the functions could not be listed to their end", error_code="OutOfTime")


def resolve(
    targets: Iterable[Target], known: Callable[[bool], Iterable[Function] | None]
) -> tuple[list[Function], list[Target]]:
    """The functions that *targets* mean, literal ones first, and the patterns that fit none.

    *known* lists the functions in task mode, of 2.0 for True, else of 3.0; None where that failed.
    """
    targets = list(targets)
    found = {target.literal(): None for target in targets if not target.needs_discovery}
    unmatched: list[Target] = []
    for target in targets:
        listed = known(target.service is not None) if target.needs_discovery else None
        if listed is not None:
            fitting = [function for function in listed if target.fits(function)]
            found.update(dict.fromkeys(fitting))
            unmatched += [] if fitting else [target]
    return list(found), unmatched


class Finder:
    """Finds the functions of a scope and the tasks that requests name, and reports what is refused."""

    def __init__(self, context: SweepContext) -> None:
        self._cloud, self._pool, self._report = context.cloud, context.pool, context.report
        self._policies = context.policy.policies
        self._existing: dict[bool, list[Function] | None] = {}

    def scope(self, requests: Sequence[Request]) -> Scope:
        """The scope of *requests*; what falls outside the targets is reported."""
        scope = scope_of(requests, self._policies)
        for event, why, part in scope.notes:
            if event == "trigger_refused":
                self._report.refuse(why, part)
            else:
                self._report.note(event, why, part)
        self._report.served += sum(area.request.selector.invocation_id is None for area in scope.areas)
        return scope

    def functions(self, scope: Scope, until: Deadline) -> list[Function]:
        """The functions of *scope*; what exists is listed once in a run, and only for patterns."""
        functions, unmatched = resolve(scope.targets, partial(self._known, scope, until))
        requested = {target for area in scope.areas for target in area.targets}
        for name in (str(target) for target in unmatched if target in requested):
            self._report.unmatched += [] if name in self._report.unmatched else [name]
        return functions

    def named(self, requests: Sequence[Request], until: Deadline) -> Iterator[tuple[Snapshot, Scope]]:
        """Yield the tasks that *requests* name by their ids, each if it is exactly one among the targets."""
        scopes = {request: scope for request in requests if (scope := self.scope([request])).areas}
        found: dict[Request, list[Snapshot]] = {request: [] for request in scopes}
        jobs: Jobs[tuple[Request, Function], Snapshot] = deque()
        for request, scope in scopes.items():
            for function in self.functions(scope, until):
                invocation_id = request.selector.invocation_id or ""
                jobs.append(
                    ((request, function), partial(self._cloud.get, function, invocation_id, deadline=until))
                )
        # While one function could not be read the task may not be the only one of its id.
        uncertain = {request for request, scope in scopes.items() if not self.is_complete(scope)}
        for done in self._pool.each(jobs, until):
            request, function = done.tag
            try:
                found[request].append(done.result())
                self._report.answered = True
            except CloudError as error:
                if error.missing:
                    self._report.answered = True
                else:
                    uncertain.add(request)
                    self._report.not_listed(function, None, error)
        for request, snapshots in found.items():
            if request in uncertain:
                why = "it is not certain which task is meant"
                why += ": not every function among the targets could be read"
                self._report.unresolved += 1
                self._report.note("trigger_refused", why, request.part)
            elif len(snapshots) == 1:
                self._report.served += 1
                yield snapshots[0], scopes[request]
            elif not snapshots:
                self._report.refuse("no task of this invocation id among the targets", request.part)
            else:
                places = ", ".join(sorted(str(one.task.function) for one in snapshots)[:5])
                why = f"several tasks have this invocation id: {places}; name service, function and qualifier"
                self._report.refuse(why, request.part)

    def is_complete(self, scope: Scope) -> bool:
        """Whether the functions that the patterns of *scope* match could be listed."""
        needed = {target.service is not None for target in scope.targets if target.needs_discovery}
        return all(self._existing.get(services) is not None for services in needed)

    def _known(self, scope: Scope, until: Deadline, services: bool) -> list[Function] | None:
        if services in self._existing:
            return self._existing[services]
        try:
            self._existing[services] = list_functions(self._cloud, self._pool, services=services, until=until)
            self._report.answered = True
        except CloudError as error:
            self._existing[services] = None
            every = Function("*" if services else None, "*", "*")
            self._report.not_listed(every, None, error, "the functions in task mode")
            self._report.undiscovered |= {
                area.policy.name
                for area in (*scope.areas, *scope.counted)
                for target in area.targets
                if target.needs_discovery and (target.service is not None) == services
            }
        return self._existing[services]
