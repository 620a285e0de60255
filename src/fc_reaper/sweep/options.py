"""How a run works."""

from __future__ import annotations

from dataclasses import dataclass

from fc_reaper.clock import Deadline
from fc_reaper.models import Millis
from fc_reaper.rules.ages import StartedTime
from fc_reaper.rules.target import Target


@dataclass(frozen=True)
class SweepOptions:
    """All that is settled before a run begins. Lengths of time are milliseconds.

    `end` is the moment by which the run must be over. `log_tasks` is the most task lines per policy,
    `shown` the most tasks in the result. `may_refuse` are statuses that the dialect may not list.
    `tick` is the time between two runs, for `new` only.
    """

    end: Deadline
    concurrency: int = 16
    may_refuse: frozenset[str] = frozenset()
    stuck_after: Millis = 180_000
    started_time: StartedTime = "unknown"
    ourselves: Target | None = None
    log_tasks: int = 100
    shown: int = 100
    tick: Millis = 300_000
    verbose: bool = False
