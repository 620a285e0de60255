"""Whatever a person types ends with an exit code and a line that helps, never with a traceback."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from fc_reaper import __version__
from fc_reaper.cli.schema import policy_schema
from tests.cli.command import COMMAND, FULL, Ran, a_policy_file, at, environment, fc_reaper, fc_reaper_process
from tests.emulator_server import Emulator, running_emulator
from tests.probing.account import sleepers, virtual
from tests.project.files import ROOT
from tests.reaping import FASTER, KEYS
from tests.run.account import stopped

NASTY = "\x1b[2J\u202e\x9b"
"""It clears a terminal, and turns the direction of what follows."""

COMMANDS = (
    *("demo", "invoke", "plan", "apply", "check", "explain"),
    *("backtest", "diff", "approve", "setup", "doctor", "probe", "schema"),
)


def test_help_lists_exactly_the_commands_that_there_are() -> None:
    """No command is promised that does not exist."""
    ran = fc_reaper("--help")
    listed = ran.out.partition("Commands:")[2].partition("\n\n")[0].splitlines()
    assert tuple(line.split()[0] for line in listed if line) == COMMANDS
    assert not [line for line in listed if line.endswith("...")]
    assert ran.code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example_in_80_columns(command: str) -> None:
    """No line is cut, none of an option is folded, and an example begins with the program's own name."""
    ran = fc_reaper(command, "--help")
    lines = ran.out.splitlines()
    assert f"    fc-reaper {command}" in ran.out.partition("Example")[2]
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...")]
    options = ran.out.partition("Options:\n")[2].splitlines()
    assert all(line.startswith("  -") for line in options)
    assert (ran.code, ran.err) == (0, "")


def examples(command: str) -> list[str]:
    """The command lines that the help of *command* shows, without what a shell does with their output."""
    shown = fc_reaper(command, "--help").out.partition("Example")[2].partition("\n\n")[0]
    lines = shown.replace("\\\n", "").splitlines()[1:]
    return [line.partition(">")[0] for line in lines]


def test_the_examples_of_the_help_work_as_typed_in_a_clone(tmp_path: Path) -> None:
    """In the order of the commands: an example may use what an earlier one wrote."""
    for name in ("examples", "events"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("policy.yaml", "s.yaml", "s-prod.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    seed = json.loads((ROOT / "examples" / "account.json").read_text("utf-8"))
    with running_emulator(seed={**seed, **sleepers()}) as cloud:
        for command in COMMANDS[1:]:
            for line in examples(command):
                _, *args = shlex.split(line)
                clock = virtual(cloud) if command == "probe" else FASTER
                ran = fc_reaper(*args, env=at(cloud), cwd=tmp_path, stdin=b"y\n" * 9, clock=clock)
                assert ran.code in (0, 1), f"{line}\n{ran.err}"
                assert ran.out, line


def test_the_version_is_the_package_s() -> None:
    """--version prints it and nothing else."""
    assert fc_reaper("--version").out == f"fc-reaper {__version__}\n"


def test_the_schema_is_what_the_loader_publishes() -> None:
    """For editors: JSON, and the same that the package answers."""
    assert fc_reaper("schema").json == policy_schema()


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["plan", "--no-such-flag"], "No such option"),
        (["no-such-command"], "No such command"),
        (["invoke"], "Missing argument"),
        (["explain", "media/transcode"], "give TARGET and ID"),
        (["invoke", "no-such-file.json"], "No such file or directory; write the path of a file, or - for"),
        (["invoke", "."], "Is a directory; write the path of a file, or - for standard input"),
        (["apply", "no-such-file.json", "--enforce"], "No such file or directory; write the path of a file"),
        (["invoke", "-", "--api-version", "2020-01-01"], "2021-04-06"),
        (["invoke", "-", "--timeout", "0"], "--timeout"),
        (["plan", "--enforce"], "No such option: --enforce"),
        (["explain", "media/transcode", "job-1", "--dry-run"], "No such option: --dry-run"),
        (["plan", "policy.yaml"], "did you mean --policy policy.yaml?"),
        (["plan", "policy.yaml", "--policy", "no.yaml"], "did you mean --policy policy.yaml?"),
        (["explain", "media/*", "job-1"], "cannot be the name of a function"),
        (["explain", "media/a b", "job-1"], "is not a target"),
        (["explain", "media/transcode", "../job"], "cannot be an invocation id"),
        (
            ["plan", "--policy", "no-such.yaml"],
            "no such file; write the path of a file (--policy or REAPER_POLICY)",
        ),
        (["plan", "--policy", ""], "--policy is empty"),
        (["plan", "--policy", "version: 1\n"], "--policy takes a file"),
        (["plan", "--endpoint", ""], "--endpoint is empty"),
        (["plan", "--api-version", ""], "--api-version is empty"),
        (["plan", "--profile", ""], "--profile is empty"),
        (["plan", "--endpoint", "ftp://example.com"], "neither https nor http"),
        (["plan", "--endpoint", "http://example.com"], "credentials in clear"),
        (["plan", "--endpoint", "127.0.0.1:9851"], "write http://127.0.0.1:9851"),
        (["check", "no-such.yaml"], "no-such.yaml: there is no such file"),
        (["check", "."], "Is a directory; write the path of a file"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_what_is_wrong(args: list[str], word: str, folder: Path) -> None:
    """On standard error, in words."""
    ran = fc_reaper(*args, env=environment(REAPER_ENDPOINT="http://127.0.0.1:9", **KEYS), cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert word in " ".join(ran.err.split())
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "args",
    [["plan", "event.json", NASTY], [NASTY], ["plan", f"--{NASTY}"], ["plan", NASTY], ["check", NASTY],
     ["plan", "--api-version", NASTY], ["apply", NASTY, "--enforce"], ["apply", "p", "--max", NASTY],
     ["approve", "--policy", NASTY], ["plan", "--out", f"no/{NASTY}"], ["explain", NASTY, NASTY]],
    ids=lambda args: args[0] if args[0].isascii() else "",
)  # fmt: skip
def test_words_that_were_typed_are_quoted_without_steering_a_terminal(args: list[str], folder: Path) -> None:
    """A pattern of the shell may stand for a file with such a name."""
    ran = fc_reaper(*args, env=environment(REAPER_ENDPOINT="http://127.0.0.1:9", **KEYS), cwd=folder)
    assert ran.code == 2
    assert (ran.out + ran.err).replace("\n", "").isprintable()


CHECKED = ["RATE", "MARGIN", "CONCURRENCY", "STARTED_TIME", "MODE", "LOG_TASKS", "API_VERSION"]
READERS = ["plan", "check", "explain media/transcode job-1", "approve", "plan --api-version 2016-08-15",
           "backtest", "diff policy.yaml policy.yaml", "doctor"]  # fmt: skip


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize("command", READERS)
def test_a_setting_that_cannot_be_used_is_named(name: str, command: str, folder: Path) -> None:
    """Exit 2, whichever command reads it, also where an option or the command itself takes its place."""
    env = environment(**{f"REAPER_{name}": "nonsense", **KEYS})
    ran = fc_reaper(*command.split(), env=env, cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert f"REAPER_{name} is 'nonsense'" in ran.err


def test_without_keys_every_command_that_asks_the_cloud_says_which_to_set(folder: Path) -> None:
    """Exit 2: nothing was sent."""
    for command in (["plan"], ["explain", "media/transcode", "job-1"]):
        ran = fc_reaper(*command, env=environment(REAPER_ENDPOINT="http://127.0.0.1:9"), cwd=folder)
        assert (ran.code, ran.out) == (2, "")
        assert "ALIBABA_CLOUD_ACCESS_KEY_ID" in ran.err


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_libraries_one_line_says_how_to_install_them(missing: str, tmp_path: Path) -> None:
    """The deployed function does not carry them."""
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules['{missing}'] = None\n")
    path = os.pathsep.join([str(tmp_path), environment().get("PYTHONPATH", "")])
    ran = fc_reaper_process("check", env=environment(PYTHONPATH=path))
    assert (ran.code, ran.out) == (2, "")
    assert ran.errors == [f"fc-reaper: no {missing}; install the command line: pip install 'fc-reaper[cli]'"]


def test_a_reader_who_goes_away_is_no_trouble(folder: Path) -> None:
    """As in `fc-reaper schema | head -1`: quiet, whichever side is faster."""
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [*COMMAND, "schema"],
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (0, b"")


TO_STDOUT = {
    "help": ["--help"],
    "version": ["--version"],
    "schema": ["schema"],
    "demo": ["demo"],
    "plan": ["plan"],
    "plan as JSON": ["plan", "--json"],
    "a plan to standard output": ["plan", "--out", "-"],
    "check": ["check"],
    "explain": ["explain", "media/transcode@prod", "over-1"],
    "backtest": ["backtest"],
    "diff": ["diff", "policy.yaml", "policy.yaml"],
    "approve": ["approve"],
    "doctor": ["doctor"],
    "invoke": ["invoke", "-", "--dry-run"],
}


def to_a_full_disk(args: list[str], stream: str, cloud: Emulator, folder: Path, *, here: bool) -> Ran:
    """Run a command with one of its streams on a disk that is full: *here*, or in a process of its own."""
    if here:
        return fc_reaper(*args, env=at(cloud), cwd=folder, stdin=b"{}", full=stream)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with FULL.open("w") as full:
        ran = subprocess.run(
            [*COMMAND, *args], env=at(cloud), cwd=folder, input="{}", text=True, check=False,
            **{**pipes, stream: full},
        )  # fmt: skip
    assert "Traceback" not in (ran.stderr or "")
    assert "Exception" not in (ran.stderr or "")
    return Ran(ran.returncode, ran.stdout or "", ran.stderr or "")


BY_ITSELF = ("help", "plan as JSON", "invoke")
"""The end of a process is the same for all commands; it is tried with one of each way to write."""


@pytest.mark.parametrize("case", TO_STDOUT)
def test_a_full_disk_is_one_line_and_exit_1(case: str, cloud: Emulator, folder: Path) -> None:
    """As in `fc-reaper plan > FILE`."""
    ran = to_a_full_disk(TO_STDOUT[case], "stdout", cloud, folder, here=case not in BY_ITSELF)
    lines = [line for line in ran.errors if not line.startswith("{")]  # the log of invoke
    assert (ran.code, lines) == (1, ["fc-reaper: standard output: No space left on device"])


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["plan"], 1),
        (["plan", "--no-such"], 2),
        (["plan", "--policy", "none.yaml"], 2),
        (["invoke", "event.json", "--dry-run"], 1),
    ],
)
def test_a_standard_error_that_is_full_changes_nothing_else(
    args: list[str], code: int, cloud: Emulator, folder: Path
) -> None:
    """The exit code says what the lines would have said; a log that is lost is no success."""
    (folder / "event.json").write_text('{"invocationId": "over-1"}')
    ran = to_a_full_disk(args, "stderr", cloud, folder, here=args != ["plan"])
    assert (ran.code, "over-1" in ran.out) == (code, code == 1)


@pytest.mark.parametrize("args", [[], ["--json"]])
def test_what_was_stopped_is_on_standard_error_where_standard_output_is_full(
    args: list[str], cloud: Emulator, folder: Path
) -> None:
    """The stops cannot be taken back, so their record must not be lost."""
    fc_reaper("plan", "--out", "plan.json", env=at(cloud), cwd=folder)
    ran = to_a_full_disk(["apply", "plan.json", "--enforce", *args], "stdout", cloud, folder, here=bool(args))
    assert stopped(cloud) == {"over-1", "over-2", "over-3"}
    assert "Of 3 planned tasks: 3 stopped (3 confirmed)." in ran.err
    assert all(name in ran.err for name in stopped(cloud))
    assert ran.errors[-1] == "fc-reaper: standard output: No space left on device"
    assert ran.code == 1


def test_a_closed_standard_output_is_no_trouble() -> None:
    """As a scheduler may start it."""
    ran = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "schema"],
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.parametrize("command", [["plan"], ["invoke", "-"]], ids=str)
def test_one_interrupt_ends_a_command_whose_cloud_never_answers(command: list[str], folder: Path) -> None:
    """The result is printed whole, and the call that hangs is not waited for."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = environment(REAPER_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}", **KEYS)
        with subprocess.Popen(
            [*COMMAND, *command],
            env=env,
            cwd=folder,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            silent.settimeout(60)
            with silent.accept()[0]:
                began = time.monotonic()
                process.send_signal(signal.SIGINT)
                out, _ = process.communicate(timeout=60)
                assert time.monotonic() - began < 4
    assert process.returncode == 1
    assert "ended early" in out or json.loads(out)["partial"]


def test_an_output_that_speaks_only_ascii_gets_escapes(tmp_path: Path) -> None:
    """A reason in Chinese does not end in an error of encoding."""
    text = """\
version: 1
policies:
  - name: 转码
    targets: [media/transcode]
    match: {alive_for: 2h}
    stop: 太久了
"""
    env = environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    ran = fc_reaper_process("check", a_policy_file(tmp_path, text), env=env)
    assert ran.code == 0
    assert "\\u8f6c\\u7801" in ran.out
