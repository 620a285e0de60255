"""`fc-reaper apply`: stop the tasks of a plan that are still due."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from fc_reaper.cli.options import Api, AsJson, Endpoint, PolicyFile, environment
from fc_reaper.cli.planning.apply import apply as apply_plan


def apply(
    plan_file: Annotated[
        str, Argument(metavar="PLAN", help="File written by plan --out; - reads standard input.")
    ],
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: Annotated[
        bool | None, Option("--enforce/--dry-run", help="--enforce is required, whatever the mode.")
    ] = None,
    max_age: Annotated[
        str, Option("--max-age", metavar="TIME", show_default=False, help="Refuse an older plan; 1h.")
    ] = "1h",
    most: Annotated[
        int | None, Option("--max", metavar="N", min=1, help="Stop at most N tasks; lowers budgets.")
    ] = None,
    log: Annotated[
        str | None, Option("--log", metavar="FILE", help="Append the JSON log lines to this file.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Stop the tasks of a plan that are still due, and no others.

    Each task is read again right before its stop. A plan is refused if it is for another account or region,
    was made of another policy, or is too old. Safe to interrupt and to run again: what is stopped already
    counts as done.

    \b
    Example:
      fc-reaper apply plan.json --enforce
    """
    return apply_plan(
        plan_file,
        environment(policy=policy, endpoint=endpoint, api_version=api_version),
        enforce=enforce,
        max_age=max_age,
        most=most,
        log=log,
        json_wanted=as_json,
    )
