"""How the rate of calls is learnt from refusals, alone and in a whole run."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.clock import SYSTEM_CLOCK, Clock, RateLimiter
from fc_reaper.errors import CloudError
from tests.cloud.clients import TRANSCODE, FastClock, ours
from tests.cloud.loopback import answering, http
from tests.emulator_server import running_emulator
from tests.reaping import reap
from tests.run.account import policy

REFUSED = http(429, {"Code": "ResourceExhausted"})
TASK = http(200, {"invocationId": "job-1", "status": "Running"})


@dataclass
class Calls:
    """Calls through a limiter of so many a second, on a clock that only sleeping moves."""

    rate: int
    now: float = 100.0
    begun: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limiter = RateLimiter(self.rate, 1.0, Clock(lambda: 0, lambda: self.now, self.sleep))

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def make(self, number: int = 1) -> list[int]:
        """Make calls one after the other; return what a refusal of each is to be reported with."""
        given = []
        for _ in range(number):
            given.append(self.limiter(None))
            self.begun.append(self.now)
        return given

    def gap(self) -> float:
        """Seconds from one call to the next."""
        self.make(2)
        return self.begun[-1] - self.begun[-2]


def test_a_refusal_halves_the_rate() -> None:
    """Of twenty calls a second ten are left, one after the other."""
    calls = Calls(20)
    calls.limiter.slow_down(calls.make(20)[0], None)
    calls.make()
    assert calls.gap() == pytest.approx(0.1, rel=0.12)


def test_calls_in_flight_halve_it_once() -> None:
    """However many of them are refused; a call that began after that halves it again."""
    calls = Calls(40)
    for given_ in calls.make(40):
        calls.limiter.slow_down(given_, None)
    calls.make()
    assert calls.gap() == pytest.approx(0.05, rel=0.12)
    calls.limiter.slow_down(calls.make()[0], None)
    calls.make()
    assert calls.gap() > 0.09


def test_what_was_begun_lately_is_halved_where_the_rate_is_far_above() -> None:
    """A rate of a thousand that nobody used says nothing about what the account allows."""
    calls = Calls(1000)
    calls.limiter.slow_down(calls.make(8)[0], None)
    calls.make()
    assert calls.gap() == pytest.approx(0.25, rel=0.12)


def test_a_halved_rate_recovers_slowly_and_never_beyond_the_limit() -> None:
    """By a tenth a second; after a minute it is the whole rate again."""
    calls = Calls(20)
    calls.limiter.slow_down(calls.make(20)[0], None)
    begin = calls.now
    calls.make(100)
    assert 6 < calls.now - begin < 9
    calls.make(1300)
    assert calls.begun[-21] <= calls.begun[-1] - 1 < calls.begun[-20] + 0.1


@pytest.mark.parametrize(("stated", "waited"), [(7.0, 7.0), (3600.0, 60.0)])
def test_all_calls_wait_as_long_as_one_answer_asks(stated: float, waited: float) -> None:
    """A minute at most."""
    calls = Calls(20)
    (turn,) = calls.make()
    calls.limiter.slow_down(turn, stated)
    calls.make()
    assert calls.begun[1] - calls.begun[0] == pytest.approx(waited)
    calls.limiter.slow_down(calls.make()[0], stated)
    with pytest.raises(CloudError) as caught:
        calls.limiter(calls.now + waited)
    assert caught.value.out_of_time


@given(st.integers(1, 60), st.integers(1, 200))
def test_an_account_that_allows_less_is_used_well_and_not_flooded(allowed: int, rate: int) -> None:
    """In three minutes at least half of what it allows comes through, and few calls are refused."""
    calls, tokens, last = Calls(rate), float(allowed), 100.0
    passed = refused = 0
    while calls.now < 280:
        (turn,) = calls.make()
        tokens, last = min(allowed, tokens + (calls.now - last) * allowed), calls.now
        if tokens >= 1:
            tokens, passed = tokens - 1, passed + 1
        else:
            refused += 1
            calls.limiter.slow_down(turn, None)
    assert passed >= 0.5 * 180 * min(allowed, rate)
    assert refused <= 0.2 * passed + 20


@pytest.mark.parametrize("refusal", [REFUSED, http(400, {"Code": "Throttling.User"})])
def test_the_client_reports_a_refusal_for_the_rate(refusal: bytes) -> None:
    """By status or by code; the next attempt waits for its turn."""
    time = FastClock()
    limiter = RateLimiter(50, 1.0, time.clock())
    with (
        answering(refusal, TASK) as server,
        ours(server.endpoint, rate_limiter=limiter, clock=time.clock()) as client,
    ):
        client.get(TRANSCODE, "job-1")
        assert len(server.seen) == 2
    assert max(time.slept) > 1


def test_every_due_task_is_stopped_though_the_account_allows_a_fraction_of_our_rate() -> None:
    """Reads before each stop and their retries share one rate, so that they do not multiply the load."""
    task = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod", "status": "Running"}
    due = {**task, "invocationId": "r-{n}", "count": 10, "enqueued": "-9h", "started": "-9h"}
    with running_emulator("--rate", "20/s", "--stopping", "5ms", seed={"invocations": [due]}) as cloud:
        text = policy(budget="100/run")
        reaped = reap(cloud.endpoint, text, enforce=True, clock=SYSTEM_CLOCK, rate="500/s", margin="1s")
        stopped = {entry["invocationId"] for entry in cloud.journal() if entry["cause"] == "stop"}
        made = sum(cloud.calls()["counts"].values())
    assert len(stopped) == reaped.counts["confirmed"] == 10
    assert made < 3 * 30
