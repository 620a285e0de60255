"""How many tasks were stopped within the last day, by the platform's own records: no memory is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from fc_reaper.clock import Deadline
from fc_reaper.errors import CloudError
from fc_reaper.evaluator.budget import Budgets, within_a_day
from fc_reaper.evaluator.select import Allowance
from fc_reaper.models import STOPPED, STOPPING, Function, Millis, Page
from fc_reaper.policy import Policy
from fc_reaper.sweep.pool import Pool, Work
from fc_reaper.sweep.ports import Cloud
from fc_reaper.sweep.report import Report


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
        found |= {(function, task.invocation_id) for task in page.tasks if within_a_day(task, now)}
        if page.token is not None and len(found) < enough:
            ask = partial(cloud.list_page, function, status=status, token=page.token, deadline=until)
            work.add(done.tag, ask)
    return len(found)


class Allowances:
    """`Budgets` whose count of the day is listed from the cloud; what cannot be counted allows no stop."""

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
        self._budgets = Budgets(policies, self._functions, self._stopped)

    def __call__(self, policy: Policy, due: int) -> Allowance:
        try:
            return self._budgets(policy, due)
        except CloudError as error:
            self._report.failed(f"the stops of the last day ({policy.name})", error)
            why = "nobody knows how many of its tasks were stopped within a day"
            return Allowance(0, f"{why}: {error.error_code}")

    def _functions(self, policy: Policy) -> frozenset[Function]:
        try:
            return frozenset(self._watched(policy))
        except CloudError:
            if policy.per_day is not None:
                raise
            return frozenset()

    def _stopped(self, policy: Policy, functions: frozenset[Function]) -> int:
        return stopped_within_a_day(
            self._cloud,
            self._crew,
            list(functions),
            now=self._now,
            enough=policy.per_day or 0,
            until=self._until,
        )
