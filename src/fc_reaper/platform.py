"""`probe.json`: what `fc-reaper probe` found out about an account. docs/probe.schema.json is its schema."""

from hashlib import sha256
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from fc_reaper.errors import Issue, SettingsError
from fc_reaper.rules.fields import Version

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


def _fact(description: str, pattern: str | None = None) -> Any:
    return Field(None, description=description, pattern=pattern)


class Facts(BaseModel):
    """What the account does. A fact that is null, or left out, was not observed.

    Names and values are those of the emulator's switches, with _ for -. `started_time` enqueue: the first
    enqueueing, whatever the retries.
    """

    model_config = _STRICT
    started_time: Literal["enqueue", "execution"] | None = _fact("The moment that startedTime tells.")
    events: Literal["list", "get", "no"] | None = _fact("Events are shown by (list: Get too).")
    record_qualifier: Literal["asked", "version"] | None = _fact("The qualifier that a record names.")
    alias_tasks: Literal["alias", "version"] | None = _fact("Tasks of a repointed alias stay at.")
    stop_finished: Literal[412, 400] | None = _fact("A stop of a finished task answers.")
    stop_stopping: Literal[200, 412] | None = _fact("A stop of a Stopping task answers.")
    stopping: str | None = _fact("How long Stopping lasts, rounded up.", "^(?:(?:0|[1-9][0-9]{0,5})s|never)$")
    list_lag: str | None = _fact("How long lists lag, rounded up.", "^(?:0|[1-9][0-9]{0,5})s$")
    arn: Literal["colon", "slash"] | None = _fact("functionArn: before functions/ is a.")
    stop_answer: Literal[200, 204] | None = _fact("A stop that is accepted answers.")
    empty_list: Literal["key", "omitted"] | None = _fact("The key of an empty list is.")
    event_detail: Literal["empty", "log-tail"] | None = _fact("eventDetail holds.")


class Platform(BaseModel):
    """The whole file. It holds no secret, and is the same for the same account but for its `date`."""

    model_config = _STRICT
    version: Version
    region: str = Field(pattern="^[a-z][a-z0-9-]{1,40}$")
    account: str = Field(pattern="^[0-9a-f]{8}$", description="The digest that stands for the account's id.")
    date: str = Field(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="The day of the probe, UTC.")
    api_versions: dict[Literal["2021-04-06", "2016-08-15", "2023-03-30"], bool | None] = Field(
        description="Which versions of the API are served to this account; null and absent: not observed."
    )
    facts: Facts
    observed: dict[str, JsonValue] = Field({}, description="What else was seen, for people.")


def account_digest(region: str, account: str) -> str:
    """What stands for *account* in a file: eight hexadecimal digits of SHA-256 over `REGION ACCOUNT`."""
    return sha256(f"{region} {account}".encode()).hexdigest()[:8]


def read_platform(text: str, source: str) -> Platform:
    """Read the text of a `probe.json`, which messages call *source*.

    SettingsError if it is none: `FILE: path: what is wrong; what to do`, of the first fault.
    """
    try:
        return Platform.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(str(step) for step in first["loc"] if step != "[key]")
    what = f"{first['msg']}; write the file with fc-reaper probe"
    raise SettingsError(Issue.of(source, None, path, what).text)


def facts_for(text: str, source: str, account: str | None, region: str | None) -> dict[str, str]:
    """The settings that a run takes from a `probe.json`, by name; what was not observed sets nothing.

    SettingsError as of `read_platform`, or where account or region of the run is not the file's, or unknown.
    """
    platform = read_platform(text, source)
    if not account or not region:
        what = "account and region of this run are not known; set FC_ACCOUNT_ID and FC_REGION"
    elif (region, account_digest(region, account)) != (platform.region, platform.account):
        what = f"not of account {account} in {region}; run fc-reaper probe there, or unset REAPER_PLATFORM"
    else:
        serves = [version for version in ("2021-04-06", "2016-08-15") if platform.api_versions.get(version)]
        known = {"started_time": platform.facts.started_time, "api_version": "".join(serves[:1])}
        return {name: value for name, value in known.items() if value}
    raise SettingsError(Issue.of(source, None, None, what).text)
