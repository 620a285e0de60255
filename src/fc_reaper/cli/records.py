"""What a record out of a file says of itself: whose it is, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fc_reaper.cloud.records import function_in_arn
from fc_reaper.models import LATEST, Function


def id_of(record: Mapping[str, Any]) -> str | None:
    """The id in either generation's word, `invocationId` or `taskId`; None where it has none."""
    return word_of(record, "invocationId") or word_of(record, "taskId")


def function_of(record: Mapping[str, Any]) -> Function | None:
    """The function that a record names, LATEST where nothing tells its qualifier; None where it names none.

    Without a service it is one of 3.0, whose ARN may name the qualifier.
    """
    service, name, qualifier = (word_of(record, key) for key in ("serviceName", "functionName", "qualifier"))
    named = function_in_arn(record.get("functionArn")) if service is None else None
    if named is not None:
        name, qualifier = named[0], qualifier or named[1]
    return None if name is None else Function(service, name, qualifier or LATEST)


def called_by_function(function: Function, record: dict[str, Any]) -> dict[str, Any]:
    """*record* with its id under the name that the generation of *function* has for it."""
    ours = "taskId" if function.service is None else "invocationId"
    return record if word_of(record, ours) is not None else {**record, ours: id_of(record)}


def word_of(record: Mapping[str, Any], key: str) -> str | None:
    """The text under *key*, None where there is none."""
    found = record.get(key)
    return found if isinstance(found, str) and found else None
