"""Keys, region and account of the person who types a command: as given, else by the official chain.

https://www.alibabacloud.com/help/en/sdk/developer-reference/v2-manage-python-access-credentials
"""

import re
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from logging import getLogger
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fc_reaper.cli import output
from fc_reaper.cli.output import CommandError
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.cloud import account_endpoint, place_of
from fc_reaper.cloud.client import caller_identity
from fc_reaper.cloud.endpoint import LOOPBACK
from fc_reaper.models import printable
from fc_reaper.settings import Context, read_credentials, read_settings

_ECS = "the role of this instance (ECS)"
# Of what the package says: queries and answers have keys, files may, and the frames hide the cause.
_UNSAID = (
    r"(?i)url: \S+|\?\S+|[\"']\w*(secret|token|key_?id)[\"']\s*:\s*[\"'][^\"']*[\"']|, found: .*"
    r"|.*Caused by \w+\(.*?\): |\"\)+$"
)


class _Config(BaseModel):  # what is read here of the file of the official command line
    current: str = ""
    profiles: list[dict[str, Any]] | None = None


def signed_in(
    env: Mapping[str, str], *, account: str | None, profile: str | None, ask: bool
) -> dict[str, str]:
    """*env* with keys, region and account as far as they can be found.

    The keys are those of *profile*, else its own, else those of the chain. STS is asked for their account if
    one is given, or none is known and there is no endpoint, or the keys are not its own, or *ask*.

    CommandError if the profile does not exist, a place that names keys yields none, or *account* is not it;
    SettingsError for an impossible region or endpoint; CloudError if STS refused the keys, or did not answer.
    """
    own = all(env.get(f"ALIBABA_CLOUD_ACCESS_KEY_{part}") for part in ("ID", "SECRET"))
    output.keys_from.set("ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET, _SECURITY_TOKEN")
    keys = {} if own and profile is None else _keys(env, profile)
    env = {**env, **keys}
    settings = read_settings({**env, "REAPER_PLATFORM": ""}, Context())  # its file needs what is asked here
    at, named = settings.endpoint, settings.account_id
    unknown = not place_of(at, named)[0] and (not at or ask or keys)
    if not (own or keys) or not (account or unknown) or not (at or settings.region):
        return env
    at, given = at or account_endpoint("0", settings.region), read_credentials(env, Context())
    owner, who = caller_identity(at, given, SYSTEM_CLOCK, 20.0)  # The package bounds its own calls to 15 s.
    if account and account != owner:
        whose = f"these keys belong to account {owner} ({who})"
        raise CommandError(f"--account is {account}, but {whose}; leave it out, or choose a --profile")
    return {**env, "FC_ACCOUNT_ID": owner}


def _keys(env: Mapping[str, str], profile: str | None) -> dict[str, str]:
    """The keys and the region of the first place that yields keys; empty where nothing names any."""
    faults = []
    for place, kind, given, region in _places(env, profile):
        try:
            from alibabacloud_credentials import provider

            getLogger("credentials").disabled = True  # It writes to standard error, keys included.
            found = getattr(provider, f"{kind}CredentialsProvider")(**given).get_credentials()
            output.keys_from.set(place)
            return {
                "ALIBABA_CLOUD_ACCESS_KEY_ID": found.get_access_key_id(),
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET": found.get_access_key_secret(),
                "ALIBABA_CLOUD_SECURITY_TOKEN": found.get_security_token() or "",
                "FC_REGION": env.get("FC_REGION") or region,
            }
        except Exception as error:  # the package and what it uses raise all kinds
            why = printable(re.sub(_UNSAID, "", str(error)), 300)
            faults.append(f"{place}: {why or type(error).__name__}")
    if any(not fault.startswith(_ECS) for fault in faults):
        raise CommandError(f"no keys: {'; '.join(faults)}; mend it, or choose another --profile")
    return {}


def _places(env: Mapping[str, str], profile: str | None) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Each place that is set up here, or that of *profile*: its provider and arguments, and its region."""

    def variable(name: str) -> str:
        return env.get(f"ALIBABA_CLOUD_{name}", "")

    user = Path(env.get("HOME") or "~").expanduser()
    config, ini = user / ".aliyun" / "config.json", user / ".alibabacloud" / "credentials"
    known, sections, file = _Config(), ConfigParser(interpolation=None), config
    try:
        if config.is_file() and variable("CLI_PROFILE_DISABLED") != "true":
            known = _Config.model_validate_json(config.read_bytes())
        regions = {str(one["name"]): str(one.get("region_id") or "") for one in known.profiles or ()}
        found = next(filter(Path.is_file, [ini.with_suffix(".ini"), ini]), ini)
        file = ini = Path(variable("CREDENTIALS_FILE") or found)
        sections.read(ini, encoding="utf-8")
    except (OSError, ValueError, KeyError, IniError) as error:
        why = getattr(error, "strerror", None) or "it is not as the official tools write it"
        raise CommandError(f"{file} cannot be read: {why}; mend or remove it") from None
    if profile is not None and profile not in [*regions, *sections.sections()]:
        names = ", ".join(dict.fromkeys([*regions, *sections.sections()]))
        there = f"there are {names}" if names else f"run aliyun configure --profile {profile}"
        raise CommandError(f"--profile {profile}: there is no such profile in {config} or {ini}; {there}")
    # What is not given to the package here it takes from the environment by itself.
    if profile is None and all(map(variable, ("ROLE_ARN", "OIDC_PROVIDER_ARN", "OIDC_TOKEN_FILE"))):
        yield "OIDC", "OIDCRoleArn", {}, ""
    name = profile or variable("PROFILE") or known.current
    if name in regions or (name and name not in sections.sections()):
        given = {"profile_name": name, "profile_file": str(config)}
        yield f"profile {name} of {config}", "CLIProfile", given, regions.get(name, "")
    name = profile or variable("PROFILE") or "default"
    if name in sections.sections() and profile not in regions:
        yield f"profile {name} of {ini}", "Profile", {"profile_name": name, "profile_file": str(ini)}, ""
    if profile is None and variable("CREDENTIALS_URI"):
        yield "ALIBABA_CLOUD_CREDENTIALS_URI", "URL", {}, ""
    emulated = re.match(f"https?://(?:{LOOPBACK.pattern})", env.get("REAPER_ENDPOINT", ""))
    if profile is None and not emulated and variable("ECS_METADATA_DISABLED") != "true":
        yield _ECS, "EcsRamRole", {"async_update_enabled": False}, ""
