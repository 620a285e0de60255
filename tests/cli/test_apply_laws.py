"""What holds of `plan` and `apply` for every account and every policy file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.command import a_policy_file
from tests.cli.plans import a_plan, carried_out, edited
from tests.emulator_process import running_emulator
from tests.judge import worlds
from tests.run.test_whole_worlds import Record, accounts, per_run, really_stopped, which


def of_fate(plan: dict[str, Any], *fates: str) -> Counter[Record]:
    """The tasks of a plan with one of these fates."""
    return Counter(which(task) for task in plan["tasks"] if task["fate"] in fates)


def halting(tree: dict[str, Any]) -> dict[str, Any]:
    """The same file; its first policy is halted as soon as two are due."""
    first, *others = tree["policies"]
    return {**tree, "policies": [{**first, "halt_over": 1}, *others]}


def reviewed(plan: dict[str, Any]) -> None:
    """A reviewer leaves no more than one task of each policy."""
    plan["tasks"] = list({task["policy"]: task for task in reversed(plan["tasks"])}.values())


@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(worlds.trees().map(halting), accounts(), st.booleans())
def test_apply_stops_whom_the_plan_would_have_stopped_and_nobody_of_a_halted_policy(
    tree: dict[str, Any], seed: dict[str, Any], review: bool
) -> None:
    """Else only who was beyond the budget takes a place; nobody is stopped whom the plan spares or lacks."""
    with TemporaryDirectory() as folder, running_emulator(seed=seed) as cloud:
        a_policy_file(Path(folder), json.dumps(tree))
        path = a_plan(cloud, Path(folder), REAPER_SELF="ops/fc-reaper")
        planned = json.loads(path.read_text("utf-8"))
        assert not really_stopped(cloud)
        if review:
            edited(path, reviewed)
        left = json.loads(path.read_text("utf-8"))
        carried_out(cloud, path, REAPER_SELF="ops/fc-reaper")
        done = really_stopped(cloud)
    assert of_fate(left, "would_stop") <= done <= of_fate(left, "would_stop", "budget")
    halted = {task["policy"] for task in planned["tasks"] if task["fate"] == "halted"}
    by_policy = Counter(task["policy"] for task in planned["tasks"] if which(task) in done)
    assert not halted & by_policy.keys()
    assert all(by_policy[policy["name"]] <= per_run(policy) for policy in tree["policies"])
