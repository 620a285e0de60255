"""The emulator as a process of its own, for every test that speaks over a socket."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_TIMEOUT_S = 60


@dataclass(frozen=True)
class EmulatorProcess:
    """A running emulator and the way behind its scenes. `endpoint` is such as `http://127.0.0.1:40000`."""

    endpoint: str
    process: subprocess.Popen[str]

    def tasks(self) -> list[dict[str, Any]]:
        """The true records of all tasks, with events and payload."""
        return list(self.admin("GET", "tasks")["tasks"])

    def task(self, invocation_id: str) -> dict[str, Any]:
        """The only task of this id."""
        (found,) = [task for task in self.tasks() if task["invocationId"] == invocation_id]
        return found

    def calls(self) -> dict[str, Any]:
        """`counts` by operation and the `recent` calls."""
        return self.admin("GET", "calls")

    def journal(self) -> list[dict[str, Any]]:
        """Every change of status with its cause, oldest first."""
        return list(self.admin("GET", "journal")["journal"])

    def faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Order faults, in this order, behind those that wait already."""
        self.admin("POST", "faults", {"faults": list(faults)})

    def advance(self, by: str) -> None:
        """Move all tasks into the past by a length of time such as `1h`."""
        self.admin("POST", "clock", {"advance": by})

    def reset(self) -> None:
        """Back to the seed, no faults, no calls counted."""
        self.admin("POST", "reset")

    def admin(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One request under /_emulator/; raises urllib.error.HTTPError when it is refused."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/_emulator/{path}", data, method=method)
        with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
            value: dict[str, Any] = json.load(answer)
            return value


@contextmanager
def running_emulator(*args: str, seed: Mapping[str, Any] | None = None) -> Iterator[EmulatorProcess]:
    """Start the emulator on a free port with *args* and *seed*; it ends by SIGTERM with the block.

    A word of it on standard error fails the test, unless the test fails by itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "fc_emulator", "--port", "0", *args]
        if seed is not None:
            file = Path(folder) / "seed.json"
            file.write_text(json.dumps(seed), encoding="utf-8")
            command += ["--seed", str(file)]
        errors = Path(folder) / "stderr.txt"
        with (
            errors.open("w", encoding="utf-8") as stderr,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
        ):
            try:
                yield EmulatorProcess(_endpoint(process, errors), process)
            finally:
                process.terminate()
                process.communicate(timeout=_TIMEOUT_S)
        said = errors.read_text(encoding="utf-8")
        assert not said, f"the emulator complained: {said}"


def _endpoint(process: subprocess.Popen[str], errors: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the emulator did not start: {errors.read_text(encoding='utf-8')}"
    endpoint: str = json.loads(line)["endpoint"]
    return endpoint
