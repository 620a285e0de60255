"""Calls at the same time, until a deadline."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from operator import mul

import pytest

from fc_reaper.clock import SYSTEM_CLOCK, Jobs, Pool
from fc_reaper.errors import CloudError, InvalidName


def never() -> bool:
    return False


def pool(threads: int = 4, interrupted: Callable[[], bool] = never) -> Pool:
    return Pool(threads, SYSTEM_CLOCK, interrupted, grace=0.1)


def soon(seconds: float = 30.0) -> float:
    return time.monotonic() + seconds


def test_each_job_is_yielded_once_and_more_may_be_added_meanwhile() -> None:
    """However few threads there are."""
    jobs: Jobs[int, int] = deque((number, partial(mul, number, 2)) for number in range(20))
    results = []
    for tag, answer in pool(3).each(jobs, soon()):
        results.append((tag, answer))
        if tag < 5:
            jobs.append((tag + 100, lambda: 0))
    assert sorted(results) == [(n, 2 * n) for n in range(20)] + [(n + 100, 0) for n in range(5)]


def test_what_the_cloud_refuses_takes_the_place_of_an_answer() -> None:
    """A name that cannot be sent is an error of the cloud like any other; every other fault is raised."""

    def fails(error: Exception) -> Callable[[], int]:
        def call() -> int:
            raise error

        return call

    jobs: Jobs[str, int] = deque([("name", fails(InvalidName("no"))), ("cloud", fails(CloudError("busy")))])
    found = {tag: str(error) for tag, error in pool().each(jobs, soon())}
    assert found == {"name": "InvalidName: no", "cloud": "refused: busy"}
    jobs.append(("fault", fails(KeyError("x"))))
    rest = pool().each(jobs, soon())
    with pytest.raises(KeyError):
        next(rest)


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
        for tag, error in pool(1, lambda: interrupted and begun.is_set()).each(jobs, soon(0.2)):
            assert isinstance(error, CloudError)
            found[tag] = error.error_code
        assert found == codes
        assert all(one.daemon for one in threading.enumerate() if one is not threading.main_thread())
    finally:
        hangs.set()
