"""`python -m benchmarks [NAME ...]`: measure, and hold each number against what it should reach."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

from benchmarks import measures


class Goal(NamedTuple):
    """A number to reach: at most or at least *reach*."""

    name: str
    what: str
    measure: Callable[[], float]
    at_most: bool
    reach: float


GOALS = (
    Goal("import", "importing the handler / its three dependencies", measures.import_ratio, True, 1.30),
    Goal("first-run", "first run over / the same three imports", measures.first_run_ratio, True, 1.40),
    Goal("idle", "calls of an idle sweep of 10 literal targets", measures.idle_calls, True, 20),
    Goal("find", "list calls to find 100 overdue in 100,000", measures.calls_to_find, True, 4),
    Goal("per-stop", "calls per stop, read-again and proof included", measures.calls_per_stop, True, 3),
    Goal("throughput", "calls/s at 100 ms, 32 in flight / ideal", measures.throughput, False, 0.9),
    Goal("processor", "processor time per call / plain fc2", measures.processor_ratio, True, 0.4),
    Goal("stops", "stops/s, 32 in flight, 20 ms / plain fc2", measures.stop_ratio, False, 25),
    Goal("memory", "peak memory, 1,000,000 listed / 10,000", measures.memory_ratio, True, 1.2),
    Goal("evaluated", "tasks evaluated per second", measures.evaluated_per_second, False, 60_000),
    Goal("replay", "tasks replayed per second, three policies", measures.replayed_per_second, False, 5_000),
    Goal("history", "bytes that backtest holds of a task", measures.bytes_replayed, True, 300),
    Goal("modules", "modules from an event to a stop request", measures.path_modules, True, 22),
    Goal("functions", "functions from an event to a stop request", measures.path_functions, True, 120),
)


def main(wanted: list[str]) -> int:
    """Print one row a number; 1 when one is not reached."""
    missed = 0
    for goal in GOALS:
        if wanted and goal.name not in wanted:
            continue
        value = goal.measure()
        reached = value <= goal.reach if goal.at_most else value >= goal.reach
        missed += not reached
        sign = "<=" if goal.at_most else ">="
        mark = "ok" if reached else "MISSED"
        print(f"{goal.name:11}{goal.what:49}{value:>11,.2f} {sign} {goal.reach:<9,g} {mark}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
