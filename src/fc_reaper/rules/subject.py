"""What an expression is asked of: the record of one task, its payload, and its ages.

None of it ever leaves: what is said of an answer names fields and types, never a value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, NoReturn

from fc_reaper.json_depth import nests_too_deep
from fc_reaper.models import Millis, Task
from fc_reaper.policy import CLOCKS
from fc_reaper.rules.ages import StartedTime, age, is_exact
from fc_reaper.rules.expression import AGES, PAYLOAD, RAW_PAYLOADS, Expression


class Subject:
    """The facts of one task at one moment. Payload and ages are read when they are first asked for."""

    def __init__(self, task: Task, now: Millis, started_time: StartedTime) -> None:
        self._task = task
        self._now = now
        self._started_time = started_time
        self._record = dict(task.record or {})
        self._has: set[str] = set()

    def subject(self, expression: Expression) -> Mapping[str, Any]:
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
        """Whether something that it reads is not in the record at all, so that a fuller one may tell.

        A name that no record has, and a payload that is there and cannot be read, no reading brings.
        """
        if expression.needs_ages and not self._task.events:
            return True
        record = self._task.record or {}
        if expression.needs_payload and not any(name in record for name in RAW_PAYLOADS):
            return True
        ours = {PAYLOAD, AGES, "@", *RAW_PAYLOADS, *expression.strange_roots}
        return any(record.get(root) is None for root in expression.roots - ours)

    def _add(self, name: str, value: Any) -> None:
        # A record of that name would be taken for ours.
        self._record.pop(name, None)
        self._has.add(name)
        if value is not None:
            self._record[name] = value

    def _ages(self) -> list[tuple[str, float]]:
        ages = []
        for clock, statuses in CLOCKS.items():
            known = None
            if self._task.status in statuses:
                known = age(clock, self._task, self._now, self._started_time)
            if known is not None and is_exact(clock, known, self._started_time):
                ages.append((clock, known.ms / 1000))
        return ages


def _payload(record: Mapping[str, Any]) -> Any:
    text = next((record[name] for name in RAW_PAYLOADS if record.get(name)), None)
    if not isinstance(text, str) or nests_too_deep(text):
        return None
    try:
        return json.loads(
            text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_without_doubles
        )
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse(text)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that says two things of one name contradicts itself."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else _refuse("a name twice")
