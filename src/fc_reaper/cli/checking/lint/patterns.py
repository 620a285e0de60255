"""What two patterns have to do with each other, exactly: whether all that fits one fits the other, and
whether anything fits both. Patterns are those of a policy: `*` any text, `?` one character, with case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import takewhile
from typing import TypeVar

from fc_reaper.rules.target import Target, spellings

_OTHER = ""
"""Stands for every character that neither pattern names."""

_MOST = 5_000
"""Steps after which a question is left open."""

_State = TypeVar("_State")


@lru_cache(maxsize=65_536)
def contains(wide: str, narrow: str) -> bool:
    """Whether every text that fits *narrow* fits *wide*; False also where that would take too long to say."""
    if wide in (narrow, "*"):
        return True
    # Two texts that fit *narrow*: mostly they tell already.
    if not all(_fits(narrow.replace("?", "\0").replace("*", some), wide) for some in ("", "\0\0")):
        return False
    letters = {*wide, *narrow, _OTHER} - {"*", "?"}

    def step(state: tuple[int, frozenset[int]]) -> Iterable[tuple[int, frozenset[int]]]:
        at, others = state
        sign = narrow[at : at + 1]
        if sign == "*":
            yield at + 1, others
        for letter in letters if sign in ("*", "?") else (sign,) if sign else ():
            yield at + (sign != "*"), _after(wide, others, letter)

    def counters(state: tuple[int, frozenset[int]]) -> bool:
        return state[0] == len(narrow) and len(wide) not in state[1]

    return _never((0, _skipping(wide, {0})), step, counters)


@lru_cache(maxsize=65_536)
def overlap(one: str, other: str) -> bool:
    """Whether some text fits both; True also where that would take too long to say."""
    if not _begin_alike(one, other) or not _begin_alike(one[::-1], other[::-1]):
        return False

    def step(state: tuple[int, int]) -> Iterable[tuple[int, int]]:
        left, right = state
        first, second = one[left : left + 1], other[right : right + 1]
        if first == "*":
            yield left + 1, right
        if second == "*":
            yield left, right + 1
        if first and second and (first == second or {first, second} & {"*", "?"}):
            yield left + (first != "*"), right + (second != "*")

    return not _never((0, 0), step, lambda state: state == (len(one), len(other)))


def _never(
    start: _State, step: Callable[[_State], Iterable[_State]], found: Callable[[_State], bool]
) -> bool:
    """Whether no state that can be reached is one of those that are sought."""
    seen, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        if found(state) or len(seen) > _MOST:
            return False
        fresh = set(step(state)) - seen
        seen |= fresh
        waiting += fresh
    return True


def _fits(text: str, glob: str) -> bool:
    """As `fnmatchcase`, in a time that no pattern can make long."""
    at, place, star, again = 0, 0, -1, 0
    while at < len(text):
        sign = glob[place : place + 1]
        if sign == "*":
            star, again, place = place, at, place + 1
        elif sign and sign in (text[at], "?"):
            at, place = at + 1, place + 1
        elif star >= 0:
            again += 1
            at, place = again, star + 1
        else:
            return False
    return not glob[place:].strip("*")


def _begin_alike(one: str, other: str) -> bool:
    """Whether the literal beginnings of two patterns go together."""
    pairs = takewhile(lambda pair: not {*pair} & {"*", "?"}, zip(one, other, strict=False))
    return all(left == right for left, right in pairs)


def _after(glob: str, places: frozenset[int], letter: str) -> frozenset[int]:
    """Where a reader of *glob* may be who was at *places* and reads one more letter."""
    onward = set()
    for place in places:
        sign = glob[place : place + 1]
        if sign == "*":
            onward.add(place)
        elif sign == "?" or (sign and sign == letter):
            onward.add(place + 1)
    return _skipping(glob, onward)


def _skipping(glob: str, places: set[int]) -> frozenset[int]:
    """*places* with those behind a `*`, which may stand for nothing."""
    reached = set(places)
    for place in sorted(places):
        while glob[place : place + 1] == "*":
            place += 1
            reached.add(place)
    return frozenset(reached)


def covers_target(wide: Target, narrow: Target) -> bool:
    """Whether *wide*, as an exemption, means every function that *narrow* means, by either of its names."""
    names = [narrow] if narrow.needs_discovery else [Target(*name) for name in spellings(narrow.literal())]
    return any(_covers(wide, name) for name in names)


def holds_target(wide: Target, narrow: Target) -> bool:
    """Whether *wide*, as a target, stands wherever *narrow* does, also after an event has narrowed both.

    An event may name a 3.0 function by a part of its name, before or behind the `$`.
    """
    plain = "$" not in narrow.name or wide.name in (narrow.name, "*")
    return plain and _covers(wide, narrow)


def _covers(wide: Target, narrow: Target) -> bool:
    if (wide.service is None) != (narrow.service is None):
        return False
    return all(contains(str(one), str(other)) for one, other in zip(wide, narrow, strict=True))


def may_meet(one: Target, other: Target) -> bool:
    """Whether a function may fit both, by either of its names."""
    if (one.service is None) != (other.service is None):
        # A 3.0 name may hold a service, so nobody can tell.
        return any(set("$*?") & set(each.name) for each in (one, other) if each.service is None)
    return all(overlap(str(left), str(right)) for left, right in zip(one, other, strict=True))
