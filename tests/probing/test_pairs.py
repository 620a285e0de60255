"""Whatever two switches of the account are: a probe finds what shows, and says null for the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fc_reaper.platform import Facts
from tests.probing.account import VERSIONS, emulated, probed
from tests.probing.pairs import Row, all_pairs, covering, pairs_of

SWITCHES = {
    "started-time": ("enqueue", "execution"),
    "events": ("list", "get", "no"),
    "record-qualifier": ("asked", "version"),
    "stop-finished": ("412", "400"),
    "stop-stopping": ("200", "412"),
    "stopping": ("1s", "never"),
    "list-lag": ("0s", "3s"),
    "arn": ("colon", "slash"),
    "stop-answer": ("200", "204"),
    "empty-list": ("key", "omitted"),
    "event-detail": ("empty", "log-tail"),
    "alias-tasks": ("alias", "version"),
}
WITH_VERSION = {**SWITCHES, "api-version": VERSIONS}
ROWS = list(covering(WITH_VERSION))


def visible(row: Row) -> dict[str, Any]:
    """The facts that a probe of such an account can find."""
    facts: dict[str, Any] = {name.replace("-", "_"): row[name] for name in SWITCHES}
    for name in ("stop_finished", "stop_stopping", "stop_answer"):
        facts[name] = int(facts[name])
    facts["alias_tasks"] = None  # nobody repoints an alias
    if row["events"] == "no":
        facts["event_detail"] = None
    if row["api-version"] != "2023-03-30":
        facts["arn"] = None
    return facts


def test_the_rows_have_every_pair_and_the_switches_are_those_of_the_file() -> None:
    assert set().union(*map(pairs_of, ROWS)) == all_pairs(WITH_VERSION)
    assert {name.replace("-", "_") for name in SWITCHES} == set(Facts.model_fields)
    assert len(ROWS) <= 16


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_a_probe_finds_all_that_shows_and_its_twin_is_probed_to_the_same_file(
    row: Row, tmp_path: Path
) -> None:
    """The twin is an emulator that behaves as the file says."""
    switches = [word for name in SWITCHES for word in (f"--{name}", row[name])]
    with emulated(*switches) as emulator:
        found = probed(emulator, tmp_path, "--api-version", row["api-version"])
    assert found.facts == visible(row)
    assert (found.ran.code, len(found.ran.errors)) == (0, 1)
    file = tmp_path / "like.json"
    file.write_text(json.dumps(found.file), "utf-8")
    with emulated("--like", str(file)) as twin:
        again = probed(twin, tmp_path, "--api-version", row["api-version"])
    assert again == found
