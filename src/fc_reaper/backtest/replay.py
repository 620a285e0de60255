"""What a policy file would have done in a known history: a run at every tick of a timer. Pure.

Every run evaluates the tasks as they were then and selects as a sweep does, by the same `evaluate`, `select`
and `Budgets`. The rules:

- Ticks are the multiples of the interval since the epoch, from the first event of the history to its end: the
  moment at which it was taken or, where that is unknown, the last moment in it.
- At a tick a task is its record as of then (`as_of`): the events up to and including that moment, the latest
  of them as its status, as many retries as there were Retrying events. What a record gets only at its end
  (`endTime`, `durationMs`, `returnPayload`, error messages) is absent before, and so is `startedTime` before
  the moment that it names.
- All policies that a timer runs are evaluated together, at every tick. A day's budget counts what the replay
  stopped and what the history shows as Stopped or Stopping within 24 hours.
- A stopped task is gone from that tick on. Stopping is not simulated, nor what its stop would have changed
  for others: an earlier start, a caller that submits it again.
- The lock is not considered: a replay shows what an approved policy would do.

What became of a stopped task in truth: `succeeded` makes it a false stop; `failed` is Failed, Expired or
Invalid; `censored` was stopped by somebody, so its end is unknown; `open` was alive when the history ends;
`unknown` has an unknown status then. Saved is the time in Running after the stop, of tasks that did not
succeed: up to their end, their stop by somebody, or the end of the history.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from operator import itemgetter
from typing import NamedTuple

from fc_reaper.backtest.history import History, as_of, outcome_of, running
from fc_reaper.backtest.stats import PolicyReplay, Replay, Reported, Stop
from fc_reaper.evaluator.concurrency import key_of
from fc_reaper.evaluator.evaluate import FunctionPolicies, compile_policies, evaluate
from fc_reaper.evaluator.moments import Moments, moments_of
from fc_reaper.evaluator.select import DAY, Budgets, Selection, select
from fc_reaper.evaluator.verdict import Evaluation, Kind, Verdict
from fc_reaper.models import FINISHED, STOPPED, STOPPING, Function, Millis, Task
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.rules.ages import StartedTime

_ENDS = frozenset(FINISHED)
_BEGIN = itemgetter(0)


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


class _Compiled(NamedTuple):
    """What the tasks of one function are evaluated by, and when the verdict on one may change."""

    policies: FunctionPolicies
    moments: Moments


def run_by_timer(policy: Policy) -> bool:
    """Whether some timer runs *policy*."""
    return not policy.triggers or any(one.partition(":")[0] == "timer" for one in policy.triggers)


def replay(
    history: History,
    file: PolicyFile,
    options: ReplayOptions,
    step: Callable[[int], None] = lambda tasks: None,
) -> Replay:
    """Replay *file* over *history* at every tick; *step* receives how many more tasks have been seen."""
    return _Replay(history, file, options, step).run()


class _Replay:
    """One replay. A task is evaluated at the ticks at which its verdict may have changed.

    `_agenda` has, by tick, the numbers of the tasks to evaluate. `_standing` are the present evaluations that
    `select` needs. `_select_again` says that the next run may stop or report tasks that this one did not.
    """

    def __init__(
        self, history: History, file: PolicyFile, options: ReplayOptions, step: Callable[[int], None]
    ) -> None:
        self._tasks, self._end = history.tasks, history.end
        self._file, self._options, self._step = file, options, step
        self._policies = [policy for policy in file.policies if run_by_timer(policy)]
        self._results = {policy.name: PolicyReplay(policy) for policy in self._policies}
        self._first = self._tick_from(max(history.begin, options.since or 0))
        last = history.end if options.until is None else min(history.end, options.until)
        self._last = last // options.interval * options.interval
        self._compiled: dict[Function, _Compiled | None] = {}
        self._agenda: dict[Millis, list[int]] = {}
        self._ticks: list[Millis] = []
        self._standing: dict[int, Evaluation] = {}
        self._numbers: dict[tuple[Function, str], int] = {}
        self._select_again = False
        self._stops = _Stops(history.tasks, self._policies)
        self._due_since: dict[tuple[str, int], Millis] = {}

    def run(self) -> Replay:
        outside = self._schedule_all()
        seen: set[int] = set()
        for now in self._each_tick():
            numbers = self._agenda.pop(now, ())
            for number in numbers:
                if number not in self._stops.gone:
                    self._evaluate(number, now)
            if self._select_again:
                self._select(now)
            self._step(sum(number not in seen for number in numbers))
            seen.update(numbers)
        none = not self._tasks or self._first > self._last
        return Replay(
            list(self._results.values()),
            [policy for policy in self._file.policies if not run_by_timer(policy)],
            self._options.interval,
            outside,
            0 if none else (self._last - self._first) // self._options.interval + 1,
            None if none else self._first,
            None if none else self._last,
        )

    def _schedule_all(self) -> int:
        """Schedule each task for the tick that sees it first; return how many are outside all targets."""
        outside = 0
        for number, task in enumerate(self._tasks):
            if self._compile(task.function) is None:
                outside += 1
            else:
                self._schedule(number, max(self._first, self._tick_from(task.events[0].at)))
        return outside

    def _each_tick(self) -> Iterator[Millis]:
        """The ticks at which something may happen."""
        now = self._first
        while self._ticks or self._select_again:
            following = (now + self._options.interval,) if self._select_again else ()
            now = min((*self._ticks[:1], *following))
            if now > self._last:
                return
            if self._ticks and self._ticks[0] == now:
                heappop(self._ticks)
            yield now

    def _evaluate(self, number: int, now: Millis) -> None:
        if self._standing.pop(number, None) is not None:
            self._select_again = True
        task = as_of(self._tasks[number], now)
        compiled = self._compile(self._tasks[number].function)
        if task is None or compiled is None or task.status in _ENDS:
            return
        verdict = evaluate(task, compiled.policies, now)
        if verdict.members or verdict.kind is Kind.DUE:
            self._standing[number] = Evaluation(task, verdict, now)
            self._numbers[task.function, task.invocation_id] = number
            self._select_again = True
        elif verdict.kind is Kind.REPORTED:
            self._report(number, now, verdict)
        if verdict.kind is Kind.UNKNOWN:
            for name in _undecided(verdict, task, compiled.policies, now):
                self._results[name].reasons.setdefault(number, verdict.reason)
        self._schedule(number, self._next_evaluation(number, task, compiled.moments, now))

    def _next_evaluation(self, number: int, task: Task, moments: Moments, now: Millis) -> Millis:
        """The first tick at which the verdict may be another one."""
        if moments.any_time:
            return now + self._options.interval
        whole = self._tasks[number]
        following = list(moments.after(task, now, self._options.started_time))
        if len(task.events) < len(whole.events):
            following.append(whole.events[len(task.events)].at)
        if whole.started_at is not None and whole.started_at > now:
            following.append(whole.started_at)
        return self._tick_from(min(following)) if following else self._last + 1

    def _select(self, now: Millis) -> None:
        """What a run at *now* stops and reports."""
        self._select_again = False
        selections = select(
            self._standing.values(),
            self._policies,
            room=len(self._standing),
            allowance=Budgets(self._policies, self._stops.functions, partial(self._stops.count, now)),
            settled=partial(self._settled, now),
        )
        since = self._due_since
        self._due_since = {}
        for selection in selections:
            for one in (*selection.selected, *selection.waiting):
                key = selection.policy.name, self._number(one)
                self._due_since[key] = since.get(key, now)
        for selection in selections:
            for one in selection.selected:
                self._stop(one, now)
            self._note(selection)

    def _note(self, selection: Selection) -> None:
        """Count the due tasks of one policy, and those of them that have to wait or are spared."""
        selected, waiting, held_out = (
            {self._number(one) for one in some}
            for some in (selection.selected, selection.waiting, selection.held_out_tasks)
        )
        result = self._results[selection.policy.name]
        result.halted_runs += selection.halted is not None
        result.tasks["due"] |= selected | waiting | held_out
        # A record that waits may be of a task that was just stopped under another qualifier.
        result.tasks["budget" if selection.halted is None else "halted"] |= waiting - self._stops.gone
        result.tasks["holdout"] |= held_out
        self._select_again = self._select_again or bool(selected or waiting)

    def _stop(self, evaluation: Evaluation, now: Millis) -> None:
        number = self._number(evaluation)
        if number in self._stops.gone:
            return
        for same in self._stops.add(number, now):
            self._standing.pop(same, None)
        task, verdict = self._tasks[number], evaluation.verdict.later(now - evaluation.at)
        name, outcome = verdict.policy or "", outcome_of(task)
        saved = 0 if outcome == "succeeded" else running(task, now, self._end, self._end)
        lost = running(task, 0, now, self._end)
        stop = Stop(task, now, verdict, outcome, self._due_since[name, number], saved, lost)
        self._results[name].stops.append(stop)

    def _settled(self, now: Millis, evaluation: Evaluation) -> None:
        if evaluation.verdict.kind is Kind.REPORTED:
            self._report(self._number(evaluation), now, evaluation.verdict.later(now - evaluation.at))

    def _report(self, number: int, now: Millis, verdict: Verdict) -> None:
        result = self._results[verdict.policy or ""]
        if number not in result.tasks["reported"]:
            result.tasks["reported"].add(number)
            task = self._tasks[number]
            result.reported.append(Reported(task, now, verdict, outcome_of(task)))

    def _number(self, evaluation: Evaluation) -> int:
        return self._numbers[evaluation.task.function, evaluation.task.invocation_id]

    def _compile(self, function: Function) -> _Compiled | None:
        """The policies for the tasks of *function*; None where no target fits it."""
        if function not in self._compiled:
            fitting = [one for one in self._policies if any(target.fits(function) for target in one.targets)]
            policies = compile_policies(
                function,
                fitting,
                self._file.exempt,
                started_time=self._options.started_time,
                own_function=self._options.own_function(function),
            )
            moments = moments_of(fitting, self._file.exempt)
            self._compiled[function] = _Compiled(policies, moments) if fitting else None
        return self._compiled[function]

    def _schedule(self, number: int, tick: Millis) -> None:
        if tick > self._last:
            return
        if tick not in self._agenda:
            self._agenda[tick] = []
            heappush(self._ticks, tick)
        self._agenda[tick].append(number)

    def _tick_from(self, moment: Millis) -> Millis:
        """The first tick at or after *moment*."""
        return -(-moment // self._options.interval) * self._options.interval


class _Stops:
    """The stops of a replay and of its history. `gone` are the tasks that the replay stopped."""

    def __init__(self, tasks: Sequence[Task], policies: Iterable[Policy]) -> None:
        self.gone: set[int] = set()
        self._tasks = tasks
        every = {task.function for task in tasks}
        self._functions = {
            policy.name: frozenset(one for one in every if any(target.fits(one) for target in policy.targets))
            for policy in policies
        }
        self._of_history = sorted(
            (begin, end, number) for number, task in enumerate(tasks) for begin, end in _times_stopped(task)
        )
        self._of_replay: list[tuple[Millis, int]] = []
        self._same = _same_tasks(tasks)

    def add(self, number: int, now: Millis) -> Sequence[int]:
        """Stop a task; return the numbers of its records, under all qualifiers."""
        same = self._same.get(number, (number,))
        self._of_replay.append((now, number))
        self.gone.update(same)
        return same

    def functions(self, policy: Policy) -> frozenset[Function]:
        return self._functions[policy.name]

    def count(self, now: Millis, policy: Policy, functions: frozenset[Function]) -> int:
        """How many tasks of *functions* were stopped within a day before *now*."""
        day_before = now - DAY
        by_replay = self._of_replay[bisect_right(self._of_replay, day_before, key=_BEGIN) :]
        first, last = (bisect_right(self._of_history, at, key=_BEGIN) for at in (day_before, now))
        by_history = (
            number
            for _, until, number in self._of_history[first:last]
            if until > now and number not in self.gone
        )
        numbers = (*(number for _, number in by_replay), *by_history)
        return sum(self._tasks[number].function in functions for number in numbers)


def _times_stopped(task: Task) -> Iterator[tuple[Millis, Millis]]:
    """From when to when a day's budget counts a task: at most a day as Stopping, and a day as Stopped."""
    for number, event in enumerate(task.events, 1):
        following = task.events[number].at if number < len(task.events) else event.at + DAY
        if event.status == STOPPING:
            yield event.at, min(following, event.at + DAY)
        elif event.status == STOPPED:
            yield event.at, event.at + DAY


def _same_tasks(tasks: Iterable[Task]) -> dict[int, Sequence[int]]:
    """The numbers of the records of one task, where it was found under several qualifiers."""
    numbers: dict[tuple[object, str], list[int]] = {}
    for number, task in enumerate(tasks):
        if task.request_id is not None:
            numbers.setdefault((key_of(task), task.request_id), []).append(number)
    return {number: same for same in numbers.values() if len(same) > 1 for number in same}


def _undecided(verdict: Verdict, task: Task, policies: FunctionPolicies, now: Millis) -> list[str]:
    """The policies that could not be decided for lack of what *verdict* says."""
    if verdict.policy is not None:
        return [verdict.policy]
    # Whether it is exempt is unknown: that matters to the policies by which it would be due.
    beyond = evaluate(task, policies._replace(exempt=()), now)
    due = [beyond.policy] if beyond.kind in (Kind.DUE, Kind.REPORTED) and beyond.policy else []
    return [*due, *(member.policy for member in beyond.members)]
