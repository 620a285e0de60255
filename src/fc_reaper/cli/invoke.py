"""`fc-reaper invoke`: the handler on an event, as the platform would run it, or how the event is read."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Annotated, TextIO
from uuid import UUID

from pydantic import Field
from typer import Option

from fc_reaper.cli.hints import advice_for
from fc_reaper.cli.options import Api, Endpoint, EventFile, PolicyFile, environment
from fc_reaper.cli.output import (
    CommandError,
    LogStream,
    View,
    inner,
    interruptible,
    print_error,
    print_json,
    printable,
    show,
    table,
)
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.events import parse_event
from fc_reaper.log import Lines, Listener
from fc_reaper.models import Exit
from fc_reaper.policy import PolicyFile as File
from fc_reaper.policy_files import read_policy
from fc_reaper.run import Dependencies, PlannedRun, RunResult, own_account, run
from fc_reaper.settings import Context, connect, read_settings
from fc_reaper.sweep.scope import scope_of

_MOST_BYTES = 1_048_577
"""Bytes of an event that are read at most; an event of that size is refused anyway."""


def invoke(
    event: EventFile,
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: Annotated[
        bool | None, Option("--enforce/--dry-run", help="Stop what is due, or report it; REAPER_MODE.")
    ] = None,
    timeout: Annotated[
        float,
        Option(metavar="SECONDS", min=1, max=86_400, show_default=False, help="Function timeout; 600."),
    ] = 600,
    explained: Annotated[bool, Option("--explain", help="Only show how the event is read.")] = False,
    as_json: Annotated[bool, Option("--json", help="With --explain: print one JSON object.")] = False,
) -> int:
    """Run the handler on an event, as the platform would.

    JSON log lines go to standard error, the result as one JSON object to standard output. Tasks are stopped
    only with --enforce or REAPER_MODE=enforce.

    \b
    Examples:
      fc-reaper invoke events/timer.json --dry-run
      fc-reaper invoke events/alertmanager.json --explain
    """
    env = environment(policy=policy, endpoint=endpoint, api_version=api_version, enforce=enforce)
    raw = read_event(event)
    if explained:
        return _explain(raw, env, as_json=as_json)
    failures = Lines("list_failed")
    with interruptible() as interrupted:
        stream = LogStream(sys.stderr)
        finished = run_local(
            raw, env, stream, timeout=timeout, listener=failures, interrupted=interrupted.is_set
        )
    print_json(finished.result.fields())
    if finished.exit is Exit.UNREACHABLE:
        print_error(*advice_for(failures))
    return finished.exit


def read_event(name: str) -> bytes:
    """Read the raw bytes of the file *name*, of standard input for `-`; not much more than an event may have.

    Raises:
        CommandError: it cannot be read, or it is a policy.
    """
    if name.endswith((".yaml", ".yml")):
        raise CommandError(f"{name} is not an event; did you mean --policy {name}?")
    try:
        if name == "-":
            return sys.stdin.buffer.read(_MOST_BYTES)
        with Path(name).open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        why = "there is no such file" if error.errno == errno.ENOENT else error.strerror
        raise CommandError(f"{name}: {why}; give a file with an event, such as events/timer.json") from None


def run_local(
    event: bytes,
    env: Mapping[str, str],
    stream: TextIO | None = None,
    *,
    timeout: float,
    listener: Listener | None = None,
    shown: int = 100,
    interrupted: Callable[[], bool] = lambda: False,
    planned_run: PlannedRun | None = None,
    approved: File | None = None,
) -> RunResult:
    """Run once for *event*, as the platform would with a function timeout of *timeout* seconds.

    Log lines go to *stream*, and as values to *listener*. The result holds at most *shown* due tasks. Once
    *interrupted* returns True the run comes to its end. A *planned_run* lists nothing: it is about the
    planned tasks. *approved* takes the place of the policy of *env*, as if policy.lock approved it.
    """
    random = Random()
    opened = partial(connect, clock=SYSTEM_CLOCK, jitter=random.random)
    dependencies = Dependencies(env, stream, SYSTEM_CLOCK, random, opened, interrupted, shown, listener)
    request_id = str(UUID(int=random.getrandbits(128), version=4))
    context = SimpleNamespace(request_id=request_id, function=SimpleNamespace(timeout=timeout))
    return run(event, context, dependencies, planned_run, approved=approved)


# --explain


class ReadingView(View):
    part: str
    layers: list[str]
    source: str
    state: str | None


class RequestView(View):
    kind: str
    name: str | None
    part: str
    service: str | None = inner("selector", "service")
    function: str | None = inner("selector", "function")
    qualifier: str | None = inner("selector", "qualifier")
    invocation_id: str | None = inner("selector", "invocation_id")
    policies: list[str] = Field(default_factory=list)


class NoteView(View):
    event: str
    why: str
    part: str


class EventView(View):
    """How an event is read: what its parts are wrapped in, what they request, and the targets of the run."""

    readings: list[ReadingView]
    requests: list[RequestView]
    targets: list[str]
    notes: list[NoteView]
    dry_run: bool


def _explain(raw: bytes, env: Mapping[str, str], *, as_json: bool) -> int:
    trigger = parse_event(raw, own_account(env, Context()))
    policies = read_policy(read_settings(env, Context())).policies
    scope = scope_of(trigger.requests, policies)
    view = EventView(
        readings=list(map(ReadingView.model_validate, trigger.readings)),
        requests=list(map(RequestView.model_validate, trigger.requests)),
        targets=list(dict.fromkeys(str(target) for area in scope.areas for target in area.targets)),
        notes=[NoteView.model_validate(note) for note in (*trigger.notes, *scope.notes)],
        dry_run=trigger.dry_run,
    )
    for shown, request in zip(view.requests, trigger.requests, strict=True):
        shown.policies = [area.policy.name for area in scope.areas if area.request == request]
    if as_json:
        print_json(view)
    else:
        watched = dict.fromkeys(str(target) for area in scope.watched for target in area.targets)
        _show(view, list(watched) if trigger.kind == "timer" else [], [one.name for one in policies])
    refused = trigger.refused or any(note.event == "trigger_refused" for note in scope.notes)
    return Exit.REFUSED if refused and not scope.areas else Exit.DONE


def _show(view: EventView, watched: Sequence[str], policies: Sequence[str]) -> None:
    readings = [
        (one.part or "whole", " > ".join(one.layers) or "-", one.source, one.state or "-")
        for one in view.readings
    ]
    requests = [
        (
            one.part or "whole",
            one.kind if one.name is None else f"{one.kind}:{one.name}",
            _selected(one),
            ", ".join(one.policies) or "none",
        )
        for one in view.requests
    ]
    for heads, rows in (
        (("part", "wrapped in", "understood as", "state"), readings),
        (("part", "trigger", "about", "policies that run"), requests),
    ):
        if rows:
            show(table(heads, [[printable(cell) for cell in row] for row in rows]), "")
    for note in view.notes:
        show(printable(f"{note.event}{f' {note.part}' if note.part else ''}: {note.why}"))
    show(f"Targets of the run: {', '.join(view.targets) or 'none'}.")
    only_stuck = [target for target in watched if target not in view.targets]
    if only_stuck:
        show(f"Only for tasks that are stuck: {', '.join(only_stuck)}.")
    if view.dry_run:
        show("The event requests a dry run, so nothing would be stopped whatever the mode.")
    running = {name for one in view.requests for name in one.policies}
    if running and (idle := [name for name in policies if name not in running]):
        show(f"Policies that do not run: {', '.join(idle)}.")


def _selected(request: RequestView) -> str:
    names = ("service", "function", "qualifier", "invocation_id")
    found = [f"{name.replace('_', ' ')} {getattr(request, name)}" for name in names if getattr(request, name)]
    return ", ".join(found) or "all targets"
