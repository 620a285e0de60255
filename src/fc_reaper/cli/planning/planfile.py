"""The plan file: what a look found due, in a form that people review and `apply` carries out.

JSON, one key a line. It names each task with its identity and the evidence against it; never a payload.
A reviewer may delete tasks from it; whatever else does not fit its form is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from fc_reaper.evaluator.verdict import Evaluation, Kind, Verdict
from fc_reaper.log import ResultTask
from fc_reaper.models import Function, Millis, Task, TaskEvent

FORMAT = "fc-reaper plan"
VERSION = 1

WOULD_STOP = "would_stop"
HALTED = "halted"
SPARED = "spared"
FATES = (WOULD_STOP, "budget", HALTED, SPARED)
"""What the run behind a plan would have done with a task: stopped it, left it for the next run, not dared
to for the number of them, or spared it."""


class Whereabouts(NamedTuple):
    """Whose tasks they are. Each is None where nobody knows."""

    account: str | None
    region: str | None
    endpoint: str | None


class Basis(NamedTuple):
    """The policy that a plan was made by.

    `fingerprint` is that of the whole file, `policies` those of its policies by name; those in `halted` did
    not dare to stop any task. For an incident `text` is the policy itself, which stands in no file, and
    `fingerprint` that of the text, letter by letter; `exempt_from` is the file whose exemptions are in it,
    None where there was none.
    """

    source: str
    fingerprint: str
    policies: Mapping[str, str]
    halted: tuple[str, ...] = ()
    text: str | None = None
    exempt_from: str | None = None


class Planned(NamedTuple):
    """One task that was due: where and who it is, and why.

    Ages and limits are seconds, None where the rule has none.
    """

    function: Function
    invocation_id: str
    request_id: str | None
    first_enqueue: Millis | None
    status: str
    policy: str
    rule: str
    age_s: float | None
    limit_s: float | None
    over_s: float | None
    clock: str | None
    reason: str
    fate: str

    def claim(self, reason: str) -> Evaluation:
        """The task, as far as the plan knows it, with the verdict that made it due.

        *reason* is the policy's own: words that only stand in the plan get nowhere.
        """
        events = () if self.first_enqueue is None else (TaskEvent(self.first_enqueue, 0, "Enqueued"),)
        task = Task(self.function, self.invocation_id, self.status, self.request_id, events=events)
        age, limit = _millis(self.age_s), _millis(self.limit_s)
        return Evaluation(task, Verdict(Kind.DUE, reason, self.policy, self.rule, age, limit, self.clock))


class Plan(NamedTuple):
    """A whole plan. `time` is when the look began; `complete` is False where not everything was looked at."""

    time: Millis
    where: Whereabouts
    basis: Basis
    complete: bool
    counts: Mapping[str, int]
    tasks: tuple[Planned, ...]


def dump_plan(plan: Plan) -> str:
    """The text of the file, with its last line break."""
    basis: dict[str, Any] = {
        "source": plan.basis.source,
        "fingerprint": plan.basis.fingerprint,
        "policies": dict(plan.basis.policies),
        "halted": list(plan.basis.halted),
    }
    if plan.basis.text is not None:
        basis["exempt_from"] = plan.basis.exempt_from
        basis["text"] = plan.basis.text.split("\n")
    whole = {
        "format": FORMAT,
        "version": VERSION,
        "time": iso(plan.time),
        **plan.where._asdict(),
        "policy": basis,
        "complete": plan.complete,
        "counts": dict(plan.counts),
        "tasks": [_written(task) for task in plan.tasks],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def planned_tasks(tasks: Iterable[ResultTask]) -> list[Planned]:
    """The due tasks of a dry run's result as a plan names them, most overdue first.

    What has ended meanwhile is left out.
    """
    found = [_planned(task, fate) for task in tasks if (fate := _fate(task)) is not None]
    return sorted(found, key=_order)


def iso(moment: Millis) -> str:
    """A moment in UTC with milliseconds, as in the log."""
    text = datetime.fromtimestamp(moment / 1000, timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _written(task: Planned) -> dict[str, Any]:
    values = task._asdict()
    service, name, qualifier = values.pop("function")
    enqueued = values["first_enqueue"]
    values["first_enqueue"] = None if enqueued is None else iso(enqueued)
    return {"service": service, "function": name, "qualifier": qualifier, **values}


def _order(one: Planned) -> tuple[int, int, str, str]:
    # To the second: each was read at another moment.
    return -int(one.over_s or 0), -int(one.age_s or 0), str(one.function), one.invocation_id


def _fate(task: ResultTask) -> str | None:
    fate = task.why if task.event == "skipped" else task.event
    return fate if fate in FATES else None


def _planned(task: ResultTask, fate: str) -> Planned:
    place = Function(task.service, task.function, task.qualifier)
    names = ("invocation_id", "status", "policy", "rule", "age_s", "limit_s", "over_s", "clock", "reason")
    evidence: dict[str, Any] = {name: getattr(task, name) for name in names}
    evidence["rule"] = evidence["rule"] or "status"
    identity: dict[str, Any] = {"request_id": task.task_request_id, "first_enqueue": task.first_enqueue_ms}
    return Planned(function=place, **evidence, **identity, fate=fate)


def _millis(seconds: float | None) -> Millis | None:
    return None if seconds is None else round(seconds * 1000)
