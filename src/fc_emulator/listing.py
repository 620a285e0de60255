"""The tasks of one function in the order of a list; the cost of a page does not grow with their number."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from fc_emulator.tasks import Task

SortKey = tuple[int, str]
"""`startedTime` and id: the order of a list, total and stable."""


class ListQuery(NamedTuple):
    """What a caller asks of a list. Moments are epoch milliseconds, both bounds included."""

    limit: int = 20
    newest_first: bool = True
    begin: int | None = None
    end: int | None = None
    status: str | None = None
    prefix: str = ""
    after: SortKey | None = None


class Page(NamedTuple):
    tasks: list[Task]
    next: SortKey | None


class TaskList:
    """All tasks of one function, sorted by *started_time* (task, moment) as of the latest `sort`."""

    def __init__(self, started_time: Callable[[Task, int], int]) -> None:
        self.tasks: dict[str, Task] = {}
        self._started_time = started_time
        self._rows: list[SortKey] = []
        self._sorted_by: dict[str, int] = {}
        self._pending: list[SortKey] = []

    def add(self, task: Task) -> None:
        self.tasks[task.id] = task
        for at in task.lifecycle.reordered():
            heappush(self._pending, (at, task.id))

    def remove(self, task: Task) -> None:
        del self.tasks[task.id]
        self._rows = [row for row in self._rows if row[1] != task.id]
        self._pending = [row for row in self._pending if row[1] != task.id]
        heapify(self._pending)
        self._sorted_by.pop(task.id, None)

    def page(self, query: ListQuery, now: int) -> Page:
        """The tasks that match, as they were at *now*, which must not run backwards."""
        self.sort(now)
        found: list[Task] = []
        for row in self._window(query):
            task = self.tasks[row[1]]
            if query.status is not None and task.lifecycle.status_at(now) != query.status:
                continue
            if not task.id.startswith(query.prefix):
                continue
            if len(found) == query.limit:
                return Page(found, (self._sorted_by[found[-1].id], found[-1].id))
            found.append(task)
        return Page(found, None)

    def _window(self, query: ListQuery) -> Iterator[SortKey]:
        low = 0 if query.begin is None else bisect_left(self._rows, (query.begin, ""))
        high = len(self._rows) if query.end is None else bisect_left(self._rows, (query.end + 1, ""))
        if query.after is not None and query.newest_first:
            high = min(high, bisect_left(self._rows, query.after))
        elif query.after is not None:
            low = max(low, bisect_right(self._rows, query.after))
        span = range(low, high)
        return (self._rows[at] for at in (reversed(span) if query.newest_first else span))

    def sort(self, now: int) -> None:
        """Move every task that was created or began an attempt up to *now* to its position."""
        moved: set[str] = set()
        while self._pending and self._pending[0][0] <= now:
            moved.add(heappop(self._pending)[1])
        if not moved:
            return
        left = {(self._sorted_by[task_id], task_id) for task_id in moved if task_id in self._sorted_by}
        rows = [row for row in self._rows if row not in left] if left else self._rows
        self._sorted_by.update({task_id: self._started_time(self.tasks[task_id], now) for task_id in moved})
        rows.extend((self._sorted_by[task_id], task_id) for task_id in moved)
        rows.sort()
        self._rows = rows
