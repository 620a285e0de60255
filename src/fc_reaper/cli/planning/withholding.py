"""Which policies of a plan get none of their tasks stopped, because the plan itself did not dare to."""

from __future__ import annotations

from fc_reaper.cli.planning.planfile import HALTED, Plan
from fc_reaper.policy import PolicyFile

WAS_HALTED = "halted when it was planned; look, then make a new plan"
NOT_COMPLETE = "not everything was looked at when it was planned, so nobody knows the number; make a new plan"


def withheld(plan: Plan, file: PolicyFile) -> dict[str, str]:
    """Answer why by this plan no task of a policy may be stopped, by the policy's name.

    What was halted stays halted, whichever of its tasks are still in the plan and whatever became of their
    fates. A policy that goes by the number of its tasks stops none by a plan that may lack some of them.
    """
    halted = {*plan.basis.halted, *(task.policy for task in plan.tasks if task.fate == HALTED)}
    counting = () if plan.complete else (one.name for one in file.policies if one.halt_over or one.keep)
    return {**dict.fromkeys(counting, NOT_COMPLETE), **dict.fromkeys(halted, WAS_HALTED)}
