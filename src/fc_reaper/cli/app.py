"""The frame of the commands: the options that they share, and the exit code with which each ends."""

import io
import os
import re
import sys
from collections.abc import Callable
from functools import wraps
from inspect import Parameter
from inspect import signature as signature_of
from itertools import chain
from typing import Annotated, Any

import typer
from typer import Option
from typer.main import get_command

from fc_reaper import __version__
from fc_reaper.cli.credentials import signed_in
from fc_reaper.cli.output import CommandError, advice_for, print_error, print_line, write
from fc_reaper.cloud.records import read_moment
from fc_reaper.errors import CloudError, PolicyError, ReaperError, SettingsError
from fc_reaper.models import Exit, Millis
from fc_reaper.rules.duration import parse_duration
from fc_reaper.settings import Context, read_settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 done, but something needs attention; 2 wrong usage or policy; "
    "3 the cloud refused or could not be reached.",
)

API_VERSIONS = ("2021-04-06", "2016-08-15", "2023-03-30")

PolicyOption = Annotated[
    str | None, Option("--policy", metavar="FILE", help="Policy file; default REAPER_POLICY, policy.yaml.")
]
Enforce = Annotated[bool | None, Option("--enforce/--dry-run", help="Stop what is due, or only show it.")]
AsJson = Annotated[bool, Option("--json", help="Print one JSON object instead of tables.")]

_CLOUD = {
    "endpoint": ("URL", "Endpoint of the cloud; default REAPER_ENDPOINT."),
    "api_version": ("VERSION", "2021-04-06 (the default), 2016-08-15, 2023-03-30."),
    "region": ("REGION", "Such as cn-hangzhou; default FC_REGION."),
    "account": ("ID", "Id of the account; default FC_ACCOUNT_ID."),
    "profile": ("NAME", "Keys of this profile of the aliyun command line."),
}
Command = Callable[..., int]
Cloud = Any  # the options of _CLOUD as a command with `with_cloud` gets them, for `environment`


def with_cloud(command: Command) -> Command:
    """Give *command* the options that say which cloud is meant and whose keys, in place of its `cloud`."""

    @wraps(command)
    def run(**given: Any) -> int:
        return command(cloud={name: given.pop(name) for name in _CLOUD}, **given)

    texts = {name: Annotated[str | None, Option(metavar=m, help=text)] for name, (m, text) in _CLOUD.items()}
    kind = Parameter.POSITIONAL_OR_KEYWORD
    options = [Parameter(name, kind, default=None, annotation=one) for name, one in texts.items()]
    return with_options(run, options, "cloud")


def with_options(command: Command, options: list[Parameter], place: Any = Parameter.VAR_KEYWORD) -> Command:
    """Give *command* these *options* in place of the parameter of this name, or of its `**keywords`."""
    signature = signature_of(command, eval_str=True)
    parts = [options if place in (one.name, one.kind) else [one] for one in signature.parameters.values()]
    command.__signature__ = signature.replace(parameters=list(chain(*parts)))  # type: ignore[attr-defined]
    return command


def environment(
    *, policy: str | None = None, enforce: bool | None = None, keys: bool = True, **cloud: str | None
) -> dict[str, str]:
    """The environment of this process, with the options that were given in place of their settings.

    *cloud* are those of `_CLOUD`. Unless a command needs no *keys*, it also has these, region and account, as
    far as they can be found (see `cli.credentials`). No option takes the place of anything while a setting is
    wrong: whoever reads the settings refuses it.
    """
    for name, value in {"policy": policy, **cloud}.items():
        if value is not None and not value.strip():
            raise CommandError(f"--{name.replace('_', '-')} is empty; give it a value, or leave it out")
    endpoint, api_version, region, account, profile = map(cloud.get, _CLOUD)
    if api_version is not None and api_version not in API_VERSIONS:
        raise CommandError(f"--api-version is {api_version!r}; write one of {', '.join(API_VERSIONS)}")
    if policy is not None and "\n" in policy:
        raise CommandError("--policy takes a file, not its text; put the text into REAPER_POLICY")
    given = {
        "REAPER_POLICY": policy,
        "REAPER_ENDPOINT": endpoint,
        "REAPER_API_VERSION": api_version,
        "REAPER_MODE": None if enforce is None else "enforce" if enforce else "dry-run",
        "FC_REGION": region,
        "FC_ACCOUNT_ID": account,
    }
    try:
        # An option may name the account for which the file of REAPER_PLATFORM is.
        read_settings({**os.environ, "REAPER_PLATFORM": ""}, Context())
    except SettingsError:
        return dict(os.environ)
    env = {**os.environ, **{name: value for name, value in given.items() if value is not None}}
    return signed_in(env, account=account, profile=profile, ask=region is not None) if keys else env


def parse_moment(option: str, text: str | None) -> Millis | None:
    """Read the moment that *option* names, None where it was not given; CommandError for anything else."""
    if text is None:
        return None
    is_day = re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text)
    moment = read_moment(f"{text}T00:00:00Z" if is_day else text)
    if moment is None:
        write = "a day such as 2026-05-01 (UTC), a moment with its zone such as 2026-05-01T12:00:00Z"
        raise CommandError(f"{option} is {text!r}; write {write}, or epoch milliseconds")
    return moment


def parse_length(option: str, text: str) -> Millis:
    """Read the length of time that *option* names; CommandError if it is none."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CommandError(f"{option}: {error}") from None


def main(args: list[str] | None = None) -> int:
    """Run the command that *args* name, those of the process by default; return its exit code."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before we were started
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            # A reason in Chinese must not break a table where the output knows only ASCII.
            stream.reconfigure(errors="backslashreplace")
    group: Any = get_command(app)
    try:
        # Not its own main, which has other words for what it catches.
        with group.make_context("fc-reaper", sys.argv[1:] if args is None else args) as context:
            return int(group.invoke(context) or 0)
    except typer.Exit as ended:  # of --help and --version
        return ended.exit_code
    except KeyboardInterrupt:
        print_error("interrupted")
        return Exit.ATTENTION
    except Exception as error:
        return _refused(error)


def _refused(error: Exception) -> int:
    """Say on standard error why a command ended; return its exit code."""
    if isinstance(error, PolicyError):
        for issue in error.issues:  # `FILE:LINE: ...`, where editors can jump to
            print_line(issue.text, sys.stderr)
    elif isinstance(error, ReaperError):
        print_error(str(error), *(advice_for([error]) if isinstance(error, CloudError) else ()))
    elif isinstance(error, OSError):  # typer could not write a help text
        fault = write(sys.stdout, "")
        print_error(f"standard output: {fault}" if fault else str(error))
        return Exit.ATTENTION
    elif hasattr(error, "format_message"):  # of a usage error, whose class has no public name
        message, context = error.format_message(), getattr(error, "ctx", None)
        if context is not None and not message.startswith("Usage:"):
            message = f"{context.get_usage()}\n\nError: {message}"
        print_line(message, sys.stderr)
    else:
        raise error
    exit = Exit.UNREACHABLE if isinstance(error, CloudError) else Exit.REFUSED
    return error.exit if isinstance(error, CommandError) else exit


def _version(wanted: bool) -> None:
    if wanted:
        print_line(f"fc-reaper {__version__}")
        raise typer.Exit


@app.callback()
def fc_reaper(
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Stop asynchronous tasks on Function Compute that outlive your policy, and say why.

    \b
    Without an account:
      fc-reaper demo
    """
