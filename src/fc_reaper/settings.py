"""What the environment and the platform's context settle, read anew at each invocation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from fc_reaper.errors import SettingsError
from fc_reaper.models import Millis
from fc_reaper.policy import PolicyFile, parse_duration
from fc_reaper.rules.ages import StartedTime
from fc_reaper.rules.target import Target, parse_target
from fc_reaper.variables import Variables

if TYPE_CHECKING:
    from fc_reaper.context import Context

Mode = Literal["dry-run", "enforce"]

_NO_TIMEOUT = 60.0
"""Seconds that a run may take where the context does not tell the function's timeout."""


@dataclass(frozen=True)
class Credentials:
    """Keys of one moment; they never show in a repr. `security_token` is empty for lasting keys."""

    access_key_id: str = field(repr=False)
    access_key_secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """Every setting by its meaning. Lengths of time are milliseconds, `timeout` is seconds."""

    policy: str
    mode: Mode
    api_version: str
    endpoint: str | None
    insecure: bool
    started_time: StartedTime
    rate: tuple[int, float]
    concurrency: int
    margin: Millis
    stuck_after: Millis
    interval: Millis
    ourselves: Target | None
    verbose: bool
    log_tasks: int
    account_id: str | None
    region: str | None
    timeout: float
    folder: Path

    @property
    def time_left(self) -> float:
        """Seconds that a run may take: the function's timeout without the margin."""
        return self.timeout - self.margin / 1000


def read_settings(env: Mapping[str, str], context: Context) -> Settings:
    """Read all settings from the environment and what the platform handed over.

    Raises:
        SettingsError: one line for each value that cannot be used, all of them at once.
    """
    reader = Variables(env)
    settings = Settings(
        policy=reader.text("REAPER_POLICY", "policy.yaml"),
        mode=cast("Mode", reader.choice("REAPER_MODE", ("dry-run", "enforce"))),
        api_version=reader.choice("REAPER_API_VERSION", ("2021-04-06", "2016-08-15", "2023-03-30")),
        endpoint=env.get("REAPER_ENDPOINT") or None,
        insecure=reader.choice("REAPER_INSECURE", ("false", "true")) == "true",
        started_time=cast(
            "StartedTime", reader.choice("REAPER_STARTED_TIME", ("unknown", "enqueue", "execution"))
        ),
        rate=reader.read("REAPER_RATE", "20/s", _rate),
        concurrency=reader.number("REAPER_CONCURRENCY", 16, most=256),
        margin=reader.read("REAPER_MARGIN", "10s", parse_duration),
        stuck_after=reader.read("REAPER_STUCK_AFTER", "3m", parse_duration),
        interval=reader.read("REAPER_INTERVAL", "5m", parse_duration),
        ourselves=reader.read("REAPER_SELF", _own_name(env, context), _ourselves),
        verbose=reader.choice("REAPER_LOG_LEVEL", ("INFO", "DEBUG"), upper=True) == "DEBUG",
        log_tasks=reader.number("REAPER_LOG_TASKS", 100, most=1_000_000),
        account_id=env.get("FC_ACCOUNT_ID") or context.account_id or None,
        region=env.get("FC_REGION") or context.region or None,
        timeout=(context.function and context.function.timeout) or _NO_TIMEOUT,
        folder=Path(env.get("FC_FUNC_CODE_PATH") or "."),
    )
    reader.refuse()
    return settings


def read_credentials(env: Mapping[str, str], context: Context) -> Credentials:
    """Find the keys of this invocation: on the context, else in the environment.

    The environment of a long-lived instance may be older than the context's keys.

    Raises:
        SettingsError: there are none.
    """
    given = context.credentials
    if given is not None and given.access_key_id and given.access_key_secret:
        return Credentials(given.access_key_id, given.access_key_secret, given.security_token or "")
    key, secret = env.get("ALIBABA_CLOUD_ACCESS_KEY_ID"), env.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET")
    if key and secret:
        return Credentials(key, secret, env.get("ALIBABA_CLOUD_SECURITY_TOKEN") or "")
    raise SettingsError(
        "no credentials: give the function a role (`role` in s.yaml), or set "
        "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET"
    )


def refuse_no_time(settings: Settings) -> None:
    """Refuse a run whose margin leaves no time for anything.

    Raises:
        SettingsError: the function's timeout is not longer than the margin.
    """
    if settings.time_left <= 0:
        raise SettingsError(
            f"the function's timeout of {settings.timeout:g}s leaves nothing beside REAPER_MARGIN "
            f"({settings.margin / 1000:g}s); raise the timeout in s.yaml, 120 is a good value"
        )


def refuse_foreign_targets(settings: Settings, policy: PolicyFile) -> None:
    """Refuse targets that the chosen dialect has no words for.

    Raises:
        SettingsError: the dialect is that of FC 3.0, which has no services, and a target has one.
    """
    with_service = [t for p in policy.policies for t in p.targets if t.service is not None]
    if settings.api_version == "2023-03-30" and with_service:
        raise SettingsError(
            f"target {with_service[0]} has a service, and REAPER_API_VERSION 2023-03-30 knows none; "
            "leave the variable out: targets without a service speak 2023-03-30 anyway"
        )


def refuse_unknown_self(settings: Settings, policy: PolicyFile) -> None:
    """Refuse to enforce patterns that might mean the reaper itself while nobody knows its name.

    Raises:
        SettingsError: a stop policy's target has a pattern for the function, and `ourselves` is unknown.
    """
    if settings.mode != "enforce" or settings.ourselves is not None:
        return
    patterns = [t for p in policy.policies if p.stops for t in p.targets if t.names_a_glob]
    if patterns:
        raise SettingsError(
            f"target {patterns[0]} may mean the reaper itself, whose name is unknown here; "
            "set REAPER_SELF to [service/]function, or write the targets out"
        )


def _rate(text: str) -> tuple[int, float]:
    match = re.fullmatch(r"([1-9][0-9]{0,5})/(s|m)", text)
    if match is None:
        raise ValueError("write calls per second or minute, such as 20/s or 600/m")
    return int(match[1]), 1.0 if match[2] == "s" else 60.0


def _own_name(env: Mapping[str, str], context: Context) -> str:
    function = env.get("FC_FUNCTION_NAME") or (context.function and context.function.name)
    service = env.get("FC_SERVICE_NAME") or (context.service and context.service.name)
    return f"{service}/{function}" if service and function else str(function or "")


def _ourselves(text: str) -> Target | None:
    """The reaper's own function, under every qualifier."""
    return parse_target(text.partition("@")[0]) if text else None
