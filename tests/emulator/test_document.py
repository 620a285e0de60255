"""docs/emulator.md names every switch and every key, and its example is a seed."""

from __future__ import annotations

import re

import pytest

from fc_emulator.__main__ import parser
from fc_emulator.changes import Change
from fc_emulator.faults import MATCHED, Fault
from fc_emulator.seed import EventEntry, FunctionEntry, TaskEntry, read_seed
from fc_emulator.validation import Model
from tests.project.files import ROOT

TEXT = (ROOT / "docs" / "emulator.md").read_text("utf-8")
NAMED = set(re.findall(r"`([^`\n]+)`", TEXT))


def test_it_names_every_switch() -> None:
    flags = {action.option_strings[0] for action in parser()._actions} - {"-h"}
    assert flags <= NAMED


def test_it_names_every_value_of_a_switch() -> None:
    values = {str(value) for action in parser()._actions for value in action.choices or ()}
    assert values <= NAMED


@pytest.mark.parametrize("model", [TaskEntry, FunctionEntry, EventEntry, Fault, Change])
def test_it_names_every_key(model: type[Model]) -> None:
    keys = {str(field.alias) for field in model.model_fields.values()}
    assert keys <= NAMED
    assert set(MATCHED) <= NAMED


def test_its_example_is_a_seed() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    tasks = {task.id: task for task in read_seed(example).tasks(1_700_000_000_000)}
    assert [event.status for event in tasks["torn"].lifecycle.history] == ["Running", "Retrying", "Running"]
    assert set(tasks) == {"job-1", "job-2", "job-3", "waits", "again", "torn"}
