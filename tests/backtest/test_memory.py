"""What a replay holds of each task: a million of them fit into some 300 MB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from tests.cli.command import a_policy_file, environment
from tests.cli.histories import POLICY, a_history, record

AT_MOST = 300
"""Bytes a task."""

MEASURE = """\
import sys, tracemalloc
from fc_reaper.cli.app import main

peaks = []
for count in sys.argv[1:]:
    tracemalloc.start()
    assert main(["backtest", "--history", f"{count}.jsonl"]) == 0
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
print(*peaks[1:], file=sys.stderr)
"""
"""In a process of its own, where nothing else is in memory; the first replay imports what they need."""


def peaks(folder: Path, *counts: int) -> list[int]:
    """The most bytes at once of replays of so many tasks, one in twenty of which is stopped."""
    for count in (1, *counts):
        records = (
            record(
                f"task-{number:031}",
                ("Enqueued", f"{number}s"),
                ("Dequeued", f"{number + 1}s"),
                ("Running", f"{number + 1}s"),
                ("Succeeded", f"{number + (9_000 if number % 20 == 0 else 60)}s"),
                requestId=str(UUID(int=number)),
                startedTime=1_794_960_000_000 + number * 1_000,
                invocationPayload=json.dumps({"file": "x" * 500}),
            )
            for number in range(count)
        )
        a_history(folder, records).rename(folder / f"{count}.jsonl")
    command = [sys.executable, "-c", MEASURE, "1", *map(str, counts)]
    ran = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return list(map(int, ran.stderr.split()))


@pytest.mark.parametrize("where", ["", ", where: startedTime > `0` && ages.alive_for > `60`"])
def test_a_task_takes_at_most_so_many_bytes(tmp_path: Path, where: str) -> None:
    """Also where an expression reads the record: only what it reads is held."""
    a_policy_file(tmp_path, POLICY.replace("{running_for: 2h}", f"{{running_for: 2h{where}}}"))
    few, many = peaks(tmp_path, 1_000, 3_000)
    assert 0 < (many - few) / 2_000 < AT_MOST
