"""What stops save: the resources of a function for the time that an attempt has left, as an upper bound.

docs/cost.md has the formula, and what is not in it. A GB has 1024 MB, of memory as of GPU memory:
https://help.aliyun.com/en/functioncompute/fc-2-0/product-overview/pay-as-you-go-billing-method
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import isfinite
from typing import Any, NamedTuple

from fc_reaper.clock import Deadline, Jobs, Pool
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.evaluator.evaluate import Evaluation
from fc_reaper.models import Function, Moment
from fc_reaper.rules.ages import Reading, StartedTime
from fc_reaper.sweep import SweepContext
from fc_reaper.sweep.report import Amounts

_PATIENCE = 5.0  # seconds that a run waits for configurations, once its stops are verified
_FIELDS = ("timeout", "cpu", "memorySize", "gpuMemorySize", "instanceType", "gpuConfig")
_WITHOUT_GPU = ("e1", "c1")  # the values of `instanceType` in FC 2.0 that are no GPU instance


class Resources(NamedTuple):
    """A function's timeout in seconds, and vCPUs and GB by the second; None where not all of it is known.

    https://www.alibabacloud.com/help/en/functioncompute/api-fc-open-2021-04-06-getfunction
    https://www.alibabacloud.com/help/en/functioncompute/api-fc-2023-03-30-struct-function
    """

    timeout: float | None
    by_second: Amounts | None

    @classmethod
    def of(cls, function: Function, facts: Mapping[str, Any]) -> "Resources":
        """Read them from what GetFunction, or a history, says of *function*: any JSON."""
        timeout, vcpu, mb = (_number(facts.get(name)) or None for name in ("timeout", "cpu", "memorySize"))
        # A function has a GPU by its `gpuConfig` in FC 3.0, by its `instanceType` in FC 2.0.
        config = facts.get("gpuConfig") if function.service is None else facts
        gpu = _number(config.get("gpuMemorySize")) if isinstance(config, dict) else None
        if gpu is None and (
            config is None or (config is facts and facts.get("instanceType") in _WITHOUT_GPU)
        ):
            gpu = 0.0
        if vcpu is None or mb is None or gpu is None:
            return cls(timeout, None)
        return cls(timeout, (vcpu, mb / 1024, gpu / 1024))

    def times(self, seconds: float) -> Amounts | None:
        """What so many *seconds* take."""
        vcpu, gb, gpu = self.by_second or (None, 0, 0)
        return None if vcpu is None else (vcpu * seconds, gb * seconds, gpu * seconds)

    def saved_by(self, stop: Evaluation, started_time: StartedTime) -> Amounts | None:
        """What a stop saves at most: the present attempt until its timeout, or all of one to come."""
        reading = Reading(stop.task, Moment.exactly(stop.at), started_time, read=True)
        began = reading.bounds("running_for").latest
        ran = 0.0 if began is None else (stop.at - began) / 1000
        return None if self.timeout is None else self.times(max(0.0, self.timeout - max(0.0, ran)))


def _number(value: Any) -> float | None:
    fits = type(value) in (int, float) and 0 <= value < 1e9 and isfinite(value)
    return float(value) if fits else None


def read_configurations(
    cloud: AsyncTaskClient, pool: Pool, functions: Iterable[Function], until: Deadline
) -> dict[Function, dict[str, Any]]:
    """Ask for each of *functions* once; what is not answered by *until*, or not by an object, is empty."""
    calls = {one: partial(cloud.get_configuration, one, deadline=until) for one in functions}
    jobs: Jobs[Function, Any] = deque(calls.items())
    answers = ((one, found if isinstance(found, dict) else {}) for one, found in pool.each(jobs, until))
    return {one: {name: found[name] for name in _FIELDS if name in found} for one, found in answers}


def report_savings(context: SweepContext, stops: Sequence[Evaluation]) -> None:
    """Tell the report what *stops* save, also by policy. What fails makes it unknown, and nothing else."""
    cloud, now, skew = context.cloud, context.clock.monotonic(), context.cloud.skew_ms
    functions = dict.fromkeys(one.task.function for one in stops)
    found = read_configurations(cloud, context.pool, functions, min(context.end, now + _PATIENCE))
    cloud.skew_ms = skew  # nothing depends on these answers
    for one in stops:
        resources = Resources.of(one.task.function, found[one.task.function])
        amounts = resources.saved_by(one, context.settings.started_time)
        context.report.savings[one.verdict.policy or ""].append(amounts)
