"""Whether one matcher holds wherever another one does: exact where that can be seen, else no."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple

from fc_reaper.cli.checking.lint.patterns import contains, covers_target, may_meet, overlap
from fc_reaper.models import Millis
from fc_reaper.policy import Carried, Limit, Matcher, Policy
from fc_reaper.rules.target import Target

_MOST = 2_000
"""Parts into which one policy is taken; beyond it nothing is said about it."""

# What waits was enqueued; an attempt that began was enqueued before, if its record says so at all.
_OLDER = {"queued_for": True, "running_for": False}
"""Clocks that `alive_for` is never behind, and whether it surely is known where they are."""


class Cell(NamedTuple):
    """A part of what a policy's `match` means: one target, one status, one pattern for the id."""

    target: Target
    status: str
    glob: str
    match: Matcher


def cells(policy: Policy) -> list[Cell]:
    """All parts of a policy's `match`; none at all where there are too many to look at."""
    match = policy.match
    parts = policy.targets, match.condition_statuses, match.ids or ("*",)
    if len(parts[0]) * len(parts[1]) * len(parts[2]) > _MOST:
        return []
    return [Cell(target, status, glob, match) for target, status, glob in product(*parts)]


def spares(mercy: Matcher, cell: Cell) -> bool:
    """Whether *mercy* leaves nothing due of what matches in *cell*: it holds there, or nobody can tell."""
    if mercy.target is not None and not any(covers_target(one, cell.target) for one in mercy.target):
        return False
    statuses = mercy.stated_statuses
    named = (statuses is None or cell.status in statuses) and _holds_ids(mercy, cell.glob)
    return named and _implied(mercy, cell.match, surely=False)


def matches_names(wide: Matcher, cell: Cell) -> bool:
    """Whether *wide*, as a policy's `match`, means the status and all ids of *cell*."""
    return cell.status in wide.condition_statuses and _holds_ids(wide, cell.glob)


def limits_hold(wide: Matcher, narrow: Matcher) -> bool:
    """Whether the limits and the expression of *wide* surely hold for whatever matches *narrow*."""
    return _implied(wide, narrow, surely=True)


def concerns(mercy: Matcher, cell: Cell) -> bool:
    """Whether *mercy* may spare anything that matches in *cell*, as far as names and statuses tell."""
    if mercy.target is not None and not any(may_meet(one, cell.target) for one in mercy.target):
        return False
    statuses = mercy.stated_statuses
    if statuses is not None and cell.status not in statuses:
        return False
    return not mercy.ids or any(overlap(glob, cell.glob) for glob in mercy.ids)


def is_by_name(matcher: Matcher) -> bool:
    """Whether it asks for names and statuses only, so that it has an answer for every task."""
    return not matcher.limits and matcher.retries_over is None and matcher.where is None


def _holds_ids(wide: Matcher, narrow: str) -> bool:
    return not wide.ids or any(contains(glob, narrow) for glob in wide.ids)


def _implied(wide: Matcher, narrow: Matcher, *, surely: bool) -> bool:
    """Whether the limits and the expression of *wide* hold; without *surely* unknown will do."""
    if wide.retries_over is not None and not _at_most(wide.retries_over, narrow.retries_over):
        return False
    if wide.where is not None and wide.where != narrow.where:
        return False
    return all(_is_over(clock, limit, narrow, surely=surely) for clock, limit in wide.limits)


def _at_most(limit: int, other: int | None) -> bool:
    return other is not None and limit <= other


def _is_over(clock: str, limit: Limit, narrow: Matcher, *, surely: bool) -> bool:
    """Whether a task that is over all limits of *narrow* is over *limit* on *clock*."""
    stated = dict(narrow.limits)
    if isinstance(limit, Carried):
        if stated.get(clock) == limit:
            return True
        if surely and limit.otherwise is None:
            return False
        limit = limit.at_most
    return any(_reaches(other, limit) for other in _telling(clock, stated, surely=surely))


def _telling(clock: str, stated: dict[str, Limit], *, surely: bool) -> Iterator[Limit]:
    """The limits that say how old a task at least is on *clock*."""
    if clock in stated:
        yield stated[clock]
    if clock == "alive_for":
        yield from (
            stated[name] for name, known in _OLDER.items() if name in stated and (known or not surely)
        )


def _reaches(stated: Limit, limit: Millis) -> bool:
    return not isinstance(stated, Carried) and stated >= limit


def generations(targets: Iterable[Target]) -> dict[bool, list[Target]]:
    """The *targets* by whether they are of FC 2.0; what was carried over to 3.0 still counts as 2.0."""
    found: dict[bool, list[Target]] = {}
    for target in targets:
        found.setdefault(target.service is not None or "$" in target.name, []).append(target)
    return found
