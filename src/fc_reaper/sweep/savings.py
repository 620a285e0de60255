"""What stops save: the resources of a function for the time that an attempt has left, as an upper bound.

docs/cost.md has the formula, and what is not in it. A GB has 1024 MB, of memory as of GPU memory:
https://help.aliyun.com/en/functioncompute/fc-2-0/product-overview/pay-as-you-go-billing-method
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from fc_reaper.clock import Deadline, Jobs, Pool
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.evaluator.evaluate import Evaluation
from fc_reaper.models import Function, Moment
from fc_reaper.rules.ages import Reading
from fc_reaper.sweep import SweepContext
from fc_reaper.sweep.report import Amounts

_PATIENCE = 5.0  # seconds that a run waits for configurations, once its stops are verified
_FIELDS = ("timeout", "cpu", "memorySize", "gpuMemorySize", "instanceType", "gpuConfig")
_WITHOUT_GPU = ("e1", "c1")  # the values of `instanceType` in FC 2.0 that are no GPU instance

Configurations = dict[Function, dict[str, Any]]  # those fields, as far as GetFunction has them


def amounts(function: Function, facts: Mapping[str, Any], seconds: float | None) -> Amounts | None:
    """What *function* takes in so many *seconds* by *facts*, any JSON; None where not all of it is known.

    https://www.alibabacloud.com/help/en/functioncompute/api-fc-open-2021-04-06-getfunction
    https://www.alibabacloud.com/help/en/functioncompute/api-fc-2023-03-30-struct-function
    """
    vcpu, mb = _number(facts.get("cpu")), _number(facts.get("memorySize"))
    # A function has a GPU by its `gpuConfig` in FC 3.0, by its `instanceType` in FC 2.0.
    config = facts.get("gpuConfig") if function.service is None else facts
    gpu = _number(config.get("gpuMemorySize")) if isinstance(config, dict) else None
    if config is None or (config is facts and gpu is None and facts.get("instanceType") in _WITHOUT_GPU):
        gpu = 0.0
    if not vcpu or not mb or gpu is None or seconds is None:
        return None
    return vcpu * seconds, mb / 1024 * seconds, gpu / 1024 * seconds


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 <= value < 1e9 else None


def read_configurations(
    cloud: AsyncTaskClient, pool: Pool, functions: Iterable[Function], until: Deadline
) -> Configurations:
    """Ask for each of *functions* once; what is not answered by *until*, or not by an object, is empty."""
    calls = {one: partial(cloud.get_configuration, one, deadline=until) for one in functions}
    jobs: Jobs[Function, Any] = deque(calls.items())
    answers = ((one, found if isinstance(found, dict) else {}) for one, found in pool.each(jobs, until))
    return {one: {name: found[name] for name in _FIELDS if name in found} for one, found in answers}


def report_savings(context: SweepContext, stops: Sequence[Evaluation]) -> None:
    """Tell the report what *stops* save, also by policy. What fails makes it unknown, and nothing else.

    It is the present attempt until its timeout, or all of one to come.
    """
    cloud, now, skew = context.cloud, context.clock.monotonic(), context.cloud.skew_ms
    functions = dict.fromkeys(one.task.function for one in stops)
    found = read_configurations(cloud, context.pool, functions, min(context.end, now + _PATIENCE))
    cloud.skew_ms = skew  # nothing depends on these answers
    for one in stops:
        facts = found[one.task.function]
        reading = Reading(one.task, Moment.exactly(one.at), context.settings.started_time, read=True)
        began, timeout = reading.bounds("running_for").latest or one.at, _number(facts.get("timeout"))
        left = max(0.0, timeout - max(0, one.at - began) / 1000) if timeout else None
        context.report.savings[one.verdict.policy or ""].append(amounts(one.task.function, facts, left))
