"""Every sample under `events/` is parsed as its README says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fc_reaper.events import Selector, parse_event
from tests.events.builders import EVERYTHING, a_selector, noted, requested

EVENTS = Path(__file__).parents[2] / "events"

LATEST = a_selector("transcode", service="media", qualifier="LATEST")
TRANSCODE = a_selector("transcode", service="media")
BY_NAME = a_selector("transcode")
JOB_7 = LATEST._replace(invocation_id="job-7")

PARSED: dict[str, tuple[list[tuple[str, Selector]], list[str]]] = {
    "actiontrail.json": ([], ["trigger_ignored"]),
    "alertmanager.json": ([("alert", TRANSCODE)], ["trigger_ignored"]),
    "arms.json": ([("alert", BY_NAME)], []),
    "cloudmonitor-callback-recovered.txt": ([], ["trigger_ignored"]),
    "cloudmonitor-callback.txt": ([("alert", TRANSCODE)], []),
    "cloudmonitor-message.json": ([("alert", BY_NAME)], []),
    "command-empty.txt": ([("command", EVERYTHING)], []),
    "command-everything.json": ([("command", EVERYTHING)], []),
    "command-dry-run.json": ([("command", BY_NAME)], []),
    "command-task.json": ([("task", JOB_7)], []),
    "command.json": ([("command", LATEST)], []),
    "eventbridge-batch.json": ([("command", BY_NAME), ("command", TRANSCODE)], []),
    "eventbridge-command.json": ([("command", LATEST)], []),
    "eventbridge-fc-event.json": ([("alert", TRANSCODE)], []),
    "eventbridge-http-source.json": ([("alert", TRANSCODE)], []),
    "eventbridge-oss.json": ([("alert", EVERYTHING)], ["trigger_unrecognised"]),
    "fc-destination.json": ([("alert", TRANSCODE)], []),
    "http-trigger-form.json": ([("alert", TRANSCODE)], []),
    "http-trigger.json": ([("command", BY_NAME)], []),
    "kafka-batch.json": ([("command", TRANSCODE)], []),
    "sls-alert-batch.json": ([("alert", BY_NAME)], ["trigger_ignored"]),
    "sls-alert.json": ([("alert", BY_NAME)], []),
    "smq-queue-batch.json": ([("command", BY_NAME), ("command", TRANSCODE)], []),
    "smq-topic-attributes.json": ([("command", BY_NAME)], []),
    "smq-topic-stream.json": ([("command", BY_NAME)], []),
    "smq-topic.json": ([("command", BY_NAME)], []),
    "timer-with-command.json": ([("timer", LATEST)], []),
    "timer-shard.json": ([("timer", a_selector(shard="1/8"))], []),
    "timer.json": ([("timer", EVERYTHING)], []),
}

DRY_RUNS = {"command-dry-run.json", "http-trigger.json"}
ANSWERED_IN_HTTP = {"http-trigger-form.json", "http-trigger.json"}

REFUSED = sorted(path.name for path in (EVENTS / "refused").iterdir())


@pytest.mark.parametrize("name", PARSED)
def test_a_sample_is_parsed(name: str) -> None:
    """Its requests, its notes, and whether it is a dry run."""
    trigger = parse_event((EVENTS / name).read_bytes())
    assert (requested(trigger), noted(trigger)) == PARSED[name]
    assert trigger.dry_run == (name in DRY_RUNS)
    assert trigger.http == (name in ANSWERED_IN_HTTP)
    assert not trigger.refused
    assert trigger.readings


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_sample_is_refused(name: str) -> None:
    """No request, and one note says why."""
    trigger = parse_event((EVENTS / "refused" / name).read_bytes())
    assert (trigger.refused, noted(trigger)) == (True, ["trigger_refused"])


def test_the_table_of_samples_is_the_folder() -> None:
    """Every sample is listed in the README."""
    rows = re.findall(r"^\| `([^`]+)` \|", (EVENTS / "README.md").read_text("utf-8"), re.MULTILINE)
    files = {path.name for path in EVENTS.rglob("*") if path.suffix in (".json", ".txt")}
    assert sorted(rows) == sorted(files)
    assert sorted(PARSED) == sorted(files - set(REFUSED))
