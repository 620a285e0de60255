"""Keys, region and account of the person who types a command: as given, else from the official chain.

The chain is that of the package `alibabacloud-credentials`, with the ECS role at its end: environment, OIDC,
`~/.aliyun/config.json`, `~/.alibabacloud/credentials(.ini)`, `ALIBABA_CLOUD_CREDENTIALS_URI`, ECS role.
https://www.alibabacloud.com/help/en/sdk/developer-reference/v2-manage-python-access-credentials
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from fc_reaper.cli.output import CommandError
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.cloud import AsyncTaskClient, account_endpoint, sts_endpoint
from fc_reaper.cloud.endpoint import is_loopback
from fc_reaper.models import Credentials, Identity, printable
from fc_reaper.settings import Context, Settings, read_credentials, read_settings

_PREFIX = "ALIBABA_CLOUD_"
_ECS = "the role of this ECS instance"
_SECONDS = 20.0
"""How long STS is asked at most; the package bounds its own calls to 15 s, those to the metadata to 2 s."""


class _Profile(BaseModel):
    name: str
    region_id: str | None = None


class _Config(BaseModel):
    """What is read here of `~/.aliyun/config.json`; the package reads the rest."""

    current: str = ""
    profiles: list[_Profile] = []


class _Source(NamedTuple):
    """A place that may hold keys: *get* answers with the package's credentials, or raises anything."""

    place: str
    get: Callable[[], Any]
    region: str | None = None


def signed_in(
    env: Mapping[str, str], *, account: str | None, profile: str | None, ask: bool
) -> dict[str, str]:
    """*env* with keys, region and account as far as they can be found; what it has itself stays.

    The keys are those of *profile*, else its own, else those of the chain; without any, it is left as it is.
    STS is asked whose they are where *account* is given, or where neither a setting nor the endpoint names
    the account, and there is no endpoint, or the keys are not its own, or *ask*.

    Raises:
        CommandError: the profile does not exist, a place that names keys yields none, or *account* is not it.
        SettingsError: region or endpoint cannot be used.
        CloudError: STS did not answer, or refused the keys.
    """
    own = all(env.get(f"{_PREFIX}ACCESS_KEY_{part}") for part in ("ID", "SECRET"))
    keys = {} if own and profile is None else _keys(env, profile)
    env = {**env, **keys}
    settings = read_settings({**env, "REAPER_PLATFORM": ""}, Context())  # its file needs what is asked here
    named = settings.account_id or (settings.endpoint and re.match(r"https://[0-9]+\.", settings.endpoint))
    unknown = not named and (settings.endpoint is None or ask or keys)
    if not (own or keys) or not (account or unknown) or not (settings.endpoint or settings.region):
        return env
    identity = identify(settings, read_credentials(env, Context()))
    if account and account != identity.account_id:
        raise CommandError(
            f"--account is {account}, but these keys belong to account {identity.account_id} "
            f"({identity.arn}); leave --account out, or give keys of that account, such as by --profile"
        )
    return {**env, "FC_ACCOUNT_ID": identity.account_id}


def identify(settings: Settings, credentials: Credentials) -> Identity:
    """Ask STS whose *credentials* they are; raises as `signed_in`."""
    endpoint = settings.endpoint or account_endpoint(settings.account_id or "0", settings.region)
    sts = AsyncTaskClient(sts_endpoint(endpoint), credentials, insecure=settings.insecure, clock=SYSTEM_CLOCK)
    with closing(sts):
        return sts.caller_identity(deadline=SYSTEM_CLOCK.monotonic() + _SECONDS)


def _keys(env: Mapping[str, str], profile: str | None) -> dict[str, str]:
    """The keys, and the region, that the first source yields; empty where nothing names keys."""
    faults = []
    for source in _sources(env, profile):
        try:
            found = source.get()
            keys = (found.get_access_key_id(), found.get_access_key_secret(), found.get_security_token())
        except Exception as error:  # the package and what it uses raise all kinds
            faults.append(f"{source.place}: {_why(error)}")
            continue
        if keys[0] and keys[1]:
            named = {
                f"{_PREFIX}{name.upper()}": key or ""
                for name, key in zip(Credentials._fields, keys, strict=True)
            }
            return {**named, "FC_REGION": env.get("FC_REGION") or source.region or ""}
        faults.append(f"{source.place}: it names no key")
    if [one for one in faults if not one.startswith(_ECS)]:
        raise CommandError(f"no keys: {'; '.join(faults)}")
    return {}


def _sources(env: Mapping[str, str], profile: str | None) -> Iterator[_Source]:
    """The places that are set up here, in their order; of *profile* only that where it is."""
    variable = {name[len(_PREFIX) :]: value for name, value in env.items() if name.startswith(_PREFIX)}.get
    user = Path(env.get("HOME") or "~").expanduser()
    config, ini = user / ".aliyun" / "config.json", _ini_file(user, variable("CREDENTIALS_FILE"))
    wanted = profile or variable("PROFILE")
    regions, current = _config(config) if variable("CLI_PROFILE_DISABLED", "").lower() != "true" else ({}, "")
    sections = _sections(ini)
    if profile is not None and profile not in {*regions, *sections}:
        known = ", ".join(sorted({*regions, *sections})) or f"none; run aliyun configure --profile {profile}"
        raise CommandError(
            f"--profile {profile}: there is no such profile in {config} or {ini}; profiles: {known}"
        )
    try:
        from alibabacloud_credentials import provider
        from alibabacloud_credentials.http import HttpOptions
    except ImportError as error:
        raise CommandError(
            f"no keys: {error}; install fc-reaper[cli], which has what looks for them"
        ) from None

    oidc = {"role_arn": variable("ROLE_ARN"), "oidc_provider_arn": variable("OIDC_PROVIDER_ARN"),
            "oidc_token_file_path": variable("OIDC_TOKEN_FILE")}  # fmt: skip
    if profile is None and all(oidc.values()):
        session = variable("ROLE_SESSION_NAME")
        given = provider.OIDCRoleArnCredentialsProvider
        yield _Source("OIDC", lambda: given(**oidc, role_session_name=session).get_credentials())
    name = wanted or current
    if name in regions:
        cli = provider.CLIProfileCredentialsProvider(profile_name=name, profile_file=str(config))
        yield _Source(f"profile {name} of {config}", cli.get_credentials, regions[name])
    if profile is None or profile not in regions:
        section = wanted or "default"
        if section in sections:
            in_ini = provider.ProfileCredentialsProvider(profile_name=section, profile_file=str(ini))
            yield _Source(f"profile {section} of {ini}", in_ini.get_credentials)
    if profile is None and variable("CREDENTIALS_URI"):
        uri = variable("CREDENTIALS_URI")
        yield _Source(
            "ALIBABA_CLOUD_CREDENTIALS_URI",
            lambda: provider.URLCredentialsProvider(uri=uri).get_credentials(),
        )
    role, disabled = variable("ECS_METADATA"), variable("ECS_METADATA_DISABLED", "").lower() == "true"
    if profile is None and not disabled and (role or not is_loopback(env.get("REAPER_ENDPOINT"))):
        once = {
            "http_options": HttpOptions(connect_timeout=1000, read_timeout=1000),
            "async_update_enabled": False,
        }
        ecs = provider.EcsRamRoleCredentialsProvider
        yield _Source(_ECS, lambda: ecs(role_name=role, **once).get_credentials())


def _config(path: Path) -> tuple[dict[str, str | None], str]:
    """The region of each profile of the official command line, by name, and which one is the current."""
    try:
        config = _Config.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValidationError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is not as aliyun configure writes it"
        raise CommandError(f"{path} cannot be read: {what}; mend it, or move it away") from None
    return {one.name: one.region_id for one in config.profiles}, config.current


def _ini_file(user: Path, named: str | None) -> Path:
    folder = user / ".alibabacloud"
    places = [Path(named)] if named else [folder / "credentials.ini", folder / "credentials"]
    return next((one for one in places if one.is_file()), places[-1])


def _sections(path: Path) -> list[str]:
    ini = ConfigParser(interpolation=None)
    try:
        ini.read(path, encoding="utf-8")
    except (OSError, IniError, UnicodeDecodeError):
        raise CommandError(f"{path} cannot be read as an ini file; mend it, or move it away") from None
    return ini.sections()


def _why(error: Exception) -> str:
    """What a fault of the package says, without the queries of its requests: they hold keys and tokens."""
    return printable(re.sub(r"url: \S+|\?\S+", "", str(error)), 200) or type(error).__name__
