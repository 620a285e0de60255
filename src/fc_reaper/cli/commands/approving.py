"""`approve`: look, then let a policy stop tasks."""

from __future__ import annotations

from typing import Annotated

import typer

from fc_reaper.cli.ending import leave
from fc_reaper.cli.options import (
    Api,
    Endpoint,
    History,
    Interval,
    Json,
    NeverEnforce,
    PolicyFile,
    Read,
    environment,
    never_enforces,
)


def approve(
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: NeverEnforce = None,
    history: History = None,
    read: Read = False,
    interval: Interval = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Only this policy; may be repeated.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Approve, without a question, what nothing speaks against.")
    ] = False,
    despite_doubts: Annotated[
        bool, typer.Option("--despite-doubts", help="With --yes: approve also what something speaks against.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what the policies would do and would have done, ask, and write policy.lock beside them.

    Where a policy.lock lies beside the policy, only what is in it stops; all else reports. This command stops
    nothing. A policy that something speaks against is approved only by typing its name.
    """
    from fc_reaper.cli.approving.approve import Wanted
    from fc_reaper.cli.approving.approve import approve as command
    from fc_reaper.cli.replaying.history import Given

    def run() -> int:
        never_enforces("approve", enforce)
        given = Given(history=history, read=read, interval=interval)
        return command(
            environment(policy=policy, endpoint=endpoint, api_version=api_version),
            given,
            Wanted(tuple(only or ()), yes, despite_doubts, as_json),
        )

    leave(run)
