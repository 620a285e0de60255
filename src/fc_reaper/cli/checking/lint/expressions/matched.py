"""What `match` and the targets of a policy say already of each record that its expressions are asked of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fc_reaper.cli.checking.lint.expressions.shapes import ANY, Fault, Shape
from fc_reaper.models import Millis
from fc_reaper.policy import CLOCKS, Carried, Matcher, spell_duration
from fc_reaper.rules.expression import AGES
from fc_reaper.rules.target import Target

_VERSIONS = ("LATEST", *(f"{digit}*" for digit in range(10)))
"""What a record may call an alias, for all that is documented: the version that it stood for."""


def narrowed(whole: Shape, match: Matcher, targets: Sequence[Target]) -> Shape:
    """*whole*, as far as it may be the record of a task that *match* matches under one of *targets*."""
    fields = dict(whole.fields or {})
    fields.update(
        (name, fields[name]._replace(globs=globs, bound=why)) for name, globs, why in _named(targets)
    )
    if match.ids:
        why = f"`match` asks for ids that fit {' or '.join(match.ids)}", "write an id that fits"
        for name in ("invocationId", "taskId"):
            fields[name] = fields[name]._replace(globs=match.ids, bound=why)
    if match.retries_over is not None:
        low = f"`match` asks for alreadyRetriedTimes over {match.retries_over}", "write more"
        fields["alreadyRetriedTimes"] = fields["alreadyRetriedTimes"]._replace(
            above=match.retries_over, floor=low
        )
    ages = dict(fields[AGES].fields or {})
    ages.update((clock, _older(ages.get(clock, ANY), match, clock)) for clock in CLOCKS)
    fields[AGES] = fields[AGES]._replace(fields=ages)
    return whole._replace(fields=fields)


def _named(targets: Sequence[Target]) -> Iterator[tuple[str, tuple[str, ...], Fault]]:
    """What the names in a record fit; those of service and function stand in records of FC 2.0 only."""
    services = [target.service for target in targets if target.service is not None]
    if len(services) == len(targets):
        functions = [target.name for target in targets]
        yield "serviceName", tuple(services), _says("serviceName", services)
        yield "functionName", tuple(functions), _says("functionName", functions)
    qualifiers = [target.qualifier for target in targets]
    yield "qualifier", (*qualifiers, *_VERSIONS), _says("qualifier", qualifiers)


def _says(name: str, written: Sequence[str]) -> Fault:
    known = " or ".join(dict.fromkeys(written))
    return f"by `targets` {name} is {known}", "write one of `targets`, or add that one there"


def _older(shape: Shape, match: Matcher, clock: str) -> Shape:
    """How old a task surely is: nothing waits, and no attempt runs, for longer than it is alive."""
    telling = {clock} if clock != "alive_for" else {"alive_for", "queued_for", "running_for"}
    limits: list[tuple[Millis, str]] = [
        (limit, name) for name, limit in match.limits if name in telling and not isinstance(limit, Carried)
    ]
    if not limits:
        return shape
    limit, name = max(limits)
    low = (
        f"{AGES}.{clock} is in seconds, and over {limit // 1000} as {name} is over {spell_duration(limit)}",
        f"write more than {limit // 1000}, or leave it out",
    )
    return shape._replace(above=limit / 1000, floor=low)
