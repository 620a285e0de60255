"""Runs in virtual time: a call takes as long as a test says, and no longer than its deadline."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from threading import Lock
from typing import Any

from fc_reaper.clock import SYSTEM_CLOCK, Clock
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.cloud.errors import no_answer
from fc_reaper.models import Credentials
from fc_reaper.run import Dependencies, run
from fc_reaper.settings import Settings, connect
from tests.reliability.case import Ran, context_of, environment

READ_TIMEOUT = 10.0
"""Seconds after which the client gives up an attempt."""

Slowness = Callable[[str], float]
"""The seconds that a call of this operation takes."""


@dataclass
class VirtualTime:
    """Seconds that pass by sleeping and by calls. The date is *now* throughout; None: the true one."""

    seconds: float = 0.0
    now: int | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now or SYSTEM_CLOCK.now(), lambda: self.seconds, self.spend)

    def spend(self, seconds: float) -> None:
        with self._lock:
            self.seconds += seconds


def run_virtually(
    endpoint: str,
    policy: str,
    event: bytes,
    time: VirtualTime,
    slowness: Slowness,
    *,
    timeout: float,
    env: Mapping[str, str] = {},
    lost_stops_apply: bool = False,
) -> Ran:
    """One run, one call after the other. With *lost_stops_apply* a stop that times out takes effect."""

    def connected(settings: Settings, keys: Credentials, run_id: str) -> AsyncTaskClient:
        client = connect(settings, keys, run_id, clock=time.clock, jitter=Random(3).random)
        send = client._do_request

        def slow(*args: Any, operation: str, deadline: float | None = None, **more: Any) -> Any:
            takes = slowness(operation)
            most = min(READ_TIMEOUT, READ_TIMEOUT if deadline is None else deadline - time.seconds)
            if takes < most or most <= 0:
                time.spend(min(takes, max(0.0, most)))
                return send(*args, operation=operation, deadline=deadline, **more)
            if args[0] == "PUT" and lost_stops_apply:
                send(*args, operation=operation, deadline=deadline, **more)
            time.spend(most)
            raise no_answer(TimeoutError())

        client._do_request = slow  # type: ignore[method-assign]
        return client

    out = io.StringIO()
    env = {**environment(endpoint, policy), "REAPER_CONCURRENCY": "1", **env}
    dependencies = Dependencies(env, out, time.clock, Random(7), connected)
    finished = run(event, context_of(timeout), dependencies)
    return Ran([json.loads(line) for line in out.getvalue().splitlines()], finished, raised=False)
