"""The story of a run, top to bottom: where to look, look, think, act, prove, tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from fc_reaper.clock import Clock, Deadline
from fc_reaper.judge.choose import Choice, choose
from fc_reaper.judge.claim import Rules, rules_for
from fc_reaper.judge.clocks import StartedTime
from fc_reaper.judge.verdict import Claim
from fc_reaper.model import Function, Millis, Task
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.sightings import Sighting
from fc_reaper.sweep.act import Executor, prove
from fc_reaper.sweep.crew import Crew
from fc_reaper.sweep.finding import Finder
from fc_reaper.sweep.hands import Hands
from fc_reaper.sweep.ledger import Ledger
from fc_reaper.sweep.look import Look
from fc_reaper.sweep.ports import Cloud, Tell
from fc_reaper.sweep.report import Report
from fc_reaper.sweep.scope import Scope
from fc_reaper.sweep.stopping import Outcome, Stopper
from fc_reaper.sweep.teller import Teller
from fc_reaper.target import Target, spellings
from fc_reaper.trigger import Ask

_PROOF_AFTER = 2.0
"""Seconds between the last accepted stop and the one pass of proof."""

_FOR_LOOKING = 0.6
"""Share of the time that looking may take, so that what was found can still be acted upon."""

_FOR_FINDING = 0.4
"""Share of that share in which functions are discovered and named tasks are read: what hangs there must
not keep the targets that are written out from being looked at."""


@dataclass(frozen=True)
class Terms:
    """How a run works, all of it settled before it begins. Lengths of time are milliseconds.

    `end` is the moment by which the run must be over. `log_tasks` is the most task lines per policy,
    `shown` the most tasks in the result. `may_refuse` are statuses that the dialect may not list.
    `tick` is the time between two runs, for `new` only.
    """

    end: Deadline
    concurrency: int = 16
    may_refuse: frozenset[str] = frozenset()
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
        self._teller = Teller(tell, limit=terms.log_tasks, tick=terms.tick, verbose=terms.verbose)
        self._report = Report(self.ledger, self._teller, shown=terms.shown, tick=terms.tick)
        self._crew = Crew(terms.concurrency, clock, interrupted)
        self.finder = Finder(cloud, self._crew, self.ledger, tell, policy.policies)
        self._rules: dict[Function, Rules] = {}
        self._task_rules: dict[tuple[Function, str], Rules] = {}
        self._visited: set[Function] = set()

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """The due tasks as they are shown in the result."""
        return self._report.tasks

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
            for choice in choices:
                self.ledger.judged_twice(choice.policy.name, choice.twice)
            tried = self._act(choices)
            for choice in choices:
                self._report.held_back(choice, tried[choice.policy.name])
        finally:
            self._crew.dismiss()
            self._cloud.abort()
            if self._interrupted():
                self.ledger.partial = True
            self._teller.finish()

    def _look(self, asks: Sequence[Ask], until: Deadline) -> Iterator[Claim]:
        narrow = [ask for ask in asks if ask.narrowing.invocation_id is not None]
        broad = [ask for ask in asks if ask.narrowing.invocation_id is None]
        scope = self.finder.scope(broad)
        begin = self._clock.monotonic()
        soon = begin + (until - begin) * _FOR_FINDING
        functions = self._rotated(self.finder.functions(scope, soon))
        self._rules = {one: self._rules_for(one, scope.policies(one)) for one in functions}
        self.ledger.functions = len(functions)
        look = Look(
            self._cloud,
            self._crew,
            self.ledger,
            self._teller,
            clock=self._clock,
            stuck_after=self._terms.stuck_after,
            may_refuse=self._terms.may_refuse,
        )
        for named in self.finder.named(narrow, soon, look.failed):
            yield from self._one(look, named.sighting, (named.scope, scope))
        yield from look.claims(self._rules, self._clock.now(), until)

    def _one(self, look: Look, sighting: Sighting, scopes: Sequence[Scope]) -> Iterator[Claim]:
        """Judge one task by the policies of all *scopes* that its function is in."""
        task, moment = sighting
        if task.function not in self._rules and task.function not in self._visited:
            self._visited.add(task.function)
            self.ledger.functions += 1
        policies = {policy for scope in scopes for policy in scope.policies(task.function)}
        rules = self._rules_for(task.function, sorted(policies, key=lambda policy: policy.index))
        self._task_rules[task.function, task.invocation_id] = rules
        if look.remember(task, named=True):
            yield from look.judge(task, rules, moment, read=True)

    def _act(self, choices: Sequence[Choice]) -> Mapping[str, int]:
        """Spend the budgets and prove the stops; answer how many tasks of each policy were tried."""
        stopper = Stopper(self._cloud, self._hands, self._clock, self._random.random, self._interrupted)
        # Keeps time for the proof, but never more than a third of what is left.
        now = self._clock.monotonic()
        reserve = min(_PROOF_AFTER + 1.0, (self._terms.end - now) / 3)
        executor = Executor(choices, self._rules_of, stopper)
        awaiting = executor.act(self._crew, self._report, self._terms.end - reserve)
        if awaiting:
            self._prove(awaiting)
        return executor.tried

    def _prove(self, awaiting: Sequence[Outcome]) -> None:
        left = self._terms.end - self._clock.monotonic()
        if not self._interrupted():
            self._clock.sleep(max(0.0, min(_PROOF_AFTER, left)))
        prove(awaiting, self._cloud, self._crew, self._report, self._terms.end)

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
        if policy in self.finder.unseen:
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


def is_ourselves(function: Function, ourselves: Target) -> bool:
    """Whether *function*, under any qualifier and either of its names, is the reaper's own."""
    return any(ourselves.fits_path(one.service, one.name) for one in spellings(function))
