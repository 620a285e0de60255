"""The story of a run, top to bottom: where to look, look, think, act, prove, tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from fc_reaper.clock import Clock, Deadline
from fc_reaper.errors import CloudError
from fc_reaper.judge.choose import choose
from fc_reaper.judge.claim import Rules, rules_for
from fc_reaper.judge.clocks import StartedTime
from fc_reaper.judge.verdict import Claim
from fc_reaper.model import Function, Millis, Task
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.sightings import Sighting
from fc_reaper.sweep.act import act, prove
from fc_reaper.sweep.crew import Crew
from fc_reaper.sweep.discovery import existing
from fc_reaper.sweep.hands import Hands
from fc_reaper.sweep.ledger import Ledger
from fc_reaper.sweep.look import Look
from fc_reaper.sweep.ports import Cloud, Tell
from fc_reaper.sweep.report import Report
from fc_reaper.sweep.resolve import resolve
from fc_reaper.sweep.scope import Scope, scope_of
from fc_reaper.sweep.stopping import Outcome, Stopper
from fc_reaper.sweep.teller import Teller, error_fields
from fc_reaper.target import Target, spellings
from fc_reaper.trigger import Ask

_PROOF_AFTER = 2.0
"""Seconds between the last accepted stop and the one pass of proof."""

_FOR_LOOKING = 0.6
"""Share of the time that looking may take, so that what was found can still be acted upon."""


@dataclass(frozen=True)
class Terms:
    """How a run works, all of it settled before it begins. Lengths of time are milliseconds.

    `end` is the moment by which the run must be over. `log_tasks` is the most task lines per policy,
    `shown` the most tasks in the result. `tick` is the time between two runs, for `new` only.
    """

    end: Deadline
    concurrency: int = 16
    stuck_after: Millis = 180_000
    started_time: StartedTime = "unknown"
    ourselves: Target | None = None
    log_tasks: int = 100
    shown: int = 100
    tick: Millis = 300_000
    verbose: bool = False


class Sweep:
    """One run over the tasks that an event asks about."""

    def __init__(
        self,
        cloud: Cloud,
        hands: Hands,
        policy: PolicyFile,
        terms: Terms,
        tell: Tell,
        *,
        clock: Clock,
        random: Random,
        interrupted: Callable[[], bool],
    ) -> None:
        self.ledger = Ledger()
        self._cloud, self._hands, self._policy, self._terms = cloud, hands, policy, terms
        self._clock, self._random, self._interrupted = clock, random, interrupted
        self._tell = tell
        self._teller = Teller(tell, limit=terms.log_tasks, tick=terms.tick, verbose=terms.verbose)
        self._report = Report(self.ledger, self._teller, shown=terms.shown, tick=terms.tick)
        self._crew = Crew(terms.concurrency, clock, interrupted)
        self._rules: dict[Function, Rules] = {}
        self._task_rules: dict[tuple[Function, str], Rules] = {}
        self._existing: dict[bool, list[Function]] = {}
        self._unseen: set[str] = set()
        self._served = 0
        self._refusals = 0

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """The due tasks as they are shown in the result."""
        return self._report.tasks

    @property
    def refused_whole(self) -> bool:
        """Whether everything that was asked for had to be refused."""
        return self._refusals > 0 and self._served == 0

    def run(self, asks: Sequence[Ask]) -> None:
        """Do it all; what happened is told as it happens and stands in the ledger."""
        begin = self._clock.monotonic()
        share = self._terms.end - begin
        try:
            choices = choose(
                self._look(asks, begin + share * _FOR_LOOKING),
                self._policy.policies,
                spare=max(self._terms.log_tasks, self._terms.shown),
                unseen=self._some_unseen,
            )
            accepted = self._act(choices)
            self._prove(accepted)
            for choice in choices:
                self._report.held_back(choice)
        finally:
            self._crew.dismiss()
            self._cloud.abort()
            if self._interrupted():
                self.ledger.partial = True
            self._teller.finish()

    def _look(self, asks: Sequence[Ask], until: Deadline) -> Iterator[Claim]:
        narrow = [ask for ask in asks if ask.narrowing.invocation_id is not None]
        broad = [ask for ask in asks if ask.narrowing.invocation_id is None]
        scope = scope_of(broad, self._policy.policies)
        self._note(scope)
        self._served += len(scope.areas)
        found = self._discover(scope, until)
        functions = self._rotated(scope.functions(found))
        self._rules = {one: self._rules_for(one, scope.policies(one)) for one in functions}
        self.ledger.functions = len(functions)
        look = Look(self._cloud, self._crew, self.ledger, self._teller, stuck_after=self._terms.stuck_after)
        yield from self._named(look, narrow, scope, until)
        yield from look.claims(self._rules, self._clock.now(), until)

    def _named(self, look: Look, asks: Sequence[Ask], broad: Scope, until: Deadline) -> Iterator[Claim]:
        """Judge the tasks that *asks* name by their ids, each if it is exactly one among the targets."""
        scopes: dict[Ask, Scope] = {}
        for ask in asks:
            scope = scope_of([ask], self._policy.policies)
            self._note(scope)
            if scope.areas:
                scopes[ask] = scope
        candidates = {ask: scope.functions(self._discover(scope, until)) for ask, scope in scopes.items()}
        for ask, resolved in resolve(self._cloud, candidates, self._crew, until).items():
            for function, error in resolved.failures:
                look.failed(function, error)
            self.ledger.answered = self.ledger.answered or resolved.answered
            if resolved.refusal is not None:
                self._refuse(resolved.refusal, ask.part)
                continue
            self._served += 1
            yield from self._one(look, resolved.found[0], (scopes[ask], broad))

    def _one(self, look: Look, sighting: Sighting, scopes: Sequence[Scope]) -> Iterator[Claim]:
        """Judge one task by the policies of all *scopes* that its function is in."""
        task, moment = sighting
        if task.function not in self._rules:
            self.ledger.functions += 1
        policies = {policy for scope in scopes for policy in scope.policies(task.function)}
        rules = self._rules_for(task.function, sorted(policies, key=lambda policy: policy.index))
        self._task_rules[task.function, task.invocation_id] = rules
        if look.remember(task):
            yield from look.judge(task, rules, moment, read=True)

    def _discover(self, scope: Scope, until: Deadline) -> list[Function]:
        found: list[Function] = []
        for services in sorted(scope.needs_discovery()):
            if services in self._existing:
                found += self._existing[services]
                continue
            try:
                self._existing[services] = existing(self._cloud, self._crew, services=services, until=until)
                found += self._existing[services]
                self.ledger.answered = True
            except CloudError as error:
                self.ledger.failures.append(error)
                self._unseen |= scope.needing_discovery(services=services)
                self._tell(
                    "list_failed", service="*" if services else None, function="*", qualifier="*",
                    **error_fields(error),
                )  # fmt: skip
        return found

    def _act(self, choices: Sequence[Any]) -> list[Outcome]:
        stopper = Stopper(self._cloud, self._hands, self._clock, self._random.random, self._interrupted)
        # Keeps time for the proof, but never more than a third of what is left.
        now = self._clock.monotonic()
        reserve = min(_PROOF_AFTER + 1.0, (self._terms.end - now) / 3)
        return act(choices, self._rules_of, stopper, self._crew, self._report, self._terms.end - reserve)

    def _prove(self, accepted: Sequence[Outcome]) -> None:
        if not accepted:
            return
        left = self._terms.end - self._clock.monotonic()
        if not self._interrupted():
            self._clock.sleep(max(0.0, min(_PROOF_AFTER, left)))
        prove(accepted, self._cloud, self._crew, self._report, self._terms.end)

    def _rules_of(self, task: Task) -> Rules:
        return self._task_rules.get((task.function, task.invocation_id)) or self._rules[task.function]

    def _rules_for(self, function: Function, policies: Sequence[Policy]) -> Rules:
        ourselves = self._terms.ourselves
        return rules_for(
            function,
            policies,
            self._policy.exempt,
            started_time=self._terms.started_time,
            ourselves=ourselves is not None and is_ourselves(function, ourselves),
        )

    def _some_unseen(self, policy: str) -> bool:
        """Whether tasks of *policy* may have escaped this run's look."""
        if policy in self._unseen:
            return True
        return any(
            clause.policy.name == policy
            for function in self.ledger.incomplete
            for clause in (self._rules[function].clauses if function in self._rules else ())
        )

    def _rotated(self, functions: list[Function]) -> list[Function]:
        """Begin anywhere, so that where time is short it is not always the same ones that go without."""
        start = self._random.randrange(len(functions)) if functions else 0
        return functions[start:] + functions[:start]

    def _note(self, scope: Scope) -> None:
        for note in scope.notes:
            if note.event == "trigger_refused":
                self._refuse(note.why, note.part)
            else:
                self._tell(note.event, why=note.why, part=note.part)

    def _refuse(self, why: str, part: str) -> None:
        self._refusals += 1
        self._tell("trigger_refused", why=why, part=part)


def is_ourselves(function: Function, ourselves: Target) -> bool:
    """Whether *function*, under any qualifier and either of its names, is the reaper's own."""
    return any(ourselves.fits_path(one.service, one.name) for one in spellings(function))
