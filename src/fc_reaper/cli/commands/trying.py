"""`demo` and `invoke`: see it work, and run the handler on an event."""

from __future__ import annotations

from typing import Annotated

import typer

from fc_reaper.cli.ending import leave
from fc_reaper.cli.options import Api, Endpoint, Enforce, Event, PolicyFile, environment


def demo() -> None:
    """A careless cron and fc-reaper on the same small account, on this machine; then the truth.

    Needs no account and reads no settings. Exit code 0 if fc-reaper stopped the right tasks and no others.
    """
    from fc_reaper.cli.demo import demo as command

    leave(command)


def invoke(
    event: Event,
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: Enforce = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, max=86_400, help="The function's timeout to pretend.")
    ] = 600,
    explained: Annotated[
        bool, typer.Option("--explain", help="Only say how the event is read; asks no cloud.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --explain; a result is always JSON.")] = False,
) -> None:
    """Run the handler on an event, as the platform would.

    JSON log lines go to standard error, the result as one JSON object to standard output. Stops tasks only
    with --enforce or REAPER_MODE=enforce.
    """
    from fc_reaper.cli.invoke import invoke as command
    from fc_reaper.cli.reading import explain_event

    def run() -> int:
        env = environment(policy=policy, endpoint=endpoint, api_version=api_version, enforce=enforce)
        return explain_event(event, env, json_wanted=as_json) if explained else command(event, env, timeout)

    leave(run)
