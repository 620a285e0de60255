"""A memory that does not grow: what was seen lately."""

from __future__ import annotations

from collections.abc import Hashable

_GENERATION = 10_000


class Memory:
    """Remembers at least the last ten thousand things, and at most twice as many.

    A task that moves on while we list is listed under both its statuses. Should that happen farther
    apart than this, and it is not due, it is counted twice; what is due has one place in any case.
    """

    def __init__(self) -> None:
        self._young: set[Hashable] = set()
        self._old: set[Hashable] = set()

    def add(self, thing: Hashable) -> bool:
        """Remember *thing*; False when it is remembered already."""
        if thing in self._young or thing in self._old:
            return False
        if len(self._young) >= _GENERATION:
            self._young, self._old = set(), self._young
        self._young.add(thing)
        return True
