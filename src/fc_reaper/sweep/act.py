"""Act on what was chosen, and prove it: the one executor that every trigger uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from fc_reaper.clock import Deadline
from fc_reaper.errors import CloudError
from fc_reaper.judge.choose import Choice
from fc_reaper.judge.claim import Rules
from fc_reaper.judge.verdict import Claim
from fc_reaper.model import FINISHED, STOPPED, Task
from fc_reaper.sightings import Sighting
from fc_reaper.sweep.crew import Crew, Done, Work
from fc_reaper.sweep.ports import Cloud
from fc_reaper.sweep.report import Report
from fc_reaper.sweep.stopping import Outcome, Stopper


def act(
    choices: Iterable[Choice],
    rules_of: Callable[[Task], Rules],
    stopper: Stopper,
    crew: Crew,
    report: Report,
    until: Deadline,
) -> list[Outcome]:
    """Stop what was chosen, most overdue first; answer with the stops that await proof."""
    work: Work[Claim, Outcome] = Work()
    chosen = [claim for choice in choices for claim in choice.chosen]
    for claim in sorted(chosen, key=lambda claim: claim.order):
        work.add(claim, partial(stopper.stop, claim, rules_of(claim.task), until))
    accepted = []
    for done in crew.each(work, until):
        outcome = _outcome(done)
        if outcome.name == "accepted":
            accepted.append(outcome)
            report.accepted(outcome)
        else:
            report.settled(outcome)
    return accepted


def prove(accepted: Iterable[Outcome], cloud: Cloud, crew: Crew, report: Report, until: Deadline) -> None:
    """Read every accepted task once more; what is not seen Stopped stays `accepted`."""
    work: Work[Outcome, Sighting] = Work()
    for outcome in accepted:
        task = outcome.claim.task
        work.add(outcome, partial(cloud.get, task.function, task.invocation_id, deadline=until))
    for done in crew.each(work, until):
        report.settled(_proven(done), proof=True)


def _outcome(done: Done[Claim, Outcome]) -> Outcome:
    if done.future is not None:
        try:
            return done.result()
        except Exception as error:  # one task's trouble must not hide what became of the others
            return Outcome("failed", done.tag, detail=f"a fault in fc-reaper itself: {type(error).__name__}")
    if done.begun:
        return Outcome("failed", done.tag, detail="no answer came before the time was up")
    return Outcome("skipped", done.tag, "margin", "the time was up")


def _proven(done: Done[Outcome, Sighting]) -> Outcome:
    outcome = done.tag
    if done.future is None:
        return outcome
    try:
        task = done.result().task
    except CloudError as error:
        return outcome._replace(detail=f"it could not be read again: {error}")
    seen = Claim(task, outcome.claim.verdict)
    if task.doubt is not None or task.status not in FINISHED:
        return outcome._replace(claim=seen)
    if task.status == STOPPED:
        return Outcome("confirmed", seen)
    return Outcome("ended", seen, detail=f"it is {task.status} already")
