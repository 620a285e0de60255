"""`probe.json`: what `fc-reaper probe` found out about one account, where the platform documents nothing.

docs/probe.schema.json is its schema.
"""

from hashlib import sha256
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from fc_reaper.errors import Issue, SettingsError, nearest, shown
from fc_reaper.rules.fields import Version

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)
_SECONDS = "(?:0|[1-9][0-9]{0,5})s"
_WRITE = {
    "": "one JSON object",
    "version": "1",
    "region": "a region such as cn-hangzhou",
    "account": "eight hexadecimal digits",
    "date": "a day such as 2026-11-27",
    "facts.stopping": "whole seconds such as 1s, never or null",
    "facts.list_lag": "whole seconds such as 0s, or null",
}


def _fact(description: str, pattern: str | None = None) -> Any:
    return Field(None, description=description, pattern=pattern)


class Facts(BaseModel):
    """What the account does. A fact that is null, or left out, was not observed.

    Names and values are those of the emulator's switches, with _ for -. `started_time` enqueue: the first
    enqueueing, whatever the retries.
    """

    model_config = _STRICT

    started_time: Literal["enqueue", "execution"] | None = _fact("The moment that startedTime is.")
    events: Literal["list", "get", "no"] | None = _fact("Records with events: lists too, single ones, none.")
    record_qualifier: Literal["asked", "version"] | None = _fact("Which qualifier a record names.")
    alias_tasks: Literal["alias", "version"] | None = _fact("Where a repointed alias leaves its tasks.")
    stop_finished: Literal[412, 400] | None = _fact("The response to a stop of a finished task.")
    stop_stopping: Literal[200, 412] | None = _fact("The response to a stop of a task in Stopping.")
    stopping: str | None = _fact("How long a task stays in Stopping.", f"^(?:{_SECONDS}|never)$")
    list_lag: str | None = _fact("How long it takes until lists show a change.", f"^{_SECONDS}$")
    arn: Literal["colon", "slash"] | None = _fact("What is before functions/ in the resource names of 3.0.")
    stop_answer: Literal[200, 204] | None = _fact("The response to a stop that is accepted.")
    empty_list: Literal["key", "omitted"] | None = _fact("An empty listing has an empty list, or none.")
    event_detail: Literal["empty", "log-tail"] | None = _fact("What eventDetail holds of an attempt.")


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

    Raises:
        SettingsError: it is none; `FILE: path: what is wrong; what to write`, of the first fault.
    """
    try:
        return Platform.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    path = ".".join(str(step) for step in first["loc"] if step != "[key]")
    raise SettingsError(Issue.of(source, None, path, _fault(path, first)).text)


def _fault(path: str, fault: ErrorDetails) -> str:
    kind, (parent, _, name) = fault["type"], path.rpartition(".")
    if kind == "json_invalid":
        return f"it is not JSON: {fault['ctx']['error']}; write the file with fc-reaper probe"
    if kind == "missing":
        return "it is missing; write the file with fc-reaper probe"
    if kind == "extra_forbidden":
        keys = (Facts if parent else Platform).model_fields
        near = nearest(name, keys)
        write = f"did you mean {near}?" if near else f"the keys are {', '.join(keys)}"
        return f"there is no such key; {write}"
    usual = "true, false or null" if parent == "api_versions" else "an object"
    if kind == "literal_error":
        usual = fault["ctx"]["expected"].replace("'", "") + (", or null" if parent == "facts" else "")
    return f"{shown(fault['input'])} cannot be used; write {_WRITE.get(path, usual)}"
