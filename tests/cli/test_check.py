"""`fc-reaper check`: what a policy means and costs, without a cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from fc_reaper.cli.cost import costs, idle_calls
from fc_reaper.policy import load_policy
from tests.cli.command import a_policy_file, environment, fc_reaper
from tests.run.account import POLICY

NO_CLOUD = environment(REAPER_ENDPOINT="http://127.0.0.1:9")


def test_a_valid_policy_is_summed_up_in_80_columns_without_colour(folder: Path) -> None:
    """Exit 0; nothing on standard error; no credentials are needed."""
    ran = fc_reaper("check", env=NO_CLOUD, cwd=folder)
    assert (ran.code, ran.err) == (0, "")
    assert "policy.yaml is valid: 1 policy, 1 exemption" in ran.out
    assert "media/transcode@prod" in ran.out
    assert "\x1b" not in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_every_finding_has_its_own_line(tmp_path: Path) -> None:
    """`FILE:LINE: path: what; remedy` on standard error, exit 2, and with --json the same as values."""
    wrong = (
        "version: 1\npolicies:\n  - name: x\n    targets: [a/b]\n    match: {alivefor: 2h}\n    stopp: no\n"
    )
    a_policy_file(tmp_path, wrong)
    ran = fc_reaper("check", "policy.yaml", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.complaints) >= 2
    assert all(line.startswith("policy.yaml:") for line in ran.complaints)
    found = fc_reaper("check", "policy.yaml", "--json", cwd=tmp_path)
    assert found.code == 2
    assert found.json["findings"] == ran.complaints


def test_the_file_may_be_named_in_three_ways(tmp_path: Path) -> None:
    """As the argument, by --policy, by REAPER_POLICY; messages call it as it was written."""
    path = a_policy_file(tmp_path).rename(tmp_path / "other.yaml")
    for ran in (
        fc_reaper("check", "other.yaml", cwd=tmp_path),
        fc_reaper("check", "--policy", "other.yaml", cwd=tmp_path),
        fc_reaper("check", env=environment(REAPER_POLICY="other.yaml"), cwd=tmp_path),
    ):
        assert (ran.code, ran.out.splitlines()[0].split()[0]) == (0, path.name)


def test_a_policy_is_beside_the_person_and_not_beside_the_code(folder: Path, tmp_path: Path) -> None:
    """Also where FC_FUNC_CODE_PATH is set, as in a shell on an instance."""
    env = environment(FC_FUNC_CODE_PATH="/nowhere")
    assert fc_reaper("check", "policy.yaml", env=env, cwd=folder).code == 0


def a_file(match: str, targets: str = "[media/transcode@prod]", more: str = "") -> str:
    return (
        f"version: 1\npolicies:\n  - name: one\n    targets: {targets}\n"
        f"    match: {match}\n    stop: why\n{more}"
    )


@pytest.mark.parametrize(
    ("match", "started_time", "everything", "overdue"),
    [
        ("{running_for: 2h}", "unknown", (), ("Running",)),
        ("{alive_for: 2h}", "unknown", ("Enqueued", "Dequeued", "Running", "Retrying"), ()),
        ("{alive_for: 2h}", "enqueue", (), ("Enqueued", "Dequeued", "Running", "Retrying")),
        ("{queued_for: 2h}", "unknown", ("Enqueued", "Dequeued"), ()),
        ("{stopping_for: 5m}", "unknown", ("Stopping",), ()),
        ("{retries_over: 3, status: Retrying}", "unknown", ("Retrying",), ()),
    ],
)
def test_the_cost_follows_what_can_be_asked_of_a_list(
    match: str, started_time: str, everything: tuple[str, ...], overdue: tuple[str, ...]
) -> None:
    """Whatever is pushed down makes calls follow what is overdue."""
    (cost,) = costs(load_policy(a_file(match), source="p"), started_time)  # type: ignore[arg-type]
    assert (cost.everything, tuple(status for status, _ in cost.overdue)) == (everything, overdue)
    assert cost.follows_overdue == (not everything)


def test_the_limit_that_is_told_is_the_policy_s_own(tmp_path: Path) -> None:
    """The question to the cloud is a second weaker; people read 2h."""
    a_policy_file(tmp_path, a_file("{running_for: 2h}"))
    ran = fc_reaper("check", cwd=tmp_path)
    assert "Running started 2h ago what is overdue" in ran.told
    assert "the literal targets take 2 calls a run" in ran.told


def test_ten_literal_targets_and_one_limit_take_twenty_calls_when_idle() -> None:
    """Running and Stopping, once for each function."""
    targets = "[" + ", ".join(f"media/f{number}" for number in range(10)) + "]"
    assert idle_calls(load_policy(a_file("{running_for: 2h}", targets), source="p"), "unknown") == 20


def test_patterns_are_told_to_need_discovery_and_a_name(tmp_path: Path) -> None:
    """Both generations are named where both are meant; REAPER_SELF is asked for where it is unknown."""
    a_policy_file(tmp_path, a_file("{running_for: 2h}", "['media/*', resize@*]"))
    ran = fc_reaper("check", cwd=tmp_path)
    assert "FC 2.0 is asked" in ran.told
    assert "FC 3.0 is asked" in ran.told
    assert "set REAPER_SELF" in ran.told
    knows = fc_reaper("check", env=environment(REAPER_SELF="ops/reaper"), cwd=tmp_path)
    assert "set REAPER_SELF" not in knows.told


def test_a_policy_that_only_named_tasks_wake_lists_only_what_is_stuck(tmp_path: Path) -> None:
    """Its calls follow events."""
    a_policy_file(tmp_path, a_file("{status: Running}", more="    triggers: [task]\n"))
    ran = fc_reaper("check", "--json", cwd=tmp_path)
    assert ran.json["idle_calls"] == 1
    assert ran.json["policies"][0]["cost"]["calls_follow"] == "events"


@pytest.mark.parametrize(
    ("exempt", "warned"),
    [
        ("media/transcode", "write media/transcode@*"),
        ("medai/transcode@*", "spelt right"),
        ("media/transcode@*", None),
        ("media/*@prod", None),
        ("media/trans*@p*", None),
    ],
)
def test_mercy_that_spares_nobody_is_a_warning(exempt: str, warned: str | None, tmp_path: Path) -> None:
    """A target without @ means @LATEST, also where it is meant to protect; the file stays valid."""
    a_policy_file(tmp_path, POLICY.replace("[keep-*]", f"[{{target: '{exempt}'}}]"))
    ran = fc_reaper("check", cwd=tmp_path)
    assert ran.code == 0
    assert (ran.err == "") if warned is None else (warned in ran.err)
    assert len(fc_reaper("check", "--json", cwd=tmp_path).json["warnings"]) == (warned is not None)
