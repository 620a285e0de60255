"""`fc-reaper invoke EVENT --explain`: how an event is read, without asking any cloud."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import fc_reaper

EVENTS = Path(__file__).parents[2] / "events"
SAMPLES = sorted(path for path in EVENTS.rglob("*") if path.suffix in (".json", ".txt"))


def test_an_alert_is_explained_part_by_part(folder: Path) -> None:
    """What it was wrapped in, who sent it, its state, what it names, and which policies it starts."""
    ran = fc_reaper("invoke", str(EVENTS / "alertmanager.json"), "--explain", cwd=folder)
    assert ran.code == 0
    assert "Alertmanager alert" in ran.out
    assert "service media, function transcode" in ran.out
    assert "trigger_ignored alerts[1]" in ran.out
    assert "media/transcode@prod" in ran.out


def test_what_is_outside_the_targets_is_refused(folder: Path) -> None:
    """And the exit code is that of the run it would be."""
    ran = fc_reaper("invoke", "-", "--explain", stdin=b'{"functionName": "stranger"}', cwd=folder)
    assert (ran.code, "trigger_refused" in ran.out) == (2, True)


def test_the_same_for_machines(folder: Path) -> None:
    """One JSON object."""
    event = b'[{"functionName": "transcode", "dryRun": true}, {"functonName": "x"}]'
    ran = fc_reaper("invoke", "-", "--explain", "--json", stdin=event, cwd=folder)
    said = json.loads(ran.out)
    assert (said["dry_run"], said["targets"]) == (True, ["media/transcode@prod"])
    assert said["requests"][0]["policies"]
    assert said["notes"][0]["part"] == "[1]"


@pytest.mark.parametrize("wide", SAMPLES[::6], ids=lambda path: path.name)
def test_it_fits_eighty_columns(wide: Path, folder: Path) -> None:
    """Whatever the event holds."""
    ran = fc_reaper("invoke", str(wide), "--explain", cwd=folder)
    assert all(len(line) <= 80 for line in ran.out.splitlines() if not line.startswith("trigger_"))
    assert ran.errors == []
