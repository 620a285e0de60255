"""The way from an event to a stop request can be read in one sitting."""

from __future__ import annotations

import pytest
from benchmarks.path import count, trace


def test_an_event_passes_few_functions_until_a_stop_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m benchmarks.path` names them."""
    monkeypatch.setattr("fc_reaper.sweep.executor._VERIFY_AFTER", 0.1)
    passed = trace().until_stop
    assert len(passed) <= 22
    assert count(passed) <= 120
