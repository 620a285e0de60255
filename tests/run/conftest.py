"""One emulator for the runs of a module, back at its seed before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator_process import EmulatorProcess, running_emulator
from tests.run.account import SEED


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[EmulatorProcess]:
    """An emulator with the usual account, started once."""
    with running_emulator("--stopping", "300ms", seed=SEED) as emulator:
        yield emulator


@pytest.fixture
def cloud(shared_emulator: EmulatorProcess) -> EmulatorProcess:
    """The usual account as it was seeded, without faults, and with no calls counted."""
    shared_emulator.reset()
    return shared_emulator
