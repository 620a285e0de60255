"""`fc-reaper invoke`: the handler on this machine; log lines on one stream, the result on the other."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, Ran, a_policy_file, at, environment, fc_reaper
from tests.emulator_server import Emulator, running_emulator
from tests.project.files import ROOT
from tests.run.account import operations, policy, seeded, stopped

EVENTS = ROOT / "events"
SAMPLES = sorted(path for path in EVENTS.rglob("*") if path.suffix in (".json", ".txt"))
TIMER = b'{"triggerTime": "2026-11-20T02:15:00Z", "triggerName": "every-5m", "payload": ""}'


def test_log_lines_and_result_go_to_different_streams(cloud: Emulator, folder: Path) -> None:
    """JSON a line on standard error, ending with run_finished; one JSON object on standard output."""
    ran = fc_reaper("invoke", "-", env=at(cloud), stdin=TIMER, cwd=folder)
    lines = [json.loads(line) for line in ran.errors]
    assert [line["event"] for line in lines][-1] == "run_finished"
    assert ran.json["event"] == "run_finished"
    assert ran.json["counts"] == lines[-1]["counts"]
    assert {task["invocation_id"] for task in ran.json["tasks"]} == {"over-1", "over-2", "over-3"}


def test_by_default_nothing_is_stopped(cloud: Emulator, folder: Path) -> None:
    """Exit 1 all the same: one task is stuck."""
    ran = fc_reaper("invoke", "-", env=at(cloud), stdin=TIMER, cwd=folder)
    assert (ran.code, ran.json["mode"], ran.json["counts"]["would_stop"]) == (1, "dry-run", 3)
    assert stopped(cloud) == set()
    assert "StopStatefulAsyncInvocation" not in operations(cloud)


@pytest.mark.parametrize(
    ("args", "mode", "acts"),
    [
        (["--enforce"], "dry-run", True),
        ([], "enforce", True),
        (["--dry-run"], "enforce", False),
    ],
)
def test_the_option_wins_over_the_setting(
    args: list[str], mode: str, acts: bool, cloud: Emulator, folder: Path
) -> None:
    """--enforce and --dry-run stand for REAPER_MODE."""
    ran = fc_reaper("invoke", "-", *args, env=at(cloud, REAPER_MODE=mode), stdin=TIMER, cwd=folder)
    assert ran.json["mode"] == ("enforce" if acts else "dry-run")
    assert stopped(cloud) == ({"over-1", "over-2", "over-3"} if acts else set())


def test_an_event_that_asks_for_a_dry_run_gets_one(cloud: Emulator, folder: Path) -> None:
    """Whatever the options say."""
    ran = fc_reaper("invoke", "-", "--enforce", env=at(cloud), stdin=b'{"dryRun": true}', cwd=folder)
    assert ran.json["mode"] == "dry-run"
    assert stopped(cloud) == set()


def test_a_run_in_which_all_is_well_is_exit_0(cloud: Emulator, tmp_path: Path) -> None:
    """Here: nothing listed that is stuck or due."""
    a_policy_file(tmp_path, policy(targets="[resize]", match="{running_for: 9h}"))
    ran = fc_reaper("invoke", "-", env=at(cloud), stdin=TIMER, cwd=tmp_path)
    assert (ran.code, ran.json["errors"]) == (0, [])


@pytest.mark.parametrize(
    "event",
    [b"\x00\xff\xfe", b"{", b"not json", b'{"dry_run": true}', b"x" * 2_000_000],
    ids=lambda raw: raw[:20],
)
def test_an_event_that_cannot_be_obeyed_is_exit_2_and_asks_nothing(
    event: bytes, cloud: Emulator, folder: Path
) -> None:
    """A refused run all the same ends with its line and its result."""
    ran = fc_reaper("invoke", "-", "--enforce", env=at(cloud), stdin=event, cwd=folder)
    assert ran.code == 2
    assert ran.json["errors"]
    assert json.loads(ran.errors[-1])["event"] == "run_finished"
    assert operations(cloud) == {}


def test_an_empty_file_is_an_event_without_wishes(cloud: Emulator, folder: Path) -> None:
    """Zero bytes narrow nothing."""
    (folder / "empty").touch()
    ran = fc_reaper("invoke", "empty", env=at(cloud), cwd=folder)
    assert ran.json["counts"]["due"] == 3


def test_a_wrong_policy_is_a_refused_run(cloud: Emulator, tmp_path: Path) -> None:
    """Exit 2; the findings are in the result, as they would be in the cloud."""
    a_policy_file(tmp_path, "version: 1\npolicies: []\n")
    ran = fc_reaper("invoke", "-", env=at(cloud), stdin=TIMER, cwd=tmp_path)
    assert ran.code == 2
    assert ran.json["errors"][0].startswith("policy.yaml:2: policies:")


def test_a_wrong_setting_is_a_refused_run_also_where_an_option_takes_its_place(folder: Path) -> None:
    """As in the cloud, where there are no options."""
    ran = fc_reaper(
        "invoke", "-", "--dry-run", env=environment(REAPER_MODE="enforced"), stdin=TIMER, cwd=folder
    )
    assert ran.code == 2
    assert ran.json["errors"] == ["REAPER_MODE is 'enforced'; write dry-run or enforce"]


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"}, "ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
        ({"REAPER_ENDPOINT": "http://127.0.0.1:9"}, "check the endpoint"),
    ],
    ids=["wrong keys", "no answer"],
)
def test_a_cloud_that_refuses_or_is_silent_is_exit_3_with_what_to_check(
    changes: dict[str, str], check: str, cloud: Emulator, folder: Path
) -> None:
    """One hint after the log lines; no secret in any of them."""
    env = {**at(cloud), **changes}
    ran = fc_reaper("invoke", "-", env=env, stdin=TIMER, cwd=folder)
    assert ran.code == 3
    assert check in ran.errors[-1]
    assert "emulator-secret" not in ran.err + ran.out


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_an_interrupted_run_ends_by_itself_with_a_true_summary(how: signal.Signals, tmp_path: Path) -> None:
    """In the middle of stopping: what was begun is logged, nothing more is begun, exit 1, no traceback."""
    seed = {"invocations": [seeded("over-{n}", "Running", count=40, enqueued="-5h", started="-3h")]}
    a_policy_file(tmp_path, policy(budget="40/run"))
    with running_emulator("--latency", "50ms", seed=seed) as cloud:
        env = at(cloud, REAPER_CONCURRENCY="2")
        ran = _interrupted(["invoke", "-", "--enforce"], env, tmp_path, how, after='"accepted"')
        counts = ran.json["counts"]
        assert (ran.code, ran.json["partial"]) == (1, True)
        assert counts["due"] == 40
        assert counts["skipped"] > 0
        assert counts["confirmed"] + counts["accepted"] + counts["failed"] + counts["skipped"] == 40
        assert len(stopped(cloud)) == counts["confirmed"] + counts["accepted"] > 0
    assert json.loads(ran.errors[-1])["event"] == "run_finished"
    assert "Traceback" not in ran.err


def _interrupted(
    args: list[str], env: dict[str, str], folder: Path, how: signal.Signals, *, after: str
) -> Ran:
    """Run a command, and send it a signal as soon as it says *after* on standard error."""
    with subprocess.Popen(
        [*COMMAND, *args],
        env=env,
        cwd=folder,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.close()
        said = ""
        for line in process.stderr:
            said += line
            if after in line:
                break
        process.send_signal(how)
        said += process.stderr.read()
        out = process.stdout.read() if process.stdout else ""
        return Ran(process.wait(), out, said)


def test_an_alert_is_explained_part_by_part(folder: Path) -> None:
    """What it was wrapped in, who sent it, its state, what it names, and which policies it starts."""
    ran = fc_reaper("invoke", str(EVENTS / "alertmanager.json"), "--explain", cwd=folder)
    assert ran.code == 0
    assert "Alertmanager alert" in ran.out
    assert "service media, function transcode" in ran.out
    assert "trigger_ignored alerts[1]" in ran.out
    assert "media/transcode@prod" in ran.out


def test_what_is_outside_the_targets_is_refused(folder: Path) -> None:
    """And the exit code is that of the run it would be."""
    ran = fc_reaper("invoke", "-", "--explain", stdin=b'{"functionName": "stranger"}', cwd=folder)
    assert (ran.code, "trigger_refused" in ran.out) == (2, True)


def test_the_same_for_machines(folder: Path) -> None:
    """One JSON object."""
    event = b'[{"functionName": "transcode", "dryRun": true}, {"functonName": "x"}]'
    ran = fc_reaper("invoke", "-", "--explain", "--json", stdin=event, cwd=folder)
    said = json.loads(ran.out)
    assert (said["dry_run"], said["targets"]) == (True, ["media/transcode@prod"])
    assert said["dry_run_asked_at"] == "[0].dryRun"
    assert said["requests"][0]["policies"]
    assert said["notes"][0]["part"] == "[1]"


@pytest.mark.parametrize("wide", SAMPLES[::6], ids=lambda path: path.name)
def test_it_fits_eighty_columns(wide: Path, folder: Path) -> None:
    """Whatever the event holds."""
    ran = fc_reaper("invoke", str(wide), "--explain", cwd=folder)
    assert all(len(line) <= 80 for line in ran.out.splitlines() if not line.startswith("trigger_"))
    assert ran.errors == []
