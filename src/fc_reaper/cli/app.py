"""The command line: which commands there are, in the order of `--help`. What each takes is in `commands`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from fc_reaper import __version__
from fc_reaper.cli.commands.approving import approve
from fc_reaper.cli.commands.checking import check, explain, schema
from fc_reaper.cli.commands.planning import apply, plan
from fc_reaper.cli.commands.replaying import backtest, diff
from fc_reaper.cli.commands.trying import demo, invoke
from fc_reaper.cli.ending import say

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


# Their order is that of the list.
app.command(epilog="Example: fc-reaper demo")(demo)
app.command(epilog="Example: fc-reaper invoke events/timer.json --policy policy.yaml --dry-run")(invoke)
app.command(
    epilog="Example: fc-reaper plan --out plan.json; for an incident, without a policy: "
    "fc-reaper plan --target media/transcode@7 --alive-for 10m --reason 'bad deploy' --max 5000 --out p.json"
)(plan)
app.command(epilog="Example: fc-reaper apply plan.json --enforce")(apply)
app.command(epilog="Example: fc-reaper check policy.yaml")(check)
app.command(
    epilog="Example: fc-reaper explain media/transcode@prod job-7 --policy policy.yaml; "
    "without a cloud: fc-reaper explain --record task.json --at 2026-05-01T12:00:00Z"
)(explain)
app.command(
    epilog="Example: fc-reaper backtest --history history.jsonl --suggest; "
    "fc-reaper backtest --read --save history.jsonl --svg picture.svg"
)(backtest)
app.command(epilog="Example: fc-reaper diff policy.yaml new.yaml --history history.jsonl --markdown")(diff)
app.command(epilog="Example: fc-reaper approve --policy policy.yaml")(approve)
app.command(epilog="Example: fc-reaper schema > policy.schema.json")(schema)
