"""What an expression is evaluated over: the record of one task, its payload, and its ages.

None of it is ever logged: what is said of an answer names fields and types, never a value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, NoReturn

from fc_reaper.json_depth import nests_too_deep
from fc_reaper.models import Millis, Task
from fc_reaper.rules.ages import CLOCKS, StartedTime, age, is_exact
from fc_reaper.rules.expression import AGES, PAYLOAD, RAW_PAYLOADS, Expression


class Subject:
    """One task at one moment. Payload and ages are read when an expression first needs them."""

    def __init__(self, task: Task, now: Millis, started_time: StartedTime) -> None:
        self._task = task
        self._now = now
        self._started_time = started_time
        self._record = dict(task.record or {})
        self._has: set[str] = set()

    def record_for(self, expression: Expression) -> Mapping[str, Any]:
        """The record by its wire names, with `payload` and `ages` where *expression* reads them.

        `payload` is what the task was invoked with, as JSON; absent where that is none. `ages` holds seconds
        by the name of the clock, only of those that run in the present status and are known.
        """
        if expression.needs_payload and PAYLOAD not in self._has:
            self._add(PAYLOAD, _payload(self._record))
        if expression.needs_ages and AGES not in self._has:
            self._add(AGES, dict(self._ages()))
        return self._record

    def lacks(self, expression: Expression) -> bool:
        """Whether the record leaves out something that *expression* reads and that a fuller one may hold.

        No record holds a name that no record has, nor a payload that is there and cannot be read.
        """
        if expression.needs_ages and not self._task.events:
            return True
        record = self._task.record or {}
        if expression.needs_payload and not any(name in record for name in RAW_PAYLOADS):
            return True
        ours = {PAYLOAD, AGES, "@", *RAW_PAYLOADS, *expression.unknown_roots}
        return any(record.get(root) is None for root in expression.roots - ours)

    def _add(self, name: str, value: Any) -> None:
        # A field of that name in the record itself would be taken for ours.
        self._record.pop(name, None)
        self._has.add(name)
        if value is not None:
            self._record[name] = value

    def _ages(self) -> Iterator[tuple[str, float]]:
        for clock, statuses in CLOCKS.items():
            if self._task.status in statuses:
                known = age(clock, self._task, self._now, self._started_time)
                if known is not None and is_exact(clock, known, self._started_time):
                    yield clock, known.ms / 1000


def _payload(record: Mapping[str, Any]) -> Any:
    text = next((record[name] for name in RAW_PAYLOADS if record.get(name)), None)
    if not isinstance(text, str) or nests_too_deep(text):
        return None
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that names one key twice contradicts itself."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else _refuse("a name twice")
