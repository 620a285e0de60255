"""The stage of the demo: an emulator as a process of its own, and the way behind its scenes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from fc_reaper.cli.ending import Ended

KEYS = ("emulator", "emulator-secret")
"""Key id and secret that the emulator asks for by default."""

_SWITCHES = ("--port", "0", "--list-lag", "30s", "--stopping", "300ms")
_OURS = re.compile("REAPER_|FC_|ALIBABA_|.*_proxy$", re.IGNORECASE)
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_PATIENCE = 10


def props() -> Path:
    """The folder with policy, seed, event and cron that ship with the package."""
    return Path(str(files("fc_reaper") / "demo"))


def clean_environment() -> dict[str, str]:
    """The process's environment without anything that could lead to a real account, or round a proxy."""
    return {name: value for name, value in os.environ.items() if not _OURS.match(name)}


@dataclass(frozen=True)
class Stage:
    """A running emulator. What `journal` and `tasks` answer is the truth, whoever claims what."""

    endpoint: str

    def tasks(self) -> list[dict[str, Any]]:
        """The true record of every task, with events and payload."""
        return list(self._admin("GET", "tasks")["tasks"])

    def journal(self) -> list[dict[str, Any]]:
        """Every change of status with its cause, and every stop request, oldest first."""
        return list(self._admin("GET", "journal")["journal"])

    def waiting_faults(self) -> list[dict[str, Any]]:
        """The faults that were ordered and have not happened."""
        return list(self._admin("GET", "faults")["faults"])

    def order_fault(self, fault: Mapping[str, Any]) -> None:
        """Order one fault, behind those that wait already."""
        self._admin("POST", "faults", fault)

    def advance(self, by: str) -> None:
        """Let a length of time such as `1m` pass for all tasks."""
        self._admin("POST", "clock", {"advance": by})

    def reset(self) -> None:
        """Begin anew from the seed."""
        self._admin("POST", "reset")

    def _admin(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/_emulator/{path}", data, method=method)
        with _OPENER.open(request, timeout=_PATIENCE) as answer:
            value: dict[str, Any] = json.load(answer)
            return value


@contextmanager
def stage() -> Iterator[Stage]:
    """Start an emulator on a free port with the demo's seed; its process ends with the block.

    Raises:
        Ended: it does not start, with its own word on why.
    """
    command = [sys.executable, "-m", "fc_emulator", *_SWITCHES, "--seed", str(props() / "seed.json")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as process:
        try:
            yield Stage(_endpoint(process))
        finally:
            process.terminate()
            process.communicate()


def _endpoint(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        why = process.communicate()[1].strip().splitlines()
        raise Ended(f"the emulator did not start: {why[-1] if why else 'it said nothing'}")
    endpoint: str = json.loads(line)["endpoint"]
    return endpoint
