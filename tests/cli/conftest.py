"""An emulator for the commands, and a folder with the usual policy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import a_policy_file, environment
from tests.emulator_server import Emulator, running_emulator
from tests.run.account import SEED

# Neither width and colours nor keys of whoever runs the tests change what is called in this process. Here,
# since the official package reads the keys when it is imported.
for _name in {*os.environ} - {*environment()}:
    del os.environ[_name]


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
