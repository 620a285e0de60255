"""The peak memory of one sweep, and of one backtest; each runs in a process of its own."""

from __future__ import annotations

import os
import resource
from contextlib import redirect_stdout
from pathlib import Path

from tests.reaping import reap

from fc_reaper.cli.app import main

# `alive_for` cannot be pushed down while nobody knows what startedTime means: everything is listed.
POLICY = """\
version: 1
policies:
  - name: runaway
    targets: [media/transcode]
    match: {alive_for: 2h}
    stop: it is lost
"""


def peak(endpoint: str, listed: int) -> int:
    """Sweep once and answer the peak resident size in kilobytes."""
    reaped = reap(endpoint, POLICY, timeout=3_000, rate="100000/s")
    assert reaped.counts["listed"] == listed
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def backtest_peak(history: str) -> int:
    """Replay a file of records under the policy, as `--json` prints it, and answer the same.

    Linux only: ru_maxrss would count what the process that started this one held.
    """
    os.environ["REAPER_POLICY"] = POLICY
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        assert main(["backtest", "--history", history, "--json"]) == 0
    status = Path("/proc/self/status").read_text(encoding="utf-8").split()
    return int(status[status.index("VmHWM:") + 1])
