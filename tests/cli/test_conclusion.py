"""What `fc-reaper explain` says below its steps: what `keep`, `holdout` and the lock make of the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import a_policy_file
from tests.cli.records import TWO, from_file
from tests.run.account import policy


def explained(folder: Path, text: str) -> str:
    """What is said of a task that has been running for three hours, on one line, by a policy."""
    a_policy_file(folder, text)
    ran = from_file(folder, TWO)
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    return ran.text


KEEP = {"match": "{status: Running}", "keep": "{at_most: 1}"}
DEPENDS = "counts for runaway (policy.yaml:4): whether it is one too many depends on the other tasks"


@pytest.mark.parametrize(
    "keys",
    [
        {"match": "{running_for: 2h}", "triggers": "[timer]"},
        {"match": "{running_for: 4h}"},
        {"match": "{running_for: 2h}", "triggers": "[task]"},
        KEEP,
    ],
    ids=["due", "not yet due", "due if named", "keep"],
)
def test_a_task_that_holdout_spares_is_never_stopped_by_that_policy(
    keys: dict[str, str], tmp_path: Path
) -> None:
    """Whatever else its verdict is; of one of many it is not said that the others decide."""
    text = explained(tmp_path, policy(holdout="99.99%", **keys))
    assert "never stopped by runaway: `holdout` spares 99.99% of all ids (policy.yaml:4)" in text
    assert "stopped only by a run" not in text
    assert "one too many" not in text


def test_a_due_task_that_holdout_spares_is_told_from_others_as_json(tmp_path: Path) -> None:
    """The policy that it is due by."""
    a_policy_file(tmp_path, policy(match="{running_for: 2h}", holdout="99.99%"))
    assert from_file(tmp_path, TWO, "--json").json["held_out_by"] == "runaway"


def test_of_one_of_many_the_others_decide(tmp_path: Path) -> None:
    """Unless it is spared or exempt: then it only counts."""
    text = explained(tmp_path, policy(**KEEP))
    assert f"kept, unless it is one too many {DEPENDS}" in text
    assert "time alone" not in text
    assert "no policy matches" not in text
    for spares in (policy(unless="[job-*]", **KEEP), policy(**KEEP).replace("[keep-*]", "[job-*]")):
        text = explained(tmp_path, spares)
        assert "counts: first enqueued 3h ago, and is never stopped" in text
        assert "one too many" not in text


def test_a_task_that_another_policy_claims_does_not_count(tmp_path: Path) -> None:
    """Also where that one holds it out."""
    text = explained(tmp_path, policy(match="{running_for: 2h}", holdout="99.99%") + FEW)
    assert "does not count: runaway claims it" in text


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
def test_a_task_that_one_policy_keeps_may_be_one_too_many_for_another(
    match: str, headline: str, tmp_path: Path
) -> None:
    """The first word of the verdict says so."""
    a_policy_file(tmp_path, policy(match=match) + FEW)
    assert headline in from_file(tmp_path, TWO).text


def test_a_task_of_a_policy_that_is_not_approved_does_not_count(tmp_path: Path) -> None:
    """As in a run: a policy that is no longer approved keeps its tasks."""
    a_policy_file(tmp_path, policy(match="{running_for: 2h}") + FEW)
    (tmp_path / "policy.lock").write_text("version: 1\nexempt: []\npolicies: []\n", encoding="utf-8")
    told = from_file(tmp_path, TWO).text
    assert "does not count: runaway claims it" in told
    assert "counts for few" not in told
    keep = from_file(tmp_path, TWO, "--json").json["policies"][1]["keep"]
    assert (keep["counts"], keep["may_be_chosen"]) == (False, False)


def test_one_too_many_for_a_report_is_reported(tmp_path: Path) -> None:
    """Nothing stops it."""
    text = explained(tmp_path, policy(**KEEP).replace("stop:", "report:"))
    assert f"kept {DEPENDS}; it would be reported, not stopped" in text


def test_an_unknown_names_the_expression_once(tmp_path: Path) -> None:
    """`where` is the rule, and the reason begins with it."""
    a_policy_file(tmp_path, policy(match="{running_for: 2h, where: payload.vip}"))
    told = from_file(tmp_path, TWO).text
    assert "unknown, so it is kept, runaway: where: payload.vip is absent" in told
    assert "where: where:" not in told


def test_a_report_has_no_holdout(tmp_path: Path) -> None:
    """`holdout` has no effect there, so no step of it is shown."""
    a_policy_file(tmp_path, policy(holdout="50%").replace("stop:", "report:"))
    assert "holdout" not in from_file(tmp_path, TWO).text
