"""What a policy file would have done in a known history: a run at every tick of a timer. Pure.

Every run evaluates the tasks as they were then and selects as a sweep does. Ticks are the multiples of the
interval since the epoch. All policies that a timer runs are evaluated together; the lock is not considered. A
stopped task is gone from that tick on: stopping is not simulated, nor what it would have changed for others.

In truth a stopped task `succeeded` (a false stop) or `failed`, was `censored` (stopped by somebody, so its
end is unknown), is still `open` when the history ends, or `unknown`. Saved is the time in Running after the
stop of tasks that did not succeed, up to their end or the end of the history.
"""

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from operator import itemgetter

from fc_reaper.backtest.history import History, as_of, outcome_of, running
from fc_reaper.backtest.stats import Found, PolicyReplay, Replay
from fc_reaper.evaluator.concurrency import key_of
from fc_reaper.evaluator.evaluate import Evaluation, FunctionPolicies, compile_policies, evaluate
from fc_reaper.evaluator.explain import Changes
from fc_reaper.evaluator.select import DAY, Budgets, Selection, select
from fc_reaper.models import FINISHED, STOPPED, STOPPING, Function, Millis, Moment, Task, TaskKey
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.rules.ages import Reading, StartedTime
from fc_reaper.rules.result import Kind


@dataclass(frozen=True)
class ReplayOptions:
    """How a history is replayed: at ticks of an interval from *since* to *until*, both included.

    *own_function* says whether a function is the reaper's own, whose tasks are exempt.
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


Step = Callable[[int], None]  # receives how many ticks have passed


def replay(
    history: History, file: PolicyFile, options: ReplayOptions, step: Step = lambda ticks: None
) -> Replay:
    """Replay *file* over *history* at every tick."""
    return _Replaying(history, file, options).run(step)


class _Replaying:
    """One replay. A task is evaluated at the ticks at which its verdict may have changed.

    Tasks are known by their numbers in the history. The heap `_agenda` has ticks, each in one integer with
    the task to evaluate then; a number beyond all tasks is nobody: the run only selects again. `_standing`
    are the evaluations that `select` needs; `_unknown` says of tasks that have not ended and were not due why
    a run could not decide. `_same` has the first task that is the same as one under another qualifier;
    `_gone` are those that the replay stopped, and when. `_times_stopped` says when a day's budget counts
    which task.
    """

    def __init__(self, history: History, file: PolicyFile, options: ReplayOptions) -> None:
        self._tasks, self._end, self._file, self._options = history.tasks, history.end, file, options
        self._ticks, self._nobody = options.ticks(history), len(history.tasks)
        self._policies = [policy for policy in file.policies if run_by_timer(policy)]
        self._daily = any(policy.budget.per_day is not None for policy in self._policies)
        self._results = {policy.name: PolicyReplay(policy) for policy in self._policies}
        self._compiled: dict[Function, tuple[FunctionPolicies, Changes] | None] = {}
        self._agenda: list[int] = []
        self._standing: dict[int, Evaluation] = {}
        self._unknown: dict[int, str] = {}
        self._undecided = Counter[str]()
        self._numbers: dict[TaskKey, int] = {}
        self._due_since: dict[tuple[str, int], Millis] = {}
        same = self._tasks.same(lambda task: (key_of(task), task.request_id))
        self._same = {later: first for first, later in same}
        self._gone: dict[int, Millis] = {}
        self._times_stopped: list[tuple[Millis, Millis, int]] = []

    def _compile(self, function: Function) -> tuple[FunctionPolicies, Changes] | None:
        policies, exempt = [one for one in self._policies if one.watches(function)], self._file.exempt
        if not policies:
            return None
        own, started_time = self._options.own_function(function), self._options.started_time
        compiled = compile_policies(function, policies, exempt, started_time=started_time, own_function=own)
        return compiled, Changes.of(compiled)

    def run(self, step: Step) -> Replay:
        """Run at every tick at which something may happen."""
        outside, before = 0, self._ticks.start
        for number, task in enumerate(self._tasks):
            if task.function not in self._compiled:
                self._compiled[task.function] = self._compile(task.function)
            if self._compiled[task.function] is None:
                outside += 1
            else:
                self._schedule(number, max(before, task.events[0].at))
            if self._daily:
                self._times_stopped += ((*span, number) for span in _times_stopped(task))
        self._times_stopped.sort()
        self._functions = {one.name: frozenset(filter(one.watches, self._compiled)) for one in self._policies}
        while self._agenda:
            tick, changed = self._agenda[0] // (self._nobody + 1), False
            now = tick * self._options.interval
            while self._agenda and self._agenda[0] // (self._nobody + 1) == tick:
                number = heappop(self._agenda) % (self._nobody + 1)
                changed = number == self._nobody or self._evaluate(number, now) or changed
            if changed:
                self._select(now)
            step((now - before) // self._options.interval)
            before = now
        self._undecided.update(self._unknown.values())
        not_replayed = [policy for policy in self._file.policies if policy.name not in self._results]
        targets = {str(target): target for policy in self._policies for target in policy.targets}
        unseen = [name for name, one in targets.items() if not any(map(one.fits, self._compiled))]
        return Replay([*self._results.values()], not_replayed, self._ticks, outside, self._undecided, unseen)

    def _schedule(self, number: int, moment: Millis) -> None:
        """Evaluate a task at the first tick at or after *moment*."""
        tick = -(-moment // self._options.interval)
        if tick * self._options.interval < self._ticks.stop:
            heappush(self._agenda, tick * (self._nobody + 1) + number)

    def _evaluate(self, number: int, now: Millis) -> bool:
        """Evaluate a task; return whether `select` may now come to something else."""
        changed = self._standing.pop(number, None) is not None
        whole = self._tasks[number]
        task, compiled = as_of(whole, now), self._compiled[whole.function]
        if self._is_gone(number) or task is None or task.status in FINISHED or compiled is None:
            self._undecided.update([self._unknown.pop(number)] if number in self._unknown else [])
            return changed
        policies, changes = compiled
        verdict = evaluate(task, policies, Moment.exactly(now))
        # The record may hold a payload.
        one = Evaluation(task._replace(record=None), verdict, now)
        if verdict.members or verdict.kind is Kind.DUE:
            self._standing[number], changed = one, True
        else:
            self._report(now, number, one)
        if verdict.kind is Kind.UNKNOWN:
            self._unknown.setdefault(number, verdict.reason)
        self._schedule(number, self._next_change(whole, task, changes, now))
        return changed

    def _next_change(self, whole: Task, task: Task, changes: Changes, now: Millis) -> Millis:
        if changes.any_time:
            return now + 1
        reading = Reading(task, Moment.exactly(now), self._options.started_time, read=True)
        moments = [now + wait for wait in changes.after(reading)]
        moments += (at for at in (whole.started_at or 0, *(event.at for event in whole.events)) if at > now)
        return min(moments, default=self._ticks.stop)

    def _select(self, now: Millis) -> None:
        standing, before, due_before = self._standing, len(self._gone), self._due_since
        self._numbers = {one.task.key: at for at, one in standing.items()}
        selections = select(
            standing.values(),
            self._policies,
            room=len(standing),
            allowance=Budgets(lambda policy: self._functions[policy.name], partial(self._stopped_today, now)),
            settled=lambda one: self._report(now, self._numbers[one.task.key], one),
        )
        self._due_since = {}
        for selection in selections:
            self._carry_out(selection, due_before, now)
        if len(self._gone) > before:
            self._standing = {at: one for at, one in standing.items() if not self._is_gone(at)}
        if self._due_since:
            self._schedule(self._nobody, now + 1)

    def _carry_out(
        self, selection: Selection, due_before: Mapping[tuple[str, int], Millis], now: Millis
    ) -> None:
        """Stop what a policy selects, and count its due tasks."""
        name, result = selection.policy.name, self._results[selection.policy.name]
        selected = {self._numbers[one.task.key]: one for one in selection.selected}
        first = [self._numbers[one.task.key] for one in selection.first]
        held_out = [self._numbers[one.task.key] for one in selection.held_out_tasks]
        for number in first:
            self._due_since[name, number] = due_before.get((name, number), now)
        for number, one in selected.items():
            if not self._is_gone(number):
                self._gone[self._same.get(number, number)] = now
                if self._daily:
                    insort(self._times_stopped, (now, now + DAY, number))
                self._found(now, number, one, self._due_since[name, number])
        result.halted_runs += selection.halted is not None
        for number in (*first, *held_out):
            result.due.add(number)
            self._unknown.pop(number, None)

    def _report(self, now: Millis, number: int, one: Evaluation) -> None:
        if one.verdict.kind is Kind.REPORTED:
            due = self._results[one.verdict.policy or ""].due
            if number not in due:
                due.add(number)
                self._unknown.pop(number, None)
                self._found(now, number, one)

    def _found(self, now: Millis, number: int, one: Evaluation, since: Millis | None = None) -> None:
        """Note a task that is reported, or stopped, and then due *since* a moment."""
        task, verdict = self._tasks[number], one.verdict.later(now - one.at)
        outcome, lengths = outcome_of(task), (0, 0)
        if since is not None:
            saved = 0 if outcome == "succeeded" else running(task, now, self._end)
            lengths = saved, running(task, 0, now)
        found = Found(self._tasks, number, now, verdict, outcome, since, *lengths)
        self._results[verdict.policy or ""].found.append(found)

    def _is_gone(self, number: int) -> bool:
        return self._same.get(number, number) in self._gone

    def _stopped_today(self, now: Millis, policy: Policy, functions: frozenset[Function]) -> set[TaskKey]:
        """The tasks of *functions* that were stopped within a day before *now*, by the replay or in truth."""
        first, last = (bisect_right(self._times_stopped, at, key=itemgetter(0)) for at in (now - DAY, now))
        numbers = {
            number
            for begin, end, number in self._times_stopped[first:last]
            # What happened in truth to a task that the replay stopped counts no more.
            if end > now and self._gone.get(self._same.get(number, number), begin) == begin
        }
        found = ((self._tasks[number].function, str(number)) for number in numbers)
        return {record for record in found if record[0] in functions}


def _times_stopped(task: Task) -> Iterator[tuple[Millis, Millis]]:
    """From when to when a day's budget counts a task: at most a day as Stopping, and a day as Stopped."""
    for number, event in enumerate(task.events, 1):
        if event.status in (STOPPING, STOPPED):
            yield event.at, min((event.at + DAY, *(later.at for later in task.events[number:])))
