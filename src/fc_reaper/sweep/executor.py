"""Executor: stops the selected tasks and verifies it, the one way for every trigger.

Each task is read and evaluated again right before its stop. Nothing is called stopped but by its own status.
What cannot be read or stopped gives its place in the budget to the next task.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from fc_reaper.clock import Deadline, Jobs, Retry
from fc_reaper.errors import CloudError, InvalidName
from fc_reaper.evaluator.evaluate import Evaluation, FunctionPolicies, evaluate
from fc_reaper.evaluator.select import Budgets, Selection, within_a_day
from fc_reaper.models import FINISHED, STOPPED, STOPPING, UNFINISHED, Function, Snapshot, is_same
from fc_reaper.rules.ages import Reading
from fc_reaper.rules.expression import Expression, owner_of
from fc_reaper.rules.result import KEEP, Kind
from fc_reaper.sweep import TRUSTED_SKEW, SweepContext
from fc_reaper.sweep.recheck import Recheck
from fc_reaper.sweep.report import Outcome

REPLACED = "another task has this invocation id by now"
_VERIFY_AFTER = 2.0  # seconds between the last accepted stop and the one pass of verification
_MANY = 100  # failures of one policy after which the order of the rest is left to chance
_DENIALS = 3  # answers in a row, by 401 or 403, after which the rest of a function is skipped
_DENIED = f"{_DENIALS} answers in a row denied access to this function"

_Place = tuple[str | None, str]  # service and name of a function


@dataclass
class _Stop:
    """One task that is due, the latest answer but a 2xx, and whether a request may have taken effect."""

    due: Evaluation
    refused: CloudError | None = None
    unclear: bool = False
    accepted: bool = False


@dataclass
class _Queue:
    """The due tasks of one policy that wait, and how many of them its budget has room for."""

    waiting: deque[Evaluation]
    budget: int
    room: int
    owner: str | Expression | None
    failures: int = 0


@dataclass
class Executor:
    """Stops tasks. The groups of `keep` policies are counted again by *policies*, those of each function.

    A *planned* task is stopped only if the very rule that made it due still does, and stops are then verified
    also after an interruption. *budgets* are those of the day, None where no policy has one. `stopped` are
    the tasks as they were right before a stop that was accepted, in a dry run those that it would stop.
    """

    context: SweepContext
    policies: Mapping[Function, FunctionPolicies]
    budgets: Budgets | None
    planned: bool
    stopped: list[Evaluation] = field(default_factory=list)
    _queues: dict[str, _Queue] = field(default_factory=dict)
    _left: dict[str, int] = field(default_factory=dict)
    _places: int = 0
    _until: Deadline = 0.0
    _recheck: Recheck | None = None
    _failing: set[_Place] = field(default_factory=set)
    _denials: Counter[_Place] = field(default_factory=Counter)
    _denied: dict[_Place, CloudError] = field(default_factory=dict)

    def run(self, selections: Sequence[Selection], most: int | None = None) -> dict[str, list[Evaluation]]:
        """Spend the budgets, most overdue first, *most* together; return what is left of each policy's."""
        context, report = self.context, self.context.report
        # Keeps time to verify, but never more than a third of what is left.
        now = context.clock.monotonic()
        self._until = context.end - min(_VERIFY_AFTER + 1.0, (context.end - now) / 3)
        self._left = self.budgets.left if self.budgets else {}
        for one in selections:
            room = min(one.allowed.most, len(one.first))
            self._queues[one.policy.name] = _Queue(deque(one.first), room, room, one.policy.owner)
        self._places = sum(queue.room for queue in self._queues.values()) if most is None else most
        if any(one.policy.keep is not None and one.first for one in selections):
            self._recheck = Recheck(context, {one.policy.name: one for one in selections}, self.policies)
        unverified: list[_Stop] = []
        jobs: Jobs[_Stop, Outcome] = deque()
        self._fill(jobs)
        for stop, answer in context.pool.each(jobs, self._until):
            outcome = answer if isinstance(answer, Outcome) else self._unread(stop, answer)
            self._account(outcome)
            if outcome.name == "accepted":
                report.log_task("accepted", outcome.due, **outcome.fields)
            if outcome.name == "accepted" or outcome.unclear:
                report.partial |= context.clock.monotonic() >= self._until
                # Not the same object: a thread that was left behind may still change it.
                unclear = outcome.unclear
                unverified.append(_Stop(outcome.due, outcome.error, unclear, accepted=not unclear))
            else:
                if outcome.is_stop:
                    self.stopped.append(outcome.due if outcome.name == "would_stop" else stop.due)
                report.settled(outcome)
            self._fill(jobs)
        if unverified:
            self._verify(unverified)
        return {name: list(queue.waiting) for name, queue in self._queues.items()}

    def _fill(self, jobs: Jobs[_Stop, Outcome]) -> None:
        """Begin with as many tasks as there are places, those of failing functions last."""
        while self._places > 0:
            heads = [
                (queue.waiting[0].order, name)
                for name, queue in self._queues.items()
                if queue.waiting and queue.room > 0 and self._left.get(name, 1) > 0
            ]
            if not heads:
                return
            _, name = min(heads)
            stop = _Stop(self._queues[name].waiting.popleft())
            self._take(name, 1)
            jobs.append((stop, partial(self._stop, stop)))

    def _take(self, name: str, places: int) -> None:
        """Take *places* of a policy; a negative number gives them back."""
        self._queues[name].room -= places
        self._places -= places
        if name in self._left:
            self._left[name] -= places

    def _stop(self, stop: _Stop, last: Deadline | None = None) -> Outcome:
        """Stop one task if, read again, it is still due by the same policy; with *last* only read it."""
        clock, jitter = self.context.clock, self.context.random.random
        try:
            with suppress(CloudError):
                if last is None:
                    retry = Retry(clock, jitter, lambda: None, first=1.0, longest=8.0, attempts=5)
                    return retry(partial(self._attempt, stop), self._until)
            return self._attempt(stop, self._until if last is None else last)
        except Exception as error:  # a fault about one task must not hide what became of the others
            fault = f"a fault in fc-reaper itself: {type(error).__name__}"
            return self._unjudged(stop, str(error) if isinstance(error, InvalidName) else fault)

    def _attempt(self, stop: _Stop, last: Deadline | None = None) -> Outcome:
        """Read the task and evaluate it; unless this is the *last* reading, request its stop."""
        cloud = self.context.cloud
        function, invocation_id = stop.due.task.key
        if stop.refused is None and last is None and function[:2] in self._denied:
            return Outcome("skipped", stop.due, "denied", _DENIED, self._denied[function[:2]])
        requests = self.context.enforce and last is None
        until = self._until if last is None else last
        try:
            if self._recheck is not None and stop.due.verdict.by.rule == KEEP and last is None:
                self._recheck.prepare(stop.due, until)
            # The stop's turn is waited for before the reading, which would be old news after it.
            seen = cloud.get(function, invocation_id, deadline=until, turns=2 if requests else 1)
        except CloudError as error:
            return self._unread(stop, error)
        owner = self._queues[stop.due.verdict.policy or ""].owner
        if owner is not None and is_same(stop.due.task, seen.task):
            reading = Reading(seen.task, seen.moment, self.context.settings.started_time, read=True)
            named = owner_of(owner, reading) or stop.due.verdict.owner
            stop.due = stop.due._replace(verdict=stop.due.verdict._replace(owner=named))
        outcome = self._decide(stop, seen, last=last is not None)
        if outcome.name == "skipped" and stop.unclear:
            # Whatever spares the task now, an earlier request may still take effect.
            return self._unjudged(stop, outcome.detail or "")
        if outcome.name != "would_stop" or not requests:
            return outcome
        before, stop.unclear = stop.unclear, True
        try:
            cloud.stop(function, invocation_id, deadline=until)
            stop.unclear = before
            return outcome._replace(name="accepted")
        except CloudError as error:
            stop.unclear = before or error.unclear
            if error.out_of_time:
                return self._unread(stop, error)
            stop.refused = error
            raise

    def _decide(self, stop: _Stop, seen: Snapshot, *, last: bool) -> Outcome:
        """What is settled by the task as it was read; `would_stop` if it is to be stopped now."""
        due, task = stop.due, seen.task
        now = Evaluation(task, due.verdict)
        asked = stop.accepted or stop.refused is not None
        if task.inconsistency is not None or task.status not in (*UNFINISHED, *FINISHED):
            return self._unjudged(stop, task.inconsistency or f"the status '{task.status}' is unknown")
        if task.status == STOPPED and (stop.accepted or stop.unclear):
            return Outcome("confirmed", now)
        if task.status in FINISHED:
            spent = asked and task.status == STOPPED
            return Outcome("ended", now, detail=f"it is {task.status} already", spent=spent)
        stopping = task.status == STOPPING and (stop.accepted or due.task.status != STOPPING)
        if stopping and (stop.accepted or stop.unclear):
            return Outcome("accepted", now)
        if stopping and asked:
            whose = "it is stopping, by this request or another caller's"
            return Outcome("skipped", now, "spared", whose, spent=True)
        if last:
            still = f"a stop was accepted, and it is still {task.status}" if stop.accepted else None
            return Outcome("failed", now, None, still, stop.refused, stop.unclear, spent=stop.accepted)
        return self._decide_again(due, seen)

    def _decide_again(self, due: Evaluation, seen: Snapshot) -> Outcome:
        """Evaluate a task again as it was read, before a stop is requested for it."""
        context, task = self.context, seen.task
        if not is_same(due.task, task):
            return Outcome("skipped", due, "spared", REPLACED)
        assert due.policies is not None
        verdict = evaluate(task, due.policies, seen.moment)
        if self._recheck is not None and due.verdict.by.rule == KEEP:
            verdict = self._recheck.verdict(due, task, verdict)
        before = Evaluation(task, due.verdict._replace(spared_by=verdict.spared_by))
        now = Evaluation(task, verdict, seen.moment.earliest)
        if verdict.kind is Kind.UNKNOWN:
            return Outcome("skipped", before, "unreadable", verdict.reason)
        if verdict.kind is not Kind.DUE or verdict.policy != due.verdict.policy:
            other = f"it is due by another policy by now: {verdict.policy}"
            return Outcome("skipped", before, "spared", other if verdict.kind is Kind.DUE else verdict.reason)
        if self.planned and verdict.by.rule != due.verdict.by.rule:
            return Outcome("skipped", now, "spared", f"it is due by another rule by now: {verdict.by.rule}")
        skew = seen.moment.skew
        if skew is None or max(skew, context.cloud.skew_ms) > TRUSTED_SKEW:
            apart = f"our clock and the cloud's differ by more than {TRUSTED_SKEW // 1000}s"
            why = "the answer has no readable Date" if skew is None else apart
            return Outcome("skipped", now, "clock", why, spent=skew is not None)
        if context.pool.interrupted() or context.clock.monotonic() >= self._until:
            return self._late(now)
        return Outcome("would_stop", now)

    def _late(self, due: Evaluation, refused: CloudError | None = None) -> Outcome:
        """Nothing was sent for the task, or it was refused, and there is no time to go on."""
        why = "interrupted" if self.context.pool.interrupted() else "margin"
        return Outcome("skipped", due, why, None, refused)

    def _unread(self, stop: _Stop, error: CloudError) -> Outcome:
        """The outcome of a task that cannot be read (any more), or whose job was not over in time."""
        if stop.accepted or stop.unclear:
            return self._unjudged(stop, f"it could not be read again: {error}")
        if error.missing:
            return Outcome("ended", stop.due, detail="there is no such task any more", error=error)
        late = error.out_of_time or self.context.clock.monotonic() >= self._until
        if late or self.context.pool.interrupted():
            return self._late(stop.due, stop.refused or error)
        return self._unjudged(stop, "it could not be read again", error)

    def _unjudged(self, stop: _Stop, why: str, error: CloudError | None = None) -> Outcome:
        """The outcome of a task of which nothing is known but what was answered to its stop."""
        if stop.accepted:
            return Outcome("accepted", stop.due, detail=why)
        if stop.refused is not None or stop.unclear:
            ended = "interrupted" if self.context.pool.interrupted() else None
            return Outcome("failed", stop.due, ended, why, stop.refused, stop.unclear)
        return Outcome("skipped", stop.due, "unreadable", why, error)

    def _account(self, outcome: Outcome) -> None:
        """Give back a place that brought no stop, and note what fails."""
        task, error, report = outcome.due.task, outcome.error, self.context.report
        name, place = outcome.due.verdict.policy or "", task.function[:2]
        if not outcome.is_spent:
            self._take(name, -1)
            is_stopped = task.status in (STOPPED, STOPPING)
            if self.budgets and is_stopped and within_a_day(task, self.context.clock.now()):
                self.budgets.found_stopped(task.key)
        if outcome.why == "unreadable" or (outcome.name == "failed" and not outcome.unclear):
            queue = self._queues[name]
            self._failing.add(place)
            queue.failures += 1
            if queue.failures >= queue.budget:
                queue.waiting = deque(sorted(queue.waiting, key=self._last))
        if place in self._denied or outcome.why in ("margin", "interrupted"):
            return
        self._denials[place] = self._denials[place] + 1 if error is not None and error.denied else 0
        if error is not None and self._denials[place] == _DENIALS:
            self._denied[place] = error
            for queue in self._queues.values():
                denied = [one for one in queue.waiting if one.task.function[:2] == place]
                queue.waiting = deque(one for one in queue.waiting if one.task.function[:2] != place)
                for one in denied:
                    report.settled(Outcome("skipped", one, "denied", _DENIED, error))

    def _last(self, due: Evaluation) -> tuple[bool, float]:
        """Tasks of failing functions come last, in random order once many failed: each has its turn."""
        failing = due.task.function[:2] in self._failing
        many = self._queues[due.verdict.policy or ""].failures > _MANY
        return failing, self.context.random.random() if failing and many else 0.0

    def _verify(self, stops: Sequence[_Stop]) -> None:
        """Read every stopped task once more; what is not seen Stopped stays `accepted`."""
        context, pool = self.context, self.context.pool
        if self.planned:
            pool = pool._replace(interrupted=lambda: False)
        if not pool.interrupted():
            context.clock.sleep(max(0.0, min(_VERIFY_AFTER, context.end - context.clock.monotonic())))
        # What was left behind keeps its own deadline: with a later one it might still request a stop.
        jobs: Jobs[_Stop, Outcome] = deque((one, partial(self._stop, one, last=context.end)) for one in stops)
        for stop, answer in pool.each(jobs, context.end):
            outcome = answer if isinstance(answer, Outcome) else self._unread(stop, answer)
            if outcome.unclear or outcome.name == "accepted":
                context.report.partial |= context.clock.monotonic() >= context.end
            if outcome.is_stop:
                self.stopped.append(stop.due)
            context.report.settled(outcome, logged=stop.accepted)
