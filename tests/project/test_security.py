"""SECURITY.md states the limits that the code has, and names tests that exist."""

from __future__ import annotations

import re

import pytest

from fc_reaper.events import layers, parser
from fc_reaper.log import LONGEST_LINE
from fc_reaper.policy.load import MOST_NODES
from fc_reaper.rules.interpreter import MOST
from fc_reaper.sweep.scope import MOST_FUNCTIONS
from tests.project.files import ROOT

TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
ROWS = {cells[1].strip(): cells[2] for line in TEXT.splitlines() if len(cells := line.split("|")) == 5}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("event", f"{parser.MOST_BYTES // 1024**2} MiB"),
        ("event", f"{parser.DEEPEST} levels"),
        ("event", f"{layers.MOST_LAYERS} layers"),
        ("event", f"{layers.MOST_ELEMENTS:,} elements"),
        ("functions that discovery lists", f"{MOST_FUNCTIONS:,}"),
        ("log", f"{LONGEST_LINE // 1024} KB a line"),
        ("YAML", f"{MOST_NODES:,} nodes"),
        ("expression (`where`, `per`, `from`)", f"{MOST:,} steps"),
    ],
)
def test_a_limit_is_the_one_that_is_kept(row: str, says: str) -> None:
    assert says in ROWS[row]


def test_every_test_that_it_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", TEXT)
    assert len(named) > 10
    assert not [path for path in named if not (ROOT / path).exists()]
