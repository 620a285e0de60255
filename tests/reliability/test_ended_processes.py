"""A run that is ended outright, at any moment, leaves true lines for what it did and needs no repair."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.emulator_server import Emulator, running_emulator
from tests.monitoring.published import must_be_published
from tests.reliability.case import call_handler, effective_stops, environment, is_sound, is_true
from tests.reliability.processes import Starter, starter
from tests.run.account import policy, seeded

DUE, A_RUN, A_DAY = 14, 10, 12
ACCOUNT = {
    "invocations": [
        seeded("over-{n}", "Running", count=DUE, enqueued="-5h", started="-3h"),
        seeded("young-{n}", "Running", count=3, enqueued="-10m", started="-9m"),
    ]
}
POLICY = policy(budget=f"{A_RUN}/run, {A_DAY}/day")
IN_FLIGHT = 4

TIMES = 12
"""Processes that are ended."""


@pytest.fixture(scope="module")
def processes() -> Iterator[Starter]:
    with starter() as starting:
        yield starting


def begin(processes: Starter, cloud: Emulator, output: Path) -> int:
    env = {**environment(cloud.endpoint, POLICY), "REAPER_CONCURRENCY": str(IN_FLIGHT)}
    return processes.start(env, output)


def lines_of(output: Path) -> list[dict[str, Any]]:
    """The lines that a process wrote, each to its end."""
    text = output.read_text("utf-8") if output.exists() else ""
    assert text[-1:] in ("", "\n")
    return [json.loads(line) for line in text.splitlines()]


def test_a_process_that_is_ended_leaves_true_lines_and_the_next_run_does_the_rest(
    processes: Starter, tmp_path: Path
) -> None:
    """The journal has what the lines say, and at most the stops in flight beyond it."""
    dice, moments = Random(), set()
    with running_emulator("--stopping", "5ms", "--latency", "5ms", seed=ACCOUNT) as cloud:
        processes.wait(begin(processes, cloud, tmp_path / "undisturbed"))
        last = lines_of(tmp_path / "undisturbed")[-1]
        assert last["event"] == "run_finished"
        for number in range(TIMES):
            cloud.reset()
            output = tmp_path / str(number)
            child = begin(processes, cloud, output)
            time.sleep(dice.uniform(0, last["duration_ms"] / 1000))
            os.killpg(child, signal.SIGKILL)  # Over or not: it is there until it is waited for.
            processes.wait(child)
            wait_for_calls_under_way(cloud)
            lines = lines_of(output)
            moments.add(lines[-1]["event"] if lines else "nothing")
            stops = effective_stops(cloud)
            is_told(lines, cloud, stops.keys())
            assert len(stops) <= A_RUN
            the_rest = call_handler(cloud.endpoint, POLICY)
            is_sound(the_rest)
            is_true([the_rest], [entry for entry in cloud.journal() if entry["invocationId"] not in stops])
            both = effective_stops(cloud)
            assert len(both) == min(A_DAY, len(stops) + A_RUN)
            assert max(both.values()) == 1
            assert all(name.startswith("over-") for name in both)
    assert len(moments) > 1


def wait_for_calls_under_way(cloud: Emulator) -> None:
    """What was sent before the end is carried out after it."""
    time.sleep(0.03)
    while any(call["status"] is None for call in cloud.calls()["recent"]):
        time.sleep(0.01)


def is_told(lines: list[dict[str, Any]], cloud: Emulator, stops: Any) -> None:
    """Every line is whole and true."""
    ended = {entry["invocationId"] for entry in cloud.journal() if entry["to"] == "Stopped"}
    said: dict[str, set[str]] = {"accepted": set(), "confirmed": set()}
    for line in lines:
        must_be_published(line)
        said.setdefault(line["event"], set()).add(line.get("invocation_id", ""))
    assert said["accepted"] <= set(stops)
    assert said["confirmed"] <= ended
    assert len(set(stops) - said["accepted"] - said["confirmed"]) <= IN_FLIGHT
