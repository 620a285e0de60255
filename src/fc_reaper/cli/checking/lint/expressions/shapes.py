"""What a value may be, as far as that can be known before there is a task.

A shape is never too small: what a record can hold is in it. So what it lacks, no task has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fc_reaper.cli.checking.lint.implied import generations
from fc_reaper.cli.checking.lint.maxima import MOST_RETRIES, maximum
from fc_reaper.policy import CLOCKS
from fc_reaper.rules.expression import AGES, PAYLOAD, RAW_PAYLOADS, RECORD_FIELDS, Path, spelt
from fc_reaper.rules.target import Target

Fault = tuple[str, str]
"""Why something is never answered, or never true, and what to write instead."""

TEXT, NUMBER, LIST, OBJECT = "text", "a number", "a list", "an object"
TRUE, FALSE, NULL = "true", "false", "null"
BOOLEAN = frozenset((TRUE, FALSE))
ANYTHING = frozenset((TEXT, NUMBER, LIST, OBJECT, *BOOLEAN))

_ID_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class Shape(NamedTuple):
    """The kinds that a value may be of; none at all where there never is one.

    `texts` are the only texts that it may be, `globs` patterns of which its text fits one, `letters` those
    that its text is made of; `number` is the only number, `most` the largest; `bound` says why it is no
    other. Its number is more than `above`; `floor` says why. `fields` are what is known of an object, `items`
    those of a list that is written out. `fault` says why it is less than it seems.
    """

    kinds: frozenset[str] = ANYTHING
    texts: frozenset[str] | None = None
    globs: tuple[str, ...] | None = None
    letters: frozenset[str] | None = None
    number: float | None = None
    most: float | None = None
    bound: Fault | None = None
    above: float | None = None
    floor: Fault | None = None
    fields: Mapping[str, Shape] | None = None
    items: tuple[Shape, ...] | None = None
    fault: Fault | None = None

    def field(self, name: str) -> Shape:
        """The field of that name; nothing where this is no object."""
        if OBJECT not in self.kinds:
            return nothing(self.fault or (f"{spoken(self.kinds)} has no field {name}", f"leave {name} out"))
        return ANY if self.fields is None else self.fields.get(name, ANY)

    def may_be(self, kinds: Iterable[str]) -> bool:
        return not self.kinds.isdisjoint(kinds)


ANY = Shape()


def nothing(fault: Fault) -> Shape:
    """What never has an answer, and why."""
    return Shape(frozenset(), fault=fault)


def spoken(kinds: frozenset[str]) -> str:
    """Kinds in words."""
    words = sorted(kinds - BOOLEAN) + (["true or false"] if kinds & BOOLEAN else [])
    return " or ".join(words) or "what is not there"


def literal(value: Any) -> Shape:
    """The shape of a value that is written out."""
    if value is None or isinstance(value, bool):
        return Shape(frozenset((NULL if value is None else str(value).lower(),)))
    if isinstance(value, str):
        return Shape(frozenset((TEXT,)), texts=frozenset((value,)))
    if isinstance(value, list):
        return Shape(frozenset((LIST,)), items=tuple(map(literal, value)))
    if isinstance(value, Mapping):
        return Shape(frozenset((OBJECT,)))
    return Shape(frozenset((NUMBER,)), number=value)


def record(statuses: Sequence[str], targets: Sequence[Target], read: Iterable[Path]) -> Shape:
    """The record of an unfinished task in one of *statuses*, in which all that is *read* is there."""
    text, number = Shape(frozenset((TEXT,))), Shape(frozenset((NUMBER,)))
    identity, moment = text._replace(letters=_ID_LETTERS), Shape(frozenset((NUMBER, TEXT)))
    fields = {
        **dict.fromkeys(RECORD_FIELDS, text),
        **dict.fromkeys(("invocationId", "taskId"), identity),
        "status": text._replace(texts=frozenset(statuses), bound=_one_of(statuses)),
        "startedTime": moment,
        "endTime": _ended(moment, "endTime"),
        "durationMs": _ended(number, "durationMs"),
        "returnPayload": nothing(_over("returnPayload")),
        "alreadyRetriedTimes": number._replace(
            most=MOST_RETRIES, bound=(f"no task is retried more than {MOST_RETRIES} times", "write less")
        ),
        "events": Shape(frozenset((LIST,))),
        AGES: Shape(frozenset((OBJECT,)), fields={clock: _age(clock, targets) for clock in CLOCKS}),
        PAYLOAD: _payload([path[1:] for path in read if path[:1] == (PAYLOAD,)]),
    }
    return Shape(frozenset((OBJECT,)), fields=fields)


def _one_of(statuses: Sequence[str]) -> Fault:
    several = ", ".join(statuses[:-1])
    known = f"{several} or {statuses[-1]}" if several else "".join(statuses)
    return f"a task that it is asked of is {known}", "write one of those; what is over is never asked"


def _ended(shape: Shape, name: str) -> Shape:
    """Until a task is over it is absent, or 0."""
    return shape._replace(most=0, bound=_over(name))


def _over(name: str) -> Fault:
    return f"only a task that is over has {name}, and none of those is asked", "ask a clock, or `ages`"


def _age(clock: str, targets: Sequence[Target]) -> Shape:
    number = Shape(frozenset((NUMBER,)))
    bounds = [maximum(clock, services=services) for services in generations(targets)]
    known = [bound[0] // 1000 for bound in bounds if bound is not None]
    if not known or len(known) < len(bounds):
        return number
    cause = f"{AGES}.{clock} is in seconds, and never more than {max(known)}"
    return number._replace(
        most=max(known), bound=(cause, f"write less; the key {clock} takes a length of time")
    )


def _payload(paths: Sequence[Path]) -> Shape:
    """A value of which other parts are read as well: it is an object, or a list, if it has them."""
    steps = [path[0] for path in paths if path]
    kinds = ANYTHING
    if any(isinstance(step, str) for step in steps):
        kinds &= {OBJECT}
    if any(isinstance(step, int) for step in steps):
        kinds &= {LIST}
    names = {step for step in steps if isinstance(step, str)}
    fields = {name: _payload([path[1:] for path in paths if path[:1] == (name,)]) for name in names}
    return Shape(kinds, fields=fields)


def misread(paths: Iterable[Path], whole: Shape) -> Fault | None:
    """Why one of *paths* leads nowhere in any record; None where each may lead somewhere."""
    for path in paths:
        here = whole
        for number, step in enumerate(path):
            if here.fault is not None:
                return here.fault
            if number and not here.may_be((OBJECT if isinstance(step, str) else LIST,)):
                return _leads_nowhere(path[:number], step, here)
            here = here.field(step) if isinstance(step, str) else ANY
        if here.fault is not None:
            return here.fault
    return None


def _leads_nowhere(path: Path, step: str | int, here: Shape) -> Fault:
    name = spelt(path)
    if name in RAW_PAYLOADS:
        return f"{name} is text, which has no fields", f"write {spelt((PAYLOAD, step))}"
    if not here.kinds:
        return f"{name} cannot be an object and a list at once", "read it in one way"
    remedy = f"write {name}[-1].{step} for the latest one" if here.kinds == {LIST} else f"write {name} alone"
    return f"{name} is {spoken(here.kinds)}, which has no {spelt((step,))}", remedy
