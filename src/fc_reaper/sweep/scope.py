"""Where a run looks: the policies' targets, narrowed by what the event asked for.

An event can only take away. Whatever it names must already be among the targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

from fc_reaper.events import Note, Request, Selector
from fc_reaper.models import Function
from fc_reaper.policy import Policy
from fc_reaper.rules.target import Target

BY_HAND = Request("command", None, Selector(), "")
"""What somebody at a command line asks, who narrows nothing."""


class Area(NamedTuple):
    """What one ask leaves of one policy's targets."""

    ask: Request
    policy: Policy
    targets: tuple[Target, ...]


@dataclass
class Scope:
    """Which functions are looked at, and by which policies their tasks are judged."""

    areas: list[Area] = field(default_factory=list)
    watched: list[Area] = field(default_factory=list)
    """Where other policies have their targets: a timer looks there too, but only for what is stuck, and an
    id must not be known there either."""
    counted: list[Area] = field(default_factory=list)
    """All targets of the `keep` policies that run: they count, also where an event asks about fewer."""
    beside: list[Area] = field(default_factory=list)
    """All targets of the other stop policies that run."""
    notes: list[Note] = field(default_factory=list)

    @property
    def everywhere(self) -> tuple[Area, ...]:
        """All areas that are looked at for some reason."""
        return (*self.areas, *self.counted, *self.watched)

    def needs_discovery(self) -> set[bool]:
        """The generations that must be asked what exists: True for services (2.0), False for 3.0."""
        targets = (target for area in self.everywhere for target in area.targets)
        return {target.service is not None for target in targets if target.needs_discovery}

    def needing_discovery(self, *, services: bool) -> set[str]:
        """The policies that look at fewer functions while that generation cannot be asked."""
        return {
            area.policy.name
            for area in (*self.areas, *self.counted)
            for target in area.targets
            if target.needs_discovery and (target.service is not None) == services
        }

    def unmatched(self, existing: Sequence[Function]) -> list[Target]:
        """The patterns that stand for no function of *existing*."""
        patterns = {t: None for area in self.areas for t in area.targets if t.needs_discovery}
        return [target for target in patterns if not any(target.fits(one) for one in existing)]

    def functions(self, existing: Iterable[Function]) -> list[Function]:
        """The functions meant, literal targets first; *existing* is what discovery found."""
        found: dict[Function, None] = {}
        targets = [target for area in self.everywhere for target in area.targets]
        for target in targets:
            if not target.needs_discovery:
                found[target.literal()] = None
        for function in existing:
            if any(target.needs_discovery and target.fits(function) for target in targets):
                found[function] = None
        return list(found)

    def policies(self, function: Function) -> list[Policy]:
        """The policies that judge *function* in this run, in the order of the file."""
        fitting = [area.policy for area in self.areas if _fits(area, function)]
        return sorted(set(fitting), key=lambda policy: policy.index)

    def counting(self, function: Function) -> list[Policy]:
        """The policies for which the tasks of *function* only count, in the order of the file.

        Those are `keep` policies that are asked about other functions, and beside them the stop policies to
        which a task may belong, so that it counts for no `keep` policy.
        """
        fitting = {area.policy for area in self.counted if _fits(area, function)}
        if fitting:
            fitting |= {area.policy for area in self.beside if _fits(area, function)}
        return sorted(fitting.difference(self.policies(function)), key=lambda policy: policy.index)


def scope_of(asks: Sequence[Request], policies: Sequence[Policy]) -> Scope:
    """Narrow the targets of *policies* by each of *asks*; what falls outside is refused in a note."""
    scope = Scope()
    for ask in asks:
        areas, counted, named = [], [], False
        for policy in policies:
            targets = narrowed(policy.targets, ask.selector)
            if policy.withholds and _runs(policy, ask):
                scope.beside.append(Area(ask, policy, policy.targets))
            named = named or bool(targets)
            if policy.keep is not None and _runs(policy, ask):
                counted.append(Area(ask, policy, policy.targets))
            if targets and _runs(policy, ask):
                areas.append(Area(ask, policy, targets))
            elif targets and (ask.kind == "task" or (ask.kind == "timer" and policy.stops)):
                scope.watched.append(Area(ask, policy, targets))
        scope.areas += areas
        # Who is one too many for one of them counts for no later one, so all must be counted, or none.
        if any(one.policy.keep is not None for one in areas):
            scope.counted += counted
        if not areas:
            scope.notes.append(_left_out(ask, named))
    return scope


def _runs(policy: Policy, ask: Request) -> bool:
    """Whether *ask* runs *policy*. One that keeps so many of all says nothing of a task that is named."""
    named = ask.selector.invocation_id is not None
    return policy.fits_trigger(ask.kind, ask.name) and not (named and policy.keep is not None)


def narrowed(targets: Iterable[Target], selector: Selector) -> tuple[Target, ...]:
    """What *selector* leaves of *targets*; a part it names replaces the pattern that allows it."""
    kept: dict[Target, None] = {}
    for target in targets:
        for spelling in _spellings(selector):
            narrow = _narrow(target, spelling)
            if narrow is not None:
                kept[narrow] = None
    return tuple(kept)


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
    spellings = [selector]
    service, function = selector.service, selector.function
    if function is not None and "$" in function and service is None:
        service, _, name = function.partition("$")
        spellings.append(selector._replace(service=service, function=name))
    elif service is not None:
        name = "*" if function is None else function
        spellings.append(selector._replace(service=None, function=f"{service}${name}"))
    elif function is not None:
        spellings.append(selector._replace(function=f"*${function}"))
    return spellings


def _fits(area: Area, function: Function) -> bool:
    return any(target.fits(function) for target in area.targets)


def _left_out(ask: Request, named: bool) -> Note:
    if named:
        return Note("trigger_ignored", f"no policy is run by {ask.kind} {ask.name or ''}".rstrip(), ask.part)
    return Note("trigger_refused", "what it names is not among the targets of the policy", ask.part)
