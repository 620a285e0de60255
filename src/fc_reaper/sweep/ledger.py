"""What a run counted. Each listed task is counted once, and each due one gets one outcome.

listed = kept + exempt + unknown + reported + due
due = would_stop + confirmed + accepted + ended + skipped + failed
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from fc_reaper.errors import CloudError
from fc_reaper.evaluator.verdict import Kind, Verdict
from fc_reaper.models import Function

OUTCOMES = ("would_stop", "confirmed", "accepted", "ended", "skipped", "failed")


@dataclass
class Ledger:
    """The running account of one run."""

    functions: int = 0
    listed: Counter[Kind] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    stuck: int = 0
    policies: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[CloudError] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    answered: bool = False
    unlisted: set[Function] = field(default_factory=set)
    incomplete: set[Function] = field(default_factory=set)
    partial: bool = False
    limited: bool = False
    """Whether a budget or a halt kept something due from being stopped."""

    def judged(self, verdict: Verdict, number: int = 1) -> None:
        """Count tasks that were listed and judged alike."""
        self.listed[verdict.kind] += number
        if verdict.policy is not None and verdict.kind is not Kind.KEPT:
            self._of(verdict.policy)[verdict.kind.value] += number

    def failed(self, place: object, error: CloudError) -> None:
        """Note that something about *place* could not be learnt from the cloud."""
        self.failures.append(error)
        self.troubles.append(f"{place}: {error}")

    def take_back(self, policy: str, number: int) -> None:
        """Take back what was counted of due tasks that were listed twice, or are not this run's business."""
        if number:
            self.listed[Kind.DUE] -= number
            self._of(policy)[Kind.DUE.value] -= number

    def settled(self, policy: str, outcome: str, number: int = 1) -> None:
        """Count due tasks that came to *outcome*."""
        self.outcomes[outcome] += number
        self._of(policy)[outcome] += number

    def counts(self) -> dict[str, int]:
        """Every count by its published name."""
        kinds = {kind.value: self.listed[kind] for kind in Kind}
        return {
            "functions": self.functions,
            "listed": sum(kinds.values()),
            **kinds,
            **{outcome: self.outcomes[outcome] for outcome in OUTCOMES},
            "stuck": self.stuck,
        }

    def by_policy(self) -> dict[str, dict[str, int]]:
        """The counts of each policy that claimed anything, by its name."""
        return {name: dict(counter) for name, counter in self.policies.items()}

    @property
    def needs_attention(self) -> bool:
        """Whether somebody should look: something failed, is stuck, unlisted, partial, or held back."""
        held_back = self.partial or self.limited or bool(self.failures)
        return held_back or self.stuck > 0 or self.outcomes["failed"] > 0

    @property
    def unreachable(self) -> bool:
        """Whether every question came back without an answer; that something does not exist is one."""
        return bool(self.failures) and not self.answered and not any(one.missing for one in self.failures)

    def _of(self, policy: str) -> Counter[str]:
        return self.policies.setdefault(policy, Counter())
