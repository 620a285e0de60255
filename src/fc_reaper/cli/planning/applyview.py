"""What `fc-reaper apply` tells: a table of what became of each planned task, and sentences about the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from threading import Event

from fc_reaper.cli.hints import advice_for
from fc_reaper.cli.output import (
    counted,
    print_error,
    print_line,
    printable,
    short,
    show,
    table,
)
from fc_reaper.cli.planning.outcomes import (
    NOT_BEGUN,
    OPEN,
    STOPPED_NOW,
    WORDS,
    Became,
    as_json,
    counted_outcomes,
    in_order,
)
from fc_reaper.cli.planning.planview import refusal
from fc_reaper.cli.planning.withholding import NOT_COMPLETE, WAS_HALTED
from fc_reaper.log import Lines
from fc_reaper.models import Exit
from fc_reaper.run import RunResult

KEPT_LINES = ("list_failed", "halted", "budget_spent", "not_approved", "stop_failed")
"""The log lines of a run that are told in other words."""

_ROWS = 50
"""Tasks of one outcome that are shown; the rest is counted."""


def tell_nothing(became: Sequence[Became], *, json_wanted: bool) -> None:
    """Say that nothing was done, since none of the planned tasks may be stopped."""
    if json_wanted:
        print_line(
            json.dumps({"outcomes": counted_outcomes(became), "tasks": [as_json(one) for one in became]})
        )
        return
    if became:
        _show_table(became)
        print_line("No task of the plan may be stopped: nothing was done.")
    else:
        print_line("The plan names no task to stop: nothing was done.")


def tell(
    became: Sequence[Became],
    finished: RunResult,
    lines: Lines,
    fault: str | None,
    interrupted: Event,
    *,
    json_wanted: bool,
) -> None:
    """What became of the tasks on standard output, what stood in the way on standard error."""
    begun = finished.exit not in (Exit.REFUSED, Exit.UNREACHABLE)
    if json_wanted:
        whole = {**finished.result.fields(), "outcomes": counted_outcomes(became)}
        print_line(json.dumps({**whole, "tasks": [as_json(one) for one in became]}))
    elif begun:
        _show(became, lines, interrupted)
    print_error(*finished.result.errors)
    print_error(*_advice(finished, lines))
    if fault is not None:
        print_error(f"the log could not be written to its end: {fault}")


def _advice(finished: RunResult, lines: Lines) -> list[str]:
    """What to check; that one of many tasks could not be stopped says nothing about the keys."""
    if finished.exit is not Exit.UNREACHABLE:
        return advice_for(lines.of("list_failed"))
    failures = [line for line in (*lines.of("list_failed"), *lines.of("stop_failed")) if line.error]
    different = {line.error_code: printable(refusal(line)) for line in failures}
    return [*different.values(), *advice_for(failures)]


def _show_table(became: Sequence[Became]) -> None:
    by_outcome = in_order(became)
    rows = [_row(one) for group in by_outcome.values() for one in group[:_ROWS]]
    show(table(("task", "function", "what became of it", "why"), rows), "")
    for outcome, group in by_outcome.items():
        if len(group) > _ROWS:
            more = len(group) - _ROWS
            show(f"... and {more} more: {WORDS[outcome]}; --json has them all")
    show(_summary(by_outcome, len(became)))


def _show(became: Sequence[Became], lines: Lines, interrupted: Event) -> None:
    _show_table(became)
    for line in lines.of("halted"):
        show(f"{printable(line.policy)} is halted: {printable(line.why)}.")
    for line in lines.of("budget_spent"):
        if line.why:
            show(f"{printable(line.policy)}: {line.allowed} at this time, {printable(line.why)}.")
    for line in lines.of("not_approved"):
        show(f"{printable(line.policy)} is not approved: {printable(line.why)}.")
    if interrupted.is_set():
        left = sum(one.outcome == NOT_BEGUN for one in became)
        show(f"Interrupted: {counted(left, 'task')} not begun.")
    if any(one.outcome in OPEN and one.why not in (WAS_HALTED, NOT_COMPLETE) for one in became):
        show("Run the same command again to go on; what is stopped already counts as done.")


def _row(became: Became) -> tuple[str, ...]:
    service, function, qualifier = became.task.function
    words = WORDS[became.outcome]
    return became.task.invocation_id, short(service, function, qualifier), words, printable(became.why)


def _summary(by_outcome: Mapping[str, Sequence[Became]], total: int) -> str:
    stopped = by_outcome[STOPPED_NOW]
    proven = sum(bool(one.proven) for one in stopped)
    parts = [f"{len(stopped)} stopped ({proven} confirmed)" if stopped else "none stopped"]
    parts += [f"{len(group)} {WORDS[outcome]}" for outcome, group in by_outcome.items()
              if group and outcome != STOPPED_NOW]  # fmt: skip
    return f"Of {counted(total, 'planned task')}: {', '.join(parts)}."
