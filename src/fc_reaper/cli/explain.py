"""`fc-reaper explain`: the verdict for one task, step by step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from rich.text import Text
from typer import Argument, Option

from fc_reaper.backtest.source import NotARecord, Record, id_of, parse_json, parse_record
from fc_reaper.cli.app import Api, AsJson, Endpoint, PolicyFile, environment, parse_moment
from fc_reaper.cli.output import (
    BAD,
    GOOD,
    SOFT,
    STRONG,
    CommandError,
    Does,
    OrNone,
    Percent,
    Seconds,
    Texts,
    Triggers,
    View,
    counted,
    format_seconds,
    inner,
    print_json,
    printable,
    progress,
    read_input,
    short,
    show,
    table,
)
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.errors import CloudError
from fc_reaper.evaluator import explain as evaluator
from fc_reaper.evaluator.explain import Explanation, Step
from fc_reaper.evaluator.verdict import Kind, Member
from fc_reaper.models import ALIVE, Exit, Function, Millis, Snapshot, Task, iso
from fc_reaper.names import check_names
from fc_reaper.policy_files import read_policy, read_unapproved
from fc_reaper.rules.duration import format_duration
from fc_reaper.rules.target import parse_target
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
    if record is not None:
        snapshot = Snapshot(_task_in_file(record, target, invocation_id), SYSTEM_CLOCK.now())
    elif target is not None and invocation_id is not None:
        with progress("Reading the task ..."):
            snapshot = _read_task(_function_of(target), invocation_id, settings, env)
    else:
        raise CommandError("give TARGET and ID, such as media/transcode@prod job-7, or a file with --record")
    if moment is not None:
        task = snapshot.task
        changed = max((*(event.at for event in task.events), task.started_at or 0))
        if changed > moment + 1000:  # how the task was before, its record does not show
            raise CommandError(
                f"--at {iso(moment)} is before the record's last change, {iso(changed)}; write a later moment"
            )
        snapshot = Snapshot(task, moment)
    explanation = evaluator.explain(
        snapshot.task,
        file,
        snapshot.moment,
        stuck_after=settings.stuck_after,
        started_time=settings.started_time,
        own_function=is_own(snapshot.task.function, settings.ourselves),
        unapproved=read_unapproved(settings, file),
    )
    view = _view_of(explanation, file.source)
    if as_json:
        print_json(view)
    else:
        task, moment = snapshot
        title = f"{printable(task.invocation_id)} at {short(*task.function)}, evaluated as of {iso(moment)}"
        show(Text(title, STRONG), "", table(("step", "condition", "answer"), _rows(view)), "")
        show(*_conclusion(view))
    return Exit.DONE


# Reading the task


def _function_of(target: str) -> Function:
    function = parse_target(target).literal()
    check_names(function)
    return function


def _read_task(
    function: Function, invocation_id: str, settings: Settings, env: Mapping[str, str]
) -> Snapshot:
    credentials = read_credentials(env, Context())
    cloud = connect(settings, credentials, "explain", lambda operation: None, clock=SYSTEM_CLOCK)
    try:
        return cloud.get(function, invocation_id, deadline=SYSTEM_CLOCK.monotonic() + _PATIENCE)
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


def _task_in_file(name: str, target: str | None, invocation_id: str | None) -> Task:
    """Read the one task of a file that TARGET and ID name; a single word may be either of them."""
    records = list(_records(name))
    if target is not None and invocation_id is None and not _is_target(target, records):
        target, invocation_id = None, target
    function = None if target is None else _function_of(target)
    named = [one for one in records if invocation_id in (None, one.id)]
    # Its qualifier may be an alias here and a version there, so a target that fits none excludes none.
    fitting = [one for one in named if function is None or one.function in (None, function)] or named
    if len(fitting) != 1:
        ids = ", ".join(list(dict.fromkeys(one.id for one in fitting or records))[:5])
        found = f"{len(fitting)} records fit" if fitting else "no record fits"
        raise CommandError(f"{name}: {found}; name one with TARGET and ID{f': it has {ids}' if ids else ''}")
    function = function or fitting[0].function
    if function is None:
        raise CommandError(f"{name}: the record names no function; add TARGET, such as media/transcode@prod")
    return fitting[0].task(function)


def _is_target(word: str, records: Iterable[Record]) -> bool:
    if any(one.id == word for one in records):
        return False
    names_it = any(one.function is None or one.function.name == word for one in records)
    return names_it or "/" in word or "@" in word


def _records(name: str) -> Iterator[Record]:
    """The records of the whole text, else those of its lines."""
    raw = read_input(name)
    try:
        json.loads(raw)
        pieces = [(name, raw)]
    except (ValueError, RecursionError):
        lines = enumerate(raw.splitlines(), 1)
        pieces = [(f"{name}:{number}", line) for number, line in lines if line.strip()]
    for place, piece in pieces:
        try:
            yield from map(parse_record, _unwrapped(parse_json(piece)))
        except NotARecord as error:
            raise CommandError(f"{place}: {error}") from None


def _unwrapped(value: Any) -> list[Any]:
    """The records in a list, an answer of List (2.0, 3.0) or of an SDK; else *value* itself."""
    if isinstance(value, Mapping) and id_of(value) is None:
        for key in ("invocations", "tasks", "body"):
            if isinstance(value.get(key), (list, dict)):
                return _unwrapped(value[key])
    return value if isinstance(value, list) else [value]


# What --json prints, and the table shows: durations are seconds, moments epoch milliseconds

_Present = Annotated[bool, BeforeValidator(lambda value: value is not None)]


class FieldView(View):
    field: str = inner("path")
    present: _Present = inner("kind")
    kind: str | None


class KeyView(View):
    key: str
    wanted: str
    holds: bool | None = inner("result", "holds")
    age_s: Seconds = inner("result", "age")
    limit_s: Seconds = inner("result", "limit")
    why: OrNone = inner("result", "why")
    reads: list[FieldView] = inner("fields")


class MatcherView(View):
    line: int
    holds: bool | None
    keys: list[KeyView]


class KeepView(View):
    at_most: int
    stop_first: str
    per: OrNone

    @property
    def text(self) -> str:
        """What the `keep` says, in words."""
        per = "" if self.per is None else f" for each {self.per}"
        return f"at most {self.at_most}{per}, {self.stop_first} go first"


class PlaceView(KeepView):
    """A `keep`, and whether the task counts for it; None where that is unknown."""

    reads: list[FieldView] = Field(default_factory=list)
    counts: bool | None = False
    may_be_chosen: bool = False
    age_s: float | None = None
    why: str | None = None


class PolicyView(View):
    name: str = inner("policy", "name")
    line: int = inner("policy", "line")
    does: Does = inner("policy", "stops")
    targets: Texts = inner("policy", "targets")
    triggers: Triggers = inner("policy", "triggers")
    target_fits: _Present = inner("match")
    match: MatcherView | None
    unless: list[MatcherView]
    claims: bool | None = inner("result", "holds")
    keep: PlaceView | None = inner("policy", "keep")
    holdout_percent: Percent = inner("policy", "holdout")
    held_out: bool | None
    not_approved: str | None = inner("unapproved")

    @property
    def stops(self) -> bool:
        """Whether it stops what is due, so that it does not only report it."""
        return self.does == "stop" and self.not_approved is None


class VerdictView(View):
    kind: Kind
    policy: str | None
    rule: str | None
    reason: str
    line: int | None
    age_s: Seconds = inner("age")
    limit_s: Seconds = inner("limit")
    over_s: Seconds = inner("over")
    clock: str | None
    also: list[str]


class EventView(View):
    at_ms: int = inner("at")
    status: str


class RecordView(View):
    service: str | None = inner("function", "service")
    name: str = inner("function", "name")
    qualifier: str = inner("function", "qualifier")
    invocation_id: str
    status: str
    retries: int | None
    started_time_ms: int | None = inner("started_at")
    events: list[EventView]
    inconsistency: str | None


class ExplanationView(View):
    source: str
    now_ms: int = inner("now")
    record: RecordView = inner("task")
    exempt: list[MatcherView]
    policies: list[PolicyView] = inner("steps")
    verdict: VerdictView
    if_named: VerdictView
    held_out_by: str | None
    due_in_s: Seconds = inner("due_in")
    stuck: Annotated[bool, BeforeValidator(lambda result: bool(result and result.holds))]


def _view_of(explained: Explanation, source: str) -> ExplanationView:
    verdict = explained.verdict
    held_out = verdict.kind is Kind.DUE and explained.held_out_by(verdict.policy) is not None
    more = {"source": source, "held_out_by": verdict.policy if held_out else None}
    view = ExplanationView.model_validate({**explained._asdict(), **more})
    view.record.inconsistency = explained.inconsistency
    for policy, step in zip(view.policies, explained.steps, strict=True):
        if policy.keep is not None:
            _fill(policy.keep, step, explained.counted(step))
    return view


def _fill(view: PlaceView, step: Step, member: Member | None) -> None:
    place = step.membership
    view.reads = list(map(FieldView.model_validate, step.group_fields))
    view.counts = member is not None
    view.may_be_chosen = member is not None and member.selectable
    if isinstance(place, Member):
        view.age_s = place.age / 1000
    elif place is not None:
        view.why = place.why or None
        view.counts = False if place.holds is not None else None


# The table

_YES, _NO, _UNKNOWN = Text("yes", STRONG), Text("no", SOFT), Text("unknown", BAD)
_COUNTS, _COUNTS_NOT = Text("counts", STRONG), Text("does not count", SOFT)

_Row = tuple[str, str, Text | str]


def _rows(view: ExplanationView) -> Iterator[_Row]:
    record = view.record
    retries = "retries unknown" if record.retries is None else counted(record.retries, "retry", "retries")
    yield "record", f"{record.status or 'no status'}, {retries}", ""
    for event in record.events:
        yield "", event.status, _ago(view.now_ms - event.at_ms)
    if not record.events:
        started = record.started_time_ms
        yield "", "no dated events; startedTime", "never" if started is None else _ago(view.now_ms - started)
    if record.inconsistency is not None:
        yield "", record.inconsistency, _UNKNOWN
    for matcher in view.exempt:
        yield from _matcher_rows("exempt", matcher, f"  {view.source}:{matcher.line}")
    if not view.exempt:
        yield "exempt", "nothing in the file concerns this function", _NO
    for policy in view.policies:
        yield from _policy_rows(policy, view)
    if not view.policies:
        yield "policies", "not evaluated: the steps above decide already", ""


def _ago(length: Millis) -> str:
    return f"{format_duration(length)} ago" if length >= 0 else f"in {format_duration(-length)}"


def _policy_rows(policy: PolicyView, view: ExplanationView) -> Iterator[_Row]:
    not_approved = "" if policy.not_approved is None else ", not approved"
    triggers = "" if policy.triggers == ["all"] else f", only by {' or '.join(policy.triggers)}"
    yield "policy", f"{policy.name} ({policy.does}{not_approved}{triggers}), {view.source}:{policy.line}", ""
    if policy.match is None:
        yield "  targets", ", ".join(policy.targets), _NO
        return
    yield from _matcher_rows("  match", policy.match)
    for matcher in policy.unless:
        yield from _matcher_rows("  unless", matcher, f"  {view.source}:{matcher.line}")
    if policy.keep is not None:
        yield "  keep", policy.keep.text, _place(policy.keep, view.verdict)
        yield from _field_rows(policy.keep.reads)
    if policy.held_out is not None:
        held = Text.assemble(_YES, ": spared by its id") if policy.held_out else _NO
        yield "  holdout", f"{policy.holdout_percent:g}% of all ids", held
    if policy.not_approved is not None:
        yield "  lock", policy.not_approved, Text("not approved: only reports", BAD)


def _matcher_rows(name: str, matcher: MatcherView, where: str = "") -> Iterator[_Row]:
    """A row for each key; the first one names the matcher, and *where* it stands."""
    for key in matcher.keys:
        yield name, f"{key.key}: {key.wanted}{where}", _answer(key)
        yield from _field_rows(key.reads)
        name = where = ""


def _field_rows(fields: Iterable[FieldView]) -> Iterator[_Row]:
    """The fields that an expression reads; of their values only the kind."""
    for one in fields:
        kind = Text(f"present: {one.kind}", SOFT) if one.present else Text("absent", BAD)
        yield "", f"  {one.field}", kind


def _answer(key: KeyView) -> Text:
    if key.holds is None:
        return Text.assemble(_UNKNOWN, f": {printable(key.why or '')}")
    answer = _YES if key.holds else _NO
    if key.age_s is None or key.limit_s is None:
        return answer
    limit = f" of {format_seconds(key.limit_s)}" if key.reads else ""
    over = f"{format_seconds(abs(key.age_s - key.limit_s))} {'over' if key.holds else 'left'}"
    return Text.assemble(answer, f": {format_seconds(key.age_s)}{limit}, {over}")


def _place(keep: PlaceView, verdict: VerdictView) -> Text:
    """Whether a run counts the task for a `keep`, where other policies matter as well."""
    if keep.counts:
        spared = "" if keep.may_be_chosen else ", and is never stopped"
        return Text.assemble(_COUNTS, f": first enqueued {format_seconds(keep.age_s)} ago{spared}")
    if keep.counts is None:
        return Text.assemble(_UNKNOWN, f": {printable(keep.why or '')}")
    if keep.age_s is None:
        return _COUNTS_NOT
    why = verdict.reason if verdict.kind is Kind.UNKNOWN else f"{verdict.policy} claims it"
    return Text.assemble(_COUNTS_NOT, f": {printable(why)}")


# The verdict

_WORDS = {
    Kind.KEPT: ("kept", GOOD),
    Kind.EXEMPT: ("exempt", GOOD),
    Kind.UNKNOWN: ("unknown, so it is kept", BAD),
    Kind.REPORTED: ("reported, not stopped", STRONG),
    Kind.DUE: ("due", BAD),
}
_CLOCKS = {"events": ", by its dated events", "started_time": ", by its startedTime"}


def _conclusion(view: ExplanationView) -> Iterator[Text | str]:
    """The verdict with its reason, the line that decided, and what a run makes of it."""
    verdict, named, status = view.verdict, view.if_named, view.record.status
    word, style = _WORDS[verdict.kind]
    due = verdict.kind is Kind.DUE
    keepers = [one for one in view.policies if one.keep and one.keep.may_be_chosen and not one.held_out]
    stopping = any(one.stops for one in keepers)
    unless = ", unless it is one too many" if stopping else ""
    counts = verdict.policy is None and any(one.keep and one.keep.counts for one in view.policies)
    yield Text.assemble((f"{word}{unless}", style), "" if counts else _reason(verdict, word))
    if verdict.line:
        yield f"decided by {view.source}:{verdict.line}{_CLOCKS.get(verdict.clock or '', '')}"
    if verdict.also:
        yield f"claimed also by {', '.join(verdict.also)}"
    if named.kind is Kind.DUE and not due:
        yield f"due if an event names it, by {named.policy}, {view.source}:{named.line}"
    if view.stuck:
        yield "stuck: asked to stop, and still Stopping; every run reports it"
    for one in keepers:
        reported = "" if one.stops else "; it would be reported, not stopped"
        place = f"counts for {one.name} ({view.source}:{one.line})"
        yield f"{place}: whether it is one too many depends on the other tasks{reported}"
    if view.due_in_s is not None:
        yield f"due in {format_seconds(view.due_in_s)}, if it is {status} until then"
    elif not due and status in ALIVE and not stopping:
        yield "time alone will not make it due"
    for one in view.policies:
        if one.held_out:
            share, place = f"{one.holdout_percent:g}%", f"({view.source}:{one.line})"
            yield f"never stopped by {one.name}: `holdout` spares {share} of all ids {place}"
        elif due and one.name == verdict.policy and one.triggers != ["all"]:
            yield f"stopped only by a run that {' or '.join(one.triggers)} starts"


def _reason(verdict: VerdictView, word: str) -> str:
    """Policy, rule, numbers and reason, as far as they say more than *word* does."""
    text = f", {verdict.policy}" if verdict.policy else ""
    # An unknown expression begins its reason with the rule.
    if verdict.rule not in (None, "status", word) and not verdict.reason.startswith(f"{verdict.rule}: "):
        text += f", {verdict.rule}"
    if verdict.age_s is not None:
        text += f" {format_seconds(verdict.age_s)}"
    if verdict.limit_s is not None:
        text += f" of {format_seconds(verdict.limit_s)}"
    if verdict.over_s is not None and verdict.over_s > 0:
        text += f", {format_seconds(verdict.over_s)} over"
    return text if verdict.reason == word else f"{text}: {printable(verdict.reason)}"
