"""One sweep, top to bottom: scope, scan, select, stop and verify, report."""

from collections.abc import Iterable, Iterator, Sequence, Set
from functools import cache, partial
from itertools import chain
from operator import attrgetter

from fc_reaper.errors import CloudError
from fc_reaper.evaluator.concurrency import key_of
from fc_reaper.evaluator.evaluate import Evaluation, FunctionPolicies, compile_policies
from fc_reaper.evaluator.select import DAY, Allowance, Budgets, is_held_out, select, within_a_day
from fc_reaper.events import Request
from fc_reaper.models import STOPPED, STOPPING, Function, Millis, Page, Query, TaskKey, is_same
from fc_reaper.policy import Policy
from fc_reaper.rules.ages import YEAR_2017, StartedTime
from fc_reaper.rules.result import KEEP, Kind, Verdict
from fc_reaper.sweep import SweepContext
from fc_reaper.sweep.scanner import Lister, Scanner
from fc_reaper.sweep.scope import Finder, Scope, first_of, is_own

_FOR_SCANNING = 0.6  # share of the time that scanning may take, so that what was found can still be stopped
# Share of that share in which functions are discovered and named tasks are read: if that hangs, the targets
# without patterns are scanned all the same.
_FOR_FINDING = 0.4
# Due tasks of a policy that a run remembers beyond twice its budget: those at the head may all fail.
_REMEMBERED = 2_000
# A task that was stopped within a day began its attempt, of at most 24 hours, within this time.
_RECENT = 3 * DAY
_LONGEST_LIFE = 39 * DAY  # at most 30 days in the queue (in FC 2.0), and then nine attempts of 24 hours


class Sweep:
    """One run over the tasks that an event requests, or over those that a plan names."""

    def __init__(self, context: SweepContext) -> None:
        self._context, self._policy, self._report = context, context.policy, context.report
        now = context.clock.monotonic()
        self._until = now + (context.end - now) * _FOR_SCANNING
        self._finder, self._scanner = Finder(context), Scanner(context)
        self._policies: dict[Function, FunctionPolicies] = {}
        self._requests: Sequence[Request] = ()
        self._whole: set[str] = set()  # the policies of which this run looks at all targets
        self._functions: set[Function] = set()

    def run(self, requests: Sequence[Request]) -> None:
        """Stop the due tasks that *requests* are about."""
        room = max(_REMEMBERED, self._context.settings.log_tasks, self._report.shown)
        self._stop_due(self._requested(requests), room=room)

    def carry_out(self, planned: Sequence[Evaluation], most: int | None = None) -> None:
        """Stop those of *planned*, and no others, that are still due by the same policy and the same rule.

        *most* bounds the stops of all policies together. The groups of `keep` policies are scanned again; a
        task that is not one too many there any more is not due, and not logged.
        """
        policies: dict[str | None, Policy] = {one.name: one for one in self._policy.policies if one.stops}
        due: list[Evaluation] = []
        members: list[Evaluation] = []
        compiled = cache(lambda function, name: self._compile(function, {policies[name]}))
        for one in planned:
            function, keeps = one.task.function, one.verdict.by.rule == KEEP
            policy = policies.get(one.verdict.policy)
            if policy is not None and policy.watches(function) and keeps == (policy.keep is not None):
                self._functions.add(function)
                if keeps:
                    members.append(one)
                else:
                    self._report.evaluated(one.verdict)
                    due.append(one._replace(policies=compiled(function, policy.name)))
        tasks = chain(self._members(members) if members else (), due)
        self._stop_due(tasks, room=len(members) + len(due), planned=True, most=most)

    def _stop_due(
        self, due: Iterable[Evaluation], *, room: int, planned: bool = False, most: int | None = None
    ) -> None:
        """Select among *due*, stop and verify, and report what is left."""
        report, policies, budgets = self._report, self._policy.policies, None
        if any(one.budget.per_day is not None for one in policies):
            budgets = Budgets(self._functions_of, self._stopped_today)
        try:
            selections = select(
                due,
                policies,
                room=room,
                incomplete=self._is_incomplete,
                due_in_all=None if planned else self._due_in_all,
                allowance=partial(self._allowance, budgets) if budgets else None,
                settled=self._scanner.settle,
            )
            for one in selections:
                if one.duplicates:
                    report.evaluated(Verdict(Kind.DUE, "", one.policy.name), -one.duplicates)
            if not any(one.due for one in selections):
                return
            from fc_reaper.sweep.executor import Executor  # most runs find nothing to stop

            executor = Executor(self._context, self._policies, budgets, planned)
            left = executor.run(selections, most)
            for one in selections:
                report.held_back(one, left[one.policy.name])
            if executor.stopped and (self._context.enforce or self._context.foresee is not None):
                from fc_reaper.sweep.savings import report_savings

                report_savings(self._context, executor.stopped)
        finally:
            self._context.cloud.close()
            report.counts["functions"] = len(self._functions)
            report.partial |= self._context.pool.interrupted()

    def _requested(self, requests: Sequence[Request]) -> Iterator[Evaluation]:
        """The due tasks that *requests* are about, and the members of concurrency groups."""
        begin = self._context.clock.monotonic()
        soon = begin + (self._until - begin) * _FOR_FINDING
        scope = self._finder.scope([one for one in requests if one.selector.invocation_id is None])
        functions = self._finder.functions(scope, soon)
        self._requests = requests
        areas = [area for area in scope.areas if not area.request.selector.names_functions]
        self._whole = {one.policy.name for one in areas if one.share is None or one.share.owns(one.policy)}
        for request in dict.fromkeys(area.request for area in scope.areas):
            fits = [area.fits for area in scope.areas if area.request == request]
            # What it names may be in another shard.
            names = request.selector.names_functions and request.selector.shard is None
            known = names and self._finder.is_known(scope.targets)
            if known and not any(fit(one) for fit in fits for one in functions):
                why = "no function in task mode fits what it names"
                self._report.note("trigger_refused", why, request.part)
            else:
                self._report.served += 1
        # Where time is short it is not always the same functions that go without.
        start = first_of(len(functions), self._context.clock.now() // self._context.settings.interval)
        functions.sort(key=str)
        for one in functions[start:] + functions[:start]:
            self._policies[one] = self._compile(one, *scope.policies(one))
        named = [one for one in requests if one.selector.invocation_id is not None]
        self._functions.update(functions)
        for snapshot, its_scope in self._finder.named(named, soon) if named else ():
            function = snapshot.task.function
            self._functions.add(function)
            policies, counted = scope.policies(function)
            its_policies, its_counted = its_scope.policies(function)
            compiled = self._compile(function, policies | its_policies, counted | its_counted)
            yield from self._scanner.scan_one(snapshot, compiled)
        yield from self._scanner.scan(self._policies, self._until)

    def _members(self, planned: Sequence[Evaluation]) -> Iterator[Evaluation]:
        """All members of the groups of *planned* tasks, as in any run; only these may be selected."""
        by_key = {key_of(one.task): one.task for one in planned}
        keeps = {one.verdict.policy for one in planned}
        # A task of another policy counts for none of *keeps*, so all are scanned that need no named task.
        scope = Scope.of(one for one in self._policy.policies if one.name in keeps)
        for function in self._finder.functions(scope, self._until):
            running = {one for one in self._policy.policies if one.watches(function) and not one.only_named}
            self._policies[function] = self._compile(function, running)
        for found in Scanner(self._context, counting=True).scan(self._policies, self._until):
            verdict, task = found.verdict, by_key.get(key_of(found.task))
            if verdict.members:
                wanted = task is not None and is_same(task, found.task)
                members = [one._replace(in_scope=wanted and one.policy in keeps) for one in verdict.members]
                yield found._replace(verdict=verdict._replace(members=tuple(members)))

    def _compile(
        self, function: Function, policies: Set[Policy], counted: Set[Policy] = frozenset()
    ) -> FunctionPolicies:
        """Compile the policies of a function, in the order of the file."""
        by_index = attrgetter("index")
        return compile_policies(
            function,
            sorted(policies, key=by_index),
            self._policy.exempt,
            started_time=self._context.settings.started_time,
            own_function=is_own(function, self._context.settings.ourselves),
            counted=sorted(counted - policies, key=by_index),
        )

    def _allowance(self, budgets: Budgets, policy: Policy, due: int) -> Allowance:
        """How many of the *due* tasks of *policy* may be stopped; none while its day cannot be counted."""
        try:
            return budgets(policy, due)
        except CloudError as error:
            self._report.failed(f"the stops of the last day ({policy.name})", error)
            why = "it is not known how many of its tasks were stopped within a day"
            return Allowance(0, f"{why}: {error.error_code}")

    def _functions_of(self, policy: Policy) -> frozenset[Function]:
        """All functions in the targets of *policy*, those that the run met too; else a CloudError."""
        functions = self._finder.functions(Scope.of([policy]), self._context.end)
        if not self._finder.is_known(policy.targets):
            raise CloudError("the functions could not be listed", error_code="UnreadableAnswer")
        return frozenset((*functions, *(one for one in self._functions if policy.watches(one))))

    def _stopped_today(self, policy: Policy, functions: frozenset[Function]) -> set[TaskKey]:
        """The tasks that were stopped within a day, by the platform's records or seen so by this run."""
        context, now = self._context, self._context.clock.now()
        until = context.clock.monotonic() + (context.end - context.clock.monotonic()) / 2
        meaning = context.settings.started_time
        found = {(function, one) for function in functions for one in self._scanner.stopped[function]}
        wanted = [query for function in functions for query in _stopped_queries(function, now, meaning)]
        for query, answer, _ in Lister(context.cloud, context.pool, until).each(wanted):
            if len(found) >= (policy.budget.per_day or 0):
                break
            if isinstance(answer, Page):
                found |= {task.key for task in answer.tasks if within_a_day(task, now)}
            elif isinstance(answer, CloudError):
                # A function whose tasks this run has listed is there.
                was_listed = query.function in self._policies.keys() - self._report.unlisted
                if was_listed or not answer.missing:
                    raise answer
        return found

    def _due_in_all(self, policy: Policy, due: Sequence[Evaluation]) -> int | None:
        """How many tasks are due by *policy* in all its targets, *due* among them; None if unknown."""
        if policy.name in self._whole:
            return len(due)
        try:
            functions = self._functions_of(policy)
        except CloudError:
            return None
        kinds = {(one.kind, one.name) for one in self._requests}
        running = {one for one in self._policy.policies if any(one.fits_trigger(*kind) for kind in kinds)}
        compiled = {
            function: self._compile(function, {one for one in running if one.watches(function)})
            for function in functions
        }
        found = {one.task.key for one in due}
        for task, verdict, *_ in Scanner(self._context, counting=True).scan(compiled, self._until):
            held_out = is_held_out(task.invocation_id, policy.holdout)
            if verdict.kind is Kind.DUE and verdict.policy == policy.name and not held_out:
                found.add(task.key)
                if len(found) > (policy.halt_over or 0):
                    return len(found)
        return None if functions & self._report.incomplete else len(found)

    def _is_incomplete(self, policy: Policy) -> bool:
        """Whether some tasks of *policy* may not have been seen in this run."""
        unseen = any(policy.watches(function) for function in self._report.incomplete)
        return unseen or not self._finder.is_known(policy.targets)


def _stopped_queries(function: Function, now: Millis, started_time: StartedTime) -> Iterator[Query]:
    """The queries that show every task of *function* that was stopped within a day before *now*."""
    # A task that never ran may have no `startedTime`, or 0, so that no window of it has the task.
    longest = _RECENT if started_time == "execution" else DAY + _LONGEST_LIFE
    yield Query(function, STOPPING)
    yield Query(function, STOPPED, started_after=now - longest)
    yield Query(function, STOPPED, started_before=YEAR_2017)
