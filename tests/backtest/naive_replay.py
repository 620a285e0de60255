"""What a replay must come to, said a second time in the plainest words: everything at every tick.

It uses the independent model of a run (`tests/evaluator/naive.py`), as if each tick were its noon, and
nothing of the product.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from hypothesis import strategies as st

from fc_reaper.backtest.history import History
from fc_reaper.models import Function, Millis, Task, TaskEvent
from tests.backtest.lives import MIDNIGHT, MINUTE, as_it_is, shown_restarts
from tests.evaluator import worlds
from tests.evaluator.naive import Key, Present, Tree, budgets, key_of, record_of, what_happens
from tests.evaluator.second_reading import Now

DAY: Millis = 86_400_000
ENDS = ("Succeeded", "Failed", "Stopped")
NEXT = {
    "Enqueued": ["Running"] * 4 + ["Dequeued", "Stopping"],
    "Dequeued": ["Running", "Failed"],
    "Running": ["Succeeded"] * 4 + ["Failed", "Retrying", "Stopping"],
    "Retrying": ["Running"],
    "Stopping": ["Stopped"],
}
LENGTHS = [0, 1, 30_000, 299_999, *[minutes * MINUTE for minutes in (5, 17, 60, 60, 200, 200, 400)]]


class Past(NamedTuple):
    """A policy file as plain data, and a history."""

    tree: dict[str, Any]
    history: History


@st.composite
def pasts(draw: st.DrawFn) -> Past:
    """Some tasks within hours, some of them found under two qualifiers, in the language of the worlds."""
    dice = worlds.Dice(draw)
    taken = set[tuple[Function, str]]()
    tree = worlds.a_tree(dice)
    lives: dict[Key, Task] = {}
    tasks: list[Task] = []
    for _ in range(dice.of([6, 3, 9, 12])):
        function, name = worlds.place(dice, taken)
        task = _life(dice, function, name)
        # A task that is found under two qualifiers has one life.
        tasks.append(lives.setdefault(key_of(task), task)._replace(function=function))
    return Past(tree, as_it_is(tasks))


def _life(dice: worlds.Dice, function: Function, name: str) -> Task:
    moment, status = MIDNIGHT + dice.of(range(61)) * 30_000, "Enqueued"
    events = [TaskEvent(moment, 1, status)]
    for number in range(2, dice.of(range(2, 8))):
        if status in ENDS:
            break
        status, moment = dice.of(NEXT[status]), moment + dice.of(LENGTHS)
        events.append(TaskEvent(moment, number, status))
    record = {"invocationPayload": json.dumps(dice.of(worlds.PAYLOADS))}
    request_id = f"{function.name}-{name}"
    shown = shown_restarts(events)
    retries = dice.of([shown] * 4 + [None, shown + 1])  # some restarts may be missing, or their number
    return Task(function, name, status, request_id, retries=retries, events=tuple(events), record=record)


class NaiveReplay:
    """Runs at every tick from the first event on. `stops` are (policy, tick, record), `reports` likewise."""

    def __init__(self, past: Past, interval: Millis) -> None:
        self.tasks, self.policies, self.tree = past.history.tasks, past.tree["policies"], past.tree
        stopping = [one["name"] for one in self.policies if "stop" in one]
        self.stops: list[tuple[str, Millis, Task]] = []
        self.reports: dict[tuple[str, Function, str], Millis] = {}
        self.halted = dict.fromkeys(stopping, 0)
        self.due: dict[str, set[object]] = {name: set() for name in stopping}
        self._gone: set[Key] = set()
        begin = min(task.events[0].at for task in self.tasks)
        end = max(task.events[-1].at for task in self.tasks)
        for tick in range(-(-begin // interval) * interval, end + 1, interval):
            self._run(tick)

    def _run(self, now: Millis) -> None:
        shown = [_shown(task, now) for task in self.tasks if key_of(task) not in self._gone]
        present = Present(Now(now, now))
        outcome = what_happens([one for one in shown if one is not None], self.tree, present)
        for (function, name), kind in outcome.kinds.items():
            if kind == "reported":
                self.reports.setdefault((outcome.decided_by[function, name], function, name), now)
        granted: list[tuple[Tree, int]] = []
        for name, fate in outcome.fates.items():
            (policy,) = [one for one in self.policies if one["name"] == name]
            waiting = [task for task in fate.due if task not in fate.held]
            most = 0 if fate.halted else min(len(waiting), self._allowed(policy, now, granted))
            granted.append((policy, most))
            for task in waiting[:most]:
                # Of the records of one task the first is stopped, and all are gone.
                if key_of(task) not in self._gone:
                    self.stops.append((name, now, task))
                    self._gone.add(key_of(task))
            self.halted[name] += fate.halted
            self.due[name] |= {record_of(task) for task in fate.due}

    def _allowed(self, policy: Tree, now: Millis, granted: list[tuple[Tree, int]]) -> int:
        per_run, per_day = budgets(policy)
        if per_day is None:
            return per_run
        mine = self._functions(policy)
        count = sum(now - at < DAY and task.function in mine for _, at, task in self.stops if at < now)
        for task in self.tasks:
            shown = None if key_of(task) in self._gone else _as_of(task, now)
            if shown and task.function in mine and shown[-1].status in ("Stopping", "Stopped"):
                count += now - shown[-1].at < DAY
        count += sum(number for other, number in granted if self._functions(other) & mine)
        return max(0, min(per_run, per_day - count))

    def _functions(self, policy: Tree) -> set[Function]:
        every = {task.function for task in self.tasks}
        return {one for one in every if any(fnmatchcase(str(one), target) for target in policy["targets"])}


def _as_of(task: Task, now: Millis) -> list[TaskEvent]:
    return [event for event in task.events if event.at <= now]


def _shown(task: Task, now: Millis) -> Task | None:
    """The task as it was at *now*; None where it was not there or had ended."""
    past = _as_of(task, now)
    if not past or past[-1].status in ENDS:
        return None
    retries, inconsistency = task.retries, None
    if retries is not None and len(past) < len(task.events):
        # A record that lacks restarts does not tell what was the matter before its latest event.
        inconsistency = "it lacks restarts" if shown_restarts(task.events) < retries else None
        retries = min(shown_restarts(past), retries)
    return task._replace(
        status=past[-1].status, events=tuple(past), retries=retries, inconsistency=inconsistency
    )
