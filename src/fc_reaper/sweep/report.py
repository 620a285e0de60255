"""The report of a run: the one object that counts, logs and collects the result.

Each listed task is counted once, and each due one gets one outcome:
listed = kept + exempt + unknown + reported + due
due = would_stop + confirmed + accepted + ended + skipped + failed
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from fc_reaper.errors import CloudError
from fc_reaper.evaluator.evaluate import Evaluation
from fc_reaper.evaluator.select import Selection
from fc_reaper.log import JsonLog, encodable
from fc_reaper.models import Exit, Function, Millis
from fc_reaper.rules.result import Kind, Verdict
from fc_reaper.settings import Settings

HELD_OUT = "holdout spares its share of the tasks"
"""The detail of a due task that is spared for good, so that false stops can be measured."""

_COUNTS = (
    "functions", "listed", "kept", "exempt", "unknown", "reported", "due",
    "would_stop", "confirmed", "accepted", "ended", "skipped", "failed", "stuck",
)  # fmt: skip

_ATTENTION = ("clock", "denied", "unreadable", "interrupted")
"""Why a task was skipped, where somebody should know: the run ends with 1."""

_MOST_ERRORS = 20


class Outcome(NamedTuple):
    """What became of one due task.

    `name` is would_stop, accepted, confirmed, ended, skipped or failed. `due` is the task as last read, with
    the verdict that made it due. `why` is one constant word for a skipped task, `detail` says more, `error`
    is the refusal that a failure ended with. `unclear`: nobody knows whether the stop took effect. `spent`:
    its place in the budget is gone, though it does not count as stopped.
    """

    name: str
    due: Evaluation
    why: str | None = None
    detail: str | None = None
    error: CloudError | None = None
    unclear: bool = False
    spent: bool = False

    @property
    def is_spent(self) -> bool:
        """Whether its place in the budget goes to no other task."""
        stops = self.name in ("would_stop", "accepted", "confirmed")
        return stops or self.unclear or self.spent or self.why in ("margin", "interrupted")


class Report:
    """Counts and logs what happens in a run.

    `tasks` holds the first *shown* due tasks, `room` is how many of a policy beyond its budget are logged or
    shown one by one. `incomplete` are functions of which not all tasks were seen, `unmatched` the targets
    that match no function, `unlisted` the functions that could not be listed. `served` counts the requests of
    the event that were followed, `unresolved` those that could not be for want of answers.
    """

    def __init__(self, log: JsonLog, settings: Settings, *, shown: int) -> None:
        self.log = log
        self.exit = Exit.DONE
        self.counts: Counter[str] = Counter()
        self.served = self.unresolved = self._refused = 0
        self.partial = self.limited = self.answered = self._troubled = False
        self.errors: list[str] = []
        self.tasks: list[dict[str, Any]] = []
        self.incomplete: set[Function] = set()
        self.unmatched: list[str] = []
        self._policies: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._calls: Counter[str] = Counter()
        self._failures: dict[str, CloudError] = {}
        self._refusals: list[str] = []
        self.unlisted: set[Function] = set()
        self._shown = shown
        self._interval = settings.interval
        self.room = max(settings.log_tasks, shown)
        self._unlogged: set[tuple[Function, str]] = set()

    def note(self, event: str, why: str, part: str) -> None:
        """Log what becomes of a part of the event that starts nothing."""
        self.log(event, why=why, part=part)
        if event == "trigger_refused":
            self._refusals.append(why)

    def refuse(self, why: str, part: str) -> None:
        """Log a request of the event that cannot be followed, whatever the cloud answers."""
        self._refused += 1
        self.note("trigger_refused", why, part)

    def called(self, operation: str) -> None:
        """Count a call to the cloud."""
        self._calls[operation] += 1

    def failed(self, what: object, error: CloudError) -> None:
        """Note that something could not be learnt from the cloud."""
        self._failures[f"{what}: {error}"] = error

    def not_listed(self, function: Function, status: str | None, error: CloudError, what: str = "") -> None:
        """Note that *function* could not be listed to its end; logged once a function."""
        self.failed(what or function, error)
        # The cloud's own word that there is no such function means that nothing there is due.
        if not error.missing:
            self.incomplete.add(function)
        if function not in self.unlisted:
            self.unlisted.add(function)
            self.log("list_failed", **place_fields(function), status=status, **_refusal(error))

    def evaluated(self, verdict: Verdict, number: int = 1) -> None:
        """Count listed tasks by their verdict. A negative number takes back what was counted in vain."""
        kind = verdict.kind.value
        self.counts[kind] += number
        self.counts["listed"] += number
        if verdict.policy is not None and verdict.kind is not Kind.KEPT:
            self._policies[verdict.policy][kind] += number

    def log_task(self, event: str, one: Evaluation, error: CloudError | None = None, **more: Any) -> None:
        """Log a line about a task, unless there are too many.

        A task whose acceptance was not logged gets no later line either: none is left with only its last.
        """
        policy, key = one.verdict.policy, (one.task.function, one.task.invocation_id)
        if key in self._unlogged or self.log.is_full(event, policy):
            self.log.omit(event, policy)
            if event == "accepted":
                self._unlogged.add(key)
        else:
            self.log(event, **self._fields(one), **more, **_refusal(error))

    def accepted(self, outcome: Outcome) -> None:
        """Log a stop that was accepted; it is counted when it has been verified or not."""
        self.log_task("accepted", outcome.due, **_more(outcome))

    def settled(self, outcome: Outcome, *, logged: bool = False) -> None:
        """Count and collect a due task by its final outcome; log it unless it was *logged* as accepted."""
        self._count(outcome.due.verdict.policy or "", outcome.name)
        self.partial = self.partial or outcome.why == "margin"
        troubled = outcome.why in _ATTENTION
        self._troubled = self._troubled or troubled
        event = "stop_failed" if outcome.name == "failed" else outcome.name
        if not logged or outcome.name != "accepted":
            self.log_task(event, outcome.due, outcome.error, warns=troubled, **_more(outcome))
        self._collect(event, outcome.due, {**_more(outcome), **_refusal(outcome.error)})

    def held_back(self, selection: Selection, left: Sequence[Evaluation]) -> None:
        """Report the due tasks that were left alone; those *left* are known one by one."""
        name, halted, allowed = selection.policy.name, selection.halted, selection.allowed.most
        held_out = {"why": "spared", "detail": HELD_OUT}
        self._skipped(name, selection.held_out_tasks, selection.held_out, held_out)
        tried = len(selection.first) - len(left)
        waiting = selection.due - selection.held_out - tried
        if waiting:
            self.limited = True
            if halted is not None:
                allowed = selection.policy.halt_over or 0
            event, why = ("halted", halted) if halted else ("budget_spent", selection.allowed.why)
            self.log(event, policy=name, due=selection.due, allowed=allowed, why=why)
            self._skipped(name, left, waiting, {"why": "halted" if halted else "budget"})

    def concluded(self) -> None:
        """Settle how a run ends that came to its end."""
        self.errors += self._failures
        self.partial = self.partial or any(one.error_code == "TimedOut" for one in self._failures.values())
        failed, missing = bool(self._failures), any(one.missing for one in self._failures.values())
        trouble = failed or self._troubled or self.counts["stuck"] + self.counts["failed"]
        if failed and not self.answered and not missing:
            self.exit = Exit.UNREACHABLE
        elif self._refused and not self.served and not self.unresolved:
            self.exit = Exit.REFUSED
        elif trouble or self.partial or self.limited:
            self.exit = Exit.ATTENTION

    @property
    def curable(self) -> bool:
        """Whether the run did nothing, and only because of what may be gone the next time."""
        failures = self._failures.values()
        in_vain = self.exit is Exit.UNREACHABLE or self.unresolved > 0
        touched = self.counts["accepted"] or self.counts["confirmed"]
        return in_vain and not touched and bool(failures) and all(error.retryable for error in failures)

    def finish(self, duration: Millis) -> dict[str, Any]:
        """Log the last line of the run, and return its fields with the due tasks."""
        if self.exit is Exit.REFUSED and not self.errors:
            self.errors += [f"the event was refused: {why}" for why in self._refusals]
        errors = list(dict.fromkeys(self.errors))
        if len(errors) > _MOST_ERRORS:
            errors[_MOST_ERRORS:] = [f"and {len(errors) - _MOST_ERRORS} more"]
        line = self.log(
            "run_finished",
            warns=self._troubled,
            counts={name: self.counts[name] for name in _COUNTS},
            policies={name: dict(counts) for name, counts in self._policies.items()},
            calls=dict(sorted(self._calls.items())),
            duration_ms=duration,
            partial=self.partial,
            unmatched=self.unmatched,
            errors=errors,
        )
        return {**line, "tasks": self.tasks}

    def _count(self, policy: str, outcome: str, number: int = 1) -> None:
        self.counts[outcome] += number
        self._policies[policy][outcome] += number

    def _skipped(self, policy: str, shown: Sequence[Evaluation], number: int, more: dict[str, Any]) -> None:
        """Count *number* due tasks that were left alone; only those *shown* are known one by one."""
        if number:
            self._count(policy, "skipped", number)
            for one in shown:
                self.log_task("skipped", one, **more)
                self._collect("skipped", one, more)
            self.log.omit("skipped", policy, number - len(shown))

    def _collect(self, event: str, due: Evaluation, more: dict[str, Any]) -> None:
        if len(self.tasks) < self._shown:
            task = due.task
            first = task.events[0].at if task.events and task.events[0].status == "Enqueued" else None
            identity = {"task_request_id": task.request_id, "first_enqueue_ms": first}
            self.tasks.append(encodable({"event": event, **self._fields(due), **identity, **more}))

    def _fields(self, one: Evaluation) -> dict[str, Any]:
        task, verdict, over = one.task, one.verdict, one.verdict.by.over
        return {
            **place_fields(task.function),
            "invocation_id": task.invocation_id,
            "status": task.status,
            "policy": verdict.policy,
            "reason": verdict.reason,
            **verdict.by.fields(),
            "also": verdict.also,
            "new": over is not None and 0 < over < 2 * self._interval,
        }


def place_fields(function: Function) -> dict[str, Any]:
    """The fields that say where a task is; `service` is null in FC 3.0."""
    return {"service": function.service, "function": function.name, "qualifier": function.qualifier}


def _refusal(error: CloudError | None) -> dict[str, Any]:
    """The fields that say how the cloud refused; none where it did not."""
    if error is None:
        return {}
    code, request_id = error.error_code, error.fc_request_id
    fields = {"http_status": error.http_status, "error_code": code, "fc_request_id": request_id}
    return {**fields, "error": error.detail}


def _more(outcome: Outcome) -> dict[str, Any]:
    unclear = outcome.unclear if outcome.name == "failed" and outcome.unclear else None
    more = {"why": outcome.why, "detail": outcome.detail, "unclear": unclear}
    return {name: value for name, value in more.items() if value is not None}
