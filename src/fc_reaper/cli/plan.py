"""`fc-reaper plan`: every task that is due now, and why."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from fc_reaper.cli.options import Api, AsJson, Endpoint, PolicyFile, environment
from fc_reaper.cli.planning.incident import Incident
from fc_reaper.cli.planning.plan import Wanted
from fc_reaper.cli.planning.plan import plan as make_plan


def plan(
    event: Annotated[
        str | None, Argument(metavar="EVENT", help="As for invoke; default: every timer of the policy.")
    ] = None,
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    as_json: AsJson = False,
    out: Annotated[
        str | None, Option("--out", metavar="FILE", help="Write the plan for apply; - is stdout.")
    ] = None,
    force: Annotated[bool, Option("--force", help="Let --out overwrite a file.")] = False,
    target: Annotated[
        list[str] | None, Option("--target", metavar="TARGET", help="Without a policy: functions to stop in.")
    ] = None,
    alive_for: Annotated[
        str | None, Option("--alive-for", metavar="TIME", help="Tasks that are alive for longer.")
    ] = None,
    running_for: Annotated[
        str | None, Option("--running-for", metavar="TIME", help="Tasks that run for longer.")
    ] = None,
    queued_for: Annotated[
        str | None, Option("--queued-for", metavar="TIME", help="Tasks that are queued for longer.")
    ] = None,
    status: Annotated[
        list[str] | None, Option("--status", metavar="STATUS", help="Tasks in this status.")
    ] = None,
    ids: Annotated[list[str] | None, Option("--id", metavar="GLOB", help="Tasks whose id matches.")] = None,
    where: Annotated[
        str | None, Option("--where", metavar="EXPR", help="Tasks for which this JMESPath is true.")
    ] = None,
    reason: Annotated[
        str | None, Option("--reason", metavar="TEXT", help="Why, for the log line of every stop.")
    ] = None,
    most: Annotated[
        int | None, Option("--max", metavar="N", min=1, help="Stop at most N tasks at each apply.")
    ] = None,
) -> int:
    """Show every task that is due, and why. Stops nothing.

    Write the plan to a file with --out, review it, and stop exactly its tasks with apply. With --target and
    the options below it no policy file is needed: a plan for an incident.

    \b
    Examples:
      fc-reaper plan
      fc-reaper plan --out plan.json
      fc-reaper plan --target media/transcode --queued-for 30m \\
        --reason "stale queue" --max 50 --out incident.json
    """
    incident = Incident(
        tuple(target or ()), alive_for, running_for, queued_for, tuple(status or ()), tuple(ids or ()), where,
        reason, most,
    )  # fmt: skip
    given = {"--policy": policy, "--endpoint": endpoint, "--api-version": api_version}
    options = tuple(word for name, value in given.items() if value is not None for word in (name, value))
    wanted = Wanted(json=as_json, out=out, force=force, options=options)
    env = environment(policy=policy, endpoint=endpoint, api_version=api_version)
    return make_plan(event, env, wanted, incident if incident != Incident() else None)
