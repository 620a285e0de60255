"""Three values: what settles a whole, and that none of them passes for a bool."""

from __future__ import annotations

from itertools import product

import pytest

from fc_reaper.rules.result import FALSE, TRUE, UNKNOWN, Truth


@pytest.mark.parametrize(
    ("one", "other", "both", "either"),
    [
        (TRUE, TRUE, TRUE, TRUE),
        (TRUE, FALSE, FALSE, TRUE),
        (TRUE, UNKNOWN, UNKNOWN, TRUE),
        (FALSE, FALSE, FALSE, FALSE),
        (FALSE, UNKNOWN, FALSE, UNKNOWN),
        (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    ],
)
def test_one_false_settles_an_and_one_true_an_or(
    one: Truth, other: Truth, both: Truth, either: Truth
) -> None:
    """In either order; else one unknown makes the whole unknown."""
    assert (one & other) is (other & one) is both
    assert (one | other) is (other | one) is either


def test_not_turns_true_and_false_round() -> None:
    """What is unknown is so as well when it is denied."""
    assert [~one for one in (TRUE, FALSE, UNKNOWN)] == [FALSE, TRUE, UNKNOWN]
    assert all(~(one & other) is (~one | ~other) for one, other in product(Truth, repeat=2))


@pytest.mark.parametrize("one", list(Truth))
def test_a_truth_is_no_bool(one: Truth) -> None:
    """Unknown would be taken for true by `if`, and for false by `not`."""
    with pytest.raises(TypeError):
        bool(one)
    assert Truth(one.value) is one
    assert (one & True) is not TRUE  # type: ignore[operator]
