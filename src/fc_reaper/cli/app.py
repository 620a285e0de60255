"""The commands, their options and their help; what they do is elsewhere."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from fc_reaper import __version__
from fc_reaper.cli.ending import leave, say
from fc_reaper.cli.options import (
    Api,
    ApiVersion,
    Endpoint,
    Enforce,
    Event,
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

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 done, but something needs attention; 2 wrong usage or policy; "
    "3 the cloud refused or could not be reached.",
)


def command_line() -> int:
    """Run the command that the arguments name, and answer with the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A reason in Chinese must not break a table where only ASCII is spoken.
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    try:
        app(prog_name="fc-reaper")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        say(f"fc-reaper {__version__}")
        raise typer.Exit


@app.callback()
def fc_reaper(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Stop asynchronous tasks on Function Compute that outlive your policy, and say why.

    Without an account: fc-reaper demo
    """


@app.command(epilog="Example: fc-reaper demo")
def demo() -> None:
    """A careless cron and fc-reaper on the same small account, on this machine; then the truth.

    Needs no account and reads no settings. Exit code 0 if fc-reaper stopped the right tasks and no others.
    """
    from fc_reaper.cli.demo import demo as command

    leave(command)


@app.command(epilog="Example: fc-reaper invoke events/timer.json --policy policy.yaml --rehearse")
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
        env = _given(policy, endpoint, api_version, enforce)
        return explain_event(event, env, json_wanted=as_json) if explained else command(event, env, timeout)

    leave(run)


@app.command(
    epilog="Example: fc-reaper plan --out plan.json; for an incident, without a policy: "
    "fc-reaper plan --target media/transcode@7 --alive-for 10m --reason 'bad deploy' --max 5000 --out p.json"
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
        wanted = Wanted(json=as_json, out=out, force=force)
        given = incident if incident != Incident() else None
        return command(event, _given(policy, endpoint, api_version), wanted, given)

    leave(run)


@app.command(epilog="Example: fc-reaper apply plan.json --enforce")
def apply(
    plan_file: Annotated[
        str, typer.Argument(metavar="PLAN", help="What fc-reaper plan --out wrote; - reads standard input.")
    ],
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: Annotated[
        bool | None, typer.Option("--enforce/--rehearse", help="--enforce is needed, whatever the mode.")
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
            _given(policy, endpoint, api_version),
            enforce=enforce,
            max_age=max_age,
            most=most,
            log=log,
            json_wanted=as_json,
        )
    )


@app.command(epilog="Example: fc-reaper check policy.yaml")
def check(
    policy: Annotated[
        str | None, typer.Argument(metavar="POLICY", help="The file; otherwise REAPER_POLICY or policy.yaml.")
    ] = None,
    policy_option: PolicyFile = None,
    as_json: Json = False,
) -> None:
    """Say whether a policy is valid, what it means, and what it costs in calls. Never asks the cloud."""
    from fc_reaper.cli.checking.check import check as command

    leave(
        lambda: command(environment(policy=policy if policy is not None else policy_option), as_json=as_json)
    )


@app.command(
    epilog="Example: fc-reaper explain media/transcode@prod job-7 --policy policy.yaml; "
    "without a cloud: fc-reaper explain --record task.json --at 2026-05-01T12:00:00Z"
)
def explain(
    target: Annotated[
        str | None, typer.Argument(metavar="TARGET", help="[service/]function[@qualifier]")
    ] = None,
    invocation_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The invocation id of the task.")
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(
            "--record",
            metavar="FILE",
            help="Take the task from a file, as the cloud writes it; - is standard input. Asks no cloud; "
            "TARGET and ID are then needed only where the file leaves them open.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Judge at that moment: ISO 8601, or epoch milliseconds."),
    ] = None,
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: NeverEnforce = None,
    as_json: Json = False,
) -> None:
    """Read one task and show, step by step, how the policy judges it. Stops nothing."""
    from fc_reaper.cli.explaining.explain import Wanted, explain_task

    wanted = Wanted([word for word in (target, invocation_id) if word is not None], record, at)

    def run() -> int:
        never_enforces("explain", enforce)
        return explain_task(wanted, _given(policy, endpoint, api_version), json_wanted=as_json)

    leave(run)


@app.command(
    epilog="Example: fc-reaper backtest --history history.jsonl --suggest; "
    "fc-reaper backtest --read --save history.jsonl --svg picture.svg"
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
        return command(_given(policy, endpoint, api_version), given, wanted)

    leave(run)


@app.command(epilog="Example: fc-reaper diff policy.yaml new.yaml --history history.jsonl --markdown")
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
        env = _given(None, endpoint, api_version)
        return command(old, new, env, given, as_json=as_json, as_markdown=as_markdown)

    leave(run)


@app.command(epilog="Example: fc-reaper arm --policy policy.yaml")
def arm(
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
        bool, typer.Option("--yes", help="Arm, without a question, what nothing speaks against.")
    ] = False,
    despite_doubts: Annotated[
        bool, typer.Option("--despite-doubts", help="With --yes: arm also what something speaks against.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what the policies would do and would have done, ask, and write policy.lock beside them.

    Where a policy.lock lies beside the policy, only what is in it stops; all else reports. arm itself stops
    nothing. A policy that something speaks against is armed only by typing its name.
    """
    from fc_reaper.cli.arming.arm import Wanted
    from fc_reaper.cli.arming.arm import arm as command
    from fc_reaper.cli.replaying.history import Given

    def run() -> int:
        never_enforces("arm", enforce)
        given = Given(history=history, read=read, interval=interval)
        return command(
            _given(policy, endpoint, api_version),
            given,
            Wanted(tuple(only or ()), yes, despite_doubts, as_json),
        )

    leave(run)


@app.command(epilog="Example: fc-reaper schema > policy.schema.json")
def schema() -> None:
    """Print the JSON schema of the policy file, for editors."""
    from fc_reaper.policy.schema import policy_schema

    def run() -> int:
        say(json.dumps(policy_schema(), indent=2))
        return 0

    leave(run)


def _given(
    policy: str | None, endpoint: str | None, api_version: ApiVersion | None, enforce: bool | None = None
) -> dict[str, str]:
    return environment(policy=policy, endpoint=endpoint, api_version=api_version, enforce=enforce)
