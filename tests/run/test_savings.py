"""What stops save at most, from what GetFunction says, and what that call never changes."""

from __future__ import annotations

from typing import Any

import pytest

from fc_reaper.models import Exit
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import Reaped, reap
from tests.run.account import operations

POLICY = """
version: 1
policies:
  - name: long
    targets: [media/transcode@prod]
    match: {alive_for: 1h}
    stop: It takes too long.
"""
E1 = {"cpu": 2, "memorySize": 4096, "instanceType": "e1"}
GPU = {"cpu": 8, "memorySize": 32768, "instanceType": "fc.gpu.tesla.1", "gpuMemorySize": 16384}
NOTHING = {"vcpu_s": None, "gb_s": None, "gpu_gb_s": None}


def seed(resources: dict[str, Any], timeout: int = 7200, **task: str) -> dict[str, Any]:
    """One task of media/transcode@prod, an hour and a half into its attempt, unless *task* says otherwise."""
    place = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}
    times = {"status": "Running", "enqueued": "-2h", "started": "-90m"} | task
    return {
        "functions": [{**place, "timeout": timeout, "resources": resources}],
        "invocations": [{**place, "invocationId": "job-1", **times}],
    }


def run(cloud: Emulator, **options: Any) -> Reaped:
    """Enforce the policy."""
    return reap(cloud.endpoint, POLICY, enforce=True, **options)


def saved(account: dict[str, Any], faults: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """The field of the last line, which is in the counts of the policy as well."""
    with running_emulator("--stopping", "5ms", seed=account) as cloud:
        cloud.faults(list(faults))
        reaped = run(cloud)
        assert reaped.counts["due"] == reaped.counts["confirmed"]
        assert reaped.finished.exit is Exit.DONE
        assert operations(cloud)["GetFunction"] == 1
    fields: dict[str, Any] = reaped.finished.fields
    assert fields["saved"] == reaped.logged("run_finished")[0]["saved"]
    (policy,) = fields["policies"].values()
    assert policy["saved"] == fields["saved"]
    return dict(fields["saved"])


@pytest.mark.parametrize(
    ("account", "seconds", "vcpu", "gb", "gpu"),
    [
        (seed(E1), 1800, 2, 4, 0),
        (seed(GPU), 1800, 8, 32, 16),
        (seed(E1, timeout=600), 0, 2, 4, 0),
        (seed(E1, status="Enqueued", started="+2h"), 7200, 2, 4, 0),
        (seed(E1, status="Retrying"), 7200, 2, 4, 0),
    ],
    ids=["running", "with a GPU", "over its timeout", "waiting", "between two attempts"],
)
def test_a_stop_saves_the_rest_of_the_present_attempt(
    account: dict[str, Any], seconds: int, vcpu: float, gb: float, gpu: float
) -> None:
    """Until the timeout: an upper bound. Of a task that waits it is the whole of the coming attempt."""
    shown = saved(account)
    assert (shown.pop("tasks"), shown.pop("unknown")) == (1, 0)
    for name, amount in (("vcpu_s", vcpu), ("gb_s", gb), ("gpu_gb_s", gpu)):
        # A reading is taken for as early as it can be: a date of the cloud is cut to whole seconds.
        assert amount * max(0, seconds - 30) <= shown[name] <= amount * (seconds + (seconds == 1800))


@pytest.mark.parametrize(
    "resources",
    [{}, {"cpu": 2}, {**E1, "cpu": None}, {**E1, "memorySize": "4096"}, {**E1, "cpu": -1}, {**E1, "cpu": 1e9},
     {**E1, "instanceType": "fc.gpu.tesla.1"}, {"cpu": 2, "memorySize": 512}, {**E1, "timeout": 0}],
    ids=str,
)  # fmt: skip
def test_what_the_answer_does_not_say_is_unknown_and_never_zero(resources: dict[str, Any]) -> None:
    """Also where it says it in a way that cannot be."""
    assert saved(seed(resources)) == {"tasks": 1, "unknown": 1, **NOTHING}


@pytest.mark.parametrize(
    "fault",
    [{"status": 403, "code": "AccessDenied"}, {"status": 404, "code": "FunctionNotFound"}, {"status": 503},
     {"truncate": True},
     {"status": 200, "body": []}, {"date": "-1h", "status": 403, "code": "AccessDenied"}],
    ids=str,
)  # fmt: skip
def test_a_call_that_fails_leaves_it_unknown_and_changes_nothing_else(fault: dict[str, Any]) -> None:
    """Neither the exit code nor the outcome of a stop."""
    assert saved(seed(E1), ({"operation": "GetFunction", "times": 1, **fault},))["unknown"] == 1


def test_one_call_for_each_function_and_only_where_something_was_stopped() -> None:
    """In FC 3.0 a function without `gpuConfig` has no GPU; sums leave out the unknown and say how many."""
    account = seed(E1)
    account["functions"].append({"functionName": "resize", "timeout": 3600, "resources": {"cpu": 1}})
    account["functions"].append({"functionName": "pure", "timeout": 3600, "resources": E1})
    times = {"status": "Running", "enqueued": "-2h", "started": "-30m"}
    account["invocations"] += [
        {"functionName": "resize", "invocationId": "r-{n}", "count": 3, **times},
        {"functionName": "pure", "invocationId": "p-{n}", "count": 2, **times},
    ]
    with running_emulator("--stopping", "5ms", seed=account) as cloud:
        policy = POLICY.replace("prod]", "prod, resize, pure]")
        dry = reap(cloud.endpoint, policy)
        assert dry.finished.fields["saved"]["tasks"] == 0
        assert "GetFunction" not in operations(cloud)
        shown = reap(cloud.endpoint, policy, enforce=True).finished.fields["saved"]
        assert operations(cloud)["GetFunction"] == 3
        assert (shown["tasks"], shown["unknown"], shown["gpu_gb_s"]) == (6, 3, 0)
        assert 2 * (1770 + 2 * 1770) <= shown["vcpu_s"] <= 2 * (1801 + 2 * 1801)
        assert shown["gb_s"] == pytest.approx(2 * shown["vcpu_s"], abs=0.01)
        assert reap(cloud.endpoint, policy, enforce=True).finished.fields["saved"]["gb_s"] == 0
        assert operations(cloud)["GetFunction"] == 3


def test_no_time_is_waited_for_a_configuration_that_does_not_come() -> None:
    """The run ends within its margin, and nothing else is different."""
    with running_emulator("--stopping", "5ms", seed=seed(E1)) as cloud:
        cloud.faults([{"operation": "GetFunction", "times": 9, "delay": "30s"}])
        reaped = run(cloud, timeout=11)
        assert reaped.finished.fields["saved"] == {"tasks": 1, "unknown": 1, **NOTHING}
        assert (reaped.counts["confirmed"], reaped.finished.exit) == (1, Exit.DONE)
        assert not reaped.finished.fields["partial"]
