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
from tests.emulator_server import running_emulator
from tests.evaluator.naive import budget, what_happens
from tests.run.test_whole_worlds import (
    WITHOUT_SHRINKING,
    Account,
    Record,
    accounts,
    expected,
    named,
    really_stopped,
    which,
)


def of_fate(plan: dict[str, Any], *fates: str) -> Counter[tuple[str, Record]]:
    """The tasks of a plan with one of these fates, or with any, each with its policy."""
    return Counter(
        (task["policy"], which(task)) for task in plan["tasks"] if not fates or task["fate"] in fates
    )


def reviewed(plan: dict[str, Any]) -> None:
    """A reviewer leaves no more than one task of each policy, the last one in the plan."""
    plan["tasks"] = list({task["policy"]: task for task in plan["tasks"]}.values())


@settings(
    max_examples=max(1, settings().max_examples // 33),
    suppress_health_check=list(HealthCheck),
    phases=WITHOUT_SHRINKING,
)
@given(accounts(), st.booleans())
def test_apply_stops_what_the_plan_would_have_stopped_and_nothing_of_a_halted_policy(
    account: Account, review: bool
) -> None:
    """A task beyond the budget may take a place; what the plan spares or lacks is not stopped."""
    with TemporaryDirectory() as folder, running_emulator("--stopping", "5ms", seed=account.seed) as cloud:
        a_policy_file(Path(folder), json.dumps(account.tree))
        path = a_plan(cloud, Path(folder), REAPER_SELF="ops/fc-reaper")
        planned = json.loads(path.read_text("utf-8"))
        assert not really_stopped(cloud)
        if review:
            edited(path, reviewed)
        left = json.loads(path.read_text("utf-8"))
        carried_out(cloud, path, REAPER_SELF="ops/fc-reaper")
        stopped = really_stopped(cloud)
    assert of_fate(planned, "would_stop") == named(expected(account))
    done = Counter({(policy, task): stopped[task] for policy, task in of_fate(left) if stopped[task]})
    assert done.total() == stopped.total() == len(stopped)
    assert of_fate(left, "would_stop") <= done <= of_fate(left, "would_stop", "budget")
    by_policy = Counter(policy for policy, _ in done)
    fates = what_happens(account.some, account.tree).fates
    assert not by_policy.keys() & {name for name, fate in fates.items() if fate.halted}
    assert all(by_policy[policy["name"]] <= budget(policy) for policy in account.tree["policies"])
