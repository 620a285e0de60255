"""The settings of a run: the environment, the context, and the policy and lock that they name."""

import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path, PurePath
from random import random
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ValidationInfo

from fc_reaper.clock import SYSTEM_CLOCK, Clock, RateLimiter
from fc_reaper.cloud import AsyncTaskClient, account_endpoint, parse_endpoint, place_of
from fc_reaper.errors import Issue, PolicyError, SettingsError, nearest
from fc_reaper.models import GLOB, Credentials, Millis, Target
from fc_reaper.policy import PolicyFile, load_policy
from fc_reaper.rules.ages import StartedTime
from fc_reaper.rules.duration import parse_duration
from fc_reaper.rules.fields import parse_target
from fc_reaper.rules.language import Plain

if TYPE_CHECKING:
    from fc_reaper.policy.lock import Lock

_PREFIX = "REAPER_"


def _within(*path: str) -> Any:
    return Field(None, validation_alias=AliasPath(*path), repr=False)


class Context(BaseModel):
    """The platform's context of one invocation; whatever is absent is None. `timeout` is in seconds.

    FC 2.0, and FC 3.0 up to python3.10, give `credentials` and `service`; python3.12 gives neither.
    https://help.aliyun.com/zh/functioncompute/context-1
    https://help.aliyun.com/zh/functioncompute/fc/user-guide/context-1
    """

    model_config = ConfigDict(frozen=True, from_attributes=True, hide_input_in_errors=True, defer_build=True)
    request_id: str | None = None
    region: str | None = None
    account_id: str | None = None
    access_key_id: str | None = _within("credentials", "access_key_id")
    access_key_secret: str | None = _within("credentials", "access_key_secret")
    security_token: str | None = _within("credentials", "security_token")
    function: str | None = _within("function", "name")
    service: str | None = _within("service", "name")
    timeout: float | None = _within("function", "timeout")


def _rate(text: str) -> tuple[int, float]:
    match = re.fullmatch("([1-9][0-9]{0,5})/(s|m)", text)
    if match is None:
        raise ValueError("write calls per second or minute, such as 20/s or 600/m")
    return int(match[1]), 1.0 if match[2] == "s" else 60.0


def _flag(no: str, yes: str) -> Plain:
    def read(text: str) -> bool:
        if text not in (no, no.lower(), yes, yes.lower()):
            raise ValueError(f"write {yes} or {no}")
        return text.lower() == yes.lower()

    return Plain(read)


def _number(most: int) -> Plain:
    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= most:
            raise ValueError(f"write a whole number from 1 to {most}")
        return int(text)

    return Plain(read)


_Version = Literal["2021-04-06", "2016-08-15", "2023-03-30"]
_Length = Annotated[Millis, Plain(parse_duration)]
_Calls = Annotated[int, _number(256)]
_Self = Annotated[Target | None, Plain(lambda text: parse_target(text.partition("@")[0]))]


class Settings(BaseModel):
    """Every setting by its meaning. Lengths of time are milliseconds, `timeout` is seconds.

    `rate` is a number of calls and the seconds in which so many may begin; it bounds `concurrency` too.
    `folder` is where the function's code lies, and relative paths begin. `ourselves` is the reaper's own
    function, None if it is unknown. `facts` are the settings from the file of `platform`, None without.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    policy: str = Field("policy.yaml", alias="REAPER_POLICY")
    mode: Literal["dry-run", "enforce"] = Field("dry-run", alias="REAPER_MODE")
    api_version: _Version = Field("2021-04-06", alias="REAPER_API_VERSION")
    insecure: Annotated[bool, _flag("false", "true")] = Field(False, alias="REAPER_INSECURE")
    endpoint: str | None = Field(None, alias="REAPER_ENDPOINT")
    started_time: StartedTime = Field("unknown", alias="REAPER_STARTED_TIME")
    platform: str | None = Field(None, alias="REAPER_PLATFORM")
    rate: Annotated[tuple[int, float], Plain(_rate)] = Field((20, 1.0), alias="REAPER_RATE")
    concurrency: _Calls = Field("16", alias="REAPER_CONCURRENCY", validate_default=True)
    margin: _Length = Field(10_000, alias="REAPER_MARGIN")
    stuck_after: _Length = Field(180_000, alias="REAPER_STUCK_AFTER")
    interval: _Length = Field(300_000, alias="REAPER_INTERVAL")
    ourselves: _Self = Field(None, alias="REAPER_SELF")
    verbose: Annotated[bool, _flag("INFO", "DEBUG")] = Field(False, alias="REAPER_LOG_LEVEL")
    log_tasks: Annotated[int, _number(1_000_000)] = Field(100, alias="REAPER_LOG_TASKS")
    account_id: str | None = Field(None, alias="FC_ACCOUNT_ID")
    region: str | None = Field(None, alias="FC_REGION")
    folder: Path = Field(Path(), alias="FC_FUNC_CODE_PATH")
    timeout: float = 60.0
    facts: dict[str, str] | None = None

    @field_validator("endpoint")
    @classmethod
    def _has_an_endpoint(cls, text: str, info: ValidationInfo) -> str:
        try:
            return parse_endpoint(text, insecure=info.data.get("insecure", False))
        except SettingsError as error:
            raise ValueError(str(error)) from None

    @field_validator("concurrency")
    @classmethod
    def _is_within_the_rate(cls, calls: int, info: ValidationInfo) -> int:
        """Not more than may begin in a second, so that a stop soon finds its turn."""
        most, seconds = info.data.get("rate", (calls, 1.0))
        return min(calls, max(1, int(most / seconds)))


def read_context(given: Any) -> Context:
    """Read the platform's context, None for an empty one; a SettingsError for a type that it never has."""
    try:
        return Context() if given is None else Context.model_validate(given)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        raise SettingsError(f"the platform's context has a field of an unexpected type: {fields}") from None


def read_settings(env: Mapping[str, str], context: Context) -> Settings:
    """Read all settings; an empty variable counts as absent. Any other wins over the file of REAPER_PLATFORM.

    Raises SettingsError: one line for each variable that is unknown or cannot be used, or why that file
    cannot be: it is missing, wrong, or not of this region and account.
    """
    function = env.get("FC_FUNCTION_NAME") or context.function
    service = env.get("FC_SERVICE_NAME") or context.service
    given = {
        "REAPER_SELF": f"{service}/{function}" if service and function else function,
        "FC_ACCOUNT_ID": env.get("FC_ACCOUNT_ID") or context.account_id,
        "FC_REGION": env.get("FC_REGION") or context.region,
        "FC_FUNC_CODE_PATH": env.get("FC_FUNC_CODE_PATH"),
        "timeout": context.timeout,
        **{name: value for name, value in env.items() if name.upper().startswith(_PREFIX) and value},
    }
    settings = _settings(tuple((name, value) for name, value in given.items() if value))
    if (platform := settings.platform) is None:
        return settings
    try:
        text = _text(settings.folder / platform, platform, "REAPER_PLATFORM")
    except PolicyError as error:
        raise SettingsError(str(error)) from None
    from fc_reaper.platform import facts_for  # Most runs have no such file.

    known = facts_for(text, platform, *place_of(settings.endpoint, settings.account_id, settings.region))
    facts = {name: value for name, value in known.items() if name not in settings.model_fields_set}
    return settings.model_copy(update={**facts, "facts": facts})


@lru_cache(maxsize=2)
def _settings(given: tuple[tuple[str, Any], ...]) -> Settings:
    try:
        return Settings.model_validate(dict(given))
    except ValidationError as error:
        raise SettingsError("\n".join(map(_fault, error.errors()))) from None


def _fault(error: ErrorDetails) -> str:
    name, given, ctx = str(error["loc"][0]), error["input"], error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        aliases = (field.alias or "" for field in Settings.model_fields.values())
        known = [alias for alias in aliases if alias.startswith(_PREFIX)]
        near = nearest(name[len(_PREFIX) :], [alias[len(_PREFIX) :] for alias in known], cutoff=0.6)
        write = f"did you mean {_PREFIX}{near}?" if near else f"write one of {', '.join(known)}"
        if re.search("DRY|ENFORCE", name.upper()):
            write = "write REAPER_MODE=dry-run or REAPER_MODE=enforce"
        return f"{name} is not a setting; {write}"
    if name == "REAPER_ENDPOINT":  # Its value is not repeated: it may hold a password.
        return f"{name}: {ctx['error']}"
    choices = str(ctx.get("expected", "")).replace("'", "")
    return f"{name} is {given!r}; {f'write {choices}' if choices else ctx.get('error', error['msg'])}"


def read_credentials(env: Mapping[str, str], context: Context) -> Credentials:
    """Find the keys of this invocation: on the context, else in the environment, else a SettingsError."""
    from_env = [env.get(f"ALIBABA_CLOUD_{name.upper()}") for name in Credentials._fields]
    for keys in ([getattr(context, name) for name in Credentials._fields], from_env):
        if keys[0] and keys[1]:
            return Credentials(keys[0], keys[1], keys[2] or "")
    raise SettingsError(
        "no credentials: give the function a role (`role` in s.yaml); for a command run aliyun configure, "
        "set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, write "
        "~/.alibabacloud/credentials, or work on an ECS instance that has a role"
    )


def connect(
    settings: Settings,
    credentials: Credentials,
    run_id: str,
    *,
    clock: Clock = SYSTEM_CLOCK,
    jitter: Callable[[], float] = random,
    kind: type[AsyncTaskClient] = AsyncTaskClient,
) -> AsyncTaskClient:
    """The client of one run, of that *kind*, with *run_id* as trace id; else a SettingsError."""
    return kind(
        settings.endpoint or account_endpoint(settings.account_id, settings.region),
        credentials,
        account_id=settings.account_id,
        api_version=settings.api_version,
        trace_id=run_id,
        insecure=settings.insecure,
        pool_size=settings.concurrency,
        clock=clock,
        jitter=jitter,
        rate_limiter=RateLimiter(*settings.rate, clock),
    )


def refuse_targets(settings: Settings, policy: PolicyFile, *, enforce: bool) -> None:
    """Refuse, by a SettingsError, a target with a service where the API version is that of FC 3.0.

    And one with a pattern of a stop policy where the reaper's own name is unknown: it might stop itself.
    """
    for one in policy.policies:
        for target in one.targets:
            if settings.api_version == "2023-03-30" and target.service is not None:
                what = f"target {target} has a service, and REAPER_API_VERSION 2023-03-30 knows none"
                write = "leave the variable out: targets without a service use 2023-03-30 anyway"
                raise SettingsError(f"{what}; {write}")
            names_a_glob = not GLOB.isdisjoint(f"{target.service}{target.name}")
            if enforce and settings.ourselves is None and one.stops and names_a_glob:
                what = f"target {target} may mean the reaper itself, whose name is unknown here"
                write = "set REAPER_SELF to [service/]function, or write the targets out"
                raise SettingsError(f"{what}; {write}")


def read_policy(settings: Settings) -> PolicyFile:
    """Load the policy that the settings name, by its path or as a text; a PolicyError if it is wrong."""
    if "\n" in settings.policy:
        return _policy(settings.policy, "REAPER_POLICY")
    return _policy(_text(settings.folder / settings.policy, settings.policy), settings.policy)


@lru_cache(maxsize=2)
def _policy(text: str, source: str) -> PolicyFile:
    file = load_policy(text, source=source)
    if any(policy.examples for policy in file.policies):
        from fc_reaper.evaluator.examples import failing  # Most files have none.

        if issues := failing(file):
            raise PolicyError(*issues)
    return file


def read_lock(settings: Settings) -> "Lock | None":
    """Load the `policy.lock` beside the policy file; None where there is none, as beside a policy as text.

    Where the policy is a link with no lock beside it, the one beside the file that it points to counts. One
    that is there and cannot be used is a PolicyError.
    """
    if "\n" in settings.policy:
        return None
    for policy in (PurePath(settings.policy), PurePath(os.path.realpath(settings.folder / settings.policy))):
        source = policy.with_name("policy.lock")
        if os.path.lexists(settings.folder / source):
            from fc_reaper.policy.lock import load_lock  # A cold start without a lock does without it.

            return load_lock(_text(settings.folder / source, str(source)), str(source))
    return None


def read_unapproved(settings: Settings, file: PolicyFile) -> dict[str, str]:
    """Answer why which stop policies of *file* may only report, by name; empty without a lock."""
    try:
        lock = read_lock(settings)
    except PolicyError as error:
        why = f"the lock cannot be used: {error.issues[0].text}"
        return {policy.name: why for policy in file.policies if policy.stops}
    if lock is None:
        return {}
    from fc_reaper.policy.lock import unapproved

    return unapproved(file, lock)


def _text(path: Path, source: str, setting: str = "--policy or REAPER_POLICY") -> str:
    """The text of a file, which messages call *source*, and which *setting* names."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"byte {error.start} is not UTF-8; save the file as UTF-8"
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        said = "there is no such file" if missing else f"it cannot be read: {error.strerror}"
        what = f"{said}; write the path of a file{f' ({setting})' if missing else ''}"
    raise PolicyError(Issue.of(source, None, None, what))
