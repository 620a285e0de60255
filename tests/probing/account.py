"""An account with the sleeper in each generation of the platform, and a probe of it in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from fc_reaper.clock import SYSTEM_CLOCK, Clock
from fc_reaper.probing.client import SLEEPER
from tests.cli.command import Ran, at, fc_reaper
from tests.emulator_server import Emulator, running_emulator

VERSIONS = ("2023-03-30", "2021-04-06", "2016-08-15")

OTHER = "media"
"""A function that is nobody's business here."""


def sleepers(*qualifiers: str, **more: Any) -> dict[str, Any]:
    """The seed of an account in which the sleeper has these *qualifiers*, LATEST among them."""
    return {
        "functions": [
            {"functionName": SLEEPER, "qualifier": qualifier, **more, **service}
            for qualifier, service in product(("LATEST", *qualifiers), ({}, {"serviceName": SLEEPER}))
        ]
    }


SEED = {
    **sleepers("probe"),
    "invocations": [
        {"functionName": OTHER, "invocationId": "job-1", "status": "Running"},
        {"functionName": SLEEPER, "invocationId": "probe-of-another-run", "status": "Running"},
    ],
}


@contextmanager
def emulated(*switches: str, seed: dict[str, Any] = SEED) -> Iterator[Emulator]:
    """An emulator with such an account."""
    with running_emulator(*switches, seed=seed) as emulator:
        yield emulator


def virtual(emulator: Emulator, before: Callable[[float], object] = lambda _: None) -> Clock:
    """A clock whose sleep moves the emulator's tasks into the past; *before* is told the seconds so far."""
    passed = 0.0

    def sleep(seconds: float) -> None:
        nonlocal passed
        before(passed)
        if seconds > 0:
            emulator.advance(f"{round(seconds * 1000)}ms")
            passed += seconds

    return Clock(SYSTEM_CLOCK.now, lambda: SYSTEM_CLOCK.monotonic() + passed, sleep)


class Probed(NamedTuple):
    """How the command ended, and the file that it wrote; None if it wrote none."""

    ran: Ran
    file: dict[str, Any] | None

    @property
    def facts(self) -> dict[str, Any]:
        assert self.file is not None, self.ran
        facts: dict[str, Any] = self.file["facts"]
        return facts

    @property
    def observed(self) -> dict[str, Any]:
        assert self.file is not None, self.ran
        observed: dict[str, Any] = self.file["observed"]
        return observed


def probed(
    emulator: Emulator,
    folder: Path,
    *args: str,
    clock: Clock | None = None,
    stdin: bytes = b"",
    asks: bool = False,
    **env: str,
) -> Probed:
    """Run `fc-reaper probe` as the account's owner; unless it *asks*, with --yes."""
    out = folder / "probe.json"
    out.unlink(missing_ok=True)
    command = ["probe", "--region", "cn-hangzhou", "--out", str(out), *([] if asks else ["--yes"]), *args]
    clock = clock or virtual(emulator)
    ran = fc_reaper(*command, env=at(emulator, **env), clock=clock, stdin=stdin, cwd=folder)
    return Probed(ran, json.loads(out.read_text("utf-8")) if out.exists() else None)


def alive(emulator: Emulator) -> set[str]:
    """What a probe left: its tasks that are neither finished nor Stopping."""
    unfinished = ("Enqueued", "Dequeued", "Running", "Retrying")
    ids = {str(task["invocationId"]) for task in emulator.tasks() if task["status"] in unfinished}
    return {one.rpartition("-")[2] for one in ids - {"job-1", "probe-of-another-run"}}
