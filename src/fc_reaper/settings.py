"""The settings of a run: variables of the environment, and what the platform's context adds to them.

All of it is read anew at each invocation, since an instance lives longer than its keys.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from random import random
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ValidationInfo

from fc_reaper.clock import SYSTEM_CLOCK, Clock, RateLimiter
from fc_reaper.cloud import AsyncTaskClient, account_endpoint, parse_endpoint
from fc_reaper.errors import SettingsError
from fc_reaper.models import Credentials as Credentials
from fc_reaper.models import Millis
from fc_reaper.names import nearest
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.ages import StartedTime
from fc_reaper.rules.duration import parse_duration
from fc_reaper.rules.target import Target, parse_target

Mode = Literal["dry-run", "enforce"]

_PREFIX = "REAPER_"


class _FromPlatform(BaseModel):
    # Models are built when first used: a cold start pays only for what it reads.
    model_config = ConfigDict(frozen=True, from_attributes=True, hide_input_in_errors=True, defer_build=True)


class OwnFunction(_FromPlatform):
    """The reaper's own function. `timeout` is in seconds, None where the platform does not say."""

    name: str | None = None
    timeout: float | None = None


class OwnService(_FromPlatform):
    """The reaper's own service, in FC 2.0."""

    name: str | None = None


class Context(_FromPlatform):
    """The platform's context of one invocation; whatever is absent is None.

    FC 2.0, and FC 3.0 up to python3.10, give `credentials` and `service`; python3.12 gives neither.
    https://help.aliyun.com/zh/functioncompute/context-1
    https://help.aliyun.com/zh/functioncompute/fc/user-guide/context-1
    """

    request_id: str | None = None
    region: str | None = None
    account_id: str | None = None
    credentials: Credentials | None = None
    function: OwnFunction | None = None
    service: OwnService | None = None


def _rate(text: str) -> tuple[int, float]:
    match = re.fullmatch("([1-9][0-9]{0,5})/(s|m)", text)
    if match is None:
        raise ValueError("write calls per second or minute, such as 20/s or 600/m")
    return int(match[1]), 1.0 if match[2] == "s" else 60.0


def _is_true(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("write true or false")
    return text == "true"


def _is_debug(text: str) -> bool:
    if text.upper() not in ("DEBUG", "INFO"):
        raise ValueError("write INFO or DEBUG")
    return text.upper() == "DEBUG"


def _own_target(text: str) -> Target:
    """The reaper's own function, under every qualifier."""
    return parse_target(text.partition("@")[0])


def _up_to(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= most:
            raise ValueError(f"write a whole number from 1 to {most}")
        return int(text)

    return read


_Length = Annotated[Millis, PlainValidator(parse_duration)]


class Settings(BaseModel):
    """Every setting by its meaning. Lengths of time are milliseconds, `timeout` is seconds.

    `rate` is a number of calls and the seconds in which so many may begin. `folder` is where the function's
    code lies, and relative paths begin. `ourselves` is the reaper's own function, None if it is unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    policy: str = Field("policy.yaml", alias="REAPER_POLICY")
    mode: Mode = Field("dry-run", alias="REAPER_MODE")
    api_version: Literal["2021-04-06", "2016-08-15", "2023-03-30"] = Field(
        "2021-04-06", alias="REAPER_API_VERSION"
    )
    insecure: Annotated[bool, PlainValidator(_is_true)] = Field(False, alias="REAPER_INSECURE")
    endpoint: str | None = Field(None, alias="REAPER_ENDPOINT")
    started_time: StartedTime = Field("unknown", alias="REAPER_STARTED_TIME")
    rate: Annotated[tuple[int, float], PlainValidator(_rate)] = Field((20, 1.0), alias="REAPER_RATE")
    concurrency: Annotated[int, PlainValidator(_up_to(256))] = Field(16, alias="REAPER_CONCURRENCY")
    margin: _Length = Field(10_000, alias="REAPER_MARGIN")
    stuck_after: _Length = Field(180_000, alias="REAPER_STUCK_AFTER")
    interval: _Length = Field(300_000, alias="REAPER_INTERVAL")
    ourselves: Annotated[Target | None, PlainValidator(_own_target)] = Field(None, alias="REAPER_SELF")
    verbose: Annotated[bool, PlainValidator(_is_debug)] = Field(False, alias="REAPER_LOG_LEVEL")
    log_tasks: Annotated[int, PlainValidator(_up_to(1_000_000))] = Field(100, alias="REAPER_LOG_TASKS")
    account_id: str | None = Field(None, alias="FC_ACCOUNT_ID")
    region: str | None = Field(None, alias="FC_REGION")
    folder: Path = Field(Path(), alias="FC_FUNC_CODE_PATH")
    timeout: float = 60.0

    @field_validator("endpoint")
    @classmethod
    def _has_an_endpoint(cls, text: str, info: ValidationInfo) -> str:
        try:
            return parse_endpoint(text, insecure=info.data.get("insecure", False)).url
        except SettingsError as error:
            raise ValueError(str(error)) from None

    @property
    def threads(self) -> int:
        """Calls in flight: not more than may begin in a second, so that a stop soon finds its turn."""
        return min(self.concurrency, max(1, int(self.rate[0] / self.rate[1])))

    @property
    def may_refuse(self) -> frozenset[str]:
        """The statuses that the API version may not know in a list."""
        return frozenset(("Dequeued",) if self.api_version == "2021-04-06" else ())

    @property
    def time_left(self) -> float:
        """Seconds that a run may take: the function's timeout without the margin."""
        return self.timeout - self.margin / 1000


def read_context(given: Any) -> Context:
    """Read the platform's context; None is one in which everything is absent.

    Raises:
        SettingsError: a field is of another type than the platform documents.
    """
    try:
        return Context() if given is None else Context.model_validate(given)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        raise SettingsError(f"the platform's context has a field of an unexpected type: {fields}") from None


def read_settings(env: Mapping[str, str], context: Context) -> Settings:
    """Read all settings; an empty variable counts as absent.

    Raises:
        SettingsError: one line for each variable that is unknown or has an unusable value, all in one go.
    """
    given = {
        "REAPER_SELF": _own_name(env, context),
        "FC_ACCOUNT_ID": env.get("FC_ACCOUNT_ID") or context.account_id,
        "FC_REGION": env.get("FC_REGION") or context.region,
        "FC_FUNC_CODE_PATH": env.get("FC_FUNC_CODE_PATH"),
        "timeout": context.function and context.function.timeout,
        **{name: value for name, value in env.items() if value and name.upper().startswith(_PREFIX)},
    }
    try:
        return Settings.model_validate({name: value for name, value in given.items() if value})
    except ValidationError as error:
        raise SettingsError("\n".join(map(_fault, error.errors()))) from None


def read_credentials(env: Mapping[str, str], context: Context) -> Credentials:
    """Find the keys of this invocation: on the context, else in the environment.

    Raises:
        SettingsError: there are none.
    """
    from_env = Credentials(
        access_key_id=env.get("ALIBABA_CLOUD_ACCESS_KEY_ID", ""),
        access_key_secret=env.get("ALIBABA_CLOUD_ACCESS_KEY_SECRET", ""),
        security_token=env.get("ALIBABA_CLOUD_SECURITY_TOKEN", ""),
    )
    for keys in (context.credentials, from_env):
        if keys is not None and keys.access_key_id and keys.access_key_secret:
            return keys
    raise SettingsError(
        "no credentials: give the function a role (`role` in s.yaml), or set "
        "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET"
    )


def endpoint(settings: Settings) -> str:
    """The endpoint that is set, else the account's own host.

    Raises:
        SettingsError: neither is known.
    """
    if settings.endpoint:
        return settings.endpoint
    if not (settings.account_id and settings.region):
        raise SettingsError("no endpoint: set REAPER_ENDPOINT, or FC_ACCOUNT_ID and FC_REGION")
    return account_endpoint(settings.account_id, settings.region)


def connect(
    settings: Settings,
    credentials: Credentials,
    run_id: str,
    on_call: Callable[[str], None],
    *,
    clock: Clock = SYSTEM_CLOCK,
    jitter: Callable[[], float] = random,
) -> AsyncTaskClient:
    """The client of one run. *run_id* travels as trace id; *on_call* gets the name of each operation sent.

    Raises:
        SettingsError: the endpoint or a key cannot be used.
    """
    return AsyncTaskClient(
        endpoint=endpoint(settings),
        access_key_id=credentials.access_key_id,
        access_key_secret=credentials.access_key_secret,
        security_token=credentials.security_token,
        account_id=settings.account_id,
        api_version=settings.api_version,
        trace_id=run_id,
        insecure=settings.insecure,
        pool_size=settings.concurrency,
        clock=clock,
        jitter=jitter,
        rate_limiter=RateLimiter(*settings.rate, clock),
        on_call=on_call,
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
    """Refuse targets that the chosen API version cannot name.

    Raises:
        SettingsError: the version is that of FC 3.0, which has no services, and a target has one.
    """
    with_service = [t for p in policy.policies for t in p.targets if t.service is not None]
    if settings.api_version == "2023-03-30" and with_service:
        raise SettingsError(
            f"target {with_service[0]} has a service, and REAPER_API_VERSION 2023-03-30 knows none; "
            "leave the variable out: targets without a service use 2023-03-30 anyway"
        )


def refuse_unknown_self(settings: Settings, policy: PolicyFile) -> None:
    """Refuse to enforce patterns that may match the reaper itself while its name is unknown.

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


def _own_name(env: Mapping[str, str], context: Context) -> str | None:
    function = env.get("FC_FUNCTION_NAME") or (context.function.name if context.function else None)
    service = env.get("FC_SERVICE_NAME") or (context.service.name if context.service else None)
    return f"{service}/{function}" if service and function else function


def _fault(error: ErrorDetails) -> str:
    name, given, ctx = str(error["loc"][0]), error["input"], error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        return f"{name} is not a setting; {_what_to_write(name)}"
    if name == "REAPER_ENDPOINT":  # Its value is not repeated: it may hold a password.
        return f"{name}: {ctx['error']}"
    choices = str(ctx.get("expected", "")).replace("'", "")
    return f"{name} is {given!r}; {f'write {choices}' if choices else ctx.get('error', error['msg'])}"


def _what_to_write(name: str) -> str:
    if re.search("DRY|ENFORCE", name.upper()):
        return "write REAPER_MODE=dry-run or REAPER_MODE=enforce"
    names = [field.alias or "" for field in Settings.model_fields.values()]
    known = [alias.removeprefix(_PREFIX) for alias in names if alias.startswith(_PREFIX)]
    near = nearest(name.upper().removeprefix(_PREFIX), known, cutoff=0.6)
    if near is not None:
        return f"did you mean {_PREFIX}{near}?"
    return f"write one of {', '.join(_PREFIX + one for one in known)}"
