"""`fc-reaper approve`: show what the policies would do, ask, and write policy.lock."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from fc_reaper.cli.approving.approve import Wanted
from fc_reaper.cli.approving.approve import approve as approve_policies
from fc_reaper.cli.history import HistoryOptions
from fc_reaper.cli.options import (
    Api,
    AsJson,
    Endpoint,
    History,
    Interval,
    PolicyFile,
    Read,
    environment,
)


def approve(
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    history: History = None,
    read: Read = False,
    interval: Interval = None,
    only: Annotated[
        list[str] | None, Option("--only", metavar="NAME", help="Only this policy; may be repeated.")
    ] = None,
    yes: Annotated[bool, Option("--yes", help="Approve, unasked, what has no objections.")] = False,
    despite_objections: Annotated[
        bool, Option("--despite-objections", help="With --yes: approve the others as well.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Show plan and backtest, ask, and write policy.lock.

    Beside a policy.lock only the policies in it stop tasks; all others report. This command stops nothing. A
    policy with objections is approved only by typing its name.

    \b
    Example:
      fc-reaper approve --policy policy.yaml
    """
    given = HistoryOptions(history=history, read=read, interval=interval)
    env = environment(policy=policy, endpoint=endpoint, api_version=api_version)
    return approve_policies(env, given, Wanted(tuple(only or ()), yes, despite_objections, as_json))
