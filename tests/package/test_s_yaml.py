"""The parts of the deployment fit each other: s.yaml, the package, the settings and the role."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fc_reaper.policy import parse_duration

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "s.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return loaded(TEXT)


@pytest.fixture
def props(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["resources"]["reaper"]["props"]
    return found


def loaded(text: str) -> dict[str, Any]:
    """The file with its variables put in, as `s preview` shows it."""
    variables = yaml.safe_load(text)["vars"]
    filled = re.sub(r"\$\{vars\.(\w+)\}", lambda found: str(variables[found[1]]), text)
    document: dict[str, Any] = yaml.safe_load(filled)
    return document


def source(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def test_the_component_is_pinned(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"fc3@\d+\.\d+\.\d+", document["resources"]["reaper"]["component"])


def test_every_variable_is_used_and_every_use_has_one(document: dict[str, Any]) -> None:
    assert set(re.findall(r"\$\{vars\.(\w+)\}", TEXT)) == set(document["vars"])


def test_it_rehearses_until_somebody_arms_it(props: dict[str, Any]) -> None:
    assert props["environmentVariables"]["REAPER_MODE"] == "rehearse"


def test_it_packs_before_it_deploys_what_it_packed(document: dict[str, Any], props: dict[str, Any]) -> None:
    (step,) = document["resources"]["reaper"]["actions"]["pre-deploy"]
    assert step["run"] == "make package"
    folder, name = Path(props["code"]).parts
    assert f'ROOT / "{folder}" / "{name}"' in source("scripts/package.py")


def test_the_runtime_is_one_that_the_package_is_made_for(props: dict[str, Any]) -> None:
    default = re.search(r"^PY +\?= (.*)$", source("Makefile"), re.MULTILINE)
    assert default is not None
    assert props["runtime"] == f"python{default[1]}"


def test_the_handler_is_a_module_at_the_root_and_a_function_in_it(props: dict[str, Any]) -> None:
    module, function = props["handler"].split(".")
    assert f'"{module}.py"' in source("scripts/package.py")
    assert f"def {function}(event: bytes, context" in source("src/fc_reaper/handler.py")


def test_every_setting_is_one_that_is_read(props: dict[str, Any]) -> None:
    known = set(re.findall(r'"(REAPER_\w+)"', source("src/fc_reaper/settings.py")))
    assert set(props["environmentVariables"]) <= known
    assert all(isinstance(value, str) for value in props["environmentVariables"].values())


def test_a_sweep_is_over_before_the_next_begins(props: dict[str, Any]) -> None:
    every = props["triggers"][0]["triggerConfig"]["cronExpression"].removeprefix("@every ")
    assert props["timeout"] * 1000 < parse_duration(every)
    assert props["environmentVariables"]["REAPER_INTERVAL"] == every


def test_a_log_line_is_a_record(props: dict[str, Any]) -> None:
    """DefaultRegex begins a record at a line with a date and would glue JSON lines together."""
    assert props["logConfig"]["logBeginRule"] == "None"


def test_the_timer_comes_first_and_the_waiting_eventbridge_trigger_last() -> None:
    """Taking the first # from each line of the block, as it says, gives a trigger that works."""
    head, block = TEXT.split("        # - triggerName: on-event")
    awake = (
        head + "        - triggerName: on-event" + re.sub(r"^        # ", " " * 8, block, flags=re.MULTILINE)
    )
    triggers = loaded(awake)["resources"]["reaper"]["props"]["triggers"]
    assert [trigger["triggerType"] for trigger in triggers] == ["timer", "eventbridge"]
    config = triggers[1]["triggerConfig"]
    assert config["triggerEnable"] is True
    assert isinstance(json.loads(config["eventRuleFilterPattern"]), dict)
    assert config["eventSinkConfig"]["deliveryOption"]["eventSchema"] == "CloudEvents"


def actions(name: str) -> set[str]:
    policy = json.loads(source(f"deploy/{name}.json"))
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def test_the_role_may_call_every_operation_that_the_client_calls() -> None:
    calls = r'(?:stop|get|list|functions)="(\w+)"'
    operations = set(re.findall(calls, source("src/fc_reaper/cloud/dialects.py")))
    assert operations
    assert {f"fc:{operation}" for operation in operations} <= actions("policy-enforce")


def test_the_role_of_a_rehearsal_can_do_the_same_except_stop() -> None:
    stops = {"fc:StopStatefulAsyncInvocation", "fc:StopAsyncTask"}
    assert actions("policy-rehearse") == actions("policy-enforce") - stops


def test_function_compute_may_take_the_role() -> None:
    (statement,) = json.loads(source("deploy/trust.json"))["Statement"]
    assert statement["Principal"] == {"Service": ["fc.aliyuncs.com"]}
