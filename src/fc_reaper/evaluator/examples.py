"""The examples of a policy: tasks that somebody thought of, judged as real ones are.

An example is judged by its own policy and `exempt` alone, as if what triggers the policy had just rung.
Of a `keep` policy it can only be said that a task may be chosen: it matches, counts, and is not spared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from fc_reaper.evaluator.compiled import CompiledPolicy, FunctionPolicies, compile_policies
from fc_reaper.evaluator.evaluate import claim, evaluate_policy
from fc_reaper.evaluator.verdict import Kind, Verdict
from fc_reaper.models import STOPPING, UNFINISHED, Function, Millis, Task, TaskEvent
from fc_reaper.policy import CLOCKS, Example, Policy, PolicyFile, format_duration
from fc_reaper.policy.duration import LONGEST
from fc_reaper.policy.findings import Findings
from fc_reaper.rules.matcher import Moment
from fc_reaper.rules.subject import Subject
from fc_reaper.rules.target import Target

NOW: Millis = 1_800_000_000_000
"""The moment of every example; no rule looks at the calendar."""

_FOREVER = LONGEST + 1000
"""How long ago everything was that no given age bounds: over every limit that can be written."""

_MOST_RETRIES_SHOWN = 100


def failing(file: PolicyFile) -> list[str]:
    """Judge every example of *file*; one finding for each that comes out otherwise than it says.

    A finding reads as the loader's do, `SOURCE:LINE: policies[0].examples[1]: what; what to write`.
    """
    findings = Findings()
    for policy in file.policies:
        for at, example in enumerate(policy.examples):
            fault = _fault(file, policy, example)
            if fault is not None:
                findings.add(example.line, f"policies[{policy.index}].examples[{at}]", fault)
    return findings.written(file.source)


def task_of(policy: Policy, example: Example) -> Task:
    """The task of *example* at `NOW`. What is not given fits the policy's first target and its match.

    The status is the first in which the given ages can be and `match` can hold; the ages are as long as the
    given ones allow: a task runs since it was enqueued, and what nothing bounds is over every limit.
    """
    function = _literal(example.target or policy.targets[0])
    status = example.status or _status(policy, example)
    ages = _ages(status, dict(example.ages))
    retries = example.retries or 0
    events = tuple(_events(status, ages, retries))
    invocation_id = example.id or _filled((*policy.match.ids, "example")[0])
    started = NOW - ages.get("running_for", ages["alive_for"])
    record = {
        **_names(function, invocation_id, example.payload),
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


def _names(function: Function, invocation_id: str, payload: str | None) -> dict[str, Any]:
    if function.service is None:
        arn = f"acs:fc:::functions/{function.name}/{function.qualifier}"
        return {"functionArn": arn, "taskId": invocation_id} | ({"taskPayload": payload} if payload else {})
    names = {"serviceName": function.service, "functionName": function.name, "invocationId": invocation_id}
    return names | ({"invocationPayload": payload} if payload else {})


def _literal(target: Target) -> Function:
    service = None if target.service is None else _filled(target.service)
    return Function(service, _filled(target.name), _filled(target.qualifier))


def _filled(glob: str) -> str:
    """A text that the pattern fits."""
    return glob.replace("*", "x").replace("?", "x")


def _status(policy: Policy, example: Example) -> str:
    clocks = [frozenset(CLOCKS[name]) for name, _ in example.ages]
    can_be = [status for status in UNFINISHED if all(status in clock for clock in clocks)]
    fits = [status for status in can_be if status in policy.match.condition_statuses]
    return (fits or can_be)[0]


def _ages(status: str, given: dict[str, Millis]) -> dict[str, Millis]:
    """Every clock that runs in *status*, and `alive_for` in any case."""
    present = next(name for name in CLOCKS if status in CLOCKS[name])
    alive = given.get("alive_for") or given.get(present) or _FOREVER
    return {"alive_for": alive, present: given.get(present) or alive}


def _events(status: str, ages: dict[str, Millis], retries: int) -> Iterator[TaskEvent]:
    """What happened to a task, in order; what nobody asks about happened at once."""
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


class _Outcome(NamedTuple):
    """What becomes of a task, why, and what would change it."""

    does: str
    why: str
    remedy: str


def _fault(file: PolicyFile, policy: Policy, example: Example) -> str | None:
    task = task_of(policy, example)
    outcome = _outcome(file, policy, task)
    if outcome.does == example.expect:
        return None
    given = f"given {task.status}, {_told(policy, example, task)}"
    return (
        f"expected {example.expect}, got {outcome.does}: {outcome.why} ({given}); "
        f"{outcome.remedy}, or write expect: {outcome.does}"
    )


def _outcome(file: PolicyFile, policy: Policy, task: Task) -> _Outcome:
    if not any(target.fits(task.function) for target in policy.targets):
        return _Outcome("keep", f"no target fits {task.function}", "add it to `targets`")
    rules = compile_policies(task.function, [policy], file.exempt)
    verdict = claim(task, rules, NOW)
    if any(member.choosable for member in verdict.members):
        why = "it matches and counts, so it may be one too many"
        return _Outcome("stop" if policy.stops else "report", why, "narrow `match`, or spare it by `unless`")
    if verdict.kind in (Kind.DUE, Kind.REPORTED):
        does = "stop" if verdict.kind is Kind.DUE else "report"
        return _Outcome(does, _exceeded(verdict), _to_keep(verdict))
    return _kept(verdict, rules, task)


def _kept(verdict: Verdict, rules: FunctionPolicies, task: Task) -> _Outcome:
    if verdict.kind is Kind.EXEMPT:
        return _Outcome("keep", f"the exemption on line {verdict.line} fits it", "narrow the exemption")
    if verdict.kind is Kind.UNKNOWN:
        return _Outcome("keep", f"unknown, {verdict.reason}", "give what is missing")
    return _silence(rules.every[0], task)


def _silence(clause: CompiledPolicy, task: Task) -> _Outcome:
    """Why the one policy does not claim the task."""
    opinion = evaluate_policy(clause, task, Moment(NOW, "unknown", True, Subject(task, NOW, "unknown")))
    rule, finding = opinion.finding.rule, opinion.finding
    if opinion.spared_by is not None:
        return _Outcome("keep", f"`unless` on line {opinion.spared_by.line} fits it", "narrow `unless`")
    if finding.age is not None and finding.limit is not None:
        left = finding.limit - finding.age
        spare = f"{format_duration(left)} is left" if left else "exactly at a limit is not over it"
        why = f"{rule} {format_duration(finding.age)} of {format_duration(finding.limit)}, {spare}"
        return _Outcome("keep", why, "lower the limit, give a longer time")
    if rule == "retries_over":
        allowed = clause.policy.match.retries_over
        why = f"{task.retries} retries are not more than retries_over {allowed}"
        return _Outcome("keep", why, "lower it, give more retries")
    why = "`where` answers false" if rule == "where" else f"`match` does not fit its {rule}"
    return _Outcome("keep", why, "widen `match`")


def _exceeded(verdict: Verdict) -> str:
    if verdict.age is None or verdict.limit is None:
        return f"it matches by {verdict.rule}"
    age, limit = format_duration(verdict.age), format_duration(verdict.limit)
    return f"{verdict.rule} {age} of {limit}, over by {format_duration(verdict.age - verdict.limit)}"


def _to_keep(verdict: Verdict) -> str:
    return "raise the limit, or spare it by `unless`" if verdict.limit else "narrow `match` or use `unless`"


def _told(policy: Policy, example: Example, task: Task) -> str:
    """The whole task in a few words, never its payload."""
    ages = _ages(task.status, dict(example.ages))
    told = [f"{name} {format_duration(age)}" for name, age in ages.items() if task.status in CLOCKS[name]]
    told += [f"id {task.invocation_id}", str(task.function), f"retries {task.retries}"]
    return ", ".join([*told, "no payload" if example.payload is None else "a payload"])
