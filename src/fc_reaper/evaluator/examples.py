"""The examples of a policy, evaluated by it and `exempt` alone; with `keep`: may the task be selected."""

from collections.abc import Collection
from typing import Any

from fc_reaper.errors import Issue
from fc_reaper.evaluator.evaluate import CLAIMS, compile_policies, evaluate, evaluate_policy
from fc_reaper.models import STOPPING, UNFINISHED, Function, Millis, Moment, Task, TaskEvent
from fc_reaper.policy import Example, Policy, PolicyFile
from fc_reaper.rules.ages import CLOCKS, Reading
from fc_reaper.rules.duration import LONGEST
from fc_reaper.rules.result import FALSE, Kind

NOW: Millis = 1_530_000_000_000  # the moment of every example, in 2018: no exemption has ended
_NOW = Moment.exactly(NOW)

_FOREVER = LONGEST + 1000  # an age that no given one bounds: over every limit that can be written


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

    Ages that are not given are as long as the given ones allow; one that none of them bounds is over every
    limit. Events that no age dates happen at the same moment.
    """
    given, target = example.given, example.given.target or policy.targets[0]
    service = None if target.service is None else _filled(target.service)
    function = Function(service, _filled(target.name), _filled(target.qualifier))
    status = given.status or _status(policy, given.ages)
    present = next(name for name in CLOCKS if status in CLOCKS[name])
    alive = given.ages.get("alive_for") or given.ages.get(present) or _FOREVER
    began, latest = NOW - alive, NOW - (given.ages.get(present) or alive)
    retries, invocation_id = given.retries or 0, given.id or _filled((*policy.match.ids, "example")[0])
    restarts = ["Running", "Retrying"] * min(retries, 100)  # that are shown
    dated = [(began, name) for name in ("Enqueued", *restarts)]
    dated += [(latest, name) for name in _LAST_STEPS[status]]
    events = tuple(TaskEvent(at, number, name) for number, (at, name) in enumerate(dated, 1))
    started = latest if present == "running_for" else began
    shown = [{"eventId": number, "status": name, "timestamp": at} for at, number, name in events]
    record: dict[str, Any] = {"qualifier": function.qualifier, "requestId": "example", "status": status}
    record |= {"startedTime": started, "alreadyRetriedTimes": retries, "events": shown}
    if function.service is None:
        arn = f"acs:fc:::functions/{function.name}/{function.qualifier}"
        record |= {"functionArn": arn, "taskId": invocation_id, "taskPayload": given.payload}
    else:
        record |= {"serviceName": function.service, "functionName": function.name}
        record |= {"invocationId": invocation_id, "invocationPayload": given.payload}
    record = {name: value for name, value in record.items() if value is not None}
    task = Task(function, invocation_id, status, "example", started, retries=retries, events=events)
    return task._replace(record=record)


def _filled(glob: str) -> str:
    """A text that the pattern fits."""
    return glob.replace("*", "x").replace("?", "x")


def _status(policy: Policy, ages: Collection[str]) -> str:
    can_be = [one for one in UNFINISHED if all(one in CLOCKS[name] for name in ages)]
    fits = [one for one in can_be if one in policy.match.match_statuses]
    return (fits or can_be)[0]


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
    match, _ = evaluate_policy(compiled.every[0], Reading(task, _NOW, "unknown", read=True))
    said = f"by its {match.rule} {match.measured}".rstrip()
    if verdict.kind in CLAIMS or any(member.selectable for member in verdict.members):
        return policy.does, f"`match` holds {said}"
    if match.holds is FALSE and verdict.kind is Kind.KEPT:
        return "keep", f"`match` does not hold {said}"
    return "keep", verdict.reason if verdict.line is None else f"{verdict.reason}, line {verdict.line}"
