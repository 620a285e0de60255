"""What a run comes to: gathered while it goes on, told in its last line."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Any

from fc_reaper.dependencies import Exit
from fc_reaper.errors import ReaperError
from fc_reaper.events import Trigger
from fc_reaper.models import Millis
from fc_reaper.sweep.ledger import Ledger
from fc_reaper.sweep.sweep import Sweep

_MOST_ERRORS = 20


@dataclass
class Summary:
    """The account of one run.

    `refusals` are the asks of the event that were refused, `unmatched` the patterns that stand for no
    function; `unresolved` says that an ask could not be followed because the cloud did not answer.
    """

    ledger: Ledger = field(default_factory=Ledger)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    exit: Exit = Exit.DONE
    refusals: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    unresolved: bool = False

    def called(self, operation: str) -> None:
        """Count a call to the cloud."""
        self.calls[operation] = self.calls.get(operation, 0) + 1

    def follow(self, sweep: Sweep) -> None:
        """Take part in what *sweep* counts, also if it never ends."""
        self.ledger, self.tasks = sweep.ledger, sweep.tasks

    def conclude(self, sweep: Sweep) -> None:
        """Take over what only the end of *sweep* tells."""
        self.errors += sweep.ledger.troubles
        self.refusals = sweep.finder.refusals
        self.unresolved = sweep.finder.unresolved > 0
        self.unmatched = sweep.finder.unmatched
        self.exit = _exit(sweep)

    def fields(self, trigger: Trigger, duration: Millis) -> dict[str, Any]:
        """The fields of `run_finished`."""
        if self.exit is Exit.REFUSED and not self.errors:
            refused = [note.why for note in trigger.notes if note.event == "trigger_refused"]
            self.errors += [f"the event was refused: {why}" for why in (*refused, *self.refusals)]
        return {
            "counts": self.ledger.counts(),
            "policies": self.ledger.by_policy(),
            "calls": dict(sorted(self.calls.items())),
            "duration_ms": duration,
            "partial": self.ledger.partial,
            "unmatched": self.unmatched,
            "errors": _few(list(dict.fromkeys(self.errors))),
        }

    @property
    def curable(self) -> bool:
        """Whether the run did nothing, and only because of what may be gone the next time."""
        in_vain = self.exit is Exit.UNREACHABLE or self.unresolved
        touched = any(self.ledger.outcomes[name] for name in ("accepted", "confirmed"))
        failures = self.ledger.failures
        return in_vain and not touched and bool(failures) and all(error.retryable for error in failures)


def fault(error: Exception) -> str:
    """A fault of ours in one line: what, and where it was raised."""
    if isinstance(error, ReaperError):
        return " ".join(str(error).split())
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    return f"a fault in fc-reaper itself: {type(error).__name__} at {place}; please report it"


def _exit(sweep: Sweep) -> Exit:
    if sweep.ledger.unreachable:
        return Exit.UNREACHABLE
    if sweep.finder.refused_whole:
        return Exit.REFUSED
    return Exit.ATTENTION if sweep.ledger.needs_attention else Exit.DONE


def _few(errors: list[str]) -> list[str]:
    more = len(errors) - _MOST_ERRORS
    return errors if more <= 0 else [*errors[:_MOST_ERRORS], f"and {more} more"]
