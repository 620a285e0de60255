"""Commands as a person types them: run in this process, or in one of their own where that matters."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from fc_reaper.backtest import source
from fc_reaper.cli import credentials, doctor, explain, invoke, probe
from fc_reaper.cli.app import main
from fc_reaper.clock import Clock
from tests.emulator_server import Emulator
from tests.reaping import FASTER, FAULT, KEYS
from tests.run.account import POLICY

NO_OTHER_KEYS = {
    "ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "true",
    "ALIBABA_CLOUD_CREDENTIALS_FILE": "/nowhere",
    "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
}
COMMAND = [sys.executable, "-m", "fc_reaper"]
FULL = Path("/dev/full")
_SHAPES_OUTPUT = re.compile("REAPER_|FC_|ALIBABA_|COLUMNS|NO_COLOR|FORCE_COLOR|PYTHONIOENCODING")


class Ran(NamedTuple):
    """How a command ended and what it wrote to both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON value and nothing else."""
        return json.loads(self.out)

    @property
    def errors(self) -> list[str]:
        """The lines on standard error."""
        return self.err.splitlines()

    @property
    def text(self) -> str:
        """Standard output with its folded lines joined."""
        return " ".join(self.out.split())


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without anything that changes what is printed, and *extra*.

    Keys that this machine may have are not used, nor looked for.
    """
    kept = {name: value for name, value in os.environ.items() if not _SHAPES_OUTPUT.match(name)}
    return {**kept, **NO_OTHER_KEYS, **extra}


def at(emulator: Emulator, **extra: str) -> dict[str, str]:
    """The environment of a person who works with the account of *emulator*."""
    usual = {"REAPER_ENDPOINT": emulator.endpoint, "REAPER_RATE": "2000/s", **KEYS}
    return environment(**{**usual, **extra})


def fc_reaper(
    *args: str | Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    cwd: Path | None = None,
    clock: Clock = FASTER,
    full: str = "",
) -> Ran:
    """Run a command to its end in this process, with its own streams, environment, folder and clock.

    Of the streams `stdout` and `stderr` one may be on a disk that is *full*.
    """
    inputs, out, err = (io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8") for raw in (stdin, b"", b""))
    before = Path.cwd()
    with (
        patch.object(sys, "stdin", inputs),
        patch.object(sys, "stdout", out),
        patch.object(sys, "stderr", err),
        patch.dict(os.environ, environment() if env is None else env, clear=True),
        patch.object(invoke, "SYSTEM_CLOCK", clock),
        patch.object(explain, "SYSTEM_CLOCK", clock),
        patch.object(probe, "SYSTEM_CLOCK", clock),
        patch.object(source, "SYSTEM_CLOCK", clock),
        patch.object(credentials, "SYSTEM_CLOCK", clock),
        patch.object(doctor, "SYSTEM_CLOCK", clock),
        FULL.open("w", encoding="utf-8") if full else nullcontext() as disk,
        patch.object(sys, full, disk) if full else nullcontext(),
    ):
        os.chdir(cwd or before)
        try:
            code = main([str(arg) for arg in args])
        finally:
            os.chdir(before)
    return _checked(Ran(code, _written(out), _written(err)))


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def fc_reaper_process(*args: str | Path, env: Mapping[str, str] | None = None, **more: Any) -> Ran:
    """Run a command to its end in a process of its own, with pipes for all its streams."""
    ran = subprocess.run(
        [*COMMAND, *map(str, args)],
        env=environment() if env is None else dict(env),
        capture_output=True,
        timeout=120,
        check=False,
        **more,
    )
    return _checked(Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode()))


def _checked(ran: Ran) -> Ran:
    assert FAULT not in ran.err, ran.err
    assert KEYS["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] not in ran.out + ran.err
    return ran


def shown_on(terminal: int) -> str:
    """Everything that is written to the other side of a pseudo-terminal until it is closed."""
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the other side is gone
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    return shown.decode()


def a_policy_file(folder: Path, text: str = POLICY) -> Path:
    """The usual policy, or another *text*, as policy.yaml in *folder*."""
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path
