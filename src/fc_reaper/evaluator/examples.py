"""The examples of a policy: tasks as its author imagines them, evaluated as real ones are.

An example is evaluated by its own policy and `exempt` alone, as if the policy had just been triggered. With
`keep` it shows only whether a task may be selected: it matches, counts, and is not spared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fc_reaper.errors import Issue
from fc_reaper.evaluator.evaluate import compile_policies, evaluate, evaluate_policy
from fc_reaper.models import STOPPING, UNFINISHED, Function, Millis, Moment, Task, TaskEvent
from fc_reaper.policy import Example, Policy, PolicyFile
from fc_reaper.rules.ages import CLOCKS, Reading
from fc_reaper.rules.duration import LONGEST
from fc_reaper.rules.result import Kind, RuleResult

NOW: Millis = 1_800_000_000_000
"""The moment of every example; no rule looks at the calendar."""

_NOW = Moment.exactly(NOW)

_FOREVER = LONGEST + 1000
"""An age that no given one bounds: over every limit that can be written."""

_MOST_RETRIES_SHOWN = 100


def failing(file: PolicyFile) -> list[Issue]:
    """Evaluate every example of *file*; an issue for each that does not meet its expectation."""
    issues: list[Issue] = []
    for policy in file.policies:
        for number, example in enumerate(policy.examples):
            task = task_of(policy, example)
            does, why = _outcome(file, policy, task)
            if does != example.expect:
                what = f"expected {example.expect}, got {does}: {why} (it is {task.status})"
                remedy = f"change the policy, or write expect: {does}"
                issues.append(file.issue(("policies", policy.index, "examples", number), f"{what}; {remedy}"))
    return issues


def task_of(policy: Policy, example: Example) -> Task:
    """The task of *example* at `NOW`. What is not given fits the policy's first target and its match.

    The status is the first in which the given clocks can run and `match` can hold. Ages that are not given
    are as long as the given ones allow; an age that none of them bounds is over every limit.
    """
    target = example.given.target or policy.targets[0]
    service = None if target.service is None else _filled(target.service)
    function = Function(service, _filled(target.name), _filled(target.qualifier))
    status = example.given.status or _status(policy, example)
    ages = _ages(status, example.given.ages)
    retries = example.given.retries or 0
    events = tuple(_events(status, ages, retries))
    invocation_id = example.given.id or _filled((*policy.match.ids, "example")[0])
    started = NOW - ages.get("running_for", ages["alive_for"])
    record = {
        **_names(function, invocation_id, example.given.payload),
        "qualifier": function.qualifier,
        "requestId": "example",
        "status": status,
        "startedTime": started,
        "alreadyRetriedTimes": retries,
        "events": [{"eventId": number, "status": name, "timestamp": at} for at, number, name in events],
    }
    return Task(
        function, invocation_id, status, "example", started, retries=retries, events=events, record=record
    )


def _filled(glob: str) -> str:
    """A text that the pattern fits."""
    return glob.replace("*", "x").replace("?", "x")


def _names(function: Function, invocation_id: str, payload: str | None) -> dict[str, Any]:
    if function.service is None:
        arn = f"acs:fc:::functions/{function.name}/{function.qualifier}"
        names = {"functionArn": arn, "taskId": invocation_id, "taskPayload": payload}
    else:
        names = {"serviceName": function.service, "functionName": function.name}
        names |= {"invocationId": invocation_id, "invocationPayload": payload}
    return {name: value for name, value in names.items() if value is not None}


def _status(policy: Policy, example: Example) -> str:
    clocks = [frozenset(CLOCKS[name]) for name in example.given.ages]
    can_be = [status for status in UNFINISHED if all(status in clock for clock in clocks)]
    fits = [status for status in can_be if status in policy.match.match_statuses]
    return (fits or can_be)[0]


def _ages(status: str, given: dict[str, Millis]) -> dict[str, Millis]:
    """Every clock that runs in *status*, and `alive_for` in any case."""
    present = next(name for name in CLOCKS if status in CLOCKS[name])
    alive = given.get("alive_for") or given.get(present) or _FOREVER
    return {"alive_for": alive, present: given.get(present) or alive}


def _events(status: str, ages: dict[str, Millis], retries: int) -> Iterator[TaskEvent]:
    """The events of a task, in order; those that no age dates happen at the same moment."""
    began = NOW - ages["alive_for"]
    latest = NOW - min(ages.values())
    names = [("Enqueued", began)]
    for _ in range(min(retries, _MOST_RETRIES_SHOWN)):
        names += [("Running", began), ("Retrying", began)]
    names += [(name, latest) for name in _LAST_STEPS[status]]
    for number, (name, at) in enumerate(names, 1):
        yield TaskEvent(at, number, name)


_LAST_STEPS = {
    "Enqueued": ("Enqueued",),
    "Dequeued": ("Enqueued", "Dequeued"),
    "Running": ("Dequeued", "Running"),
    "Retrying": ("Running", "Retrying"),
    STOPPING: ("Running", STOPPING),
}


def _outcome(file: PolicyFile, policy: Policy, task: Task) -> tuple[str, str]:
    """What happens to *task*, and why."""
    if not policy.watches(task.function):
        return "keep", f"no target fits {task.function}"
    compiled = compile_policies(task.function, [policy], file.exempt)
    verdict = evaluate(task, compiled, _NOW)
    does = policy.does
    if any(member.selectable for member in verdict.members):
        return does, "it matches and counts, so it may be one too many"
    if verdict.kind in (Kind.DUE, Kind.REPORTED):
        return does, _measured(verdict.by)
    if verdict.kind is Kind.EXEMPT:
        return "keep", f"the exemption on line {verdict.line} fits it"
    if verdict.kind is Kind.UNKNOWN:
        return "keep", f"unknown, {verdict.reason}"
    if verdict.by.rule == "unless":
        return "keep", f"`unless` on line {verdict.line} fits it"
    match, _ = evaluate_policy(compiled.every[0], Reading(task, _NOW, "unknown", read=True))
    return "keep", f"`match` does not hold, {_measured(match)}"


def _measured(result: RuleResult) -> str:
    return f"{result.rule} {result.measured}" if result.measured else f"by its {result.rule}"
