"""`fc-reaper apply`: stop the tasks of a plan that are still due."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import BaseModel
from typer import Argument, Option

from fc_reaper.cli.app import Api, AsJson, Endpoint, PolicyFile, environment, parse_length
from fc_reaper.cli.incident import load_incident
from fc_reaper.cli.invoke import run_local
from fc_reaper.cli.output import (
    CommandError,
    LogStream,
    advice_for,
    counted,
    interruptible,
    print_error,
    print_json,
    printable,
    progress_bar,
    short,
    show,
    table,
)
from fc_reaper.cli.plan import ALL, notices, refusal
from fc_reaper.cli.planfile import (
    NOT_COMPLETE,
    WAS_HALTED,
    Plan,
    PlannedTask,
    check_age,
    check_place,
    check_policy,
    read_plan,
    whereabouts,
)
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.evaluator.verdict import KEEP, Evaluation
from fc_reaper.log import Fields
from fc_reaper.log_lines import Lines, ResultTask, TaskFields, TaskLine
from fc_reaper.models import STOPPED, STOPPING, Exit, Function
from fc_reaper.policy import PolicyFile as File
from fc_reaper.policy_files import read_policy
from fc_reaper.run import PlannedRun, RunResult
from fc_reaper.settings import Context, read_settings
from fc_reaper.sweep.executor import REPLACED

_DAY = 86_400.0
"""Seconds that a plan may take; people interrupt it sooner."""

_COMMAND = b"{}"
"""An event that starts a run and narrows nothing."""

_GIVE_UP = 20
"""Tasks after which it is pointless to go on if the cloud has answered for none of them."""

_LATE = "the run ended before its turn"

Became = Literal[
    "stopped", "stopped_before", "ended", "not_due", "replaced", "not_found", "failed", "waiting", "not_begun"
]
"""What may become of a planned task."""

_NOT_READ = ("replaced", "not_found", "waiting", "not_begun")


class Applied(NamedTuple):
    """A run over the planned tasks and what it logged; nothing where none of them may be stopped.

    `fault` says why the log could not be written, None if it could.
    """

    finished: RunResult | None = None
    lines: Lines = Lines()
    interrupted: bool = False
    fault: str | None = None


class Outcome(BaseModel):
    """What became of one planned task.

    `confirmed` is whether it was seen Stopped, None where nothing was stopped. `status` is its status when it
    was last read, None when it was not.
    """

    service: str | None
    function: str
    qualifier: str
    invocation_id: str
    policy: str
    rule: str
    outcome: Became
    confirmed: bool | None = None
    status: str | None = None
    why: str


def apply(
    plan_file: Annotated[
        str, Argument(metavar="PLAN", help="File written by plan --out; - reads standard input.")
    ],
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: Annotated[
        bool | None, Option("--enforce/--dry-run", help="--enforce is required, whatever the mode.")
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

    Each task is read again right before its stop. A plan is refused if it is for another account or region,
    was made of another policy, or is too old. Safe to interrupt and to run again: what is stopped already
    counts as done.

    \b
    Example:
      fc-reaper apply plan.json --enforce
    """
    if not enforce:
        raise CommandError(f"apply stops tasks, so it needs --enforce: fc-reaper apply {plan_file} --enforce")
    oldest = parse_length("--max-age", max_age)
    plan = read_plan(plan_file)
    env = {**environment(policy=policy, endpoint=endpoint, api_version=api_version), "REAPER_MODE": "enforce"}
    env["REAPER_LOG_TASKS"] = str(ALL)
    settings = read_settings(env, Context())
    check_age(plan, SYSTEM_CLOCK.now(), oldest)
    check_place(plan, whereabouts(settings))
    incident = None if plan.policy.incident is None else load_incident(plan.policy.incident, settings, env)
    file = incident or read_policy(settings)
    check_policy(plan, file)
    withheld = plan.withheld(file)
    planned = list(_evaluations(plan, file, withheld))
    applied = _carry_out(PlannedRun(file, planned, most), env, log, incident) if planned else Applied()
    finished, lines = applied.finished, applied.lines
    outcomes = list(_outcomes(plan, applied, withheld))
    counts = Counter(one.outcome for one in outcomes)
    if as_json:
        result = {} if finished is None else finished.fields
        totals = {name: counts[name] for name in get_args(Became)}
        print_json({**result, "outcomes": totals, "tasks": [one.model_dump() for one in outcomes]})
    elif finished is None or finished.exit not in (Exit.REFUSED, Exit.UNREACHABLE):
        _show(outcomes, applied)
    if finished is not None:
        unreachable = finished.exit is Exit.UNREACHABLE
        # That one task could not be stopped says nothing about the keys.
        failures = lines.of("list_failed", *(["stop_failed"] if unreachable else []))
        failures = [line for line in failures if line.error]
        refusals = {line.error_code: refusal(line) for line in failures if unreachable}
        print_error(*finished.result.errors, *refusals.values(), *advice_for(failures))
    if applied.fault is not None:
        print_error(f"the log could not be written to its end: {applied.fault}")
    attention = applied.fault or lines.of("not_approved") or counts["waiting"]
    return (finished and finished.exit) or (Exit.ATTENTION if attention else Exit.DONE)


def _evaluations(plan: Plan, file: File, withheld: Collection[str]) -> Iterator[Evaluation]:
    """The tasks that may be stopped; those that the plan spares, or whose policy is *withheld*, may not.

    Raises:
        CommandError: a task is not one that its policy could have found.
    """
    policies = {policy.name: policy for policy in file.policies if policy.stops}
    for at, task in enumerate(plan.tasks):
        policy, why = policies.get(task.policy), None
        if policy is None:
            why = f".policy: {task.policy} stops nothing in {file.source}"
        elif not policy.watches(task.place):
            why = f": {task.place} is no target of {policy.name}"
        elif (policy.keep is not None) != (task.rule == KEEP):
            why = f".rule: {policy.name} has {'no ' if policy.keep is None else ''}`keep`"
        elif task.fate != "spared" and policy.name not in withheld:
            yield task.evaluation(policy.reason)
        if why is not None:
            raise CommandError(f"tasks[{at}]{why}; make a new plan")


def _carry_out(
    planned_run: PlannedRun, env: Mapping[str, str], log: str | None, incident: File | None
) -> Applied:
    """Stop what is still due, and append the log to the file *log*, which is opened before that."""
    try:
        file = Path(log or os.devnull).open("a", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise CommandError(f"--log {log}: {error.strerror or error}") from None
    lines, stream = Lines(), LogStream(file)
    begun: set[tuple[Function, str]] = set()
    refused: list[bool] = []

    def listen(fields: Fields) -> None:
        lines(fields)
        line = lines[-1]
        if isinstance(line, TaskLine):
            if line.event in ("accepted", "ended", "stop_failed") or line.why in ("spared", "clock"):
                refused.append(line.event == "stop_failed" and line.http_status in (None, 401, 403))
            step(_key(line) not in begun)
            begun.add(_key(line))

    with progress_bar("Stopping", len(planned_run.planned)) as step, interruptible() as interrupted:
        finished = run_local(
            _COMMAND,
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
    if refused and all(refused):
        finished = finished._replace(exit=Exit.UNREACHABLE)
    return Applied(finished, lines, interrupted.is_set(), stream.fault)


def _key(line: TaskFields) -> tuple[Function, str]:
    return Function(line.service, line.function, line.qualifier), line.invocation_id


def _outcomes(plan: Plan, applied: Applied, withheld: Mapping[str, str]) -> Iterator[Outcome]:
    """What became of each task of *plan*; *withheld* says why policies may stop nothing by it, by name."""
    finished, unapproved = applied.finished, applied.lines.of("not_approved")
    waiting = {**{one.policy: f"{one.policy} is not approved: {one.why}" for one in unapproved}, **withheld}
    results = {_key(one): one for one in finished.result.tasks} if finished else {}
    for task in plan.tasks:
        result = results.get((task.place, task.invocation_id))
        outcome: Became
        status = confirmed = None
        if task.fate == "spared":
            outcome, why = "not_due", "holdout spares it, as it did in the plan"
        elif task.policy in waiting:
            outcome, why = "waiting", waiting[task.policy]
        elif result is not None:
            outcome, why = _became(task, result)
            status = result.status if outcome not in _NOT_READ else None
            confirmed = result.event == "confirmed" if outcome == "stopped" else None
        elif task.rule == KEEP and finished and not finished.result.partial:
            outcome, why = "not_due", "it is gone, or replaced, or within `keep` by now"
        else:
            outcome, why = "not_begun", _LATE
        same = task.model_dump(include=set(Outcome.model_fields) - {"status"})
        yield Outcome(**same, outcome=outcome, why=why, status=status, confirmed=confirmed)


def _became(task: PlannedTask, result: ResultTask) -> tuple[Became, str]:
    """Outcome and reason of a task that a run came to."""
    why, status, detail = result.why, result.status, result.detail
    if result.event == "confirmed":
        return "stopped", detail or "confirmed by reading it again"
    if result.event == "accepted":
        return "stopped", detail or "accepted, and not seen Stopped yet"
    if result.event == "ended":
        return "stopped_before" if status == STOPPED else "ended", detail or f"it is {status}"
    if why == "spared" and detail == REPLACED:
        return "replaced", detail
    if why == "spared" and status == STOPPING != task.status:
        return "stopped_before", "it is Stopping already"
    if why == "spared":
        return "not_due", detail
    if why == "margin":
        return "not_begun", _LATE
    if why in ("budget", "halted"):
        return "waiting", "the policy is halted" if why == "halted" else "beyond the budget"
    if result.http_status == 404 and result.error_code.endswith("NotFound"):
        return "not_found", f"HTTP 404, {result.error_code}"
    return "failed", ": ".join(filter(None, (detail, result.error))) or "failed"


def _show(outcomes: Sequence[Outcome], applied: Applied) -> None:
    groups = {name: [one for one in outcomes if one.outcome == name] for name in get_args(Became)}
    if outcomes:
        rows = (
            (
                one.invocation_id,
                short(one.service, one.function, one.qualifier),
                name.replace("_", " "),
                printable(one.why),
            )
            for name, group in groups.items()
            for one in group
        )
        show(table(("task", "function", "what became of it", "why"), rows), "")
        done, confirmed = len(groups["stopped"]), sum(bool(one.confirmed) for one in outcomes)
        others = [f"{len(group)} {name.replace('_', ' ')}" for name, group in groups.items() if group]
        stopped = [f"{done} stopped ({confirmed} confirmed)" if done else "none stopped"]
        total = counted(len(outcomes), "planned task")
        show(f"Of {total}: {', '.join([*stopped, *others[bool(done) :]])}.")
    if applied.finished is None:
        no_task = "No task of the plan may be stopped" if outcomes else "The plan names no task to stop"
        show(f"{no_task}: nothing was done.")
    show(*notices(applied.lines, budgets=False))
    if applied.interrupted:
        show(f"Interrupted: {counted(len(groups['not_begun']), 'task')} not begun.")
    left = [*groups["waiting"], *groups["not_begun"], *groups["failed"]]
    if applied.finished is not None and any(one.why not in (WAS_HALTED, NOT_COMPLETE) for one in left):
        show("Run the same command again to go on; what is stopped already counts as done.")
