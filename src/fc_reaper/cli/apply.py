"""`fc-reaper apply`: stop the tasks of a plan that are still due."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Event
from typing import Annotated, Any, Literal, NamedTuple, get_args

from rich.table import Table
from typer import Argument, Option

from fc_reaper.cli import output, planfile
from fc_reaper.cli.app import Api, AsJson, Endpoint, PolicyFile, environment, parse_length
from fc_reaper.cli.incident import load_incident
from fc_reaper.cli.invoke import run_local
from fc_reaper.cli.output import CommandError, counted
from fc_reaper.cli.plan import ALL, notices
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.log import Fields
from fc_reaper.log_lines import Lines, TaskKey, TaskLine
from fc_reaper.models import STOPPED, STOPPING, Exit
from fc_reaper.policy import PolicyFile as File
from fc_reaper.rules.result import KEEP
from fc_reaper.run import PlannedRun, RunResult
from fc_reaper.settings import Context, read_policy, read_settings
from fc_reaper.sweep.executor import REPLACED

_DAY = 86_400.0
"""Seconds that a plan may take; people interrupt it sooner."""

_GIVE_UP = 20
"""Tasks after which it is pointless to go on if the cloud has answered for none of them."""

_LEFT = ("waiting", "not_begun", "failed", "unclear")
_NOT_READ = ("replaced", "not_found", "unclear", "waiting", "not_begun")
_IDENTITY = {"service", "function", "qualifier", "invocation_id", "policy", "rule"}

Became = Literal[
    "stopped", "stopped_before", "ended", "not_due", "replaced", "not_found", "failed", "unclear",
    "waiting", "not_begun", "would_stop",
]  # fmt: skip
"""What may become of a planned task; `unclear`: a stop may have been sent, and may have taken effect."""

_BECAME: Mapping[str, tuple[Became, str]] = {
    "confirmed": ("stopped", "confirmed by reading it again"),
    "accepted": ("stopped", "accepted, and not seen Stopped yet"),
    "would_stop": ("would_stop", "it is still due"),
    "ended": ("ended", ""),
    "unclear": ("unclear", "a stop was sent, and whether it took effect is not known"),
    "spared": ("not_due", ""),
    "budget": ("waiting", "beyond the budget"),
    "halted": ("waiting", "the policy is halted"),
    "margin": ("not_begun", "the run ended before its turn"),
    "interrupted": ("not_begun", "the run was interrupted before its turn"),
}
"""Outcome and reason by the word of a log line; every other word is a failure."""


class Applied(NamedTuple):
    """A run over the planned tasks and its log; `fault` says why that could not be written.

    `finished` is None where no task may be stopped, or a second signal cut the run off.
    """

    finished: RunResult | None = None
    lines: Lines = Lines()
    interrupted: bool = False
    fault: str | None = None


class Outcome(NamedTuple):
    """What became of one planned task; `line` is the last log line about it, None where there is none."""

    task: planfile.PlannedTask
    became: Became
    why: str
    line: TaskLine | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """The outcome as JSON: with its status when it was last read, and whether it was seen Stopped."""
        known = self.task.model_dump(include=_IDENTITY)
        was_read = self.line is not None and self.became not in _NOT_READ
        confirmed = self.line and self.line.event == "confirmed" if self.became == "stopped" else None
        status = self.line.status if self.line and was_read else None
        return {**known, "outcome": self.became, "confirmed": confirmed, "status": status, "why": self.why}


def apply(
    plan_file: Annotated[
        str, Argument(metavar="PLAN", help="File written by plan --out; - reads standard input.")
    ],
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: Annotated[
        bool | None, Option("--enforce/--dry-run", help="Stop what is still due, or only show it.")
    ] = None,
    max_age: Annotated[
        str, Option("--max-age", metavar="TIME", show_default=False, help="Refuse an older plan; 1h.")
    ] = "1h",
    most: Annotated[
        int | None, Option("--max", metavar="N", min=1, help="Stop at most N tasks; lowers budgets.")
    ] = None,
    log: Annotated[
        str | None, Option("--log", metavar="FILE", help="Append the JSON log lines to this file.")
    ] = None,
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
    oldest = parse_length("--max-age", max_age)
    plan = planfile.read_plan(plan_file)
    env = environment(policy=policy, endpoint=endpoint, api_version=api_version, enforce=enforce)
    env["REAPER_LOG_TASKS"] = str(ALL)
    settings = read_settings(env, Context())
    incident = load_incident("\n".join(plan.policy.text), settings, env) if plan.policy.text else None
    file = incident or read_policy(settings)
    here = planfile.whereabouts(settings)
    planfile.refuse_unfit(plan, file, here, now=SYSTEM_CLOCK.now(), max_age=oldest)
    held, reasons = plan.held(file), {policy.name: policy.reason for policy in file.policies}
    planned = [task.evaluation(reasons[task.policy]) for task in plan.tasks if task.key not in held]
    with output.interruptible() as interrupted:  # also while the outcomes are printed
        applied = Applied()
        if planned:
            applied = _carry_out(PlannedRun(file, planned, most), env, log, incident, interrupted)
        outcomes = list(_outcomes(plan, applied, held))
        _report(outcomes, applied, as_json=as_json)
    finished = applied.finished
    if finished is not None:
        unreachable = finished.exit is Exit.UNREACHABLE
        # That one task could not be stopped says nothing about the keys.
        failures = [one for one in applied.lines if unreachable and isinstance(one, TaskLine) and one.error]
        refusals = {line.error_code: output.refusal(line) for line in failures}
        failures += applied.lines.of("list_failed")
        output.print_error(*finished.result.errors, *refusals.values(), *output.advice_for(failures))
    if applied.fault is not None:
        output.print_error(f"the log could not be written to its end: {applied.fault}")
    left = any(one.became in ("waiting", "unclear") for one in outcomes)
    if finished is None:
        return Exit.ATTENTION if left or planned else Exit.DONE
    return finished.exit or (Exit.ATTENTION if left or applied.fault else Exit.DONE)


def _carry_out(
    planned_run: PlannedRun,
    env: Mapping[str, str],
    log: str | None,
    incident: File | None,
    interrupted: Event,
) -> Applied:
    """Stop what is still due, and append the log to the file *log*, which is opened before that."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        file = open(os.open(log or os.devnull, flags, 0o600), "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise CommandError(f"--log {log}: {error.strerror or error}") from None
    finished, lines, stream = None, Lines(), output.LogStream(file)
    begun: set[object] = set()
    refused: list[bool] = []

    def listen(fields: Fields) -> None:
        lines(fields)
        line = lines[-1]
        if isinstance(line, TaskLine):
            if line.why not in ("budget", "halted", "margin", "interrupted"):
                refused.append(bool(line.error) and not line.unclear and line.http_status in (None, 401, 403))
            step(line.key not in begun)
            begun.add(line.key)

    # The second signal raises: what is known by then is shown.
    with output.progress("Stopping", len(planned_run.planned)) as step, suppress(KeyboardInterrupt):
        finished = run_local(
            b"{}",
            env,
            stream,
            timeout=_DAY,
            listener=listen,
            shown=ALL,
            interrupted=lambda: interrupted.is_set() or (len(refused) >= _GIVE_UP and all(refused)),
            planned_run=planned_run,
            approved=incident,
        )
    with suppress(OSError):  # the log stream knows that the disk is full
        file.close()
    if finished is not None and refused and all(refused):
        finished = finished._replace(exit=Exit.UNREACHABLE)
    return Applied(finished, lines, interrupted.is_set(), stream.fault)


def _outcomes(plan: planfile.Plan, applied: Applied, held: Mapping[TaskKey, str]) -> Iterator[Outcome]:
    """What became of each task of *plan*; *held* says why some may not be stopped by it."""
    unapproved = {one.policy: one.why for one in applied.lines.of("not_approved")}
    last = {line.key: line for line in applied.lines if isinstance(line, TaskLine)}
    for task in plan.tasks:
        line, why = last.get(task.key), held.get(task.key)
        if why is not None:
            yield Outcome(task, "not_due" if why == planfile.SPARED else "waiting", why)
        elif task.policy in unapproved:
            why = f"{task.policy} is not approved: {unapproved[task.policy]}"
            yield Outcome(task, "waiting", why)
        elif line is not None:
            yield Outcome(task, *_became(task, line), line)
        elif applied.finished is None:
            yield Outcome(task, "unclear", "interrupted twice: whether a stop was sent is not known")
        elif task.rule == KEEP and not applied.finished.result.partial:
            yield Outcome(task, "not_due", "it is gone, or replaced, or within `keep` by now")
        else:
            yield Outcome(task, *_BECAME["margin"])


def _became(task: planfile.PlannedTask, line: TaskLine) -> tuple[Became, str]:
    """Outcome and reason of a task that a run came to."""
    if line.http_status == 404 and line.error_code.endswith("NotFound"):
        return "not_found", f"HTTP 404, {line.error_code}"
    if line.why == "spared" and line.detail == REPLACED:
        return "replaced", line.detail
    if (line.event == "ended" and line.status == STOPPED) or (
        line.why == "spared" and line.status == STOPPING != task.status
    ):
        return "stopped_before", f"it is {line.status} already"
    word = "unclear" if line.unclear else line.why or line.event
    said = ": ".join(filter(None, (line.detail, line.error)))
    became, usual = _BECAME.get(word, ("failed", word))
    return became, said or usual or f"it is {line.status}"


def _report(outcomes: Sequence[Outcome], applied: Applied, *, as_json: bool) -> None:
    """Print what became of the tasks; on standard error where standard output cannot be written."""
    finished, counts = applied.finished, Counter(one.became for one in outcomes)
    tables = list(_tables(outcomes, counts, applied))
    try:
        if as_json:
            totals = {name: counts[name] for name in get_args(Became)}
            tasks = [one.fields for one in outcomes]
            output.print_json({**(finished.fields if finished else {}), "outcomes": totals, "tasks": tasks})
        elif finished is None or finished.exit not in (Exit.REFUSED, Exit.UNREACHABLE):
            output.show(*tables)
    except CommandError:
        output.show(*tables, stream=sys.stderr)
        raise


def _tables(outcomes: Sequence[Outcome], counts: Counter[Became], applied: Applied) -> Iterator[Table | str]:
    words = {name: name.replace("_", " ") for name in get_args(Became)}
    words["would_stop"] = "would be stopped"
    if outcomes:
        rows = [
            (one.task.invocation_id, output.short(*one.task.place), words[one.became], one.why)
            for one in sorted(outcomes, key=lambda one: list(words).index(one.became))
        ]
        yield output.table(("task", "function", "what became of it", "why"), rows)
        yield ""
        words["stopped"] = f"stopped ({len(applied.lines.of('confirmed'))} confirmed)"
        became = ", ".join(f"{counts[name]} {word}" for name, word in words.items() if counts[name])
        yield f"Of {counted(len(outcomes), 'planned task')}: {became}."
    if not applied.lines:
        yield "Nothing was done: no task of the plan may be stopped."
    elif applied.lines[0].mode == "dry-run":
        yield "This was a dry run; nothing was touched."
    yield from notices(applied.lines, budgets=False)
    if applied.interrupted:
        yield f"Interrupted: {counted(counts['not_begun'], 'task')} not begun."
    if counts["unclear"]:
        yield f"{counted(counts['unclear'], 'task')} may have been stopped all the same."
    left = [one for one in outcomes if one.became in _LEFT and one.why not in planfile.IN_VAIN]
    if left and applied.lines:
        yield "Run the same command again to go on; what is stopped already counts as done."
