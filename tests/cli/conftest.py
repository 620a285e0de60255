"""One emulator for the commands, and a folder with the usual policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import a_policy_file
from tests.emulator_process import EmulatorProcess, running_emulator
from tests.run.account import SEED


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[EmulatorProcess]:
    """An emulator with the usual account, started once."""
    with running_emulator("--stopping", "300ms", seed=SEED) as emulator:
        yield emulator


@pytest.fixture
def cloud(shared_emulator: EmulatorProcess) -> EmulatorProcess:
    """The usual account, some seconds after it was seeded: dates are whole seconds, and 3h must be 3h."""
    shared_emulator.reset()
    shared_emulator.advance("5s")
    return shared_emulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the usual policy.yaml."""
    a_policy_file(tmp_path)
    return tmp_path
