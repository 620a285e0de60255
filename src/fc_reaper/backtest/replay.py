"""Replaying a history: the same judgement as a run's, at every moment at which a run could see something new.

A verdict on a task changes only with an event of its life, or when one more clock runs over a limit. So a
task is judged at the first tick after each such moment and not in between, except where an expression does
more with its ages than compare one with something that does not age.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from fc_reaper.backtest.backlog import Backlog
from fc_reaper.backtest.intake import History
from fc_reaper.backtest.life import as_of, outcome_of, running
from fc_reaper.backtest.result import PolicyReplay, Replay, Reported, Stop
from fc_reaper.evaluator.evaluate import FunctionPolicies, compile_policies, evaluate
from fc_reaper.evaluator.moments import Moments, moments_of
from fc_reaper.evaluator.verdict import Evaluation, Kind, Verdict
from fc_reaper.models import FINISHED, Function, Millis, Task
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.rules.ages import StartedTime

_ENDS = frozenset(FINISHED)


@dataclass(frozen=True)
class SweepOptions:
    """How a history is replayed.

    *interval* is the time between two ticks, milliseconds. Only ticks from *since* to *until*, both included,
    are replayed. *ourselves* says whether a function is the reaper's own, whose tasks are exempt.
    """

    interval: Millis
    since: Millis | None = None
    until: Millis | None = None
    started_time: StartedTime = "unknown"
    ourselves: Callable[[Function], bool] = field(default=lambda function: False)


class _Room(NamedTuple):
    """What the tasks of one function are judged by, and when that may come out otherwise."""

    rules: FunctionPolicies
    moments: Moments


def rung_by_timer(policy: Policy) -> bool:
    """Whether some timer runs *policy*."""
    return not policy.triggers or any(one.partition(":")[0] == "timer" for one in policy.triggers)


def replay(
    history: History,
    file: PolicyFile,
    terms: SweepOptions,
    step: Callable[[int], None] = lambda tasks: None,
) -> Replay:
    """Run *file* over *history* at every tick; *step* is told how many more tasks have been looked at."""
    return _Replayer(history, file, terms, step).run()


class _Replayer:
    def __init__(
        self, history: History, file: PolicyFile, terms: SweepOptions, step: Callable[[int], None]
    ) -> None:
        self._history, self._file, self._terms, self._step = history, file, terms, step
        self._awake = [policy for policy in file.policies if rung_by_timer(policy)]
        self._asleep = [policy for policy in file.policies if not rung_by_timer(policy)]
        self._results = {policy.name: PolicyReplay(policy) for policy in self._awake}
        self._rooms: dict[Function, _Room] = {}
        self._agenda: dict[Millis, list[int]] = {}
        self._ticks: list[Millis] = []
        self._met: set[int] = set()
        self._reported: dict[str, set[int]] = {policy.name: set() for policy in self._awake}
        self._unknown: dict[str, dict[int, str]] = {policy.name: {} for policy in self._awake}
        self._tasks = history.tasks
        self._end = history.end
        self._last = self._horizon()
        self._backlog = Backlog(self._awake, history.tasks)

    def run(self) -> Replay:
        outside = self._enrol()
        now: Millis | None = None
        while (now := self._next_tick(now)) is not None:
            self._step(self._judge_all(now))
            self._decide(now)
        self._settle()
        first, last = self._first(), self._floor(self._last)
        none = not self._tasks or first > last
        return Replay(
            list(self._results.values()),
            self._asleep,
            self._terms.interval,
            outside,
            0 if none else (last - first) // self._terms.interval + 1,
            None if none else first,
            None if none else last,
        )

    def _settle(self) -> None:
        """Count what only the end of the history tells."""
        self._backlog.close()
        for name, result in self._results.items():
            desk = self._backlog.desks.get(name)
            if desk is not None:
                result.due, result.halted_runs = len(desk.ever), desk.halted_runs
                result.held_back = {why: len(numbers) for why, numbers in desk.held_back.items()}
            claimed = desk.ever if desk is not None else self._reported[name]
            unknown = self._unknown[name]
            result.unknown_why = Counter(why for number, why in unknown.items() if number not in claimed)

    def _enrol(self) -> int:
        """Put each task on the agenda of the tick that sees it first; answer how many nobody watches."""
        outside = 0
        first = self._first()
        for number, task in enumerate(self._tasks):
            if not any(target.fits(task.function) for policy in self._awake for target in policy.targets):
                outside += 1
            else:
                self._note(max(first, self._ceil(task.events[0].at)), number)
        return outside

    def _next_tick(self, now: Millis | None) -> Millis | None:
        """The next tick after *now* at which something can happen; None when there is none any more."""
        ticks = self._ticks[:1]
        if now is not None and self._backlog.waits:
            ticks.append(now + self._terms.interval)
        tick = min(ticks, default=None)
        return None if tick is None or tick > self._last else tick

    def _judge_all(self, now: Millis) -> int:
        if self._ticks and self._ticks[0] == now:
            heappop(self._ticks)
        new = 0
        for number in self._agenda.pop(now, ()):
            if number not in self._met:
                self._met.add(number)
                new += 1
            if number not in self._backlog.gone:
                self._judge(number, now)
        return new

    def _judge(self, number: int, now: Millis) -> None:
        task = as_of(self._tasks[number], now)
        if task is None or task.status in _ENDS:
            self._backlog.withdraw(number)
            return
        room = self._room(task.function)
        verdict = evaluate(task, room.rules, now)
        self._backlog.put(number, Evaluation(task, verdict), now)
        if verdict.kind is Kind.REPORTED and not verdict.members:
            self._report(number, now, verdict)
        if verdict.kind is Kind.UNKNOWN:
            for name in _unsure(verdict, task, room.rules, now):
                self._unknown[name].setdefault(number, verdict.reason)
        self._note(self._next_judgement(number, task, room, now), number)

    def _next_judgement(self, number: int, task: Task, room: _Room, now: Millis) -> Millis:
        """The first tick at which the verdict may be another one."""
        if room.moments.any_time:
            return now + self._terms.interval
        whole = self._tasks[number]
        moments = list(room.moments.after(task, now, self._terms.started_time))
        if len(task.events) < len(whole.events):
            moments.append(whole.events[len(task.events)].at)
        if whole.started_at is not None and whole.started_at > now:
            moments.append(whole.started_at)
        return self._ceil(min(moments)) if moments else self._last + 1

    def _decide(self, now: Millis) -> None:
        decided = self._backlog.decide(now)
        for number, verdict in decided.reported:
            self._report(number, now, verdict)
        for number, verdict, since in decided.stopped:
            task = self._tasks[number]
            outcome = outcome_of(task)
            saved = 0 if outcome == "succeeded" else running(task, now, self._end, self._end)
            lost = running(task, 0, now, self._end)
            result = self._results[verdict.policy or ""]
            result.stops.append(Stop(task, now, verdict, outcome, since, saved, lost))

    def _report(self, number: int, now: Millis, verdict: Verdict) -> None:
        name = verdict.policy or ""
        if number not in self._reported[name]:
            self._reported[name].add(number)
            task = self._tasks[number]
            self._results[name].reported.append(Reported(task, now, verdict, outcome_of(task)))

    def _room(self, function: Function) -> _Room:
        if function not in self._rooms:
            fitting = [one for one in self._awake if any(target.fits(function) for target in one.targets)]
            ourselves = self._terms.ourselves(function)
            rules = compile_policies(
                function,
                fitting,
                self._file.exempt,
                started_time=self._terms.started_time,
                own_function=ourselves,
            )
            self._rooms[function] = _Room(rules, moments_of(fitting, self._file.exempt))
        return self._rooms[function]

    def _note(self, tick: Millis, number: int) -> None:
        if tick > self._last:
            return
        if tick not in self._agenda:
            self._agenda[tick] = []
            heappush(self._ticks, tick)
        self._agenda[tick].append(number)

    def _horizon(self) -> Millis:
        """The last moment at which a tick makes sense: of later ones nobody knows who was there."""
        return self._end if self._terms.until is None else min(self._end, self._terms.until)

    def _first(self) -> Millis:
        return self._ceil(max(self._history.begin, self._terms.since or 0))

    def _ceil(self, moment: Millis) -> Millis:
        return -(-moment // self._terms.interval) * self._terms.interval

    def _floor(self, moment: Millis) -> Millis:
        return moment // self._terms.interval * self._terms.interval


def _unsure(verdict: Verdict, task: Task, rules: FunctionPolicies, now: Millis) -> list[str]:
    """The policies that would have to know what *verdict* says is unknown."""
    if verdict.policy is not None:
        return [verdict.policy]
    # Nobody knows whether it is exempt: that matters for those who claim it otherwise.
    beyond = evaluate(task, rules._replace(exempt=()), now)
    claiming = [beyond.policy] if beyond.kind in (Kind.DUE, Kind.REPORTED) and beyond.policy else []
    return [*claiming, *(member.policy for member in beyond.members)]
