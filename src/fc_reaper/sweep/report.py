"""What a run comes to: the one object that counts, logs and collects the result.

Each listed task is counted once, and each due one gets one outcome:
listed = kept + exempt + unknown + reported + due
due = would_stop + confirmed + accepted + ended + skipped + failed
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from fc_reaper.errors import CloudError
from fc_reaper.evaluator.select import Selection
from fc_reaper.evaluator.verdict import Evaluation, Kind, Verdict
from fc_reaper.events import Note
from fc_reaper.log import (
    HeldBack,
    JsonLog,
    LinesOmitted,
    ListFailed,
    Result,
    ResultTask,
    RunFinished,
    TaskLine,
    TriggerNote,
)
from fc_reaper.models import Exit, Function, Millis
from fc_reaper.settings import Settings

HELD_OUT = "holdout spares its share of the tasks"
"""The detail of a due task that is spared for good, so that false stops can be measured."""

OUTCOMES = ("would_stop", "confirmed", "accepted", "ended", "skipped", "failed")

_MOST_ERRORS = 20


class Outcome(NamedTuple):
    """What became of one due task.

    `name` is one of OUTCOMES; or unclear, which only the task's own status can settle. `due` is the task as
    last read, with the verdict that made it due. `why` is one constant word for a skipped task, `detail` says
    more in words, `error` is the refusal that a failure ended with.
    """

    name: str
    due: Evaluation
    why: str | None = None
    detail: str | None = None
    error: CloudError | None = None


class Report:
    """Counts and logs what happens in a run; *settings* are None where they cannot be read.

    `tasks` holds the first *shown* due tasks. `incomplete` are functions of which not all tasks were seen,
    `undiscovered` the policies whose functions could not be listed, `unmatched` the targets that stand for
    no function. `served` counts the requests of the event that were followed, `unresolved` those that could
    not be for want of answers.
    """

    def __init__(self, log: JsonLog, settings: Settings | None, *, shown: int) -> None:
        self.log = log
        self.exit = Exit.DONE
        self.functions = self.stuck = self.served = self.unresolved = 0
        self.partial = self.limited = self.answered = False
        self.errors: list[str] = []
        self.tasks: list[ResultTask] = []
        self.incomplete: set[Function] = set()
        self.undiscovered: set[str] = set()
        self.unmatched: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self._listed: Counter[Kind] = Counter()
        self._policies: dict[str, Counter[str]] = {}
        self._calls: Counter[str] = Counter()
        self._failures: list[CloudError] = []
        self._troubles: list[str] = []
        self._refusals: list[str] = []
        self._refused_requests = 0
        self._not_listed: set[Function] = set()
        self._shown = shown
        self._log_tasks = settings.log_tasks if settings else 0
        self._interval = settings.interval if settings else 0
        self._lines: Counter[str | None] = Counter()
        self._admitted: set[tuple[Function, str]] = set()

    # What the run was asked.

    def notes(self, notes: Iterable[Note]) -> None:
        """Log the parts of the event that ask for nothing."""
        for one in notes:
            self.note(*one)

    def note(self, event: str, why: str, part: str) -> None:
        """Log what becomes of a part of the event that starts nothing."""
        self.log(TriggerNote, event, why=why, part=part)
        if event == "trigger_refused":
            self._refusals.append(why)

    def refuse(self, why: str, part: str) -> None:
        """Log a request of the event that cannot be followed, whatever the cloud answers."""
        self._refused_requests += 1
        self.note("trigger_refused", why, part)

    # What the cloud answered.

    def called(self, operation: str) -> None:
        """Count a call to the cloud."""
        self._calls[operation] += 1

    def failed(self, place: object, error: CloudError) -> None:
        """Note that something about *place* could not be learnt from the cloud."""
        self._failures.append(error)
        self._troubles.append(f"{place}: {error}")

    def not_listed(self, function: Function, error: CloudError, status: str | None) -> None:
        """Note that the tasks of *function* could not be listed to their end; logged once a function."""
        self.failed(function, error)
        # The cloud's own word that there is no such function means that nothing there is due.
        if not error.missing:
            self.incomplete.add(function)
        if function not in self._not_listed:
            self._not_listed.add(function)
            self.log_refusal(function.service, function.name, function.qualifier, status, error)

    def log_refusal(
        self, service: str | None, function: str, qualifier: str, status: str | None, error: CloudError
    ) -> None:
        """Log that a list was refused."""
        place = {"service": service, "function": function, "qualifier": qualifier}
        self.log(ListFailed, "list_failed", **place, status=status, **_refusal(error))

    # What became of tasks.

    def evaluated(self, verdict: Verdict) -> None:
        """Count a listed task by its verdict."""
        self._listed[verdict.kind] += 1
        if verdict.policy is not None and verdict.kind is not Kind.KEPT:
            self._of(verdict.policy)[verdict.kind.value] += 1

    def unwanted(self, policy: str, number: int) -> None:
        """Take back what was counted of due tasks that were listed twice, or are not this run's business."""
        if number:
            self._listed[Kind.DUE] -= number
            self._of(policy)[Kind.DUE.value] -= number

    def log_verdict(self, one: Evaluation) -> None:
        """Log a task that is not due: whether it is reported or unknown, and at DEBUG why it is kept."""
        if one.verdict.kind in (Kind.REPORTED, Kind.UNKNOWN):
            self._task(one.verdict.kind.value, one, {})
        elif self.log.verbose:
            self.log(TaskLine, one.verdict.kind.value, **self._fields(one))

    def unread(self, one: Evaluation, error: CloudError | None) -> None:
        """Count and log a task that could not be read."""
        if error is not None:
            self.failed(one.task.function, error)
            self.incomplete.add(one.task.function)
        self.evaluated(one.verdict)
        self._task("unknown", one, _refusal(error))

    def is_stuck(self, one: Evaluation) -> None:
        """Count and log a task that was asked to stop long ago."""
        self.stuck += 1
        self._task("stuck", one, {})

    def accepted(self, outcome: Outcome) -> None:
        """Log a stop that was accepted; it is counted when it has been verified or not."""
        self._task("accepted", outcome.due, _more(outcome))

    def settled(self, outcome: Outcome, *, logged: bool = False) -> None:
        """Count and collect a due task by its final outcome; log it unless it was *logged* as accepted."""
        self._count(outcome.due.verdict.policy or "", outcome.name)
        self.partial = self.partial or outcome.why == "margin"
        self.limited = self.limited or outcome.why in ("clock", "unproven")
        event = "stop_failed" if outcome.name == "failed" else outcome.name
        self._settle(
            event,
            outcome.due,
            {**_more(outcome), **_refusal(outcome.error)},
            silent=logged and outcome.name == "accepted" and outcome.why is None,
        )

    def held_back(self, choice: Selection, tried: int) -> None:
        """Report the due tasks of which *tried* were tried and the rest was left alone."""
        name, halted = choice.policy.name, choice.halted
        held = {"why": "spared", "detail": HELD_OUT}
        self._skipped(name, choice.held_out_tasks, choice.held_out, held)
        waiting = choice.due - choice.held_out - tried
        if waiting:
            self.limited = True
            allowed = choice.allowed.most if halted is None else choice.policy.halt_over or 0
            self.log(
                HeldBack,
                "budget_spent" if halted is None else "halted",
                policy=name,
                due=choice.due,
                allowed=allowed,
                why=halted or choice.allowed.why,
            )
            left = (*choice.selected, *choice.waiting)[tried:]
            self._skipped(name, left, waiting, {"why": "budget" if halted is None else "halted"})

    # What it comes to.

    def concluded(self) -> None:
        """Settle how a run ends that came to its end."""
        self.errors += self._troubles
        failed, missing = bool(self._failures), any(one.missing for one in self._failures)
        if failed and not self.answered and not missing:
            self.exit = Exit.UNREACHABLE
        elif self._refused_requests and not self.served and not self.unresolved:
            self.exit = Exit.REFUSED
        elif self.partial or self.limited or failed or self.stuck or self.outcomes["failed"]:
            self.exit = Exit.ATTENTION

    @property
    def room(self) -> int:
        """How many due tasks of a policy beyond its budget are logged or shown one by one."""
        return max(self._log_tasks, self._shown)

    @property
    def curable(self) -> bool:
        """Whether the run did nothing, and only because of what may be gone the next time."""
        in_vain = self.exit is Exit.UNREACHABLE or self.unresolved > 0
        touched = self.outcomes["accepted"] or self.outcomes["confirmed"]
        return in_vain and not touched and bool(self._failures) and all(e.retryable for e in self._failures)

    def omitted(self) -> None:
        """Log how many task lines were left out, policy by policy."""
        for policy, lines in self._lines.items():
            if lines > self._log_tasks:
                self.log(LinesOmitted, "lines_omitted", policy=policy, due=lines, allowed=self._log_tasks)

    def finish(self, duration: Millis) -> Result:
        """Log the last line of the run, and return it with the due tasks."""
        if self.exit is Exit.REFUSED and not self.errors:
            self.errors += [f"the event was refused: {why}" for why in self._refusals]
        errors = list(dict.fromkeys(self.errors))
        if len(errors) > _MOST_ERRORS:
            errors[_MOST_ERRORS:] = [f"and {len(errors) - _MOST_ERRORS} more"]
        kinds = {kind.value: self._listed[kind] for kind in Kind}
        outcomes = {outcome: self.outcomes[outcome] for outcome in OUTCOMES}
        line = self.log(
            RunFinished,
            "run_finished",
            counts={
                "functions": self.functions,
                "listed": sum(kinds.values()),
                **kinds,
                **outcomes,
                "stuck": self.stuck,
            },
            policies={name: dict(counts) for name, counts in self._policies.items()},
            calls=dict(sorted(self._calls.items())),
            duration_ms=duration,
            partial=self.partial,
            unmatched=self.unmatched,
            errors=errors,
        )
        return Result(**line.fields(), tasks=self.tasks)

    def _of(self, policy: str) -> Counter[str]:
        return self._policies.setdefault(policy, Counter())

    def _count(self, policy: str, outcome: str, number: int = 1) -> None:
        self.outcomes[outcome] += number
        self._of(policy)[outcome] += number

    def _skipped(self, policy: str, shown: tuple[Evaluation, ...], number: int, more: dict[str, Any]) -> None:
        """Count *number* due tasks that were left alone; only those *shown* are known one by one."""
        if number == 0:
            return
        self._count(policy, "skipped", number)
        for one in shown:
            self._settle("skipped", one, more)
        self._lines[policy] += number - len(shown)

    def _settle(self, event: str, due: Evaluation, more: dict[str, Any], *, silent: bool = False) -> None:
        if not silent:
            self._task(event, due, more)
        if len(self.tasks) < self._shown:
            task = due.task
            first = task.events[0].at if task.events and task.events[0].status == "Enqueued" else None
            identity = {"task_request_id": task.request_id, "first_enqueue_ms": first}
            fields = {"event": event, **self._fields(due), **identity, **more}
            self.tasks.append(ResultTask.model_validate(fields))

    def _task(self, event: str, one: Evaluation, more: dict[str, Any]) -> None:
        """Log a line about a task, unless its policy has had its lines.

        A task that had its first line gets its later ones too, so that no story ends in the middle.
        """
        policy, key = one.verdict.policy, (one.task.function, one.task.invocation_id)
        if key not in self._admitted:
            self._lines[policy] += 1
            if self._lines[policy] > self._log_tasks:
                return
            self._admitted.add(key)
        self.log(TaskLine, event, **self._fields(one), **more)

    def _fields(self, one: Evaluation) -> dict[str, Any]:
        task, verdict, over = one.task, one.verdict, one.verdict.over
        return {
            "service": task.function.service,
            "function": task.function.name,
            "qualifier": task.function.qualifier,
            "invocation_id": task.invocation_id,
            "status": task.status,
            "policy": verdict.policy,
            "rule": verdict.rule,
            "reason": verdict.reason,
            "age_s": None if verdict.age is None else verdict.age / 1000,
            "limit_s": None if verdict.limit is None else verdict.limit / 1000,
            "over_s": None if over is None else over / 1000,
            "clock": verdict.clock,
            "also": verdict.also,
            "new": over is not None and 0 < over < 2 * self._interval,
        }


def _refusal(error: CloudError | None) -> dict[str, Any]:
    """The fields that say how the cloud refused; none where it did not."""
    if error is None:
        return {}
    return {
        "http_status": error.http_status,
        "error_code": error.error_code,
        "fc_request_id": error.fc_request_id,
        "error": error.detail,
    }


def _more(outcome: Outcome) -> dict[str, Any]:
    why = {} if outcome.why is None or outcome.name != "skipped" else {"why": outcome.why}
    return why if outcome.detail is None else {**why, "detail": outcome.detail}


def place_fields(function: Function) -> dict[str, str | None]:
    """The fields that say where a task is; `service` is null in 3.0."""
    return {"service": function.service, "function": function.name, "qualifier": function.qualifier}
