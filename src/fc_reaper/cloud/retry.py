"""When to ask again, and how long to wait first. Only questions are asked again, never a stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fc_reaper.clock import Clock, Deadline
from fc_reaper.errors import CloudError

T = TypeVar("T")

_BASE = 0.2
_CAP = 5.0
_NAP = 0.25
_ATTEMPTS = 5
_ATTEMPTS_BY_DEADLINE = 6
_PATIENCE = 60.0


class Retry:
    """Asks again, with waits that double from 0.2 s to at most 5 s, each cut by chance (full jitter).

    *jitter* answers from 0 up to 1. *awake* is called while waiting, and raises when the run is to end.
    """

    def __init__(self, clock: Clock, jitter: Callable[[], float], awake: Callable[[], None]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._awake = awake

    def __call__(self, attempt: Callable[[], T], deadline: Deadline | None) -> T:
        """Return what *attempt* returns, asking again after a retryable error.

        With a deadline there are at most 6 attempts, and no wait that would outlast it: the error is
        raised at once instead. Without one there are at most 5, and no wait of more than a minute.
        A wait that the cloud asks for is a lower bound.

        Raises:
            CloudError: the last one, or the first that is not retryable; not that the time was up in
                the end, where it is known what took the time.
        """
        attempts = _ATTEMPTS if deadline is None else _ATTEMPTS_BY_DEADLINE
        trouble: CloudError | None = None
        for number in range(attempts - 1):
            try:
                return attempt()
            except CloudError as error:
                if trouble is not None and error.out_of_time:
                    raise trouble from None
                trouble = error
                wait = self._wait(number, error)
                if not error.retryable or self._too_long(wait, deadline):
                    raise
            self._rest(wait)
        return attempt()

    def _wait(self, number: int, error: CloudError) -> float:
        ours = self._jitter() * min(_CAP, _BASE * 2.0**number)
        return max(ours, error.retry_after or 0.0)

    def _too_long(self, wait: float, deadline: Deadline | None) -> bool:
        if deadline is None:
            return wait > _PATIENCE
        return self._clock.monotonic() + wait >= deadline

    def _rest(self, wait: float) -> None:
        # In naps, so that a run that is told to end does not sleep on.
        while wait > 0:
            nap = min(_NAP, wait)
            self._clock.sleep(nap)
            self._awake()
            wait -= nap
