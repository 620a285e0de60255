"""The command: its ready line, how it ends, and what it reports when it cannot start."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.emulator.conftest import Run
from tests.emulator.wire import V2016, Api, Caller
from tests.emulator_server import Emulator, running_emulator


@contextmanager
def _started(*args: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The command, its first line, and the endpoint in it."""
    command = [sys.executable, "-m", "fc_emulator", "--port", "0", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        yield process, ready, json.loads(ready)["endpoint"]


def _ends(process: subprocess.Popen[str], signum: signal.Signals) -> None:
    process.send_signal(signum)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_line_and_ends_cleanly(signum: signal.Signals) -> None:
    """The ready line is all there is on standard output; nothing is on standard error; the status is 0."""
    with _started() as (process, ready, endpoint):
        assert ready == f'{{"event":"ready","endpoint":"{endpoint}"}}\n'
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", endpoint)
        with urllib.request.urlopen(f"{endpoint}/_emulator/calls") as answer:
            assert answer.status == 200
        _ends(process, signum)


def test_it_ends_although_a_call_is_in_progress() -> None:
    with _started("--latency", "10m") as (process, _, endpoint):
        host, port = endpoint.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET /2016-08-15/services HTTP/1.1\r\nHost: x\r\n\r\n")
            while not Emulator(endpoint).calls()["counts"]:
                time.sleep(0.02)
            _ends(process, signal.SIGTERM)


def test_a_port_in_use_is_reported_in_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port))
    assert (done.code, done.out) == (2, "")
    assert done.err == f"fc-emulator: 127.0.0.1 port {port}: Address already in use\n"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("{", ["the seed is not JSON"]),
        ("", ["the seed is not JSON"]),
        ("[]", ["[] is not an object"]),
        ('{"invocation": []}', ["invocation: is not a known key; did you mean invocations?"]),
        (
            '{"invocations": [{"functionName": "f"}]}',
            ["invocations[0].invocationId: is missing", "invocations[0].status: is missing"],
        ),
    ],
)
def test_an_unreadable_seed_is_reported_in_a_line_for_each_problem(
    run: Run, tmp_path: Path, text: str, problems: list[str]
) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(text)
    done = run("--seed", str(seed))
    assert (done.code, done.out) == (2, "")
    for line, problem in zip(done.err.splitlines(), problems, strict=True):
        assert line.startswith(f"fc-emulator: {seed}: {problem}")


def test_a_seed_that_is_not_json_is_refused_with_what_to_write(run: Run, tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text("invocations: []\n")
    done = run("--seed", str(seed))
    assert done.err.endswith(
        '; write one object such as {"invocations": []}; docs/emulator.md has its keys\n'
    )


def test_a_missing_seed_is_reported_in_one_line(run: Run, tmp_path: Path) -> None:
    done = run("--seed", str(tmp_path / "none.json"))
    assert (done.code, done.out) == (2, "")
    assert done.err == f"fc-emulator: {tmp_path / 'none.json'}: No such file or directory\n"


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("--host", "0.0.0.0"), "0.0.0.0 is not a loopback address"),
        (("--host", "example.com"), "example.com"),
        (("--port", "70000"), "'70000' is not a port"),
        (("--latency", "5"), "'5' is not a duration"),
        (("--rate", "20"), "'20' is not a rate"),
        (("--rate", "0/s"), "'0/s' is not a rate"),
        (("--stopping", "soon"), "'soon' is not a duration"),
        (("--stop-finished", "200"), "--stop-finished"),
        (("--events", "some"), "--events"),
        (("--seeds", "x"), "--seeds"),
    ],
)
def test_wrong_usage_is_reported_in_one_line(run: Run, args: tuple[str, ...], problem: str) -> None:
    done = run(*args)
    assert (done.code, done.out) == (2, "")
    assert problem in done.err
    assert done.err.count("\n") == 1


SWITCHES = """
--port --host --seed --like --account-id --access-key-id --access-key-secret --security-token --latency --rate
--stopping --started-time --events --record-qualifier --stop-finished --stop-stopping --list-lag
--arn --stop-answer --empty-list --event-detail --alias-tasks
"""


def test_help_has_a_whole_line_of_80_columns_for_every_switch(run: Run) -> None:
    done = run("--help")
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= 80
    assert re.findall(r"^  (--[a-z-]+) .*  \S", done.out, re.MULTILINE) == SWITCHES.split()


def test_a_hundred_thousand_tasks_are_listed_page_by_page() -> None:
    entry = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod", "status": "Running"}
    many = {**entry, "invocationId": "job-{n}", "count": 100_000, "enqueued": "-3h", "ends": "+10m"}
    with running_emulator(seed={"invocations": [many]}) as emulator:
        api = Api(Caller(emulator.endpoint), V2016)
        seen: set[str] = set()
        token: dict[str, str] = {}
        for _ in range(40):
            page = api.page(limit=100, **token).json()
            ids = {task["invocationId"] for task in page["invocations"]}
            assert len(ids) == 100
            assert not ids & seen
            seen |= ids
            token = {"nextToken": page["nextToken"]}
        assert api.ids(startedTimeEnd=1) == []
        assert api.ids(invocationIdPrefix="job-99999") == ["job-99999"]
