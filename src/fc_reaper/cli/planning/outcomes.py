"""What became of each task of a plan when it was carried out, and what that means for a next time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fc_reaper.cli.planning.planfile import SPARED, Planned
from fc_reaper.evaluator.verdict import KEEP
from fc_reaper.log import ResultTask
from fc_reaper.models import STOPPED, STOPPING, Function
from fc_reaper.sweep.executor import REPLACED as REPLACED_ID
from fc_reaper.sweep.report import place_fields

STOPPED_NOW = "stopped"
STOPPED_BEFORE = "stopped_before"
ENDED = "ended"
NOT_DUE = "not_due"
REPLACED = "replaced"
NOT_FOUND = "not_found"
FAILED = "failed"
WAITING = "waiting"
NOT_BEGUN = "not_begun"

WORDS = {
    STOPPED_NOW: "stopped",
    STOPPED_BEFORE: "stopped before",
    ENDED: "ended meanwhile",
    NOT_DUE: "not due any more",
    REPLACED: "another task of the same id",
    NOT_FOUND: "not found",
    FAILED: "failed",
    WAITING: "waiting",
    NOT_BEGUN: "not begun",
}
"""Every outcome in words, in the order in which they are told."""

_LATE = "the run ended before its turn"

OPEN = (WAITING, NOT_BEGUN, FAILED)
"""Outcomes after which the same command has something left to do."""


class Became(NamedTuple):
    """One planned task, what became of it, and more about it in words.

    `proven` is whether it was seen Stopped, None where nothing was stopped. `status` is the task's status
    when it was last read, None when it was not.
    """

    task: Planned
    outcome: str
    why: str
    proven: bool | None = None
    status: str | None = None


def outcomes(
    planned: Iterable[Planned],
    told: Iterable[ResultTask],
    waiting: Mapping[str, str],
    *,
    partial: bool = False,
) -> Iterator[Became]:
    """Say of each task of *planned*, in its order, what became of it by the *told* tasks of a run's result.

    *waiting* are policies that may not stop anything by this plan, or just now, by name, with why. *partial*
    is whether the run ended early.
    """
    by_key = {_key(one): one for one in told}
    for task in planned:
        if task.fate == SPARED:
            yield Became(task, NOT_DUE, "holdout spares it, as it did in the plan")
        elif task.policy in waiting:
            yield Became(task, WAITING, waiting[task.policy])
        elif (found := by_key.get((task.function, task.invocation_id))) is not None:
            yield _became(task, found)
        elif task.rule == KEEP and not partial:
            yield Became(
                task, NOT_DUE, "it is gone, or another task has its id, or it is not one too many any more"
            )
        else:
            yield Became(task, NOT_BEGUN, _LATE)


def counted_outcomes(became: Iterable[Became]) -> dict[str, int]:
    """How many came to each outcome, all of them named."""
    counts = Counter(one.outcome for one in became)
    return {outcome: counts[outcome] for outcome in WORDS}


def as_json(became: Became) -> dict[str, Any]:
    """One task as `--json` prints it."""
    return {
        **place_fields(became.task.function),
        "invocation_id": became.task.invocation_id,
        "policy": became.task.policy,
        "rule": became.task.rule,
        "outcome": became.outcome,
        "confirmed": became.proven,
        "status": became.status,
        "why": became.why,
    }


def in_order(became: Sequence[Became]) -> dict[str, list[Became]]:
    """All of them by outcome, in the order of WORDS."""
    return {word: [one for one in became if one.outcome == word] for word in WORDS}


def _key(told: ResultTask) -> tuple[Function, str]:
    return Function(told.service, told.function, told.qualifier), told.invocation_id


def _became(task: Planned, told: ResultTask) -> Became:
    event, detail = told.event, told.detail
    if event in ("confirmed", "accepted"):
        proven = event == "confirmed"
        return Became(task, STOPPED_NOW, detail or _proof(proven), proven, told.status)
    if event == "ended":
        return _ended(task, told.status, detail)
    if event == "skipped":
        return _skipped(task, told, detail)
    return _failed(task, told, detail)


def _proof(proven: bool) -> str:
    return "confirmed by reading it again" if proven else "accepted; it is not seen Stopped yet"


def _ended(task: Planned, status: str, detail: str) -> Became:
    outcome = STOPPED_BEFORE if status == STOPPED else ENDED
    return Became(task, outcome, detail or f"it is {status}", None, status)


def _skipped(task: Planned, told: ResultTask, detail: str) -> Became:
    why, status = told.why, told.status
    if why == "spared" and detail == REPLACED_ID:
        return Became(task, REPLACED, detail)
    if why == "spared" and status == STOPPING != task.status:
        return Became(task, STOPPED_BEFORE, "it was asked to stop already, and is Stopping", None, status)
    if why == "spared":
        return Became(task, NOT_DUE, detail, None, status)
    if why == "margin":
        return Became(task, NOT_BEGUN, _LATE)
    if why == "clock":
        return Became(task, FAILED, detail, None, status)
    return Became(task, WAITING, "the policy is halted" if why == "halted" else "beyond the budget")


def _failed(task: Planned, told: ResultTask, detail: str) -> Became:
    code = told.error_code
    if told.http_status == 404 and code.endswith("NotFound"):
        return Became(task, NOT_FOUND, f"HTTP 404, {code}")
    words = f"{detail}: {told.error}" if detail else told.error or "failed"
    return Became(task, FAILED, words.removesuffix(": "), None, told.status)
