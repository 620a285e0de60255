"""docs/cost.md: its commands work, its fields are those of a run, and its line of a history is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fc_reaper.log_lines import Saved
from tests.cli.command import at, fc_reaper
from tests.emulator_server import running_emulator
from tests.project.files import ROOT
from tests.project.markdown import code, fences, tables
from tests.run.account import policy, seeded

TEXT = (ROOT / "docs" / "cost.md").read_text("utf-8")
FIELDS = list(Saved.model_fields)
EXAMPLE, LINE = (fence.text for fence in fences(TEXT, "json"))


def test_the_fields_are_those_of_the_lines_and_of_the_index() -> None:
    """In the example, in the table, and in the query, which needs the index."""
    assert [word for row in next(tables(TEXT))[1:] for word in code(row[0])] == FIELDS
    assert list(json.loads(f"{{{EXAMPLE}}}")["saved"]) == FIELDS
    index = json.loads((ROOT / "docs" / "monitoring" / "index.json").read_text("utf-8"))
    (query,) = (fence.text for fence in fences(TEXT, "sql"))
    asked = {word for word in query.split('"') if word.startswith("message.saved.")}
    assert asked == {f"message.saved.{name}" for name in FIELDS[1:]}
    assert {name.removeprefix("message.") for name in asked} <= index["keys"]["message"]["json_keys"].keys()


def test_its_commands_work_and_what_is_kept_says_what_the_cloud_said(tmp_path: Path) -> None:
    """A history without the line of the function is one of which nothing is known."""
    (tmp_path / "policy.yaml").write_text(policy())
    facts = json.loads(LINE)
    place = {name: facts.pop(name) for name in ("serviceName", "functionName", "qualifier")}
    tasks = [seeded("over-1", "Running", enqueued="-5h", started="-3h"),
             seeded("broke-1", "Failed", enqueued="-9h", started="-9h", ends="-4h")]  # fmt: skip
    seed = {"functions": [{**place, "timeout": 86_400, "resources": facts}], "invocations": tasks}
    commands = [line.removeprefix("fc-reaper ").split() for line in fences(TEXT, "sh")[0].text.splitlines()]
    with running_emulator(seed=seed) as cloud:
        ran = [fc_reaper(*words, env=at(cloud), cwd=tmp_path) for words in commands]
    assert [one.code for one in ran] == [0] * len(commands)
    plan, plan_json, kept, again = ran
    assert " ".join(plan.out.split()).count("The stops would save at most 151,") == 1
    saved = plan_json.json["saved"]
    assert saved["vcpu_s"] == pytest.approx(2 * 21 * 3600, abs=60)
    assert saved["gb_s"] == pytest.approx(2 * saved["vcpu_s"], abs=0.01)
    assert "unknown" not in kept.out
    (one,) = again.json["policies"]
    assert one["saved"]["vcpu_s"] == 2 * one["saved_s"] > 0
    last = (tmp_path / "kept.jsonl").read_text("utf-8").splitlines()[-1]
    assert json.loads(last) == {**place, "timeout": 86_400, **facts}
