"""Scanner: lists the tasks page by page, evaluates each, and yields those that are due."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from fc_reaper.clock import Deadline, Jobs, Pool
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.errors import CloudError
from fc_reaper.evaluator.evaluate import Evaluation, FunctionPolicies, evaluate, stopping_too_long
from fc_reaper.evaluator.select import within_a_day
from fc_reaper.models import ALIVE, STOPPED, STOPPING, Function, Millis, Page, Query, Snapshot, Task, TaskKey
from fc_reaper.rules.ages import Reading
from fc_reaper.rules.expression import owner_of
from fc_reaper.rules.result import NOT_IN_STATUS, TRUE, UNKNOWN, Kind, RuleResult, Verdict
from fc_reaper.rules.rules import PushDown
from fc_reaper.sweep import AHEAD, SweepContext
from fc_reaper.sweep.report import refusal_fields

# A task that moves on while it is listed is listed under both its statuses. Two listings farther apart than
# so many tasks, and at most twice as many, are counted twice; a due task has one place in any case.
_REMEMBERED = 10_000


def queries(function: Function, policies: FunctionPolicies, now: Millis) -> list[Query]:
    """The queries that show every task of *function* that could be due or stuck, with the weakest filters."""
    filters = {STOPPING: PushDown()}
    with_payload: set[str] = set()
    for compiled in policies.every:
        strongest = compiled.match.push_down(now, policies.started_time)
        for status in compiled.match.statuses or ():
            filters[status] = strongest.weaker(filters[status]) if status in filters else strongest
            if policies.exempt_needs_payload or any(one.needs_payload for one in compiled.policy.expressions):
                with_payload.add(status)
    statuses = [status for status in (*ALIVE, STOPPING) if status in filters]
    return [Query(function, one, **filters[one]._asdict(), payload=one in with_payload) for one in statuses]


_CIRCLE = CloudError("the listing leads in circles", error_code="UnreadableAnswer")


@dataclass(eq=False, repr=False)
class Lister:
    """Lists tasks page by page until a deadline, many queries at a time; what is gone only once."""

    cloud: AsyncTaskClient
    pool: Pool
    until: Deadline
    api_version: str = ""
    _jobs: Jobs[tuple[Query, str | None, Task | None], Page | Snapshot | None] = field(default_factory=deque)
    _tokens: set[int] = field(default_factory=set)
    _gone: set[Function] = field(default_factory=set)
    _unknown_statuses: set[str] = field(default_factory=set)

    def each(
        self, wanted: Iterable[Query]
    ) -> Iterator[tuple[Query, Page | Snapshot | CloudError, Task | None]]:
        """Yield the pages of all queries as they come. A query ends with its last page or an error."""
        self._jobs.extend(((query, None, None), partial(self._page, query)) for query in wanted)
        for (query, token, task), answer in self.pool.each(self._jobs, self.until):
            if isinstance(answer, CloudError):
                if task is None and self._is_unknown(query, token, answer):
                    continue
                if token is not None and answer.missing:
                    # What was there a page ago: that is no sign that nothing is due.
                    why = f"the listing ended early: {answer}"
                    answer = CloudError(why, http_status=404, error_code="UnreadableAnswer")
            elif isinstance(answer, Page) and answer.token is not None:
                turn = hash((query, answer.token))
                if turn in self._tokens:
                    yield query, _CIRCLE, None
                else:
                    self._tokens.add(turn)
                    self._jobs.append(((query, answer.token, None), partial(self._page, query, answer.token)))
            if answer is not None:
                yield query, answer, task

    def read(self, query: Query, task: Task) -> None:
        """Read a listed task by itself; it is yielded among the other answers."""
        call = partial(self.cloud.get, query.function, task.invocation_id, deadline=self.until)
        # Many may wait, and a record may hold a payload.
        self._jobs.append(((query, None, task._replace(record=None)), call))

    def _page(self, query: Query, token: str | None = None) -> Page | None:
        unknown = query.function.service is not None and query.status in self._unknown_statuses
        if unknown or query.function in self._gone:
            return None
        return self.cloud.list_page(query, token, deadline=self.until)

    def _is_unknown(self, query: Query, token: str | None, error: CloudError) -> bool:
        """Whether the API version only does not know the status; note what need not be listed again."""
        refused = error.http_status == 400 and error.error_code == "InvalidArgument"
        if refused and query.is_refused_by(self.api_version) and token is None and query.function.service:
            self._unknown_statuses.add(query.status)
            return True
        if error.http_status == 403 or error.missing:
            self._gone.add(query.function)
        return False


@dataclass(eq=False, repr=False)
class Scanner:
    """Evaluates tasks, each once, and reports those that are not due, unless it is only *counting*.

    `stopped` are tasks seen to have been stopped within a day, of each function no more than a budget allows.
    """

    context: SweepContext
    counting: bool = False
    stopped: defaultdict[Function, set[str]] = field(default_factory=partial(defaultdict, set))
    _seen: dict[TaskKey, None] = field(default_factory=dict)
    _named: set[TaskKey] = field(default_factory=set)

    def scan(self, policies: Mapping[Function, FunctionPolicies], until: Deadline) -> Iterator[Evaluation]:
        """Yield the due tasks of all functions in *policies*, and the members of concurrency groups."""
        context, now = self.context, self.context.clock.now()
        now += AHEAD if context.foresee and not self.counting else 0
        lister = Lister(context.cloud, context.pool, until, context.settings.api_version)
        wanted = [query for function in policies for query in queries(function, policies[function], now)]
        for query, answer, listed in lister.each(wanted):
            compiled = policies[query.function]
            if isinstance(answer, CloudError):
                self._failed(query, listed, answer, until)
                continue
            context.report.answered = True
            if isinstance(answer, Snapshot):
                yield from self._evaluate(answer, compiled)
                continue
            if len(self._seen) > 2 * _REMEMBERED:
                self._seen = dict.fromkeys(list(self._seen)[_REMEMBERED:])
            for task in answer.tasks:
                key = task.key
                if key not in self._named and key not in self._seen:
                    self._seen[key] = None
                    seen, read = Snapshot(task, answer.moment), partial(lister.read, query, task)
                    yield from self._evaluate(seen, compiled, read)

    def scan_one(self, snapshot: Snapshot, policies: FunctionPolicies) -> Iterator[Evaluation]:
        """The same for one task that an event names, in whatever listing it is found again."""
        if snapshot.task.key not in self._named:
            self._named.add(snapshot.task.key)
            yield from self._evaluate(snapshot, policies)

    def _evaluate(
        self, seen: Snapshot, policies: FunctionPolicies, read: Callable[[], None] | None = None
    ) -> Iterator[Evaluation]:
        """Evaluate one task: count it and log it, and yield it when it is due.

        A member of a concurrency group is yielded uncounted, for `settle`. For a listed task *read* is
        called, and nothing else done, where reading the task may settle more.
        """
        stuck, unread, context, (task, moment) = NOT_IN_STATUS, False, self.context, seen
        try:
            verdict = evaluate(task, policies, moment, read=read is None)
            if task.status == STOPPING:
                stuck = stopping_too_long(task, context.settings.stuck_after, moment, read=read is None)
            unread = verdict.by.unread or stuck.unread
            if context.foresee and not (self.counting or (read and unread) or verdict.kind is Kind.DUE):
                context.foresee(seen, policies)
        except Exception as error:  # a fault of ours about one task must not hide the others
            verdict = Verdict(Kind.UNKNOWN, f"a fault in fc-reaper itself: {type(error).__name__}")
        if task.status in (STOPPING, STOPPED) and within_a_day(task, moment.earliest):
            # Those beyond every budget change nothing, and there may be very many.
            most, stopped = max(one.budget.per_day or 0 for one in context.policy.policies), self.stopped
            if len(stopped[task.function]) < most:
                stopped[task.function].add(task.invocation_id)
        if read is not None and unread:
            read()
            return
        if stuck.holds is UNKNOWN and verdict.kind is Kind.KEPT:
            verdict = Verdict(Kind.UNKNOWN, stuck.why, by=stuck)
        # The record may hold a payload: it must not be kept.
        kept = task._replace(record=None, events=task.events[:1])
        found = Evaluation(kept, verdict, moment.earliest, policies)
        if not verdict.members and not self.counting:
            if stuck.holds is TRUE:
                # By any policy of the function it may have been due, before it was asked to stop.
                about = [one.policy for one in policies.every if verdict.policy in (None, one.policy.name)]
                reading = Reading(task, moment, policies.started_time, read=True)
                owner = next(filter(None, (owner_of(one.owner, reading) for one in about)), None)
                why = "a stop was requested, and it is still Stopping"
                since = verdict._replace(reason=why, by=stuck, owner=owner)
                context.report.counts["stuck"] += 1
                context.report.log_task("stuck", found._replace(verdict=since))
            self.settle(found)
        if verdict.members or verdict.kind is Kind.DUE:
            yield found

    def settle(self, found: Evaluation) -> None:
        """Count and log a task by its final verdict."""
        report, verdict = self.context.report, found.verdict
        report.evaluated(verdict)
        shown = (Kind.REPORTED, Kind.UNKNOWN)
        if verdict.kind in shown or (verdict.kind is not Kind.DUE and report.log.verbose):
            report.log_task(verdict.kind.value, found)

    def _failed(self, query: Query, task: Task | None, error: CloudError, until: Deadline) -> None:
        """Report what could not be listed or read; nothing follows from what was not seen."""
        report, late = self.context.report, error.out_of_time
        report.partial |= late or self.context.clock.monotonic() >= until
        if late or task is not None:
            report.incomplete.add(query.function)
        if task is not None and not self.counting:
            why = "the time was up before it could be read" if late else "it could not be read"
            verdict = Verdict(Kind.UNKNOWN, why, by=RuleResult(UNKNOWN, "events"))
            report.evaluated(verdict)
            report.log_task("unknown", Evaluation(task, verdict), **refusal_fields(None if late else error))
        if task is not None and not late:
            report.failed(query.function, error)
        elif not late:
            report.not_listed(query.function, query.status, error)
