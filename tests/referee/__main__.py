"""`python -m tests.referee SEED...` replays worlds; `--worlds FIRST COUNT` tries many."""

from __future__ import annotations

import argparse
import sys
import time

from tests.referee.referee import breaches_of, referees_of
from tests.referee.trial import carry_out
from tests.referee.worlds import world_of


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.referee", description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int)
    parser.add_argument("--worlds", nargs=2, type=int, metavar=("FIRST", "COUNT"))
    parser.add_argument("--first", action="store_true", help="stop at the first world with a breach")
    parser.add_argument("--verbose", action="store_true", help="print the world, its calls and its lines")
    options = parser.parse_args()
    first, count = options.worlds or (0, 0)
    seeds = [*options.seeds, *range(first, first + count)]
    wrong, begin = 0, time.monotonic()
    for seed in seeds:
        trial = carry_out(world_of(seed))
        if options.verbose:
            _show(trial)
        breaches = breaches_of(trial, referees_of(trial))
        wrong += bool(breaches)
        for breach in breaches[:10]:
            print(f"{seed}: {breach}", flush=True)
        if breaches and options.first:
            return 1
    took = time.monotonic() - begin
    print(f"{len(seeds)} worlds, {wrong} with breaches, {len(seeds) / max(took, 1e-9):.0f} worlds a second")
    return 1 if wrong else 0


def _show(trial: object) -> None:
    from dataclasses import asdict
    from pprint import pprint

    from tests.referee.trial import Trial

    assert isinstance(trial, Trial)
    pprint(asdict(trial.world), width=150)
    for run in trial.runs:
        print(f"--- run at {run.begun}, ended {run.ended}: {run.event!r}")
        for one in run.exchanges:
            print(f"  {one.sent} {one.answered} {one.kind} {one.place} {one.invocation_id} {one.query} "
                  f"{one.status} {one.fault} {one.date}")  # fmt: skip
        for line in run.lines:
            print(
                "  ",
                {k: v for k, v in line.items() if k not in ("timestamp", "run_id", "request_id", "mode")},
            )


if __name__ == "__main__":
    sys.exit(main())
