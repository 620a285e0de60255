"""`fc-reaper apply`: stop the tasks of a plan that are still due."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import BaseModel
from rich.table import Table
from typer import Argument, Option

from fc_reaper.cli.app import Api, AsJson, Endpoint, PolicyFile, environment, parse_length
from fc_reaper.cli.incident import load_incident
from fc_reaper.cli.invoke import run_local
from fc_reaper.cli.output import (
    CommandError,
    LogStream,
    advice_for,
    as_typed,
    counted,
    interruptible,
    print_error,
    print_json,
    progress_bar,
    short,
    show,
    table,
)
from fc_reaper.cli.plan import ALL, notices, refusal
from fc_reaper.cli.planfile import (
    NOT_COMPLETE,
    ONLY_NAMED,
    WAS_HALTED,
    Plan,
    PlannedTask,
    read_plan,
    refuse_changed_policy,
    refuse_unfit,
    whereabouts,
)
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.evaluator.verdict import KEEP, Evaluation
from fc_reaper.log import Fields
from fc_reaper.log_lines import Lines, ResultTask, TaskLine
from fc_reaper.models import STOPPED, STOPPING, Exit
from fc_reaper.policy import PolicyFile as File
from fc_reaper.run import PlannedRun, RunResult
from fc_reaper.settings import Context, read_policy, read_settings
from fc_reaper.sweep.executor import REPLACED

_DAY = 86_400.0
"""Seconds that a plan may take; people interrupt it sooner."""

_COMMAND = b"{}"
"""An event that starts a run and narrows nothing."""

_GIVE_UP = 20
"""Tasks after which it is pointless to go on if the cloud has answered for none of them."""

_LATE = "the run ended before its turn"
_CUT_OFF = "interrupted twice, so whether a stop was sent is not known"

Became = Literal[
    "stopped", "stopped_before", "ended", "not_due", "replaced", "not_found", "failed", "unclear",
    "waiting", "not_begun", "would_stop",
]  # fmt: skip
"""What may become of a planned task; `unclear`: a stop was sent, and may have taken effect."""

_REFUSED = frozenset(("unreadable", "denied"))
_NOT_BEGUN = frozenset(("margin", "interrupted"))
_LEFT = ("waiting", "not_begun", "failed", "unclear")
_NOT_READ = ("replaced", "not_found", "unclear", "waiting", "not_begun")


class Applied(NamedTuple):
    """A run over the planned tasks and what it logged; nothing where none of them may be stopped.

    `finished` is None also where a second signal cut the run off: `lines` then have what was known by then.
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
        again = as_typed("apply", plan_file, "--enforce")
        raise CommandError(f"apply stops tasks, so it needs --enforce: {again}")
    oldest = parse_length("--max-age", max_age)
    plan = read_plan(plan_file)
    env = environment(policy=policy, endpoint=endpoint, api_version=api_version, enforce=enforce)
    env["REAPER_LOG_TASKS"] = str(ALL)
    settings = read_settings(env, Context())
    refuse_unfit(plan, whereabouts(settings), SYSTEM_CLOCK.now(), oldest)
    incident = None
    if plan.policy.text:
        file = incident = load_incident("\n".join(plan.policy.text), settings, env)
    else:
        file = read_policy(settings)
        refuse_changed_policy(plan, file)
    withheld = plan.withheld(file)
    planned = list(_evaluations(plan, file, withheld))
    applied = _carry_out(PlannedRun(file, planned, most), env, log, incident) if planned else Applied()
    finished, lines = applied.finished, applied.lines
    outcomes = list(_outcomes(plan, applied, withheld))
    _report(outcomes, applied, as_json=as_json)
    if finished is not None:
        unreachable = finished.exit is Exit.UNREACHABLE
        # That one task could not be stopped says nothing about the keys.
        of_tasks = [line for line in lines if unreachable and isinstance(line, TaskLine) and line.error]
        refusals = {line.error_code: refusal(line) for line in of_tasks}
        failures = [*lines.of("list_failed"), *of_tasks]
        print_error(*finished.result.errors, *refusals.values(), *advice_for(failures))
    if applied.fault is not None:
        print_error(f"the log could not be written to its end: {applied.fault}")
    attention = (
        applied.fault
        or lines.of("not_approved")
        or (finished is None and applied.interrupted)
        or any(one.outcome in ("waiting", "unclear") for one in outcomes)
    )
    return (finished and finished.exit) or (Exit.ATTENTION if attention else Exit.DONE)


def _evaluations(plan: Plan, file: File, withheld: Mapping[str, str]) -> Iterator[Evaluation]:
    """The tasks that may be stopped; those that the plan spares, or whose policy is *withheld*, may not.

    Raises:
        CommandError: a task is not one that its policy could have found.
    """
    policies = {policy.name: policy for policy in file.policies if policy.stops}
    for at, task in enumerate(plan.tasks):
        policy = policies.get(task.policy)
        if policy is None or not policy.watches(task.place):
            raise CommandError(f"tasks[{at}] is no task that {task.policy} could stop; make a new plan")
        if task.fate != "spared" and policy.name not in withheld:
            yield task.evaluation(policy.reason)


def _carry_out(
    planned_run: PlannedRun, env: Mapping[str, str], log: str | None, incident: File | None
) -> Applied:
    """Stop what is still due, and append the log to the file *log*, which is opened before that."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        file = open(os.open(log or os.devnull, flags, 0o600), "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise CommandError(f"--log {log}: {error.strerror or error}") from None
    finished, lines, stream = None, Lines(), LogStream(file)
    begun: set[object] = set()
    refused: list[bool] = []

    def listen(fields: Fields) -> None:
        lines(fields)
        line = lines[-1]
        if isinstance(line, TaskLine):
            failed = line.event == "stop_failed" or line.why in _REFUSED
            if failed or line.event in ("accepted", "ended") or line.why in ("spared", "clock"):
                refused.append(failed and line.http_status in (None, 401, 403))
            step(_key(line) not in begun)
            begun.add(_key(line))

    with (
        progress_bar("Stopping", len(planned_run.planned)) as step,
        interruptible() as interrupted,
        suppress(KeyboardInterrupt),  # of the second signal: what is known by then is shown
    ):
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
    if finished is not None and refused and all(refused):
        finished = finished._replace(exit=Exit.UNREACHABLE)
    return Applied(finished, lines, interrupted.is_set(), stream.fault)


def _key(task: TaskLine | ResultTask | PlannedTask) -> tuple[str | None, str, str, str]:
    return task.service, task.function, task.qualifier, task.invocation_id


def _outcomes(plan: Plan, applied: Applied, withheld: Mapping[str, str]) -> Iterator[Outcome]:
    """What became of each task of *plan*; *withheld* says why policies may stop nothing by it, by name."""
    finished, unapproved = applied.finished, applied.lines.of("not_approved")
    waiting = {**{one.policy: f"{one.policy} is not approved: {one.why}" for one in unapproved}, **withheld}
    settled: list[TaskLine | ResultTask] = [one for one in applied.lines if isinstance(one, TaskLine)]
    settled += finished.result.tasks if finished else ()
    last = {_key(one): one for one in settled}
    for task in plan.tasks:
        result = last.get(_key(task))
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
        elif finished is None:
            outcome, why = "unclear", _CUT_OFF
        elif task.rule == KEEP and not finished.result.partial:
            outcome, why = "not_due", "it is gone, or replaced, or within `keep` by now"
        else:
            outcome, why = "not_begun", _LATE
        same = task.model_dump(include=set(Outcome.model_fields) - {"status"})
        yield Outcome(**same, outcome=outcome, why=why, status=status, confirmed=confirmed)


def _became(task: PlannedTask, result: TaskLine | ResultTask) -> tuple[Became, str]:
    """Outcome and reason of a task that a run came to."""
    why, status, detail = result.why, result.status, result.detail
    if result.event == "would_stop":
        return "would_stop", "still due"
    if result.event == "confirmed":
        return "stopped", detail or "confirmed by reading it again"
    if result.event == "accepted":
        return "stopped", detail or "accepted, and not seen Stopped yet"
    if result.http_status == 404 and result.error_code.endswith("NotFound"):
        return "not_found", f"HTTP 404, {result.error_code}"
    if result.event == "ended":
        return "stopped_before" if status == STOPPED else "ended", detail or f"it is {status}"
    if why == "spared" and detail == REPLACED:
        return "replaced", detail
    if why == "spared" and status == STOPPING != task.status:
        return "stopped_before", "it is Stopping already"
    if why == "spared":
        return "not_due", detail
    if why in _NOT_BEGUN:
        return "not_begun", detail or _LATE
    if why in ("budget", "halted"):
        return "waiting", "the policy is halted" if why == "halted" else "beyond the budget"
    said = ": ".join(filter(None, (detail, result.error))) or "failed"
    return ("unclear" if getattr(result, "unclear", False) else "failed"), said


def _report(outcomes: Sequence[Outcome], applied: Applied, *, as_json: bool) -> None:
    """Print what became of the tasks; on standard error where standard output cannot be written."""
    finished = applied.finished
    counts = Counter(one.outcome for one in outcomes)
    tables = list(_tables(outcomes, counts, applied))
    try:
        if as_json:
            result = {} if finished is None else finished.fields
            totals = {name: counts[name] for name in get_args(Became)}
            print_json({**result, "outcomes": totals, "tasks": [one.model_dump() for one in outcomes]})
        elif finished is None or finished.exit not in (Exit.REFUSED, Exit.UNREACHABLE):
            show(*tables)
    except CommandError:
        show(*tables, stream=sys.stderr)
        raise


def _tables(
    outcomes: Sequence[Outcome], counts: Mapping[Became, int], applied: Applied
) -> Iterator[Table | str]:
    words = {name: name.replace("_", " ") for name in get_args(Became)}
    words["would_stop"] = "would be stopped"
    if outcomes:
        rows = (
            (one.invocation_id, short(one.service, one.function, one.qualifier), words[one.outcome], one.why)
            for one in sorted(outcomes, key=lambda one: list(words).index(one.outcome))
        )
        yield table(("task", "function", "what became of it", "why"), rows)
        yield ""
        confirmed = sum(bool(one.confirmed) for one in outcomes)
        stopped = f"{counts['stopped']} stopped ({confirmed} confirmed)"
        none = "none stopped for certain" if counts["unclear"] else "none stopped"
        done = stopped if counts["stopped"] else none
        others = [f"{counts[name]} {words[name]}" for name in list(words)[1:] if counts[name]]
        yield f"Of {counted(len(outcomes), 'planned task')}: {', '.join([done, *others])}."
    if applied.finished is None and not applied.interrupted:
        no_task = "No task of the plan may be stopped" if outcomes else "The plan names no task to stop"
        yield f"{no_task}: nothing was done."
    elif applied.finished is not None and applied.finished.fields["mode"] == "dry-run":
        yield "This was a dry run; nothing was touched."
    yield from notices(applied.lines, budgets=False)
    if applied.interrupted:
        yield f"Interrupted: {counted(counts['not_begun'], 'task')} not begun."
    if counts["unclear"]:
        yield f"{counted(counts['unclear'], 'task')} may have been stopped: see fc-reaper explain TARGET ID."
    in_vain = (WAS_HALTED, NOT_COMPLETE, ONLY_NAMED)
    left = [one for one in outcomes if one.outcome in _LEFT and one.why not in in_vain]
    if left and (applied.finished is not None or applied.interrupted):
        yield "Run the same command again to go on; what is stopped already counts as done."
