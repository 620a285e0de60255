"""Finding what an event asks for: the functions that exist, and the tasks that are named by their ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from fc_reaper.clock import Deadline
from fc_reaper.errors import CloudError
from fc_reaper.events import Request
from fc_reaper.models import Function, Snapshot
from fc_reaper.policy import Policy
from fc_reaper.sweep.discovery import existing
from fc_reaper.sweep.pool import Pool
from fc_reaper.sweep.ports import Cloud
from fc_reaper.sweep.report import Report
from fc_reaper.sweep.resolve import resolve
from fc_reaper.sweep.scope import BY_HAND, Area, Scope, scope_of


class Named(NamedTuple):
    """The one task that an ask names, and the scope of that ask."""

    sighting: Snapshot
    scope: Scope


class Finder:
    """Narrows, discovers and resolves for one run, and reports what had to be refused."""

    def __init__(self, cloud: Cloud, crew: Pool, report: Report, policies: Sequence[Policy]) -> None:
        self._cloud, self._crew, self._report = cloud, crew, report
        self._policies = policies
        self._existing: dict[bool, list[Function] | None] = {}

    def scope(self, asks: Sequence[Request]) -> Scope:
        """Where *asks* lead; what falls outside the targets is told."""
        scope = scope_of(asks, self._policies)
        for note in scope.notes:
            if note.event == "trigger_refused":
                self._report.refuse(note.why, note.part)
            else:
                self._report.note(note.event, note.why, note.part)
        self._report.served += sum(area.ask.selector.invocation_id is None for area in scope.areas)
        return scope

    def functions(self, scope: Scope, until: Deadline) -> list[Function]:
        """The functions of *scope*; what exists is asked once in a run, and only for patterns."""
        wanted = sorted(scope.needs_discovery())
        for services in wanted:
            if services not in self._existing:
                self._existing[services] = self._ask_existing(scope, services, until)
        known = [function for services in wanted for function in self._existing[services] or ()]
        if not self._is_undiscovered(scope):
            missing = (str(target) for target in scope.unmatched(known))
            self._report.unmatched += [one for one in missing if one not in self._report.unmatched]
        return scope.functions(known)

    def everything(self, policy: Policy, until: Deadline) -> list[Function]:
        """All functions that *policy* watches, whatever the event asked for.

        Raises:
            CloudError: what its patterns stand for could not be learnt.
        """
        scope = Scope([Area(BY_HAND, policy, policy.targets)])
        functions = self.functions(scope, until)
        if self._is_undiscovered(scope):
            raise CloudError("the functions could not be listed", error_code="UnreadableAnswer")
        return functions

    def named(
        self, asks: Sequence[Request], until: Deadline, failed: Callable[[Function, CloudError], None]
    ) -> Iterator[Named]:
        """Yield the tasks that *asks* name by their ids, each if it is exactly one among the targets."""
        scopes = {ask: scope for ask in asks if (scope := self.scope([ask])).areas}
        candidates = {ask: self.functions(scope, until) for ask, scope in scopes.items()}
        for ask, resolved in resolve(self._cloud, candidates, self._crew, until).items():
            resolved.undiscovered = self._is_undiscovered(scopes[ask])
            for function, error in resolved.failures:
                failed(function, error)
            self._report.answered = self._report.answered or resolved.answered
            if resolved.refusal is None:
                self._report.served += 1
                yield Named(resolved.found[0], scopes[ask])
            elif resolved.uncertain:
                self._report.unresolved += 1
                self._report.note("trigger_refused", resolved.refusal, ask.part)
            else:
                self._report.refuse(resolved.refusal, ask.part)

    def _is_undiscovered(self, scope: Scope) -> bool:
        return any(self._existing.get(services) is None for services in scope.needs_discovery())

    def _ask_existing(self, scope: Scope, services: bool, until: Deadline) -> list[Function] | None:
        try:
            known = existing(self._cloud, self._crew, services=services, until=until)
        except CloudError as error:
            self._report.failed("the functions in task mode", error)
            self._report.undiscovered |= scope.needing_discovery(services=services)
            self._report.log_refusal("*" if services else None, "*", "*", None, error)
            return None
        self._report.answered = True
        return known
