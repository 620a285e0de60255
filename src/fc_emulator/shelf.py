"""The tasks of one place in the order of a list, so that a page costs what it holds and not what exists."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from fc_emulator.tasks import Task

Key = tuple[int, str]
"""`startedTime` and id: the order of a list, total and stable."""


class Wanted(NamedTuple):
    """What a caller asked a list for. Moments are epoch milliseconds, both bounds belong to the window."""

    limit: int = 20
    newest_first: bool = True
    begin: int | None = None
    end: int | None = None
    status: str | None = None
    prefix: str = ""
    after: Key | None = None


class Page(NamedTuple):
    tasks: list[Task]
    next: Key | None


class Shelf:
    """All tasks of one place, sorted by *started* (task, moment) as it was at the moment last looked at."""

    def __init__(self, started: Callable[[Task, int], int]) -> None:
        self.tasks: dict[str, Task] = {}
        self._started = started
        self._rows: list[Key] = []
        self._placed: dict[str, int] = {}
        self._due: list[Key] = []

    def add(self, task: Task) -> None:
        self.tasks[task.id] = task
        for at in task.life.moves():
            heappush(self._due, (at, task.id))

    def page(self, wanted: Wanted, now: int) -> Page:
        """The tasks that fit, as they were at *now*, which must not run backwards."""
        self.settle(now)
        found: list[Task] = []
        for row in self._window(wanted):
            task = self.tasks[row[1]]
            if wanted.status is not None and task.life.status_at(now) != wanted.status:
                continue
            if not task.id.startswith(wanted.prefix):
                continue
            if len(found) == wanted.limit:
                return Page(found, (self._placed[found[-1].id], found[-1].id))
            found.append(task)
        return Page(found, None)

    def _window(self, wanted: Wanted) -> Iterator[Key]:
        low = 0 if wanted.begin is None else bisect_left(self._rows, (wanted.begin, ""))
        high = len(self._rows) if wanted.end is None else bisect_left(self._rows, (wanted.end + 1, ""))
        if wanted.after is not None and wanted.newest_first:
            high = min(high, bisect_left(self._rows, wanted.after))
        elif wanted.after is not None:
            low = max(low, bisect_right(self._rows, wanted.after))
        span = range(low, high)
        return (self._rows[i] for i in (reversed(span) if wanted.newest_first else span))

    def settle(self, now: int) -> None:
        """Put every task in its row that was born or began an attempt up to *now*."""
        moved: set[str] = set()
        while self._due and self._due[0][0] <= now:
            moved.add(heappop(self._due)[1])
        if not moved:
            return
        left = {(self._placed[i], i) for i in moved if i in self._placed}
        rows = [row for row in self._rows if row not in left] if left else self._rows
        self._placed.update({i: self._started(self.tasks[i], now) for i in moved})
        rows.extend((self._placed[i], i) for i in moved)
        rows.sort()
        self._rows = rows
