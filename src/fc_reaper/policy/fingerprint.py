"""What a policy means, as one short text: equal for files that decide alike, whatever they look like.

Not part of the meaning are name, reason and examples, comments and places, the order of keys and of lists,
and the spelling of lengths of time and of defaults.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from fc_reaper.policy.dump import dump_matcher, dump_one
from fc_reaper.policy.model import Matcher, Policy, PolicyFile
from fc_reaper.policy.values import TRIGGERS

_FORM = 1
"""Counts up whenever the canonical form changes, so that no fingerprint of another form fits by chance."""

_BESIDE_THE_MEANING = ("name", "stop", "report", "examples")


def fingerprint(policy: Policy) -> str:
    """Answer the fingerprint of one policy's meaning, `sha256:` and 64 hexadecimal digits."""
    plain = {key: value for key, value in dump_one(policy).items() if key not in _BESIDE_THE_MEANING}
    plain["match"] = _sorted(plain["match"])
    plain["unless"] = _texts(policy.unless)
    plain["targets"], plain["triggers"] = sorted(plain["targets"]), _awakened_by(policy)
    return _digest({**plain, "does": "stop" if policy.stops else "report"})


def file_fingerprint(file: PolicyFile) -> str:
    """Answer the fingerprint of a whole file: its exemptions, and each policy by its name, in their order."""
    policies = [(policy.name, fingerprint(policy)) for policy in file.policies]
    return _digest({"exempt": exemptions(file), "policies": policies})


def exemptions(file: PolicyFile) -> tuple[str, ...]:
    """The exemptions of a file, each in one line and one spelling, sorted: patterns for ids as they are."""
    return _texts(file.exempt)


def _awakened_by(policy: Policy) -> list[str]:
    """What runs a policy: nothing where all of it does, and no single timer beside every one."""
    timer = "timer" in policy.triggers
    kinds = {one for one in policy.triggers if not (timer and one.startswith("timer:"))}
    return [] if kinds == set(TRIGGERS) else sorted(kinds)


def _texts(matchers: Iterable[Matcher]) -> tuple[str, ...]:
    return tuple(sorted({text for matcher in matchers for text in _spelt(matcher)}))


def _spelt(matcher: Matcher) -> Iterable[str]:
    """A list of patterns spares what each of them does."""
    plain = dump_matcher(matcher)
    return matcher.ids if set(plain) == {"id"} else (_text(_sorted(plain)),)


def _sorted(matcher: dict[str, Any]) -> dict[str, Any]:
    """A matcher whose lists are sorted; a list of one is that one already."""
    return {key: sorted(value) if isinstance(value, list) else value for key, value in matcher.items()}


def _text(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True)


def _digest(plain: Any) -> str:
    return "sha256:" + sha256(_text({"form": _FORM, "meaning": plain}).encode()).hexdigest()
