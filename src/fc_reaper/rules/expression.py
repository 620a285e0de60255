"""Expressions over a task's record: JMESPath, compiled once and evaluated with three values.

https://jmespath.org/specification.html

jmespath is imported only where a policy has an expression.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, floor
from typing import Any, TypeVar

from fc_reaper.errors import EventRefused, ReaperError, kind_of, nearest, shown
from fc_reaper.events.decode import parse, unique
from fc_reaper.models import Millis, Task
from fc_reaper.rules.ages import CLOCKS, Reading
from fc_reaper.rules.result import UNKNOWN, RuleResult

LONGEST = 1000
"""Characters of an expression, itself allowed."""

DEEPEST = 60
"""Levels of the parse tree, itself allowed: a walk of the tree recurses as deep."""

PAYLOAD, AGES = "payload", "ages"
RAW_PAYLOADS = ("invocationPayload", "taskPayload")

RECORD_FIELDS = (
    "serviceName", "functionName", "functionArn", "qualifier", "invocationId", "taskId", "requestId",
    "status", "startedTime", "endTime", "durationMs", "alreadyRetriedTimes", "instanceId",
    "invocationErrorMessage", "taskErrorMessage", *RAW_PAYLOADS, "returnPayload", "destinationStatus",
    "events",
)  # fmt: skip
"""The wire names of a record, those of 2.0 and of 3.0:
https://www.alibabacloud.com/help/en/functioncompute/fc-2-0/developer-reference/api-fc-open-2021-04-06-struct-statefulasyncinvocation"""

Path = tuple[str | int, ...]
Node = Mapping[str, Any]
T = TypeVar("T")

_AGE = "age"
_ORDERS = ("lt", "lte", "gt", "gte")
_TURNED = dict(zip(_ORDERS, ("gt", "gte", "lt", "lte"), strict=True))
_FAR = 1e15
"""Milliseconds that no task lives."""

_CHAINS = ("subexpression", "index_expression", "pipe")
_PROJECTIONS = ("projection", "value_projection", "filter_projection", "flatten")


class BadExpression(ReaperError, ValueError):
    """The text cannot be used as an expression; its message says why and what to write."""


class Undecided(Exception):
    """An expression has no answer for this task; the text names fields and types, never a value.

    `unread` says that reading the task by itself may give one.
    """

    unread = False

    def result(self, key: str) -> RuleResult:
        """What this makes of the rule of *key*."""
        return RuleResult(UNKNOWN, key, why=f"{key}: {self}", unread=self.unread)


@dataclass(frozen=True)
class Expression:
    """A compiled expression. Two are equal when their texts are."""

    text: str
    tree: Node = field(compare=False)

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """The fields that it reads from the record, by its parse tree, without those of a list's elements."""
        found: list[Path] = []
        whole = _read_by(self.tree, (), found)
        return tuple(dict.fromkeys(found if whole is None else [*found, whole]))

    @cached_property
    def roots(self) -> frozenset[str]:
        """The first names of its fields; `@` stands for the whole record."""
        return frozenset(str(path[0]) if path else "@" for path in self.paths)

    @property
    def needs_payload(self) -> bool:
        """Whether a record without payload cannot answer it."""
        return not self.roots.isdisjoint((PAYLOAD, "@", *RAW_PAYLOADS))

    @cached_property
    def ages(self) -> tuple[tuple[str, Millis], ...]:
        """The clocks that it compares, each with the length beyond which the comparison changes."""
        return tuple(dict.fromkeys(node["value"][:2] for node in _nodes(self.tree) if node["type"] == _AGE))

    @property
    def unknown_roots(self) -> tuple[str, ...]:
        """The names that no record has."""
        return tuple(sorted(self.roots.difference(RECORD_FIELDS, (PAYLOAD, "@"))))

    def __str__(self) -> str:
        return self.text


def record_of(reading: Reading) -> Mapping[str, Any]:
    """The record by its wire names, with `payload`: what the task was invoked with, if that is JSON."""
    if reading.record is None:
        record = dict(reading.task.record or {})
        record.pop(PAYLOAD, None)  # a field of that name would be taken for ours
        text = next((record[name] for name in RAW_PAYLOADS if record.get(name)), None)
        with suppress(EventRefused, ValueError, RecursionError):  # what is no JSON, or at odds with itself
            payload = parse(text, unique) if isinstance(text, str) else None
            record |= {} if payload is None else {PAYLOAD: payload}
        reading.record = record
    return reading.record


def _may_gain(expression: Expression, task: Task) -> bool:
    """Whether the record leaves out something that *expression* reads and that a fuller one may hold.

    No record holds a name that no record has, nor a payload that is there and cannot be read.
    """
    record = task.record or {}
    if expression.ages and not task.events:
        return True
    if expression.needs_payload and not any(name in record for name in RAW_PAYLOADS):
        return True
    ours = {PAYLOAD, "@", *RAW_PAYLOADS, *expression.unknown_roots}
    return any(record.get(root) is None for root in expression.roots - ours)


def ask(expression: Expression, reading: Reading, kind: type[T]) -> T:
    """Evaluate *expression*; the answer is a *kind*.

    Raises:
        Undecided: what decides it is absent or null, types do not fit, or anything else fails.
    """
    from fc_reaper.rules.interpreter import Interpreter

    try:
        answer = Interpreter(reading).visit(expression.tree, record_of(reading))
        if answer is None:
            raise Undecided("it answers nothing")
        if not isinstance(answer, kind):
            raise Undecided(f"it answers {kind_of(answer)}, not {kind_of(kind())}")
        return answer
    except Exception as error:
        absent = _absent(expression, record_of(reading))
        undecided = undecided_by(error) if absent is None else Undecided(f"{absent} is absent")
        undecided.unread = not reading.read and _may_gain(expression, reading.task)
        raise undecided from None


def _absent(expression: Expression, record: Any) -> str | None:
    """The first field that *expression* reads and *record* does not have, or that is null."""
    for path in expression.paths:
        here = record
        for number, step in enumerate(path, 1):
            here = step_into(here, step)
            if here is None:
                return spelt(path[:number])
    return None


def undecided_by(error: Exception) -> Undecided:
    """What a failure leaves undecided: jmespath puts values into its messages, and only names may go on."""
    if isinstance(error, Undecided):
        return error
    name, actual = getattr(error, "function_name", None), getattr(error, "actual_type", None)
    return Undecided(f"{name}() does not take {actual}" if name and actual else "it cannot be computed")


def spelt(path: Path) -> str:
    """Write a path as an expression does, such as `events[0].status`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def step_into(value: Any, step: str | int) -> Any:
    """The field or the element *step* of *value*; None where it is absent or null."""
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
    return value.get(step) if isinstance(value, Mapping) else None


def parse_expression(text: str, example: str = "payload.tier == 'gold'") -> Expression:
    """Compile *text*; *example* is one that messages may show.

    Raises:
        BadExpression: it is empty, too long, no JMESPath, calls an unknown function or with a wrong number
            of arguments, or reads no field at all.
    """
    if not text.strip():
        raise BadExpression(f"it is empty; write an expression such as {example}")
    if len(text) > LONGEST:
        raise BadExpression(f"it has {len(text)} characters; write at most {LONGEST}")
    tree = _parsed(text, example)
    for node in _nodes(tree):
        _check(node)
    expression = Expression(text, _with_ages(tree))
    if not expression.paths and not expression.ages:
        raise BadExpression(f"it reads no field, the same for every task; name one, such as {example}")
    return expression


def _parsed(text: str, example: str) -> Node:
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        with warnings.catch_warnings():
            # `gold` between backticks is deprecated, and read as text although it is no JSON.
            warnings.simplefilter("error", PendingDeprecationWarning)
            tree: Node = jmespath.compile(text).parsed
    except PendingDeprecationWarning:
        what = "what is between backticks is JSON; write text in single quotes, 'gold'"
        raise BadExpression(what) from None
    except (JMESPathError, RecursionError, ValueError) as error:
        at = getattr(error, "lex_position", None)
        near = text[at : at + 20].strip() if isinstance(at, int) and at >= 0 else ""
        where = f" near {near!r}" if near else ""
        write = f"write something like {example}, or payload.size > `5`, joined by && and ||"
        raise BadExpression(f"it is no JMESPath{where}; {write}") from None
    return tree


def _check(node: Node) -> None:
    """Refuse what jmespath compiles although it never has the answer that people expect."""
    kind, children = node["type"], node["children"]
    if kind == "function_expression":
        _check_call(node["value"], len(children))
    if kind in ("subexpression", "index_expression", "value_projection") and (
        isinstance(children[0], Mapping) and children[0]["type"] == "not_expression"
    ):
        raise BadExpression("! takes only the next name; write !(payload.vip) instead of !payload.vip")
    if kind == "literal":
        try:
            json.dumps(node["value"], allow_nan=False)
        except ValueError:
            raise BadExpression("what is between backticks is JSON, without NaN and Infinity") from None


def _check_call(name: str, given: int) -> None:
    from jmespath.functions import Functions

    known: Mapping[str, Any] = Functions.FUNCTION_TABLE
    if name not in known:
        near = nearest(name, known, cutoff=0.6)
        remedy = f"did you mean {near}?" if near else f"the functions are {', '.join(sorted(known))}"
        remedy = "write !(payload.vip)" if name.lower() == "not" else remedy
        raise BadExpression(f"there is no function {name}(); {remedy}")
    signature = known[name]["signature"]
    variadic = bool(signature) and bool(signature[-1].get("variadic"))
    if given < len(signature) or (given > len(signature) and not variadic):
        wanted = f"{len(signature)}{' or more' if variadic else ''}"
        raise BadExpression(f"{name}() does not take {given}; write {wanted}, see https://jmespath.org")


def _with_ages(node: Node) -> Node:
    """*node*, in which each comparison of an age with a number is a node of its own.

    Raises:
        BadExpression: an age stands anywhere else, or there is no such clock.
    """
    kind, children = node["type"], node["children"]
    if kind == "comparator" and node["value"] in _ORDERS:
        for (age, other), order in ((children, node["value"]), (children[::-1], _TURNED[node["value"]])):
            if age["type"] == "subexpression" and type(other.get("value")) in (int, float):
                names = [child.get("value") for child in age["children"]]
                if len(names) == 2 and names[0] == AGES:
                    return _age(names[1], order, other["value"])
    if kind == "field" and node["value"] == AGES:
        what = "an age stands only beside < <= > >= and a number"
        raise BadExpression(f"{what}; write it as in ages.alive_for > `7200`")
    # A field of that name further in, as in payload.ages, is no age of the task.
    inner = ("field",) if kind == "subexpression" else ()
    parts = [
        one if not isinstance(one, Mapping) or (at and one["type"] in inner) else _with_ages(one)
        for at, one in enumerate(children)
    ]
    return {**node, "children": parts}


def _age(clock: Any, order: str, seconds: float) -> Node:
    """The node of a comparison: whether *clock* is over a length, or, negated, whether it is not."""
    if clock not in CLOCKS:
        raise BadExpression(f"there is no age {shown(str(clock))}; write one of {', '.join(CLOCKS)}")
    length = round(max(-_FAR, min(_FAR, seconds * 1000)), 3)
    limit = floor(length) if order in ("gt", "lte") else ceil(length) - 1
    return {"type": _AGE, "value": (clock, limit, order in ("lt", "lte")), "children": []}


def _nodes(tree: Node) -> Iterator[Node]:
    """Every node of *tree*, level by level. Raises BadExpression: there are too many levels."""
    level = [tree]
    for _ in range(DEEPEST):
        yield from level
        level = [one for node in level for one in node["children"] if isinstance(one, Mapping)]
    if level:
        raise BadExpression(f"it has more than {DEEPEST} steps within each other; write it in simpler parts")


def _read_by(node: Node, base: Path | None, found: list[Path]) -> Path | None:
    """Add to *found* what *node* reads from the record itself; return where its own value stands in it.

    *base* is where the value stands that it is evaluated over. None: not in the record as it is.
    """
    kind, children = node["type"], [one for one in node["children"] if isinstance(one, Mapping)]
    if kind in ("current", "identity") or base is None:
        return base
    if kind in ("field", "index"):
        return (*base, node["value"])
    if kind in _CHAINS:
        at: Path | None = base
        for child in children:
            at = _read_by(child, at, found)
        return at
    if not children:  # a slice, or what comes after a pipe and reads nothing itself
        found += [base] if base else []
    # The first part of a projection reads the record, the others read what comes out of it.
    for child in children[:1] if kind in _PROJECTIONS else children if kind != "expref" else ():
        at = _read_by(child, base, found)
        found += [] if at is None else [at]
    return None
