"""What a policy may stop in one run: its budget a run, and what is left of its budget a day. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fc_reaper.evaluator.select import Allowance
from fc_reaper.models import STOPPED, Function, Millis, Task
from fc_reaper.policy import Policy

DAY: Millis = 86_400_000


def within_a_day(task: Task, now: Millis) -> bool:
    """Whether a Stopped or Stopping task got that status within a day before *now*, or that is not dated."""
    dates = [event.at for event in task.events if event.status == task.status]
    at = max(dates, default=task.ended_at if task.status == STOPPED else None)
    return at is None or at > now - DAY


class Budgets:
    """The allowances of one run; called policy by policy, in the order of the file.

    *functions* are those of a policy's targets, *stopped* counts their tasks that were stopped within a day,
    whoever stopped them. What earlier policies of this run were allowed on a shared function counts as well.
    """

    def __init__(
        self,
        policies: Iterable[Policy],
        functions: Callable[[Policy], frozenset[Function]],
        stopped: Callable[[Policy, frozenset[Function]], int],
    ) -> None:
        self._functions, self._stopped = functions, stopped
        self._any_daily = any(one.per_day is not None for one in policies)
        self._granted: list[tuple[frozenset[Function], int]] = []

    def __call__(self, policy: Policy, due: int) -> Allowance:
        """How many of the *due* tasks of *policy* may be stopped. Raises whatever the callables raise."""
        functions = self._functions(policy) if self._any_daily else frozenset[Function]()
        allowed = Allowance(policy.per_run)
        if policy.per_day is not None:
            allowed = self._of_the_day(policy, policy.per_day, functions)
        self._granted.append((functions, min(due, allowed.most)))
        return allowed

    def _of_the_day(self, policy: Policy, per_day: int, functions: frozenset[Function]) -> Allowance:
        stopped = self._stopped(policy, functions)
        granted = sum(number for others, number in self._granted if not others.isdisjoint(functions))
        left = max(0, per_day - stopped - granted)
        if left >= policy.per_run:
            return Allowance(policy.per_run)
        # Counting may end once there are enough.
        at_least = "at least " if stopped >= per_day else ""
        others = f", other policies of this run may stop {granted} more" if granted else ""
        why = f"{at_least}{stopped} of its tasks were stopped within a day{others}, {per_day} are allowed"
        return Allowance(left, why)
