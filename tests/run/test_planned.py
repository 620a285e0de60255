"""A plan that is carried out: whatever it names, a run stops nothing that its policy could not have found."""

from __future__ import annotations

from typing import Any

import pytest

from fc_reaper.evaluator.evaluate import Evaluation
from fc_reaper.models import Function, Task
from fc_reaper.policy import load_policy
from fc_reaper.rules.result import KEEP, TRUE, Kind, RuleResult, Verdict
from fc_reaper.run import PlannedRun
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import Reaped, reap
from tests.run.account import operations, policy, seeded, stopped

TEXT = (
    policy()
    + """\
  - {name: told, targets: [media/transcode@prod], match: {running_for: 2h}, report: x}
  - {name: few, targets: [media/transcode@prod], match: {status: Running}, keep: {at_most: 1}, stop: x}
"""
)
PLACE = Function("media", "transcode", "prod")


def planned(
    task: str, name: str = "runaway", rule: str = "running_for", place: Function = PLACE
) -> Evaluation:
    """A task as a plan names it, due by that rule of that policy."""
    verdict = Verdict(Kind.DUE, "", name, by=RuleResult(TRUE, rule))
    return Evaluation(Task(place, task, "Running", events=()), verdict)


def carried_out(cloud: Emulator, *tasks: Evaluation, text: str = TEXT) -> Reaped:
    plan = PlannedRun(load_policy(text, source="policy.yaml"), tasks)
    return reap(cloud.endpoint, text, enforce=True, planned_run=plan)


@pytest.mark.parametrize(
    "other",
    [
        {"place": PLACE._replace(qualifier="canary")},
        {"place": Function(None, "resize", "LATEST")},
        {"name": "told"},
        {"name": "gone"},
        {"rule": KEEP},
        {"name": "few"},
    ],
    ids=["another qualifier", "another function", "it only reports", "no such policy", "it has no keep",
         "it has keep"],
)  # fmt: skip
def test_what_its_policy_could_not_have_found_is_not_even_read(other: dict[str, Any]) -> None:
    """It would be due by the match of the policy; the tasks before and after it in the plan are stopped."""
    three = {"functionName": "resize", "status": "Running", "enqueued": "-5h", "started": "-3h"}
    over = seeded("over-{n}", "Running", count=3, enqueued="-5h", started="-3h")
    seed = {"invocations": [over, {**over, "qualifier": "canary"}, {**three, "invocationId": "over-2"}]}
    with running_emulator("--stopping", "5ms", seed=seed) as cloud:
        carried_out(cloud, planned("over-1"), planned("over-2", **other), planned("over-3"))
        assert stopped(cloud) == {"over-1", "over-3"}
        assert operations(cloud)["GetStatefulAsyncInvocation"] == 2 * 2
