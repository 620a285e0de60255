"""`fc-reaper apply`: stop the tasks of a plan that are still due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from typer import Argument, Option

from fc_reaper.cli.hints import advice_for
from fc_reaper.cli.incident import load_incident
from fc_reaper.cli.invoke import run_local
from fc_reaper.cli.options import Api, AsJson, Endpoint, PolicyFile, environment
from fc_reaper.cli.output import (
    CommandError,
    LogStream,
    View,
    counted,
    dump,
    inner,
    interruptible,
    print_error,
    print_json,
    printable,
    progress_bar,
    short,
    show,
    table,
)
from fc_reaper.cli.plan import ALL, refusal
from fc_reaper.cli.planfile import NOT_COMPLETE, WAS_HALTED, Plan, PlannedTask, read_plan, whereabouts
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.evaluator.verdict import KEEP, Evaluation
from fc_reaper.log import Line, Lines, ResultTask, TaskLine
from fc_reaper.models import STOPPED, STOPPING, Exit, Function
from fc_reaper.policy import PolicyFile as File
from fc_reaper.policy_files import read_policy
from fc_reaper.rules.duration import parse_duration
from fc_reaper.run import PlannedRun, RunResult
from fc_reaper.settings import Context, read_settings
from fc_reaper.sweep.executor import REPLACED

_DAY = 86_400.0
"""Seconds that a plan may take; people interrupt it sooner."""

_COMMAND = b"{}"
"""An event that starts a run and narrows nothing."""

_GIVE_UP = 20
"""Tasks after which it is pointless to go on if the cloud has answered for none of them."""

_ROWS = 50
"""Tasks of one outcome that are shown; the rest is counted."""

OUTCOMES = {
    "stopped": "stopped",
    "stopped_before": "stopped before",
    "ended": "ended meanwhile",
    "not_due": "not due any more",
    "replaced": "another task of the same id",
    "not_found": "not found",
    "failed": "failed",
    "waiting": "waiting",
    "not_begun": "not begun",
}
"""What may become of a planned task, and in words."""


class Outcome(NamedTuple):
    """What became of one planned task.

    `confirmed` is whether it was seen Stopped, None where nothing was stopped. `status` is its status when it
    was last read, None when it was not.
    """

    task: PlannedTask
    name: str
    why: str
    confirmed: bool | None = None
    status: str | None = None


class OutcomeView(View):
    """One planned task as `--json` prints it."""

    service: str | None = inner("task", "service")
    function: str = inner("task", "function")
    qualifier: str = inner("task", "qualifier")
    invocation_id: str = inner("task", "invocation_id")
    policy: str = inner("task", "policy")
    rule: str = inner("task", "rule")
    outcome: str = inner("name")
    confirmed: bool | None
    status: str | None
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
    try:
        oldest = parse_duration(max_age)
    except ValueError as error:
        raise CommandError(f"--max-age: {error}") from None
    plan = read_plan(plan_file)
    env = {**environment(policy=policy, endpoint=endpoint, api_version=api_version), "REAPER_MODE": "enforce"}
    env["REAPER_LOG_TASKS"] = str(ALL)
    settings = read_settings(env, Context())
    plan.check_age(SYSTEM_CLOCK.now(), oldest)
    plan.check_place(whereabouts(settings))
    incident = None if plan.policy.incident is None else load_incident(plan.policy.incident, settings, env)
    file = incident or read_policy(settings)
    plan.check_policy(file)
    waiting = plan.withheld(file)
    planned = list(_evaluations(plan, file, waiting))
    if not planned:
        return _print_nothing(list(outcomes_of(plan, (), waiting)), as_json=as_json)
    with _open_log(log) as stream:
        finished, lines, interrupted = _carry_out(PlannedRun(file, planned, most), env, stream, incident)
    result, unapproved = finished.result, lines.of("not_approved")
    waiting = {**{one.policy: f"{one.policy} is not approved: {one.why}" for one in unapproved}, **waiting}
    outcomes = list(outcomes_of(plan, result.tasks, waiting, partial=result.partial))
    if as_json:
        print_json({**result.fields(), **_json(outcomes)})
    elif finished.exit not in (Exit.REFUSED, Exit.UNREACHABLE):
        _show(outcomes, lines, interrupted=interrupted)
    print_error(*result.errors, *_advice(finished, lines))
    fault = None if stream is None else stream.fault
    if fault is not None:
        print_error(f"the log could not be written to its end: {fault}")
    attention = fault is not None or lines.of("not_approved") or _waits(outcomes)
    return finished.exit or (Exit.ATTENTION if attention else Exit.DONE)


def _evaluations(plan: Plan, file: File, withheld: Collection[str]) -> Iterator[Evaluation]:
    """The tasks that may be stopped; those that the plan spares, or whose policy is *withheld*, may not.

    Raises:
        CommandError: a task is not one that its policy could have found.
    """
    policies = {policy.name: policy for policy in file.policies if policy.stops}
    for at, task in enumerate(plan.tasks):
        policy = policies.get(task.policy)
        if policy is None:
            raise CommandError(
                f"tasks[{at}].policy: {task.policy} stops nothing in {file.source}; make a new plan"
            )
        if not any(target.fits(task.place) for target in policy.targets):
            raise CommandError(f"tasks[{at}]: {task.place} is no target of {policy.name}; make a new plan")
        if (policy.keep is not None) != (task.rule == KEEP):
            keep = "`keep`" if policy.keep is not None else "no `keep`"
            raise CommandError(f"tasks[{at}].rule: {policy.name} has {keep}; make a new plan")
        if task.fate != "spared" and policy.name not in withheld:
            yield task.evaluation(policy.reason)


@contextmanager
def _open_log(name: str | None) -> Iterator[LogStream | None]:
    """Open the file to append to, before anything is stopped."""
    if name is None:
        yield None
        return
    try:
        file = Path(name).open("a", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise CommandError(f"--log {name}: {error.strerror or error}") from None
    try:
        yield LogStream(file)
    finally:
        with suppress(OSError):  # the log stream knows that the disk is full
            file.close()


def _carry_out(
    planned_run: PlannedRun, env: Mapping[str, str], stream: LogStream | None, incident: File | None
) -> tuple[RunResult, Lines, bool]:
    """Stop what is still due; return the result, the lines of interest, and whether it was interrupted."""
    lines = Lines("list_failed", "halted", "budget_spent", "not_approved", "stop_failed")
    answers, begun = Answers(), set[tuple[str | None, str, str, str]]()
    with progress_bar("Stopping", len(planned_run.planned)) as step, interruptible() as interrupted:

        def listen(line: Line) -> None:
            lines(line)
            if isinstance(line, TaskLine):
                answers(line)
                task = line.service, line.function, line.qualifier, line.invocation_id
                step(task not in begun)
                begun.add(task)

        finished = run_local(
            _COMMAND,
            env,
            stream,
            timeout=_DAY,
            listener=listen,
            shown=ALL,
            interrupted=lambda: interrupted.is_set() or answers.missing >= _GIVE_UP,
            planned_run=planned_run,
            approved=incident,
        )
        if answers.missing:
            finished = replace(finished, exit=Exit.UNREACHABLE)
        return finished, lines, interrupted.is_set()


class Answers:
    """Whether the cloud answers: `missing` counts the tasks without an answer, until the first one."""

    def __init__(self) -> None:
        self.missing = 0
        self._answered = False

    def __call__(self, line: TaskLine) -> None:
        """Take note of a line."""
        if line.event == "stop_failed" and line.http_status in (None, 401, 403):
            self.missing += not self._answered
        elif line.event in ("accepted", "ended", "stop_failed") or line.why in ("spared", "clock"):
            self._answered, self.missing = True, 0


# Outcomes.


def outcomes_of(
    plan: Plan, results: Iterable[ResultTask], waiting: Mapping[str, str], *, partial: bool = False
) -> Iterator[Outcome]:
    """What became of each task of *plan*, by the due tasks of a run.

    *waiting* says why policies may stop nothing by this plan, by name; *partial* that the run ended early.
    """
    found = {(_place(one), one.invocation_id): one for one in results}
    for task in plan.tasks:
        result = found.get((task.place, task.invocation_id))
        if task.fate == "spared":
            yield Outcome(task, "not_due", "holdout spares it, as it did in the plan")
        elif task.policy in waiting:
            yield Outcome(task, "waiting", waiting[task.policy])
        elif result is not None:
            yield Outcome(task, *_outcome(task, result))
        elif task.rule == KEEP and not partial:
            why = "it has ended, or another task has its id, or it is within `keep` by now"
            yield Outcome(task, "not_due", why)
        else:
            yield Outcome(task, "not_begun", "the run ended before its turn")


def _outcome(task: PlannedTask, result: ResultTask) -> tuple[str, str, bool | None, str | None]:
    """The fields of an Outcome after its task."""
    event, why, status, detail = result.event, result.why, result.status, result.detail
    if event == "confirmed":
        return "stopped", detail or "confirmed by reading it again", True, status
    if event == "accepted":
        return "stopped", detail or "accepted, and not seen Stopped yet", False, status
    if event == "ended":
        name = "stopped_before" if status == STOPPED else "ended"
        return name, detail or f"it is {status}", None, status
    if event == "skipped":
        if why == "spared" and detail == REPLACED:
            return "replaced", detail, None, None
        if why == "spared" and status == STOPPING != task.status:
            return "stopped_before", "it is Stopping already", None, status
        if why in ("spared", "clock"):
            return "not_due" if why == "spared" else "failed", detail, None, status
        if why == "margin":
            return "not_begun", "the run ended before its turn", None, None
        return "waiting", "the policy is halted" if why == "halted" else "beyond the budget", None, None
    if result.http_status == 404 and result.error_code.endswith("NotFound"):
        return "not_found", f"HTTP 404, {result.error_code}", None, None
    return "failed", ": ".join(filter(None, (detail, result.error))) or "failed", None, status


def _place(task: ResultTask) -> Function:
    return Function(task.service, task.function, task.qualifier)


def _waits(outcomes: Iterable[Outcome]) -> bool:
    return any(one.name == "waiting" for one in outcomes)


# What is printed.


def _print_nothing(outcomes: Sequence[Outcome], *, as_json: bool) -> Exit:
    """Say that nothing was done, since none of the planned tasks may be stopped."""
    if as_json:
        print_json(_json(outcomes))
    elif outcomes:
        _show_table(outcomes)
        show("No task of the plan may be stopped: nothing was done.")
    else:
        show("The plan names no task to stop: nothing was done.")
    return Exit.ATTENTION if _waits(outcomes) else Exit.DONE


def _json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    counts = Counter(one.name for one in outcomes)
    tasks = [dump(OutcomeView, one) for one in outcomes]
    return {"outcomes": {name: counts[name] for name in OUTCOMES}, "tasks": tasks}


def _show(outcomes: Sequence[Outcome], lines: Lines, *, interrupted: bool) -> None:
    _show_table(outcomes)
    for line in lines.of("halted"):
        show(f"{line.policy} is halted: {printable(line.why)}.")
    for line in lines.of("budget_spent"):
        if line.why:
            show(f"{line.policy}: {line.allowed} at this time, {printable(line.why)}.")
    for line in lines.of("not_approved"):
        show(f"{line.policy} is not approved: {printable(line.why)}.")
    if interrupted:
        show(f"Interrupted: {counted(sum(one.name == 'not_begun' for one in outcomes), 'task')} not begun.")
    if any(
        one.name in ("waiting", "not_begun", "failed") and one.why not in (WAS_HALTED, NOT_COMPLETE)
        for one in outcomes
    ):
        show("Run the same command again to go on; what is stopped already counts as done.")


def _show_table(outcomes: Sequence[Outcome]) -> None:
    groups = {name: [one for one in outcomes if one.name == name] for name in OUTCOMES}
    rows = (
        (one.task.invocation_id, short(*one.task.place), OUTCOMES[one.name], printable(one.why))
        for group in groups.values()
        for one in group[:_ROWS]
    )
    show(table(("task", "function", "what became of it", "why"), rows), "")
    for name, group in groups.items():
        if len(group) > _ROWS:
            show(f"... and {len(group) - _ROWS} more: {OUTCOMES[name]}; --json has them all")
    stopped = groups.pop("stopped")
    confirmed = sum(bool(one.confirmed) for one in stopped)
    parts = [f"{len(stopped)} stopped ({confirmed} confirmed)" if stopped else "none stopped"]
    parts += [f"{len(group)} {OUTCOMES[name]}" for name, group in groups.items() if group]
    show(f"Of {counted(len(outcomes), 'planned task')}: {', '.join(parts)}.")


def _advice(finished: RunResult, lines: Lines) -> list[str]:
    """What to check; that one of many tasks could not be stopped says nothing about the keys."""
    if finished.exit is not Exit.UNREACHABLE:
        return advice_for(lines.of("list_failed"))
    failures = lines.of("list_failed", "stop_failed")
    refusals = {line.error_code: refusal(line) for line in failures if line.error}
    return [*refusals.values(), *advice_for(line for line in failures if line.error)]
