"""The way from an event to a stop request can be read in one sitting."""

from __future__ import annotations

import re

import pytest
from benchmarks.path import count, trace

from tests.project.files import ROOT
from tests.project.markdown import fences


def test_an_event_passes_few_functions_until_a_stop_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m benchmarks.path` names them."""
    monkeypatch.setattr("fc_reaper.sweep.executor._VERIFY_AFTER", 0.1)
    passed = trace().until_stop
    assert len(passed) <= 22
    assert count(passed) <= 120


def test_the_picture_of_the_way_names_the_modules_that_a_run_passes() -> None:
    """docs/run.md, and how many they are."""
    text = (ROOT / "docs/run.md").read_text("utf-8")
    (picture,) = fences(text, "mermaid")
    named = {name.replace("/", ".") for name in re.findall(r'\["([\w/]+)\.py: ', picture.text)}
    passed = set(trace().until_stop)
    assert named == passed, "the picture of docs/run.md has a node for each, and no other"
    assert f"the {len(passed)} modules" in text
