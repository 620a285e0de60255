"""The plan file: what `plan --out` writes, people review, and `apply` carries out.

JSON, one key a line. It names each due task with its identity and the evidence; never a payload. A reviewer
may delete tasks; whatever else does not fit the model is refused. docs/plan.schema.json is its schema.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from fc_reaper.cli.incident import Incident
from fc_reaper.cli.output import CommandError
from fc_reaper.cloud.records import read_moment
from fc_reaper.evaluator.verdict import Evaluation, Kind, Verdict
from fc_reaper.events.decode import unique
from fc_reaper.log_lines import Lines, ResultTask
from fc_reaper.models import Function, Millis, Task, TaskEvent, iso
from fc_reaper.names import check_names
from fc_reaper.policy import PolicyFile
from fc_reaper.policy.lock import file_fingerprint, fingerprint
from fc_reaper.rules.duration import spell_duration
from fc_reaper.rules.fields import spelt
from fc_reaper.run import RunResult
from fc_reaper.settings import Settings, endpoint
from fc_reaper.sweep.context import TRUSTED_SKEW

WAS_HALTED = "halted when it was planned; check the tasks, then make a new plan"
NOT_COMPLETE = "not all tasks were listed when it was planned, so their number is unknown; make a new plan"

Fate = Literal["would_stop", "budget", "halted", "spared"]
"""What the dry run did with a due task.

It would have stopped it; left it for the next run; left its whole policy alone, since too many were due; or
spared it by holdout.
"""

_FORMAT = "fc-reaper plan"
_ACCOUNT_URL = re.compile(
    r"https?://([0-9]+)\.([a-z0-9-]+?)(?:-internal|-vpc)?\.fc\.aliyuncs\.com(?::[0-9]+)?"
)


def _moment(value: Any) -> Millis:
    moment = read_moment(value) if isinstance(value, str) and "T" in value else None
    if moment is None:
        raise ValueError("write a moment such as 2026-07-01T12:00:00.000Z")
    return moment


Text = Annotated[str, Field(pattern=r"\S", max_length=65_536)]
Seconds = Annotated[float, Field(ge=-(2**53), le=2**53)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Moment = Annotated[
    Millis,
    BeforeValidator(_moment),
    PlainSerializer(iso),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


class PlannedTask(_Model):
    """A task that was due, and what the dry run did with it."""

    service: Text | None = Field(description="Null in FC 3.0, which has no services.")
    function: Text
    qualifier: Text
    invocation_id: Text
    request_id: Text | None = Field(description="Tells it from another task of the same id.")
    first_enqueue: Moment | None = Field(description="When it was first enqueued; null if unknown.")
    status: Literal["Enqueued", "Dequeued", "Running", "Retrying", "Stopping"]
    policy: Text = Field(description="The policy by which it is due.")
    rule: str = Field(pattern="^[a-z_]{1,40}$", description="The key that decided, such as alive_for.")
    age_s: Seconds | None
    limit_s: Seconds | None
    over_s: Seconds | None
    clock: Literal["events", "started_time"] | None
    reason: Text
    fate: Fate

    @model_validator(mode="after")
    def _has_possible_names(self) -> PlannedTask:
        check_names(self.place, self.invocation_id)
        return self

    @property
    def place(self) -> Function:
        """The function of the task."""
        return Function(self.service, self.function, self.qualifier)

    def evaluation(self, reason: str) -> Evaluation:
        """The task as far as the plan knows it, with the verdict that made it due.

        *reason* is the policy's own: a text that stands only in the plan is never logged.
        """
        events = () if self.first_enqueue is None else (TaskEvent(self.first_enqueue, 0, "Enqueued"),)
        task = Task(self.place, self.invocation_id, self.status, self.request_id, events=events)
        age, limit = (None if value is None else round(value * 1000) for value in (self.age_s, self.limit_s))
        return Evaluation(task, Verdict(Kind.DUE, reason, self.policy, self.rule, age, limit, self.clock))


class Basis(_Model):
    """The policy that the plan was made by; of an incident, which stands in no file, all of it."""

    source: Text
    fingerprint: Text = Field(description="Of the whole file; of an incident that of `text`.")
    policies: dict[str, str] = Field(description="The fingerprint of each policy by its name.")
    halted: list[str] = Field(description="The policies that stop nothing: too many of their tasks were due.")
    exempt_from: Text | None = Field(None, description="The policy file whose exemptions are in an incident.")
    text: list[str] = Field([], description="The policy of an incident, line by line.")

    @model_validator(mode="after")
    def _is_whole(self) -> Basis:
        if len(self.model_fields_set & {"text", "exempt_from"}) == 1:
            raise ValueError("an incident has both exempt_from and text, a policy file neither")
        for name in self.halted:
            if name not in self.policies:
                raise ValueError(f"halted: {json.dumps(name)} is none of the policies of this plan")
        return self

    @property
    def incident(self) -> str | None:
        """The policy of an incident as YAML; None for a policy file."""
        return "\n".join(self.text) if "text" in self.model_fields_set else None


class Whereabouts(NamedTuple):
    """Where calls go: account and region are None where they are unknown."""

    account: str | None
    region: str | None
    endpoint: str | None


class Plan(_Model):
    """A whole plan file."""

    format: Literal["fc-reaper plan"]
    version: Literal[1]
    time: Moment = Field(description="When the dry run began.")
    account: Text | None
    region: Text | None
    endpoint: Text | None
    policy: Basis
    complete: bool = Field(description="Whether all tasks could be listed.")
    counts: dict[str, Count] = Field(description="The counts of the dry run.")
    tasks: list[PlannedTask]

    @model_validator(mode="after")
    def _names_each_task_once(self) -> Plan:
        seen: dict[tuple[Function, str], int] = {}
        for at, task in enumerate(self.tasks):
            first = seen.setdefault((task.place, task.invocation_id), at)
            if first != at:
                raise ValueError(f"tasks[{at}] is tasks[{first}] once more; delete one of them")
        return self

    def withheld(self, file: PolicyFile) -> dict[str, str]:
        """Why no task of a policy may be stopped by this plan, by the policy's name.

        What was halted stays halted, whatever a reviewer did to its tasks. A policy that depends on how many
        tasks are due stops none by a plan that may lack some of them.
        """
        halted = {*self.policy.halted, *(task.policy for task in self.tasks if task.fate == "halted")}
        counting = () if self.complete else (one.name for one in file.policies if one.halt_over or one.keep)
        return {**dict.fromkeys(counting, NOT_COMPLETE), **dict.fromkeys(halted, WAS_HALTED)}


def check_age(plan: Plan, now: Millis, max_age: Millis) -> None:
    """Refuse a plan that is older than *max_age*, or from the future by more than two clocks may differ."""
    age = now - plan.time
    if age < -TRUSTED_SKEW:
        raise CommandError(
            f"the plan was made {spell_duration(-age)} from now; check the clocks, here and there"
        )
    if age > max_age:
        old, most = spell_duration(age), spell_duration(max_age)
        raise CommandError(
            f"the plan is {old} old, more than {most}; make a new one, or allow it by --max-age"
        )


def check_place(plan: Plan, here: Whereabouts) -> None:
    """Refuse a plan for another account or region; where one is unknown the endpoint must be the same."""
    there = Whereabouts(plan.account, plan.region, plan.endpoint)
    for what in ("account", "region"):
        planned, ours = getattr(there, what), getattr(here, what)
        if None not in (planned, ours) and planned != ours:
            raise CommandError(f"the plan is for {what} {planned}, and the settings are for {what} {ours}")
    if None in (*there[:2], *here[:2]) and there.endpoint != here.endpoint:
        raise CommandError(
            f"the plan was made at {there.endpoint or 'an unknown endpoint'}, and calls would go to "
            f"{here.endpoint}; which may be another account: set the same endpoint"
        )


def check_policy(plan: Plan, file: PolicyFile) -> None:
    """Refuse a plan whose policy file has changed in meaning, or whose incident in any letter."""
    basis = plan.policy
    if basis.incident is None and file_fingerprint(file) != basis.fingerprint:
        old, new = basis.policies, _fingerprints(file)
        changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        what = ", ".join(changed) or "its exempt, or the order of its policies"
        raise CommandError(
            f"{file.source} is not the policy of the plan any more, changed: {what}; make a new plan"
        )
    if basis.incident is not None and _digest(basis.incident) != basis.fingerprint:
        raise CommandError("the policy in the plan was changed after the plan was made; make a new plan")


def whereabouts(settings: Settings) -> Whereabouts:
    """Where calls go: what the endpoint's own host says, else the settings.

    Raises:
        SettingsError: there is no endpoint.
    """
    url = endpoint(settings)
    host = _ACCOUNT_URL.fullmatch(url)
    account, region = host.groups() if host else (settings.account_id, settings.region)
    return Whereabouts(account, region, url)


def make_plan(
    time: Millis,
    where: Whereabouts,
    file: PolicyFile,
    finished: RunResult,
    lines: Lines,
    incident: Incident | None = None,
) -> Plan:
    """Make the plan of a dry run that began at *time*; *lines* are what it logged."""
    basis: dict[str, Any] = {
        "source": file.source,
        "fingerprint": file_fingerprint(file) if incident is None else _digest(incident.text),
        "policies": _fingerprints(file),
        "halted": [line.policy for line in lines.of("halted")],
    }
    if incident is not None:
        basis |= {"exempt_from": incident.exempt_from, "text": incident.text.split("\n")}
    return Plan.model_validate(
        {
            "format": _FORMAT,
            "version": 1,
            "time": iso(time),
            **where._asdict(),
            "policy": basis,
            "complete": not finished.result.partial and not lines.of("list_failed"),
            "counts": finished.fields["counts"],
            "tasks": sorted(_planned(finished.result.tasks), key=_order),
        }
    )


def _planned(tasks: list[ResultTask]) -> Iterator[PlannedTask]:
    for task in tasks:
        fate = task.why if task.event == "skipped" else task.event
        if fate in get_args(Fate):
            known = task.model_dump(include=set(PlannedTask.model_fields))
            first = None if task.first_enqueue_ms is None else iso(task.first_enqueue_ms)
            identity = {"request_id": task.task_request_id, "first_enqueue": first}
            rule = task.rule or "status"
            yield PlannedTask.model_validate({**known, **identity, "rule": rule, "fate": fate})


def _order(task: PlannedTask) -> tuple[int, int, str, str]:
    """Most overdue first; to the second, since each was read at another moment."""
    return -int(task.over_s or 0), -int(task.age_s or 0), str(task.place), task.invocation_id


def _fingerprints(file: PolicyFile) -> dict[str, str]:
    return {policy.name: fingerprint(policy) for policy in file.policies}


def _digest(text: str) -> str:
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def dump_plan(plan: Plan) -> str:
    """The text of the file."""
    return plan.model_dump_json(indent=2, exclude_unset=True) + "\n"


def read_plan(name: str) -> Plan:
    """Read the plan in the file *name*, or on standard input for `-`.

    Raises:
        CommandError: it cannot be read, or is no plan.
    """
    try:
        return load_plan(sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes())
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise CommandError(f"{name}: {why}; make a plan with: fc-reaper plan --out FILE") from None


def load_plan(raw: bytes) -> Plan:
    """Read the bytes of a plan file.

    Raises:
        ValueError: they are no plan; the text says where and why.
    """
    try:
        root = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is not JSON: {str(error)[:100]}") from None
    if not isinstance(root, dict) or root.get("format") != _FORMAT:
        raise ValueError("this is not a plan of fc-reaper")
    try:
        return Plan.model_validate(root)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = spelt(first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{path}: {what}" if path else what) from None
