"""Who is next: the listed tasks that will be due soon if nothing else happens to them."""

from pydantic import Field

from fc_reaper.evaluator.evaluate import FunctionPolicies, evaluate
from fc_reaper.evaluator.explain import Changes, due_in
from fc_reaper.log_lines import TaskVerdict
from fc_reaper.models import Function, Snapshot, iso
from fc_reaper.rules.ages import Reading
from fc_reaper.sweep import AHEAD, Foresee
from fc_reaper.sweep.report import verdict_fields


class NextTask(TaskVerdict):
    """A task that is not due yet, with the verdict of then; the age is that of now."""

    due_at: str = Field(description="When it becomes due: UTC, ISO 8601.")
    due_in_s: float = Field(description="Seconds until then, from when it was listed.")


def foresee(tasks: list[NextTask]) -> Foresee:
    """A function that adds to *tasks* each listed one that is due within `AHEAD`, itself included.

    None is a task whose record does not say when, or whose group decides.
    """
    changes: dict[Function, Changes] = {}

    def note(seen: Snapshot, policies: FunctionPolicies) -> None:
        task, moment = seen
        if task.function not in changes:
            changes[task.function] = Changes.of(policies)
        reading = Reading(task, moment, policies.started_time, read=True)
        wait = due_in(reading, policies, changes[task.function])
        if wait is not None and wait <= AHEAD:
            verdict = evaluate(task, policies, moment.later(wait)).later(-wait)
            when = {"due_at": iso(moment.earliest + wait), "due_in_s": wait / 1000}
            tasks.append(NextTask.model_validate({**verdict_fields(task, verdict), **when}))

    return note
