"""`fc-reaper explain`: the verdict for one task, step by step."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from rich.text import Text
from typer import Argument, Option

from fc_reaper import settings as config
from fc_reaper.backtest.history import BrokenLine, as_of
from fc_reaper.backtest.source import Record, read_records
from fc_reaper.cli import output
from fc_reaper.cli.app import AsJson, Cloud, PolicyOption, environment, parse_moment, with_cloud
from fc_reaper.cli.output import BAD, GOOD, SOFT, STRONG, CommandError, printable, progress, short
from fc_reaper.cli.plan import dry_run, print_failures
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.cloud import ReadOnlyClient
from fc_reaper.cloud.api import check_names
from fc_reaper.errors import CloudError
from fc_reaper.evaluator import explain as evaluator
from fc_reaper.evaluator.explain import Explanation
from fc_reaper.log_lines import TaskLine
from fc_reaper.models import ALIVE, STOPPED, STOPPING, Exit, Function, Millis, Moment, Snapshot, Task, iso
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.duration import format_duration
from fc_reaper.rules.fields import parse_target
from fc_reaper.rules.result import KEEP, TRUE, Kind, RuleResult, Verdict
from fc_reaper.settings import Context, Settings
from fc_reaper.sweep.scope import is_own

_Text = str | None

_PATIENCE = 60.0  # seconds that reading one task may take, all attempts together


@with_cloud
def explain(
    target: Annotated[_Text, Argument(metavar="TARGET", help="[service/]function[@qualifier]")] = None,
    invocation_id: Annotated[_Text, Argument(metavar="ID", help="Invocation id of the task.")] = None,
    record: Annotated[_Text, Option(metavar="FILE", help="Take the task from a file, not the cloud.")] = None,
    at: Annotated[_Text, Option(metavar="TIME", help="Evaluate as of then: ISO 8601 or epoch ms.")] = None,
    policy: PolicyOption = None,
    cloud: Cloud = None,
    as_json: AsJson = False,
) -> int:
    """Show the verdict for one task, step by step. Stops nothing.

    A Stopped task is shown as it was when it was asked to stop, except with --at and --json. The other tasks
    are listed where the task counts for a `keep` policy. A file with --record holds a record as the cloud
    writes it, an answer of Get or List, or JSON lines; - is standard input. TARGET and ID are then needed
    only where the file leaves them open, and no other task is considered.

    \b
    Examples:
      fc-reaper explain media/transcode job-7
      fc-reaper explain --record examples/task.json --at 2026-05-01T12:00:00Z
    """
    env = environment(policy=policy, keys=record is None, **cloud)
    settings = config.read_settings(env, Context())
    file = config.read_policy(settings)
    moment = parse_moment("--at", at)
    if record is not None:
        snapshot = Snapshot(_task_in_file(record, target, invocation_id), Moment.exactly(SYSTEM_CLOCK.now()))
    elif target is not None and invocation_id is not None:
        with progress("Reading the task"):
            snapshot = _read_task(target, invocation_id, settings, env)
    else:
        raise CommandError("give TARGET and ID, such as media/transcode@prod job-7, or a file with --record")
    unapproved = config.read_unapproved(settings, file)
    at_stop = None if as_json or moment is not None else _at_its_stop(snapshot.task)
    snapshot = at_stop or snapshot
    explanation = evaluator.explain(
        snapshot.task,
        file,
        snapshot.moment if moment is None else Moment.exactly(moment),
        stuck_after=settings.stuck_after,
        started_time=settings.started_time,
        own_function=is_own(snapshot.task.function, settings.ourselves),
        unapproved=unapproved,
    )
    in_run, keeps = None, _keeps(explanation)
    in_group = bool(keeps) and record is None and moment is None and at_stop is None
    if in_group:
        in_run = _run_over_its_groups(explanation.task, file.report_only(unapproved), env)
    if in_run is not None and in_run.rule == KEEP:
        explanation.verdict = _one_too_many(explanation, in_run)
    if as_json:
        output.print_json(explanation)
    else:
        steps = output.table(("step", "condition", "answer"), _rows(explanation))
        where = f"{printable(explanation.task.invocation_id)} at {short(*explanation.task.function)}"
        when = f"{iso(explanation.now)}{', when it was asked to stop' if at_stop else ''}"
        title = Text(f"{where}, evaluated as of {when}", STRONG)
        output.show(title, "", steps, "", *_conclusion(explanation, keeps, in_run))
    return Exit.ATTENTION if in_group and in_run is None else Exit.DONE


def _read_task(target: str, invocation_id: str, settings: Settings, env: Mapping[str, str]) -> Snapshot:
    function, credentials = Function(*parse_target(target)), config.read_credentials(env, Context())
    cloud = config.connect(settings, credentials, "explain", clock=SYSTEM_CLOCK, kind=ReadOnlyClient)
    try:
        return cloud.get(function, invocation_id, deadline=SYSTEM_CLOCK.monotonic() + _PATIENCE)
    except CloudError as error:
        if error.http_status != 404:
            raise
        check = "check the id, the qualifier it was invoked with, and the region of the endpoint"
        what = f"no task {invocation_id} at {function}: {error}; {check}"
        raise CommandError(f"{what}; finished tasks are forgotten after some days", Exit.ATTENTION) from None
    finally:
        cloud.close()


def _at_its_stop(task: Task) -> Snapshot | None:
    """A Stopped task as it was when it was asked to stop; None for others, or where no date tells."""
    asked = [event.at for event in task.events if event.status in (STOPPING, STOPPED)]
    tells = task.status == STOPPED and task.inconsistency is None and asked and not task.undated
    before = as_of(task, asked[0] - 1) if tells else None
    return None if before is None else Snapshot(before, Moment.exactly(asked[0]))


def _task_in_file(name: str, target: str | None, invocation_id: str | None) -> Task:
    """Read the one task of a file that TARGET and ID name; a single word with / or @ is a TARGET."""
    records: list[Record] = []
    for one in read_records(name):
        if isinstance(one, BrokenLine):
            raise CommandError(f"{name}:{one.line}: {one.why}; write a record as the cloud writes it")
        records += [one] if one.id else []
    if target is not None and invocation_id is None and not re.search("[/@]", target):
        target, invocation_id = None, target
    function = None if target is None else Function(*parse_target(target))
    if function is not None:
        check_names(function)
    named = [one for one in records if invocation_id in (None, one.id)]
    # Its qualifier may be an alias here and a version there, so a target that fits none excludes none.
    fitting = [one for one in named if function in (None, one.function)] or named
    if len(fitting) != 1:
        ids = ", ".join(list(dict.fromkeys(one.id for one in fitting or records))[:5])
        what = f"{len(fitting)} records fit; name one with TARGET and ID; it has {ids or 'none'}"
        raise CommandError(f"{name}: {what}")
    function = function or fitting[0].function
    if function is None:
        raise CommandError(f"{name}: the record names no function; add TARGET, such as media/transcode@prod")
    return fitting[0].task(function)


def _keeps(explained: Explanation) -> list[str]:
    """The `keep` policies by which the task may be one too many."""
    spared = [step.policy for step in explained.steps if step.name == "holdout" and step.holds]
    return [one.policy for one in explained.verdict.members if one.selectable and one.policy not in spared]


def _run_over_its_groups(task: Task, file: PolicyFile, env: Mapping[str, str]) -> TaskLine | None:
    """What a dry run over its function logs about *task*; None where not all that counts could be listed."""
    place = dict(zip(("serviceName", "functionName", "qualifier"), task.function, strict=True))
    event = json.dumps({key: name for key, name in place.items() if name is not None})
    # Whatever triggers them, all policies run that do not need an event that names the task.
    policies = (one.model_copy(update={"triggers": ()}) for one in file.policies if not one.only_named)
    finished, lines = dry_run(event.encode(), {**env, "REAPER_LOG_LEVEL": "DEBUG"}, file.only(*policies))
    incomplete = lines.of("list_failed") or finished.result.errors or finished.result.partial
    about_it = [one for one in lines if isinstance(one, TaskLine) and one.key == task.key]
    if about_it and not incomplete:
        return about_it[-1]
    print_failures(finished, lines)
    output.print_error("not all of its group was listed, so it is unknown whether it is one too many")
    return None


def _one_too_many(explained: Explanation, line: TaskLine) -> Verdict:
    """The verdict on a task that is one too many in its group, as the run logs it."""
    kind = Kind.REPORTED if line.event == "reported" else Kind.DUE
    place = next(step.line for step in explained.steps if step.policy == line.policy)
    by = RuleResult(TRUE, KEEP, round((line.age_s or 0) * 1000), clock=line.clock)
    return Verdict(kind, line.reason, line.policy, place, by, tuple(line.also), owner=line.owner)


_ANSWERS = {True: Text("yes", STRONG), False: Text("no", SOFT), None: Text("unknown", BAD)}


def _rows(explained: Explanation) -> Iterator[tuple[str, str, Text | str]]:
    task, now = explained.task, explained.now
    retries = "retries unknown" if task.retries is None else output.counted(task.retries, "retry", "retries")
    yield "record", f"{task.status or 'no status'}, {retries}", ""
    yield from (("", event.status, _ago(now - event.at)) for event in task.events)
    if not task.events:
        started = "never" if task.started_at is None else _ago(now - task.started_at)
        yield "", "no dated events; startedTime", started
    if task.inconsistency is not None:
        yield "", task.inconsistency, _ANSWERS[None]
    for step in explained.steps:
        name = step.name if step.name in ("exempt", "policy") else f"  {step.name}"
        where = f"  {explained.source}:{step.line}" if step.name in ("exempt", "policy", "unless") else ""
        answer = _ANSWERS[step.holds]
        said = Text.assemble(answer, f": {printable(step.said)}") if step.said else answer
        yield name, f"{step.condition}{where}", said
    if all(step.policy is None for step in explained.steps):
        yield "policies", "not evaluated: the steps above decide already", ""


def _ago(length: Millis) -> str:
    return f"{format_duration(length)} ago" if length >= 0 else f"in {format_duration(-length)}"


_WORDS = {
    Kind.KEPT: ("kept", GOOD),
    Kind.EXEMPT: ("exempt", GOOD),
    Kind.UNKNOWN: ("unknown, so it is kept", BAD),
    Kind.REPORTED: ("reported, not stopped", STRONG),
    Kind.DUE: ("due", BAD),
}
_CLOCKS = {"events": ", by its dated events", "started_time": ", by its startedTime"}


def _conclusion(
    explained: Explanation, keeps: Sequence[str], in_run: TaskLine | None
) -> Iterator[Text | str]:
    """The verdict with its reason, and *in_run*, what a run logs that knows the other tasks of its groups."""
    verdict, source = explained.verdict, explained.source
    yield Text.assemble(_WORDS[verdict.kind], _reason(verdict))
    if verdict.line:
        yield f"decided by {source}:{verdict.line}{_CLOCKS.get(verdict.by.clock or '', '')}"
    if verdict.also:
        yield f"claimed also by {', '.join(verdict.also)}"
    if explained.stuck:
        yield "stuck: asked to stop, and still Stopping; every run reports it"
    if keeps and (in_run is None or in_run.rule != KEEP):
        too_many = "whether it is one too many depends on the other tasks"
        yield f"counts for {', '.join(keeps)}: {too_many if in_run is None else 'it is not one too many'}"
    if in_run is not None and in_run.why is not None:
        yield f"a run now would skip it, why: {in_run.why}"
    if explained.due_in is not None:
        yield f"due in {format_duration(explained.due_in)}, if it is {explained.task.status} until then"
    elif verdict.kind is not Kind.DUE and explained.task.status in ALIVE and not keeps:
        yield "time alone will not make it due"
    for step in explained.steps:
        if step.name == "holdout" and step.holds:
            yield f"never stopped by {step.policy}: `holdout` spares it"


def _reason(verdict: Verdict) -> str:
    if verdict.policy is None and verdict.members:
        return ""
    measured = f"{verdict.by.rule} {verdict.by.measured}" if verdict.by.measured else None
    owner = f"owner {verdict.owner}" if verdict.owner else None
    spared_by = [f"{name} {text}" for name, text in verdict.spared_by.items()]
    by = "".join(f", {part}" for part in (verdict.policy, owner, measured, *spared_by) if part)
    return by if verdict.reason == verdict.kind.value else f"{by}: {printable(verdict.reason)}"
