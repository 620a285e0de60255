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
    Json,
    NeverEnforce,
    PolicyFile,
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


@app.command(epilog="Example: fc-reaper plan --policy policy.yaml")
def plan(
    event: Annotated[
        str | None, typer.Argument(metavar="EVENT", help="As for invoke; without it every timer rings.")
    ] = None,
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: NeverEnforce = None,
    as_json: Json = False,
) -> None:
    """Show every task that would be stopped right now, and why. Stops nothing."""
    from fc_reaper.cli.plan import plan as command

    def run() -> int:
        never_enforces("plan", enforce)
        return command(event, _given(policy, endpoint, api_version), as_json=as_json)

    leave(run)


@app.command(epilog="Example: fc-reaper check policy.yaml")
def check(
    policy: Annotated[
        str | None, typer.Argument(metavar="POLICY", help="The file; otherwise REAPER_POLICY or policy.yaml.")
    ] = None,
    policy_option: PolicyFile = None,
    as_json: Json = False,
) -> None:
    """Say whether a policy is valid, what it means, and what it costs in calls. Never asks the cloud."""
    from fc_reaper.cli.check import check as command

    leave(
        lambda: command(environment(policy=policy if policy is not None else policy_option), as_json=as_json)
    )


@app.command(epilog="Example: fc-reaper explain media/transcode@prod job-7 --policy policy.yaml")
def explain(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="[service/]function[@qualifier]")],
    invocation_id: Annotated[str, typer.Argument(metavar="ID", help="The invocation id of the task.")],
    policy: PolicyFile = None,
    endpoint: Endpoint = None,
    api_version: Api = None,
    enforce: NeverEnforce = None,
    as_json: Json = False,
) -> None:
    """Read one task and show, step by step, how the policy judges it. Stops nothing."""
    from fc_reaper.cli.explain import explain_task

    def run() -> int:
        never_enforces("explain", enforce)
        return explain_task(target, invocation_id, _given(policy, endpoint, api_version), json_wanted=as_json)

    leave(run)


@app.command(epilog="Example: fc-reaper schema > policy.schema.json")
def schema() -> None:
    """Print the JSON schema of the policy file, for editors."""
    from fc_reaper.policy import policy_schema

    def run() -> int:
        say(json.dumps(policy_schema(), indent=2))
        return 0

    leave(run)


def _given(
    policy: str | None, endpoint: str | None, api_version: ApiVersion | None, enforce: bool | None = None
) -> dict[str, str]:
    return environment(policy=policy, endpoint=endpoint, api_version=api_version, enforce=enforce)
