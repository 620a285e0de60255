"""Mercy that spares nobody: it is about others than those who are in danger.

Above all a target without `@`, which means `@LATEST` and does not spare what runs under an alias.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fc_reaper.cli.checking.lint.implied import Cell, cells
from fc_reaper.cli.checking.lint.patterns import may_meet, overlap
from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.policy import Matcher, PolicyFile
from fc_reaper.rules.target import Target

NAME = "spares-nobody"


def remarks(file: PolicyFile) -> Iterator[Remark]:
    """One remark for each target, status and id in `exempt` and `unless` that no policy can meet.

    An exemption may wait for policies to come: of it only the targets are looked at.
    """
    everywhere = [target for policy in file.policies for target in policy.targets]
    for at, mercy in enumerate(file.exempt):
        yield from _idle(file.source, f"exempt[{at}]", mercy, everywhere)
    for number, policy in enumerate(file.policies):
        parts = cells(policy)
        for at, mercy in enumerate(policy.unless):
            path = f"policies[{number}].unless[{at}]"
            yield from _idle(file.source, path, mercy, policy.targets)
            yield from _elsewhere(file.source, path, mercy, parts)


def _idle(source: str, path: str, mercy: Matcher, targets: Sequence[Target]) -> Iterator[Remark]:
    for spared in mercy.target or ():
        if any(may_meet(spared, target) for target in targets):
            continue
        wide = spared._replace(qualifier="*")
        if any(may_meet(wide, target) for target in targets):
            cause, remedy = f"{spared} spares nothing under the qualifiers of the targets", f"write {wide}"
        else:
            cause, remedy = f"{spared} meets none of the targets", "is it spelt right?"
        yield Remark(source, mercy.line, f"{path}.target", cause, remedy, NAME)


def _elsewhere(source: str, path: str, mercy: Matcher, parts: Sequence[Cell]) -> Iterator[Remark]:
    """Statuses and ids that `match` never lets through."""
    if not parts:
        return
    possible = sorted({part.status for part in parts})
    statuses = mercy.stated_statuses
    if statuses is not None and not set(statuses) & set(possible):
        cause = f"it spares nobody: it asks for {', '.join(statuses)}, `match` for {', '.join(possible)}"
        yield Remark(source, mercy.line, path, cause, "delete it, or widen `match`", NAME)
    globs = {part.glob for part in parts}
    if mercy.ids and not any(overlap(one, glob) for one in mercy.ids for glob in globs):
        cause = f"it spares nobody: no id fits {' or '.join(mercy.ids)} and one of {', '.join(sorted(globs))}"
        yield Remark(
            source, mercy.line, path, cause, "delete it; `match` leaves those ids alone anyway", NAME
        )
