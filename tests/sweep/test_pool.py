"""Calls at the same time, until a deadline."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from operator import mul

import pytest

from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.errors import CloudError, InvalidName
from fc_reaper.sweep.pool import Jobs, Pool


def never() -> bool:
    return False


def pool(threads: int = 4, interrupted: Callable[[], bool] = never) -> Pool:
    return Pool(threads, SYSTEM_CLOCK, interrupted)


def soon(seconds: float = 30.0) -> float:
    return time.monotonic() + seconds


def test_each_job_is_yielded_once_and_more_may_be_added_meanwhile() -> None:
    """However few threads there are."""
    jobs: Jobs[int, int] = deque((number, partial(mul, number, 2)) for number in range(20))
    results = []
    for done in pool(3).each(jobs, soon()):
        results.append((done.tag, done.result()))
        if done.tag < 5:
            jobs.append((done.tag + 100, lambda: 0))
    assert sorted(results) == [(n, 2 * n) for n in range(20)] + [(n + 100, 0) for n in range(5)]


def test_what_a_call_raises_is_raised_by_its_result() -> None:
    """A name that cannot be sent is an error of the cloud like any other."""

    def fails(error: Exception) -> Callable[[], int]:
        def call() -> int:
            raise error

        return call

    jobs: Jobs[str, int] = deque([("name", fails(InvalidName("no"))), ("fault", fails(KeyError("x")))])
    done = {one.tag: one for one in pool().each(jobs, soon())}
    with pytest.raises(CloudError, match="no"):
        done["name"].result()
    with pytest.raises(KeyError):
        done["fault"].result()


@pytest.mark.parametrize(
    ("interrupted", "codes"),
    [(False, {"hangs": "TimedOut", "waits": "OutOfTime"}), (True, {"hangs": "Aborted", "waits": "Aborted"})],
)
def test_what_is_not_over_by_the_deadline_says_why(interrupted: bool, codes: dict[str, str]) -> None:
    """A call that hangs is left alone, and does not keep the process alive."""
    hangs, begun = threading.Event(), threading.Event()

    def hang() -> bool:
        begun.set()
        return hangs.wait(60)

    jobs: Jobs[str, bool] = deque([("hangs", hang), ("waits", hang)])
    try:
        found = {}
        for done in pool(1, lambda: interrupted and begun.is_set()).each(jobs, soon(0.2)):
            assert isinstance(done.error, CloudError)
            found[done.tag] = done.error.error_code
        assert found == codes
        assert all(one.daemon for one in threading.enumerate() if one is not threading.main_thread())
    finally:
        hangs.set()
