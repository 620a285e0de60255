"""Who is one too many for a `keep` policy, kept up to date from one tick to the next.

A run counts its population anew (`judge.keep.Population`). Here every task that comes or goes moves the
border between those who go and those who stay, at most by one place; what comes of it is the same.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from fc_reaper.evaluator.concurrency import MOST, Key, by_age, key_of, record_order
from fc_reaper.evaluator.verdict import Member
from fc_reaper.models import Millis, Task
from fc_reaper.policy import Policy

Place = tuple[tuple[Millis, str, str], int]
"""How old a task is among the others, and its number."""


class _Entry(NamedTuple):
    group: str
    place: Place
    selectable: bool
    key: Key
    rank: tuple[tuple[bool, bool, str], int]


class Move(NamedTuple):
    """A task that is one too many now and was not, or (`goes` is False) is no more."""

    number: int
    key: Key
    goes: bool


class _Group:
    """The tasks of one group, `size` in all; the `border` first of those who may be chosen go."""

    def __init__(self, newest: bool) -> None:
        self.size = 0
        self.border = 0
        self._newest = newest
        self._line: list[Place] = []

    def add(self, entry: _Entry) -> bool:
        """Take a task in; whether it stands among those who go."""
        self.size += 1
        if not entry.selectable:
            return False
        insort(self._line, entry.place)
        return self._shift(bisect_left(self._line, entry.place), 1)

    def remove(self, entry: _Entry) -> bool:
        """Let a task out; whether it stood among those who go."""
        self.size -= 1
        if not entry.selectable:
            return False
        spot = bisect_left(self._line, entry.place)
        goes = self._shift(spot, -1)
        del self._line[spot]
        return goes

    def level(self, at_most: int) -> Iterator[int]:
        """Move the border to where it belongs; answers whom it passes."""
        wanted = min(len(self._line), max(0, self.size - at_most))
        while self.border < wanted:
            self.border += 1
            yield self._at(self.border)
        while self.border > wanted:
            yield self._at(self.border)
            self.border -= 1

    def _shift(self, spot: int, by: int) -> bool:
        rank = len(self._line) - 1 - spot if self._newest else spot
        goes = rank < self.border
        self.border += by if goes else 0
        return goes

    def _at(self, rank: int) -> int:
        return self._line[-rank if self._newest else rank - 1][1]


class Crowd:
    """The population of one `keep` policy. `going` are those who are one too many, as of the last `turn`."""

    def __init__(self, policy: Policy) -> None:
        assert policy.keep is not None
        self.policy = policy
        self.going: set[int] = set()
        self._at_most = policy.keep.at_most
        self._newest = policy.keep.stop_first == "newest"
        self._entries: dict[int, _Entry] = {}
        self._groups: dict[str, _Group] = {}
        self._same: dict[Key, set[int]] = {}
        self._standing: dict[Key, int] = {}
        self._hidden: Counter[Key] = Counter()
        self._moved: dict[int, _Entry] = {}
        self._uneven: set[str] = set()
        self._idle = False

    @property
    def overflown(self) -> bool:
        """Whether there are too many to be counted in one run."""
        return len(self._same) > MOST

    @property
    def withholds(self) -> bool:
        """Whether who is one too many here counts in no later population."""
        return self.policy.stops or not self.policy.approved

    def join(self, number: int, member: Member, task: Task) -> None:
        """A task counts."""
        key = key_of(task)
        place, rank = (by_age(member, task), number), (record_order(member, task), -number)
        self._entries[number] = _Entry(member.group, place, member.selectable, key, rank)
        self._same.setdefault(key, set()).add(number)
        self._settle(key)

    def part(self, number: int) -> None:
        """A task counts no more."""
        key = self._entries[number].key
        self._same[key].discard(number)
        self._settle(key)
        if not self._same[key]:
            del self._same[key]
        del self._entries[number]

    def hide(self, key: Key, by: int = 1) -> None:
        """Another policy stops a task, so that it does not count while that lasts; *by* -1 takes it back."""
        self._hidden[key] += by
        if not self._hidden[key]:
            del self._hidden[key]
        self._settle(key)

    def turn(self) -> list[Move]:
        """Draw the borders, and answer for whom that changes something."""
        # A report says nothing about too many to be counted; a stop is halted, with all who go.
        idle = self.overflown and not self.policy.stops
        if idle is not self._idle:
            self._idle = idle
            self._uneven.update(self._groups)
        for name in self._uneven:
            for number in self._groups[name].level(1 << 62 if idle else self._at_most):
                self._toggle(self._entries[number])
        self._uneven.clear()
        moves = [
            Move(number, entry.key, goes=number not in self.going) for number, entry in self._moved.items()
        ]
        self.going.symmetric_difference_update(self._moved)
        self._moved.clear()
        return moves

    def _settle(self, key: Key) -> None:
        """Of those who are the same task one stands for all, unless another policy has it."""
        old = self._standing.get(key)
        new = None if key in self._hidden else min(self._same.get(key, ()), key=self._rank, default=None)
        if old == new:
            return
        if old is not None:
            del self._standing[key]
            self._touch(self._entries[old], self._group(old).remove(self._entries[old]))
        if new is not None:
            self._standing[key] = new
            self._touch(self._entries[new], self._group(new).add(self._entries[new]))

    def _rank(self, number: int) -> tuple[tuple[bool, bool, str], int]:
        return self._entries[number].rank

    def _group(self, number: int) -> _Group:
        name = self._entries[number].group
        if name not in self._groups:
            self._groups[name] = _Group(self._newest)
        return self._groups[name]

    def _touch(self, entry: _Entry, goes: bool) -> None:
        self._uneven.add(entry.group)
        if goes:
            self._toggle(entry)

    def _toggle(self, entry: _Entry) -> None:
        """Who goes and comes back before the next turn has not moved."""
        number = entry.place[1]
        if self._moved.pop(number, None) is None:
            self._moved[number] = entry
