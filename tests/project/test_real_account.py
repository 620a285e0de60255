"""docs/real-account.md: the first plan is printed so, and each command needs the rights that it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fc_emulator.routes import OPERATIONS
from fc_reaper.cli.plan import every_timer
from fc_reaper.probing.client import SLEEPER
from tests.cli.command import at, fc_reaper
from tests.emulator_server import Emulator, running_emulator
from tests.project.console import missing
from tests.project.files import ROOT
from tests.project.markdown import code, fences, sections, tables
from tests.run.account import SEED, policy

TEXT = (ROOT / "docs" / "real-account.md").read_text("utf-8")
PARTS = sections(TEXT)
ROWS = next(tables(PARTS["Rights"]))[1:]
BOTH = policy(targets="[media/transcode@prod, resize]")


def test_the_first_plan_is_printed_so(tmp_path: Path) -> None:
    """For the account of examples/account.json; lengths of time may differ."""
    (example,) = fences(PARTS["The first plan"], "console")
    command, *expected = example.text.splitlines()
    seed = json.loads((ROOT / "examples" / "account.json").read_text("utf-8"))
    words = command.removeprefix("$ fc-reaper ").split()
    with running_emulator(seed=seed) as cloud:
        cloud.advance("2s")  # the cloud's Date is cut to whole seconds
        ran = fc_reaper(*words, env=at(cloud), cwd=tmp_path)
    assert missing(expected, ran.err + ran.out) == []
    assert cloud.endpoint


@pytest.fixture
def cloud() -> Iterator[Emulator]:
    with running_emulator("--stopping", "5ms", seed=SEED) as emulator:
        emulator.advance("5s")
        yield emulator


def rights(cells: list[str], *, read: bool) -> set[str]:
    """The actions in the cells of a row, with what `--read` and `keep` add if *read*."""
    parts = [cell if read else cell.partition(";")[0] for cell in cells]
    return {word for part in parts for word in code(part) if word.startswith("fc:")}


def test_each_right_is_an_operation_of_the_platform() -> None:
    """By its name there."""
    named = {word.removeprefix("fc:") for row in ROWS for word in rights(row[1:], read=True)}
    assert named <= OPERATIONS


WHOLE = {
    "plan": ["plan"], "approve": ["approve --yes"], "invoke --dry-run": ["invoke timer.json --dry-run"],
    "backtest": ["backtest"], "diff": ["diff policy.yaml policy.yaml"], "doctor": ["doctor"],
    "explain": ["explain media/transcode@prod over-1", "explain resize three-1"],
    "apply --dry-run": ["apply plan.json --dry-run"], "apply --enforce": ["apply plan.json --enforce"],
    "invoke --enforce": ["invoke timer.json --enforce"],
}  # fmt: skip
"""Commands for the rows of the table; `probe` has tests of its own."""


def test_the_table_has_each_command_that_asks_the_cloud() -> None:
    assert {word for row in ROWS for word in code(row[0])} == {*WHOLE, "probe"}


@pytest.mark.parametrize("command", WHOLE)
def test_a_command_needs_the_rights_in_its_row_and_no_others(
    command: str, cloud: Emulator, tmp_path: Path
) -> None:
    """For a policy without patterns, with functions of both generations."""
    (row,) = [row for row in ROWS if command in code(row[0])]
    (tmp_path / "policy.yaml").write_text(BOTH)
    (tmp_path / "timer.json").write_bytes(every_timer([]))
    fc_reaper("plan", "--out", "plan.json", env=at(cloud), cwd=tmp_path)
    cloud.reset()
    cloud.advance("5s")
    for words in WHOLE[command]:
        ran = fc_reaper(*words.split(), env=at(cloud), cwd=tmp_path)
        assert ran.code in (0, 1), ran.err
    asked = {f"fc:{name}" for name in cloud.calls()["counts"]} - {"fc:GetCallerIdentity"}
    assert asked == rights(row[1:], read=False)


def test_a_history_that_is_read_needs_the_other_right_of_its_row(tmp_path: Path) -> None:
    """Where lists have no events, `--read` reads each record by itself."""
    (tmp_path / "policy.yaml").write_text(BOTH)
    with running_emulator("--events", "get", seed=SEED) as cloud:
        assert fc_reaper("backtest", "--read", env=at(cloud), cwd=tmp_path).code in (0, 1)
        asked = {f"fc:{name}" for name in cloud.calls()["counts"]}
    (row,) = [row for row in ROWS if "backtest" in code(row[0])]
    assert asked == rights(row[1:], read=True)


def test_the_policy_of_the_experiment_has_the_rights_of_probe() -> None:
    """On its function alone, in docs/probe.md."""
    (fence,) = fences((ROOT / "docs" / "probe.md").read_text("utf-8"), "json")
    (statement,) = json.loads(fence.text)["Statement"]
    (row,) = [row for row in ROWS if "probe" in code(row[0])]
    resource = f"acs:fc:cn-hangzhou:*:functions/{SLEEPER}"
    assert json.loads(fence.text) == {"Version": "1", "Statement": [statement]}
    assert statement.pop("Action") == code(row[2])
    assert statement == {"Effect": "Allow", "Resource": [resource, f"{resource}/*"]}


def test_every_message_that_is_explained_is_one_of_ours_or_of_the_platform() -> None:
    """The words in front of what differs stand in the code, or are codes of errors."""
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "src" / "fc_reaper").rglob("*.py"))
    rows = next(tables(PARTS["What goes wrong"]))[1:]
    platform = {"AccessDenied", "NoPermission", "InvalidAccessKeyId", "SignatureNotMatch", "InvalidTimeStamp"}
    for row in rows:
        first, *_ = (word for word in code(row[0]))
        words = re.split(r"[A-Z]{2,}|\b[AB]\b|'", first)[0].strip().removesuffix(":")
        assert words in sources or {*code(row[0])} <= platform or words == "Failed to resolve", first
