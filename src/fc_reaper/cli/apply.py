"""`fc-reaper apply`: stop the tasks of a plan that are still due."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from rich.table import Table
from typer import Argument, Option

from fc_reaper.cli import output
from fc_reaper.cli.app import AsJson, Cloud, Enforce, PolicyOption, environment, parse_length, with_cloud
from fc_reaper.cli.incident import load_incident
from fc_reaper.cli.invoke import run_local
from fc_reaper.cli.output import CommandError, counted, short
from fc_reaper.cli.plan import ALL, WORDS, notices
from fc_reaper.cli.planfile import Plan, PlannedTask, read_plan, refuse_unfit, whereabouts
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.log import Fields
from fc_reaper.log_lines import Lines, TaskLine
from fc_reaper.models import STOPPED, STOPPING, Exit, TaskKey
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.result import KEEP
from fc_reaper.run import PlannedRun, RunResult
from fc_reaper.settings import Context, read_policy, read_settings
from fc_reaper.sweep.executor import REPLACED

_Number = int | None

_IDENTITY = {"service", "function", "qualifier", "invocation_id", "policy", "rule"}

# What may become of a planned task; `unclear`: a stop may have been sent, and may have taken effect.
Became = Literal[
    "stopped", "stopped_before", "ended", "not_due", "replaced", "not_found", "failed", "unclear",
    "waiting", "not_begun", "would_stop",
]  # fmt: skip
_LEFT = ("waiting", "not_begun", "failed", "unclear")

_BECAME: Mapping[str, Became] = {  # by the word of a log line; every other word is a failure
    "confirmed": "stopped", "accepted": "stopped", "would_stop": "would_stop", "ended": "ended",
    "unclear": "unclear", "spared": "not_due", "budget": "waiting", "halted": "waiting",
    "margin": "not_begun", "interrupted": "not_begun",
}  # fmt: skip


@with_cloud
def apply(
    plan_file: Annotated[str, Argument(metavar="PLAN", help="File written by plan --out; - is stdin.")],
    policy: PolicyOption = None,
    cloud: Cloud = None,
    enforce: Enforce = None,
    max_age: Annotated[str, Option(metavar="TIME", help="Refuse an older plan.")] = "1h",
    most: Annotated[_Number, Option("--max", metavar="N", min=1, help="At most N; lowers budgets.")] = None,
    log: Annotated[str | None, Option(metavar="FILE", help="Append the JSON log lines to this file.")] = None,
    as_json: AsJson = False,
) -> int:
    """Stop the tasks of a plan that are still due, and no others.

    Each task is read again right before its stop. A plan is refused if it was changed, is for another account
    or region, was made of another policy, or is too old. Safe to interrupt and to run again: what is stopped
    already counts as done.

    \b
    Example:
      fc-reaper apply plan.json --enforce
    """
    if enforce is None:
        again = output.as_typed("apply", plan_file, "--enforce")
        raise CommandError(f"apply stops tasks, so it needs --enforce: {again}")
    oldest, plan = parse_length("--max-age", max_age), read_plan(plan_file)
    env = environment(policy=policy, enforce=enforce, **cloud)
    settings = read_settings(env, Context())
    incident = load_incident("\n".join(plan.policy.text), settings, env) if plan.policy.text else None
    file = incident or read_policy(settings)
    refuse_unfit(plan, file, whereabouts(settings), now=SYSTEM_CLOCK.now(), max_age=oldest)
    held, reasons = plan.held(file), {policy.name: policy.reason for policy in file.policies}
    planned = [task.evaluation(reasons[task.policy]) for task in plan.tasks if task.key not in held]
    with output.interruptible() as interrupted:  # also while the outcomes are printed
        run = PlannedRun(file, planned, most)
        finished, lines, fault = _carry_out(run, env, log, incident, interrupted.is_set)
        outcomes = list(_outcomes(plan, held, finished, lines))
        tables = list(_tables(outcomes, held, lines, interrupted=interrupted.is_set()))
        try:
            if as_json:
                totals = Counter(one["outcome"] for one in outcomes)
                output.print_json({**finished.fields, "outcomes": totals, "tasks": outcomes})
            elif finished.exit not in (Exit.REFUSED, Exit.UNREACHABLE):
                output.show(*tables)
        except CommandError:  # standard output cannot be written
            output.show(*tables, stream=sys.stderr)
            raise
    # That one task could not be stopped says nothing about the keys.
    unreachable = finished.exit is Exit.UNREACHABLE
    refused = [one for one in lines if unreachable and isinstance(one, TaskLine) and one.error]
    output.print_error(*finished.result.errors, *map(output.refusal, refused[:1]))
    output.print_error(*output.advice_for([*refused, *lines.of("list_failed")]))
    if fault is not None:
        output.print_error(f"the log could not be written to its end: {fault}")
    left = fault is not None or any(one["outcome"] in ("waiting", "unclear") for one in outcomes)
    return finished.exit or (Exit.ATTENTION if left else Exit.DONE)


def _carry_out(
    planned_run: PlannedRun,
    env: Mapping[str, str],
    log: str | None,
    incident: PolicyFile | None,
    interrupted: Callable[[], bool],
) -> tuple[RunResult, Lines, str | None]:
    """Stop what is still due, and append the log to the file *log*, which is opened before that.

    The text says why the log could not be written.
    """
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        file = open(os.open(log or os.devnull, flags, 0o600), "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise CommandError(f"--log {log}: {error.strerror or error}") from None
    lines, stream = Lines(), output.LogStream(file)
    refused: list[bool] = []

    def listen(fields: Fields) -> None:
        lines(fields)
        line = lines[-1]
        if isinstance(line, TaskLine):
            step(line.event != "accepted")  # another line about it follows
            if line.why not in ("budget", "halted", "margin", "interrupted"):
                refused.append(bool(line.error) and not line.unclear and line.http_status in (None, 401, 403))

    with file, output.progress("Stopping", len(planned_run.planned)) as step:
        finished = run_local(
            b"{}",
            {**env, "REAPER_LOG_TASKS": str(ALL)},
            stream,
            timeout=86_400.0,  # people interrupt it sooner
            listener=listen,
            shown=ALL,
            # It is pointless to go on if the cloud has answered for none of so many tasks.
            interrupted=lambda: interrupted() or (len(refused) >= 20 and all(refused)),
            planned_run=planned_run,
            approved=incident,
        )
    if refused and all(refused):
        finished = finished._replace(exit=Exit.UNREACHABLE)
    return finished, lines, stream.fault


def _outcomes(
    plan: Plan, held: Mapping[TaskKey, str], finished: RunResult, lines: Lines
) -> Iterator[dict[str, Any]]:
    """What became of each task, as --json shows it."""
    unapproved = {one.policy: one.why for one in lines.of("not_approved")}
    last = {line.key: line for line in lines if isinstance(line, TaskLine)}
    for task in plan.tasks:
        line, became, why = last.get(task.key), _BECAME["margin"], WORDS["margin"]
        if task.key in held:
            became, why = "not_due" if task.fate == "spared" else "waiting", held[task.key]
        elif task.policy in unapproved:
            became, why = "waiting", f"{task.policy} is not approved: {unapproved[task.policy]}"
        elif line is not None:
            became, why = _became(task, line)
        elif task.rule == KEEP and not finished.result.partial:
            became, why = "not_due", "it is gone, or replaced, or within `keep` by now"
        confirmed = line is not None and line.event == "confirmed" if became == "stopped" else None
        yield {**task.model_dump(include=_IDENTITY), "outcome": became, "confirmed": confirmed, "why": why}


def _became(task: PlannedTask, line: TaskLine) -> tuple[Became, str]:
    """Outcome and reason of a task that a run came to; *line* is the last one about it."""
    if line.http_status == 404 and line.error_code.endswith("NotFound"):
        return "not_found", f"HTTP 404, {line.error_code}"
    if line.why == "spared" and line.detail == REPLACED:
        return "replaced", line.detail
    asked_before = line.why == "spared" and line.status == STOPPING != task.status
    if asked_before or (line.event == "ended" and line.status == STOPPED):
        return "stopped_before", f"it is {line.status} already"
    word = "unclear" if line.unclear else line.why or line.event
    said = ": ".join(filter(None, (line.detail, line.error))) or WORDS.get(word)
    return _BECAME.get(word, "failed"), said or (f"it is {line.status}" if word in _BECAME else word)


def _tables(
    outcomes: Sequence[Mapping[str, Any]], held: Mapping[TaskKey, str], lines: Lines, *, interrupted: bool
) -> Iterator[Table | str]:
    words = {one: one.replace("_", " ") for one in get_args(Became)}
    words |= {"would_stop": "would be stopped"}
    ordered = sorted(outcomes, key=lambda one: list(words).index(one["outcome"]))
    counts = Counter(one["outcome"] for one in ordered)
    if outcomes:
        rows = [
            (one["invocation_id"], short(one["service"], one["function"], one["qualifier"]),
             words[one["outcome"]], one["why"])
            for one in ordered
        ]  # fmt: skip
        yield from (output.table(("task", "function", "what became of it", "why"), rows), "")
        words["stopped"] = f"stopped ({len(lines.of('confirmed'))} confirmed)"
        became = ", ".join(f"{count:,} {words[name]}" for name, count in counts.items())
        yield f"Of {counted(len(outcomes), 'planned task')}: {became}."
    if len(held) == len(outcomes):
        yield "Nothing was done: no task of the plan may be stopped."
    elif lines and lines[0].mode == "dry-run":
        yield "This was a dry run; nothing was touched."
    yield from notices(lines, budgets=False)
    if interrupted:
        yield f"Interrupted: {counted(counts['not_begun'], 'task')} not begun."
    if counts["unclear"]:
        yield f"{counted(counts['unclear'], 'task')} may have been stopped all the same."
    if any(one["outcome"] in _LEFT and one["why"] not in held.values() for one in outcomes):
        yield "Run the same command again to go on; what is stopped already counts as done."
