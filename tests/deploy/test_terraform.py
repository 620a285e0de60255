"""deploy/terraform: every argument is one that the provider takes, and the function is that of s.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import hcl2
import pytest
import yaml
from hcl2.utils import SerializationOptions
from scripts.package import OUT, RUNTIMES

from tests.monitoring.documents import ALERTS, alert_query
from tests.monitoring.history import INTERVAL
from tests.package.test_s_yaml import eventbridge_trigger, filled, source
from tests.project.files import ROOT
from tests.project.markdown import fences

FOLDER = ROOT / "deploy" / "terraform"
SCHEMA: dict[str, Any] = json.loads((ROOT / "tests/deploy/alicloud.json").read_text("utf-8"))["resources"]
DOCUMENT = (ROOT / "docs" / "terraform.md").read_text("utf-8")
PROPS = filled(source("s.yaml"))["resources"]["reaper"]["props"]
META = {"count", "depends_on", "for_each", "lifecycle", "dynamic"}
"""What Terraform itself takes in every resource."""


@cache
def parsed(name: str) -> dict[str, Any]:
    options = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)
    document: dict[str, Any] = hcl2.loads((FOLDER / name).read_text("utf-8"), serialization_options=options)
    return document


def files() -> list[str]:
    return sorted(
        str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.tf") if ".terraform" not in path.parts
    )


def blocks(name: str, kind: str) -> dict[str, dict[str, Any]]:
    """The blocks of a kind in one file, by their last label."""
    found = {}
    for block in parsed(name).get(kind, []):
        ((label, body),) = block.items()
        if kind == "resource":
            ((_, body),) = body.items()
        found[label] = body
    return found


def resources() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in files():
        for block in parsed(name).get("resource", []):
            ((kind, named),) = block.items()
            yield from ((kind, body) for body in named.values())


def values(name: str, *labels: str) -> dict[str, Any]:
    """The body of one resource."""
    (found,) = [
        block[labels[0]][labels[1]]
        for block in parsed(name)["resource"]
        if labels[0] in block and labels[1] in block[labels[0]]
    ]
    return dict(found)


def faults(body: dict[str, Any], takes: dict[str, Any], where: str) -> list[str]:
    """What the provider would refuse: arguments that it does not know, and those that it misses."""
    given = {key: value for key, value in body.items() if key not in META}
    for block in body.get("dynamic", []):
        ((label, dynamic),) = block.items()
        given[label] = dynamic["content"]
    known = {key.rstrip("!"): value for key, value in takes.items()}
    found = [f"{where}.{key} is unknown" for key in given.keys() - known.keys()]
    found += [
        f"{where}.{key[:-1]} is missing" for key in takes if key.endswith("!") and key[:-1] not in given
    ]
    for key in given.keys() & known.keys():
        nested = known[key][0] if isinstance(known[key], list) else known[key]
        if isinstance(nested, dict):
            if len(given[key]) > 1 and not isinstance(known[key], list):
                found.append(f"{where}.{key} stands twice")
            for inner in given[key]:
                found += faults(inner, nested, f"{where}.{key}")
        elif isinstance(given[key], list) and nested != "list":
            found.append(f"{where}.{key} is no block")
    return found


def test_the_provider_takes_every_argument_and_misses_none() -> None:
    found = {kind for kind, _ in resources()}
    assert not [
        fault for kind, body in resources() for fault in faults(body, SCHEMA[kind]["arguments"], kind)
    ]
    assert found == set(SCHEMA)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"runtime": "x"}, "f.handler is missing"),
        ({"runtime": "x", "handler": "y", "memorySize": 1}, "f.memorySize is unknown"),
        ({"runtime": "x", "handler": "y", "code": [{"zip": "z"}]}, "f.code.zip is unknown"),
        (
            {"runtime": "x", "handler": "y", "dynamic": [{"code": {"content": [{"zip": "z"}]}}]},
            "f.code.zip is unknown",
        ),
        ({"runtime": "x", "handler": "y", "code": [{}, {}]}, "f.code stands twice"),
        ({"runtime": "x", "handler": [{}]}, "f.handler is no block"),
    ],
)
def test_the_comparison_sees(body: dict[str, Any], fault: str) -> None:
    assert faults(body, SCHEMA["alicloud_fcv3_function"]["arguments"], "f") == [fault]


def test_what_is_read_of_another_resource_is_there() -> None:
    """`alicloud_ram_role.reaper.arn`: an argument, or what the provider sets."""
    read = {
        match.groups()
        for name in files()
        for match in re.finditer(r"\b(alicloud_\w+)\.\w+\.(\w+)", (FOLDER / name).read_text("utf-8"))
    }
    read |= {
        ("alicloud_ram_policy", key)
        for key in re.findall(r"each\.value\.(\w+)", source("deploy/terraform/main.tf"))
    }
    assert len(read) >= 8
    for kind, key in read:
        has = SCHEMA[kind]
        assert key in {*(name.rstrip("!") for name in has["arguments"]), *has["computed"]}, (kind, key)


def test_role_and_permissions_are_the_files_that_the_other_ways_use() -> None:
    """So the actions are the same. Only `enforce` attaches what allows to stop."""
    local = parsed("main.tf")["locals"][0]
    assert local["files"] == "${path.module}/.."
    assert local["modes"] == '${var.mode == "enforce" ? ["dry-run", "enforce"] : ["dry-run"]}'
    policies = '{for mode in local.modes : mode => file("${local.files}/policy-${mode}.json")}'
    assert local["policies"].startswith(f"${{merge({policies}, ")
    policy = values("main.tf", "alicloud_ram_policy", "reaper")
    assert (policy["for_each"], policy["policy_document"]) == ("${local.policies}", "${each.value}")
    role = values("main.tf", "alicloud_ram_role", "reaper")
    assert role["assume_role_policy_document"] == '${file("${local.files}/trust.json")}'
    assert {path.stem for path in (ROOT / "deploy").glob("policy-*.json")} == {
        "policy-dry-run",
        "policy-enforce",
    }


def test_destroy_is_not_refused_and_the_rights_may_change_often() -> None:
    """RAM deletes no role that has policies and no policy that has versions, and keeps five versions."""
    role, policy = (values("main.tf", f"alicloud_ram_{kind}", "reaper") for kind in ("role", "policy"))
    assert role["force"] is policy["force"] is True
    assert policy["rotate_strategy"] == "DeleteOldestNonDefaultVersionWhenLimitExceeded"
    function = values("region/main.tf", "alicloud_fcv3_function", "reaper")
    assert function["code"][0]["zip_file"] == '${sensitive(try(filebase64(var.common.package), ""))}'
    assert function["lifecycle"][0]["precondition"][0]["condition"] == "${fileexists(var.common.package)}"


def test_a_package_for_another_python_is_refused_by_what_make_package_leaves_beside_it() -> None:
    local = parsed("region/main.tf")["locals"][0]
    assert local["unpacked"] == '${fileset(trimsuffix(var.common.package, ".zip"), "**/*.cpython-*.so")}'
    variables = blocks("variables.tf", "variable")
    assert f"build/{OUT.name}.zip" in parsed("main.tf")["locals"][0]["package"]
    assert variables["runtime"]["default"] == f"python{RUNTIMES[0]}"


def test_the_role_gets_the_right_to_send_to_a_destination() -> None:
    """Those of docs/notifications.md."""
    sends = parsed("main.tf")["locals"][0]["sends"]
    assert sends == {"eventbridge": "eventbridge:PutEvents", "mns": "mns:SendMessage"}
    assert all(f"`{action}`" in source("docs/notifications.md") for action in sends.values())


def test_the_function_is_that_of_s_yaml() -> None:
    function = values("region/main.tf", "alicloud_fcv3_function", "reaper")
    for key, prop in {"disk_size": "diskSize", "handler": "handler",
                      "internet_access": "internetAccess"}.items():  # fmt: skip
        assert function[key] == PROPS[prop], key
    # The provider may not see a change of the code alone.
    assert function["description"].startswith(f"{PROPS['description']} (package ${{try(filesha256(")
    memory = blocks("variables.tf", "variable")["memory"]["default"]
    assert (memory, memory / 1024) == (PROPS["memorySize"], PROPS["cpu"])
    assert (function["memory_size"], function["cpu"]) == (
        "${var.common.memory}",
        "${var.common.memory / 1024}",
    )
    (log,) = function["log_config"]
    for key, prop in {"enable_request_metrics": "enableRequestMetrics", "log_begin_rule": "logBeginRule",
                      "enable_instance_metrics": "enableInstanceMetrics"}.items():  # fmt: skip
        assert log[key] == PROPS["logConfig"][prop], key
    assert set(re.findall(r"REAPER_\w+", function["environment_variables"])) == set(
        PROPS["environmentVariables"]
    )
    assert 'REAPER_LOG_LEVEL = "INFO"' in function["environment_variables"]
    # Mode and interval stand last, so that `settings` cannot change them.
    assert function["environment_variables"].endswith(
        "var.settings.settings, {REAPER_MODE = var.common.mode, REAPER_INTERVAL = var.settings.interval})}"
    )
    asynchronous = values("region/main.tf", "alicloud_fcv3_async_invoke_config", "reaper")
    for key, prop in {"max_async_retry_attempts": "maxAsyncRetryAttempts", "async_task": "asyncTask",
                      "max_async_event_age_in_seconds": "maxAsyncEventAgeInSeconds"}.items():  # fmt: skip
        assert asynchronous[key] == PROPS["asyncInvokeConfig"][prop], key
    concurrency = values("region/main.tf", "alicloud_fcv3_concurrency_config", "reaper")
    assert concurrency["reserved_concurrency"] == "${var.settings.shards}"
    assert PROPS["concurrencyConfig"] == {"reservedConcurrency": 1}
    assert "shards = optional(number, 1)" in blocks("variables.tf", "variable")["regions"]["type"]


def test_the_triggers_are_those_of_s_yaml() -> None:
    local = parsed("region/main.tf")["locals"][0]
    (timer,) = PROPS["triggers"]
    event = local["on_event"]
    event["eventRuleFilterPattern"] = event["eventRuleFilterPattern"].replace('\\"', '"')
    assert event == eventbridge_trigger()
    schedule = values("region/main.tf", "alicloud_fcv3_trigger", "schedule")
    assert (schedule["for_each"], schedule["trigger_name"]) == ("${local.timers}", "${each.key}")
    assert f'share == 1 ? "{timer["triggerName"]}" : "shard-${{share}}"' in local["timers"]
    assert (schedule["trigger_type"], schedule["description"]) == (timer["triggerType"], timer["description"])
    keys = set(re.findall(r"(\w+) =", schedule["trigger_config"]))
    assert keys == {*timer["triggerConfig"], "payload"}
    assert 'jsonencode({shard = "${share}/${var.settings.shards}"})' in local["timers"]


def test_the_defaults_are_those_of_s_yaml() -> None:
    variables, names = blocks("variables.tf", "variable"), yaml.safe_load(source("s.yaml"))["vars"]
    assert variables["mode"]["default"] == names["mode"] == "dry-run"
    assert variables["name"]["default"] == names["functionName"] == names["role"] == names["logstore"]
    assert (variables["timeout"]["default"], variables["runtime"]["default"]) == (
        PROPS["timeout"],
        PROPS["runtime"],
    )
    assert f'interval = optional(string, "{names["interval"]}")' in variables["regions"]["type"]
    assert {pair["key"]: pair["value"] for pair in PROPS["tags"]} == variables["tags"]["default"]
    assert f"--ttl={variables['retention']['default']}" in source("docs/deploy.md")


def test_the_alerts_are_the_files_with_the_interval_of_the_region() -> None:
    """Every field of the files is read, but for lists that are empty in all of them."""
    text = source("deploy/terraform/region/logs.tf")
    for name, alert in ALERTS.items():
        configuration = alert["configuration"]
        assert not configuration["joinConfigurations"] + configuration["tags"]
        (severity,) = configuration["severityConfigurations"]
        for part in (configuration, alert_query(alert), severity, severity["evalCondition"],
                     configuration["groupConfiguration"], alert["schedule"]):  # fmt: skip
            # Which action policy, dashboard and store is a matter of the region.
            ours = {"joinConfigurations", "tags", "dashboard", "region", "project", "store"}
            assert not [key for key in part.keys() - ours if f".{key}" not in text], name
    intervals = parsed("region/logs.tf")["locals"][0]["intervals"]
    assert all(start == f"-{count * INTERVAL}s" for start, count in intervals.items())
    scaled = {name for name, alert in ALERTS.items() if alert_query(alert)["start"] in intervals}
    assert scaled == {"missing-runs", "budget-spent", "halted", "stop-failed", "stuck"}
    # Both empty is "there is data", which the provider would leave out.
    assert all(alert["configuration"]["severityConfigurations"][0]["evalCondition"]["countCondition"] == ""
               for alert in ALERTS.values())  # fmt: skip
    assert '? "__count__ > 0" : severity' in text


def test_the_pauses_of_the_dashboard_are_intervals_of_the_region() -> None:
    old, new = re.findall(
        r'replace\(chart\.search\.query, "(.*?)", "(.*?)"\)', source("deploy/terraform/region/logs.tf")
    )[0]
    assert (old, new) == (f"pause_s > {3 * INTERVAL}", "pause_s > ${3 * local.interval_s}")
    assert source("docs/monitoring/dashboard.json").count(old) == 1


def test_the_guide_names_two_regions_as_the_example_does() -> None:
    """Where the second line of `terraform.tfvars.example` is no comment."""
    (guide,) = (fence.text for fence in fences(DOCUMENT, "hcl"))
    example = source("deploy/terraform/terraform.tfvars.example").replace("  # ", "  ")
    assert hcl2.loads(guide)["regions"] == hcl2.loads(example)["regions"]


def test_each_region_that_may_be_named_has_a_provider_and_a_module() -> None:
    (named,) = re.findall(r"contains\(\[(.*?)\], region\)", source("deploy/terraform/variables.tf"))
    regions = re.findall(r'"([\w-]+)"', named)
    aliases = {
        one["alicloud"]["region"]: one["alicloud"]["alias"]
        for one in parsed("regions.tf")["provider"]
        if "alias" in one["alicloud"]
    }
    assert sorted(aliases) == regions
    modules = blocks("regions.tf", "module")
    for region, alias in aliases.items():
        assert modules.pop(alias) == {
            "source": "./region",
            "for_each": f'${{{{for region, one in var.regions : region => one if region == "{region}"}}}}',
            "providers": {"alicloud": f"${{alicloud.{alias}}}"},
            "region": "${each.key}",
            "settings": "${each.value}",
            "common": "${local.common}",
            # No run begins before the role has its rights.
            "depends_on": ["${alicloud_ram_role_policy_attachment.reaper}"],
        }
        assert f"in module.{alias} :" in source("deploy/terraform/outputs.tf")
    assert not modules
    assert source("deploy/terraform/versions.tf") == source("deploy/terraform/region/versions.tf")


@pytest.mark.parametrize("name", ["variables.tf", "region/variables.tf"])
def test_every_variable_is_explained_and_refuses_what_cannot_be(name: str) -> None:
    for label, variable in blocks(name, "variable").items():
        if (name, label) != ("region/variables.tf", "settings"):
            assert variable["description"], label
        assert variable["validation"], label


def test_the_narrow_rights_of_the_document_are_for_what_is_made() -> None:
    (narrow,) = [fence.text for fence in fences(DOCUMENT) if fence.info == "json"]
    statements = json.loads(narrow)["Statement"]
    assert json.loads(narrow).keys() == {"Version", "Statement"}
    assert all(one == {**one, "Effect": "Allow"} and len(one) == 3 for one in statements)
    services = {kind.split("_")[1] for kind in SCHEMA}
    assert {one["Action"] for one in statements} == {"ram:*", "fc:*", "log:*"}
    assert services == {"ram", "fcv3", "log", "sls"}
    name = blocks("variables.tf", "variable")["name"]["default"]
    assert all(f"/{name}" in resource for one in statements for resource in one["Resource"])


def test_the_document_has_every_variable_and_output() -> None:
    """A row each, with the default; the variable `regions` has a row for each of its settings."""
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (`[^`]*`|none) \|", DOCUMENT, re.MULTILINE))
    variables = blocks("variables.tf", "variable")
    settings = re.findall(
        r"(\w+) = (?:optional\(\w+(?:\(\w+\))?(?:, ([^)]+))?\)|string)", variables["regions"]["type"]
    )
    expected = {
        f"regions.{key}": f"`{default}`".replace('"', "") if default else "none" for key, default in settings
    }
    for label, variable in variables.items():
        if label not in ("regions", "tags"):
            expected[label] = f"`{variable['default']}`"
    expected |= {"package": "`build/function.zip`", "tags": '`{application = "fc-reaper"}`'}
    assert rows == expected
    for output in blocks("outputs.tf", "output"):
        assert f"`{output}`" in DOCUMENT.split("## What it prints")[1]
