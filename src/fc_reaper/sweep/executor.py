"""Executor: stops the selected tasks and verifies it, the one way for every trigger.

Each task is read and evaluated again right before its stop. Nothing is called stopped but by its own status.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter

from fc_reaper.clock import Deadline, Retry
from fc_reaper.errors import CloudError
from fc_reaper.evaluator.evaluate import FunctionPolicies, evaluate
from fc_reaper.evaluator.select import Selection
from fc_reaper.evaluator.verdict import KEEP, Evaluation, Kind
from fc_reaper.models import FINISHED, STOPPED, STOPPING, Snapshot, is_same
from fc_reaper.sweep.context import TRUSTED_SKEW, SweepContext
from fc_reaper.sweep.pool import Done, Jobs, Pool
from fc_reaper.sweep.recheck import Recheck
from fc_reaper.sweep.report import Outcome

REPLACED = "another task has this invocation id by now"
"""The detail of a task that was spared because it is not the one that was due."""

_VERIFY_AFTER = 2.0
"""Seconds between the last accepted stop and the one pass of verification."""


class Executor:
    """Stops tasks; *policies_of* returns the policies by which a due task is evaluated."""

    def __init__(self, context: SweepContext, policies_of: Callable[[Evaluation], FunctionPolicies]) -> None:
        self._context, self._policies_of = context, policies_of
        self._cloud, self._clock, self._report = context.cloud, context.clock, context.report
        self._retry = Retry(
            context.clock, context.random.random, self._check, first=1.0, longest=8.0, attempts=5
        )

    def run(
        self, selections: Sequence[Selection], *, planned: bool = False, most: int | None = None
    ) -> dict[str, int]:
        """Spend the budgets, most overdue first; return how many tasks of each policy were tried.

        A place in a budget that brought no stop goes to the next task of the same policy, so that tasks which
        cannot be stopped do not keep the others waiting. At most twice a budget is tried; of *planned* tasks
        all are, each only if the very rule that made it due still does. *most* bounds the stops of all
        policies together. Stops are verified also after an interruption where they were *planned*.
        """
        # Keeps time to verify, but never more than a third of what is left.
        now = self._clock.monotonic()
        until = self._context.end - min(_VERIFY_AFTER + 1.0, (self._context.end - now) / 3)
        room = {one.policy.name: len(one.selected) for one in selections}
        waiting: dict[str, deque[Evaluation]] = {}
        for one in selections:
            others = one.waiting if planned and one.allowed.most else one.reserve
            waiting[one.policy.name] = deque((*one.selected, *others))
        places = sum(room.values()) if most is None else most
        tried = dict.fromkeys(waiting, 0)
        unverified: list[Outcome] = []
        jobs: Jobs[Evaluation, Outcome] = deque()
        recheck = None
        if any(one.selected and one.policy.keep is not None for one in selections):
            recheck = Recheck(self._context, selections, self._policies_of)
        stop = partial(self._stop, recheck, until, planned)

        def fill() -> None:
            nonlocal places
            while places > 0:
                heads = [queue[0] for name, queue in waiting.items() if queue and room[name] > 0]
                if not heads:
                    return
                due = min(heads, key=attrgetter("order"))
                name = due.verdict.policy or ""
                waiting[name].popleft()
                tried[name] += 1
                room[name] -= 1
                places -= 1
                jobs.append((due, partial(stop, due)))

        fill()
        try:
            for done in self._context.pool.each(jobs, until):
                outcome = _outcome(done)
                if outcome.name == "accepted":
                    self._report.accepted(outcome)
                if outcome.name in ("accepted", "unclear"):
                    unverified.append(outcome)
                    continue
                self._report.settled(outcome)
                if _is_place_free(outcome):
                    room[done.tag.verdict.policy or ""] += 1
                    places += 1
                    fill()
        finally:
            if recheck is not None:
                recheck.close()
        if unverified:
            self._verify(unverified, planned)
        return tried

    def _stop(self, recheck: Recheck | None, until: Deadline, planned: bool, due: Evaluation) -> Outcome:
        """Stop one task if, read again, it is still due by the same policy.

        Every attempt begins with a fresh reading and evaluation. After an answer that leaves open whether the
        request took effect the task's status decides.
        """
        refused: CloudError | None = None
        unclear = False

        def attempt() -> Outcome:
            nonlocal refused, unclear
            try:
                if recheck is not None and due.verdict.rule == KEEP:
                    recheck.prepare(due, until)
                # The stop's turn is waited for before the reading, which would be old news after it.
                self._cloud.take_turns(2 if self._context.enforce else 1, until)
                seen = self._cloud.get(due.task.function, due.task.invocation_id, deadline=until)
            except CloudError as error:
                return _unread(due, error, refused, unclear)
            decided = self._decide(recheck, due, seen, until, unclear, planned)
            if isinstance(decided, Outcome):
                return decided
            if not self._context.enforce:
                return Outcome("would_stop", decided)
            try:
                self._cloud.stop(seen.task.function, seen.task.invocation_id, deadline=until)
                return Outcome("accepted", decided)
            except CloudError as error:
                if error.out_of_time and not unclear:
                    return _unread(due, error, refused, unclear)
                refused, unclear = error, unclear or error.unclear
                raise

        try:
            return self._retry(attempt, until)
        except CloudError:
            return self._after_refusal(due, refused, unclear, until)

    def _decide(
        self,
        recheck: Recheck | None,
        due: Evaluation,
        seen: Snapshot,
        until: Deadline,
        unclear: bool,
        planned: bool,
    ) -> Outcome | Evaluation:
        """What is settled before any request is sent; the task as read if it is to be stopped now."""
        by_status = _by_status(due, seen, unclear)
        if by_status is not None:
            return by_status
        if not is_same(due.task, seen.task):
            return Outcome("skipped", due, "spared", REPLACED)
        policies = self._policies_of(due)
        if recheck is not None and due.verdict.rule == KEEP:
            verdict = recheck.verdict(due, seen, policies)
        else:
            verdict = evaluate(seen.task, policies, seen.moment)
        if verdict.kind is not Kind.DUE or verdict.policy != due.verdict.policy:
            return Outcome("skipped", Evaluation(seen.task, due.verdict), "spared", verdict.reason)
        now = Evaluation(seen.task, verdict)
        if planned and verdict.rule != due.verdict.rule:
            return Outcome("skipped", now, "spared", f"it is due by another rule by now: {verdict.rule}")
        if self._context.enforce and self._cloud.skew_ms > TRUSTED_SKEW:
            return Outcome("skipped", now, "clock", "our clock and the cloud's differ by more than 30s")
        if self._context.interrupted() or self._clock.monotonic() >= until:
            return Outcome("skipped", now, "margin", "the time was up")
        return now

    def _after_refusal(
        self, due: Evaluation, refused: CloudError | None, unclear: bool, until: Deadline
    ) -> Outcome:
        """Settle by the task's own status what the last answer left open."""
        try:
            seen = self._cloud.get(due.task.function, due.task.invocation_id, deadline=until)
        except CloudError as error:
            return _unread(due, error, refused, unclear)
        settled = _by_status(due, seen, unclear)
        if settled is not None:
            return settled
        now = Evaluation(seen.task, due.verdict)
        if seen.task.status == STOPPING and due.task.status != STOPPING:
            return Outcome("skipped", now, "spared", "another caller is stopping it")
        return Outcome("failed", now, error=refused)

    def _verify(self, unverified: Sequence[Outcome], planned: bool) -> None:
        """Read every stopped task once more; what is not seen Stopped stays `accepted`."""
        pool = self._context.pool
        if planned:
            pool = Pool(self._context.settings.threads, self._clock, lambda: False)
        if planned or not self._context.interrupted():
            left = self._context.end - self._clock.monotonic()
            self._clock.sleep(max(0.0, min(_VERIFY_AFTER, left)))
        jobs: Jobs[Outcome, Snapshot] = deque()
        for outcome in unverified:
            task = outcome.due.task
            get = partial(self._cloud.get, task.function, task.invocation_id, deadline=self._context.end)
            jobs.append((outcome, get))
        try:
            for done in pool.each(jobs, self._context.end):
                self._report.settled(_verified(done), logged=done.tag.name == "accepted")
        finally:
            pool.close()

    def _check(self) -> None:
        if self._context.interrupted():
            raise CloudError("the run was interrupted", error_code="Aborted")


def _is_place_free(outcome: Outcome) -> bool:
    """Whether the place in the budget was not used: nothing was stopped, nor is it known to be stopping."""
    refused = outcome.name == "failed" and not (outcome.error is not None and outcome.error.unclear)
    return refused or outcome.name == "ended" or (outcome.name == "skipped" and outcome.why == "spared")


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


def _unread(due: Evaluation, error: CloudError, refused: CloudError | None, unclear: bool) -> Outcome:
    """The outcome of a task that cannot be read (any more)."""
    if unclear:
        return Outcome("unclear", due, detail="it is not known whether the stop took effect", error=refused)
    if error.out_of_time:
        return Outcome("skipped", due, "margin", "the time was up", error=refused)
    if refused is not None:
        return Outcome("failed", due, error=refused)
    return Outcome("failed", due, detail="it could not be read again", error=error)


def _outcome(done: Done[Evaluation, Outcome]) -> Outcome:
    if done.future is not None:
        try:
            return done.result()
        except Exception as error:  # a fault about one task must not hide what became of the others
            return Outcome("failed", done.tag, detail=f"a fault in fc-reaper itself: {type(error).__name__}")
    if done.begun:
        return Outcome("unclear", done.tag, detail="no answer came before the time was up")
    return Outcome("skipped", done.tag, "margin", "the time was up")


def _verified(done: Done[Outcome, Snapshot]) -> Outcome:
    outcome = done.tag
    unverified = outcome if outcome.name == "accepted" else outcome._replace(name="failed")
    if done.future is None:
        return unverified
    try:
        task = done.result().task
    except CloudError as error:
        detail = outcome.detail or f"it could not be read again: {error}"
        return unverified._replace(detail=detail)
    seen = Evaluation(task, outcome.due.verdict)
    if task.inconsistency is not None:
        return unverified._replace(detail=task.inconsistency)
    if task.status == STOPPED:
        return Outcome(
            "confirmed", seen, detail=outcome.detail and "the answer was lost; confirmed by reading"
        )
    if task.status in FINISHED:
        return Outcome("ended", seen, detail=f"it is {task.status} already")
    if task.status == STOPPING:
        return Outcome("accepted", seen)
    return unverified._replace(
        due=seen, why="unverified", detail=f"a stop was accepted, and it is still {task.status}"
    )
