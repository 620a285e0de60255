"""The words in which `fc-reaper explain` concludes: which step keeps the task, and what others decide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import a_policy_file
from tests.cli.records import TWO, from_file
from tests.run.account import policy


def held_out(folder: Path, running: str, **keys: str) -> str:
    """What is told of a task, three hours old, that `holdout` spares."""
    share = {"holdout": "99.99%"}
    a_policy_file(folder, policy(**{"match": f"{{running_for: {running}}}", **share, **keys}))
    ran = from_file(folder, TWO)
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    return ran.text


HELD = "`holdout` of runaway spares it (policy.yaml:4), as 99.99% of all ids"


def test_a_due_task_that_is_held_out_is_told_what_keeps_it_and_that_nothing_else_does(tmp_path: Path) -> None:
    """It is due, and yet nothing stops it."""
    told = held_out(tmp_path, "2h", triggers="[timer]")
    assert "due, runaway, running_for 3h of 2h, 1h over" in told
    assert f"not stopped all the same: {HELD}, and no other step does" in told
    assert "stops it" not in told
    assert json.loads(from_file(tmp_path, TWO, "--json").out)["held_out_by"] == "runaway"


def test_a_task_that_would_be_held_out_once_it_is_due_is_told_so(tmp_path: Path) -> None:
    """Also where only an event that names it would find it due."""
    assert f"until then; not stopped then either: {HELD}" in held_out(tmp_path, "4h")
    told = held_out(tmp_path, "2h", triggers="[task]")
    assert f"an event that names it would find it due, but {HELD}" in told
    assert "have it stopped" not in told


def test_one_of_many_that_is_held_out_is_not_told_that_the_others_decide(tmp_path: Path) -> None:
    """Nor one that is spared, or exempt: it counts, and that is all."""
    keep = {"match": "{status: Running}", "keep": "{at_most: 1}"}
    a_policy_file(tmp_path, policy(**keep))
    told = from_file(tmp_path, TWO).text
    assert "kept, unless it is one too many counts for runaway (policy.yaml:4): whether" in told
    assert "no policy matches" not in told
    assert "time alone" not in told
    told = held_out(tmp_path, "2h", **keep)
    assert f"counts for runaway, which never stops it: {HELD}" in told
    assert "one too many" not in told
    for text, exemption in (
        (policy(unless="[job-*]", **keep), "`unless` spares it"),
        (policy(**keep).replace("[keep-*]", "[job-*]"), "it is exempt"),
    ):
        a_policy_file(tmp_path, text)
        told = from_file(tmp_path, TWO).text
        assert f"counts for runaway (policy.yaml:4), which never stops it: {exemption} (policy.yaml:" in told
        assert "one too many" not in told
        assert "no policy matches" not in told


def test_a_task_of_another_policy_is_said_to_be_claimed_not_stopped(tmp_path: Path) -> None:
    """That one may hold it out."""
    text = policy(match="{running_for: 2h}", holdout="99.99%")
    text += "  - {name: few, targets: [media/transcode@prod], match: {status: Running}, keep: {at_most: 1}, "
    a_policy_file(tmp_path, text + "stop: x}\n")
    told = from_file(tmp_path, TWO).text
    assert "does not count: runaway claims it" in told
    assert "stops it" not in told


FEW = (
    "  - {name: few, targets: [media/transcode@prod], match: {status: Running}, keep: {at_most: 1}, "
    "stop: x}\n"
)


@pytest.mark.parametrize(
    ("match", "headline"),
    [
        ("{running_for: 4h}", "kept, unless it is one too many, runaway, running_for 3h of 4h"),
        (
            "{running_for: 2h, where: payload.vip}",
            "unknown, so it is kept, unless it is one too many, runaway: ",
        ),
    ],
)
def test_who_is_kept_by_one_policy_may_be_one_too_many_for_another(
    match: str, headline: str, tmp_path: Path
) -> None:
    """The first word of the verdict says so."""
    a_policy_file(tmp_path, policy(match=match) + FEW)
    assert headline in from_file(tmp_path, TWO).text


def test_who_belongs_to_a_policy_that_is_not_armed_does_not_count(tmp_path: Path) -> None:
    """As in a run: what lost its approves keeps its tasks."""
    a_policy_file(tmp_path, policy(match="{running_for: 2h}") + FEW)
    (tmp_path / "policy.lock").write_text("version: 1\nexempt: []\npolicies: []\n", encoding="utf-8")
    told = from_file(tmp_path, TWO).text
    assert "does not count: runaway claims it" in told
    assert "counts for few" not in told
    keep = json.loads(from_file(tmp_path, TWO, "--json").out)["policies"][1]["keep"]
    assert (keep["counts"], keep["may_be_chosen"]) == (False, False)


def test_one_too_many_for_a_report_is_reported(tmp_path: Path) -> None:
    """Nothing stops it."""
    a_policy_file(
        tmp_path, policy(match="{status: Running}", keep="{at_most: 1}").replace("stop:", "report:")
    )
    told = from_file(tmp_path, TWO).text
    assert "the other tasks decide; it is then reported, not stopped" in told
    assert "unless it is one too many" not in told


def test_an_unknown_names_the_expression_once(tmp_path: Path) -> None:
    """`where` is the rule, and the reason begins with it."""
    a_policy_file(tmp_path, policy(match="{running_for: 2h, where: payload.vip}"))
    told = from_file(tmp_path, TWO).text
    assert "unknown, so it is kept, runaway: where: payload.vip is absent" in told
    assert "where: where:" not in told


def test_a_report_holds_nobody_out(tmp_path: Path) -> None:
    """`holdout` has no effect there, so no step of it is shown."""
    a_policy_file(tmp_path, policy(holdout="50%").replace("stop:", "report:"))
    assert "holdout" not in from_file(tmp_path, TWO).text
