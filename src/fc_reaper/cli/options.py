"""Options that several commands share, and the settings that they replace."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from fc_reaper.cli.output import CommandError
from fc_reaper.cloud.records import read_moment
from fc_reaper.models import Millis
from fc_reaper.rules.duration import parse_duration

ApiVersion = Literal["2021-04-06", "2016-08-15", "2023-03-30"]

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

EventFile = Annotated[str, Argument(metavar="EVENT", help="File with the event's bytes; - reads stdin.")]
PolicyFile = Annotated[
    str | None,
    Option("--policy", metavar="FILE", help="Policy file; default REAPER_POLICY, policy.yaml."),
]
Endpoint = Annotated[
    str | None, Option("--endpoint", metavar="URL", help="Endpoint of the cloud; default REAPER_ENDPOINT.")
]
Api = Annotated[
    ApiVersion | None,
    Option("--api-version", metavar="VERSION", help="2021-04-06 (the default), 2016-08-15, 2023-03-30."),
]
History = Annotated[
    str | None, Option("--history", metavar="FILE", help="Records as JSON lines; default: from the cloud.")
]
Read = Annotated[bool, Option("--read", help="Read each task that is listed without events.")]
Save = Annotated[str | None, Option("--save", metavar="FILE", help="Write the records to a new file.")]
Interval = Annotated[
    str | None, Option("--interval", metavar="TIME", help="Time between two runs; REAPER_INTERVAL, 5m.")
]
Since = Annotated[
    str | None, Option("--since", metavar="TIME", help="First run to replay: 2026-05-01 or ISO 8601.")
]
Until = Annotated[
    str | None, Option("--until", metavar="TIME", help="Last run to replay: 2026-05-01 or ISO 8601.")
]
AsJson = Annotated[bool, Option("--json", help="Print one JSON object instead of tables.")]


def environment(
    *,
    policy: str | None = None,
    endpoint: str | None = None,
    api_version: ApiVersion | None = None,
    enforce: bool | None = None,
) -> dict[str, str]:
    """Return the environment of this process, with the options that were given in place of their settings.

    Raises:
        CommandError: an option was given without a value.
    """
    overrides = {
        "REAPER_POLICY": _policy_path(policy),
        "REAPER_ENDPOINT": _not_blank("--endpoint", endpoint),
        "REAPER_API_VERSION": api_version,
        "REAPER_MODE": None if enforce is None else ("enforce" if enforce else "dry-run"),
    }
    return {**os.environ, **{name: value for name, value in overrides.items() if value is not None}}


def parse_moment(option: str, text: str | None) -> Millis | None:
    """Read the moment that *option* names; None where it was not given.

    Raises:
        CommandError: it is none.
    """
    moment = None if text is None else read_moment(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)
    if text is not None and moment is None:
        raise CommandError(
            f"{option} is {text!r}; write a day such as 2026-05-01 (UTC), a moment with its zone such as "
            "2026-05-01T12:00:00Z, or epoch milliseconds"
        )
    return moment


def parse_length(option: str, text: str) -> Millis:
    """Read the length of time that *option* names.

    Raises:
        CommandError: it is none.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CommandError(f"{option}: {error}") from None


def _policy_path(policy: str | None) -> str | None:
    """The path, made absolute where a relative one would be looked up beside the deployed code."""
    if policy is None:
        return None
    if "\n" in policy:
        raise CommandError("--policy takes a file, not its text; put the text into REAPER_POLICY")
    path = _not_blank("--policy", policy)
    return str(Path(policy).absolute()) if os.environ.get("FC_FUNC_CODE_PATH") else path


def _not_blank(option: str, value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise CommandError(f"{option} is empty; give it a value, or leave it out")
    return value
