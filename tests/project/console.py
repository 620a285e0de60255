"""Documents that show commands with their output: run the commands, compare the output.

In a fence of the kind `console` each line that begins with `$ ` is a command, and the lines below it are
what it prints. One shell runs all commands of a document, in order, in a copy of the project. Each line
that is shown must be printed, in order; ids, moments, minutes, seconds, and numbers with a point or comma may
differ; lines may be left out, and of a line that ends in … only the beginning is compared. A command must
end with status 0 unless `$ echo $?` follows.
A fence of the kind `sh` has commands without output: test_blocks.py runs ours, and says why not the others.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.project.markdown import fences

PROMPT = "$ "
SECONDS = 180
_END = "-- end of command, status"
_MOMENT = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d\.\d+Z)?"


class Shown(NamedTuple):
    """A command of a document, and the lines of output shown below it."""

    command: str
    output: list[str]


class Ran(NamedTuple):
    """What a command printed on both streams, and its status."""

    printed: str
    status: int


def shown(markdown: str) -> list[Shown]:
    """The commands of a document; lines that are `...` stand for any output."""
    found: list[Shown] = []
    for line in "".join(fence.text for fence in fences(markdown, "console")).splitlines():
        if line.startswith(PROMPT):
            found.append(Shown(line.removeprefix(PROMPT), []))
        elif line.strip() not in ("", "...", "…"):
            found[-1].output.append(line)
    return found


def run_in_one_shell(commands: Sequence[str], folder: Path) -> list[Ran]:
    """Run *commands* with the `fc-reaper` of this environment and without settings of this machine."""
    mark = f"__status=$?; printf '\\n{_END} %s\\n' \"$__status\"; (exit $__status)"
    script = "\n".join(f"{command}\n{mark}" for command in commands)
    clean = {key: value for key, value in os.environ.items() if not re.match("REAPER_|FC_|ALIBABA_", key)}
    beside_python = os.pathsep.join([str(Path(sys.executable).parent), clean["PATH"]])
    shell = subprocess.Popen(
        ["sh"],
        cwd=folder,
        env={**clean, "PATH": beside_python, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = shell.communicate(script, timeout=SECONDS)
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    parts = re.split(rf"\n{_END} (\d+)\n", printed)
    return [Ran(text, int(status)) for text, status in zip(parts[::2], parts[1::2], strict=False)]


def run_document(markdown: str, folder: Path, replaced: Mapping[str, str]) -> None:
    """Run every command that *markdown* shows, some of them *replaced*, and compare what is printed.

    Raises:
        AssertionError: a command failed, or printed something else.
    """
    examples = shown(markdown)
    ran = run_in_one_shell([replaced.get(example.command, example.command) for example in examples], folder)
    assert len(ran) == len(examples), "the shell ended early: " + (ran[-1].printed if ran else "")
    following = [*(example.command for example in examples[1:]), ""]
    for (command, output), (printed, status), following_command in zip(examples, ran, following, strict=True):
        assert status == 0 or following_command == "echo $?", f"$ {command}\nended with {status}:\n{printed}"
        absent = "\n".join(missing(output, printed))
        assert not absent, f"$ {command}\ndid not print:\n{absent}\nbut:\n{printed}"


def missing(expected: Sequence[str], printed: str) -> list[str]:
    """The lines of *expected* that were not printed in their order."""
    lines = iter([_masked(line) for line in printed.splitlines()])
    return [line for line in expected if not any(_shows(_masked(line), printed) for printed in lines)]


def _shows(shown: str, printed: str) -> bool:
    return printed.startswith(shown[:-1]) if shown.endswith("…") else printed == shown


def _masked(line: str) -> str:
    """The line without what differs from run to run, and the blanks between."""
    line = re.sub(r"\b(?=[0-9a-f-]*\d)[0-9a-f]{6,}(?:-[0-9a-f]+)*\b", "0", line)
    line = re.sub(rf"{_MOMENT}|\d+(?:[.,]\d+)+|\d+m(?:\d+s)?\b|\d+s\b", "0", line)
    return re.sub(r"\s+", " ", line).strip()
