"""What a run is given from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TextIO

from fc_reaper.clock import Clock
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.log import Line, Listener
from fc_reaper.settings import Credentials, Settings

Connect = Callable[[Settings, Credentials, str, Callable[[str], None]], AsyncTaskClient]
"""Makes a client: settings, keys, the run's id, and what to call with the name of each operation."""


def _ignore(line: Line) -> None:
    pass


@dataclass(frozen=True)
class Dependencies:
    """Everything outside that a run touches.

    Log lines are written to *stream* (None: nowhere), and handed to *listener* as values. Once *interrupted*
    answers true the run comes to its own end. *shown* bounds the tasks in the result.
    """

    env: Mapping[str, str]
    stream: TextIO | None
    clock: Clock
    random: Random
    connect: Connect
    interrupted: Callable[[], bool] = lambda: False
    shown: int = 100
    listener: Listener = _ignore
