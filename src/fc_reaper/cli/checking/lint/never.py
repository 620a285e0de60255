"""A policy of which mercy leaves nothing: all that it could match is spared, or nobody can tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fc_reaper.cli.checking.lint.implied import Cell, cells, spares
from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.policy import Matcher, Policy, PolicyFile

NAME = "never-matches"

_MOST = 50_000
"""Comparisons for one policy; where it would take more, nothing is said."""


class _Mercy(NamedTuple):
    path: str
    matcher: Matcher


def remarks(file: PolicyFile) -> Iterator[Remark]:
    """One remark for each policy that can never make a task due, nor report it."""
    for number, policy in enumerate(file.policies):
        mercies = [_Mercy(f"exempt[{at}]", one) for at, one in enumerate(file.exempt)]
        mercies += [_Mercy(f"policies[{number}].unless[{at}]", one) for at, one in enumerate(policy.unless)]
        needed = _needed(cells(policy), mercies)
        if needed:
            yield _remark(file, policy, needed, number)


def _needed(parts: Sequence[Cell], mercies: Sequence[_Mercy]) -> list[_Mercy]:
    """The mercies that together spare all *parts*; one alone where one will do, none where they do not."""
    if len(parts) * len(mercies) > _MOST:
        return []
    covering = [[mercy for mercy in mercies if spares(mercy.matcher, part)] for part in parts]
    if not all(covering):
        return []
    alone = next((one for one in mercies if covering and all(one in those for those in covering)), None)
    return [alone] if alone else list(dict.fromkeys(those[0] for those in covering))


def _remark(file: PolicyFile, policy: Policy, needed: Sequence[_Mercy], number: int) -> Remark:
    if len(needed) > 1:
        spoken = ", ".join(f"{one.path} (line {one.matcher.line})" for one in needed)
        cause = f"it can never match: {spoken} together spare all of it"
        remedy = "narrow one of them, or delete the policy"
        return Remark(file.source, policy.line, f"policies[{number}].match", cause, remedy, NAME)
    path, matcher = needed[0]
    if path.startswith("exempt"):
        cause = f"it swallows {policy.name} (line {policy.line}), which can never match: all of it is exempt"
        remedy = "narrow the exemption, or delete that policy"
    else:
        cause = "it spares everything that `match` matches, so the policy can never match"
        remedy = "narrow it; a task is spared as soon as one entry of `unless` holds"
    return Remark(file.source, matcher.line, path, cause, remedy, NAME)
