"""The log: one JSON object a line, and a pydantic model for each kind of line.

The logger is our own, so that the runtime's root handler never sees a line. docs/log-schema.json is written
from the models by scripts/schemas.py. To add a field: add it to the model, pass it where the line is
emitted, and run that script.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Annotated, Any, Literal, TextIO, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pythonjsonlogger.json import JsonFormatter

from fc_reaper.clock import Clock

LONGEST_LINE = 32 * 1024
"""Bytes that one log record may have: https://alibabacloud.com/help/zh/functioncompute/fc-2-0/product-overview/limits"""

LEVELS = {
    **dict.fromkeys(("kept", "exempt"), "DEBUG"),
    **dict.fromkeys(
        ("list_failed", "trigger_refused", "unknown", "stuck", "stop_failed", "halted", "budget_spent",
         "not_approved"),
        "WARNING",
    ),
}  # fmt: skip
"""The level of each event that is not INFO. `run_finished` is a WARNING when the run had errors."""


def _encodable(text: Any) -> Any:
    """Replace what UTF-8 cannot hold: a JSON escape may stand for half a character."""
    if not isinstance(text, str) or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()


Text = Annotated[str, BeforeValidator(_encodable)]
Texts = list[Text]
Count = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0})]


class _Model(BaseModel):
    # Built when first used: a cold start is billed. A field with a default is left out unless it is given.
    model_config = ConfigDict(extra="forbid", defer_build=True)

    def fields(self) -> dict[str, Any]:
        """The fields as they are printed."""
        return self.model_dump(exclude_unset=True)


class Line(_Model):
    """What every line carries."""

    timestamp: Annotated[
        str,
        Field(json_schema_extra={"pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"}),
    ] = Field(description="When the line was written: UTC, ISO 8601, milliseconds.")
    level: Literal["DEBUG", "INFO", "WARNING"] = Field(description="DEBUG only with REAPER_LOG_LEVEL=DEBUG.")
    event: str
    run_id: str = Field(description="The run; also sent with every call to the cloud, as X-Fc-Trace-Id.")
    request_id: Text = Field(description="The platform's id of this invocation; empty outside of it.")
    mode: Literal["dry-run", "enforce"] = Field(description="Whether this run may stop anything.")
    trigger: Literal["timer", "alert", "command", "task"] = Field(
        description="What started the run: the broadest kind among the requests of the event."
    )
    cut: Texts = Field([], description="Fields that were shortened to fit the line into one log record.")

    @classmethod
    def events(cls) -> tuple[str, ...]:
        """The events that this kind of line is about."""
        return get_args(cls.model_fields["event"].annotation)


class RequestFields(_Model):
    """One request of the event; null means all."""

    kind: str = Field(description="timer, alert, command or task.")
    name: Text | None = Field(description="The timer's name.")
    part: Text = Field(
        description='The part of the event: empty for the whole, "[2]" for the third of a list.'
    )
    service: Text | None
    function: Text | None
    qualifier: Text | None
    invocation_id: Text | None


class RunStarted(Line):
    """A run begins: its settings and its policy can be used."""

    event: Literal["run_started"]
    targets: Texts = Field(description="Every target of the policy.")
    policies: Texts = Field(description="The names of the policies, in the order of the file.")
    requests: list[RequestFields] = Field(description="The requests of the event.")
    dry_run_asked: bool = Field(description="Whether the event itself requests a dry run.")


class NotApproved(Line):
    """A stop policy that policy.lock does not approve: in this run it only reports."""

    event: Literal["not_approved"]
    policy: Text
    why: Text = Field(description="What is missing or changed, and what to do.")


class TriggerNote(Line):
    """A part of the event that requests nothing, has no known shape but starts a run, or is refused."""

    event: Literal["trigger_ignored", "trigger_unrecognised", "trigger_refused"]
    why: Text = Field(description="One sentence, without values of the payload.")
    part: Text = Field(
        description='The part of the event: empty for the whole, "[2]" for the third of a list.'
    )


class _Place(_Model):
    service: Text | None = Field(description="The service; null in Function Compute 3.0, which has none.")
    function: Text = Field(description="The function; * where discovery itself failed.")
    qualifier: Text = Field(description="The qualifier that the call was made with.")


HttpStatus = Annotated[int | None, Field(description="The cloud's answer; null when none came.")]
ErrorCode = Annotated[Text, Field(description="The platform's code, or ours: ConnectionFailed, TimedOut, …")]
RequestId = Annotated[Text | None, Field(description="The cloud's id of the refused call; null without one.")]
Refusal = Annotated[Text, Field(description="The refusal in words.")]


class ListFailed(_Place, Line):
    """Tasks could not be listed to their end; nothing follows from what was not seen."""

    event: Literal["list_failed"]
    status: Text | None = Field(description="The status that was listed; null for the list of functions.")
    http_status: HttpStatus
    error_code: ErrorCode
    fc_request_id: RequestId
    error: Refusal


TaskEvent = Literal[
    "kept", "exempt", "would_stop", "reported", "accepted", "confirmed", "ended", "skipped", "stop_failed",
    "unknown", "stuck",
]  # fmt: skip


class TaskFields(_Place):
    """The fields of one task."""

    invocation_id: Text
    status: Text = Field(description="The platform's word for the state in which the task was last read.")
    policy: Text | None = Field(description="The policy that decided, or could not; null when none did.")
    rule: Text | None = Field(description="The key that decided: alive_for, retries_over, where, keep, …")
    reason: Text = Field(description="The policy's own words, or why nothing could be decided.")
    age_s: float | None = Field(description="Seconds. The age that the rule compares.")
    limit_s: float | None = Field(description="Seconds. The limit of that age.")
    over_s: float | None = Field(
        description="Seconds. age_s less limit_s; negative while there is time left."
    )
    clock: Literal["events", "started_time"] | None = Field(description="Where the age comes from.")
    also: Texts = Field(description="Other policies by which the task is due.")
    new: bool = Field(description="Over its limit by less than two intervals.")
    why: Literal["budget", "halted", "spared", "margin", "clock"] | None = Field(
        None, description="Why a due task was skipped."
    )
    detail: Text = Field("", description="More about it, in words.")
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
    policy: Text
    due: Count = Field(description="Tasks of it that are due in this run.")
    allowed: Count = Field(description="How many it allows: its budget, or halt_over (0 where it has none).")
    why: Text | None = Field(description="What makes it fewer than the budget, or what suggests a mistake.")


class LinesOmitted(Line):
    """A policy had more task lines than REAPER_LOG_TASKS; the counts of the run are complete."""

    event: Literal["lines_omitted"]
    policy: Text | None = Field(description="The policy; null for tasks that no policy decided.")
    due: Count = Field(description="Lines there would have been.")
    allowed: Count = Field(description="Lines there are.")


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


class Counts(_Model):
    """Each listed task counted once, and each due one by its outcome.

    listed = kept + exempt + unknown + reported + due
    due = would_stop + confirmed + accepted + ended + skipped + failed
    """

    functions: Count = Field(description="Functions listed or read, each qualifier by itself.")
    listed: Count
    kept: Count
    exempt: Count
    unknown: Count
    reported: Count
    due: Count
    would_stop: Count
    confirmed: Count
    accepted: Count
    ended: Count
    skipped: Count
    failed: Count
    stuck: Count = Field(description="Stopping for longer than REAPER_STUCK_AFTER.")


class RunFinished(Line):
    """The last line of every run, also of one that fails."""

    event: Literal["run_finished"]
    counts: Counts
    policies: dict[Text, PolicyCounts] = Field(
        description="By name, each policy by which a task was decided."
    )
    calls: dict[str, Count] = Field(description="Calls to the cloud by operation, retries included.")
    duration_ms: Count
    partial: bool = Field(description="Whether the time was up before everything was done.")
    unmatched: Texts = Field(description="Targets with a pattern that stand for no function in task mode.")
    errors: Texts = Field(description="What went wrong: 20, then how many more. With any it is a WARNING.")


class ResultTask(TaskFields):
    """A due task in the result of a run, with what distinguishes it from another task of its id."""

    event: TaskEvent
    task_request_id: Text | None
    first_enqueue_ms: int | None = Field(description="Epoch milliseconds; null where it has no date.")


class Result(RunFinished):
    """What a run answers: its last line, and the first of its due tasks."""

    tasks: list[ResultTask]


LINES: tuple[type[Line], ...] = (
    RunStarted, NotApproved, TriggerNote, ListFailed, TaskLine, HeldBack, LinesOmitted, RunFinished,
)  # fmt: skip
"""Every kind of line."""

Listener = Callable[[Line], None]
"""Receives each line that is logged, as a value."""

L = TypeVar("L", bound=Line)


class Lines(list[Any]):
    """A listener that keeps the lines of *events*, or every line."""

    def __init__(self, *events: str) -> None:
        super().__init__()
        self._events = events

    def __call__(self, line: Line) -> None:
        """Keep *line*, if it is one of those wanted."""
        if not self._events or line.event in self._events:
            self.append(line)

    def of(self, *events: str) -> list[Any]:
        """The kept lines of these kinds, in their order."""
        return [line for line in self if line.event in events]


class JsonLog:
    """Writes lines as JSON to *stream* (None: nowhere), and passes each to *listener*.

    *bound* are the fields that every line of a run carries. With *verbose* DEBUG lines are logged as well.
    """

    def __init__(
        self,
        stream: TextIO | None,
        clock: Clock,
        *,
        verbose: bool = False,
        listener: Listener | None = None,
        **bound: Any,
    ) -> None:
        self.verbose = verbose
        self.bound = bound
        self._clock = clock
        self._listener = listener
        # Not from logging's registry: no other handlers, levels or filters apply, and none are left behind.
        self._logger = logging.Logger("fc_reaper")
        handler = logging.NullHandler() if stream is None else logging.StreamHandler(stream)
        handler.setFormatter(_OnlyFields())
        self._logger.addHandler(handler)

    def __call__(self, kind: type[L], event: str, **fields: Any) -> L:
        """Log a line for *event* and return it. What is too long for a record is cut in print only."""
        level = "WARNING" if fields.get("errors") else LEVELS.get(event, "INFO")
        now = datetime.fromtimestamp(self._clock.now() / 1000, timezone.utc)
        timestamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"timestamp": timestamp, "level": level, "event": event, **self.bound}
        line = kind.model_validate({**head, **fields})
        if self.verbose or level != "DEBUG":
            self._logger.log(getattr(logging, level), fitted(line.fields()))
            if self._listener is not None:
                self._listener(line)
        return line


class _OnlyFields(JsonFormatter):
    """Writes the fields of a line and nothing else; the text of the record is empty."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Drop what the formatter adds of its own accord."""
        log_data.pop("message", None)
        return log_data


def fitted(fields: dict[str, Any]) -> dict[str, Any]:
    """Make *fields* fit into one log record by cutting the longest values, and name those in `cut`."""
    cut: list[str] = []
    while len(json.dumps(fields)) >= LONGEST_LINE:
        name = max(fields, key=lambda key: len(json.dumps(fields[key])))
        fields = {**fields, name: _halved(fields[name])}
        if name not in cut:
            cut.append(name)
            fields["cut"] = cut
    return fields


def _halved(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(list(value.items())[: len(value) // 2])
    if isinstance(value, (list, str)):
        return value[: len(value) // 2]
    return None
