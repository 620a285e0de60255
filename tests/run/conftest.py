"""An emulator for each test of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator_server import Emulator, running_emulator
from tests.run.account import SEED


@pytest.fixture
def cloud() -> Iterator[Emulator]:
    """The usual account as it was seeded, without faults, and with no calls counted."""
    with running_emulator("--stopping", "5ms", seed=SEED) as emulator:
        yield emulator
