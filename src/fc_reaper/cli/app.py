"""The command line: its commands in the order of `--help`, and the exit code of each."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from fc_reaper import __version__
from fc_reaper.cli.apply import apply
from fc_reaper.cli.approve import approve
from fc_reaper.cli.backtest import backtest
from fc_reaper.cli.check import check, schema
from fc_reaper.cli.demo import demo
from fc_reaper.cli.diff import diff
from fc_reaper.cli.explain import explain
from fc_reaper.cli.hints import advice
from fc_reaper.cli.invoke import invoke
from fc_reaper.cli.output import CommandError, print_error, print_issues, print_line
from fc_reaper.cli.plan import plan
from fc_reaper.errors import CloudError, PolicyError, ReaperError
from fc_reaper.models import Exit

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 done, but something needs attention; 2 wrong usage or policy; "
    "3 the cloud refused or could not be reached.",
)


def main(args: list[str] | None = None) -> int:
    """Run the command that *args* name, those of the process by default; return its exit code."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before we were started
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            # A reason in Chinese must not break a table where the output knows only ASCII.
            stream.reconfigure(errors="backslashreplace")
    try:
        app(args, prog_name="fc-reaper")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _version(wanted: bool) -> None:
    if wanted:
        print_line(f"fc-reaper {__version__}")
        raise typer.Exit


@app.callback()
def fc_reaper(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Stop asynchronous tasks on Function Compute that outlive your policy, and say why.

    \b
    Without an account:
      fc-reaper demo
    """


def exiting(command: Callable[..., int]) -> Callable[..., NoReturn]:
    """Make *command* exit with the code that it returns, or that belongs to the error that it raises."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> NoReturn:
        raise typer.Exit(_exit_code(lambda: command(*args, **options)))

    return run


def _exit_code(command: Callable[[], int]) -> int:
    try:
        return int(command())
    except CommandError as error:
        print_error(str(error))
        return int(error.exit)
    except CloudError as error:
        print_error(str(error), advice(error.http_status, error.error_code))
        return int(Exit.UNREACHABLE)
    except PolicyError as error:
        print_issues(error)
        return int(Exit.REFUSED)
    except ReaperError as error:
        print_error(str(error))
        return int(Exit.REFUSED)
    except KeyboardInterrupt:
        print_error("interrupted")
        return int(Exit.ATTENTION)


for _command in (demo, invoke, plan, apply, check, explain, backtest, diff, approve, schema):
    app.command()(exiting(_command))
