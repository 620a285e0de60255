"""Who is next: the listed tasks that will be due soon if nothing else happens to them."""

from pydantic import Field

from fc_reaper.evaluator.evaluate import FunctionPolicies, evaluate
from fc_reaper.evaluator.explain import Changes, due_in
from fc_reaper.log_lines import TaskVerdict
from fc_reaper.models import Function, Snapshot, iso
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.ages import Reading
from fc_reaper.sweep import AHEAD, Foresee


class NextTask(TaskVerdict):
    """A task that is not due yet, with the verdict of then; the age is that of now."""

    due_at: str = Field(description="When it becomes due: UTC, ISO 8601.")
    due_in_s: float = Field(description="Seconds until then, from when it was listed.")


def foresee(file: PolicyFile, tasks: list[NextTask]) -> Foresee:
    """A function that adds to *tasks* each listed one that is due within `AHEAD`, itself included.

    None is a task whose record does not say when, or whose group decides.
    """
    changes: dict[Function, Changes] = {}

    def note(seen: Snapshot, policies: FunctionPolicies) -> None:
        task, moment = seen
        if task.function not in changes:
            changes[task.function] = Changes.of([one.policy for one in policies.every], file.exempt)
        reading = Reading(task, moment, policies.started_time, read=True)
        wait = due_in(reading, policies, changes[task.function])
        if wait is not None and wait <= AHEAD:
            verdict = evaluate(task, policies, moment.later(wait)).later(-wait)
            known = dict(zip(("service", "function", "qualifier"), task.function, strict=True))
            known |= {name: getattr(task, name) for name in ("invocation_id", "status")}
            known |= {name: getattr(verdict, name) for name in ("policy", "owner", "reason")}
            when = {"due_at": iso(moment.earliest + wait), "due_in_s": wait / 1000}
            tasks.append(NextTask.model_validate({**known, **verdict.by.fields(), **when}))

    return note
