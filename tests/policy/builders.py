"""Policy files with good defaults, as text: a test writes only what matters to it."""

from __future__ import annotations

import pytest

from fc_reaper.errors import Issue, PolicyError
from fc_reaper.policy import Matcher, Policy, PolicyFile, load_policy

KEYS = {
    "name": "runaway",
    "targets": "[media/transcode@prod]",
    "match": "{alive_for: 2h}",
    "stop": "forty minutes at worst",
}


def a_file(*, top: str = "", without: str = "", **keys: str) -> str:
    """The text of a file with one policy; *keys* replace its values, *top* adds a line at the top."""
    merged = {**KEYS, **keys}
    if "report" in keys and "stop" not in keys:
        del merged["stop"]
    lines = [f"    {key}: {value}".rstrip() for key, value in merged.items() if key != without]
    return "\n".join(["version: 1", *([top] if top else []), "policies:", "  -", *lines, ""])


def loaded(text: str) -> PolicyFile:
    return load_policy(text, source="policy.yaml")


def policy(**keys: str) -> Policy:
    """The one policy of a file, as it is read."""
    return loaded(a_file(**keys)).policies[0]


def match(text: str) -> Matcher:
    """A `match`, as it is read in a policy that any match is allowed in."""
    return policy(match=text, triggers="[task]").match


def spared(text: str) -> tuple[Matcher, ...]:
    """An `unless`, as it is read."""
    return policy(unless=text).unless


def issues(text: str) -> list[Issue]:
    """The issues of a text that must be refused."""
    with pytest.raises(PolicyError) as caught:
        loaded(text)
    return list(caught.value.issues)


def issue(**keys: str) -> Issue:
    """The only issue of a file whose policy has these *keys*."""
    found = issues(a_file(**keys))
    assert len(found) == 1, found
    return found[0]
