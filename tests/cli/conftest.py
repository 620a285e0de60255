"""An emulator for the commands, and a folder with the usual policy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import a_policy_file, environment
from tests.emulator_server import Emulator, running_emulator
from tests.run.account import SEED


@pytest.fixture(scope="package", autouse=True)
def no_shape() -> Iterator[None]:
    """The width and colours of whoever runs the tests change nothing that is called in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in {*os.environ} - {*environment()}:
            patch.delenv(name)
        yield


@pytest.fixture
def cloud() -> Iterator[Emulator]:
    """The usual account, some seconds after it was seeded: dates are whole seconds, and 3h must be 3h."""
    with running_emulator("--stopping", "5ms", seed=SEED) as emulator:
        emulator.advance("5s")
        yield emulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the usual policy.yaml."""
    a_policy_file(tmp_path)
    return tmp_path
