"""Who is next: the tasks that become due soon if nothing else happens to them."""

from bisect import insort
from collections.abc import Iterator
from operator import itemgetter

from pydantic import Field
from rich.table import Table

from fc_reaper.cli.output import counted, format_seconds, short, table
from fc_reaper.evaluator.evaluate import FunctionPolicies, evaluate
from fc_reaper.evaluator.explain import Changes, due_in
from fc_reaper.log_lines import TaskVerdict
from fc_reaper.models import Function, Millis, Snapshot, iso
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.ages import Reading

AHEAD: Millis = 3_600_000
"""Within this time, itself included, a task is next."""

_KEPT, _SHOWN = 100, 5


class NextTask(TaskVerdict):
    """A task that is not due yet, with the verdict that it gets then; the age is that of now."""

    due_at: str = Field(description="When it becomes due: UTC, ISO 8601.")
    due_in_s: float = Field(description="Seconds until then, from when it was listed.")


class Upcoming:
    """Collects the listed tasks that are due within `AHEAD`: the first hundred, soonest first.

    `number` counts all of them. A task whose record or group does not say when is not among them.
    """

    def __init__(self, file: PolicyFile) -> None:
        self._exempt, self._changes, self.number = file.exempt, dict[Function, Changes](), 0
        self._found: list[tuple[Millis, NextTask]] = []

    def __call__(self, seen: Snapshot, policies: FunctionPolicies) -> None:
        """Note a task that is not due."""
        task, moment = seen
        if task.function not in self._changes:
            self._changes[task.function] = Changes.of([one.policy for one in policies.every], self._exempt)
        reading = Reading(task, moment, policies.started_time, read=True)
        wait = due_in(reading, policies, self._changes[task.function])
        if wait is not None and wait <= AHEAD:
            verdict, at = evaluate(task, policies, moment.later(wait)).later(-wait), moment.earliest + wait
            names = dict(zip(("service", "function", "qualifier"), task.function, strict=True))
            known = {**names, "invocation_id": task.invocation_id, "status": task.status}
            due = {"policy": verdict.policy, "owner": verdict.owner, "reason": verdict.reason}
            when = {**verdict.by.fields(), "due_at": iso(at), "due_in_s": wait / 1000}
            self.add(NextTask.model_validate({**known, **due, **when}), at)

    def add(self, task: NextTask, at: Millis) -> None:
        """Keep *task*, which is due *at* that moment, if it is among the first."""
        self.number += 1
        insort(self._found, (at, task), key=itemgetter(0))
        del self._found[_KEPT:]

    @property
    def tasks(self) -> list[NextTask]:
        """The tasks, soonest first."""
        return [task for _, task in self._found]

    def tables(self) -> Iterator[str | Table]:
        """The first of them for a terminal; nothing where there is none."""
        rows = [
            (one.invocation_id, short(*one.place), one.policy or "", one.rule or "-",
             *map(format_seconds, (one.age_s, one.limit_s, one.due_in_s)))
            for one in self.tasks[:_SHOWN]
        ]  # fmt: skip
        if rows:
            yield from ("", f"{counted(self.number, 'task')} will be due within an hour:")
            yield table(("task", "function", "policy", "rule", "age", "limit", "due in"), rows)
        if self.number > len(rows):
            yield f"... and {self.number - len(rows)} more"
