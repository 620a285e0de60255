"""Why a task is kept that no policy claims in a run which looks at everything."""

from __future__ import annotations

from fc_reaper.evaluator.explain import Explanation, Step
from fc_reaper.evaluator.outlook import TASK
from fc_reaper.evaluator.verdict import Kind
from fc_reaper.models import UNFINISHED


def is_unclaimed(explained: Explanation) -> bool:
    """Whether nothing about any policy decided: a step that took no part in it says more then."""
    verdict = explained.verdict
    decided = verdict.policy is not None or verdict.line is not None
    return verdict.kind is Kind.KEPT and not decided and explained.task.status in UNFINISHED


def unclaimed(explained: Explanation, source: str) -> str:
    """The step that keeps it, with its line; else that no policy matches it."""
    matching = [step for step in explained.steps if step.opinion is not None and _matches(step)]
    for step in matching:
        mercy = None if step.opinion is None else step.opinion.spared_by
        if mercy is not None:
            return f"`unless` of {step.policy.name} spares it ({source}:{mercy.line})"
    for step in matching:
        if step.policy.triggers == (TASK,):
            place = f"{source}:{step.policy.line}"
            return f"{step.policy.name} matches it, and only an event that names it runs that ({place})"
    return "it only counts" if any(map(explained.counted, explained.steps)) else "no policy matches it"


def _matches(step: Step) -> bool:
    return step.match is not None and step.match.holds is True
