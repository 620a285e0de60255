"""How many tasks were stopped within the last day, by the platform's own records: no memory is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from fc_reaper.clock import Deadline
from fc_reaper.errors import CloudError
from fc_reaper.evaluator.select import Allowance
from fc_reaper.models import STOPPED, STOPPING, Function, Millis, Page, Task
from fc_reaper.policy import Policy
from fc_reaper.sweep.pool import Pool, Work
from fc_reaper.sweep.ports import Cloud
from fc_reaper.sweep.report import Report

DAY: Millis = 86_400_000


def stopped_within_a_day(
    cloud: Cloud, crew: Pool, functions: Sequence[Function], *, now: Millis, enough: int, until: Deadline
) -> int:
    """Count the tasks of *functions* that were stopped, or asked to stop, within 24 hours before *now*.

    Whoever stopped them; one whose end nobody dated counts. Stops counting at *enough*.

    Raises:
        CloudError: not all of them could be listed, so nobody knows how many there are.
    """
    work: Work[tuple[Function, str], Page] = Work()
    for function in functions:
        for status in (STOPPED, STOPPING):
            work.add((function, status), partial(cloud.list_page, function, status=status, deadline=until))
    found: set[tuple[Function, str]] = set()
    for done in crew.each(work, until):
        function, status = done.tag
        try:
            page = done.result()
        except TimeoutError:
            raise CloudError("the time was up before they were counted", error_code="OutOfTime") from None
        except CloudError as error:
            if error.missing:
                continue
            raise
        found |= {(function, task.invocation_id) for task in page.tasks if _is_recent(task, now)}
        if page.token is not None and len(found) < enough:
            ask = partial(cloud.list_page, function, status=status, token=page.token, deadline=until)
            work.add(done.tag, ask)
    return len(found)


def _is_recent(task: Task, now: Millis) -> bool:
    ends = [event.at for event in task.events if event.status == task.status]
    at = max(ends, default=task.ended_at if task.status == STOPPED else None)
    return at is None or at > now - DAY


class Allowances:
    """What each policy may stop in this run: its budget a run, and what is left of its day.

    The records know nothing yet of what an earlier policy of this very run is about to stop, so that is
    taken off where the two share a function.
    """

    def __init__(
        self,
        cloud: Cloud,
        crew: Pool,
        report: Report,
        policies: Iterable[Policy],
        watched: Callable[[Policy], Sequence[Function]],
        *,
        now: Millis,
        until: Deadline,
    ) -> None:
        self._cloud, self._crew, self._report, self._watched = cloud, crew, report, watched
        self._now, self._until = now, until
        self._some_daily = any(policy.per_day is not None for policy in policies)
        self._granted: list[tuple[frozenset[Function], int]] = []

    def __call__(self, policy: Policy, due: int) -> Allowance:
        if policy.per_day is None:
            allowed, functions = Allowance(policy.per_run), frozenset[Function]()
        else:
            allowed, functions = self._of_the_day(policy, policy.per_day)
        self._granted.append((functions or self._known(policy), min(due, allowed.most)))
        return allowed

    def _of_the_day(self, policy: Policy, per_day: int) -> tuple[Allowance, frozenset[Function]]:
        try:
            functions = frozenset(self._watched(policy))
            stopped = stopped_within_a_day(
                self._cloud, self._crew, list(functions), now=self._now, enough=per_day, until=self._until
            )
        except CloudError as error:
            self._report.failed(f"the stops of the last day ({policy.name})", error)
            why = "nobody knows how many of its tasks were stopped within a day"
            return Allowance(0, f"{why}: {error.error_code}"), frozenset()
        granted = sum(number for others, number in self._granted if not others.isdisjoint(functions))
        left = max(0, per_day - stopped - granted)
        if left >= policy.per_run:
            return Allowance(policy.per_run), functions
        at_least = "at least " if stopped >= per_day else ""
        others = f", other policies of this run may stop {granted} more" if granted else ""
        why = f"{at_least}{stopped} of its tasks were stopped within a day{others}, {per_day} are allowed"
        return Allowance(left, why), functions

    def _known(self, policy: Policy) -> frozenset[Function]:
        if not self._some_daily:
            return frozenset()
        try:
            return frozenset(self._watched(policy))
        except CloudError:
            return frozenset()
