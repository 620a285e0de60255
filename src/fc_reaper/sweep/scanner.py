"""Scanner: list the tasks page by page, judge each, and hand on the claims that are due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

from fc_reaper.clock import Clock, Deadline
from fc_reaper.errors import CloudError, InvalidName
from fc_reaper.evaluator.evaluate import FunctionPolicies, evaluate, stopping_too_long
from fc_reaper.evaluator.verdict import Evaluation, Kind, Verdict
from fc_reaper.models import STOPPING, Function, Millis, Page, Snapshot, Task
from fc_reaper.sweep.memory import Memory
from fc_reaper.sweep.pool import Done, Pool, Work
from fc_reaper.sweep.ports import Cloud
from fc_reaper.sweep.queries import Query, queries
from fc_reaper.sweep.report import Report


class Question(NamedTuple):
    """One question to the cloud: a page of a listing, or, with `task`, one task read by itself."""

    query: Query
    token: str | None = None
    task: Task | None = None


class Scanner:
    """One look at many functions. `rules` holds what the tasks of each are judged by."""

    def __init__(
        self,
        cloud: Cloud,
        crew: Pool,
        report: Report,
        *,
        clock: Clock,
        stuck_after: Millis,
        may_refuse: frozenset[str],
    ) -> None:
        self._cloud = cloud
        self._crew = crew
        self._report = report
        self._clock = clock
        self._stuck_after = stuck_after
        self._may_refuse = may_refuse
        self._seen = Memory()
        self._named: set[tuple[Function, str]] = set()
        self._dead: set[Function] = set()
        self._not_listed: set[str] = set()
        self._tokens: set[int] = set()
        self._until: Deadline = float("inf")

    def claims(
        self, rules: Mapping[Function, FunctionPolicies], now: Millis, until: Deadline
    ) -> Iterator[Evaluation]:
        """Yield the due claims of all functions in *rules*; count and tell everything else.

        What could not be listed to its end is in the report's `incomplete`.
        """
        self._until = until
        work: Work[Question, Page | Snapshot | None] = Work()
        for function, its_rules in rules.items():
            for query in queries(function, its_rules, now):
                self._add(work, Question(query), until)
        for done in self._crew.each(work, until):
            its_rules = rules[done.tag.query.function]
            answer = self._answer(done)
            if isinstance(answer, Page):
                yield from self._page(work, done.tag.query, answer, its_rules, until)
            elif isinstance(answer, Snapshot):
                yield from self.judge(answer.task, its_rules, answer.moment, read=True)

    def judge(
        self, task: Task, rules: FunctionPolicies, moment: Millis, *, read: bool
    ) -> Iterator[Evaluation]:
        """Judge one task for good: count it and tell it, and yield it when it is due.

        A member of a population is yielded untold: `settle` it once the others have been seen.
        """
        verdict = self._claim(task, rules, moment, read=read)
        stuck = (
            stopping_too_long(task, self._stuck_after, moment, read=read) if task.status == STOPPING else None
        )
        if stuck is not None and stuck.holds is None and verdict.kind is Kind.KEPT:
            verdict = Verdict(Kind.UNKNOWN, stuck.why, rule="stopping_for", limit=stuck.limit)
        # What the task carries is read by now, and must not be kept.
        found = Evaluation(task._replace(record=None, events=task.events[:1]), verdict, moment)
        if verdict.members:
            yield found
            return
        self._report.evaluated(verdict)
        if stuck is not None and stuck.holds:
            verdict = verdict._replace(
                rule="stopping_for", age=stuck.age, limit=stuck.limit, clock=stuck.clock
            )
            self._report.is_stuck(
                Evaluation(found.task, verdict._replace(reason="asked to stop, and still stopping"))
            )
        if found.verdict.kind is Kind.DUE:
            yield found
        else:
            self._report.log_verdict(found)

    def settle(self, found: Evaluation) -> None:
        """Count and tell a member of a population by its final verdict."""
        self._report.evaluated(found.verdict)
        if found.verdict.kind is not Kind.DUE:
            self._report.log_verdict(found)

    def remember(self, task: Task, *, named: bool = False) -> bool:
        """Note that *task* was seen; False when it had been seen before. A *named* one is never forgotten."""
        key = (task.function, task.invocation_id)
        if key in self._named:
            return False
        if named:
            self._named.add(key)
        return self._seen.add(key)

    def failed(self, function: Function, error: CloudError, status: str | None = None) -> None:
        """Report a function that could not be listed, once for each kind of refusal."""
        if self._clock.monotonic() >= self._until:
            self._report.partial = True
        self._report.not_listed(function, error, status)

    def _add(self, work: Work[Question, Page | Snapshot | None], ask: Question, until: Deadline) -> None:
        work.add(ask, partial(self._ask, ask, until))

    def _ask(self, ask: Question, until: Deadline) -> Page | Snapshot | None:
        query = ask.query
        if ask.task is not None:
            return self._cloud.get(query.function, ask.task.invocation_id, deadline=until)
        if query.function in self._dead or self._is_refused(query):
            return None
        return self._cloud.list_page(
            query.function,
            status=query.status,
            started_before=query.started_before,
            id_prefix=query.id_prefix,
            include_payload=query.payload,
            token=ask.token,
            deadline=until,
        )

    def _answer(self, done: Done[Question, Page | Snapshot | None]) -> Page | Snapshot | None:
        query, _, task = done.tag
        if done.future is None:
            self._late(query.function, task)
            return None
        try:
            answer = done.result()
        except CloudError as error:
            self._refused(done.tag, error)
            return None
        except InvalidName as error:
            self.failed(query.function, CloudError(str(error), error_code="InvalidName"), query.status)
            return None
        self._report.answered = self._report.answered or answer is not None
        return answer

    def _late(self, function: Function, task: Task | None) -> None:
        self._report.late(function)
        if task is not None:
            self._unread(task, "the time was up before it could be read")

    def _refused(self, ask: Question, error: CloudError) -> None:
        query = ask.query
        if error.out_of_time:
            self._late(query.function, ask.task)
        elif ask.task is not None:
            self._unread(ask.task, "it could not be read", error)
            self._report.failed(query.function, error)
            self._report.incomplete.add(query.function)
        elif self._tolerated(ask, error):
            self._not_listed.add(query.status)
        else:
            if error.http_status == 403 or error.missing:
                self._dead.add(query.function)
            self.failed(query.function, error, query.status)

    def _tolerated(self, ask: Question, error: CloudError) -> bool:
        """Whether the dialect has no such status to list: it is then neither listed nor asked for again."""
        first = ask.token is None and ask.query.function.service is not None
        refused = error.http_status == 400 and error.error_code == "InvalidArgument"
        return first and refused and ask.query.status in self._may_refuse

    def _is_refused(self, query: Query) -> bool:
        return query.function.service is not None and query.status in self._not_listed

    def _unread(self, task: Task, why: str, error: CloudError | None = None) -> None:
        verdict = Verdict(Kind.UNKNOWN, why, rule="events")
        self._report.unread(Evaluation(task, verdict), error)

    def _page(
        self,
        work: Work[Question, Page | Snapshot | None],
        query: Query,
        page: Page,
        rules: FunctionPolicies,
        until: Deadline,
    ) -> Iterator[Evaluation]:
        if page.token is not None:
            self._turn(work, query, page.token, until)
        for task in page.tasks:
            if not self.remember(task):
                continue
            if self._wants_reading(task, rules, page.moment):
                self._add(work, Question(query, task=task), until)
            else:
                yield from self.judge(task, rules, page.moment, read=False)

    def _turn(
        self, work: Work[Question, Page | Snapshot | None], query: Query, token: str, until: Deadline
    ) -> None:
        turn = hash((query, token))
        if turn in self._tokens:
            error = CloudError("the listing leads in circles", error_code="UnreadableAnswer")
            self.failed(query.function, error, query.status)
            return
        self._tokens.add(turn)
        self._add(work, Question(query, token), until)

    def _wants_reading(self, task: Task, rules: FunctionPolicies, moment: Millis) -> bool:
        if task.events and not rules.has_expressions:
            return False
        if task.status == STOPPING and stopping_too_long(task, self._stuck_after, moment, read=False).unread:
            return True
        return self._claim(task, rules, moment, read=False).unread

    def _claim(self, task: Task, rules: FunctionPolicies, moment: Millis, *, read: bool) -> Verdict:
        """Judge one task; should that fail by a fault of ours, it concerns this task alone."""
        try:
            return evaluate(task, rules, moment, read=read)
        except Exception as error:
            return Verdict(
                Kind.UNKNOWN, f"a fault in fc-reaper itself: {type(error).__name__}", rule="status"
            )
