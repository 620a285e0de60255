"""The keys of a plan file, and what may stand behind each of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fc_reaper.cli.planning.planfile import FATES
from fc_reaper.cloud.records import read_moment
from fc_reaper.models import UNFINISHED, Millis

Check = Callable[[Any], Any]
"""Answers with the value as it is used; raises ValueError with what belongs there instead."""

_LONGEST = 65_536
"""Characters of one text, but for the policy of an incident, which the policy's loader bounds."""

_COUNTED = 2**53
_RULE = re.compile("[a-z_]{1,40}")
_CLOCKS = ("events", "started_time")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise ValueError("a text")
    return value


def _rule(value: Any) -> str:
    if not isinstance(value, str) or not _RULE.fullmatch(value):
        raise ValueError("a rule such as alive_for")
    return value


def _policy_text(value: Any) -> str:
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise ValueError("a list of the lines of a policy")
    return "\n".join(value)


def _moment(value: Any) -> Millis:
    moment = read_moment(value) if isinstance(value, str) and "T" in value else None
    if moment is None:
        raise ValueError("a moment such as 2026-07-01T12:00:00.000Z")
    return moment


def _seconds(value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not abs(value) <= _COUNTED:  # nan is not, either
        raise ValueError("a number of seconds")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _list_of_values(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list")
    return value


def _counts(value: Any) -> dict[str, int]:
    good = isinstance(value, dict) and all(type(n) is int and 0 <= n < _COUNTED for n in value.values())
    if not good:
        raise ValueError("an object of counts")
    return dict(value)


def _fingerprints(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError("an object of fingerprints by policy")
    return dict(value)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("a list of policies")
    return tuple(value)


def _object_of_values(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("an object in braces")
    return value


def _or_null(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return value

    return check


def _anything(value: Any) -> Any:
    return value


BASIS: dict[str, Check] = {
    "source": _text,
    "fingerprint": _text,
    "policies": _fingerprints,
    "halted": _names,
    "exempt_from": _or_null(_text),
    "text": _policy_text,
}
TASK: dict[str, Check] = {
    "service": _or_null(_text),
    "function": _text,
    "qualifier": _text,
    "invocation_id": _text,
    "request_id": _or_null(_text),
    "first_enqueue": _or_null(_moment),
    "status": _one_of(*UNFINISHED),
    "policy": _text,
    "rule": _rule,
    "age_s": _or_null(_seconds),
    "limit_s": _or_null(_seconds),
    "over_s": _or_null(_seconds),
    "clock": _or_null(_one_of(*_CLOCKS)),
    "reason": _text,
    "fate": _one_of(*FATES),
}
PLAN: dict[str, Check] = {
    "format": _anything,
    "version": _anything,
    "time": _moment,
    "account": _or_null(_text),
    "region": _or_null(_text),
    "endpoint": _or_null(_text),
    "policy": _object_of_values,
    "complete": _flag,
    "counts": _counts,
    "tasks": _list_of_values,
}
