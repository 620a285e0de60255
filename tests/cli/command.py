"""The command line as a process of its own, as a person or a script starts it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.emulator_process import EmulatorProcess
from tests.reaping import FAULT, KEYS
from tests.run.account import POLICY

COMMAND = [sys.executable, "-m", "fc_reaper"]
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
    def complaints(self) -> list[str]:
        """The lines on standard error."""
        return self.err.splitlines()

    @property
    def told(self) -> str:
        """Standard output with its folded lines joined."""
        return " ".join(self.out.split())


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without anything that changes what is printed, and *extra*."""
    kept = {name: value for name, value in os.environ.items() if not _SHAPES_OUTPUT.match(name)}
    return {**kept, **extra}


def at(emulator: EmulatorProcess, **extra: str) -> dict[str, str]:
    """The environment of a person who works with the account of *emulator*."""
    usual = {"REAPER_ENDPOINT": emulator.endpoint, "REAPER_RATE": "2000/s", **KEYS}
    return environment(**{**usual, **extra})


def fc_reaper(
    *args: str | Path, env: Mapping[str, str] | None = None, stdin: bytes = b"", cwd: Path | None = None
) -> Ran:
    """Run a command to its end, with pipes for all its streams."""
    ran = subprocess.run(
        [*COMMAND, *map(str, args)],
        env=environment() if env is None else dict(env),
        input=stdin,
        capture_output=True,
        cwd=cwd,
        timeout=120,
        check=False,
    )
    told = Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())
    assert FAULT not in told.err, told.err
    return told


def shown_on(terminal: int) -> str:
    """Everything that is written to the other side of a pseudo-terminal until nobody holds that any more."""
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
