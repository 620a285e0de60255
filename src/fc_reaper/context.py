"""What the platform hands over beside the event, in any of its shapes, as typed values.

2.0 and 3.0 up to python3.10 carry `credentials` and `service`; python3.12 has neither.
https://help.aliyun.com/zh/functioncompute/context-1
https://help.aliyun.com/zh/functioncompute/fc/user-guide/context-1
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fc_reaper.errors import SettingsError


class _Shape(BaseModel):
    # Built when first used: an import pays for what it shows, and a cold start is billed.
    model_config = ConfigDict(frozen=True, from_attributes=True, hide_input_in_errors=True, defer_build=True)


class Keys(_Shape):
    """Temporary keys of the function's role; they never show in a repr."""

    access_key_id: str | None = Field(default=None, repr=False)
    access_key_secret: str | None = Field(default=None, repr=False)
    security_token: str | None = Field(default=None, repr=False)


class OwnFunction(_Shape):
    """The reaper's own function. `timeout` is in seconds, None where the platform does not tell."""

    name: str | None = None
    timeout: float | None = None


class OwnService(_Shape):
    """The reaper's own service, in FC 2.0."""

    name: str | None = None


class Context(_Shape):
    """The context of one invocation; whatever is absent is None."""

    request_id: str | None = None
    region: str | None = None
    account_id: str | None = None
    credentials: Keys | None = None
    function: OwnFunction | None = None
    service: OwnService | None = None


def read_context(given: Any) -> Context:
    """Read the platform's context; None, as on a desk, is one in which everything is absent.

    Raises:
        SettingsError: a field is of another type than the platform documents.
    """
    if isinstance(given, Context):
        return given
    try:
        return Context() if given is None else Context.model_validate(given)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
        raise SettingsError(f"the platform's context has a field of a strange type: {fields}") from None
