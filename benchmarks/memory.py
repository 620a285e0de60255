"""The peak memory of one sweep; run in a process of its own."""

from __future__ import annotations

import resource

from tests.reaping import reap

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
