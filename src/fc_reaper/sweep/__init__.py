"""One run over the cloud, told from top to bottom in `sweep.py`, and what all its parts work with."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from fc_reaper.clock import Clock, Deadline, Pool
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.evaluator.evaluate import FunctionPolicies
from fc_reaper.models import Millis, Snapshot
from fc_reaper.policy import PolicyFile
from fc_reaper.settings import Settings
from fc_reaper.sweep.report import Report

# Difference between the local clock and the cloud's up to which (itself included) a run may enforce.
TRUSTED_SKEW: Millis = 30_000

AHEAD: Millis = 3_600_000  # how far ahead a plan looks, itself included
Foresee = Callable[[Snapshot, FunctionPolicies], None]


class SweepContext(NamedTuple):
    """One sweep, over by *end*; once `pool.interrupted` returns True nothing more is begun.

    With *foresee* tasks that are due within `AHEAD` are listed too, and it gets each one that is not due;
    such a dry run says, too, what its stops would save.
    """

    cloud: AsyncTaskClient
    pool: Pool
    report: Report
    policy: PolicyFile
    settings: Settings
    clock: Clock
    random: Random
    enforce: bool
    end: Deadline
    foresee: Foresee | None = None
