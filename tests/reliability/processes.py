"""Runs in processes of their own, to be ended by SIGKILL at any moment.

One process imports the handler once and forks a child for each run: a start costs milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fc_reaper.handler import handler
from tests.reliability.case import context_of, hurried


@dataclass
class Starter:
    """The process that forks. `start` returns the id, and group, of a child that writes to *output*."""

    process: subprocess.Popen[str]

    def start(self, env: Mapping[str, str], output: Path) -> int:
        return int(self._ask({"env": dict(env), "output": str(output)}))

    def wait(self, child: int) -> None:
        """Return once *child* is over, in whatever way."""
        self._ask({"wait": child})

    def _ask(self, what: Mapping[str, Any]) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


@contextlib.contextmanager
def starter() -> Iterator[Starter]:
    command = [sys.executable, "-m", "tests.reliability.processes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Starter(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


def main() -> None:
    """Fork a child for each line of standard input, or wait for one."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            os.waitpid(asked["wait"], 0)
            answer = 0
        else:
            answer = os.fork()
            if answer == 0:
                _run(asked["env"], asked["output"])
            os.setpgid(answer, answer)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _run(env: Mapping[str, str], output: str) -> None:
    """Call the handler, its standard output in a file, and end this process."""
    try:
        with open(output, "w", encoding="utf-8") as sys.stdout, hurried(env):
            handler(b"", context_of(60))
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
