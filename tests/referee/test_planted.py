"""The referee sees what it is there for: faults that are planted in the product are caught."""

from __future__ import annotations

import pytest

from tests.referee.planted import FAULTS, caught_by

SAMPLE = (
    "everything is kept",
    "exempt tasks are stopped",
    "one more than the budget",
    "nothing is read again",
)
"""`make faults` plants them all."""


@pytest.mark.parametrize("what", SAMPLE)
def test_a_planted_fault_is_caught(what: str) -> None:
    (fault,) = [one for one in FAULTS if one.what == what]
    assert caught_by(fault, worlds=60)


def test_there_are_faults_of_all_kinds() -> None:
    assert len({fault.what for fault in FAULTS}) == len(FAULTS) >= 30
