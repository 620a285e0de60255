"""`fc-reaper invoke`: the handler on an event, as the platform would run it, or how the event is read."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Annotated, Any, TextIO
from uuid import UUID

from rich.table import Table
from typer import Argument, Option

from fc_reaper.cli import output
from fc_reaper.cli.app import Cloud, Enforce, PolicyOption, environment, with_cloud
from fc_reaper.cli.output import CommandError, show, table
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.cloud import AsyncTaskClient, ReadOnlyClient
from fc_reaper.events import OwnAccount, Selector, Trigger, parse_event
from fc_reaper.events.parser import MOST_BYTES
from fc_reaper.log import Listener
from fc_reaper.log_lines import Lines
from fc_reaper.models import Exit
from fc_reaper.policy import PolicyFile
from fc_reaper.run import Dependencies, PlannedRun, RunResult, run
from fc_reaper.settings import Context, connect, read_policy, read_settings
from fc_reaper.sweep import Foresee
from fc_reaper.sweep.scope import scope_of


@with_cloud
def invoke(
    event: Annotated[str, Argument(metavar="EVENT", help="File with the event's bytes; - reads stdin.")],
    policy: PolicyOption = None,
    cloud: Cloud = None,
    enforce: Enforce = None,
    timeout: Annotated[float, Option(metavar="SECONDS", min=1, max=86_400, help="Of the function.")] = 600,
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
    env = environment(policy=policy, enforce=enforce, keys=not explained, **cloud)
    raw = read_event(event)
    if explained:
        return _explain(raw, env, as_json=as_json)
    lines, stream = Lines(), output.LogStream(sys.stderr)
    with output.interruptible() as stop:
        finished = run_local(raw, env, stream, timeout=timeout, listener=lines, interrupted=stop.is_set)
    output.print_json(finished.fields)
    if finished.exit is Exit.UNREACHABLE:
        output.print_error(*output.advice_for(lines.of("list_failed")))
    return finished.exit or (Exit.ATTENTION if stream.fault else Exit.DONE)


def read_event(name: str) -> bytes:
    """Read the raw bytes of the file *name*, of standard input for `-`; not much more than an event may have.

    CommandError if it cannot be read, or is a policy.
    """
    if name.endswith((".yaml", ".yml")):
        raise CommandError(f"{name} is not an event; did you mean --policy {name}?")
    return output.read_input(name, MOST_BYTES + 1)


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
    approved: PolicyFile | None = None,
    foresee: Foresee | None = None,
) -> RunResult:
    """Run once for *event*, as the platform would with a function timeout of *timeout* seconds.

    In the mode dry-run its client cannot stop anything, whatever the run decides. The other arguments are
    those of `Dependencies` and `run`.
    """
    random = Random()
    kind = AsyncTaskClient if env.get("REAPER_MODE") == "enforce" else ReadOnlyClient
    opened = partial(connect, clock=SYSTEM_CLOCK, jitter=random.random, kind=kind)
    seams = (opened, interrupted, shown, listener, foresee)
    dependencies = Dependencies(env, stream, SYSTEM_CLOCK, random, *seams)
    request_id = str(UUID(int=random.getrandbits(128), version=4))
    context = SimpleNamespace(request_id=request_id, function=SimpleNamespace(timeout=timeout))
    return run(event, context, dependencies, planned_run, approved=approved)


def _explain(raw: bytes, env: Mapping[str, str], *, as_json: bool) -> int:
    trigger = parse_event(raw, OwnAccount(env.get("FC_REGION") or None, env.get("FC_ACCOUNT_ID") or None))
    scope = scope_of(trigger.requests, read_policy(read_settings(env, Context())).policies)
    notes = [*trigger.notes, *scope.notes]
    targets = list(dict.fromkeys(str(target) for area in scope.areas for target in area.targets))
    requests = [
        {"kind": one.kind, "name": one.name, "part": one.part, **one.selector._asdict(),
         "policies": [area.policy.name for area in scope.areas if area.request == one]}
        for one in trigger.requests
    ]  # fmt: skip
    if as_json:
        readings = [reading._asdict() for reading in trigger.readings]
        said = {"readings": readings, "requests": requests, "targets": targets}
        wish = {"dry_run": trigger.dry_run, "dry_run_asked_at": trigger.dry_run_asked_at}
        output.print_json({**said, "notes": [note._asdict() for note in notes], **wish})
    else:
        show(*_tables(trigger, requests))
        show(*(f"{note.event}{note.part and ' '}{note.part}: {note.why}" for note in notes))
        show(f"Targets of the run: {', '.join(targets) or 'none'}.")
        if trigger.dry_run:
            where = trigger.dry_run_asked_at
            show(f"The event requests a dry run ({where}), so nothing would be stopped whatever the mode.")
    refused = trigger.refused or any(note.event == "trigger_refused" for note in scope.notes)
    return Exit.REFUSED if refused and not scope.areas else Exit.DONE


def _tables(trigger: Trigger, requests: Iterable[Mapping[str, Any]]) -> Iterator[Table | str]:
    parts = [
        (one.part or "whole", " > ".join(one.layers) or "-", one.source, one.state or "-")
        for one in trigger.readings
    ]
    if parts:
        yield from (table(("part", "wrapped in", "understood as", "state"), parts), "")
    runs = []
    for one in requests:
        named = ", ".join(f"{key.replace('_', ' ')} {one[key]}" for key in Selector._fields if one[key])
        kind, its = ":".join(filter(None, (one["kind"], one["name"]))), ", ".join(one["policies"])
        runs.append((one["part"] or "whole", kind, named or "all targets", its or "none"))
    if runs:
        yield from (table(("part", "trigger", "about", "policies that run"), runs), "")
