"""A policy that never has the last word: whatever it claims, others claim more strongly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fc_reaper.cli.checking.lint.implied import (
    Cell,
    cells,
    concerns,
    is_by_name,
    limits_hold,
    matches_names,
)
from fc_reaper.cli.checking.lint.patterns import contains, holds_target
from fc_reaper.cli.checking.neighbours import Neighbours
from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.policy import Matcher, Policy, PolicyFile
from fc_reaper.policy.values import TRIGGERS

NAME = "always-beaten"

_MOST = 50_000
"""Comparisons for one policy; where it would take more, nothing is said."""


def remarks(file: PolicyFile) -> Iterator[Remark]:
    """One remark for each policy that can never be the one that a task is stopped or reported by."""
    neighbours = Neighbours(file.policies)
    for number, policy in enumerate(file.policies):
        rivals = [one for one in neighbours.of(policy.targets) if _may_beat(one, policy)]
        winners = _winners(policy, rivals) if rivals else []
        if winners:
            path = f"policies[{number}]"
            yield Remark(file.source, policy.line, path, _cause(policy, winners), _remedy(policy), NAME)


def _may_beat(one: Policy, other: Policy) -> bool:
    """Whether *one* is stronger and asks no more of a task than *other* does, save for names."""
    return _is_stronger(one, other) and limits_hold(one.match, other.match)


def _is_stronger(one: Policy, other: Policy) -> bool:
    """Whether *one*'s claim wins over *other*'s: stop over report and over `keep`, then what stands first."""
    if one.index == other.index or one.keep is not None:
        return False
    if one.stops != other.stops or other.keep is not None:
        return one.stops
    return one.index < other.index


def _winners(policy: Policy, rivals: Sequence[Policy]) -> list[Policy]:
    """Who claims all of it: one rival where one will do, else those who do together, else nobody."""
    parts = [(part, trigger) for part in cells(policy) for trigger in policy.triggers or TRIGGERS]
    if len(parts) * len(rivals) > _MOST:
        return []
    for rival in rivals:
        if parts and all(_claims(rival, part, trigger, policy) for part, trigger in parts):
            return [rival]
    claiming = []
    for part, trigger in parts:
        those = [rival for rival in rivals if _claims(rival, part, trigger, policy)]
        if not those:
            return []
        claiming.append(those)
    return list({those[0].index: those[0] for those in claiming}.values())


def _claims(rival: Policy, part: Cell, trigger: str, policy: Policy) -> bool:
    """Whether *rival* surely claims, in the same run, what *policy* claims in *part*."""
    if not rival.fits_trigger(*_split(trigger)):
        return False
    if not any(holds_target(target, part.target) for target in rival.targets):
        return False
    if not matches_names(rival.match, part):
        return False
    return not any(concerns(mercy, part) and not _spared_too(mercy, policy) for mercy in rival.unless)


def _split(trigger: str) -> tuple[str, str | None]:
    kind, _, name = trigger.partition(":")
    return kind, name or None


def _spared_too(mercy: Matcher, policy: Policy) -> bool:
    """Whether *policy* spares for itself all that *mercy* spares, so that no claim of it falls to that."""
    return any(one == mercy or _is_wider(one, mercy) for one in policy.unless)


def _is_wider(one: Matcher, other: Matcher) -> bool:
    by_id_alone = is_by_name(one) and one.target is None and one.statuses is None
    return by_id_alone and bool(other.ids) and all(any(contains(w, n) for w in one.ids) for n in other.ids)


def _cause(policy: Policy, winners: Sequence[Policy]) -> str:
    spoken = " and ".join(f"{one.name} (line {one.line})" for one in winners)
    claims = "claim" if len(winners) > 1 else "claims"
    if policy.keep is not None:
        return f"{spoken} {claims} every task that it could choose, and a plain stop comes before `keep`"
    if winners[0].stops and not policy.stops:
        return f"{spoken} {claims} every task that it would report, and a stop beats a report"
    return f"{spoken} {claims} every task that it matches, and what stands first wins"


def _remedy(policy: Policy) -> str:
    if policy.stops and policy.keep is None:
        return "put it above, narrow the other, or delete it"
    return "lower its limit, narrow the other, or delete it"
