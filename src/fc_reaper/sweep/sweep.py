"""The story of a run, top to bottom: where to look, look, think, act, prove, tell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random

from fc_reaper.clock import Clock, Deadline
from fc_reaper.evaluator.concurrency import Key, key_of
from fc_reaper.evaluator.evaluate import FunctionPolicies
from fc_reaper.evaluator.select import Selection, select
from fc_reaper.evaluator.verdict import KEEP, Evaluation
from fc_reaper.events import Request
from fc_reaper.models import Function, Snapshot, Task
from fc_reaper.policy import PolicyFile
from fc_reaper.settings import Settings
from fc_reaper.sweep.act import Executor, prove
from fc_reaper.sweep.day import Allowances
from fc_reaper.sweep.finding import Finder
from fc_reaper.sweep.pool import Pool
from fc_reaper.sweep.ports import Cloud
from fc_reaper.sweep.recount import Recount
from fc_reaper.sweep.report import Outcome, Report
from fc_reaper.sweep.rulebook import Rulebook
from fc_reaper.sweep.scanner import Scanner
from fc_reaper.sweep.scope import BY_HAND, Area, Scope
from fc_reaper.sweep.stopper import StopAction
from fc_reaper.sweep.stopping import Stopper, is_same

_PROOF_AFTER = 2.0
"""Seconds between the last accepted stop and the one pass of proof."""

_FOR_LOOKING = 0.6
"""Share of the time that looking may take, so that what was found can still be acted upon."""

_FOR_FINDING = 0.4
"""Share of that share in which functions are discovered and named tasks are read: what hangs there must
not keep the targets that are written out from being looked at."""


class Sweep:
    """One run: over the tasks that an event asks about, or over those that a plan names."""

    def __init__(
        self,
        cloud: Cloud,
        hands: StopAction,
        policy: PolicyFile,
        settings: Settings,
        report: Report,
        *,
        end: Deadline,
        clock: Clock,
        random: Random,
        interrupted: Callable[[], bool],
    ) -> None:
        self._cloud, self._hands, self._policy, self._end = cloud, hands, policy, end
        self._clock, self._random, self._interrupted = clock, random, interrupted
        self._report = report
        # More threads than calls a second would book all turns for reading, and leave none for a stop.
        self._threads = min(settings.concurrency, max(1, int(settings.rate[0] / settings.rate[1])))
        self._crew = Pool(self._threads, clock, interrupted)
        self.finder = Finder(cloud, self._crew, report, policy.policies)
        self._rules = Rulebook(policy, settings)
        self._visited: set[Function] = set()
        self._look = Scanner(
            cloud,
            self._crew,
            report,
            clock=clock,
            stuck_after=settings.stuck_after,
            may_refuse=frozenset(("Dequeued",) if settings.api_version == "2021-04-06" else ()),
        )

    def run(self, asks: Sequence[Request]) -> None:
        """Do what *asks* are about; what happened is reported as it happens."""
        until = self._looking_ends()
        with self._under_way():
            self._carry(self._asked(asks, until), spare=self._report.spare)

    def carry_out(self, planned: Sequence[Evaluation], most: int | None = None) -> None:
        """Stop those of *planned*, and no others, that are still due by the same policy and the same rule.

        *most* bounds the stops of all policies together. An interruption ends it, but for the proof.

        A budget goes on to the next task for as long as there is one. The populations of `keep` policies are
        looked at again; who is not one too many there any more is not told, for it is not due.
        """
        planned = [one for one in planned if self._is_watched(one)]
        self._rules.plan(planned)
        with self._under_way():
            self._carry(self._planned(planned), spare=len(planned), endless=True, most=most)

    def _carry(
        self, claims: Iterable[Evaluation], *, spare: int, endless: bool = False, most: int | None = None
    ) -> None:
        """Choose, act, prove, and tell what is left."""
        allowances = Allowances(
            self._cloud,
            self._crew,
            self._report,
            self._policy.policies,
            lambda policy: self.finder.everything(policy, self._end),
            now=self._clock.now(),
            until=self._end,
        )
        choices = select(
            claims,
            self._policy.policies,
            room=spare,
            incomplete=self._some_unseen,
            allowance=allowances,
            settled=self._look.settle,
        )
        for choice in choices:
            self._report.unwanted(choice.policy.name, choice.duplicates)
        tried = self._act(choices, endless=endless, most=most)
        for choice in choices:
            self._report.held_back(choice, tried[choice.policy.name])

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._crew.dismiss()
            self._cloud.close()
            if self._interrupted():
                self._report.partial = True
            self._report.omitted()

    def _asked(self, asks: Sequence[Request], until: Deadline) -> Iterator[Evaluation]:
        """The claims of all tasks that *asks* are about."""
        narrow = [ask for ask in asks if ask.selector.invocation_id is not None]
        broad = [ask for ask in asks if ask.selector.invocation_id is None]
        scope = self.finder.scope(broad)
        begin = self._clock.monotonic()
        soon = begin + (until - begin) * _FOR_FINDING
        rules = self._opened(scope, soon)
        for named in self.finder.named(narrow, soon, self._look.failed):
            yield from self._one(named.sighting, (named.scope, scope))
        yield from self._look.claims(rules, self._clock.now(), until)

    def _opened(self, scope: Scope, until: Deadline) -> Mapping[Function, FunctionPolicies]:
        functions = self._rotated(self.finder.functions(scope, until))
        self._report.functions = len(functions)
        return self._rules.open(scope, functions)

    def _one(self, sighting: Snapshot, scopes: Sequence[Scope]) -> Iterator[Evaluation]:
        """Judge one task that was named by its id."""
        task, moment = sighting
        if task.function not in self._rules.functions and task.function not in self._visited:
            self._visited.add(task.function)
            self._report.functions += 1
        rules = self._rules.name(task, scopes)
        if self._look.remember(task, named=True):
            yield from self._look.judge(task, rules, moment, read=True)

    def _planned(self, planned: Sequence[Evaluation]) -> Iterator[Evaluation]:
        """The planned claims; those of `keep` policies only as far as the population bears them out."""
        self._report.functions = len({one.task.function for one in planned})
        keeps = {one.verdict.policy for one in planned if one.verdict.rule == KEEP}
        if keeps:
            yield from self._population(keeps, {key_of(one.task): one.task for one in planned})
        for one in planned:
            if one.verdict.rule != KEEP:
                self._report.evaluated(one.verdict)
                yield one

    def _population(self, keeps: Collection[str | None], planned: Mapping[Key, Task]) -> Iterator[Evaluation]:
        """All members of the populations of *keeps*; only who is *planned* may be chosen."""
        until = self._looking_ends()
        # Who belongs to another policy does not count, so all are asked that run without a task being named.
        running = [one for one in self._policy.policies if set(one.triggers) != {"task"}]
        every = [Area(BY_HAND, one, one.targets) for one in running]
        scope = Scope([area for area in every if area.policy.name in keeps])
        rules = self._rules.open(Scope(every), self.finder.functions(scope, until))
        for found in self._look.claims(rules, self._clock.now(), until):
            if not found.verdict.members:
                self._report.unwanted(found.verdict.policy or "", 1)
                continue
            its = planned.get(key_of(found.task))
            asked = its is not None and is_same(its, found.task)
            members = tuple(
                one._replace(in_scope=asked and one.policy in keeps) for one in found.verdict.members
            )
            yield found._replace(verdict=found.verdict._replace(members=members))

    def _act(self, choices: Sequence[Selection], *, endless: bool, most: int | None) -> Mapping[str, int]:
        """Spend the budgets and prove the stops; answer how many tasks of each policy were tried."""
        recount = Recount(self._cloud, choices, self._rules.of, self._clock, self._threads)
        stopper = Stopper(
            self._cloud,
            self._hands,
            recount,
            self._clock,
            self._random.random,
            self._interrupted,
            same_rule=endless,
        )
        # Keeps time for the proof, but never more than a third of what is left.
        now = self._clock.monotonic()
        reserve = min(_PROOF_AFTER + 1.0, (self._end - now) / 3)
        executor = Executor(choices, self._rules.of, stopper, endless=endless, most=most)
        try:
            awaiting = executor.act(self._crew, self._report, self._end - reserve)
        finally:
            recount.close()
        if awaiting:
            self._prove(awaiting, whatever=endless)
        return executor.tried

    def _prove(self, awaiting: Sequence[Outcome], *, whatever: bool) -> None:
        """Read again who was asked to stop; *whatever* happens, also after an interruption."""
        left = self._end - self._clock.monotonic()
        crew = Pool(self._threads, self._clock, lambda: False) if whatever else self._crew
        if not crew.interrupted():
            self._clock.sleep(max(0.0, min(_PROOF_AFTER, left)))
        try:
            prove(awaiting, self._cloud, crew, self._report, self._end)
        finally:
            crew.dismiss()

    def _is_watched(self, claim: Evaluation) -> bool:
        """Whether the policy of *claim* stops anything and has the task among its targets."""
        return any(
            policy.stops and any(target.fits(claim.task.function) for target in policy.targets)
            for policy in self._policy.policies
            if policy.name == claim.verdict.policy
            and (policy.keep is not None) == (claim.verdict.rule == KEEP)
        )

    def _looking_ends(self) -> Deadline:
        begin = self._clock.monotonic()
        return begin + (self._end - begin) * _FOR_LOOKING

    def _some_unseen(self, policy: str) -> bool:
        """Whether tasks of *policy* may have escaped this run's look."""
        if policy in self._report.undiscovered:
            return True
        return any(self._rules.concerns(policy, function) for function in self._report.incomplete)

    def _rotated(self, functions: list[Function]) -> list[Function]:
        """Begin anywhere, so that where time is short it is not always the same ones that go without."""
        start = self._random.randrange(len(functions)) if functions else 0
        return functions[start:] + functions[:start]
