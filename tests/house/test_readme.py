"""What the README shows is what its commands print.

A fence of the kind `console` is a promise: each line that begins with `$ ` is run, in the order of the
README, by one shell in a copy of the project, and the lines below it are compared with what it printed.
Each must come, in order; hexadecimal ids may differ, and numbers but those of lines of a policy, and what is
left out may be left out.
A command must end with status 0 unless the README goes on with `$ echo $?`.
A fence of the kind `sh` only shows: it is for what needs an account or another machine.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.house.our_files import ROOT, our_files

CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT = "$ "
END = "-- end of command, status"
# These prepare an environment first, which this run already stands in.
PREPARED = {"make demo": "fc-reaper demo"}
SECONDS = 180


class Shown(NamedTuple):
    """One command of the README with the output shown below it."""

    command: str
    output: list[str]


def shown() -> list[Shown]:
    text = (ROOT / "README.md").read_text("utf-8")
    found: list[Shown] = []
    for line in "".join(CONSOLE.findall(text)).splitlines():
        if line.startswith(PROMPT):
            found.append(Shown(line[len(PROMPT) :], []))
        elif line.strip() not in ("", "...", "…"):
            found[-1].output.append(line)
    return found


def copy_of_the_project(folder: Path) -> Path:
    for name in our_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def run_as_one_shell(commands: list[str], folder: Path) -> list[tuple[str, int]]:
    """What each command printed on both streams, and its status."""
    mark = f"__status=$?; printf '\\n{END} %s\\n' \"$__status\"; (exit $__status)"
    script = "\n".join(f"{PREPARED.get(command, command)}\n{mark}" for command in commands)
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
    parts = re.split(rf"\n{END} (\d+)\n", printed)
    return [(text, int(status)) for text, status in zip(parts[::2], parts[1::2], strict=False)]


def masked(line: str) -> str:
    """The line without what differs from run to run: ids, numbers but those of lines, the blanks between."""
    line = re.sub(r"\b(?=[0-9a-f-]*\d)[0-9a-f]{6,}(?:-[0-9a-f]+)*\b", "0", line)
    return re.sub(r"\s+", " ", re.sub(r"(?<!\.yaml:)(?<!\d)\d+", "0", line)).strip()


def missing(expected: list[str], printed: str) -> list[str]:
    """The lines of *expected* that did not come, in their order, among those printed."""
    lines = iter([masked(line) for line in printed.splitlines()])
    return [line for line in expected if masked(line) not in lines]


def test_the_readme_shows_the_two_commands_and_the_rest_is_real(tmp_path: Path) -> None:
    examples = shown()
    commands = [example.command for example in examples]
    assert "make demo" in commands
    ran = run_as_one_shell(commands, copy_of_the_project(tmp_path))
    assert len(ran) == len(commands), "the shell ended early: " + (ran[-1][0] if ran else "")
    for number, (example, (printed, status)) in enumerate(zip(examples, ran, strict=True)):
        asks_status = commands[number + 1 : number + 2] == ["echo $?"]
        assert status == 0 or asks_status, f"$ {example.command}\nended with {status}:\n{printed}"
        absent = "\n".join(missing(example.output, printed))
        assert not absent, f"$ {example.command}\ndid not print:\n{absent}\nbut:\n{printed}"


@pytest.mark.parametrize(
    ("expected", "printed", "absent"),
    [
        (["job-7  alive 2h14m"], "job-8   alive 3h1m\n", []),
        (["run 3f2a91c07b51 ended"], "run 00aa91c07b52 ended\n", []),
        (["a", "b"], "b\na\n", ["b"]),
        (["stopped"], "kept\n", ["stopped"]),
    ],
)
def test_output_is_compared_line_by_line(expected: list[str], printed: str, absent: list[str]) -> None:
    assert missing(expected, printed) == absent
