"""What is valid in a policy file and yet probably not meant."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from fc_reaper.policy import Matcher, PolicyFile
from fc_reaper.target import Target


def warnings(file: PolicyFile) -> Iterator[str]:
    """Mercy that spares nobody: an exemption whose target none of the policies' targets can meet.

    Above all one without `@`, which means `@LATEST` and does not spare what runs under an alias.
    """
    everywhere = [target for policy in file.policies for target in policy.targets]
    yield from _idle("exempt", file.source, file.exempt, everywhere)
    for number, policy in enumerate(file.policies):
        yield from _idle(f"policies[{number}].unless", file.source, policy.unless, policy.targets)


def _idle(
    path: str, source: str, mercies: tuple[Matcher, ...], targets: tuple[Target, ...] | list[Target]
) -> Iterator[str]:
    for number, mercy in enumerate(mercies):
        for spared in mercy.target or ():
            if any(_may_meet(spared, target) for target in targets):
                continue
            wide = spared._replace(qualifier="*")
            place = f"{source}:{mercy.line}: {path}[{number}].target"
            if any(_may_meet(wide, target) for target in targets):
                yield f"{place}: {spared} spares nothing under the qualifiers of the targets; write {wide}"
            else:
                yield f"{place}: {spared} meets none of the targets; is it spelt right?"


def _may_meet(one: Target, other: Target) -> bool:
    """Whether a function may fit both; two patterns are given the benefit of the doubt."""
    if (one.service is None) != (other.service is None):
        # A 3.0 name may hold a service, so nobody can tell.
        return "$" in one.name or "$" in other.name or "*" in (one.name, other.name)
    pairs = zip(one, other, strict=True)
    return all(a == b or _overlap(str(a), str(b)) for a, b in pairs)


def _overlap(one: str, other: str) -> bool:
    both = all("*" in text or "?" in text for text in (one, other))
    return both or fnmatchcase(one, other) or fnmatchcase(other, one)
