"""docs/triggers.md: the triggers that it shows are ones that the platform takes; its commands are read."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from alibabacloud_fc20230330 import models

from fc_reaper.events import parse_event
from tests.package.test_s_yaml import eventbridge_trigger
from tests.project.files import ROOT
from tests.project.markdown import fences

TEXT = (ROOT / "docs" / "triggers.md").read_text("utf-8")
TRIGGERS = [one for fence in fences(TEXT, "yaml") for one in yaml.safe_load(fence.text)]
CONFIGS: dict[str, Any] = {
    "timer": models.TimerTriggerConfig,
    "mns_topic": models.MNSTopicTriggerConfig,
    "http": models.HTTPTriggerConfig,
}


@pytest.mark.parametrize("trigger", TRIGGERS, ids=[str(one.get("triggerName")) for one in TRIGGERS])
def test_a_trigger_has_keys_that_the_official_model_knows(trigger: dict[str, Any]) -> None:
    """The one of EventBridge is that of `s.yaml`."""
    kind, config = trigger["triggerType"], trigger["triggerConfig"]
    assert trigger.keys() - {"sourceArn"} == {"triggerName", "triggerType", "triggerConfig"}
    if kind == "eventbridge":
        assert config == eventbridge_trigger()
    else:
        assert CONFIGS[kind]().from_map(config).to_map() == config


def test_the_command_and_the_template_of_one_are_read() -> None:
    """Each key that is shown has an effect."""
    (command,) = (fence.text for fence in fences(TEXT, "json"))
    (around,) = (fence.text for fence in fences(TEXT, ""))
    said = dict(line.split(maxsplit=1) for line in around.splitlines())
    (name,), template = json.loads(said["variables"]), said["template"]
    for text, dry_run in ((command, True), (template.replace(f"${{{name}}}", "job-17"), False)):
        parsed = parse_event(text.encode())
        (request,) = parsed.requests
        selector = request.selector
        assert [selector.service, selector.function, selector.qualifier] == ["media", "transcode", "prod"]
        assert (request.kind, selector.invocation_id) == ("task", "job-17")
        assert parsed.dry_run == dry_run
