"""Policies by what they watch, so that not every one need be compared with every other."""

from __future__ import annotations

from collections.abc import Iterable

from fc_reaper.policy import Policy
from fc_reaper.rules.target import Target


class Neighbours:
    """Finds policies by target: one without a pattern means only what is written the same."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._literal: dict[Target, list[Policy]] = {}
        self._patterns: list[Policy] = []
        for policy in policies:
            for target in dict.fromkeys(policy.targets):
                if not target.needs_discovery:
                    self._literal.setdefault(target, []).append(policy)
            if any(target.needs_discovery for target in policy.targets):
                self._patterns.append(policy)

    def of(self, targets: Iterable[Target]) -> list[Policy]:
        """Those that may mean one of *targets*, and all with a pattern, in the order of the file."""
        found = {one.index: one for one in self._patterns}
        for target in targets:
            found.update({one.index: one for one in self._literal.get(target, ())})
        return [found[index] for index in sorted(found)]
