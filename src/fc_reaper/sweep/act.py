"""Act on what was chosen, and prove it: the one executor that every trigger uses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from fc_reaper.clock import Deadline
from fc_reaper.errors import CloudError
from fc_reaper.evaluator.evaluate import FunctionPolicies
from fc_reaper.evaluator.select import Selection
from fc_reaper.evaluator.verdict import Evaluation
from fc_reaper.models import FINISHED, STOPPED, STOPPING, Snapshot
from fc_reaper.sweep.pool import Done, Pool, Work
from fc_reaper.sweep.ports import Cloud
from fc_reaper.sweep.report import Outcome, Report
from fc_reaper.sweep.stopping import Stopper, in_vain

_AWAIT_PROOF = ("accepted", "unclear")


class Executor:
    """Spends the budgets. A place that brought no stop goes to the next task of the same policy.

    At most twice a budget is tried, so that tasks which cannot be stopped neither keep the others
    waiting for ever nor cost calls without end; *endless*, where somebody waits for the end, all are. *most*
    bounds the stops of all policies together, None: their budgets alone do.
    """

    def __init__(
        self,
        choices: Sequence[Selection],
        rules_of: Callable[[Evaluation], FunctionPolicies],
        stopper: Stopper,
        *,
        endless: bool = False,
        most: int | None = None,
    ) -> None:
        self._rules_of = rules_of
        self._stopper = stopper
        self._waiting = {one.policy.name: deque(_in_turn(one, endless)) for one in choices}
        self._room = {one.policy.name: len(one.selected) for one in choices}
        self._most = sum(self._room.values()) if most is None else most
        self.tried = {one.policy.name: 0 for one in choices}

    def act(self, crew: Pool, report: Report, until: Deadline) -> list[Outcome]:
        """Stop what was chosen, most overdue first; answer with the stops that await proof."""
        work: Work[Evaluation, Outcome] = Work()
        self._fill(work, until)
        awaiting = []
        for done in crew.each(work, until):
            outcome = _outcome(done)
            if outcome.name == "accepted":
                report.accepted(outcome)
            if outcome.name in _AWAIT_PROOF:
                awaiting.append(outcome)
                continue
            report.settled(outcome)
            if in_vain(outcome):
                self._room[done.tag.verdict.policy or ""] += 1
                self._most += 1
                self._fill(work, until)
        return awaiting

    def _fill(self, work: Work[Evaluation, Outcome], until: Deadline) -> None:
        """Queue whoever is most overdue, as long as there is a place for somebody."""
        while self._most > 0:
            heads = [queue[0] for name, queue in self._waiting.items() if queue and self._room[name] > 0]
            if not heads:
                return
            claim = min(heads, key=lambda claim: claim.order)
            policy = claim.verdict.policy or ""
            self._waiting[policy].popleft()
            self._room[policy] -= 1
            self._most -= 1
            self.tried[policy] += 1
            work.add(claim, partial(self._stopper.stop, claim, self._rules_of(claim), until))


def _in_turn(choice: Selection, endless: bool) -> Sequence[Evaluation]:
    """Everybody who may be tried, most overdue first."""
    return (*choice.selected, *(choice.waiting if endless and choice.allowed.most else choice.reserve))


def prove(awaiting: Iterable[Outcome], cloud: Cloud, crew: Pool, report: Report, until: Deadline) -> None:
    """Read every task that awaits proof once more; what is not seen Stopped stays `accepted`."""
    work: Work[Outcome, Snapshot] = Work()
    for outcome in awaiting:
        task = outcome.due.task
        work.add(outcome, partial(cloud.get, task.function, task.invocation_id, deadline=until))
    for done in crew.each(work, until):
        report.settled(_proven(done), logged=done.tag.name == "accepted")


def _outcome(done: Done[Evaluation, Outcome]) -> Outcome:
    if done.future is not None:
        try:
            return done.result()
        except Exception as error:  # one task's trouble must not hide what became of the others
            return Outcome("failed", done.tag, detail=f"a fault in fc-reaper itself: {type(error).__name__}")
    if done.begun:
        return Outcome("unclear", done.tag, detail="no answer came before the time was up")
    return Outcome("skipped", done.tag, "margin", "the time was up")


def _proven(done: Done[Outcome, Snapshot]) -> Outcome:
    outcome = done.tag
    unproven = outcome if outcome.name == "accepted" else outcome._replace(name="failed")
    try:
        task = done.result().task
    except TimeoutError:
        return unproven
    except CloudError as error:
        return (
            unproven if outcome.detail else unproven._replace(detail=f"it could not be read again: {error}")
        )
    seen = Evaluation(task, outcome.due.verdict)
    if task.inconsistency is not None:
        return unproven._replace(detail=task.inconsistency)
    if task.status == STOPPED:
        return Outcome(
            "confirmed", seen, detail=outcome.detail and "the answer was lost; confirmed by reading"
        )
    if task.status in FINISHED:
        return Outcome("ended", seen, detail=f"it is {task.status} already")
    if task.status == STOPPING:
        return Outcome("accepted", seen)
    return unproven._replace(due=seen, why="unproven", detail=f"asked to stop, and still {task.status}")
