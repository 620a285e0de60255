"""A whole run, from event bytes to log lines, against an emulator on loopback."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from fc_reaper.clock import SYSTEM_CLOCK, Clock
from fc_reaper.log_lines import Lines
from fc_reaper.run import Dependencies, PlannedRun, RunResult, run
from fc_reaper.settings import connect
from tests.monitoring.published import must_be_published

FASTER = Clock(SYSTEM_CLOCK.now, SYSTEM_CLOCK.monotonic, lambda seconds: time.sleep(seconds / 100))
"""Sleeps a hundredth of the time; the emulator's tasks stop within 5 ms."""

KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "emulator", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "emulator-secret"}


FAULT = "a fault in fc-reaper itself"


@dataclass(frozen=True)
class Reaped:
    """What a run returned and what it logged: `values` are the lines as a listener received them."""

    finished: RunResult
    lines: list[dict[str, Any]]
    values: Lines

    @property
    def counts(self) -> dict[str, int]:
        """The counts that are not zero."""
        return {name: number for name, number in self.finished.fields["counts"].items() if number}

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one kind."""
        return [line for line in self.lines if line["event"] == event]

    def ids(self, event: str) -> set[str]:
        """The ids of the tasks in the log lines of one kind."""
        return {line["invocation_id"] for line in self.logged(event)}


def reap(
    endpoint: str,
    policy: str | Path,
    event: object = b"",
    *,
    enforce: bool = False,
    timeout: float = 60,
    clock: Clock = FASTER,
    interrupted: Callable[[], bool] = lambda: False,
    context: Any = None,
    random: Random | None = None,
    planned_run: PlannedRun | None = None,
    **env: str,
) -> Reaped:
    """Run once; *event* is bytes, or what is sent as JSON. *env* adds REAPER_* by their short names.

    *policy* is the text of a policy, or where its file lies.
    """
    raw = event if isinstance(event, bytes) else json.dumps(event).encode()
    stream = io.StringIO()
    random = random or Random(7)
    values = Lines()
    dependencies = Dependencies(
        _environment(endpoint, policy, enforce, env),
        stream,
        clock,
        random,
        partial(connect, clock=clock, jitter=random.random),
        interrupted,
        listener=values,
    )
    context = context or SimpleNamespace(request_id="r-1", function=SimpleNamespace(timeout=timeout))
    finished = run(raw, context, dependencies, planned_run)
    # A run that breaks down stops nothing either, and no test may take that for caution.
    assert FAULT not in stream.getvalue(), stream.getvalue()
    assert KEYS["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] not in stream.getvalue()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    for line in lines:
        must_be_published(line)
    return Reaped(finished, lines, values)


def _environment(
    endpoint: str, policy: str | Path, enforce: bool, extra: Mapping[str, str]
) -> dict[str, str]:
    mode = "enforce" if enforce else "dry-run"
    return {
        **KEYS,
        "REAPER_ENDPOINT": endpoint,
        "REAPER_POLICY": str(policy) if isinstance(policy, Path) else policy.rstrip("\n") + "\n",
        "REAPER_MODE": mode,
        "REAPER_RATE": "2000/s",
        "REAPER_SELF": "ops/fc-reaper",
        **{f"REAPER_{name.upper()}": value for name, value in extra.items()},
    }
