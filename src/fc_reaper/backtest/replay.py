"""What a policy file would have done in a known history: a run at every tick of a timer. Pure.

Every run evaluates the tasks as they were then and selects as a sweep does, by the same `evaluate`, `select`
and `Budgets`. Ticks are the multiples of the interval since the epoch. All policies that a timer runs are
evaluated together. A day's budget counts what the replay stopped and what the history shows as Stopped or
Stopping within 24 hours. A stopped task is gone from that tick on: stopping is not simulated, nor what a stop
would have changed for others, such as a caller that submits the task again. The lock is not considered.

What became of a stopped task in truth: `succeeded` makes it a false stop; `failed` is Failed, Expired or
Invalid; `censored` was stopped by a person or a tool, so its end is unknown; `open` was alive when the
history ends; `unknown` has an unknown status then. Saved is the time in Running after the stop, of
tasks that did not succeed: up to their end, whatever ended them, or the end of the history.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from operator import itemgetter

from fc_reaper.backtest.history import History, as_of, outcome_of, running
from fc_reaper.backtest.stats import Found, PolicyReplay, Replay, Stop
from fc_reaper.evaluator.concurrency import Key, key_of
from fc_reaper.evaluator.evaluate import Evaluation, FunctionPolicies, compile_policies, evaluate
from fc_reaper.evaluator.explain import Changes
from fc_reaper.evaluator.select import DAY, Budgets, Record, Selection, select
from fc_reaper.models import FINISHED, STOPPED, STOPPING, Function, Millis, Moment, Task
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.rules.ages import Reading, StartedTime
from fc_reaper.rules.result import Kind, Verdict

_NO_TASK = -1
"""In the agenda: at that tick the same tasks are due, and the run selects among them again."""


@dataclass(frozen=True)
class ReplayOptions:
    """How a history is replayed.

    *interval* is the time between two ticks, milliseconds. Only ticks from *since* to *until*, both included,
    are replayed. *own_function* says whether a function is the reaper's own, whose tasks are exempt.
    """

    interval: Millis
    since: Millis | None = None
    until: Millis | None = None
    started_time: StartedTime = "unknown"
    own_function: Callable[[Function], bool] = lambda function: False

    def ticks(self, history: History) -> range:
        """The moments at which a timer would have run."""
        begin = max(history.begin, self.since or 0)
        end = history.end if self.until is None else min(history.end, self.until)
        stop = end + 1 if history.tasks else 0
        return range(-(-begin // self.interval) * self.interval, stop, self.interval)


def run_by_timer(policy: Policy) -> bool:
    """Whether some timer runs *policy*."""
    return not policy.triggers or any(one.partition(":")[0] == "timer" for one in policy.triggers)


def replay(
    history: History,
    file: PolicyFile,
    options: ReplayOptions,
    step: Callable[[int], None] = lambda ticks: None,
) -> Replay:
    """Replay *file* over *history* at every tick; *step* receives how many ticks have passed."""
    return _Replaying(history, file, options).run(step)


class _Replaying:
    """One replay. A task is evaluated at the ticks at which its verdict may have changed.

    `_agenda` is a heap of ticks, each with the number of a task to evaluate. `_standing` are the present
    evaluations that `select` needs. `_gone` are the tasks that the replay stopped, and when; `_times_stopped`
    says from when to when a day's budget counts which task.
    """

    def __init__(self, history: History, file: PolicyFile, options: ReplayOptions) -> None:
        self._tasks, self._end, self._file, self._options = history.tasks, history.end, file, options
        self._ticks = options.ticks(history)
        self._policies = [policy for policy in file.policies if run_by_timer(policy)]
        self._results = {policy.name: PolicyReplay(policy=policy) for policy in self._policies}
        self._functions: dict[str, frozenset[Function]] = {}
        functions = {task.function for task in history.tasks}
        for policy in self._policies:
            fitting = (one for one in functions if policy.watches(one))
            self._functions[policy.name] = frozenset(fitting)
        self._compiled = {one: self._compile(one) for one in frozenset().union(*self._functions.values())}
        self._agenda: list[tuple[Millis, int]] = []
        self._standing: dict[int, Evaluation] = {}
        self._due_since: dict[tuple[str, int], Millis] = {}
        self._gone: dict[tuple[Key, str | None], Millis] = {}
        self._last_stop: Millis = -1
        self._times_stopped = sorted(
            (begin, end, number)
            for number, task in enumerate(self._tasks)
            for begin, end in _times_stopped(task)
        )

    def _compile(self, function: Function) -> tuple[FunctionPolicies, Changes]:
        policies = [policy for policy in self._policies if function in self._functions[policy.name]]
        compiled = compile_policies(
            function,
            policies,
            self._file.exempt,
            started_time=self._options.started_time,
            own_function=self._options.own_function(function),
        )
        return compiled, Changes.of(policies, self._file.exempt)

    def run(self, step: Callable[[int], None]) -> Replay:
        """Run at every tick at which something may happen."""
        for number, task in enumerate(self._tasks):
            if task.function in self._compiled:
                self._schedule(number, max(self._ticks.start, task.events[0].at))
        before = self._ticks.start
        while self._agenda:
            now, changed = self._agenda[0][0], False
            while self._agenda and self._agenda[0][0] == now:
                number = heappop(self._agenda)[1]
                changed = number == _NO_TASK or self._evaluate(number, now) or changed
            if changed:
                self._select(now)
            step((now - before) // self._options.interval)
            before = now
        return Replay(
            policies=list(self._results.values()),
            not_replayed=[policy for policy in self._file.policies if policy.name not in self._results],
            interval=self._options.interval,
            outside=sum(task.function not in self._compiled for task in self._tasks),
            runs=len(self._ticks),
            first=self._ticks[0] if self._ticks else None,
            last=self._ticks[-1] if self._ticks else None,
        )

    def _schedule(self, number: int, moment: Millis) -> None:
        """Evaluate a task at the first tick at or after *moment*."""
        tick = -(-moment // self._options.interval) * self._options.interval
        if tick < self._ticks.stop:
            heappush(self._agenda, (tick, number))

    def _evaluate(self, number: int, now: Millis) -> bool:
        """Evaluate a task; return whether `select` may now come to something else."""
        if self._is_gone(number):
            return False
        changed = self._standing.pop(number, None) is not None
        task = as_of(self._tasks[number], now)
        if task is None or task.status in FINISHED:
            return changed
        policies, changes = self._compiled[task.function]
        one = Evaluation(task, evaluate(task, policies, Moment.exactly(now)), now)
        if one.verdict.members or one.verdict.kind is Kind.DUE:
            self._standing[number], changed = one, True
        else:
            self._report(now, number, one)
        if one.verdict.kind is Kind.UNKNOWN:
            for name in _undecided(one, policies):
                self._results[name].reasons.setdefault(number, one.verdict.reason)
        self._schedule(number, self._next_change(self._tasks[number], task, changes, now))
        return changed

    def _next_change(self, whole: Task, task: Task, changes: Changes, now: Millis) -> Millis:
        if changes.any_time:
            return now + 1
        reading = Reading(task, Moment.exactly(now), self._options.started_time, read=True)
        moments = [now + wait for wait in changes.after(reading)]
        moments += (at for at in (whole.started_at or 0, *(event.at for event in whole.events)) if at > now)
        return min(moments, default=self._ticks.stop)

    def _select(self, now: Millis) -> None:
        numbers = {(one.task.function, one.task.invocation_id): at for at, one in self._standing.items()}

        def number(one: Evaluation) -> int:
            return numbers[one.task.function, one.task.invocation_id]

        selections = select(
            self._standing.values(),
            self._policies,
            room=len(self._standing),
            allowance=Budgets(
                self._policies, lambda policy: self._functions[policy.name], partial(self._stopped_today, now)
            ),
            settled=lambda one: self._report(now, number(one), one),
        )
        due_before, self._due_since = self._due_since, {}
        for selection in selections:
            parts = (selection.selected, selection.waiting, selection.held_out_tasks)
            self._carry_out(
                selection, [{number(one): one for one in some} for some in parts], due_before, now
            )
        if self._last_stop == now:
            self._standing = {at: one for at, one in self._standing.items() if not self._is_gone(at)}
        if self._due_since:
            self._schedule(_NO_TASK, now + 1)

    def _carry_out(
        self,
        selection: Selection,
        parts: Sequence[Mapping[int, Evaluation]],
        due_before: Mapping[tuple[str, int], Millis],
        now: Millis,
    ) -> None:
        """Stop what a policy selects, and count its due tasks and those of them that wait or are spared.

        *parts* are those three, by their numbers.
        """
        name, result = selection.policy.name, self._results[selection.policy.name]
        selected, waiting, held_out = parts
        for number in (*selected, *waiting):
            self._due_since[name, number] = due_before.get((name, number), now)
        for number, one in selected.items():
            if not self._is_gone(number):
                self._gone[self._key(number)] = self._last_stop = now
                insort(self._times_stopped, (now, now + DAY, number))
                result.found.append(self._stop(number, one.verdict.later(now - one.at), now))
        result.halted_runs += selection.halted is not None
        result.tasks["due"].update(selected, waiting, held_out)
        result.tasks["holdout"].update(held_out)
        # A record that waits may be of a task that was just stopped under another qualifier.
        left = (number for number in waiting if self._last_stop < now or not self._is_gone(number))
        result.tasks["budget" if selection.halted is None else "halted"].update(left)

    def _stop(self, number: int, verdict: Verdict, now: Millis) -> Stop:
        task = self._tasks[number]
        outcome = outcome_of(task)
        return Stop(
            task=task,
            at=now,
            verdict=verdict,
            outcome=outcome,
            due_since=self._due_since[verdict.policy or "", number],
            saved=0 if outcome == "succeeded" else running(task, now, self._end),
            lost=running(task, 0, now),
        )

    def _report(self, now: Millis, number: int, one: Evaluation) -> None:
        if one.verdict.kind is Kind.REPORTED:
            result = self._results[one.verdict.policy or ""]
            if number not in result.tasks["reported"]:
                result.tasks["reported"].add(number)
                task, verdict = self._tasks[number], one.verdict.later(now - one.at)
                result.found.append(Found(task=task, at=now, verdict=verdict, outcome=outcome_of(task)))

    def _is_gone(self, number: int) -> bool:
        return self._key(number) in self._gone

    def _key(self, number: int) -> tuple[Key, str | None]:
        """What identifies a task, under whatever qualifiers it was found."""
        return key_of(self._tasks[number]), self._tasks[number].request_id

    def _stopped_today(self, now: Millis, policy: Policy, functions: frozenset[Function]) -> set[Record]:
        """The tasks of *functions* that were stopped within a day before *now*, by the replay or in truth."""
        first, last = (bisect_right(self._times_stopped, at, key=itemgetter(0)) for at in (now - DAY, now))
        numbers = {
            number
            for begin, end, number in self._times_stopped[first:last]
            # What happened in truth to a task that the replay stopped counts no more.
            if end > now and self._gone.get(self._key(number), begin) == begin
        }
        found = ((self._tasks[number].function, str(number)) for number in numbers)
        return {record for record in found if record[0] in functions}


def _times_stopped(task: Task) -> Iterator[tuple[Millis, Millis]]:
    """From when to when a day's budget counts a task: at most a day as Stopping, and a day as Stopped."""
    for number, event in enumerate(task.events, 1):
        if event.status in (STOPPING, STOPPED):
            yield event.at, min((event.at + DAY, *(later.at for later in task.events[number:])))


def _undecided(one: Evaluation, policies: FunctionPolicies) -> list[str]:
    """The policies that could not be decided for lack of what the verdict says."""
    if one.verdict.policy is not None:
        return [one.verdict.policy]
    # Whether it is exempt is unknown: that matters to the policies by which it would be due.
    beyond = evaluate(one.task, policies._replace(exempt=()), Moment.exactly(one.at))
    if beyond.kind is Kind.UNKNOWN and beyond.policy is None:  # the record itself is
        return [compiled.policy.name for compiled in policies.every]
    due = [beyond.policy] if beyond.kind in (Kind.DUE, Kind.REPORTED) and beyond.policy else []
    return [*due, *(member.policy for member in beyond.members)]
