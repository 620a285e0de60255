"""`fc-reaper demo`: the first thing that anybody sees."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from fc_reaper.cli.demo import HERE, Attempt, score_of, show_next
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.policy import load_policy
from tests.cli.command import COMMAND, Ran, a_policy_file, environment, fc_reaper, fc_reaper_process

TABLE = """\
task    truth                    careless cron   fc-reaper
job-7   alive 2h14m, 3 attempts  stopped         stopped, confirmed; 14m over
keep-3  running 9h               STOPPED wrong   kept: exempt, policy.yaml:2
job-4   ended before the stop    error           ended: not an error
job-5   running 4h, answer lost  stops it twice  stopped, confirmed; 2h over
job-2   Stopping for 4m          "stopped"       STUCK: reported
job-9   queued 5h, running 1m    STOPPED wrong   kept: running_for 1m of 2h
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The demo ran once, in a folder without a policy and in an environment full of wrong settings."""
    wrong = {
        "REAPER_ENDPOINT": "http://127.0.0.1:9",
        "REAPER_POLICY": "no-such.yaml",
        "REAPER_RATE": "nonsense",
        "FC_FUNC_CODE_PATH": "/nowhere",
        "FC_FUNCTION_NAME": "transcode",
        "FC_SERVICE_NAME": "media",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "not-the-emulators",
        "http_proxy": "http://127.0.0.1:9",
    }
    folder = tmp_path_factory.mktemp("elsewhere")
    # The tasks of the demo take 300 ms to stop; what waits 2 s for that waits 400 ms.
    clock = SYSTEM_CLOCK._replace(sleep=lambda seconds: time.sleep(seconds / 5))
    return fc_reaper("demo", env=environment(**wrong), cwd=folder, clock=clock)


def test_the_table_is_what_happened(ran: Ran) -> None:
    """Six tasks, two reapers; cells are made of the journal and the log, scores of the journal alone."""
    assert (ran.code, ran.err) == (0, "")
    for text in (
        "2 tasks would be stopped; nothing was touched.",
        TABLE,
        "careless cron  7 stop requests: 2 right, 2 WRONG, 3 for nothing, 0 missed",
        "fc-reaper      2 stop requests: 2 right, 0 wrong, 0 for nothing, 0 missed",
    ):
        assert text in ran.out


def test_it_fits_80_columns_and_has_no_colour_in_a_pipe(ran: Ran) -> None:
    """Readable wherever it is pasted."""
    assert max(map(len, ran.out.splitlines())) <= 80
    assert ran.out.isascii()
    assert "\x1b" not in ran.out


def test_one_log_line_is_shown_as_it_was_written(ran: Ran) -> None:
    """JSON, broken between its words only."""
    found = re.search(r"^\{.*?\}$", ran.out, re.MULTILINE | re.DOTALL)
    assert found is not None
    line = json.loads(found[0].replace("\n", " "))
    assert (line["event"], line["invocation_id"], line["rule"]) == ("confirmed", "job-7", "alive_for")


@pytest.mark.parametrize(
    ("policy", "command"), [(False, "schema > policy.schema.json"), (True, "check policy.yaml")]
)
def test_it_ends_with_a_command_that_works_as_typed(
    policy: bool,
    command: str,
    ran: Ran,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether there is a policy yet or not."""
    monkeypatch.chdir(tmp_path)
    if policy:
        a_policy_file(tmp_path)
    show_next()
    said, typed = capsys.readouterr().out.splitlines()
    assert (said[:6], typed) == ("Next: ", f"  fc-reaper {command}")
    assert policy or ran.out.endswith(f"{said}\n{typed}\n")
    line = typed.replace("fc-reaper", shlex.join(COMMAND))
    done = subprocess.run(line, shell=True, env=environment(), cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_without_the_emulator_one_line_says_how_to_install_it(tmp_path: Path) -> None:
    """The extra is its own."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['starlette'] = None\n")
    path = os.pathsep.join([str(tmp_path), environment().get("PYTHONPATH", "")])
    ran = fc_reaper_process("demo", env=environment(PYTHONPATH=path))
    assert ran.code == 2
    (line,) = ran.errors
    assert "pip install 'fc-reaper[emulator]'" in line


def test_an_interrupted_demo_leaves_nothing_behind() -> None:
    """One line, exit 1, and the emulator's process ends with it: its pipe is closed."""
    with subprocess.Popen(
        [*COMMAND, "demo"], env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if line.startswith("3  "):
                break
        children = _children(process.pid)
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, "fc-reaper: interrupted\n")
    assert "right" not in rest
    assert children
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def _children(pid: int) -> list[str]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if not listed.exists():
        pytest.skip("this system does not tell whose child a process is")
    return listed.read_text().split()


def test_the_policy_of_the_demo_is_valid_and_exempts_on_its_second_line() -> None:
    """The table points at that line."""
    policy = load_policy((HERE / "demo_policy.yaml").read_text("utf-8"), source="policy.yaml")
    assert [matcher.line for matcher in policy.exempt] == [2]


DUE, FINE = (
    {"invocationId": name, "invocationPayload": f'{{"owner": "{wish}"}}'}
    for name, wish in (("due", "stop"), ("fine", "keep"))
)


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        pytest.param([], (0, 0, 0, 1), id="no request misses one"),
        pytest.param([("due", "Running", "Stopping")], (1, 0, 0, 0), id="the right one"),
        pytest.param(
            [("due", "Running", "Stopping"), ("due", "Stopping", "Stopping")],
            (1, 0, 1, 0),
            id="a second request is for nothing",
        ),
        pytest.param([("fine", "Running", "Stopping")], (0, 1, 0, 1), id="the wrong one"),
        pytest.param([("fine", "Succeeded", "Succeeded")], (0, 0, 1, 1), id="too late is for nothing"),
    ],
)
def test_stops_are_scored_by_what_the_owners_want(
    requests: list[tuple[str, str, str]], expected: tuple[int, int, int, int]
) -> None:
    """Each request is right, wrong, or for nothing."""
    journal = [{"invocationId": name, "from": before, "to": after} for name, before, after in requests]
    assert score_of(Attempt([DUE, FINE], journal)) == expected
