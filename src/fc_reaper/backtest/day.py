"""The stops of the last 24 hours, as the records of a history and the replay itself tell them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from fc_reaper.evaluator.select import Allowance
from fc_reaper.models import STOPPED, STOPPING, Function, Millis, Task
from fc_reaper.policy import Policy

DAY: Millis = 86_400_000


class Days:
    """What each policy may stop in a run: its budget, and what is left of its day. Time only goes forward."""

    def __init__(self, policies: Sequence[Policy], tasks: Sequence[Task]) -> None:
        functions = {task.function for task in tasks}
        self._watched = {policy.name: _watched(policy, functions) for policy in policies}
        self._days = {
            policy.name: Day(self._watched[policy.name], tasks)
            for policy in policies
            if policy.per_day is not None
        }
        self._granted: list[tuple[frozenset[Function], int]] = []

    def begin(self) -> None:
        """A new run: nothing has been granted in it."""
        self._granted.clear()

    def at_most(self, policy: Policy, now: Millis, gone: set[int]) -> int:
        """How many tasks *policy* may stop, after what earlier policies of this run have been allowed."""
        if policy.per_day is None:
            return policy.per_run
        functions = self._watched[policy.name]
        stopped = self._days[policy.name].count(now, gone)
        stopped += sum(number for others, number in self._granted if not others.isdisjoint(functions))
        return max(0, min(policy.per_run, policy.per_day - stopped))

    def allowance(self, policy: Policy, due: int, now: Millis, gone: set[int]) -> Allowance:
        """Allow *policy* to stop as many of *due* tasks as it may."""
        allowed = Allowance(self.at_most(policy, now, gone))
        self._granted.append((self._watched[policy.name], min(due, allowed.most)))
        return allowed

    def stopped(self, number: int, task: Task, now: Millis) -> None:
        """The replay stops a task."""
        for day in self._days.values():
            day.stopped(number, task, now)


def _watched(policy: Policy, functions: Iterable[Function]) -> frozenset[Function]:
    return frozenset(one for one in functions if any(target.fits(one) for target in policy.targets))


class Day:
    """The stops within the last 24 hours of some functions: those of the history and those of the replay."""

    def __init__(self, functions: frozenset[Function], tasks: Sequence[Task]) -> None:
        self._functions = functions
        windows = (
            (*window, number)
            for number, task in enumerate(tasks)
            if task.function in self._functions
            for window in _windows(task)
        )
        self._coming = sorted(windows, reverse=True)
        self._ends: dict[int, Millis] = {}
        self._closing: list[tuple[Millis, int]] = []

    def stopped(self, number: int, task: Task, now: Millis) -> None:
        """The replay stops a task."""
        if task.function in self._functions:
            self._count(number, now + DAY)

    def count(self, now: Millis, gone: set[int]) -> int:
        """How many were stopped. The history's own stops of the *gone*, stopped before, are left out."""
        while self._coming and self._coming[-1][0] <= now:
            _, end, number = self._coming.pop()
            if number not in gone:
                self._count(number, end)
        while self._closing and self._closing[0][0] <= now:
            end, number = heappop(self._closing)
            if self._ends.get(number) == end:
                del self._ends[number]
        return len(self._ends)

    def _count(self, number: int, end: Millis) -> None:
        self._ends[number] = end
        heappush(self._closing, (end, number))


def _windows(task: Task) -> Iterable[tuple[Millis, Millis]]:
    """From when to when a task counts as stopped: at most a day as Stopping, and a day as Stopped."""
    for number, event in enumerate(task.events):
        following = task.events[number + 1].at if number + 1 < len(task.events) else 1 << 62
        if event.status == STOPPING:
            yield event.at, min(following, event.at + DAY)
        elif event.status == STOPPED:
            yield event.at, event.at + DAY
