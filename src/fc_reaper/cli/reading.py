"""`fc-reaper invoke EVENT --explain`: how an event is read, and what it would make a run look at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fc_reaper.cli.ending import say
from fc_reaper.cli.running import read_event
from fc_reaper.cli.screen import plain, screen, show, table
from fc_reaper.dependencies import Exit
from fc_reaper.events import Note, Request, Trigger, parse_event
from fc_reaper.policy import PolicyFile
from fc_reaper.policy_files import read_policy
from fc_reaper.run import own_account
from fc_reaper.settings import Context, read_settings
from fc_reaper.sweep.scope import Scope, scope_of


def explain_event(event: str, env: Mapping[str, str], *, json_wanted: bool) -> int:
    """Print layers, sender, state, what was found and refused, and the policies that would run.

    Asks nobody: what a pattern stands for is left to a run.
    """
    trigger = parse_event(read_event(event), own_account(env, Context()))
    policy = read_policy(read_settings(env, Context()))
    scope = scope_of(trigger.requests, policy.policies)
    if json_wanted:
        say(json.dumps(_as_json(trigger, scope)))
    else:
        _show(trigger, scope, policy)
    refused_whole = trigger.refused or (not scope.areas and _refused(scope.notes))
    return int(Exit.REFUSED if refused_whole else Exit.DONE)


def _show(trigger: Trigger, scope: Scope, policy: PolicyFile) -> None:
    console = screen()
    rows = [
        (one.part or "whole", " > ".join(one.layers) or "-", one.source, one.state or "-")
        for one in trigger.readings
    ]
    if rows:
        show(console, table(("part", "wrapped in", "understood as", "state"), map(_plain, rows)), "")
    requests = [
        (one.part or "whole", _kind(one), _selector(one), _started(scope, one)) for one in trigger.requests
    ]
    if requests:
        show(console, table(("part", "request", "selects", "policies that run"), map(_plain, requests)), "")
    for note in (*trigger.notes, *scope.notes):
        show(console, plain(f"{note.event}{f' {note.part}' if note.part else ''}: {note.why}"))
    targets = dict.fromkeys(str(target) for area in scope.areas for target in area.targets)
    show(console, f"Would look at: {', '.join(targets) or 'nothing'}.")
    watched = dict.fromkeys(str(target) for area in scope.watched for target in area.targets)
    stuck = [target for target in watched if target not in targets]
    if stuck and trigger.kind == "timer":
        show(console, f"Only for what is stuck there: {', '.join(stuck)}.")
    if trigger.dry_run:
        show(console, "It asks for a dry run, so nothing would be stopped whatever the mode.")
    silent = [one.name for one in policy.policies if one not in [area.policy for area in scope.areas]]
    if silent and scope.areas:
        show(console, f"Not run: {', '.join(silent)}.")


def _as_json(trigger: Trigger, scope: Scope) -> dict[str, Any]:
    return {
        "readings": [one._asdict() for one in trigger.readings],
        "requests": [
            {
                "kind": one.kind,
                "name": one.name,
                "part": one.part,
                **one.selector._asdict(),
                "policies": list(_policies(scope, one)),
            }
            for one in trigger.requests
        ],
        "targets": list(dict.fromkeys(str(target) for area in scope.areas for target in area.targets)),
        "notes": [note._asdict() for note in (*trigger.notes, *scope.notes)],
        "dry-run": trigger.dry_run,
    }


def _policies(scope: Scope, request: Request) -> Iterator[str]:
    return (area.policy.name for area in scope.areas if area.ask == request)


def _started(scope: Scope, request: Request) -> str:
    return ", ".join(_policies(scope, request)) or "none"


def _kind(request: Request) -> str:
    return request.kind if request.name is None else f"{request.kind}:{request.name}"


def _selector(request: Request) -> str:
    named = ((name, value) for name, value in request.selector._asdict().items() if value is not None)
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in named) or "all targets"


def _plain(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(plain(cell) for cell in row)


def _refused(notes: list[Note]) -> bool:
    return any(note.event == "trigger_refused" for note in notes)
