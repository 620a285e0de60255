"""The log lines and the result of a run as pydantic models.

scripts/schemas.py writes docs/log-schema.json from them. The deployed function writes lines without importing
this module. CONTRIBUTING.md explains how to add a field.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from fc_reaper.log import Fields
from fc_reaper.models import Function, TaskKey

Texts = list[str]
Count = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0})]
EventPart = Annotated[str, Field(description='Empty for the whole event, "[2]" for the third of a list.')]


class _Model(BaseModel):
    # A field with a default is left out unless it is given.
    model_config = ConfigDict(extra="forbid", defer_build=True)

    def fields(self) -> dict[str, Any]:
        """The fields as they are printed."""
        return self.model_dump(exclude_unset=True)


class Line(_Model):
    """What every line carries."""

    timestamp: str = Field(description="UTC, ISO 8601.", pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
    level: Literal["DEBUG", "INFO", "WARNING"] = Field(description="DEBUG only with REAPER_LOG_LEVEL=DEBUG.")
    event: str
    run_id: str = Field(description="The run; also sent with every call to the cloud, as X-Fc-Trace-Id.")
    request_id: str = Field(description="The platform's id of this invocation; empty outside of it.")
    mode: Literal["dry-run", "enforce"] = Field(description="Whether this run may stop anything.")
    trigger: Literal["timer", "alert", "command", "task"] = Field(description="The broadest of the event.")
    cut: Texts = Field([], description="Fields that were shortened to fit the line into one log record.")

    @classmethod
    def events(cls) -> tuple[str, ...]:
        """The events that this kind of line is about."""
        return get_args(cls.model_fields["event"].annotation)


class RequestFields(_Model):
    """One request of the event; null means all."""

    kind: str = Field(description="timer, alert, command or task.")
    name: str | None = Field(description="The timer's name.")
    part: EventPart
    service: str | None
    function: str | None
    qualifier: str | None
    invocation_id: str | None
    shard: str | None = Field(None, description="The share of the functions: 2/8 is the second of eight.")


class RunStarted(Line):
    """A run begins: its settings and its policy can be used."""

    event: Literal["run_started"]
    targets: Texts = Field(description="Every target of the policy.")
    policies: Texts = Field(description="The names of the policies, in the order of the file.")
    requests: list[RequestFields] = Field(description="The requests of the event.")
    shard: str | None = Field(None, description="The shard of the requests, or several, if any asks for one.")
    dry_run_asked_at: str | None = Field(description="Where in the event a dry run is requested, as a path.")
    platform: dict[str, str] = Field({}, description="The settings that REAPER_PLATFORM's file makes.")


class NotApproved(Line):
    """A stop policy that policy.lock does not approve: in this run it only reports."""

    event: Literal["not_approved"]
    policy: str
    why: str = Field(description="What is missing or changed, and what to do.")


class TriggerNote(Line):
    """A part of the event that requests nothing, has no known shape but starts a run, or is refused."""

    event: Literal["trigger_ignored", "trigger_unrecognised", "trigger_refused"]
    why: str = Field(description="One sentence, without values of the payload.")
    part: EventPart


class _Place(_Model):
    service: str | None = Field(description="The service; null in Function Compute 3.0, which has none.")
    function: str = Field(description="The function; * where discovery itself failed.")
    qualifier: str = Field(description="The qualifier that the call was made with.")

    @property
    def place(self) -> Function:
        """The function, under the qualifier."""
        return Function(self.service, self.function, self.qualifier)


HttpStatus = Annotated[int | None, Field(description="The cloud's answer; null when none came.")]
ErrorCode = Annotated[str, Field(description="The platform's code, or ours: ConnectionFailed, TimedOut, …")]
RequestId = Annotated[str | None, Field(description="The cloud's id of the refused call; null without one.")]
Refusal = Annotated[str, Field(description="The refusal in words.")]


class ListFailed(_Place, Line):
    """Tasks could not be listed to their end; nothing follows from what was not seen."""

    event: Literal["list_failed"]
    status: str | None = Field(description="The status that was listed; null for the list of functions.")
    http_status: HttpStatus
    error_code: ErrorCode
    fc_request_id: RequestId
    error: Refusal


TaskEvent = Literal[
    "kept", "exempt", "would_stop", "reported", "accepted", "confirmed", "ended", "skipped", "stop_failed",
    "unknown", "stuck",
]  # fmt: skip


class TaskVerdict(_Place):
    """One task and the verdict on it: of a log line, of a result and of a plan."""

    invocation_id: str
    status: str = Field(description="The platform's word for the state in which the task was last read.")
    policy: str | None = Field(description="The policy that decided, or could not; null when none did.")
    rule: str | None = Field(description="The key that decided: alive_for, retries_over, where, keep, …")
    owner: str | None = Field(None, description="Who owns it, by the policy; null if no owner is known.")
    until: str | None = Field(None, description="Of a task that an exemption with an end spares: that end.")
    because: str | None = Field(None, description="Of a task that an exemption spares: why, in its words.")
    reason: str = Field(description="The policy's own words, or why nothing could be decided.")
    age_s: float | None = Field(description="Seconds. A lower bound of the age that the rule compares.")
    limit_s: float | None = Field(description="Seconds. The limit of that age.")
    over_s: float | None = Field(description="Seconds. age_s less limit_s; negative while time is left.")
    limit_from: Literal["policy", "task", "at_most", "else"] | None = Field(description="What sets limit_s.")
    retries: int | None = Field(description="The retries that `retries_over` compares.")
    retries_limit: int | None = Field(description="The limit of these retries.")
    clock: Literal["events", "started_time"] | None = Field(description="Where the age comes from.")

    @property
    def key(self) -> TaskKey:
        """What identifies the task."""
        return self.place, self.invocation_id


class TaskFields(TaskVerdict):
    """What became of one task."""

    also: Texts = Field(description="Other policies by which the task is due.")
    new: bool = Field(description="Over its limit by less than two intervals.")
    why: (
        Literal["budget", "halted", "spared", "margin", "clock", "denied", "unreadable", "interrupted"] | None
    ) = Field(None, description="Why a due task was skipped, or its stop given up.")
    unclear: bool = Field(False, description="A stop was sent, and nobody knows whether it took effect.")
    detail: str = Field("", description="More about it, in words.")
    http_status: HttpStatus = None
    error_code: ErrorCode = ""
    fc_request_id: RequestId = None
    error: Refusal = ""


class TaskLine(TaskFields, Line):
    """What became of one task.

    kept: it stays (DEBUG). exempt: above every policy (DEBUG). would_stop: due, in a dry run. reported: a
    `report` policy matches. accepted: the cloud accepted a stop, a promise. confirmed: seen Stopped. ended:
    finished before a stop took effect. skipped: due, and left alone in this run. stop_failed: the stop did
    not work. unknown: it lacks what a rule needs, or could not be read; kept. stuck: still Stopping.
    """

    event: TaskEvent


class HeldBack(Line):
    """More tasks are due than the policy may stop in this run; or so many that it stops none."""

    event: Literal["budget_spent", "halted"]
    policy: str
    due: Count = Field(description="Tasks of it that are due in this run.")
    allowed: Count = Field(description="How many it allows: its budget, or halt_over (0 where it has none).")
    why: str | None = Field(description="What makes it fewer than the budget, or what suggests a mistake.")


class LinesOmitted(Line):
    """There were more lines of one event than REAPER_LOG_TASKS; the counts of the run are complete."""

    event: Literal["lines_omitted"]
    omitted: str = Field(description="The event of the lines that were left out.")
    policy: str | None = Field(description="The policy that they are about; null for lines about none.")
    due: Count = Field(description="Lines there would have been.")
    allowed: Count = Field(description="Lines there are.")


class Saved(_Model):
    """What stops save at most; the sums are over `tasks` less `unknown`, null where all are unknown."""

    tasks: Count = Field(description="Stops that were accepted; in a plan those that it would make.")
    unknown: Count = Field(description="Those of them of which not all is known; they are in no sum.")
    vcpu_s: float | None = Field(description="vCPU-seconds.")
    gb_s: float | None = Field(description="GB-seconds of memory.")
    gpu_gb_s: float | None = Field(description="GB-seconds of GPU memory.")


class PolicyCounts(_Model):
    """The counts of one policy; what it left out is zero."""

    kept: Count = 0
    exempt: Count = 0
    unknown: Count = 0
    reported: Count = 0
    due: Count = 0
    would_stop: Count = 0
    confirmed: Count = 0
    accepted: Count = 0
    ended: Count = 0
    skipped: Count = 0
    failed: Count = 0


class Counts(PolicyCounts):
    """Each listed task counted once, and each due one by its outcome; none is left out.

    listed = kept + exempt + unknown + reported + due
    due = would_stop + confirmed + accepted + ended + skipped + failed
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)
    functions: Count = Field(description="Functions listed or read, each qualifier by itself.")
    listed: Count
    stuck: Count = Field(description="Stopping for longer than REAPER_STUCK_AFTER.")


class PolicyTotals(PolicyCounts):
    """The counts of one policy, and what its stops save."""

    saved: Saved


class RunFinished(Line):
    """The last line of every run, also of one that fails."""

    event: Literal["run_finished"]
    counts: Counts
    policies: dict[str, PolicyTotals] = Field(description="By name, each policy by which a task was decided.")
    saved: Saved
    calls: dict[str, Count] = Field(description="Calls to the cloud by operation, retries included.")
    duration_ms: Count
    partial: bool = Field(description="Whether the time was up before everything was done.")
    unmatched: Texts = Field(description="Targets with a pattern that stand for no function in task mode.")
    errors: Texts = Field(description="What went wrong: 20, then how many more. With any it is a WARNING.")


class ResultTask(TaskFields):
    """A due task in the result of a run, with what distinguishes it from another task of its id."""

    event: TaskEvent
    task_request_id: str | None
    first_enqueue_ms: int | None = Field(description="Epoch milliseconds; null where it has no date.")


class Result(RunFinished):
    """What a run answers: its last line, and the first of its due tasks."""

    tasks: list[ResultTask]


LINES: tuple[type[Line], ...] = (  # every kind of line
    RunStarted, NotApproved, TriggerNote, ListFailed, TaskLine, HeldBack, LinesOmitted, RunFinished,
)  # fmt: skip


class Lines(list[Any]):
    """A listener that keeps every line."""

    def __call__(self, fields: Fields) -> None:
        """Keep the line with these *fields*."""
        self.append(next(one for one in LINES if fields["event"] in one.events()).model_validate(fields))

    def of(self, *events: str) -> list[Any]:
        """The kept lines of these kinds, in their order."""
        return [line for line in self if line.event in events]
