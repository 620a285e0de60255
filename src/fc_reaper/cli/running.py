"""One run on this machine, the same as in the cloud: event bytes in, log lines and a result out."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, TextIO
from uuid import UUID

from fc_reaper.cli.ending import Ended
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.dependencies import Dependencies, RunResult
from fc_reaper.run import PlannedRun, run
from fc_reaper.settings import connect

_TOO_MANY = 1_048_577
"""Bytes of an event that are read at most; from here on it is refused anyway."""

SHOWN = 100
"""Due tasks in the result of a run in the cloud."""


def read_event(name: str) -> bytes:
    """The raw bytes of the file *name*, of standard input for `-`; not much more than an event may have.

    Raises:
        Ended: it cannot be read.
    """
    try:
        if name == "-":
            return sys.stdin.buffer.read(_TOO_MANY)
        with Path(name).open("rb") as file:
            return file.read(_TOO_MANY)
    except (OSError, ValueError) as error:
        raise Ended(f"{name}: {_why(error)}; give a file with an event, such as events/timer.json") from None


def sweep(
    event: bytes,
    env: Mapping[str, str],
    stream: TextIO,
    *,
    timeout: float,
    shown: int = SHOWN,
    interrupted: Callable[[], bool] = lambda: False,
    errand: PlannedRun | None = None,
) -> RunResult:
    """Run once for *event*, as the platform would with a function timeout of *timeout* seconds.

    Log lines go to *stream*. Once *interrupted* answers true the run comes to its own end. With an *errand*
    nothing is looked for: the run is about the planned tasks.
    """
    random = Random()
    world = Dependencies(env, stream, SYSTEM_CLOCK, random, connect, interrupted, shown)
    return run(event, _context(random, timeout), world, errand)


def _context(random: Random, timeout: float) -> Any:
    """What the platform hands to a handler, as far as a run looks at it; the request id is made up."""
    request_id = str(UUID(int=random.getrandbits(128), version=4))
    return SimpleNamespace(request_id=request_id, function=SimpleNamespace(timeout=timeout))


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return "there is no such file" if error.errno == errno.ENOENT else str(error.strerror or error)
    return "this is no file name"
