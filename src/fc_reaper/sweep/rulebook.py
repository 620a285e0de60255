"""By which rules each task of a run is judged: those of its function, unless it was named or planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fc_reaper.evaluator.evaluate import FunctionPolicies, compile_policies
from fc_reaper.evaluator.verdict import KEEP, Evaluation
from fc_reaper.models import Function, Task
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.rules.target import Target, spellings
from fc_reaper.settings import Settings
from fc_reaper.sweep.scope import Scope


class Rulebook:
    """The rules of one run. `functions` are those that are listed."""

    def __init__(self, file: PolicyFile, settings: Settings) -> None:
        self.functions: dict[Function, FunctionPolicies] = {}
        self._file, self._settings = file, settings
        self._named: dict[tuple[Function, str], FunctionPolicies] = {}
        self._planned: dict[tuple[str | None, Function], FunctionPolicies] = {}

    def open(self, scope: Scope, functions: Iterable[Function]) -> Mapping[Function, FunctionPolicies]:
        """Prepare the rules of *functions*, in their order."""
        self.functions = {one: self._for(one, scope.policies(one), scope.counting(one)) for one in functions}
        return self.functions

    def name(self, task: Task, scopes: Sequence[Scope]) -> FunctionPolicies:
        """Prepare the rules of a task that an event names: all policies of *scopes* for its function."""
        function = task.function
        policies = {policy for scope in scopes for policy in scope.policies(function)}
        counting = {policy for scope in scopes for policy in scope.counting(function)}
        rules = self._for(function, _in_order(policies), _in_order(counting - policies))
        self._named[function, task.invocation_id] = rules
        return rules

    def plan(self, planned: Iterable[Evaluation]) -> None:
        """Prepare the rules of planned tasks: each is judged by its own policy alone, and what is exempt."""
        policies = {policy.name: policy for policy in self._file.policies}
        for task, verdict, _ in planned:
            key = verdict.policy, task.function
            # Of those that are one too many the others decide, so they are judged as in any run.
            if key not in self._planned and verdict.rule != KEEP:
                self._planned[key] = self._for(task.function, [policies[verdict.policy or ""]])

    def of(self, claim: Evaluation) -> FunctionPolicies:
        """The rules by which the task of *claim* was judged, and is judged again."""
        task, verdict = claim.task, claim.verdict
        planned = self._planned.get((verdict.policy, task.function))
        named = self._named.get((task.function, task.invocation_id))
        return planned or named or self.functions[task.function]

    def concerns(self, policy: str, function: Function) -> bool:
        """Whether the tasks of *function* are judged by *policy*, or count for it."""
        rules = self.functions.get(function)
        return rules is not None and any(clause.policy.name == policy for clause in rules.every)

    def _for(
        self, function: Function, policies: Sequence[Policy], counted: Sequence[Policy] = ()
    ) -> FunctionPolicies:
        ourselves = self._settings.ourselves
        return compile_policies(
            function,
            policies,
            self._file.exempt,
            started_time=self._settings.started_time,
            own_function=ourselves is not None and is_ourselves(function, ourselves),
            counted=counted,
        )


def is_ourselves(function: Function, ourselves: Target) -> bool:
    """Whether *function*, under any qualifier and either of its names, is the reaper's own."""
    return any(ourselves.fits_path(one.service, one.name) for one in spellings(function))


def _in_order(policies: Iterable[Policy]) -> list[Policy]:
    return sorted(policies, key=lambda policy: policy.index)
