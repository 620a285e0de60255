"""`fc-reaper invoke`: the handler on an event, as the platform would call it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from fc_reaper.cli.ending import complain, say
from fc_reaper.cli.hints import advice_for
from fc_reaper.cli.interruption import interruptible
from fc_reaper.cli.running import read_event, sweep
from fc_reaper.cli.tap import Tap
from fc_reaper.dependencies import Exit


def invoke(event: str, env: Mapping[str, str], timeout: float) -> int:
    """Log lines to standard error as they come, the result as one JSON object to standard output."""
    tap = Tap(sys.stderr, keep=("list_failed",))
    raw = read_event(event)
    with interruptible() as interrupted:
        finished = sweep(raw, env, tap, timeout=timeout, interrupted=interrupted)
    say(json.dumps(finished.result))
    if finished.exit is Exit.UNREACHABLE:
        complain(*advice_for(tap.lines))
    return int(finished.exit)
