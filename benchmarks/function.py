"""`python -m benchmarks.function`: what a sweep costs the deployed function, for the numbers in s.yaml.

The package is made as `make package` makes it and run by a clean Python 3.10 that acts as the platform's
runtime, one instance a row, so the start with all its imports is within each number. Memory is the most that
the process has held; processor time is of this machine, and a function with less than a whole vCPU waits
the longer for it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from tests.emulator_server import emulator_process as running_emulator

from benchmarks.account import tasks
from benchmarks.memory import POLICY

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = "3.10"
KEYS = {"access_key_id": "emulator", "access_key_secret": "emulator-secret", "security_token": ""}


class Sweep(NamedTuple):
    """One row: what is in the account, and whether the run may stop what is due."""

    what: str
    seed: list[dict[str, Any]]
    enforce: bool = False


SWEEPS = (
    Sweep("nothing alive", []),
    Sweep("1,000 listed", [tasks(1_000, "t", "-1h")]),
    Sweep("10,000 listed", [tasks(10_000, "t", "-1h")]),
    Sweep("100,000 listed", [tasks(100_000, "t", "-1h")]),
    Sweep("1,000 listed, 500 of them stopped", [tasks(500, "t", "-1h"), tasks(500, "old", "-3h")], True),
)


def main() -> int:
    """Print one row a sweep."""
    props = yaml.safe_load((ROOT / "s.yaml").read_text("utf-8"))["resources"]["reaper"]["props"]
    at = f"at {props['cpu']} vCPU"
    print(f"{'':36}{'calls':>7}{'peak memory':>14}{'processor':>12}{at:>14}")
    with tempfile.TemporaryDirectory() as folder:
        package = make_package(Path(folder))
        for sweep in SWEEPS:
            cost = measure(sweep, package, Path(folder), props["handler"])
            calls = sum(json.loads(cost["answer"])["calls"].values())
            memory, seconds = cost["peak_kilobytes"] / 1024, cost["processor_seconds"]
            row = f"{sweep.what:36}{calls:>7,}{memory:>11.0f} MB{seconds:>10.1f} s"
            print(f"{row}{seconds / props['cpu']:>12.1f} s", flush=True)
    return 0


def make_package(folder: Path) -> Path:
    """The package with a policy that has to list everything, in a folder of its own."""
    policy, out = folder / "policy.yaml", folder / "function"
    policy.write_text(POLICY + "    budget: 1000/run\n", "utf-8")
    command = [sys.executable, str(ROOT / "scripts" / "package.py"), "--python", RUNTIME]
    command += ["--policy", str(policy), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def measure(sweep: Sweep, package: Path, folder: Path, handler: str) -> dict[str, Any]:
    """Run *sweep* on a fresh instance and answer with the result and its cost."""
    answers = folder / "answers.json"
    with running_emulator("--stopping", "100ms", seed={"invocations": sweep.seed}) as cloud:
        variables = {"REAPER_ENDPOINT": cloud.endpoint, "REAPER_RATE": "1000/s"}
        variables["REAPER_MODE"] = "enforce" if sweep.enforce else "dry-run"
        invocation = {"request_id": "1", "event": "", "keys": KEYS, "environment": variables, "timeout": 600}
        instance = {"code": str(package), "handler": handler, "platform": f"fc3-python{RUNTIME}"}
        run = {**instance, "answers": str(answers), "invocations": [invocation]}
        runtime = [python(), "-I", "-S", str(ROOT / "tests" / "package" / "fc_runtime.py")]
        subprocess.run(runtime, input=json.dumps(run), text=True, check=True, stdout=subprocess.DEVNULL)
    (cost,) = json.loads(answers.read_text("utf-8"))
    return dict(cost)


def python() -> str:
    """A Python of the runtime's version, which this machine must have."""
    finder = ["sh", str(ROOT / "scripts" / "find-python"), RUNTIME]
    return subprocess.run(finder, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
