"""Our own small contract: which keys an event may command with, and how strictly they are read.

    {"serviceName": "media", "functionName": "transcode", "qualifier": "prod",
     "invocationId": "job-17", "dryRun": true}

None is required. Keys that resemble none of them are somebody else's and are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from fc_reaper.errors import EventRefused
from fc_reaper.events.decode import JsonObject
from fc_reaper.events.names import kind_of, named
from fc_reaper.events.nearmiss import COMMAND_KEYS, DRY_RUN, means, near_miss, shown
from fc_reaper.events.trigger import Selector


class Command(NamedTuple):
    """What an object commands: where to look, and whether only as a dry run."""

    narrowing: Selector
    dry_run: bool


def read_command(said: JsonObject) -> Command | None:
    """The command in *said*, None when it has no key of ours. `{}` is a command that narrows nothing.

    Raises:
        EventRefused: a near miss of a key, a key written twice, a wrong type, or a name that can be none.
    """
    _refuse_near_misses(said)
    if said and not any(key in said for key in COMMAND_KEYS):
        return None
    refuse_repeats(said, COMMAND_KEYS)
    dry_run = _dry_run(said.get(DRY_RUN, False))
    return Command(_narrowing(said), dry_run)


def refuse_misplaced(envelope: JsonObject, inside: str) -> None:
    """Refuse an envelope with a command key of its own, even a misspelt one, where it would be overlooked.

    Raises:
        EventRefused: it has one; the text says to write it *inside* instead.
    """
    for key in envelope:
        if key in COMMAND_KEYS or near_miss(key):
            raise EventRefused(f"{shown(key)} stands beside {inside}; a command belongs inside {inside}")


def refuse_repeats(said: JsonObject, keys: Iterable[str]) -> None:
    """Refuse an object that has one of *keys* twice: parsers disagree about which of the two counts.

    Raises:
        EventRefused: it has.
    """
    for key in keys:
        if key in said.repeated:
            raise EventRefused(f"{shown(key)} is written twice; write it once")


def refuse_task(alert: JsonObject) -> None:
    """Refuse an alert that names a task beside its own keys: it would be read as wider than it was meant.

    Raises:
        EventRefused: it does.
    """
    if any(means(key, "invocationId") for key in alert):
        raise EventRefused("an alert cannot name one task; send a command with functionName and invocationId")


def _refuse_near_misses(said: JsonObject) -> None:
    for key in said:
        meant = near_miss(key)
        if meant is not None:
            raise EventRefused(f"{shown(key)} is not a command key; did you mean {meant}?")


def _dry_run(value: Any) -> bool:
    if not isinstance(value, bool):
        raise EventRefused(f"{DRY_RUN} is {kind_of(value)}; write true or false without quotes")
    return value


def _narrowing(said: JsonObject) -> Selector:
    service, function, qualifier, invocation_id = (
        named(key, said[key]) if key in said else None for key in COMMAND_KEYS if key != DRY_RUN
    )
    return narrowed(service, function, qualifier, invocation_id)


def narrowed(
    service: str | None, function: str | None, qualifier: str | None, invocation_id: str | None = None
) -> Selector:
    """A narrowing whose service is said once, also where the function is given by its 3.0 name.

    Raises:
        EventRefused: the 3.0 name belongs to another service.
    """
    if service is not None and function is not None and "$" in function:
        inner, _, function = function.partition("$")
        if inner != service:
            raise EventRefused("serviceName and the service within functionName differ; write one of them")
    return Selector(service, function, qualifier, invocation_id)
