"""Plans for the tests: made by the command, and read and changed as somebody with an editor would."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fc_reaper.cli.planfile import Plan, dump_plan
from tests.cli.command import Ran, at, fc_reaper
from tests.emulator_server import Emulator

HERE = {"FC_ACCOUNT_ID": "123456789", "FC_REGION": "cn-hangzhou"}
"""An account and a region, so that a plan for it may be carried out at another endpoint."""


def a_plan(cloud: Emulator, folder: Path, *args: str, **env: str) -> Path:
    """The plan that `fc-reaper plan` writes in *folder*."""
    path = folder / "plan.json"
    ran = fc_reaper("plan", *args, "--out", path.name, "--force", env=at(cloud, **env), cwd=folder)
    assert ran.code in (0, 1), ran.err
    return path


def carried_out(cloud: Emulator, plan: Path, *args: str, **env: str) -> Ran:
    """`fc-reaper apply` of *plan*, in its folder, enforcing."""
    return fc_reaper("apply", plan.name, "--enforce", *args, env=at(cloud, **env), cwd=plan.parent)


def became(ran: Ran) -> dict[str, str]:
    """What became of each task by its id, of an apply with --json."""
    return {task["invocation_id"]: task["outcome"] for task in ran.json["tasks"]}


def without(plan: dict[str, Any], invocation_id: str) -> None:
    """Delete one task from a plan."""
    plan["tasks"].remove(task_of(plan, invocation_id))


def task_of(plan: dict[str, Any], invocation_id: str) -> dict[str, Any]:
    """The one task of that id."""
    task: dict[str, Any]
    (task,) = [task for task in plan["tasks"] if task["invocation_id"] == invocation_id]
    return task


def edited(plan: Path, change: Callable[[dict[str, Any]], object], *, sealed: bool = True) -> Path:
    """The plan after somebody changed it by hand, and *sealed* it anew by computing its checksums."""
    whole = json.loads(plan.read_text("utf-8"))
    change(whole)
    text = json.dumps(whole)
    plan.write_text(dump_plan(Plan.model_validate_json(text).sealed()) if sealed else text, "utf-8")
    return plan
