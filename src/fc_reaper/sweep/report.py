"""The report of a run: every outcome is counted, told at once, and kept for the result."""

from __future__ import annotations

from typing import Any

from fc_reaper.evaluator.select import Selection
from fc_reaper.evaluator.verdict import Evaluation
from fc_reaper.models import Millis
from fc_reaper.sweep.ledger import Ledger
from fc_reaper.sweep.stopping import Outcome
from fc_reaper.sweep.teller import Teller, error_fields, identity_fields, task_fields

HELD_OUT = "holdout spares its share of the tasks"
"""The detail of a due task that is spared for good, so that false stops can be measured."""

_EVENTS = {"failed": "stop_failed"}
"""Outcomes whose log line has another name than their count."""


class Report:
    """Collects what became of the due tasks; `tasks` holds the first *shown* of them."""

    def __init__(self, ledger: Ledger, teller: Teller, *, shown: int, tick: Millis) -> None:
        self.tasks: list[dict[str, Any]] = []
        self._ledger = ledger
        self._teller = teller
        self._shown = shown
        self._tick = tick

    def accepted(self, outcome: Outcome) -> None:
        """Tell a stop that was accepted; it is counted when it has been proven or not."""
        self._teller.task("accepted", outcome.claim, **_more(outcome))

    def settled(self, outcome: Outcome, *, told: bool = False) -> None:
        """Count a due task by its final outcome, and tell it unless it was *told* already."""
        event = _EVENTS.get(outcome.name, outcome.name)
        self._ledger.settled(outcome.claim.verdict.policy or "", outcome.name)
        if outcome.why == "margin":
            self._ledger.partial = True
        if outcome.why in ("clock", "unproven"):
            self._ledger.limited = True
        if not (told and outcome.name == "accepted" and outcome.why is None):
            self._teller.task(event, outcome.claim, error=outcome.error, **_more(outcome))
        self._keep(event, outcome.claim, {**_more(outcome), **error_fields(outcome.error)})

    def held_back(self, choice: Selection, tried: int) -> None:
        """Count and tell what a halt or a spent budget kept from being stopped; *tried* of it were tried."""
        name = choice.policy.name
        self._held_out(choice)
        waiting = choice.due - choice.held_out - tried
        if waiting == 0:
            return
        self._ledger.limited = True
        why = "budget" if choice.halted is None else "halted"
        event = "budget_spent" if choice.halted is None else "halted"
        allowed = choice.allowed.most if choice.halted is None else choice.policy.halt_over or 0
        reason = choice.halted or choice.allowed.why
        self._teller.tell(event, policy=name, due=choice.due, allowed=allowed, why=reason)
        self._ledger.settled(name, "skipped", waiting)
        left = (*choice.selected, *choice.waiting)[tried:]
        for claim in left:
            self._teller.task("skipped", claim, why=why)
            self._keep("skipped", claim, {"why": why})
        self._teller.unsaid(name, waiting - len(left))

    def _held_out(self, choice: Selection) -> None:
        """Count and tell the due tasks that `holdout` spares; that is as it should be."""
        if choice.held_out == 0:
            return
        name = choice.policy.name
        more: dict[str, Any] = {"why": "spared", "detail": HELD_OUT}
        self._ledger.settled(name, "skipped", choice.held_out)
        for claim in choice.held_out_tasks:
            self._teller.task("skipped", claim, **more)
            self._keep("skipped", claim, more)
        self._teller.unsaid(name, choice.held_out - len(choice.held_out_tasks))

    def _keep(self, event: str, claim: Evaluation, more: dict[str, Any]) -> None:
        if len(self.tasks) < self._shown:
            fields = {**task_fields(claim, self._tick), **identity_fields(claim.task)}
            self.tasks.append({"event": event, **fields, **more})


def _more(outcome: Outcome) -> dict[str, Any]:
    why = outcome.why if outcome.name == "skipped" else None
    fields = {"why": why, "detail": outcome.detail}
    return {name: value for name, value in fields.items() if value is not None}
