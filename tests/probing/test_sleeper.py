"""The code of the sleeper: it sleeps as its payload says, fails if asked to, wakes when it is stopped."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest
import yaml

from fc_reaper.probing.client import SLEEPER
from fc_reaper.probing.observe import TASKS
from fc_reaper.probing.sleeper import index
from tests.package.test_s_yaml import Deployment, filled, source
from tests.project.files import ROOT

DEPLOYED = yaml.safe_load((ROOT / "deploy" / "s-probe.yaml").read_text("utf-8"))["resources"]["sleeper"][
    "props"
]
DOCUMENT = (ROOT / "docs" / "probe.md").read_text("utf-8")


@pytest.fixture(autouse=True)
def instance(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A new instance, which waits no real time; the seconds that it was to sleep."""
    slept: list[float] = []

    class Instant(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            slept.append(0.0 if self.is_set() else timeout or 0.0)
            return self.is_set()

    monkeypatch.setattr(index, "_stopped", Instant())
    return slept


@pytest.mark.parametrize(("asked", "seconds"), [(0, 0), (1.5, 1.5), (90, 90), (91, 90), (1e9, 90)])
def test_it_sleeps_as_its_payload_says_and_not_longer_than_ninety_seconds(
    instance: list[float], asked: float, seconds: float
) -> None:
    index.handler(json.dumps({"sleep_s": asked}).encode())
    assert instance == [seconds]


def test_it_fails_after_its_sleep_if_it_is_asked_to(instance: list[float]) -> None:
    with pytest.raises(RuntimeError, match="as its payload says"):
        index.handler(b'{"sleep_s": 2, "fail": true}', None)
    assert instance == [2]


def test_the_hook_ends_the_sleep(instance: list[float]) -> None:
    index.pre_stop(None)
    index.handler(b'{"sleep_s": 60}')
    assert instance == [0]


def test_what_is_deployed_is_that_code_under_that_name_in_task_mode() -> None:
    folder = (ROOT / "deploy" / DEPLOYED["code"]).resolve()
    assert folder == Path(index.__file__).resolve().parent
    assert DEPLOYED["functionName"] == SLEEPER
    hook = DEPLOYED["instanceLifecycleConfig"]["preStop"]["handler"]
    for entry in (DEPLOYED["handler"], hook):
        module, name = entry.split(".")
        assert callable(getattr(index, name))
        assert (folder / f"{module}.py").is_file()
    assert DEPLOYED["asyncInvokeConfig"]["asyncTask"] is True
    assert DEPLOYED["asyncInvokeConfig"]["maxAsyncRetryAttempts"] == 1
    assert "role" not in DEPLOYED


def test_its_file_is_as_sound_as_that_of_the_reaper() -> None:
    """The component is pinned, the variable is used, memory and processor are a pair that is sold."""
    (resource,) = filled((ROOT / "deploy" / "s-probe.yaml").read_text("utf-8"))["resources"].values()
    assert resource["component"] == Deployment("s.yaml").resource["component"]
    assert resource["props"]["region"] == "cn-hangzhou"
    memory, cpu = DEPLOYED["memorySize"], DEPLOYED["cpu"]
    assert (memory % 64, round(cpu * 100) % 5) == (0, 0)
    assert 1 <= memory / 1024 / cpu <= 4


def test_no_task_meets_the_timeout_or_the_age_limit_of_the_function() -> None:
    for _, payload, delay in TASKS.values():
        assert payload["sleep_s"] < DEPLOYED["timeout"]
        assert payload["sleep_s"] <= 90
        assert delay < DEPLOYED["asyncInvokeConfig"]["maxAsyncEventAgeInSeconds"]
    longest = max(delay + 2 * payload["sleep_s"] for _, payload, delay in TASKS.values())
    assert longest < 7 * 60, "the command says seven minutes"


def test_the_fragment_for_2_0_deploys_the_same() -> None:
    (fragment,) = (one for one in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL) if SLEEPER in one)
    whole, deployed = (yaml.safe_load(one) for one in (fragment, source("deploy/s-fc2.yaml")))
    assert deployed.keys() - whole.keys() == {"vars"}
    (service,), (other,) = (one["services"].values() for one in (whole, deployed))
    assert (whole["edition"], service["component"]) == (deployed["edition"], other["component"])
    props = service["props"]
    assert props.keys() < other["props"].keys()
    assert props["function"].keys() - {"instanceLifecycleConfig"} <= other["props"]["function"].keys()
    assert props["service"].keys() - {"internetAccess"} <= other["props"]["service"].keys()
    assert props["service"]["name"] == props["function"]["name"] == SLEEPER
    for key in ("runtime", "handler", "memorySize", "cpu", "diskSize", "timeout", "instanceLifecycleConfig"):
        assert props["function"][key] == DEPLOYED[key], key
    asynchronous = dict(DEPLOYED["asyncInvokeConfig"])
    asynchronous["statefulInvocation"] = asynchronous.pop("asyncTask")
    assert props["function"]["asyncConfiguration"] == asynchronous
    assert (ROOT / props["function"]["codeUri"]).is_dir()
