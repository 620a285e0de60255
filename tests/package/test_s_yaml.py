"""The parts of the deployment fit each other: the s.yaml files, the package, the settings and the role."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fc_reaper.events import Selector, parse_event
from fc_reaper.rules.duration import parse_duration
from fc_reaper.settings import Context, read_settings
from fc_reaper.sweep.sweep import _FOR_SCANNING

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "s.yaml").read_text("utf-8")
FILES = ("s.yaml", "s-prod.yaml", "deploy/s-fc2.yaml")
FC3 = FILES[:2]
"""Those for Function Compute 3.0."""


def source(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def merged(base: Any, over: Any) -> Any:
    """What `extend` does: mappings are joined key by key, anything else is replaced."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}


def filled(text: str) -> dict[str, Any]:
    """The file with its variables put in, as `s preview` shows it."""
    raw = yaml.safe_load(text)
    if "extend" in raw:
        text = yaml.safe_dump(merged(yaml.safe_load(source(raw["extend"])), raw))
    variables = yaml.safe_load(text)["vars"]
    document: dict[str, Any] = yaml.safe_load(
        re.sub(r"\$\{vars\.(\w+)\}", lambda found: str(variables[found[1]]), text)
    )
    return document


class Deployment:
    """What one file deploys, by the same words whichever component it is for."""

    def __init__(self, name: str) -> None:
        document = filled(source(name))
        self.is_fc2 = "services" in document
        (self.resource,) = document["services" if self.is_fc2 else "resources"].values()
        props = self.resource["props"]
        self.function = props["function"] if self.is_fc2 else props
        self.code = self.function["codeUri" if self.is_fc2 else "code"]
        self.log = (props["service"] if self.is_fc2 else props)["logConfig"]
        self.role = (props["service"] if self.is_fc2 else props)["role"]
        self.asynchronous = self.function["asyncConfiguration" if self.is_fc2 else "asyncInvokeConfig"]
        self.triggers = props["triggers"]
        self.environment = self.function["environmentVariables"]

    @property
    def timer(self) -> dict[str, Any]:
        """The configuration of the first trigger."""
        config: dict[str, Any] = self.triggers[0]["config" if self.is_fc2 else "triggerConfig"]
        return config


@pytest.fixture(params=FILES)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    return Deployment(request.param)


@pytest.mark.parametrize("name", FC3)
def test_the_component_is_pinned(name: str) -> None:
    assert re.fullmatch(r"fc3@\d+\.\d+\.\d+", Deployment(name).resource["component"])


@pytest.mark.parametrize("name", [FILES[0], FILES[2]])
def test_every_variable_is_used_and_every_use_has_one(name: str) -> None:
    assert set(re.findall(r"\$\{vars\.(\w+)\}", source(name))) == set(yaml.safe_load(source(name))["vars"])


@pytest.mark.parametrize(("name", "mode"), [*zip(FILES, ("dry-run", "enforce", "dry-run"), strict=True)])
def test_it_is_a_dry_run_until_somebody_enforces(name: str, mode: str) -> None:
    assert Deployment(name).environment["REAPER_MODE"] == mode


def test_enforcement_changes_nothing_but_the_mode() -> None:
    """So that what is enforced is what the dry run showed."""
    dry_run, enforced = (filled(source(name)) for name in FC3)
    assert enforced.pop("extend") == "s.yaml"
    enforced["vars"]["mode"] = "dry-run"
    enforced["resources"]["reaper"]["props"]["environmentVariables"]["REAPER_MODE"] = "dry-run"
    assert enforced == dry_run


def test_it_packs_before_it_deploys_what_it_packed(deployment: Deployment) -> None:
    (step,) = deployment.resource["actions"]["pre-deploy"]
    assert step == {"run": "make package", "path": "./"}
    folder, name = Path(deployment.code).parts
    assert f'ROOT / "{folder}" / "{name}"' in source("scripts/package.py")


def test_the_runtime_is_one_that_the_package_is_made_for(deployment: Deployment) -> None:
    default = re.search(r"^PY +\?= (.*)$", source("Makefile"), re.MULTILINE)
    assert default is not None
    assert deployment.function["runtime"] == f"python{default[1]}"


def test_the_handler_is_a_module_at_the_root_and_a_function_in_it(deployment: Deployment) -> None:
    module, function = deployment.function["handler"].split(".")
    assert f'"{module}.py"' in source("scripts/package.py")
    assert f"def {function}(event: Any, context" in source("src/fc_reaper/handler.py")


def test_every_setting_is_one_that_is_read(deployment: Deployment) -> None:
    """What the platform takes are strings: true or 5 without quotes would be refused."""
    known = set(re.findall(r'"(REAPER_\w+)"', source("src/fc_reaper/settings.py")))
    assert set(deployment.environment) <= known
    assert all(isinstance(value, str) for value in deployment.environment.values())


def test_memory_and_processor_are_a_pair_that_the_platform_sells(deployment: Deployment) -> None:
    """https://www.alibabacloud.com/help/en/functioncompute/api-fc-2023-03-30-struct-createfunctioninput"""
    memory, cpu = deployment.function["memorySize"], deployment.function["cpu"]
    assert memory % 64 == 0
    assert round(cpu * 100) % 5 == 0
    assert 1 <= memory / 1024 / cpu <= 4
    assert deployment.function["diskSize"] in (512, 10240)


def test_the_timer_comes_first_and_its_schedule_parses(deployment: Deployment) -> None:
    trigger = deployment.triggers[0]
    assert trigger["type" if deployment.is_fc2 else "triggerType"] == "timer"
    assert deployment.timer["enable"] is True
    assert re.fullmatch(r"@every [1-9][0-9]*[smh]", deployment.timer["cronExpression"])


def test_a_sweep_is_over_before_the_next_begins(deployment: Deployment) -> None:
    every = deployment.timer["cronExpression"].removeprefix("@every ")
    assert deployment.function["timeout"] * 1000 < parse_duration(every)
    assert deployment.environment["REAPER_INTERVAL"] == every


def test_an_event_waits_no_longer_than_two_ticks_and_is_repeated_once(deployment: Deployment) -> None:
    every = parse_duration(deployment.environment["REAPER_INTERVAL"])
    assert deployment.asynchronous["maxAsyncEventAgeInSeconds"] * 1000 <= 2 * every
    assert deployment.asynchronous["maxAsyncRetryAttempts"] == 1


def test_the_reaper_is_no_task_itself(deployment: Deployment) -> None:
    assert deployment.asynchronous["statefulInvocation" if deployment.is_fc2 else "asyncTask"] is False


@pytest.mark.parametrize("name", FC3)
def test_one_sweep_runs_at_a_time(name: str) -> None:
    assert Deployment(name).function["concurrencyConfig"] == {"reservedConcurrency": 1}


def test_a_log_line_is_a_record(deployment: Deployment) -> None:
    """DefaultRegex begins a record at a line with a date and would glue JSON lines together."""
    assert deployment.log["logBeginRule"] == "None"
    assert deployment.log["project"]
    assert deployment.log["logstore"]


def test_the_role_is_spelt_as_the_component_will_spell_it(deployment: Deployment) -> None:
    """fc3 makes it lower case, and knows no `auto`; the older component takes a whole ARN."""
    assert deployment.role == deployment.role.lower() != "auto"
    assert deployment.is_fc2 == deployment.role.startswith("acs:ram::")


def test_the_older_fragment_differs_only_where_the_platform_does() -> None:
    new, old = Deployment("s.yaml"), Deployment("deploy/s-fc2.yaml")
    for key in ("handler", "runtime", "memorySize", "cpu", "diskSize", "timeout"):
        assert new.function[key] == old.function[key], key
    assert new.environment == old.environment
    assert new.log == old.log
    assert new.timer["cronExpression"] == old.timer["cronExpression"]


@pytest.mark.parametrize("name", FILES)
def test_every_file_that_it_names_is_there(name: str) -> None:
    named = re.findall(r"\b(?:deploy|docs|events|policy)[/\w-]*\.(?:md|json|yaml)\b", source(name))
    assert not [path for path in named if not (ROOT / path).is_file()]


def eventbridge_trigger() -> dict[str, Any]:
    """The trigger that is commented out, with the first # of each of its lines removed, as it says."""
    head, block = TEXT.split("        # - triggerName: on-event")
    uncommented = (
        head + "        - triggerName: on-event" + re.sub(r"^        # ", " " * 8, block, flags=re.MULTILINE)
    )
    triggers = filled(uncommented)["resources"]["reaper"]["props"]["triggers"]
    assert [trigger["triggerType"] for trigger in triggers] == ["timer", "eventbridge"]
    config: dict[str, Any] = triggers[1]["triggerConfig"]
    return config


@pytest.mark.parametrize("name", FC3)
def test_the_destinations_can_be_uncommented(name: str) -> None:
    """The first # of each line removed, they are part of the asynchronous configuration, in both files."""
    head, block, rest = re.split(r"(?m)^(?=        # destinationConfig:)|^(?=      tags:)", TEXT)
    uncommented = yaml.safe_load(head + re.sub(r"^        # ", " " * 8, block, flags=re.MULTILINE) + rest)
    document = filled(yaml.safe_dump(merged(uncommented, yaml.safe_load(source(name)))))
    asynchronous = document["resources"]["reaper"]["props"]["asyncInvokeConfig"]
    found = {key: value["destination"] for key, value in asynchronous.pop("destinationConfig").items()}
    assert {key: re.sub(r"\$\{config\('AccountID'\)\}", "1234", one) for key, one in found.items()} == {
        "onSuccess": "acs:eventbridge:cn-hangzhou:1234:eventbus/fc-reaper",
        "onFailure": "acs:mns:cn-hangzhou:1234:/queues/fc-reaper-failed/messages",
    }
    assert asynchronous == Deployment(name).asynchronous


def test_the_eventbridge_trigger_can_be_uncommented() -> None:
    config = eventbridge_trigger()
    assert config["triggerEnable"] is True
    assert config["asyncInvocationType"] is True
    assert config["eventSinkConfig"]["deliveryOption"]["eventSchema"] == "CloudEvents"


def test_its_filter_passes_an_event_that_names_a_function() -> None:
    """The sample of such an event, with the type of the filter, narrows the sweep to that function."""
    pattern = json.loads(eventbridge_trigger()["eventRuleFilterPattern"])
    sample = json.loads(source("events/eventbridge-fc-event.json"))
    assert pattern["source"] == [sample["source"]]
    (sample["type"],) = pattern["type"]
    (ask,) = parse_event(json.dumps(sample).encode()).requests
    assert (ask.kind, ask.selector.function) == ("alert", sample["data"]["functionName"])


def actions(name: str) -> set[str]:
    policy = json.loads(source(f"deploy/{name}.json"))
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def test_the_role_may_call_every_operation_that_the_client_calls() -> None:
    calls = r'(?:stop|get|list|functions)="(\w+)"'
    operations = set(re.findall(calls, source("src/fc_reaper/cloud/api.py")))
    assert operations
    assert {f"fc:{operation}" for operation in operations} <= actions("policy-enforce")


def test_the_role_of_a_dry_run_can_do_the_same_except_stop() -> None:
    stops = {"fc:StopStatefulAsyncInvocation", "fc:StopAsyncTask"}
    assert actions("policy-dry-run") == actions("policy-enforce") - stops - {"fc:GetFunction"}


def test_function_compute_may_take_the_role() -> None:
    (statement,) = json.loads(source("deploy/trust.json"))["Statement"]
    assert statement["Principal"] == {"Service": ["fc.aliyuncs.com"]}


def test_the_eight_timers_of_the_guide_share_the_functions_out() -> None:
    """docs/scale.md: each share once, all at the same time, and nothing else differs from s.yaml."""
    (snippet,) = re.findall(r"```yaml\n(# s-eight\.yaml\n.*?)```", source("docs/scale.md"), re.DOTALL)
    shared, single = filled(snippet), filled(source("s.yaml"))
    props, plain = (one["resources"]["reaper"]["props"] for one in (shared, single))
    timers, (timer,) = props.pop("triggers"), plain.pop("triggers")
    names = [one["triggerName"] for one in timers]
    assert timer["triggerName"] in names  # else that timer would stay, and look at everything
    assert len(set(names)) == 8
    assert all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_-]*", name) for name in names)
    for number, one in enumerate(timers, 1):
        config = one["triggerConfig"]
        assert {**one, "triggerConfig": {**config, "payload": None}} == {
            "triggerName": names[number - 1],
            "triggerType": "timer",
            "triggerConfig": {**timer["triggerConfig"], "payload": None},
        }
        event = {"triggerTime": "t", "triggerName": names[number - 1], "payload": config["payload"]}
        (request,) = parse_event(json.dumps(event)).requests
        assert (request.kind, request.selector) == ("timer", Selector(shard=f"{number}/8"))
    assert props.pop("concurrencyConfig") == {"reservedConcurrency": 8}
    del plain["concurrencyConfig"], shared["extend"]
    assert shared == single


def test_the_reach_of_one_function_is_what_s_yaml_and_the_settings_come_to() -> None:
    """The table of docs/scale.md, at the default rate and at a hundred calls a second."""
    rows = dict(re.findall(r"^\| ([a-z][^|]*) \| ([^|]*) \|", source("docs/scale.md"), re.MULTILINE))
    settings = read_settings({}, Context())
    time = filled(TEXT)["resources"]["reaper"]["props"]["timeout"] - settings.margin // 1000
    rate, lists = settings.rate[0], round(time * _FOR_SCANNING)
    assert rows["calls in a run"] == f"{time} s × {rate} = {time * rate:,}"
    assert rows["of these for lists"] == f"{lists} s × {rate} = {lists * rate:,}"
    assert rows["functions watched by `running_for` (2 calls each)"] == f"{lists * rate // 2:,}"
    assert rows["functions watched by `alive_for` (4 calls each)"] == f"{lists * rate // 4:,}"
    assert rows["tasks listed of one function"] == f"{lists * rate * 100:,}"
    assert rows["tasks stopped in a second"] == f"{rate} ÷ 3 = {rate * 10 // 3 / 10}"
