"""The policy format for editors, made of the same tables that the loader reads by."""

from __future__ import annotations

from typing import Any

from fc_reaper.policy.examples import EXAMPLE
from fc_reaper.policy.file import FILE_KEYS
from fc_reaper.policy.forms import Form
from fc_reaper.policy.keys import schema_of
from fc_reaper.policy.limits import LIMIT
from fc_reaper.policy.matchers import MERCY
from fc_reaper.policy.values import DURATION, EXPRESSION, ID_GLOB, STATUS, TARGET

_SHARED: tuple[Form[Any], ...] = (DURATION, LIMIT, EXPRESSION, ID_GLOB, TARGET, STATUS, MERCY, EXAMPLE)
"""What is used in several places, or is a room of its own."""


def policy_schema() -> dict[str, Any]:
    """Answer the JSON schema (draft 2020-12) of a policy file, as plain data of the caller's own.

    It accepts whatever `load_policy` accepts. What concerns several keys at once, such as unique
    names, and the bounds of lengths of time only the loader knows.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fc-reaper policy",
        "description": "Which asynchronous tasks of Function Compute are stopped or reported, and why.",
        **_copied(schema_of(FILE_KEYS)),
        "$defs": {form.name: _copied(form.schema) for form in _SHARED},
    }


def _copied(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _copied(value) for key, value in part.items()}
    return [_copied(value) for value in part] if isinstance(part, (list, tuple)) else part
