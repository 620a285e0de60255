"""Options that several commands share, and the settings they stand for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from fc_reaper.cli.ending import Ended


class ApiVersion(str, Enum):
    """The dialects for functions with a service; functions of FC 3.0 always speak 2023-03-30."""

    V2021 = "2021-04-06"
    V2016 = "2016-08-15"
    V2023 = "2023-03-30"


Event = Annotated[
    str, typer.Argument(metavar="EVENT", help="A file with the raw bytes; - reads standard input.")
]
PolicyFile = Annotated[
    str | None,
    typer.Option("--policy", metavar="FILE", help="The policy; otherwise REAPER_POLICY or policy.yaml."),
]
Endpoint = Annotated[
    str | None,
    typer.Option("--endpoint", metavar="URL", help="Where the cloud is; otherwise REAPER_ENDPOINT."),
]
Api = Annotated[
    ApiVersion | None,
    typer.Option("--api-version", help="API of functions with a service; REAPER_API_VERSION."),
]
Enforce = Annotated[
    bool | None,
    typer.Option("--enforce/--dry-run", help="Stop what is due, or only say so; otherwise REAPER_MODE."),
]
NeverEnforce = Annotated[
    bool | None, typer.Option("--enforce/--dry-run", help="Always a dry run; --enforce is refused.")
]
History = Annotated[
    str | None,
    typer.Option(
        "--history",
        metavar="FILE",
        help="JSON lines, one record each, - is standard input; else asks the cloud.",
    ),
]
Read = Annotated[bool, typer.Option("--read", help="Read each task that is listed without dated events.")]
Save = Annotated[
    str | None, typer.Option("--save", metavar="FILE", help="Write the records to a new file, for --history.")
]
Interval = Annotated[
    str | None,
    typer.Option("--interval", metavar="TIME", help="Between two runs; otherwise REAPER_INTERVAL, or 5m."),
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Replay no run before: 2026-05-01, or ISO 8601.")
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Replay no run after: 2026-05-01, or ISO 8601.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def environment(
    *,
    policy: str | None = None,
    endpoint: str | None = None,
    api_version: ApiVersion | None = None,
    enforce: bool | None = None,
) -> dict[str, str]:
    """The process's environment, with the options that were given in place of their settings.

    Raises:
        Ended: an option was given without a value.
    """
    given = {
        "REAPER_POLICY": _path(policy),
        "REAPER_ENDPOINT": _filled("--endpoint", endpoint),
        "REAPER_API_VERSION": None if api_version is None else api_version.value,
        "REAPER_MODE": None if enforce is None else ("enforce" if enforce else "dry-run"),
    }
    return {**os.environ, **{name: value for name, value in given.items() if value is not None}}


def written(
    *, policy: str | None = None, endpoint: str | None = None, api_version: ApiVersion | None = None
) -> tuple[str, ...]:
    """Those of the options that were given, as another command takes them."""
    version = None if api_version is None else api_version.value
    given = {"--policy": policy, "--endpoint": endpoint, "--api-version": version}
    return tuple(word for name, value in given.items() if value is not None for word in (name, value))


def never_enforces(
    command: str, enforce: bool | None, *, instead: str = "fc-reaper invoke EVENT --enforce"
) -> None:
    """Refuse `--enforce` for a *command* that only looks.

    Raises:
        Ended: it was given.
    """
    if enforce:
        raise Ended(f"{command} never stops anything; to enforce, use: {instead}")


def _path(policy: str | None, env: Mapping[str, str] = os.environ) -> str | None:
    """A file beside the person, not beside the code; a setting with a line break would be the text itself."""
    if policy is None:
        return None
    if "\n" in policy:
        raise Ended("--policy takes a file, not its text; put the text into REAPER_POLICY")
    path = _filled("--policy", policy)
    return str(Path(policy).absolute()) if env.get("FC_FUNC_CODE_PATH") else path


def _filled(option: str, value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise Ended(f"{option} is empty; give it a value, or leave it out")
    return value
