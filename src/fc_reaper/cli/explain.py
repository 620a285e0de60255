"""`fc-reaper explain`: the verdict for one task, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

from rich.text import Text
from typer import Argument, Option

from fc_reaper.cli.explanation import explanation_view
from fc_reaper.cli.options import Api, AsJson, Endpoint, PolicyFile, environment, parse_moment
from fc_reaper.cli.output import (
    BAD,
    GOOD,
    SOFT,
    STRONG,
    CommandError,
    counted,
    percent,
    print_json,
    printable,
    progress,
    short,
    show,
    table,
)
from fc_reaper.cli.records import literal_function, task_in_file
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.errors import CloudError, InvalidName
from fc_reaper.evaluator import explain as evaluator
from fc_reaper.evaluator.explain import Explanation, FieldRead, KeyResult, MatcherResult, Step
from fc_reaper.evaluator.verdict import Kind, Verdict
from fc_reaper.models import ALIVE, UNFINISHED, Exit, Function, Millis, Snapshot, Task, iso
from fc_reaper.policy import Keep
from fc_reaper.policy_files import read_policy, read_unapproved
from fc_reaper.rules.duration import format_duration
from fc_reaper.rules.rules import RuleResult
from fc_reaper.settings import Context, Settings, connect, read_credentials, read_settings
from fc_reaper.sweep.scope import is_own

_PATIENCE = 60.0
"""Seconds that reading one task may take, all attempts together."""


def explain(
    target: Annotated[str | None, Argument(metavar="TARGET", help="[service/]function[@qualifier]")] = None,
    invocation_id: Annotated[str | None, Argument(metavar="ID", help="Invocation id of the task.")] = None,
    record: Annotated[
        str | None, Option("--record", metavar="FILE", help="Take the task from a file, not the cloud.")
    ] = None,
    at: Annotated[
        str | None, Option("--at", metavar="TIME", help="Evaluate as of then: ISO 8601 or epoch ms.")
    ] = None,
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    as_json: AsJson = False,
) -> int:
    """Show the verdict for one task, step by step. Stops nothing.

    A file with --record holds a record as the cloud writes it, an answer of Get or List, or JSON lines; - is
    standard input. TARGET and ID are then needed only where the file leaves them open.

    \b
    Examples:
      fc-reaper explain media/transcode job-7
      fc-reaper explain --record examples/task.json --at 2026-05-01T12:00:00Z
    """
    env = environment(policy=policy, endpoint=endpoint, api_version=api_version)
    settings = read_settings(env, Context())
    file = read_policy(settings)
    moment = parse_moment("--at", at)
    words = [word for word in (target, invocation_id) if word is not None]
    if record is not None:
        snapshot = Snapshot(task_in_file(record, words), SYSTEM_CLOCK.now())
    elif len(words) == 2:
        with progress("Reading the task ..."):
            snapshot = _read_task(literal_function(words[0]), words[1], settings, env)
    else:
        raise CommandError("give TARGET and ID, such as media/transcode@prod job-7, or a file with --record")
    if moment is not None:
        _refuse_earlier(snapshot.task, moment)
        snapshot = snapshot._replace(moment=moment)
    explanation = evaluator.explain(
        snapshot.task,
        file,
        snapshot.moment,
        stuck_after=settings.stuck_after,
        started_time=settings.started_time,
        own_function=settings.ourselves is not None and is_own(snapshot.task.function, settings.ourselves),
        unapproved=read_unapproved(settings, file),
    )
    if as_json:
        print_json(explanation_view(explanation, file.source))
    else:
        dated = record is not None or moment is not None
        _show(explanation, file.source, f", evaluated as of {_spelt(snapshot.moment)}" if dated else "")
    return Exit.DONE


# Reading


def _read_task(
    function: Function, invocation_id: str, settings: Settings, env: Mapping[str, str]
) -> Snapshot:
    credentials = read_credentials(env, Context())
    cloud = connect(settings, credentials, "explain", lambda operation: None, clock=SYSTEM_CLOCK)
    try:
        return cloud.get(function, invocation_id, deadline=SYSTEM_CLOCK.monotonic() + _PATIENCE)
    except InvalidName as error:
        raise CommandError(str(error)) from None
    except CloudError as error:
        if error.http_status != 404:
            raise
        raise CommandError(
            f"no task {invocation_id} at {function}: {error}; check the id, the qualifier it was invoked "
            "with, and the region of the endpoint; finished tasks are forgotten after some days",
            Exit.ATTENTION,
        ) from None
    finally:
        cloud.close()


def _refuse_earlier(task: Task, moment: Millis) -> None:
    """Refuse a moment, to the second, at which the task was different: its record does not show how."""
    changed = max((*(event.at for event in task.events), task.started_at or 0))
    if changed > moment + 1000:
        raise CommandError(
            f"--at {_spelt(moment)} is before the record's last change, {_spelt(changed)}; "
            "write a later moment"
        )


def _spelt(moment: Millis) -> str:
    """A moment in UTC, to the second."""
    return f"{iso(moment)[:19]}Z"


# Tables

Row = tuple[str, str, Text]

_YES, _NO, _UNKNOWN = Text("yes", STRONG), Text("no", SOFT), Text("unknown", BAD)
_COUNTS, _COUNTS_NOT = Text("counts", STRONG), Text("does not count", SOFT)
_NOTHING = Text("")


def _show(explained: Explanation, source: str, as_of: str) -> None:
    task = explained.task
    rows = [*_record_rows(explained), *_exempt_rows(explained, source)]
    for step in explained.steps:
        rows += _policy_rows(step, explained, source)
    if not explained.steps:
        rows.append(("policies", "not evaluated: the steps above decide already", _NOTHING))
    show(Text(f"{printable(task.invocation_id)} at {short(*task.function)}{as_of}", STRONG), "")
    show(table(("step", "condition", "answer"), rows), "")
    show(*_conclusion(explained, source))


def _record_rows(explained: Explanation) -> Iterator[Row]:
    task = explained.task
    retries = "retries unknown" if task.retries is None else counted(task.retries, "retry", "retries")
    yield "record", f"{printable(task.status) or 'no status'}, {retries}", _NOTHING
    for event in task.events:
        yield "", printable(event.status), Text(_ago(explained, event.at))
    if not task.events:
        started = "never" if task.started_at is None else _ago(explained, task.started_at)
        yield "", "no dated events; startedTime", Text(started)
    if explained.inconsistency is not None:
        yield "", printable(explained.inconsistency), _UNKNOWN


def _ago(explained: Explanation, at: Millis) -> str:
    since = explained.now - at
    return f"{format_duration(since)} ago" if since >= 0 else f"in {format_duration(-since)}"


def _exempt_rows(explained: Explanation, source: str) -> Iterator[Row]:
    for matcher in explained.exempt:
        yield from _matcher_rows("exempt", matcher, explained, source)
    if not explained.exempt:
        yield "exempt", "nothing in the file concerns this function", _NO


def _policy_rows(step: Step, explained: Explanation, source: str) -> Iterator[Row]:
    policy = step.policy
    does = "report" if not policy.stops else "stop" if step.unapproved is None else "stop, not approved"
    triggers = f", only by {' or '.join(policy.triggers)}" if policy.triggers else ""
    yield "policy", f"{policy.name} ({does}{triggers}), {source}:{policy.line}", _NOTHING
    if step.match is None:
        yield "  targets", ", ".join(short(*target) for target in policy.targets), _NO
        return
    yield from _matcher_rows("  match", step.match, explained)
    for matcher in step.unless:
        yield from _matcher_rows("  unless", matcher, explained, source)
    if policy.keep is not None:
        yield "  keep", keep_text(policy.keep), _membership(step, explained)
        yield from _field_rows(step.group_fields)
    if policy.holdout is not None and step.held_out is not None:
        held = Text.assemble(_YES, ": spared by its id") if step.held_out else _NO
        yield "  holdout", f"{percent(policy.holdout)} of all ids", held
    if step.unapproved is not None:
        yield "  lock", printable(step.unapproved), Text("not approved: only reports", BAD)


def _matcher_rows(
    name: str, matcher: MatcherResult, explained: Explanation, source: str | None = None
) -> Iterator[Row]:
    """A row for each key; the first one names the matcher, with its line where *source* is given."""
    where = "" if source is None else f"  {source}:{matcher.line}"
    for key in matcher.keys:
        yield name, f"{key.key}: {printable(key.wanted)}{where}", _answer(key, explained.task.status)
        yield from _field_rows(key.fields)
        name = where = ""


def _field_rows(fields: Iterable[FieldRead]) -> Iterator[Row]:
    """The fields that an expression reads; of their values only the kind."""
    for path, kind in fields:
        answer = Text("absent", BAD) if kind is None else Text(f"present: {kind}", SOFT)
        yield "", f"  {printable(path)}", answer


def _answer(key: KeyResult, status: str) -> Text:
    result = key.result
    if result.holds is None:
        return Text.assemble(_UNKNOWN, f": {printable(result.why)}")
    answer = _YES if result.holds else _NO
    if result.age is not None and result.over is not None:
        limit = f" of {format_duration(result.limit)}" if key.fields and result.limit else ""
        over = f"{format_duration(abs(result.over))} {'over' if result.holds else 'left'}"
        return Text.assemble(answer, f": {format_duration(result.age)}{limit}, {over}")
    if result.rule == "status" and key.key != "status" and not result.holds:
        return Text.assemble(answer, f": it is {printable(status)}")
    return answer


def keep_text(keep: Keep) -> str:
    """What a `keep` says, in words."""
    per = "" if keep.per is None else f" for each {printable(str(keep.per))}"
    return f"at most {keep.at_most}{per}, {keep.stop_first} go first"


def _membership(step: Step, explained: Explanation) -> Text:
    """Whether a run counts the task for the step's `keep`, where other policies matter as well."""
    place, member, verdict = step.membership, explained.counted(step), explained.verdict
    if member is not None:
        spared = "" if member.selectable else ", and is never stopped"
        return Text.assemble(_COUNTS, f": first enqueued {format_duration(member.age)} ago{spared}")
    if isinstance(place, RuleResult) and place.holds is None:
        return Text.assemble(_UNKNOWN, f": {printable(place.why)}")
    if isinstance(place, RuleResult):
        return _COUNTS_NOT
    if verdict.kind is Kind.UNKNOWN:
        return Text.assemble(_UNKNOWN, f": {printable(verdict.reason)}")
    return Text.assemble(_COUNTS_NOT, f": {verdict.policy} claims it")


# The verdict

_WORDS = {
    Kind.KEPT: ("kept", GOOD),
    Kind.EXEMPT: ("exempt", GOOD),
    Kind.UNKNOWN: ("unknown, so it is kept", BAD),
    Kind.REPORTED: ("reported, not stopped", STRONG),
    Kind.DUE: ("due", BAD),
}
_CLOCKS = {"events": ", by its dated events", "started_time": ", by its startedTime"}


def _conclusion(explained: Explanation, source: str) -> Iterator[Text | str]:
    """The verdict with its reason, the line that decided, and what a run makes of it."""
    verdict, named, due = explained.verdict, explained.if_named, explained.verdict.kind is Kind.DUE
    word, style = _WORDS[verdict.kind]
    keepers = [step for step in explained.steps if _may_choose(step, explained)]
    stopping = any(map(_stops, keepers))
    unless = ", unless it is one too many" if stopping else ""
    reason = _reason(verdict, word)
    if verdict.kind is Kind.KEPT and verdict.policy is None and explained.task.status in UNFINISHED:
        reason = "" if verdict.members else f": {verdict.reason}"
    yield Text.assemble((f"{word}{unless}", style), reason)
    if verdict.line:
        yield f"decided by {source}:{verdict.line}{_CLOCKS.get(verdict.clock or '', '')}"
    if verdict.also:
        yield f"claimed also by {', '.join(verdict.also)}"
    if named.kind is Kind.DUE and not due:
        yield f"due if an event names it, by {named.policy}, {source}:{named.line}"
    if explained.stuck is not None and explained.stuck.holds:
        yield "stuck: asked to stop, and still Stopping; every run reports it"
    for step in keepers:
        reported = "" if _stops(step) else "; it would be reported, not stopped"
        place = f"counts for {step.policy.name} ({source}:{step.policy.line})"
        yield f"{place}: whether it is one too many depends on the other tasks{reported}"
    if explained.due_in is not None:
        yield f"due in {format_duration(explained.due_in)}, if it is {explained.task.status} until then"
    elif not due and explained.task.status in ALIVE and not stopping:
        yield "time alone will not make it due"
    for step in explained.steps:
        place = f"{source}:{step.policy.line}"
        if step.held_out:
            share = percent(step.policy.holdout or 0)
            yield f"never stopped by {step.policy.name}: `holdout` spares {share} of all ids ({place})"
        elif due and step.policy.name == verdict.policy and step.policy.triggers:
            yield f"stopped only by a run that {' or '.join(step.policy.triggers)} starts"


def _reason(verdict: Verdict, word: str) -> str:
    parts = [f", {verdict.policy}"] if verdict.policy else []
    # An unknown expression begins its reason with the rule, and some verdicts are named like their rule.
    if verdict.rule not in (None, verdict.kind.value) and not verdict.reason.startswith(f"{verdict.rule}: "):
        parts.append(f", {verdict.rule}")
    if verdict.age is not None:
        parts.append(f" {format_duration(verdict.age)}")
    if verdict.limit is not None:
        parts.append(f" of {format_duration(verdict.limit)}")
    if verdict.over is not None and verdict.over > 0:
        parts.append(f", {format_duration(verdict.over)} over")
    return "".join(parts) + ("" if verdict.reason == word else f": {printable(verdict.reason)}")


def _stops(step: Step) -> bool:
    return step.policy.stops and step.unapproved is None


def _may_choose(step: Step, explained: Explanation) -> bool:
    """Whether the `keep` of *step* may find the task one too many."""
    member = explained.counted(step)
    return member is not None and member.selectable and not step.held_out
