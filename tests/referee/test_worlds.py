"""Nothing wrong, and nothing missed, in worlds of all kinds.

`python -m tests.referee SEED --verbose` shows one of them; `make nightly` tries ten thousand.
"""

from __future__ import annotations

import pytest

from tests.referee.referee import breaches_of
from tests.referee.trial import carry_out
from tests.referee.worlds import world_of

WORLDS, SLICES = 50, 10


@pytest.mark.parametrize("slice_number", range(SLICES))
def test_nothing_is_wrong_and_nothing_missed(slice_number: int) -> None:
    found = []
    for seed in range(slice_number, WORLDS, SLICES):
        breaches = breaches_of(carry_out(world_of(seed)))
        found += [f"{breach}\n    replay: python -m tests.referee {seed} --verbose" for breach in breaches]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("seed", [6, 10, 15])
def test_a_world_is_always_the_same(seed: int) -> None:
    """To the last call and line: what a failing world shows can be shown again."""
    once, again = (carry_out(world_of(seed)) for _ in range(2))
    for one, other in zip(once.runs, again.runs, strict=True):
        assert one.exchanges == other.exchanges
        assert one.lines == other.lines
        assert (one.begun, one.ended) == (other.begun, other.ended)
