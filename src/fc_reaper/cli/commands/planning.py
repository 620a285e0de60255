"""`plan` and `apply`: what would be stopped now, and to stop just that."""

from __future__ import annotations

from typing import Annotated

import typer

from fc_reaper.cli.ending import leave
from fc_reaper.cli.options import (
    Api,
    Endpoint,
    Json,
    NeverEnforce,
    PolicyFile,
    environment,
    never_enforces,
    written,
)


def plan(
    event: Annotated[
        str | None, typer.Argument(metavar="EVENT", help="As for invoke; without it every timer rings.")
    ] = None,
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: NeverEnforce = None,
    as_json: Json = False,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Write the plan for apply; - is standard output."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --out write over a file.")] = False,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="TARGET", help="An incident: stop here, without a policy."),
    ] = None,
    alive_for: Annotated[
        str | None, typer.Option("--alive-for", metavar="TIME", help="What is alive for longer than that.")
    ] = None,
    running_for: Annotated[
        str | None, typer.Option("--running-for", metavar="TIME", help="What runs for longer than that.")
    ] = None,
    queued_for: Annotated[
        str | None, typer.Option("--queued-for", metavar="TIME", help="What waits for longer than that.")
    ] = None,
    status: Annotated[
        list[str] | None, typer.Option("--status", metavar="STATUS", help="Only tasks in that status.")
    ] = None,
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="GLOB", help="Only ids that look like that.")
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", metavar="EXPR", help="Only where this JMESPath answers true.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the log of every stop.")
    ] = None,
    most: Annotated[
        int | None, typer.Option("--max", metavar="N", min=1, help="Stop at most so many at each apply.")
    ] = None,
) -> None:
    """Show every task that would be stopped right now, and why. Stops nothing.

    What --out writes is carried out by: fc-reaper apply FILE --enforce
    """
    from fc_reaper.cli.planning.incident import Incident
    from fc_reaper.cli.planning.plan import Wanted
    from fc_reaper.cli.planning.plan import plan as command

    incident = Incident(
        tuple(target or ()), alive_for, running_for, queued_for, tuple(status or ()), tuple(ids or ()), where,
        reason, most,
    )  # fmt: skip

    def run() -> int:
        never_enforces("plan", enforce, instead="fc-reaper apply PLAN --enforce")
        options = written(policy=policy, endpoint=endpoint, api_version=api_version)
        wanted = Wanted(json=as_json, out=out, force=force, options=options)
        given = incident if incident != Incident() else None
        return command(
            event, environment(policy=policy, endpoint=endpoint, api_version=api_version), wanted, given
        )

    leave(run)


def apply(
    plan_file: Annotated[
        str, typer.Argument(metavar="PLAN", help="What fc-reaper plan --out wrote; - reads standard input.")
    ],
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: Annotated[
        bool | None, typer.Option("--enforce/--dry-run", help="--enforce is needed, whatever the mode.")
    ] = None,
    max_age: Annotated[
        str, typer.Option("--max-age", metavar="TIME", help="Refuse a plan that is older than that.")
    ] = "1h",
    most: Annotated[
        int | None, typer.Option("--max", metavar="N", min=1, help="Stop at most so many; lowers budgets.")
    ] = None,
    log: Annotated[
        str | None, typer.Option("--log", metavar="FILE", help="Append the JSON log lines of the run to it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Stop those tasks of a plan that are still due by the same rule, and no others.

    Each task is read again right before its stop. Refuses a plan for another account or region, of another
    policy, or too old. Safe to interrupt and to run again: what is stopped already counts as done.
    """
    from fc_reaper.cli.planning.apply import apply as command

    leave(
        lambda: command(
            plan_file,
            environment(policy=policy, endpoint=endpoint, api_version=api_version),
            enforce=enforce,
            max_age=max_age,
            most=most,
            log=log,
            json_wanted=as_json,
        )
    )
