"""`python -m benchmarks.soak [--minutes N]`: many sweeps in one process against an account that changes.

Between two sweeps five minutes pass, tasks are submitted and others end; each sweep stops some that are old.
Memory, threads and open files are those after each tenth of the time. 1 when any of them grows.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tests.emulator_server import emulator_process
from tests.reaping import reap

from benchmarks.account import TRANSCODE, ours, tasks

_SWEEPS, _EACH = 200, 5
"""After so many sweeps the account is as at the beginning; each finds so many more tasks that are too old."""

_SEED = {
    "invocations": [tasks(_EACH, f"t{number}", f"-{5 * number + 1}m") for number in range(_SWEEPS)],
}

_POLICY = """\
version: 1
policies:
  - name: runaway
    targets: [media/*]
    match: {alive_for: 1000m}
    stop: it is lost
    budget: 50/run
"""


class Held(NamedTuple):
    """What this process holds."""

    kilobytes: int
    threads: int
    files: int

    @classmethod
    def now(cls) -> Held:
        """After a collection, as the instance of a function is between two invocations."""
        gc.collect()
        fields = Path("/proc/self/statm").read_text("ascii").split()
        resident = int(fields[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
        return cls(resident, threading.active_count(), len(os.listdir("/proc/self/fd")))


def main() -> int:
    """Print a row for each tenth of the time."""
    parser = argparse.ArgumentParser(description="Many sweeps in one process.")
    parser.add_argument("--minutes", type=float, default=5.0)
    options = parser.parse_args()
    print(f"{'sweeps':>8}{'stopped':>10}{'memory':>12}{'threads':>9}{'files':>7}")
    rows: list[Held] = []
    sweeps = stopped = 0
    with emulator_process("--stopping", "100ms", "--started-time", "execution", seed=_SEED) as cloud:
        client = ours(cloud.endpoint)
        begun = time.monotonic()
        while len(rows) < 10:
            if sweeps % _SWEEPS == 0:
                cloud.reset()
            for number in range(_EACH):
                client.invoke_async(TRANSCODE, b"{}", invocation_id=f"job-{sweeps}-{number}")
            cloud.advance("5m")
            reaped = reap(cloud.endpoint, _POLICY, enforce=True)
            sweeps, stopped = sweeps + 1, stopped + reaped.counts.get("confirmed", 0)
            if time.monotonic() - begun > (len(rows) + 1) * options.minutes * 6:
                rows.append(Held.now())
                held = rows[-1]
                memory = f"{held.kilobytes / 1024:.1f} MB"
                print(f"{sweeps:>8,}{stopped:>10,}{memory:>12}{held.threads:>9}{held.files:>7}", flush=True)
        client.close()
    assert stopped > 0
    # Python's allocator may still settle in the first fifth of the time.
    first, last = rows[1], rows[-1]
    grown = [name for name, was, now in zip(Held._fields, first, last, strict=True) if now > was * 1.02]
    print(f"grown: {', '.join(grown) or 'nothing'}")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
