"""What a replay holds of each task: a million of them fit into some 300 MB."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from uuid import UUID

import pytest

from tests.cli.command import a_policy_file, fc_reaper
from tests.cli.histories import POLICY, a_history, record

AT_MOST = 300
"""Bytes a task."""


def peak(folder: Path, count: int) -> int:
    """The most bytes at once of a replay of so many tasks, one in twenty of which is stopped."""
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
    a_history(folder, records)
    tracemalloc.start()
    try:
        ran = fc_reaper("backtest", "--history", "history.jsonl", cwd=folder)
        assert ran.code == 0, ran.err
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("where", ["", ", where: startedTime > `0` && ages.alive_for > `60`"])
def test_a_task_takes_at_most_so_many_bytes(tmp_path: Path, where: str) -> None:
    """Also where an expression reads the record: only what it reads is held."""
    a_policy_file(tmp_path, POLICY.replace("{running_for: 2h}", f"{{running_for: 2h{where}}}"))
    _, few, many = (peak(tmp_path, count) for count in (1, 1_000, 3_000))  # the first one imports
    assert (many - few) / 2_000 < AT_MOST
