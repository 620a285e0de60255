"""Threads, locks, queues and sleep under one virtual clock.

One thread runs at a time, and time passes only while all of them wait: a run is repeatable to the last call,
and an hour takes as long as what happens in it. The classes here have the parts of `threading` and `queue`
that the product uses; `tests.referee.trial` puts them in their places.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from math import inf, nextafter
from queue import Empty
from typing import Any, ClassVar

Work = Callable[[], object]


class Deadlock(Exception):
    """Every thread waits for another one, and nothing is to happen any more."""


class _Waiter:
    """A wait of one thread that ends once: by what it waits for, or by a timer."""

    __slots__ = ("over", "thread")

    def __init__(self, thread: _Thread) -> None:
        self.thread, self.over = thread, False


class _Thread:
    """A real thread that runs only while it has the turn. It serves one simulation after the other."""

    idle: ClassVar[list[_Thread]] = []

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.turn.acquire()
        self.work: Work | None = None

    def serve(self) -> None:
        """Run what it is given, for as long as the process lives."""
        while True:
            self.turn.acquire()
            assert self.work is not None
            self.work()


class Simulation:
    """The clock, and whose turn it is. `time` is in seconds, from 0. Its maker has the first turn."""

    def __init__(self) -> None:
        self.time = 0.0
        self._current = _Thread()
        self._ready: deque[_Thread] = deque()
        self._timers: list[tuple[float, int, _Waiter | Work]] = []
        self._number = 0

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass for the thread that calls."""
        if seconds > 0:
            waiter = _Waiter(self._current)
            self._at(self.time + seconds, waiter)
            self._switch()

    def later(self, seconds: float, work: Work) -> None:
        """Call *work*, which must not wait, after so many seconds."""
        self._at(self.time + max(0.0, seconds), work)

    def start(self, work: Work) -> None:
        """Begin a thread that ends with *work*."""
        if _Thread.idle:
            thread = _Thread.idle.pop()
        else:
            thread = _Thread()
            threading.Thread(target=thread.serve, name="simulated", daemon=True).start()

        def whole() -> None:
            try:
                work()
            finally:
                _Thread.idle.append(thread)
                self._give(self._next())

        thread.work = whole
        self._ready.append(thread)

    def drain(self, most: float = 3600.0) -> None:
        """Let everything happen that is to happen within *most* seconds."""
        end = self.time + most
        while self._ready or (self._timers and self._timers[0][0] <= end):
            self.sleep(max(1e-3, min(end, self._timers[0][0] if self._timers else end) - self.time))

    def waiting(self) -> _Waiter:
        """A wait of the thread that calls; `wait` ends when it is over."""
        return _Waiter(self._current)

    def wait(self, waiter: _Waiter, timeout: float | None) -> None:
        """Wait until `wake`, or for *timeout* seconds."""
        if timeout is not None:
            # A wait takes some time, however short: else one that waits in a loop would wait for ever.
            self._at(max(self.time + timeout, nextafter(self.time, inf)), waiter)
        self._switch()

    def wake(self, waiter: _Waiter) -> bool:
        """End a wait; False if it is over already."""
        if waiter.over:
            return False
        waiter.over = True
        self._ready.append(waiter.thread)
        return True

    def _at(self, time: float, what: _Waiter | Work) -> None:
        self._number += 1
        heappush(self._timers, (time, self._number, what))

    def _next(self) -> _Thread:
        while not self._ready:
            if not self._timers:
                raise Deadlock
            time, _, what = heappop(self._timers)
            if isinstance(what, _Waiter):
                if not what.over:
                    what.over = True
                    self.time = max(self.time, time)
                    return what.thread
            else:
                self.time = max(self.time, time)
                what()
        return self._ready.popleft()

    def _give(self, thread: _Thread) -> None:
        self._current = thread
        thread.turn.release()

    def _switch(self) -> None:
        me, other = self._current, self._next()
        if other is not me:
            self._give(other)
            me.turn.acquire()


class Queue:
    """`queue.SimpleQueue`."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._items: deque[Any] = deque()
        self._waiters: deque[_Waiter] = deque()

    def put(self, item: Any) -> None:
        self._items.append(item)
        while self._waiters:
            if self._simulation.wake(self._waiters.popleft()):
                return

    def get(self, timeout: float | None = None) -> Any:
        end = None if timeout is None else self._simulation.time + timeout
        while not self._items:
            left = None if end is None else end - self._simulation.time
            if left is not None and left < 0:
                raise Empty
            waiter = self._simulation.waiting()
            self._waiters.append(waiter)
            self._simulation.wait(waiter, left)
        return self._items.popleft()


class Lock:
    """`threading.Lock`, as a context manager."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._held = simulation, False
        self._waiters: deque[_Waiter] = deque()

    def __enter__(self) -> None:
        while self._held:
            waiter = self._simulation.waiting()
            self._waiters.append(waiter)
            self._simulation.wait(waiter, None)
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False
        if self._waiters:
            self._simulation.wake(self._waiters.popleft())


class Thread:
    """`threading.Thread`."""

    def __init__(
        self, simulation: Simulation, target: Callable[..., object], args: tuple[Any, ...] = (), **_: Any
    ) -> None:
        self._simulation, self._work = simulation, lambda: target(*args)

    def start(self) -> None:
        self._simulation.start(self._work)
