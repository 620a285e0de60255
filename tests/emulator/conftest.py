"""An emulator without switches, and calls to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator.seeds import A_SHIFT
from tests.emulator.wire import VERSIONS, Api, Caller
from tests.emulator_server import Emulator, running_emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with running_emulator(seed=A_SHIFT) as emulator:
        yield emulator


@pytest.fixture
def call(emulator: Emulator) -> Caller:
    return Caller(emulator.endpoint)


@pytest.fixture(params=VERSIONS)
def api(call: Caller, request: pytest.FixtureRequest) -> Api:
    """media/transcode@prod, or transcode@prod, in each of the three API versions."""
    return Api(call, request.param)
