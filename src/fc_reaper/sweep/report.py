"""The report of a run: the one object that counts, logs and collects the result.

Each listed task is counted once, and each due one gets one outcome:
listed = kept + exempt + unknown + reported + due
due = would_stop + confirmed + accepted + ended + skipped + failed
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from fc_reaper.errors import CloudError
from fc_reaper.evaluator.evaluate import Evaluation
from fc_reaper.evaluator.select import Selection
from fc_reaper.log import JsonLog, encodable
from fc_reaper.models import Exit, Function, Millis, Task
from fc_reaper.rules.result import Kind, Verdict
from fc_reaper.settings import Settings

HELD_OUT = "holdout spares its share of the tasks"
_COUNTS = (
    "functions", "listed", "kept", "exempt", "unknown", "reported", "due",
    "would_stop", "confirmed", "accepted", "ended", "skipped", "failed", "stuck",
)  # fmt: skip

# Why a task was skipped, where somebody should know: the run ends with 1.
_ATTENTION = ("clock", "denied", "unreadable", "interrupted")
_MOST_ERRORS = 20


Amounts = tuple[float, float, float]  # vCPU-seconds, GB-seconds, GB-seconds of GPU memory


def total(amounts: Sequence[Amounts | None]) -> dict[str, Any]:
    """The sums over the tasks of which all is known, None if only others are; `unknown` counts these."""
    known = [one for one in amounts if one is not None]
    sums = [round(sum(some), 3) for some in zip(*known, strict=True)] or [None if amounts else 0.0] * 3
    counts = {"tasks": len(amounts), "unknown": len(amounts) - len(known)}
    return {**counts, **dict(zip(("vcpu_s", "gb_s", "gpu_gb_s"), sums, strict=True))}


class Outcome(NamedTuple):
    """What became of one due task: would_stop, accepted, confirmed, ended, skipped or failed.

    `due` is the task as last read, with the verdict that made it due. `why` is a constant word, `error` the
    refusal that a failure ended with. `unclear`: nobody knows whether the stop took effect. `spent`: its
    place in the budget is gone, though it does not count as stopped.
    """

    name: str
    due: Evaluation
    why: str | None = None
    detail: str | None = None
    error: CloudError | None = None
    unclear: bool = False
    spent: bool = False

    @property
    def is_stop(self) -> bool:
        """Whether it was stopped, for all that is known, or would be in a dry run."""
        return self.name in ("would_stop", "accepted", "confirmed")

    @property
    def is_spent(self) -> bool:
        """Whether its place in the budget goes to no other task."""
        return self.is_stop or self.unclear or self.spent or self.why in ("margin", "interrupted")

    @property
    def fields(self) -> dict[str, Any]:
        """What a line says of it beside the task and its verdict."""
        more = {"why": self.why, "detail": self.detail, "unclear": self.unclear and self.name == "failed"}
        return {**{name: value for name, value in more.items() if value}, **refusal_fields(self.error)}


class Report:
    """Counts and logs what happens in a run.

    `tasks` holds the first *shown* due tasks. `incomplete` are functions of which not all tasks were seen,
    `unlisted` those of which a list failed, `unmatched` the targets that match no function. `served` counts
    the requests of the event that were followed, `unresolved` those that could not be for want of answers.
    """

    def __init__(self, log: JsonLog, settings: Settings, *, shown: int) -> None:
        self.log, self.settings, self.shown, self.exit = log, settings, shown, Exit.DONE
        self.served = self.unresolved = 0
        self.partial = self.answered = self._limited = self._troubled = False
        self.counts: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.errors: list[str] = []
        self.tasks: list[dict[str, Any]] = []
        self.unmatched: list[str] = []
        self.savings: defaultdict[str, list[Amounts | None]] = defaultdict(list)
        self.incomplete: set[Function] = set()
        self.unlisted: set[Function] = set()
        self._policies: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._failures: dict[str, CloudError] = {}
        self._refusals: list[str] = []
        self._unlogged: set[tuple[Function, str]] = set()

    def note(self, event: str, why: str, part: str) -> None:
        """Log what becomes of a part of the event that starts nothing, or of one that is not recognised."""
        self.log(event, why=why, part=part)
        if event == "trigger_refused":
            self._refusals.append(why)

    def failed(self, what: object, error: CloudError) -> None:
        """Note that something could not be learnt from the cloud."""
        self._failures[f"{what}: {error}"] = error
        self.partial |= error.out_of_time

    def not_listed(self, function: Function, status: str | None, error: CloudError, what: str = "") -> None:
        """Note that *function* could not be listed to its end; logged once a function."""
        self.failed(what or function, error)
        # The cloud's own word that there is no such function means that nothing there is due.
        if not error.missing:
            self.incomplete.add(function)
        if function not in self.unlisted:
            self.unlisted.add(function)
            self.log("list_failed", **function.fields(), status=status, **refusal_fields(error))

    def evaluated(self, verdict: Verdict, number: int = 1) -> None:
        """Count listed tasks by their verdict. A negative number takes back what was counted in vain."""
        kind = verdict.kind.value
        self.counts[kind] += number
        self.counts["listed"] += number
        if verdict.policy is not None and verdict.kind is not Kind.KEPT:
            self._policies[verdict.policy][kind] += number

    def log_task(self, event: str, one: Evaluation, **more: Any) -> None:
        """Log a line about a task, unless there are too many; none has a later line without `accepted`."""
        policy, key = one.verdict.policy, one.task.key
        if key in self._unlogged or self.log.is_full(event, policy):
            self.log.omit(event, policy)
            if event == "accepted":
                self._unlogged.add(key)
        else:
            self.log(event, **self._fields(one), **more)

    def settled(self, outcome: Outcome, *, logged: bool = False) -> None:
        """Count and collect a due task by its final outcome; log it unless it was *logged* as accepted."""
        self._count(outcome.due.verdict.policy or "", outcome.name)
        self.partial |= outcome.why == "margin"
        troubled = outcome.why in _ATTENTION
        self._troubled |= troubled
        event = "stop_failed" if outcome.name == "failed" else outcome.name
        if not logged or outcome.name != "accepted":
            self.log_task(event, outcome.due, warns=troubled, **outcome.fields)
        if len(self.tasks) < self.shown:
            task = outcome.due.task
            first = task.events[0].at if task.events and task.events[0].status == "Enqueued" else None
            fields = {"event": event, **self._fields(outcome.due), **outcome.fields}
            fields |= {"task_request_id": task.request_id, "first_enqueue_ms": first}
            self.tasks.append(encodable(fields))

    def held_back(self, selection: Selection, left: Sequence[Evaluation]) -> None:
        """Report the due tasks left alone, those of alerts first; those *left* are known one by one."""
        name, halted = selection.policy.name, selection.halted
        waiting = selection.due - selection.held_out - (len(selection.first) - len(left))
        if waiting:
            self._limited = True
            event = "budget_spent" if halted is None else "halted"
            allowed, why = selection.allowed if halted is None else (selection.policy.halt_over or 0, halted)
            self.log(event, policy=name, due=selection.due, allowed=allowed, why=why)
            self._skipped(name, left, waiting, "halted" if halted else "budget")
        self._skipped(name, selection.held_out_tasks, selection.held_out, "spared", HELD_OUT)

    def _skipped(
        self, policy: str, known: Sequence[Evaluation], number: int, why: str, detail: str | None = None
    ) -> None:
        """Report *number* due tasks that were left alone, of which some are *known* one by one."""
        for one in known:
            self.settled(Outcome("skipped", one, why, detail))
        if number > len(known):
            self._count(policy, "skipped", number - len(known))
            self.log.omit("skipped", policy, number - len(known))

    def _count(self, policy: str, outcome: str, number: int = 1) -> None:
        self.counts[outcome] += number
        self._policies[policy][outcome] += number

    def concluded(self) -> None:
        """Settle how a run ends that came to its end."""
        self.errors += self._failures
        self.partial |= any(one.error_code == "TimedOut" for one in self._failures.values())
        missing = any(one.missing for one in self._failures.values())
        trouble = self._failures or self._troubled or self.counts["stuck"] + self.counts["failed"]
        if self._failures and not self.answered and not missing:
            self.exit = Exit.UNREACHABLE
        elif self._refusals and not self.served and not self.unresolved:
            self.exit = Exit.REFUSED
        elif trouble or self.partial or self._limited:
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
        policies = {name: {**one, "saved": total(self.savings[name])} for name, one in self._policies.items()}
        line = self.log(
            "run_finished",
            warns=self._troubled,
            counts={name: self.counts[name] for name in _COUNTS},
            policies=policies,
            saved=total([one for some in self.savings.values() for one in some]),
            calls=dict(sorted(self.calls.items())),
            duration_ms=duration,
            partial=self.partial,
            unmatched=self.unmatched,
            errors=errors,
        )
        return {**line, "tasks": self.tasks}

    def _fields(self, one: Evaluation) -> dict[str, Any]:
        over = one.verdict.by.over
        new = over is not None and 0 < over < 2 * self.settings.interval
        return {**verdict_fields(one.task, one.verdict), "also": one.verdict.also, "new": new}


def verdict_fields(task: Task, verdict: Verdict) -> dict[str, Any]:
    """The fields about *task* and its *verdict* that plans have, too."""
    named = {name: getattr(task, name) for name in ("invocation_id", "status")}
    named |= {name: getattr(verdict, name) for name in ("policy", "reason", "owner")}
    return {**task.function.fields(), **named, **verdict.by.fields(), **verdict.spared_by}


def refusal_fields(error: CloudError | None) -> dict[str, Any]:
    """The fields that say how the cloud refused; none where it did not."""
    if error is None:
        return {}
    named = {name: getattr(error, name) for name in ("http_status", "error_code", "fc_request_id")}
    return {**named, "error": error.detail}
