"""Act on what was chosen, and prove it: the one executor that every trigger uses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from fc_reaper.clock import Deadline
from fc_reaper.errors import CloudError
from fc_reaper.judge.choose import Choice
from fc_reaper.judge.claim import Rules
from fc_reaper.judge.verdict import Claim
from fc_reaper.model import FINISHED, STOPPED, STOPPING, Task
from fc_reaper.sightings import Sighting
from fc_reaper.sweep.crew import Crew, Done, Work
from fc_reaper.sweep.ports import Cloud
from fc_reaper.sweep.report import Report
from fc_reaper.sweep.stopping import Outcome, Stopper

_AWAIT_PROOF = ("accepted", "unclear")


class Executor:
    """Spends the budgets. A place that brought no stop goes to the next task of the same policy.

    At most twice a budget is tried, so that tasks which cannot be stopped neither keep the others
    waiting for ever nor cost calls without end.
    """

    def __init__(
        self, choices: Sequence[Choice], rules_of: Callable[[Task], Rules], stopper: Stopper
    ) -> None:
        self._rules_of = rules_of
        self._stopper = stopper
        self._next = {one.policy.name: deque(one.reserve) for one in choices}
        self.tried = {one.policy.name: 0 for one in choices}
        self._chosen = [claim for one in choices for claim in one.chosen]

    def act(self, crew: Crew, report: Report, until: Deadline) -> list[Outcome]:
        """Stop what was chosen, most overdue first; answer with the stops that await proof."""
        work: Work[Claim, Outcome] = Work()
        for claim in sorted(self._chosen, key=lambda claim: claim.order):
            self._try(work, claim, until)
        awaiting = []
        for done in crew.each(work, until):
            outcome = _outcome(done)
            if outcome.name == "accepted":
                report.accepted(outcome)
            if outcome.name in _AWAIT_PROOF:
                awaiting.append(outcome)
                continue
            report.settled(outcome)
            waiting = self._next[done.tag.verdict.policy or ""]
            if outcome.in_vain and waiting:
                self._try(work, waiting.popleft(), until)
        return awaiting

    def _try(self, work: Work[Claim, Outcome], claim: Claim, until: Deadline) -> None:
        self.tried[claim.verdict.policy or ""] += 1
        work.add(claim, partial(self._stopper.stop, claim, self._rules_of(claim.task), until))


def prove(awaiting: Iterable[Outcome], cloud: Cloud, crew: Crew, report: Report, until: Deadline) -> None:
    """Read every task that awaits proof once more; what is not seen Stopped stays `accepted`."""
    work: Work[Outcome, Sighting] = Work()
    for outcome in awaiting:
        task = outcome.claim.task
        work.add(outcome, partial(cloud.get, task.function, task.invocation_id, deadline=until))
    for done in crew.each(work, until):
        report.settled(_proven(done), told=done.tag.name == "accepted")


def _outcome(done: Done[Claim, Outcome]) -> Outcome:
    if done.future is not None:
        try:
            return done.result()
        except Exception as error:  # one task's trouble must not hide what became of the others
            return Outcome("failed", done.tag, detail=f"a fault in fc-reaper itself: {type(error).__name__}")
    if done.begun:
        return Outcome("unclear", done.tag, detail="no answer came before the time was up")
    return Outcome("skipped", done.tag, "margin", "the time was up")


def _proven(done: Done[Outcome, Sighting]) -> Outcome:
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
    seen = Claim(task, outcome.claim.verdict)
    if task.doubt is not None:
        return unproven._replace(detail=task.doubt)
    if task.status == STOPPED:
        return Outcome(
            "confirmed", seen, detail=outcome.detail and "the answer was lost; confirmed by reading"
        )
    if task.status in FINISHED:
        return Outcome("ended", seen, detail=f"it is {task.status} already")
    if task.status == STOPPING:
        return Outcome("accepted", seen)
    return unproven._replace(claim=seen, why="unproven", detail=f"asked to stop, and still {task.status}")
