"""`fc-reaper plan`: every task that is due now, and why, and who is next."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from rich.table import Table
from rich.text import Text
from typer import Argument, Option

from fc_reaper.cli import output
from fc_reaper.cli.app import AsJson, Cloud, PolicyOption, environment, with_cloud
from fc_reaper.cli.incident import make_incident, with_match_options
from fc_reaper.cli.invoke import read_event, run_local
from fc_reaper.cli.output import CommandError, counted
from fc_reaper.cli.planfile import Plan, dump_plan, make_plan, whereabouts
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.evaluator.evaluate import FunctionPolicies, evaluate
from fc_reaper.evaluator.explain import Changes, due_in
from fc_reaper.log_lines import Lines, ListFailed, ResultTask, TaskLine, TaskVerdict
from fc_reaper.models import Exit, Function, Snapshot, TaskKey, iso
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.rules.ages import Reading
from fc_reaper.run import RunResult
from fc_reaper.settings import Context, read_policy, read_settings
from fc_reaper.sweep import AHEAD, Foresee
from fc_reaper.sweep.report import HELD_OUT, verdict_fields

ALL = 1_000_000  # tasks that a result holds, and log lines of one policy: more than any account has
_SHOWN, _SOON = 20, 5  # tasks that are shown although they are not due; the rest is counted

_OTHERS = {"reported": "only reported", "unknown": "unknown, kept", "stuck": "STUCK"}

WORDS = {  # what the words of a log line mean, where that needs words
    "confirmed": "confirmed by reading it again", "accepted": "accepted, and not seen Stopped yet",
    "budget": "beyond the budget", "margin": "the run ended before its turn",
    "interrupted": "the run was interrupted before its turn", "halted": "the policy is halted",
}  # fmt: skip

_Text = str | None
_Texts = list[str] | None


class NextTask(TaskVerdict):
    """A task that is not due yet, with the verdict of then; the age is that of now."""

    due_at: str = Field(description="When it becomes due: UTC, ISO 8601.")
    due_in_s: float = Field(description="Seconds until then, from when it was listed.")


def foresee(tasks: list[NextTask]) -> Foresee:
    """A function that adds to *tasks* each listed one that is due within `AHEAD`, itself included.

    None is a task whose record does not say when, or whose group decides.
    """
    changes: dict[Function, Changes] = {}

    def note(seen: Snapshot, policies: FunctionPolicies) -> None:
        task, moment = seen
        its = changes.get(task.function) or changes.setdefault(task.function, Changes.of(policies))
        wait = due_in(Reading(task, moment, policies.started_time, read=True), policies, its)
        if wait is not None and wait <= AHEAD:
            verdict = evaluate(task, policies, moment.later(wait)).later(-wait)
            when = {"due_at": iso(moment.earliest + wait), "due_in_s": wait / 1000}
            tasks.append(NextTask.model_validate({**verdict_fields(task, verdict), **when}))

    return note


@with_match_options
@with_cloud
def plan(
    event: Annotated[_Text, Argument(metavar="EVENT", help="As for invoke; default: all timers.")] = None,
    policy: PolicyOption = None,
    cloud: Cloud = None,
    as_json: AsJson = False,
    out: Annotated[_Text, Option(metavar="FILE", help="Write the plan for apply; - is stdout.")] = None,
    html: Annotated[_Text, Option(metavar="FILE", help="Write a page to look at.")] = None,
    force: Annotated[bool, Option("--force", help="Let --out and --html overwrite a file.")] = False,
    target: Annotated[_Texts, Option(metavar="TARGET", help="Functions; needs no policy file.")] = None,
    reason: Annotated[_Text, Option(metavar="TEXT", help="Why, for the log line of every stop.")] = None,
    most: Annotated[int | None, Option("--max", metavar="N", min=1, help="At most N at each apply.")] = None,
    **match: Any,
) -> int:
    """Show every task that is due, and why. Stops nothing.

    Write the plan to a file with --out, review it, and stop exactly its tasks with apply. With --target and
    the options below it no policy file is needed: a plan for an incident,
    which needs --reason and --max only with --out.

    \b
    Examples:
      fc-reaper plan --out plan.json --html plan.html
      fc-reaper plan --region cn-hangzhou --target media/transcode \\
        --running-for 2h
      fc-reaper plan --target media/transcode --queued-for 30m \\
        --reason "stale queue" --max 50 --out incident.json
    """
    if out == "-" and as_json:
        raise CommandError("--json and --out - both print to standard output; leave one of them out")
    output.check_files(force=force, out=None if out == "-" else out, html=html)
    env = environment(policy=policy, **cloud)
    settings = read_settings(env, Context())
    if target and event is None and out is None:  # Nobody can carry it out, so neither is needed.
        reason, most = reason or "shown only, since no --reason was given", most or ALL
    stated = {**match, "targets": target, "stop": reason, "budget": most and f"{most}/run"}
    incident = make_incident(stated, event, settings, env)
    given = None if event is None else read_event(event)  # before the policy: it may be a policy itself
    file = read_policy(settings) if incident is None else incident.file
    raw = every_timer(file.policies) if given is None else given
    began = SYSTEM_CLOCK.now()
    coming, whole = list[NextTask](), (out or html) is not None
    finished, lines = dry_run(raw, env, incident and file, foresee(coming), whole=whole)
    due = {task.key for task in finished.result.tasks}  # some of them by `keep`
    soon = sorted((one for one in coming if one.key not in due), key=lambda one: one.due_at)
    listed = finished.exit not in (Exit.REFUSED, Exit.UNREACHABLE)
    if as_json:
        output.print_json({**finished.fields, "next": soon})
    elif listed and out != "-":
        output.show(*plan_tables(finished, lines, file.policies, soon))
    if listed and whole:
        made = make_plan(began, whereabouts(settings), finished, lines, file, incident)
        typed: Callable[..., str] = partial(output.as_typed, policy=policy, **cloud)
        said: list[str] = []
        if out == "-":
            output.print_line(dump_plan(made).removesuffix("\n"))
        elif out is not None:
            output.write_file(out, dump_plan(made), force=force)
            said += _written(made, out, made.held(file), typed("apply", out, "--enforce"))
        if html is not None:
            from fc_reaper.cli.page import plan_page

            steps = {"out": (out or "").strip("-"), "event": event, "typed": typed}
            output.write_file(html, plan_page(made, finished, lines, file, soon, **steps), force=force)
            said.append(f"{html}: written.")
        if out != "-" and not as_json:
            output.print_line("\n".join(said))
    print_failures(finished, lines)
    return finished.exit


def dry_run(
    event: bytes,
    env: Mapping[str, str],
    approved: PolicyFile | None = None,
    foreseen: Foresee | None = None,
    *,
    whole: bool = True,
) -> tuple[RunResult, Lines]:
    """Run dry for *event*, by *approved* or the policy of *env*; answer with the result and the log.

    KeyboardInterrupt if it was interrupted, and *whole*, so that the result would be of no use.
    """
    lines = Lines()
    with output.progress("Listing the tasks"), output.interruptible() as interrupted:
        finished = run_local(
            event,
            {**env, "REAPER_MODE": "dry-run", "REAPER_LOG_TASKS": str(ALL)},
            timeout=600.0,
            listener=lines,
            shown=ALL,
            interrupted=interrupted.is_set,
            approved=approved,
            foresee=foreseen,
        )
        if whole and interrupted.is_set():
            raise KeyboardInterrupt
    return finished, lines


def every_timer(policies: Iterable[Policy]) -> bytes:
    """An event of every timer that *policies* name, and of another one if that runs any, or none is named."""
    policies = list(policies)
    named = {one.partition(":")[2] for policy in policies for one in policy.triggers if ":" in one}
    unnamed = [""] if not named or any(policy.fits_trigger("timer") for policy in policies) else []
    timers = [{"triggerTime": "", "triggerName": name, "payload": ""} for name in [*unnamed, *sorted(named)]]
    return json.dumps(timers).encode()


def _written(made: Plan, name: str, held: Mapping[TaskKey, str], apply: str) -> Iterator[str]:
    free = [task for task in made.tasks if task.key not in held]
    now = sum(task.fate == "would_stop" for task in free)
    yield f"Written to {name}: {counted(len(made.tasks), 'task')}, {now:,} to be stopped by the first apply."
    for policy, why in sorted({(task.policy, held[task.key]) for task in made.tasks if task.key in held}):
        yield f"apply will stop none of these tasks of {policy}: {why}."
    if not made.complete:
        yield "It is not complete: not everything could be listed."
    if free:
        yield f"Review it, then within an hour: {apply}"


def plan_tables(
    finished: RunResult, lines: Lines, policies: Iterable[Policy] = (), soon: Sequence[NextTask] = ()
) -> Iterator[Table | Text | str]:
    """The due tasks by policy, others of note, the counts, and those of *policies* that did not run."""
    result = finished.result
    tasks = sorted(result.tasks, key=lambda task: (-(task.over_s or 0), task.invocation_id))
    for policy in dict.fromkeys(task.policy for task in tasks):
        its = [task for task in tasks if task.policy == policy]
        yield Text.assemble((policy or "", output.STRONG), f": {its[0].reason}")
        yield from (_table(its), "")
    others = lines.of(*_OTHERS)
    if others:
        yield from ("Not due, for your information:", _table(others[:_SHOWN]))
        yield f"... and {len(others) - _SHOWN:,} more" if len(others) > _SHOWN else ""
    if soon:
        yield f"{counted(len(soon), 'task')} will be due within an hour; the first:"
        yield from (_table(soon[:_SOON]), "")
    counts = result.counts
    listed = f"{counted(counts.listed, 'task')} listed in {counted(counts.functions, 'function')}"
    rest = _counted({name: getattr(counts, name) for name in ("kept", "exempt", "reported", "unknown")})
    if counts.due:
        due = _counted({"would be stopped": counts.would_stop, "ended meanwhile": counts.ended,
                        "held back": counts.skipped, "failed": counts.failed})  # fmt: skip
        yield f"{counts.due:,} due of {listed}: {due}.{rest and f' The others: {rest}.'}"
    else:
        yield f"Nothing is due: {', '.join(filter(None, (listed, rest)))}."
    yield from output.saved_text(result.saved.fields(), "would save at most")
    if counts.stuck:
        yield f"{counted(counts.stuck, 'task')} asked to stop long ago, and still Stopping."
    if result.unmatched:
        yield f"Targets that fit no function in task mode: {', '.join(result.unmatched)}."
    if result.partial:
        yield "The run ended early: not everything was listed."
    yield from notices(lines, budgets=True)
    for line in lines.of("trigger_ignored", "trigger_refused", "trigger_unrecognised"):
        yield f"{line.event}: {line.why}."
    for one in policies:
        if not any(one.fits_trigger(request.kind, request.name) for request in finished.trigger.requests):
            yield f"{one.name} was not evaluated: it has triggers: [{', '.join(one.triggers)}]."
    yield "This was a dry run; nothing was touched."


def _table(tasks: Iterable[ResultTask | TaskLine | NextTask]) -> Table:
    heads = ("task", "function", "rule", "age", "limit", "over", "what happens")
    rows = [
        (task.invocation_id, output.short(*task.place), task.rule or "-", *measures(task), fate(task))
        for task in tasks
    ]
    return output.table(heads, rows, right=heads[3:6])


def measures(task: TaskVerdict) -> tuple[str, str, str]:
    """Age, limit with its origin unless that is the policy, and excess; or the same in retries."""
    if task.retries is not None and task.retries_limit is not None:
        over = task.retries - task.retries_limit
        return counted(task.retries, "retry", "retries"), str(task.retries_limit), str(over)
    over_s = task.over_s if (task.over_s or 0) >= 0 else None
    age, limit, over_limit = map(output.format_seconds, (task.age_s, task.limit_s, over_s))
    return age, limit if task.limit_from in (None, "policy") else f"{limit} ({task.limit_from})", over_limit


def fate(task: ResultTask | TaskLine | NextTask) -> Text:
    """What happens to the task, or why it is shown, and its owner."""
    owner = f", owner {task.owner}" if task.owner else ""
    if isinstance(task, NextTask):
        return Text(f"due in {output.format_seconds(task.due_in_s)}{owner}")
    if task.event in _OTHERS:
        reason, style = ("", output.BAD) if task.event == "stuck" else (f": {task.reason}", "")
        return Text(f"{_OTHERS[task.event]}{owner}{reason}", style)
    if task.event == "stop_failed":
        return Text(f"{task.detail or 'failed'}: {task.error_code}", output.BAD)
    name = "spared by holdout" if task.detail == HELD_OUT else task.why or task.event
    word = WORDS.get(name, name.replace("_", " "))
    return Text(word + owner, output.STRONG if task.event == "would_stop" else output.SOFT)


def _counted(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in numbers.items() if number)


def notices(lines: Lines, *, budgets: bool) -> Iterator[str]:
    """Which policies are halted, are not approved, or may stop fewer than are due (*budgets*: of one run)."""
    for line in lines.of("halted"):
        yield f"{line.policy} is halted ({line.why})."
    for line in lines.of("budget_spent"):
        if line.why:
            yield f"{line.policy}: {line.due:,} due, {line.allowed:,} may be stopped now ({line.why})."
        elif budgets:
            yield f"{line.policy}: {line.due:,} due, its budget is {line.allowed}/run; the rest waits."
    for line in lines.of("not_approved"):
        yield f"{line.policy} is not approved, so it only reports: {line.why}."


def print_failures(finished: RunResult, lines: Lines) -> None:
    """Write to standard error what could not be listed, or what else went wrong, and what to check."""
    failures: list[ListFailed] = lines.of("list_failed")
    for one in failures:
        output.print_error(f"not listed: {output.short(*one.place)}: {output.refusal(one)}")
    output.print_error(*([] if failures else finished.result.errors), *output.advice_for(failures))
