"""What surrounds a run: everything outside that it touches, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from random import Random
from typing import Any, TextIO

from fc_reaper.clock import Clock
from fc_reaper.events import Trigger
from fc_reaper.settings import Credentials, Settings
from fc_reaper.sweep.ports import Cloud


class Exit(IntEnum):
    """How a run ended, as exit codes of the command line."""

    DONE = 0
    ATTENTION = 1
    REFUSED = 2
    UNREACHABLE = 3


Connect = Callable[[Settings, Credentials, str, Callable[[str], None]], Cloud]
"""Opens the way to the cloud: settings, keys, the run's id, and whom to tell of each call by name."""


@dataclass(frozen=True)
class Dependencies:
    """Everything outside that a run touches."""

    env: Mapping[str, str]
    stream: TextIO
    clock: Clock
    random: Random
    connect: Connect
    interrupted: Callable[[], bool] = lambda: False
    shown: int = 100


@dataclass(frozen=True)
class RunResult:
    """A run that is over: its result, how it ended, and whether trying again may cure it."""

    result: dict[str, Any]
    exit: Exit
    curable: bool
    trigger: Trigger
