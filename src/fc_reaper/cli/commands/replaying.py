"""`backtest` and `diff`: what a policy, or a change of it, would have done."""

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
    Save,
    Since,
    Until,
    environment,
    never_enforces,
)


def backtest(
    policy: PolicyFile = None,
    history: History = None,
    read: Read = False,
    save: Save = None,
    interval: Interval = None,
    since: Since = None,
    until: Until = None,
    memory: Annotated[
        int | None,
        typer.Option("--memory", metavar="MB", min=1, max=1_048_576, help="Of a function; adds GB-seconds."),
    ] = None,
    suggested: Annotated[
        bool, typer.Option("--suggest", help="Also measure the tasks, and name the smallest limits.")
    ] = False,
    svg: Annotated[
        str | None, typer.Option("--svg", metavar="FILE", help="Draw lengths, limit and false stops.")
    ] = None,
    drawn: Annotated[
        str | None, typer.Option("--draw", metavar="POLICY", help="With --svg: that one, not the first.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --svg write over a file.")] = False,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: NeverEnforce = None,
    as_json: Json = False,
) -> None:
    """Show what the policy would have stopped in the history, and what became of it. Stops nothing.

    The history is a file of records, or all that the cloud still knows of the policy's targets.
    """
    from fc_reaper.cli.replaying.backtest import Wanted
    from fc_reaper.cli.replaying.backtest import backtest as command
    from fc_reaper.cli.replaying.history import Given

    def run() -> int:
        never_enforces("backtest", enforce)
        wanted = Wanted(as_json, memory, suggested, svg, drawn, force)
        given = Given(history, read, save, interval, since, until)
        return command(environment(policy=policy, endpoint=endpoint, api_version=api_version), given, wanted)

    leave(run)


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The policy file as it is.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The policy file as it would be.")],
    history: History = None,
    read: Read = False,
    save: Save = None,
    interval: Interval = None,
    since: Since = None,
    until: Until = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: NeverEnforce = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a table for a pull request.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a change of policy would have changed in the history. Stops nothing."""
    from fc_reaper.cli.replaying.diff import diff as command
    from fc_reaper.cli.replaying.history import Given

    def run() -> int:
        never_enforces("diff", enforce)
        given = Given(history, read, save, interval, since, until)
        env = environment(endpoint=endpoint, api_version=api_version)
        return command(old, new, env, given, as_json=as_json, as_markdown=as_markdown)

    leave(run)
