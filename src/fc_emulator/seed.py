"""Reads a seed: the tasks and functions that an account begins with. Errors say which entry and which key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fc_emulator.history import life_of
from fc_emulator.tasks import LATEST, Place, Task, Traits

MOST_COPIES = 5_000_000


class SeedError(ValueError):
    """The seed cannot be planted; the text says where and why, on one line."""


@dataclass(frozen=True)
class Seed:
    """What an account begins with: entries as written, checked, so that they can be planted again later."""

    entries: tuple[Mapping[str, Any], ...] = ()
    functions: tuple[tuple[Place, bool], ...] = ()

    def places(self) -> Iterator[tuple[Place, bool]]:
        """Every place that is named, and whether it is in task mode."""
        yield from self.functions
        yield from ((_place(entry), True) for entry in self.entries)

    def tasks(self, now: int) -> Iterator[Task]:
        """Fresh tasks, with relative times counted from *now*."""
        for entry in self.entries:
            place, life, traits = _place(entry), life_of(entry, now), _traits(entry)
            for number in range(1, entry.get("count", 1) + 1):
                yield Task(place, entry["invocationId"].replace("{n}", str(number)), life, traits, number)


def read_seed(text: str) -> Seed:
    """Read the JSON text of a seed.

    Raises:
        SeedError: it is not JSON, a key is unknown or missing, a value cannot be read, an id is used twice.
    """
    try:
        root = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SeedError(f"is not JSON: {error}") from None
    _check_keys(root, "the seed", {"invocations": _is_list, "functions": _is_list}, required=())
    entries = tuple(root.get("invocations", ()))
    functions = tuple(root.get("functions", ()))
    for number, entry in enumerate(entries):
        _check_entry(entry, f"invocations[{number}]")
    for number, function in enumerate(functions):
        _check_keys(function, f"functions[{number}]", _FUNCTION_KEYS, required=("functionName",))
    seed = Seed(entries, tuple((_place(f), f.get("taskMode", True)) for f in functions))
    _check_ids(seed)
    return seed


def _place(entry: Mapping[str, Any]) -> Place:
    return Place(entry.get("serviceName") or None, entry["functionName"], entry.get("qualifier") or LATEST)


def _traits(entry: Mapping[str, Any]) -> Traits:
    payload = entry.get("payloadText", json.dumps(entry["payload"]) if "payload" in entry else "")
    return Traits(
        payload=payload,
        numbered="payload" in entry and "{n}" in payload,
        request_id=entry.get("requestId"),
        instance_id=entry.get("instanceId"),
        error_message=entry.get("invocationErrorMessage", ""),
    )


def _check_entry(entry: Any, where: str) -> None:
    _check_keys(entry, where, _ENTRY_KEYS, required=("functionName", "invocationId", "status"))
    for number, event in enumerate(entry.get("events", ())):
        _check_keys(event, f"{where}.events[{number}]", _EVENT_KEYS, required=("status",))
    if entry.get("count", 1) > 1 and "{n}" not in entry["invocationId"]:
        raise SeedError(f'{where}.invocationId: with "count", write {{n}} into it, such as job-{{n}}')
    if "payload" in entry and "payloadText" in entry:
        raise SeedError(f"{where}.payloadText: there is a payload already; leave one of them out")
    try:
        life_of(entry, 0)
    except (ValueError, OverflowError) as error:
        raise SeedError(f"{where}.{error}") from None


def _check_ids(seed: Seed) -> None:
    taken: set[tuple[Place, str]] = set()
    for number, entry in enumerate(seed.entries):
        place, pattern = _place(entry), entry["invocationId"]
        for copy in range(1, entry.get("count", 1) + 1):
            key = (place, pattern.replace("{n}", str(copy)))
            if key in taken:
                raise SeedError(f"invocations[{number}].invocationId: {key[1]!r} is used twice in {place}")
            taken.add(key)


Check = Callable[[Any], str | None]
"""Says what is wrong with a value, None when nothing is."""


def _check_keys(value: Any, where: str, checks: Mapping[str, Check], required: tuple[str, ...]) -> None:
    if not isinstance(value, dict):
        raise SeedError(f"{where}: is not an object in braces")
    for key in required:
        if key not in value:
            raise SeedError(f"{where}: {key} is missing")
    for key, given in value.items():
        if key not in checks:
            raise SeedError(f"{where}.{key}: nobody knows this key; there are {', '.join(checks)}")
        wrong = checks[key](given)
        if wrong:
            raise SeedError(f"{where}.{key}: {wrong}")


def _is_list(value: Any) -> str | None:
    return None if isinstance(value, list) else "is not a list"


def _is_text(value: Any) -> str | None:
    return None if isinstance(value, str) else f"{value!r} is not text"


def _is_name(value: Any) -> str | None:
    return None if isinstance(value, str) and value else f"{value!r} is not a name"


def _is_name_or_nothing(value: Any) -> str | None:
    return None if value is None or isinstance(value, str) else f"{value!r} is not a name"


def _is_flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"{value!r} is not true or false"


def _is_number(value: Any) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return None if whole else f"{value!r} is not a whole number"


def _is_size(value: Any) -> str | None:
    wrong = _is_number(value)
    if wrong or 1 <= value <= MOST_COPIES:
        return wrong
    return f"{value} is not between 1 and {MOST_COPIES}"


def _is_amount(value: Any) -> str | None:
    wrong = _is_number(value)
    return wrong if wrong or value >= 0 else f"{value} is below zero"


def _is_anything(value: Any) -> str | None:
    return None


_FUNCTION_KEYS: dict[str, Check] = {
    "serviceName": _is_name_or_nothing,
    "functionName": _is_name,
    "qualifier": _is_name,
    "taskMode": _is_flag,
}
_EVENT_KEYS: dict[str, Check] = {
    "eventId": _is_number,
    "status": _is_name,
    "timestamp": _is_anything,
    "eventDetail": _is_text,
}
_ENTRY_KEYS: dict[str, Check] = {
    "serviceName": _is_name_or_nothing,
    "functionName": _is_name,
    "qualifier": _is_name,
    "invocationId": _is_name,
    "count": _is_size,
    "status": _is_name,
    "enqueued": _is_anything,
    "started": _is_anything,
    "stopping": _is_anything,
    "ends": _is_anything,
    "endsAs": _is_name,
    "retries": _is_amount,
    "payload": _is_anything,
    "payloadText": _is_text,
    "events": _is_list,
    "requestId": _is_text,
    "instanceId": _is_text,
    "invocationErrorMessage": _is_text,
    "startedTime": _is_anything,
    "endTime": _is_anything,
}
