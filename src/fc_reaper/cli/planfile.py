"""The plan file: what `plan --out` writes, people review, and `apply` carries out.

JSON, one key a line. It names each due task with its identity and the evidence; never a payload. A reviewer
may delete tasks. Every other change is refused: each task has a checksum of itself and of what stands above
the tasks, which tells an accident and is no signature. docs/plan.schema.json is the schema.
"""

from hashlib import sha256
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fc_reaper.cli.incident import NAME, Incident
from fc_reaper.cli.output import CommandError, printable_json, read_input
from fc_reaper.cloud import account_endpoint, place_of
from fc_reaper.cloud.records import read_moment
from fc_reaper.evaluator.evaluate import Evaluation
from fc_reaper.log_lines import Lines, TaskVerdict
from fc_reaper.models import Millis, Task, TaskEvent, TaskKey, iso
from fc_reaper.policy import PolicyFile
from fc_reaper.policy.load import dump_policy, spelt
from fc_reaper.policy.lock import file_fingerprint
from fc_reaper.rules.duration import spell_duration
from fc_reaper.rules.result import TRUE, Kind, RuleResult, Verdict
from fc_reaper.run import RunResult
from fc_reaper.settings import Settings
from fc_reaper.sweep import TRUSTED_SKEW

# What the dry run did with a due task; `halted`: too many of its policy were due; `spared`: by holdout.
Fate = Literal["would_stop", "budget", "halted", "spared"]
Where = dict[str, str | None]  # `account` and `region`, None where they are unknown, and `endpoint`

IsoMoment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class PlannedTask(TaskVerdict):
    """A task that was due, and what the dry run did with it."""

    model_config = _STRICT

    policy: str = Field(description="The policy by which it is due.")
    request_id: str | None = Field(description="Tells it from another task of the same id.")
    first_enqueue: IsoMoment | None = Field(description="When it was first enqueued; null if unknown.")
    fate: Fate
    checksum: str = Field("", description="Tells whether the task, or what stands above all, was changed.")

    def evaluation(self, reason: str) -> Evaluation:
        """The task as far as the plan knows it, with the verdict that made it due.

        *reason* is the policy's own: a text that stands only in the plan is never logged.
        """
        first = read_moment(self.first_enqueue)
        events = () if first is None else (TaskEvent(first, 0, "Enqueued"),)
        task = Task(self.place, self.invocation_id, self.status, self.request_id, events=events)
        age, limit = (None if value is None else round(value * 1000) for value in (self.age_s, self.limit_s))
        measured = (self.rule, age, limit, self.clock, self.limit_from, self.retries, self.retries_limit)
        return Evaluation(task, Verdict(Kind.DUE, reason, self.policy, by=RuleResult(TRUE, *measured)))


class Basis(BaseModel):
    """The policy that the plan was made by; of an incident, which stands in no file, all of it."""

    model_config = _STRICT

    source: str
    fingerprint: str = Field(description="Of the whole file.")
    halted: list[str] = Field(description="The policies that stop nothing: too many of their tasks were due.")
    exempt_from: str | None = Field(None, description="The policy file whose exemptions are in an incident.")
    text: list[str] = Field([], description="The policy of an incident, line by line.")


class Plan(BaseModel):
    """A whole plan file."""

    model_config = _STRICT

    format: Literal["fc-reaper plan"]
    version: Literal[1]
    time: IsoMoment = Field(description="When the dry run began.")
    account: str | None
    region: str | None
    endpoint: str | None
    policy: Basis
    complete: bool = Field(description="Whether all tasks could be listed.")
    counts: dict[str, int] = Field(description="The counts of the dry run.")
    tasks: list[PlannedTask]

    def sealed(self) -> "Plan":
        """The plan with its checksums. Each covers what is above the tasks too, so it fits no other plan."""
        head = self.model_dump_json(exclude={"tasks"}, exclude_unset=True)
        tasks = []
        for task in self.tasks:
            text = head + task.model_dump_json(exclude={"checksum"})
            checksum = sha256(text.encode()).hexdigest()[:16]
            tasks.append(task.model_copy(update={"checksum": checksum}))
        return self.model_copy(update={"tasks": tasks})

    def held(self, file: PolicyFile) -> dict[TaskKey, str]:
        """Why tasks may not be stopped by this plan, by their keys.

        What was halted stays halted, however many tasks a reviewer deleted. A policy that depends on how many
        tasks are due stops none by a plan that may lack some. One that trusts the event that names its task
        stops none, since a plan is no such event.
        """
        policies = {policy.name: policy for policy in file.policies if policy.stops}
        held = {}
        for task in self.tasks:
            policy = policies.get(task.policy)
            if policy is None or not policy.watches(task.place):
                held[task.key] = "its policy could not have found it; make a new plan"
            elif task.fate == "spared":
                held[task.key] = "holdout spares it, as it did in the plan"
            elif policy.name in self.policy.halted:
                held[task.key] = "halted when it was planned; check the tasks, then make a new plan"
            elif policy.only_named:
                why = "only an event that names the task runs it, and a plan is none; send the event"
                held[task.key] = why
            elif not self.complete and (policy.halt_over is not None or policy.keep is not None):
                why = "not all tasks were listed when it was planned, so their number is unknown"
                held[task.key] = f"{why}; make a new plan"
        return held


def refuse_unfit(plan: Plan, file: PolicyFile, here: Where, *, now: Millis, max_age: Millis) -> None:
    """Refuse, by a CommandError, a plan that is not for here and now.

    It is older than *max_age*, or from the future by more than two clocks may differ; it is for another
    account or region, or, where one is unknown, for another endpoint; or its policy *file* has changed in
    meaning (that of an incident stands in the plan itself).
    """
    age = now - (read_moment(plan.time) or 0)
    old, most = spell_duration(age), spell_duration(max_age)
    faults = [
        (age < -TRUSTED_SKEW, f"was made {spell_duration(-age)} from now; check the clocks, here and there"),
        (age > max_age, f"is {old} old, more than {most}; make a new one, or allow it by --max-age"),
    ]
    places = [(what, getattr(plan, what), here[what]) for what in ("account", "region")]
    for what, there, ours in places:
        why = f"is for {what} {there}, and the settings are for {what} {ours}"
        faults.append((None not in (there, ours) and there != ours, why))
    there, ours = plan.endpoint or "an unknown endpoint", here["endpoint"]
    why = f"was made at {there}, and calls would go to {ours}, which may be another account"
    unsure = any(None in place for place in places)
    faults.append((unsure and there != ours, f"{why}; set the same endpoint"))
    same = bool(plan.policy.text) or file_fingerprint(file) == plan.policy.fingerprint
    faults.append((not same, f"was made of another {file.source}; make a new plan"))
    for is_so, why in faults:
        if is_so:
            raise CommandError(f"the plan {why}")


def whereabouts(settings: Settings) -> Where:
    """Where calls go: account and region as the endpoint's own host says, else as the settings say."""
    url = settings.endpoint or account_endpoint(settings.account_id, settings.region)
    account, region = place_of(url, settings.account_id, settings.region)
    return {"account": account, "region": region, "endpoint": url}


def make_plan(
    time: Millis, where: Where, finished: RunResult, lines: Lines, file: PolicyFile, incident: Incident | None
) -> Plan:
    """Make the plan of a dry run that began at *time*; *lines* are what it logged."""
    result = finished.result
    of_incident: dict[str, Any] = {}
    if incident is not None:
        of_incident = {"exempt_from": incident.exempt_from, "text": dump_policy(file).split("\n")}
    tasks = []
    for task in result.tasks:
        fate, first = task.why or task.event, task.first_enqueue_ms
        if fate in get_args(Fate):
            known = task.model_dump(include=set(TaskVerdict.model_fields))
            known |= {"rule": task.rule or "status", "request_id": task.task_request_id, "fate": fate}
            known |= {"first_enqueue": None if first is None else iso(first)}
            tasks.append(PlannedTask.model_validate(known))
    # Most overdue first; to the second, since each was read at another moment.
    tasks.sort(
        key=lambda one: (-int(one.over_s or 0), -int(one.age_s or 0), str(one.place), one.invocation_id)
    )
    return Plan(
        format="fc-reaper plan",
        version=1,
        time=iso(time),
        **where,
        policy=Basis(
            source=file.source if incident is None else NAME,
            fingerprint=file_fingerprint(file),
            halted=[line.policy for line in lines.of("halted")],
            **of_incident,
        ),
        complete=not result.partial and not lines.of("list_failed"),
        counts=finished.fields["counts"],
        tasks=tasks,
    ).sealed()


def dump_plan(plan: Plan) -> str:
    """The text of the file."""
    return printable_json(plan.model_dump_json(indent=2, exclude_unset=True)) + "\n"


def read_plan(name: str) -> Plan:
    """Read a plan, from standard input for `-`; CommandError if it is none, or was changed since."""
    try:
        plan = Plan.model_validate_json(read_input(name).removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = "it is missing" if first["type"] == "missing" else first["msg"]
        what = ": ".join(filter(None, (spelt(first["loc"]), said)))
        wanted = "apply takes the file that this command writes: fc-reaper plan --out FILE"
        raise CommandError(f"{name} is no plan: {what}; {wanted}") from None
    if plan != plan.sealed() or len({task.checksum for task in plan.tasks}) < len(plan.tasks):
        what = f"{name} was changed after it was made: its checksums do not fit"
        raise CommandError(f"{what}; make a new plan, since nothing may be changed but whole tasks deleted")
    return plan
