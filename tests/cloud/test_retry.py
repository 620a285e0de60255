"""How often a read is retried, after which waits, and with what it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.clock import Clock, Retry
from fc_reaper.errors import CloudError


@dataclass
class Trial:
    """A call that fails in the given ways, and a clock that only moves by sleeping."""

    errors: list[CloudError]
    called: int = 0
    waits: list[float] = field(default_factory=list)
    jitter: float = 1.0
    now: float = 0.0

    def __call__(self) -> str:
        self.called += 1
        self.waits.append(0.0)
        if self.called <= len(self.errors):
            raise self.errors[self.called - 1]
        return "answer"

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waits[-1] += seconds

    def run(self, deadline: float | None = None) -> str:
        clock = Clock(now=lambda: 0, monotonic=lambda: self.now, sleep=self.sleep)
        return Retry(clock, lambda: self.jitter, lambda: None)(self, deadline)


def a_fault(retry_after: float | None = None) -> CloudError:
    return CloudError("fault", http_status=503, retryable=True, retry_after=retry_after)


def test_a_passing_trouble_is_outlasted() -> None:
    """The waits double."""
    trial = Trial([a_fault()] * 3)
    assert trial.run() == "answer"
    assert [round(wait, 3) for wait in trial.waits] == [0.2, 0.4, 0.8, 0]


@pytest.mark.parametrize(("deadline", "attempts"), [(None, 5), (1000.0, 6)])
def test_attempts_are_counted(deadline: float | None, attempts: int) -> None:
    """Five without a deadline, six with one; the last error is raised."""
    errors = [a_fault() for _ in range(10)]
    trial = Trial(errors)
    with pytest.raises(CloudError) as caught:
        trial.run(deadline)
    assert (trial.called, caught.value) == (attempts, errors[attempts - 1])


def test_what_will_not_pass_is_not_asked_again() -> None:
    """All other 4xx, and what cannot be read."""
    trial = Trial([CloudError("no", http_status=403)])
    with pytest.raises(CloudError):
        trial.run()
    assert (trial.called, trial.now) == (1, 0)


@pytest.mark.parametrize(
    ("stated", "waited"),
    [pytest.param(7, 7, id="longer-than-ours"), pytest.param(0.01, 0.2, id="shorter-than-ours")],
)
def test_a_wait_that_the_cloud_asks_for_is_a_lower_bound(stated: float, waited: float) -> None:
    """Coming sooner would be refused again; coming all at once would be throttled again."""
    trial = Trial([a_fault(stated)])
    trial.run(deadline=100)
    assert trial.now == pytest.approx(waited)


@pytest.mark.parametrize(("deadline", "called"), [(7.0, 1), (7.001, 2)])
def test_no_wait_reaches_the_deadline(deadline: float, called: int) -> None:
    """A wait that would end exactly at it is not begun: nothing could follow."""
    trial = Trial([a_fault(7)])
    if called == 1:
        with pytest.raises(CloudError):
            trial.run(deadline)
    else:
        trial.run(deadline)
    assert trial.called == called


@pytest.mark.parametrize(("stated", "called"), [(60, 2), (60.1, 1)])
def test_without_a_deadline_no_wait_is_longer_than_a_minute(stated: float, called: int) -> None:
    """A server cannot make us sleep for an hour."""
    trial = Trial([a_fault(stated)])
    if called == 1:
        with pytest.raises(CloudError):
            trial.run()
    else:
        trial.run()
    assert trial.called == called


@given(st.floats(0, 1, exclude_max=True), st.floats(0.001, 20), st.integers(0, 9))
def test_waiting_never_outlasts_the_deadline(jitter: float, deadline: float, troubles: int) -> None:
    """Whatever chance says and however long the trouble lasts."""
    trial = Trial([a_fault() for _ in range(troubles)], jitter=jitter)
    try:
        trial.run(deadline)
    except CloudError:
        assert troubles > 0
    assert trial.now < deadline
    assert trial.called <= 6


def test_a_run_that_is_told_to_end_does_not_sleep_on() -> None:
    """Waits are taken in short steps, with a check after each."""
    trial = Trial([a_fault(50)])
    steps: list[float] = []

    def check() -> None:
        if len(steps) == 3:
            raise CloudError("enough", error_code="Aborted")

    clock = Clock(now=lambda: 0, monotonic=lambda: 0.0, sleep=steps.append)
    with pytest.raises(CloudError, match="enough"):
        Retry(clock, lambda: 1.0, check)(trial, 100.0)
    assert sum(steps) < 1
