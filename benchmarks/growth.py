"""`python -m benchmarks.growth [--svg FILE]`: how the cost of a run grows with the account and the policy.

Each row is a run in a process of its own against an emulator in another. Processor time and peak memory are
those of the run alone, its start included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.emulator_server import emulator_process
from tests.reaping import reap

from benchmarks.account import tasks

_FUNCTIONS = 1_000


class Account(NamedTuple):
    """One row: what exists, and what is due."""

    functions: int = 1
    policies: int = 1
    listed: int = 100
    due: int = 0

    def seed(self) -> dict[str, Any]:
        """The tasks, spread evenly over the functions; those that are due are two hours too old."""
        invocations = []
        for number in range(self.functions):
            name = f"f{number}"
            young, old = (count // self.functions for count in (self.listed - self.due, self.due))
            invocations += [tasks(young, f"young-{number}", "-1h", name)] if young else []
            invocations += [tasks(old, f"old-{number}", "-4h", name)] if old else []
        return {"invocations": invocations}

    def policy(self) -> str:
        """Policies of which each watches its share of the functions, or all of them where there are more."""
        lines = ["version: 1", "policies:"]
        for number in range(self.policies):
            names = range(number % self.functions, self.functions, self.policies)
            targets = ", ".join(f"media/f{name}" for name in names)
            lines += [
                f"- {{name: p{number}, targets: [{targets}], match: {{alive_for: {120 + number % 7}m}}, "
                f"stop: it is lost, budget: {max(1, self.due)}/run}}"
            ]
        return "\n".join(lines)


STEPS: Mapping[str, list[Account]] = {
    "tasks listed": [Account(listed=number) for number in (1_000, 10_000, 100_000, 1_000_000)],
    "tasks stopped": [Account(listed=number, due=number) for number in (10, 100, 1_000, 10_000)],
    "functions": [Account(functions=number, listed=number) for number in (1, 10, 100, 1_000)],
    "policies": [Account(policies=number, listed=10_000) for number in (1, 10, 100, 1_000)],
}
"""What grows, and the accounts in which it does; all else stays small."""


def main() -> int:
    """Print a table, and draw it."""
    parser = argparse.ArgumentParser(description="How the cost of a run grows.")
    parser.add_argument("--svg", metavar="FILE", help="draw the table, too")
    options = parser.parse_args()
    print(f"{'':16}{'number':>10}{'calls':>9}{'processor':>12}{'peak memory':>14}{'at 20/s':>10}")
    found: dict[str, list[tuple[int, dict[str, float]]]] = {}
    for what, accounts in STEPS.items():
        for account in accounts:
            number = getattr(account, _FIELD[what])
            cost = measured(account)
            found.setdefault(what, []).append((number, cost))
            seconds, memory = f"{cost['processor_s']:.1f} s", f"{cost['memory_mb']:.0f} MB"
            wait = f"{cost['calls'] / 20:,.0f} s"
            print(f"{what:16}{number:>10,}{cost['calls']:>9,}{seconds:>12}{memory:>14}{wait:>10}", flush=True)
    if options.svg:
        draw(found, options.svg)
    return 0


_FIELD = {"tasks listed": "listed", "tasks stopped": "due", "functions": "functions", "policies": "policies"}


def measured(account: Account) -> dict[str, float]:
    """Run once in a process of its own."""
    with emulator_process("--stopping", "100ms", seed=account.seed()) as cloud:
        code = f"from benchmarks.growth import *; print(one_run({cloud.endpoint!r}, {account!r}))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        cost: dict[str, float] = json.loads(done.stdout)
        return cost


def one_run(endpoint: str, account: Account) -> str:
    """Run in this process, and answer what it cost as JSON."""
    reaped = reap(endpoint, account.policy(), enforce=True, timeout=3_000, rate="100000/s", log_tasks="1")
    assert reaped.counts["listed"] == account.listed
    assert reaped.counts.get("confirmed", 0) == account.due
    cost = {
        "calls": sum(reaped.finished.fields["calls"].values()),
        "processor_s": time.process_time(),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    return json.dumps(cost)


def draw(found: Mapping[str, list[tuple[int, dict[str, float]]]], name: str) -> None:
    """One panel for each cost, one line for what grows."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    titles = {"calls": "calls", "processor_s": "processor, seconds", "memory_mb": "peak memory, MB"}
    for panel, (field, title) in zip(figure.subplots(1, 3), titles.items(), strict=True):
        for (what, rows), mark in zip(found.items(), "osd^", strict=True):
            panel.plot(*zip(*((n, cost[field]) for n, cost in rows), strict=True), marker=mark, label=what)
        panel.set(xscale="log", title=title, xlabel="number of them")
        panel.set(ylim=(0, None)) if field == "memory_mb" else panel.set(yscale="log")
    figure.axes[0].legend(fontsize="small")
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "growth"}):
        figure.savefig(name, metadata={} if name.endswith("png") else {"Date": None})


if __name__ == "__main__":
    sys.exit(main())
