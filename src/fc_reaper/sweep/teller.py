"""Turns claims and outcomes into the task lines of the log, at most so many per policy and run."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fc_reaper.errors import CloudError
from fc_reaper.evaluator.verdict import Evaluation
from fc_reaper.models import Function, Millis, Task
from fc_reaper.sweep.ports import Tell


def seconds(ms: Millis | None) -> float | None:
    """Milliseconds as seconds for a log field; None stays None."""
    return None if ms is None else ms / 1000


def place_fields(function: Function) -> dict[str, Any]:
    """The fields that say where; `service` is null in 3.0."""
    return {"service": function.service, "function": function.name, "qualifier": function.qualifier}


def error_fields(error: CloudError | None) -> dict[str, Any]:
    """The fields that say how the cloud refused; none where it did not."""
    if error is None:
        return {}
    return {
        "http_status": error.http_status,
        "error_code": error.error_code,
        "fc_request_id": error.fc_request_id,
        "error": error.detail,
    }


def task_fields(claim: Evaluation, tick: Millis) -> dict[str, Any]:
    """Every field of a task line. `new` is true for a task over its limit by less than two *tick*s."""
    task, verdict = claim.task, claim.verdict
    over = verdict.over
    return {
        **place_fields(task.function),
        "invocation_id": task.invocation_id,
        "status": task.status,
        "policy": verdict.policy,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "age_s": seconds(verdict.age),
        "limit_s": seconds(verdict.limit),
        "over_s": seconds(over),
        "clock": verdict.clock,
        "also": list(verdict.also),
        "new": over is not None and 0 < over < 2 * tick,
    }


def identity_fields(task: Task) -> dict[str, Any]:
    """What tells a task from another one of its id, in the result only: request id and first enqueueing.

    The moment is epoch milliseconds, None where nothing dated tells it.
    """
    first = task.events[0] if task.events and task.events[0].status == "Enqueued" else None
    return {"task_request_id": task.request_id, "first_enqueue_ms": None if first is None else first.at}


class Teller:
    """Tells what happened to tasks; what is beyond *limit* lines a policy is counted instead."""

    def __init__(self, tell: Tell, *, limit: int, tick: Millis, verbose: bool) -> None:
        self.tell = tell
        self.verbose = verbose
        self._limit = limit
        self._tick = tick
        self._lines: Counter[str | None] = Counter()
        self._admitted: set[tuple[Function, str]] = set()

    def task(self, event: str, claim: Evaluation, *, error: CloudError | None = None, **more: Any) -> None:
        """Tell *event* of one task, unless its policy has had its lines.

        A task that had its first line gets its later ones too, so that no story ends in the middle.
        """
        policy, key = claim.verdict.policy, (claim.task.function, claim.task.invocation_id)
        if key not in self._admitted:
            self._lines[policy] += 1
            if self._lines[policy] > self._limit:
                return
            self._admitted.add(key)
        self.tell(event, **task_fields(claim, self._tick), **more, **error_fields(error))

    def uncounted(self, claim: Evaluation) -> None:
        """Tell, at DEBUG only, why a task was kept."""
        if self.verbose:
            self.tell(claim.verdict.kind.value, **task_fields(claim, self._tick))

    def unsaid(self, policy: str, number: int) -> None:
        """Count task lines that nobody even built."""
        self._lines[policy] += number

    def finish(self) -> None:
        """Say how many lines were left out, policy by policy."""
        for policy, lines in self._lines.items():
            if lines > self._limit:
                self.tell("lines_omitted", policy=policy, due=lines, allowed=self._limit)
