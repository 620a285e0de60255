"""`fc-reaper diff`: what a change of policy would have changed in the history."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from fc_reaper.cli.options import (
    Api,
    AsJson,
    Endpoint,
    History,
    Interval,
    Read,
    Save,
    Since,
    Until,
    environment,
)
from fc_reaper.cli.replaying.diff import diff as compare_policies
from fc_reaper.cli.replaying.history import Given


def diff(
    old: Annotated[str, Argument(metavar="OLD", help="The policy file as it is.")],
    new: Annotated[str, Argument(metavar="NEW", help="The policy file as it would be.")],
    history: History = None,
    read: Read = False,
    save: Save = None,
    interval: Interval = None,
    since: Since = None,
    until: Until = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    as_markdown: Annotated[bool, Option("--markdown", help="Print a table for a pull request.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show what a change of policy would have changed. Stops nothing.

    Both policies are replayed over the same history: a file of records, or all that the cloud still knows of
    their targets.

    \b
    Example:
      fc-reaper diff policy.yaml examples/stricter.yaml \\
        --history examples/history.jsonl
    """
    given = Given(history, read, save, interval, since, until)
    env = environment(endpoint=endpoint, api_version=api_version)
    return compare_policies(old, new, env, given, as_json=as_json, as_markdown=as_markdown)
