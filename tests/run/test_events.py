"""Every sample event, as the platform would send it, through a whole run against the emulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fc_reaper.models import Exit
from tests.emulator_server import Emulator
from tests.reaping import reap
from tests.run.account import operations, stopped

EVENTS = Path(__file__).parents[2] / "events"
SAMPLES = sorted(path for path in EVENTS.iterdir() if path.suffix in (".json", ".txt"))
REFUSED = sorted((EVENTS / "refused").iterdir())
POLICY = """\
version: 1
policies:
  - name: runaway
    targets: [media/transcode@prod, resize]
    match: {running_for: 2h}
    stop: forty minutes at worst
"""
EXPECTED = {"transcode", "resize"}


def listed_functions(cloud: Emulator) -> set[str]:
    """The functions whose tasks were listed or read, by the emulator's own account."""
    paths = [call["path"].split("/") for call in cloud.calls()["recent"]]
    return {path[path.index("functions") + 1] for path in paths if "functions" in path}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_sample_makes_a_run(cloud: Emulator, sample: Path) -> None:
    """It is understood or ignored, it never fails, and no other function than the targets is listed."""
    reaped = reap(cloud.endpoint, POLICY, sample.read_bytes(), enforce=True)
    refused = {line["why"] for line in reaped.logged("trigger_refused")}
    assert refused <= {"no task of this invocation id among the targets"}
    assert reaped.finished.result.errors == [] or refused
    assert listed_functions(cloud) <= EXPECTED
    assert stopped(cloud) <= {"over-1", "over-2", "over-3", "keep-1", "vip-1", "three-1"}


@pytest.mark.parametrize("sample", REFUSED, ids=lambda path: path.name)
def test_a_refused_sample_lists_nothing(cloud: Emulator, sample: Path) -> None:
    """The reason is logged, no call is made, and the platform is given no reason to retry."""
    reaped = reap(cloud.endpoint, POLICY, sample.read_bytes(), enforce=True)
    assert reaped.finished.exit is Exit.REFUSED
    assert not reaped.finished.curable
    assert reaped.logged("trigger_refused")
    assert operations(cloud) == {}


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sample with some of its bytes changed, dropped or doubled."""
    raw = bytearray(draw(st.sampled_from(SAMPLES)).read_bytes() or b"{}")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        length = draw(st.integers(0, 12))
        raw[at : at + length] = draw(st.binary(max_size=6) | st.just(bytes(raw[:length])))
    return bytes(raw)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=mutated() | st.binary(max_size=200))
def test_no_event_leads_outside_the_targets(cloud: Any, raw: bytes) -> None:
    """Whatever the bytes, a run or a refusal: one last line, no fault, and no other function listed."""
    reaped = reap(cloud.endpoint, POLICY, raw)
    assert [line["event"] for line in reaped.lines].count("run_finished") == 1
    assert not any("fault" in error for error in reaped.finished.result.errors)
    assert listed_functions(cloud) <= EXPECTED
