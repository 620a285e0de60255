"""Scope of a run: the policies' targets, narrowed by what the event requests, and the functions they mean.

An event can only take away. Whatever it names must already be among the targets.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from hashlib import sha256
from itertools import product
from typing import NamedTuple

from fc_reaper.clock import Deadline, Jobs, Pool
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.errors import CloudError
from fc_reaper.evaluator.concurrency import name_of
from fc_reaper.events import Note, Request, Selector
from fc_reaper.models import Function, Snapshot, Target, spellings
from fc_reaper.policy import Policy
from fc_reaper.sweep import SweepContext

_GOLDEN_RATIO = (5**0.5 - 1) / 2  # https://en.wikipedia.org/wiki/Three-gap_theorem

EVERYTHING = Request("command", None, Selector(), "")  # the request of a command line that narrows nothing
MOST_FUNCTIONS = 20_000  # in task mode that are listed, inclusive: one call a second each, they take hours


class Share:
    """The functions of one *shard*, `k/n`, by their names and qualifiers as found.

    Those of a policy with `keep` or `halt_over`, under any qualifier, stay together, as do those of all such
    *policies* that may watch one function; they go by the name of the last one. So each task is evaluated and
    counted as without shards, and in one shard only.
    """

    def __init__(self, shard: str, policies: Iterable[Policy]) -> None:
        self._number, self._shards = map(int, shard.split("/"))
        self._whole: dict[Policy, list[str]] = {}
        self._leaders: dict[str, str] = {}
        for policy in (one for one in policies if one.keep is not None or one.halt_over is not None):
            globs = [name_of(target) for target in policy.targets]
            near = {self._leaders[one.name] for one, some in self._whole.items() if _may_meet(globs, some)}
            followers = [name for name, leader in self._leaders.items() if leader in near]
            self._leaders |= dict.fromkeys((*followers, policy.name), policy.name)
            self._whole[policy] = globs

    def holds(self, function: Function) -> bool:
        """Whether *function* is in this shard."""
        name = name_of(function)
        for policy, globs in self._whole.items():
            if any(fnmatchcase(name, glob) for glob in globs):
                return self.owns(policy)
        return self._has(str(function))

    def owns(self, policy: Policy) -> bool:
        """Whether all functions of a *policy* with `keep` or `halt_over` are in this shard."""
        return self._has(self._leaders.get(policy.name, policy.name))

    def _has(self, text: str) -> bool:
        return int.from_bytes(sha256(text.encode()).digest()[:8], "big") % self._shards == self._number - 1


def _may_meet(some: Iterable[str], others: Iterable[str]) -> bool:
    """Whether one name may fit in both: what stands before their first patterns does not exclude it."""
    # Without a pattern that is the whole, with an end.
    starts = [[re.split("[*?]", f"{glob}\0")[0] for glob in globs] for globs in (some, others)]
    return any(one.startswith(other) or other.startswith(one) for one, other in product(*starts))


class Area(NamedTuple):
    """What one request is about: the functions that its selector names among the targets of one policy."""

    request: Request
    policy: Policy
    targets: tuple[Target, ...]
    share: Share | None = None

    def fits(self, function: Function) -> bool:
        """Whether *function* is one of those meant."""
        fits = any(one.fits(function) for one in self.targets)
        fits = fits and (not self.request.selector.names_functions or names(self.request.selector, function))
        return fits and (self.share is None or self.share.holds(function))


@dataclass(eq=False, repr=False)
class Scope:
    """Which functions a run is about (`areas`), and by which policies their tasks are evaluated.

    `watched` are targets of other policies: a timer lists them for stuck tasks, and an id must not be known
    there either. `counted` are all targets of the `keep` policies that run: their tasks count, also where an
    event is about fewer. `beside` are all targets of the other stop policies that run.
    """

    areas: list[Area] = field(default_factory=list)
    watched: list[Area] = field(default_factory=list)
    counted: list[Area] = field(default_factory=list)
    beside: list[Area] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @classmethod
    def of(cls, policies: Iterable[Policy]) -> "Scope":
        """All targets of *policies*."""
        return cls([Area(EVERYTHING, policy, policy.targets) for policy in policies])

    @property
    def targets(self) -> list[Target]:
        """All targets that are listed for some reason."""
        areas = (*self.areas, *self.counted, *self.watched)
        return list(dict.fromkeys(target for area in areas for target in area.targets))

    def policies(self, function: Function) -> tuple[set[Policy], set[Policy]]:
        """The policies by which tasks of *function* are evaluated, and those for which they only count."""
        evaluated, counted, beside = (
            {area.policy for area in areas if area.fits(function)}
            for areas in (self.areas, self.counted, self.beside)
        )
        return evaluated, (counted | beside if counted else counted) - evaluated


def scope_of(requests: Sequence[Request], policies: Sequence[Policy]) -> Scope:
    """Narrow the targets of *policies* by each of *requests*; a note says what falls outside."""
    scope = Scope()
    for request in requests:
        areas, counted, named, shard = [], [], False, request.selector.shard
        share = None if shard is None else Share(shard, policies)
        for policy in policies:
            whole = Area(EVERYTHING, policy, policy.targets, share)
            targets = policy.targets
            if request.selector.names_functions:
                targets = tuple(one for one in targets if may_name(request.selector, one))
            named = named or bool(targets)
            # A policy that keeps so many of all says nothing about a task that is named.
            silent = policy.keep is not None and request.selector.invocation_id is not None
            runs = policy.fits_trigger(request.kind, request.name) and not silent
            if runs and policy.withholds:
                scope.beside.append(whole)
            if runs and policy.keep is not None:
                counted.append(whole)
            if runs and targets:
                areas.append(Area(request, policy, targets, share))
            elif targets and (request.kind == "task" or (request.kind == "timer" and policy.stops)):
                scope.watched.append(Area(request, policy, targets, share))
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


def names(selector: Selector, function: Function) -> bool:
    """Whether *selector* names *function*, in either spelling of its name."""
    return any(
        all(part in (None, given) for part, given in zip(selector[:3], one, strict=True))
        for one in spellings(function)
    )


def may_name(selector: Selector, target: Target) -> bool:
    """Whether *selector* may name a function of *target*; of a pattern only discovery is certain."""
    if not target.needs_discovery:
        return names(selector, target)
    service, function, qualifier = selector[:3]
    if service is None and function is not None and "$" in function:
        service, _, function = function.partition("$")
    if target.service is None:
        function = None if None in (service, function) else f"{service}${function}"
        service = None
    parts = zip((service, function, qualifier), target, strict=True)
    return all(part is None or fnmatchcase(part, pattern or "") for part, pattern in parts)


def first_of(number: int, tick: int) -> int:
    """Where the run of a *tick* begins among *number* functions: multiples of the ratio are spread evenly."""
    return int(tick * _GOLDEN_RATIO % 1 * number)


def is_own(function: Function, own: Target | None) -> bool:
    """Whether *function*, under any qualifier and either of its names, is the reaper's *own*."""
    return own is not None and any(own.fits(one, any_qualifier=True) for one in spellings(function))


def list_functions(cloud: AsyncTaskClient, pool: Pool, *, services: bool, until: Deadline) -> list[Function]:
    """List all functions in task mode, of 2.0 with *services*, else of 3.0; all, or a CloudError."""
    found: dict[Function, None] = {}
    page_of = partial(cloud.functions_page, services=services, deadline=until)
    jobs: Jobs[None, tuple[list[Function], str | None]] = deque([(None, page_of)])
    for _, page in pool.each(jobs, until):
        if isinstance(page, CloudError):
            raise page
        functions, token = page
        found.update(dict.fromkeys(functions))
        if len(found) > MOST_FUNCTIONS:
            raise CloudError(f"there are more than {MOST_FUNCTIONS} functions", error_code="UnreadableAnswer")
        if token is not None:
            jobs.append((None, partial(page_of, token=token)))
    return list(found)


def resolve(
    targets: Iterable[Target], known: Callable[[bool], Iterable[Function] | None]
) -> tuple[list[Function], list[Target]]:
    """The functions that *targets* mean, among those *known* in 2.0 or 3.0, and patterns that fit none."""
    targets = list(targets)
    found = {Function(*target): None for target in targets if not target.needs_discovery}
    unmatched: list[Target] = []
    for target in targets:
        listed = known(target.service is not None) if target.needs_discovery else None
        if listed is not None:
            fitting = [function for function in listed if target.fits(function)]
            found.update(dict.fromkeys(fitting))
            if not fitting:
                unmatched.append(target)
    return list(found), unmatched


class _Search(NamedTuple):
    """Where the task that a request names is looked for, and the answers so far."""

    request: Request
    scope: Scope
    functions: Sequence[Function]
    answers: list[Snapshot | CloudError]


@dataclass(eq=False, repr=False)
class Finder:
    """Finds the functions of a scope and the tasks that requests name, and reports what is refused."""

    context: SweepContext
    _existing: dict[bool, list[Function] | None] = field(default_factory=dict)

    def scope(self, requests: Sequence[Request]) -> Scope:
        """The scope of *requests*; what falls outside the targets is reported."""
        scope = scope_of(requests, self.context.policy.policies)
        for note in scope.notes:
            self.context.report.note(*note)
        return scope

    def functions(self, scope: Scope, until: Deadline) -> list[Function]:
        """The functions of *scope*; what exists is listed once in a run, and only for patterns."""
        report, areas = self.context.report, (*scope.areas, *scope.counted, *scope.watched)
        functions, unmatched = resolve(scope.targets, partial(self._known, until))
        requested = {target for area in scope.areas for target in area.targets}
        names = [str(target) for target in unmatched if target in requested]
        report.unmatched = list(dict.fromkeys((*report.unmatched, *names)))
        return [one for one in functions if any(area.fits(one) for area in areas)]

    def named(self, requests: Sequence[Request], until: Deadline) -> Iterator[tuple[Snapshot, Scope]]:
        """Yield the tasks that *requests* name by their ids, each if it is exactly one among the targets."""
        report = self.context.report
        jobs: Jobs[tuple[_Search, Function], Snapshot] = deque()
        for request in requests:
            # An event may name ten thousand tasks, each perhaps one of hundreds of functions.
            if self.context.clock.monotonic() >= until:
                report.partial = True
                report.unresolved += 1
                report.note("trigger_refused", "the time was up before it was looked for", request.part)
                continue
            scope = self.scope([request])
            search = _Search(request, scope, self.functions(scope, until) if scope.areas else [], [])
            if scope.areas and not search.functions:
                yield from self._found(search)
            for function in search.functions:
                invocation_id = request.selector.invocation_id or ""
                get = partial(self.context.cloud.get, function, invocation_id, deadline=until)
                jobs.append(((search, function), get))
        for (search, function), answer in self.context.pool.each(jobs, until):
            search.answers.append(answer)
            if isinstance(answer, Snapshot) or answer.missing:
                report.answered = True
            else:
                report.not_listed(function, None, answer)
            if len(search.answers) == len(search.functions):
                # At once, since a record may hold a payload.
                yield from self._found(search)
                search.answers.clear()

    def _found(self, search: _Search) -> Iterator[tuple[Snapshot, Scope]]:
        """The one task that was found; whatever else was answered is reported."""
        report, part = self.context.report, search.request.part
        snapshots = [one for one in search.answers if isinstance(one, Snapshot)]
        unread = any(isinstance(one, CloudError) and not one.missing for one in search.answers)
        if unread or not self.is_known(search.scope.targets):
            # The task may not be the only one of its id.
            why = "it is not certain which task is meant: not every function among the targets could be read"
            report.unresolved += 1
            report.note("trigger_refused", why, part)
        elif len(snapshots) == 1:
            report.served += 1
            yield snapshots[0], search.scope
        elif snapshots:
            places = ", ".join(sorted(str(one.task.function) for one in snapshots)[:5])
            why = f"several tasks have this invocation id: {places}; name service, function and qualifier"
            report.note("trigger_refused", why, part)
        else:
            report.note("trigger_refused", "no task of this invocation id among the targets", part)

    def is_known(self, targets: Iterable[Target]) -> bool:
        """Whether no listing failed of the functions that the patterns among *targets* match."""
        patterns = (target.service is not None for target in targets if target.needs_discovery)
        return all(self._existing.get(services, ()) is not None for services in patterns)

    def _known(self, until: Deadline, services: bool) -> list[Function] | None:
        cloud, pool, report = self.context.cloud, self.context.pool, self.context.report
        if services not in self._existing:
            try:
                self._existing[services] = list_functions(cloud, pool, services=services, until=until)
                report.answered = True
            except CloudError as error:
                self._existing[services] = None
                every = Function("*" if services else None, "*", "*")
                report.not_listed(every, None, error, "the functions in task mode")
        return self._existing[services]
