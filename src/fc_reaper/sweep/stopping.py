"""Stopping one task: read it again, judge it again, ask once, and believe only its own status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fc_reaper.clock import Clock, Deadline
from fc_reaper.errors import CloudError
from fc_reaper.evaluator.evaluate import FunctionPolicies
from fc_reaper.evaluator.verdict import Evaluation, Kind, Verdict
from fc_reaper.models import FINISHED, STOPPED, STOPPING, Snapshot, Task
from fc_reaper.sweep.ports import Cloud, Jitter
from fc_reaper.sweep.recount import Recount
from fc_reaper.sweep.report import Outcome
from fc_reaper.sweep.stopper import StopAction

REPLACED = "another task has this invocation id by now"
"""The detail of a task that was spared because it is not the one that was due."""

_ATTEMPTS = 5
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 8.0


def in_vain(outcome: Outcome) -> bool:
    """Whether the budget's place was not used: nothing was stopped, nor is it known to be stopping."""
    refused = outcome.name == "failed" and not (outcome.error is not None and outcome.error.unclear)
    return refused or outcome.name == "ended" or (outcome.name == "skipped" and outcome.why == "spared")


@dataclass(frozen=True)
class Stopper:
    """Stops tasks, each by itself; safe to use from several threads.

    With *same_rule* a task is stopped only if the very rule that made it due still does.
    """

    cloud: Cloud
    hands: StopAction
    recount: Recount
    clock: Clock
    jitter: Jitter
    interrupted: Callable[[], bool]
    same_rule: bool = False

    def stop(self, due: Evaluation, rules: FunctionPolicies, until: Deadline) -> Outcome:
        """Stop the task of *due* if, read again, it is still due by the same policy.

        Every attempt begins with a fresh reading and a fresh judgement; nothing is begun at *until*.
        After an answer that leaves open whether the request took effect the task's status decides.
        """
        refused: CloudError | None = None
        unclear = False
        for attempt in range(_ATTEMPTS):
            if refused is not None and not self._wait(attempt, refused, until):
                break
            try:
                self.recount.prepare(due, until)
                # The stop's turn is waited for before the reading, which would be old news after it.
                self.cloud.take_turns(1 + self.hands.calls, until)
                seen = self._read(due, until)
            except CloudError as error:
                return _unread(due, error, refused, unclear)
            settled = self._without_a_stop(due, seen, rules, until, unclear)
            if settled is not None:
                return settled
            try:
                name = self.hands.stop(seen.task, until)
            except CloudError as error:
                if error.out_of_time and not unclear:
                    return _unread(due, error, refused, unclear)
                refused, unclear = error, unclear or error.unclear
                if not error.retryable:
                    break
            else:
                return Outcome(name, _fresh(due, seen, self.recount.verdict(due, seen, rules)))
        return self._after_refusal(due, refused, unclear, until)

    def _read(self, due: Evaluation, until: Deadline) -> Snapshot:
        return self.cloud.get(due.task.function, due.task.invocation_id, deadline=until)

    def _without_a_stop(
        self, due: Evaluation, seen: Snapshot, rules: FunctionPolicies, until: Deadline, unclear: bool
    ) -> Outcome | None:
        """What is settled before any request is sent; None when the task is to be stopped now."""
        by_status = _by_status(due, seen, unclear)
        if by_status is not None:
            return by_status
        if not is_same(due.task, seen.task):
            return Outcome("skipped", due, "spared", REPLACED)
        verdict = self.recount.verdict(due, seen, rules)
        now = _fresh(due, seen, verdict)
        if verdict.kind is not Kind.DUE or verdict.policy != due.verdict.policy:
            return Outcome("skipped", now, "spared", verdict.reason)
        if self.same_rule and verdict.rule != due.verdict.rule:
            return Outcome("skipped", now, "spared", f"it is due by another rule by now: {verdict.rule}")
        refusal = self.hands.refusal()
        if refusal is not None:
            return Outcome("skipped", now, refusal, "our clock and the cloud's differ by more than 30s")
        if self.interrupted() or self.clock.monotonic() >= until:
            return Outcome("skipped", now, "margin", "the time was up")
        return None

    def _after_refusal(
        self, due: Evaluation, refused: CloudError | None, unclear: bool, until: Deadline
    ) -> Outcome:
        """Settle by the task's own status what the last answer left open."""
        try:
            seen = self._read(due, until)
        except CloudError as error:
            return _unread(due, error, refused, unclear)
        settled = _by_status(due, seen, unclear)
        if settled is not None:
            return settled
        now = Evaluation(seen.task, due.verdict)
        if seen.task.status == STOPPING and due.task.status != STOPPING:
            return Outcome("skipped", now, "spared", "somebody else is stopping it")
        return Outcome("failed", now, error=refused)

    def _wait(self, attempt: int, refused: CloudError, until: Deadline) -> bool:
        """Wait before another attempt; False when there is no time for it."""
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)
        wait = max(longest * (0.5 + self.jitter() / 2), refused.retry_after or 0.0)
        if self.interrupted() or self.clock.monotonic() + wait >= until:
            return False
        self.clock.sleep(wait)
        return True


def is_same(one: Task, other: Task) -> bool:
    """Whether two readings can be of the same task: an id may be used again once its task is forgotten."""
    if one.request_id and other.request_id and one.request_id != other.request_id:
        return False
    begins = [task.events[0] for task in (one, other) if task.events and task.events[0].status == "Enqueued"]
    return len(begins) < 2 or begins[0].at == begins[1].at


def _by_status(due: Evaluation, seen: Snapshot, unclear: bool) -> Outcome | None:
    """What the status alone settles: an end, or that an unclear stop of ours took effect."""
    now = Evaluation(seen.task, due.verdict)
    if seen.task.inconsistency is not None:
        return None
    if unclear:
        if seen.task.status == STOPPED:
            return Outcome("confirmed", now, detail="the answer was lost; confirmed by reading")
        if seen.task.status == STOPPING and due.task.status != STOPPING:
            return Outcome("accepted", now, detail="the answer was lost; it is stopping")
    if seen.task.status in FINISHED:
        return Outcome("ended", now, detail=f"it is {seen.task.status} already")
    return None


def _fresh(due: Evaluation, seen: Snapshot, verdict: Verdict) -> Evaluation:
    """The task as just read, with its new verdict where that still is a claim of the same policy."""
    still = verdict.kind is Kind.DUE and verdict.policy == due.verdict.policy
    return Evaluation(seen.task, verdict if still else due.verdict)


def _unread(due: Evaluation, error: CloudError, refused: CloudError | None, unclear: bool) -> Outcome:
    """The task cannot be read (any more): what is left to say of it."""
    if unclear:
        return Outcome("unclear", due, detail="nobody knows whether the stop took effect", error=refused)
    if error.out_of_time:
        return Outcome("skipped", due, "margin", "the time was up", error=refused)
    if refused is not None:
        return Outcome("failed", due, error=refused)
    return Outcome("failed", due, detail="it could not be read again", error=error)
