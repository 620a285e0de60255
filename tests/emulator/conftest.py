"""An emulator without switches, and calls to it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from fc_emulator.__main__ import main
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


class Outcome(NamedTuple):
    code: object
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs the command in this process until it gives up; it installs handlers of signals."""

    def run(*args: str) -> Outcome:
        try:
            code: object = main(["--port", "0", *args])
        except SystemExit as end:
            code = end.code
        return Outcome(code, *capsys.readouterr())

    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    yield run
    for signum, handler in handlers.items():
        signal.signal(signum, handler)
