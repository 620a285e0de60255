"""The hands of a sweep: free ones stop tasks, tied ones only say what they would have stopped."""

from __future__ import annotations

from typing import Protocol

from fc_reaper.clock import Deadline
from fc_reaper.models import Millis, Task
from fc_reaper.sweep.ports import Cloud

TRUSTED_SKEW: Millis = 30_000
"""Difference between our clock and the cloud's, in milliseconds, up to which (itself included) a run
may enforce: beyond it one of the two does not know how old anything is."""


class StopAction(Protocol):
    """What a sweep does with a task that is still due a moment before. `calls` is what a stop takes."""

    calls: int

    def refusal(self) -> str | None:
        """Why nothing may be stopped just now; None when it may."""
        ...

    def stop(self, task: Task, deadline: Deadline) -> str:
        """Act on *task* and name what became of it. Raises `CloudError` when the cloud refuses."""
        ...


class SendStop:
    """Sends one stop request for a task, under the qualifier it was found with."""

    calls = 1

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def refusal(self) -> str | None:
        return "clock" if self._cloud.skew_ms > TRUSTED_SKEW else None

    def stop(self, task: Task, deadline: Deadline) -> str:
        self._cloud.stop(task.function, task.invocation_id, deadline=deadline)
        return "accepted"


class DryRunStop:
    """Touches nothing: a dry run is the same sweep with these."""

    calls = 0

    def refusal(self) -> str | None:
        return None

    def stop(self, task: Task, deadline: Deadline) -> str:
        return "would_stop"
