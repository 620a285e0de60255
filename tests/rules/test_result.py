"""Three values, none of which passes for a bool."""

from __future__ import annotations

import pytest

from fc_reaper.rules.result import Truth


@pytest.mark.parametrize("one", list(Truth))
def test_a_truth_is_no_bool(one: Truth) -> None:
    """Unknown would be taken for true by `if`, and for false by `not`."""
    with pytest.raises(TypeError):
        bool(one)
    assert Truth(one.value) is one
