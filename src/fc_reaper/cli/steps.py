"""The steps of an explanation as people read them, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from fc_reaper.cli.screen import BAD, GOOD, SOFT, STRONG, counted, plain, screen, short, show, table
from fc_reaper.judge.explain import Asked, Explanation, Question, Step
from fc_reaper.judge.verdict import Kind, Verdict
from fc_reaper.model import FINISHED, STOPPING, Task
from fc_reaper.policy import format_duration

Row = tuple[str, str, Text]

_YES, _NO, _UNKNOWN = Text("yes", STRONG), Text("no", SOFT), Text("unknown", BAD)
_VERDICTS = {
    Kind.KEPT: ("kept", GOOD),
    Kind.EXEMPT: ("exempt", GOOD),
    Kind.UNKNOWN: ("unknown, so it is kept", BAD),
    Kind.REPORTED: ("reported, not stopped", STRONG),
    Kind.DUE: ("due", BAD),
}


def show_steps(explained: Explanation, source: str) -> None:
    """Print every step in its order, then the verdict, what decided, and when it would become due."""
    console = screen()
    task = explained.task
    rows = [*_record(explained), *_exempt(explained, source), *_policies(explained, source)]
    show(console, Text(f"{task.invocation_id} at {short(*task.function)}", STRONG), "")
    show(console, table(("step", "asked of the task", "answer"), rows), "")
    show(console, *_verdict(explained, source))


def _record(explained: Explanation) -> Iterator[Row]:
    task = explained.task
    retries = "retries unknown" if task.retries is None else counted(task.retries, "retry", "retries")
    yield "record", f"{plain(task.status) or 'no status'}, {retries}", Text("")
    for event in task.events:
        yield "", plain(event.status), Text(_ago(explained, event.at))
    if not task.events:
        started = "never" if task.started_at is None else _ago(explained, task.started_at)
        yield "", "no dated events; startedTime", Text(started)
    if explained.doubt is not None:
        yield "", plain(explained.doubt), _UNKNOWN


def _ago(explained: Explanation, at: int) -> str:
    since = explained.now - at
    return f"{format_duration(since)} ago" if since >= 0 else f"in {format_duration(-since)}"


def _exempt(explained: Explanation, source: str) -> Iterator[Row]:
    for asked in explained.exempt:
        yield from _asked("exempt", asked, explained, source)
    if not explained.exempt:
        yield "exempt", "nothing in the file concerns this function", _NO


def _policies(explained: Explanation, source: str) -> Iterator[Row]:
    if not explained.steps:
        yield "policies", "not asked: the steps above decide already", Text("")
    for step in explained.steps:
        yield from _policy(step, explained, source)


def _policy(step: Step, explained: Explanation, source: str) -> Iterator[Row]:
    policy = step.policy
    does = "stop" if policy.stops else "report"
    triggers = f", only by {' or '.join(policy.triggers)}" if policy.triggers else ""
    yield "policy", f"{policy.name} ({does}{triggers}), {source}:{policy.line}", Text("")
    if step.match is None or step.opinion is None:
        targets = ", ".join(short(*target) for target in policy.targets)
        yield "  targets", targets, _NO
        return
    yield from _asked("  match", step.match, explained, source)
    for asked in step.unless:
        yield from _asked("  unless", asked, explained, source)


def _asked(name: str, asked: Asked, explained: Explanation, source: str) -> Iterator[Row]:
    """One row a key; the first one says which matcher it is."""
    for number, question in enumerate(asked.questions):
        where = f"  {source}:{asked.line}" if number == 0 and not name.endswith("match") else ""
        yield (
            name if number == 0 else "",
            f"{_question(question)}{where}",
            _answer(question, explained.task.status),
        )


def _question(question: Question) -> str:
    return f"{question.key}: {question.wanted}"


def _answer(question: Question, status: str) -> Text:
    finding = question.finding
    if finding.holds is None:
        return Text.assemble(_UNKNOWN, f": {finding.why}")
    words = _YES if finding.holds else _NO
    if finding.age is not None and finding.over is not None:
        side = "over" if finding.holds else "left"
        measured = f": {format_duration(finding.age)}, {format_duration(abs(finding.over))} {side}"
        return Text.assemble(words, measured)
    if finding.rule == "status" and question.key != "status" and not finding.holds:
        return Text.assemble(words, f": it is {plain(status)}")
    return words


def _verdict(explained: Explanation, source: str) -> Iterator[Text]:
    verdict = explained.verdict
    word, style = _VERDICTS[verdict.kind]
    by = f", {verdict.policy}" if verdict.policy else ""
    rule = f", {verdict.rule}" if verdict.rule and verdict.rule != verdict.kind.value else ""
    age = f" {format_duration(verdict.age)}" if verdict.age is not None else ""
    limit = f" of {format_duration(verdict.limit)}" if verdict.limit is not None else ""
    over = f", {format_duration(verdict.over)} over" if verdict.over is not None and verdict.over > 0 else ""
    reason = "" if verdict.reason == word else f": {plain(verdict.reason)}"
    yield Text.assemble((word, style), f"{by}{rule}{age}{limit}{over}{reason}")
    if verdict.line:
        yield Text(f"decided by {source}:{verdict.line}{_clock(explained)}")
    yield from (Text(line) for line in _outlook(explained, source))


def _clock(explained: Explanation) -> str:
    clock = explained.verdict.clock
    return {"events": ", by its dated events", "started_time": ", by its startedTime"}.get(clock or "", "")


def _outlook(explained: Explanation, source: str) -> Iterator[str]:
    verdict, task = explained.verdict, explained.task
    if verdict.also:
        yield f"claimed also by {', '.join(verdict.also)}"
    winner = next((step.policy for step in explained.steps if step.policy.name == verdict.policy), None)
    if verdict.kind is Kind.DUE and winner is not None and winner.triggers:
        yield f"only a run woken by {' or '.join(winner.triggers)} stops it"
    named = explained.if_named
    if named.kind is Kind.DUE and verdict.kind is not Kind.DUE:
        yield f"an event that names it would have it stopped: {named.policy}, {source}:{named.line}"
    if explained.stuck is not None and explained.stuck.holds:
        yield "stuck: asked to stop, and still Stopping; every run reports it"
    if explained.due_in is not None:
        yield f"due in {format_duration(explained.due_in)}, if it is {task.status} until then"
    elif verdict.kind is not Kind.DUE and task.status not in (*FINISHED, STOPPING):
        yield "time alone will not make it due"


def as_json(explained: Explanation, source: str) -> dict[str, Any]:
    """Everything as plain values; lengths of time are seconds, moments epoch milliseconds."""
    return {
        "source": source,
        "now_ms": explained.now,
        "record": _record_json(explained.task, explained.doubt),
        "exempt": [_asked_json(asked) for asked in explained.exempt],
        "policies": [_step_json(step) for step in explained.steps],
        "verdict": _verdict_json(explained.verdict),
        "if_named": _verdict_json(explained.if_named),
        "due_in_s": _seconds(explained.due_in),
        "stuck": explained.stuck is not None and bool(explained.stuck.holds),
    }


def _record_json(task: Task, doubt: str | None) -> dict[str, Any]:
    return {
        **task.function._asdict(),
        "invocation_id": task.invocation_id,
        "status": task.status,
        "retries": task.retries,
        "started_time_ms": task.started_at,
        "events": [{"at_ms": event.at, "status": event.status} for event in task.events],
        "doubt": doubt,
    }


def _step_json(step: Step) -> dict[str, Any]:
    policy = step.policy
    return {
        "name": policy.name,
        "line": policy.line,
        "does": "stop" if policy.stops else "report",
        "triggers": list(policy.triggers) or ["all"],
        "target_fits": step.match is not None,
        "match": None if step.match is None else _asked_json(step.match),
        "unless": [_asked_json(asked) for asked in step.unless],
        "claims": None if step.opinion is None else step.opinion.holds,
    }


def _asked_json(asked: Asked) -> dict[str, Any]:
    return {
        "line": asked.line,
        "holds": asked.holds,
        "keys": [
            {
                "key": question.key,
                "wanted": question.wanted,
                "holds": question.finding.holds,
                "age_s": _seconds(question.finding.age),
                "limit_s": _seconds(question.finding.limit),
                "why": question.finding.why or None,
            }
            for question in asked.questions
        ],
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "kind": verdict.kind.value,
        "policy": verdict.policy,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "line": verdict.line,
        "age_s": _seconds(verdict.age),
        "limit_s": _seconds(verdict.limit),
        "over_s": _seconds(verdict.over),
        "clock": verdict.clock,
        "also": list(verdict.also),
    }


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
