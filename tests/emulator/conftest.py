"""An emulator without switches, and calls to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator.seeds import A_SHIFT
from tests.emulator.wire import DIALECTS, Caller, Door
from tests.emulator_process import EmulatorProcess, running_emulator


@pytest.fixture
def emulator() -> Iterator[EmulatorProcess]:
    with running_emulator(seed=A_SHIFT) as emulator:
        yield emulator


@pytest.fixture
def call(emulator: EmulatorProcess) -> Caller:
    return Caller(emulator.endpoint)


@pytest.fixture(params=DIALECTS)
def door(call: Caller, request: pytest.FixtureRequest) -> Door:
    """media/transcode@prod, or transcode@prod, in each of the three dialects."""
    return Door(call, request.param)
