"""`fc-reaper backtest`: what a policy would have stopped in the history."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from fc_reaper.cli.options import (
    Api,
    AsJson,
    Endpoint,
    History,
    Interval,
    PolicyFile,
    Read,
    Save,
    Since,
    Until,
    environment,
)
from fc_reaper.cli.replaying.backtest import Wanted
from fc_reaper.cli.replaying.backtest import backtest as replay_policy
from fc_reaper.cli.replaying.history import Given


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
        Option("--memory", metavar="MB", min=1, max=1_048_576, help="Function memory; adds GB-seconds."),
    ] = None,
    suggested: Annotated[
        bool, Option("--suggest", help="Also measure the tasks and suggest limits.")
    ] = False,
    svg: Annotated[
        str | None, Option("--svg", metavar="FILE", help="Draw lengths, limit and false stops.")
    ] = None,
    drawn: Annotated[
        str | None, Option("--draw", metavar="POLICY", help="Policy to draw; default: the first.")
    ] = None,
    force: Annotated[bool, Option("--force", help="Let --svg overwrite a file.")] = False,
    endpoint: Endpoint = None,
    api_version: Api = None,
    as_json: AsJson = False,
) -> int:
    """Show what the policy would have stopped in the history.

    And what became of these tasks. The history is a file of records, or all that the cloud still knows of the
    policy's targets. Stops nothing.

    \b
    Examples:
      fc-reaper backtest --history examples/history.jsonl --suggest
      fc-reaper backtest --save history.jsonl
    """
    wanted = Wanted(as_json, memory, suggested, svg, drawn, force)
    given = Given(history, read, save, interval, since, until)
    return replay_policy(
        environment(policy=policy, endpoint=endpoint, api_version=api_version), given, wanted
    )
