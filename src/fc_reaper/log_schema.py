"""Every log line there is, field by field: scripts/log_schema.py writes docs/log-schema.json from this table.

Nothing here runs in the cloud. What the table says of a field is held against every line that a test
prints, so that it cannot drift from what is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

Schema = dict[str, Any]
Fields = Mapping[str, Schema]

DEBUG, INFO, WARNING = "DEBUG", "INFO", "WARNING"


class Line(NamedTuple):
    """One kind of log line, beside what every line carries.

    `levels` are the levels it may have. `fields` are always there, `perhaps` only where they say something.
    """

    meaning: str
    levels: tuple[str, ...]
    fields: Fields = MappingProxyType({})
    perhaps: Fields = MappingProxyType({})


def _text(meaning: str, *, null: bool = False) -> Schema:
    return {"type": ["string", "null"] if null else "string", "description": meaning}


def _word(meaning: str, *words: str | None) -> Schema:
    return {"enum": list(words), "description": meaning}


def _flag(meaning: str) -> Schema:
    return {"type": "boolean", "description": meaning}


def _whole(meaning: str, *, null: bool = False) -> Schema:
    return {"type": ["integer", "null"] if null else "integer", "description": meaning}


def _count(meaning: str) -> Schema:
    return {"type": "integer", "minimum": 0, "description": meaning}


def _seconds(meaning: str) -> Schema:
    return {"type": ["number", "null"], "description": f"Seconds. {meaning}"}


def _texts(meaning: str) -> Schema:
    return {"type": "array", "items": {"type": "string"}, "description": meaning}


def _object(meaning: str, fields: Fields, *, required: bool = True) -> Schema:
    return {
        "type": "object",
        "properties": dict(fields),
        "required": list(fields) if required else [],
        "additionalProperties": False,
        "description": meaning,
    }


def _by_name(meaning: str, value: Schema) -> Schema:
    return {"type": "object", "additionalProperties": value, "description": meaning}


ALWAYS: Fields = {
    "timestamp": {
        "type": "string",
        "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
        "description": "When the line was written: UTC, ISO 8601, milliseconds.",
    },
    "run_id": _text("The run; also sent to the cloud with every call of it, as X-Fc-Trace-Id."),
    "request_id": _text("The platform's id of the reaper's own invocation; empty outside of the platform."),
    "mode": _word("Whether this run may stop anything.", "dry-run", "enforce"),
    "trigger": _word("What woke the reaper; the broadest of all.", "timer", "alert", "command", "task"),
}
"""What every line carries, beside `level` and `event`."""

CUT = _texts("Fields that were shortened because the line was too long for one log record.")
"""The one field that any line may have."""

_NOTE: Fields = {
    "why": _text("One sentence, without values of the payload."),
    "part": _text('The part of the event that is meant: empty for the whole, "[2]" for the third of a list.'),
}

_PLACE: Fields = {
    "service": _text("The service; null in Function Compute 3.0, which has none.", null=True),
    "function": _text("The function; * where discovery itself failed."),
    "qualifier": _text("The qualifier that the cloud was asked with; never one read back from a record."),
}

_REFUSAL: Fields = {
    "http_status": _whole("What the cloud answered; null when no answer came.", null=True),
    "error_code": _text("The platform's code, or a word of ours: ConnectionFailed, TimedOut, …"),
    "fc_request_id": _text("The cloud's id of the refused call; null when none came.", null=True),
    "error": _text("The refusal in words."),
}

_TASK: Fields = {
    **_PLACE,
    "invocation_id": _text("The task."),
    "status": _text("The platform's word for the state in which the task was last read."),
    "policy": _text("The policy that decided, or that could not be decided; null when none did.", null=True),
    "rule": _text("The key that decided: alive_for, running_for, retries_over, where, keep, exempt, …"),
    "reason": _text("The policy's own words, or why nothing could be decided."),
    "age_s": _seconds("The age that the rule looked at; null where the rule has none."),
    "limit_s": _seconds("The limit of that age; null where the rule has none."),
    "over_s": _seconds("age_s less limit_s: how late the reaper came. Negative while there is time left."),
    "clock": _word("Where the age comes from; null where there is none.", "events", "started_time", None),
    "also": _texts("Other policies that claim the task."),
    "new": _flag("Over its limit by less than two intervals: an older one was missed, or waited."),
}

_DETAIL: Fields = {"detail": _text("More about it, in words.")}

_HELD_BACK: Fields = {
    "policy": _text("The policy."),
    "due": _count("Tasks of it that are due in this run."),
    "allowed": _count("How many it allows in this run: its budget, or halt_over (0 where it has none)."),
}

_COUNTS: Fields = {
    "functions": _count("Functions looked at, each qualifier by itself."),
    "listed": _count("Tasks seen: kept + exempt + unknown + reported + due."),
    "kept": _count("Nothing speaks against them."),
    "exempt": _count("Above every policy."),
    "unknown": _count("They lack what a rule needs; kept."),
    "reported": _count("A `report` policy matches."),
    "due": _count("would_stop + confirmed + accepted + ended + skipped + failed."),
    "would_stop": _count("A dry run would have stopped them."),
    "confirmed": _count("Asked to stop, and seen Stopped."),
    "accepted": _count("Asked to stop, and not yet seen Stopped."),
    "ended": _count("RunResult by themselves meanwhile."),
    "skipped": _count("Left alone: budget, halted, spared, margin, clock."),
    "failed": _count("The stop did not work."),
    "stuck": _count("Stopping for longer than REAPER_STUCK_AFTER."),
}
_OF_A_POLICY: Fields = {
    name: _COUNTS[name] for name in _COUNTS if name not in ("functions", "listed", "kept", "stuck")
}

_REQUEST: Fields = {
    "kind": _text("timer, alert, command or task."),
    "name": _text("The timer's name; null where there is none.", null=True),
    "part": _NOTE["part"],
    "service": _text("Only this service; null for all.", null=True),
    "function": _text("Only this function; null for all.", null=True),
    "qualifier": _text("Only this qualifier; null for all.", null=True),
    "invocation_id": _text("Only this task; null for all.", null=True),
}

LINES: Mapping[str, Line] = {
    "run_started": Line(
        "A run begins: its settings and its policy can be used.",
        (INFO,),
        {
            "targets": _texts("Every target of the policy."),
            "policies": _texts("The names of the policies, in the order of the file."),
            "requests": {
                "type": "array",
                "items": _object("One thing that the event requests.", _REQUEST),
                "description": "What the event requests.",
            },
            "dry_run_asked": _flag("Whether the event itself asked for a dry run."),
        },
    ),
    "not_approved": Line(
        "A stop policy that policy.lock does not approve: in this run it only reports.",
        (WARNING,),
        {"policy": _text("The policy."), "why": _text("What is missing or changed, and what to do.")},
    ),
    "trigger_ignored": Line("Part of the event requests nothing: an alert that is over.", (INFO,), _NOTE),
    "trigger_unrecognised": Line("Part of the event has no known shape; a run starts.", (INFO,), _NOTE),
    "trigger_refused": Line("Part of the event requests what no event may.", (WARNING,), _NOTE),
    "list_failed": Line(
        "The tasks of a function could not be listed to their end; nothing follows from what was not seen.",
        (WARNING,),
        {**_PLACE, **_REFUSAL},
        {"status": _text("The status that was listed; null for all at once.", null=True)},
    ),
    "kept": Line("A task that stays, and why.", (DEBUG,), _TASK),
    "exempt": Line("A task above every policy.", (DEBUG,), _TASK),
    "would_stop": Line("A task that this dry run would have stopped.", (INFO,), _TASK),
    "reported": Line("A task that a `report` policy matches.", (INFO,), _TASK),
    "accepted": Line(
        "The cloud accepted a stop; a promise, not a fact. Told again where proof casts doubt on it.",
        (INFO,),
        _TASK,
        _DETAIL,
    ),
    "confirmed": Line("The task was seen Stopped.", (INFO,), _TASK, _DETAIL),
    "ended": Line("The task finished by itself before a stop took effect.", (INFO,), {**_TASK, **_DETAIL}),
    "skipped": Line(
        "A due task that was left alone in this run.",
        (INFO,),
        {**_TASK, "why": _word("One word.", "budget", "halted", "spared", "margin", "clock")},
        {**_DETAIL, **_REFUSAL},
    ),
    "stop_failed": Line("A stop did not work.", (WARNING,), _TASK, {**_DETAIL, **_REFUSAL}),
    "unknown": Line(
        "A task that lacks what a rule needs, or that could not be read; it is kept.",
        (WARNING,),
        _TASK,
        _REFUSAL,
    ),
    "stuck": Line("A task that was asked to stop and is still Stopping.", (WARNING,), _TASK),
    "budget_spent": Line(
        "More tasks are due than the policy may stop in this run; the rest waits.",
        (WARNING,),
        {
            **_HELD_BACK,
            "why": _text("What makes it fewer than the budget a run; null for nothing.", null=True),
        },
    ),
    "halted": Line(
        "So many tasks are due that it looks like a mistake, or nobody knows how many: none was stopped.",
        (WARNING,),
        {**_HELD_BACK, "why": _text("What looks like a mistake, or is not known.")},
    ),
    "lines_omitted": Line(
        "A policy had more task lines than REAPER_LOG_TASKS; the counts of the run are complete.",
        (INFO,),
        {
            "policy": _text("The policy; null for tasks that no policy decided.", null=True),
            "due": _count("Lines there would have been."),
            "allowed": _count("Lines there are."),
        },
    ),
    "run_finished": Line(
        "The last line of every run, also of one that fails.",
        (INFO, WARNING),
        {
            "counts": _object("Each listed task counted once, and each due one by its outcome.", _COUNTS),
            "policies": _by_name(
                "The counts of each policy that claimed anything, by its name.",
                _object("Only what is not zero.", _OF_A_POLICY, required=False),
            ),
            "calls": _by_name("Calls to the cloud by operation, retries included.", _count("How often.")),
            "duration_ms": _count("Milliseconds from the first line to this one."),
            "partial": _flag("Whether the time was up before everything was done."),
            "unmatched": _texts("Targets with a pattern that stand for no function in task mode."),
            "errors": _texts("What went wrong: 20, then how many more. A run with any is a WARNING."),
        },
    ),
}
"""Every kind of line by its `event`."""
