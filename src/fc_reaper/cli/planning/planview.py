"""What `fc-reaper plan` shows people: tables of the due tasks, and sentences about the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.table import Table
from rich.text import Text

from fc_reaper.cli.output import (
    BAD,
    SOFT,
    STRONG,
    counted,
    format_seconds,
    printable,
    short,
    show,
    table,
)
from fc_reaper.log import Lines, ListFailed, Result, ResultTask, TaskLine
from fc_reaper.policy import Policy
from fc_reaper.run import RunResult
from fc_reaper.sweep.report import HELD_OUT

KEPT_LINES = (
    *("run_started", "list_failed", "reported", "unknown", "stuck", "halted", "budget_spent", "not_approved"),
    *("trigger_ignored", "trigger_refused", "trigger_unrecognised"),
)
"""The log lines of a run that are shown in other words."""

_LONGEST = 160
"""Characters of the cloud's own words that are shown."""

_ASIDE = 20
"""Tasks that are shown although they are not due; the rest is counted."""

_SKIPPED = {
    "budget": "beyond the budget",
    "halted": "halted",
    "spared": "no longer due",
    "margin": "no time left",
    "clock": "clocks differ",
}
_ASIDE_WORDS = {"reported": "only reported", "unknown": "unknown, kept", "stuck": "STUCK"}


def show_plan(finished: RunResult, lines: Lines, asleep: Iterable[Policy]) -> None:
    """Every due task by policy, who is not to be stopped and yet to be known, and the counts."""
    result = finished.result
    for policy, tasks in _by_policy(result.tasks).items():
        show(Text.assemble((policy, STRONG), f": {printable(tasks[0].reason)}"), _due(tasks), "")
    aside = [line for line in lines if line.event in _ASIDE_WORDS]
    if aside:
        show("Not to be stopped, but to be known:", _aside(aside[:_ASIDE]))
        if len(aside) > _ASIDE:
            show(f"... and {len(aside) - _ASIDE} more; fc-reaper invoke --dry-run logs them")
        show("")
    show(*_sentences(result, lines))
    for one in asleep:
        show(f"{one.name} was not asked: only {' or '.join(one.triggers)} runs it.")
    show("This was a dry run; nothing was touched.")


def _by_policy(tasks: Iterable[ResultTask]) -> dict[str, list[ResultTask]]:
    """The due tasks of each policy, most overdue first."""
    grouped: dict[str, list[ResultTask]] = {}
    for task in sorted(tasks, key=lambda task: (-(task.over_s or 0), task.invocation_id)):
        grouped.setdefault(task.policy or "", []).append(task)
    return grouped


def _due(tasks: list[ResultTask]) -> Table:
    rows = [
        (
            task.invocation_id,
            _place(task),
            task.rule or "-",
            format_seconds(task.age_s),
            format_seconds(task.limit_s),
            format_seconds(task.over_s),
            _fate(task),
        )
        for task in tasks
    ]
    heads = ("task", "function", "rule", "age", "limit", "over", "what happens")
    return table(heads, rows, right=("age", "limit", "over"))


def _fate(task: ResultTask) -> Text:
    if task.event == "would_stop":
        return Text("would stop", STRONG)
    if task.event == "ended":
        return Text("ended meanwhile", SOFT)
    if task.event == "skipped":
        heldout = task.detail == HELD_OUT
        return Text("spared by holdout" if heldout else _SKIPPED.get(task.why or "", task.why or ""), SOFT)
    return Text(printable(f"{task.detail or 'failed'}: {task.error_code}"), BAD)


def _aside(lines: list[TaskLine]) -> Table:
    rows = [
        (
            line.invocation_id,
            _place(line),
            line.policy or "-",
            format_seconds(line.age_s),
            f"{_ASIDE_WORDS[line.event]}: {printable(line.reason)}",
        )
        for line in lines
    ]
    return table(("task", "function", "policy", "age", "what happens"), rows, right=("age",))


def _place(line: ResultTask | TaskLine | ListFailed) -> str:
    return short(line.service, line.function, line.qualifier)


def _sentences(result: Result, lines: Lines) -> Iterator[str]:
    counts = result.counts.fields()
    listed = f"{counted(counts['listed'], 'task')} listed in {counted(counts['functions'], 'function')}"
    rest = [f"{counts[name]} {name}" for name in ("kept", "exempt", "reported", "unknown") if counts[name]]
    kept = ", ".join(rest) or "none kept"
    if counts["due"]:
        yield f"{counts['due']} due of {listed}: {', '.join(_fates(counts))}. The others: {kept}."
    else:
        yield f"Nothing is due: {listed}, {kept}."
    if counts["stuck"]:
        yield f"{counted(counts['stuck'], 'task')} asked to stop long ago, and still Stopping."
    for line in lines.of("halted"):
        yield f"{line.policy} is halted: {printable(line.why)}."
    for line in lines.of("budget_spent"):
        allowed = f"its budget is {line.allowed}/run"
        if line.why:
            allowed = f"{line.allowed} may be stopped now ({printable(line.why)})"
        due = "1 is due" if line.due == 1 else f"{line.due} are due"
        yield f"{line.policy}: {due}, {allowed}; the rest waits."
    for line in lines.of("not_approved"):
        yield f"{line.policy} is not approved, so it only reports: {printable(line.why)}."
    yield from (f"{line.event}: {printable(line.why)}." for line in lines if "trigger_" in line.event)
    if result.unmatched:
        yield f"Targets that stand for no function in task mode: {printable(', '.join(result.unmatched))}."
    if result.partial:
        yield "The run ended early: not everything was looked at."


def _fates(counts: Mapping[str, int]) -> Iterator[str]:
    words = {"would_stop": "would be stopped", "ended": "ended meanwhile", "skipped": "held back",
             "failed": "failed"}  # fmt: skip
    return (f"{counts[name]} {said}" for name, said in words.items() if counts[name])


def not_listed(failures: Iterable[ListFailed]) -> Iterator[str]:
    """A line for each function that could not be listed."""
    for line in failures:
        yield printable(f"not listed: {_place(line)}: {refusal(line)}")


def refusal(line: ListFailed | TaskLine) -> str:
    """How the cloud refused, or that it did not answer, in one line."""
    status = "no answer" if line.http_status is None else f"HTTP {line.http_status}"
    request = f" (request {line.fc_request_id})" if line.fc_request_id else ""
    return f"{status}, {line.error_code}: {line.error[:_LONGEST]}{request}"
