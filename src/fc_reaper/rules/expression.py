"""Expressions over a task's record: JMESPath, compiled once and evaluated with three values.

`rules.interpreter`, and jmespath with it, is imported only where a policy has an expression.
https://jmespath.org/specification.html
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fc_reaper.errors import EventRefused, kind_of
from fc_reaper.events.parser import parse, unique
from fc_reaper.models import Millis, Task, printable
from fc_reaper.rules.ages import Reading
from fc_reaper.rules.result import UNKNOWN, RuleResult

PAYLOAD, AGES = "payload", "ages"
RAW_PAYLOADS = ("invocationPayload", "taskPayload")
_LONGEST_PAYLOAD = 1 << 19  # characters; the platform accepts 128 KB, and the values of more fill the memory

# The wire names of a record, those of 2.0 and of 3.0:
# https://www.alibabacloud.com/help/en/functioncompute/fc-2-0/developer-reference/api-fc-open-2021-04-06-struct-statefulasyncinvocation
RECORD_FIELDS = (
    "serviceName", "functionName", "functionArn", "qualifier", "invocationId", "taskId", "requestId",
    "status", "startedTime", "endTime", "durationMs", "alreadyRetriedTimes", "instanceId",
    "invocationErrorMessage", "taskErrorMessage", *RAW_PAYLOADS, "returnPayload", "destinationStatus",
    "events",
)  # fmt: skip

Node = Mapping[str, Any]
T = TypeVar("T")


class Undecided(Exception):
    """There is no answer for this task; if `unread`, reading it may give one. Shows no value."""

    def __init__(self, why: str, *, unread: bool = False) -> None:
        super().__init__(why)
        self.unread = unread

    def result(self, key: str) -> RuleResult:
        """What this makes of the rule of *key*."""
        return RuleResult(UNKNOWN, key, why=f"{key}: {self}", unread=self.unread)


@dataclass(frozen=True)
class Expression:
    """A compiled expression. Two are equal when their texts are.

    `roots` are the first names of what it reads from the record, `@` for the whole. `ages` are the clocks
    that it compares, each with the length beyond which the result changes.
    """

    text: str
    tree: Node = field(compare=False)
    roots: frozenset[str] = field(compare=False)
    ages: tuple[tuple[str, Millis], ...] = field(compare=False)

    @property
    def needs_payload(self) -> bool:
        """Whether a record without payload cannot answer it."""
        return not self.roots.isdisjoint((PAYLOAD, "@", *RAW_PAYLOADS))

    @property
    def unknown_roots(self) -> tuple[str, ...]:
        """The names that no record has."""
        return tuple(sorted(self.roots.difference(RECORD_FIELDS, (PAYLOAD, "@"))))

    def __str__(self) -> str:
        return self.text


def ask(expression: Expression, reading: Reading, kind: type[T]) -> T:
    """Evaluate *expression*; the answer is a *kind*, else it is Undecided, whatever fails."""
    from fc_reaper.rules.interpreter import Interpreter, reason_of

    try:
        answer = Interpreter(reading).visit(expression.tree, record_of(reading))
        if answer is None:
            raise Undecided("it answers nothing")
        if not isinstance(answer, kind):
            raise Undecided(f"it answers {kind_of(answer)}, not {kind_of(kind())}")
        return answer
    except Exception as error:
        # No name for what is raised: its frames would hold it, and the whole record, until a collection.
        unread = not reading.read and _may_gain(expression, reading.task)
        raise Undecided(reason_of(error), unread=unread) from None


def owner_of(owner: str | Expression | None, reading: Reading) -> str | None:
    """Who owns the task, on one line of at most 128 characters; None if no text or number says so."""
    if not isinstance(owner, Expression):
        return owner
    with suppress(Undecided, ValueError):
        answer = ask(owner, reading, object)
        text = json.dumps(answer, allow_nan=False) if type(answer) in (int, float) else answer
        if isinstance(text, str) and text.strip():
            return printable(text.strip(), 128)
    return None


def record_of(reading: Reading) -> Mapping[str, Any]:
    """The record by its wire names, with `payload`: what the task was invoked with, if that is JSON."""
    if reading.record is None:
        record = dict(reading.task.record or {})
        record.pop(PAYLOAD, None)  # a field of that name would be taken for ours
        text = next((record[name] for name in RAW_PAYLOADS if record.get(name)), None)
        with suppress(EventRefused, ValueError, RecursionError):  # what is no JSON, or at odds with itself
            payload = parse(text, unique) if isinstance(text, str) and len(text) <= _LONGEST_PAYLOAD else None
            record |= {} if payload is None else {PAYLOAD: payload}
        reading.record = record
    return reading.record


def _may_gain(expression: Expression, task: Task) -> bool:
    """Whether the record leaves out something that *expression* reads and that a fuller one may hold."""
    record = task.record or {}
    # A payload that is there and cannot be read will not be readable in a fuller record.
    without_payload = expression.needs_payload and not any(name in record for name in RAW_PAYLOADS)
    may_hold = expression.roots.intersection(RECORD_FIELDS).difference(RAW_PAYLOADS)
    without_field = any(record.get(root) is None for root in may_hold)
    return without_payload or without_field or bool(expression.ages and not task.events)
