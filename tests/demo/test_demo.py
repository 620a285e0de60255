"""`fc-reaper demo`: the first thing that anybody sees."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fc_reaper.cli.demo import Score, Stops, score_of, stops_in
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.policy import load_policy
from tests.cli.command import COMMAND, Ran, environment, fc_reaper, fc_reaper_process

DATA = Path(__file__).resolve().parents[2] / "src/fc_reaper/demo"

TABLE = """\
task    truth                    careless cron   fc-reaper
job-7   alive 2h14m, 3 attempts  stopped         stopped, confirmed; 14m over
keep-3  running 9h               STOPPED wrong   kept: exempt, policy.yaml:2
job-4   ended while we looked    error           ended: not an error
job-5   running 4h, answer lost  stops it twice  stopped, confirmed by reading
job-2   Stopping for 4m          "stopped"       STUCK: somebody is told
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
    clock = replace(SYSTEM_CLOCK, sleep=lambda seconds: time.sleep(seconds / 5))
    return fc_reaper("demo", env=environment(**wrong), cwd=folder, clock=clock)


def test_the_table_is_what_happened(ran: Ran) -> None:
    """Six tasks, two reapers; every cell is made of the journal and the log."""
    assert TABLE in ran.out
    assert (ran.code, ran.err) == (0, "")


def test_right_and_wrong_are_counted_on_both_sides(ran: Ran) -> None:
    """By the journal alone."""
    assert "careless cron  7 stop requests: 2 right, 2 WRONG, 3 for nothing, 0 missed" in ran.out
    assert "fc-reaper      2 stop requests: 2 right, 0 wrong, 0 for nothing, 0 missed" in ran.out


def test_it_runs_dry_before_it_enforces(ran: Ran) -> None:
    """And the dry run touched nothing."""
    assert "2 tasks would be stopped; nothing was touched." in ran.out


def test_it_fits_80_columns_and_has_no_colour_in_a_pipe(ran: Ran) -> None:
    """Readable wherever it is pasted."""
    assert max(map(len, ran.out.splitlines())) <= 80
    assert ran.out.isascii()
    assert "\x1b" not in ran.out


def test_one_log_line_is_shown_as_it_was_written(ran: Ran) -> None:
    """JSON, broken between its fields only."""
    found = re.search(r"^\{.*?\}$", ran.out, re.MULTILINE | re.DOTALL)
    assert found is not None
    line = json.loads(found[0])
    assert (line["event"], line["invocation_id"], line["rule"]) == ("confirmed", "job-7", "alive_for")


def test_it_ends_with_the_command_to_type_next(ran: Ran) -> None:
    """Where there is no policy yet, it says so first."""
    assert ran.out.endswith("  fc-reaper check policy.yaml\n")
    assert "write a policy.yaml" in ran.out


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
    policy = load_policy((DATA / "policy.yaml").read_text("utf-8"), source="policy.yaml")
    assert [matcher.line for matcher in policy.exempt] == [2]


def entry(task: str, before: str, after: str, status: int = 200) -> dict[str, object]:
    """One stop request in a journal."""
    return {"invocationId": task, "from": before, "to": after, "cause": "stop", "answer": {"status": status}}


def owned(task: str, wish: str) -> dict[str, str]:
    """A task whose owner wants it stopped, or kept."""
    return {"invocationId": task, "invocationPayload": f'{{"owner": "{wish}"}}'}


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        pytest.param([], Score(0, 0, 0, 1), id="whoever does nothing misses one"),
        pytest.param([entry("due", "Running", "Stopping")], Score(1, 0, 0, 0), id="the right one"),
        pytest.param(
            [entry("due", "Running", "Stopping"), entry("due", "Stopping", "Stopping")],
            Score(1, 0, 1, 0),
            id="a second request is for nothing",
        ),
        pytest.param([entry("fine", "Running", "Stopping")], Score(0, 1, 0, 1), id="the wrong one"),
        pytest.param(
            [entry("fine", "Succeeded", "Succeeded", 412)], Score(0, 0, 1, 1), id="too late is for nothing"
        ),
        pytest.param(
            [{"invocationId": "due", "from": "Stopping", "to": "Stopped", "cause": "stop"}],
            Score(0, 0, 0, 1),
            id="only requests count, not what follows from them",
        ),
    ],
)
def test_stops_are_scored_by_what_the_owners_want(journal: list[dict[str, object]], expected: Score) -> None:
    """Each request is right, wrong, or for nothing."""
    assert score_of([owned("due", "stop"), owned("fine", "keep")], journal) == expected


def test_a_deed_counts_requests_and_remembers_whether_one_took_effect() -> None:
    """In whatever order they come."""
    journal = [entry("a", "Running", "Stopping"), entry("a", "Stopping", "Stopping", 412)]
    assert stops_in(journal) == {"a": Stops(requests=2, took_effect=True)}
