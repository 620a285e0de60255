"""`fc-reaper explain`: why this one, or why not, step by step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import a_policy_file, at, fc_reaper
from tests.emulator_process import EmulatorProcess
from tests.run.account import operations, policy

PROD = "media/transcode@prod"


@pytest.mark.parametrize(
    ("task", "verdict", "line"),
    [
        ("over-1", "due, runaway, running_for 3h of 2h, 1h over: A transcode takes forty minutes", 4),
        ("young-1", "kept, runaway, running_for 9m", 4),
        ("waited-1", "kept, runaway, running_for 1m", 4),
        ("keep-1", "exempt", 2),
        ("vip-1", "kept, runaway, unless: spared by unless", 7),
    ],
)
def test_the_verdict_names_the_line_that_decided(
    task: str, verdict: str, line: int, cloud: EmulatorProcess, folder: Path
) -> None:
    """The steps above it are in 80 columns, without colour in a pipe."""
    ran = fc_reaper("explain", PROD, task, env=at(cloud), cwd=folder)
    assert verdict in ran.told
    assert f"decided by policy.yaml:{line}" in ran.told
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "\x1b" not in ran.out
    assert (ran.code, ran.err) == (0, "")


def test_it_only_reads(cloud: EmulatorProcess, folder: Path) -> None:
    """One Get and nothing else, also where the setting enforces."""
    fc_reaper("explain", PROD, "over-1", env=at(cloud, REAPER_MODE="enforce"), cwd=folder)
    assert operations(cloud) == {"GetStatefulAsyncInvocation": 1}


def test_a_task_within_its_limit_is_told_when_it_becomes_due(cloud: EmulatorProcess, folder: Path) -> None:
    """If by then it still is what it is."""
    ran = fc_reaper("explain", PROD, "young-1", env=at(cloud), cwd=folder)
    assert "due in 1h50m, if it is Running until then" in ran.told


def test_a_task_that_time_does_not_make_due_is_told_so(cloud: EmulatorProcess, folder: Path) -> None:
    """Here: an exempt one."""
    assert (
        "time alone will not make it due"
        in fc_reaper("explain", PROD, "keep-1", env=at(cloud), cwd=folder).told
    )


def test_a_finished_task_needs_no_policy(cloud: EmulatorProcess, folder: Path) -> None:
    """Its end decides before any of them is asked."""
    ran = fc_reaper("explain", PROD, "done-1", env=at(cloud), cwd=folder)
    assert "kept, status: it is Succeeded already" in ran.told
    assert "not asked" in ran.told


def test_a_stuck_task_is_called_stuck(cloud: EmulatorProcess, folder: Path) -> None:
    """As every run calls it."""
    assert "stuck: asked to stop" in fc_reaper("explain", PROD, "stuck-1", env=at(cloud), cwd=folder).told


def test_a_policy_for_named_tasks_does_not_make_a_healthy_one_due(
    cloud: EmulatorProcess, tmp_path: Path
) -> None:
    """It is said apart what an event that names the task would do."""
    a_policy_file(tmp_path, policy(match="{status: Running}", triggers="[task]"))
    ran = fc_reaper("explain", PROD, "young-1", env=at(cloud), cwd=tmp_path)
    assert "kept, status: no policy matches it" in ran.told
    assert "an event that names it would have it stopped: runaway, policy.yaml:4" in ran.told


def test_as_json_every_step_is_a_value(cloud: EmulatorProcess, folder: Path) -> None:
    """Record, exemptions, policies key by key, verdict."""
    told = fc_reaper("explain", PROD, "over-1", "--json", env=at(cloud), cwd=folder).json
    assert told["record"]["status"] == "Running"
    assert told["exempt"][0]["holds"] is False
    (step,) = told["policies"]
    (key,) = step["match"]["keys"]
    assert (key["key"], key["wanted"], key["holds"], key["limit_s"]) == ("running_for", "2h", True, 7200)
    assert (told["verdict"]["kind"], told["verdict"]["line"]) == ("due", 4)


@pytest.mark.parametrize(
    ("target", "task"),
    [(PROD, "nobody"), ("media/nobody@prod", "over-1"), ("media/transcode", "over-1"), ("nobody", "over-1")],
)
def test_a_task_that_is_not_there_is_one_line_and_exit_1(
    target: str, task: str, cloud: EmulatorProcess, folder: Path
) -> None:
    """The cloud answered; the line says what to check."""
    ran = fc_reaper("explain", target, task, env=at(cloud), cwd=folder)
    assert (ran.code, ran.out) == (1, "")
    (line,) = ran.complaints
    assert f"no task {task} at" in line
    assert "check the id, the qualifier" in line


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"}, "ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
        ({"REAPER_ENDPOINT": "http://127.0.0.1:9"}, "check the endpoint"),
    ],
    ids=["wrong keys", "nobody there"],
)
def test_a_cloud_that_refuses_or_is_silent_is_exit_3(
    changes: dict[str, str], check: str, cloud: EmulatorProcess, folder: Path
) -> None:
    """What happened, and what to check."""
    ran = fc_reaper("explain", PROD, "over-1", env={**at(cloud), **changes}, cwd=folder)
    assert (ran.code, ran.out) == (3, "")
    assert check in ran.complaints[-1]


def test_a_function_of_3_0_has_no_service(cloud: EmulatorProcess, tmp_path: Path) -> None:
    """Its target is a bare name."""
    a_policy_file(tmp_path, policy(targets="[resize]"))
    ran = fc_reaper("explain", "resize", "three-1", env=at(cloud), cwd=tmp_path)
    assert ran.out.startswith("three-1 at resize\n")
    assert "due, runaway" in ran.told
