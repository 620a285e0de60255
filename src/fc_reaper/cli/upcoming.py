"""Who is next: the listed tasks that will be due soon if nothing else happens to them."""

from bisect import insort
from collections import Counter

from pydantic import Field

from fc_reaper.evaluator.evaluate import FunctionPolicies, evaluate
from fc_reaper.evaluator.explain import Changes, due_in
from fc_reaper.log_lines import TaskVerdict
from fc_reaper.models import Function, Snapshot, iso
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.ages import Reading
from fc_reaper.sweep import AHEAD

_KEPT = 100


class NextTask(TaskVerdict):
    """A task that is not due yet, with the verdict of then; the age is that of now."""

    due_at: str = Field(description="When it becomes due: UTC, ISO 8601.")
    due_in_s: float = Field(description="Seconds until then, from when it was listed.")


class Upcoming:
    """Collects the tasks that are due within `AHEAD`, itself included: the first hundred, soonest first.

    `counts` has all, by policy and function. None is a task whose record does not say when, or whose group
    decides.
    """

    def __init__(self, file: PolicyFile) -> None:
        self._exempt, self._changes = file.exempt, dict[Function, Changes]()
        self.tasks, self.counts = list[NextTask](), Counter[tuple[str, Function]]()

    @property
    def number(self) -> int:
        return self.counts.total()

    def __call__(self, seen: Snapshot, policies: FunctionPolicies) -> None:
        """Note a listed task that is not due."""
        task, moment = seen
        if task.function not in self._changes:
            self._changes[task.function] = Changes.of([one.policy for one in policies.every], self._exempt)
        reading = Reading(task, moment, policies.started_time, read=True)
        wait = due_in(reading, policies, self._changes[task.function])
        if wait is not None and wait <= AHEAD:
            verdict = evaluate(task, policies, moment.later(wait)).later(-wait)
            names = dict(zip(("service", "function", "qualifier"), task.function, strict=True))
            known = {**names, "invocation_id": task.invocation_id, "status": task.status}
            known |= {name: getattr(verdict, name) for name in ("policy", "owner", "reason")}
            when = {"due_at": iso(moment.earliest + wait), "due_in_s": wait / 1000}
            self.add(NextTask.model_validate({**known, **verdict.by.fields(), **when}))

    def add(self, task: NextTask) -> None:
        """Keep the task if it is among the first."""
        self.counts[task.policy or "", task.place] += 1
        insort(self.tasks, task, key=lambda one: one.due_at)
        del self.tasks[_KEPT:]
