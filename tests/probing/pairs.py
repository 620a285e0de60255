"""A covering array: few rows in which every pair of values of any two switches stands together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product

Row = dict[str, str]
Pair = frozenset[tuple[str, str]]


def pairs_of(row: Mapping[str, str]) -> set[Pair]:
    return {frozenset(pair) for pair in combinations(row.items(), 2)}


def all_pairs(switches: Mapping[str, Sequence[str]]) -> set[Pair]:
    """Each pair of values of two different *switches*."""
    return {
        frozenset(((one, left), (other, right)))
        for one, other in combinations(switches, 2)
        for left, right in product(switches[one], switches[other])
    }


def covering(switches: Mapping[str, Sequence[str]]) -> Iterator[Row]:
    """Rows that together have all pairs; each begins with one that is missing, and adds what it can."""
    missing = all_pairs(switches)
    while missing:
        row = dict(min(map(sorted, missing)))
        for name in switches:
            if name not in row:
                row[name] = max(
                    switches[name], key=lambda value: len(pairs_of({**row, name: value}) & missing)
                )
        missing -= pairs_of(row)
        yield {name: row[name] for name in switches}
