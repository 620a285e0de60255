"""The end of an explanation: the verdict, what decided, and when the task becomes due."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from fc_reaper.cli.output import BAD, GOOD, STRONG, percent, printable
from fc_reaper.evaluator.explain import Explanation, Step
from fc_reaper.evaluator.verdict import Kind, Verdict
from fc_reaper.models import ALIVE, UNFINISHED
from fc_reaper.policy import format_duration

_VERDICTS = {
    Kind.KEPT: ("kept", GOOD),
    Kind.EXEMPT: ("exempt", GOOD),
    Kind.UNKNOWN: ("unknown, so it is kept", BAD),
    Kind.REPORTED: ("reported, not stopped", STRONG),
    Kind.DUE: ("due", BAD),
}


def conclusion(explained: Explanation, source: str) -> Iterator[Text]:
    """What it all comes to, a line each."""
    verdict = explained.verdict
    word, style = _VERDICTS[verdict.kind]
    unless = ", unless it is one too many" if _choosable(explained) else ""
    undecided = verdict.kind is Kind.KEPT and verdict.policy is None and explained.task.status in UNFINISHED
    if undecided:
        why = "" if verdict.members else f": {verdict.reason}"
        yield Text.assemble((f"{word}{unless}", style), why)
    else:
        yield Text.assemble((f"{word}{unless}", style), _reasons(verdict, word))
    if verdict.line:
        yield Text(f"decided by {source}:{verdict.line}{_clock(explained)}")
    yield from (Text(line) for line in _outlook(explained, source))


def _reasons(verdict: Verdict, word: str) -> str:
    by = f", {verdict.policy}" if verdict.policy else ""
    # An unknown names the expression that decided, where that is the rule itself.
    named = verdict.rule is None or verdict.rule == verdict.kind.value
    rule = "" if named or verdict.reason.startswith(f"{verdict.rule}: ") else f", {verdict.rule}"
    age = f" {format_duration(verdict.age)}" if verdict.age is not None else ""
    limit = f" of {format_duration(verdict.limit)}" if verdict.limit is not None else ""
    over = f", {format_duration(verdict.over)} over" if verdict.over is not None and verdict.over > 0 else ""
    reason = "" if verdict.reason == word else f": {printable(verdict.reason)}"
    return f"{by}{rule}{age}{limit}{over}{reason}"


def _clock(explained: Explanation) -> str:
    clock = explained.verdict.clock
    return {"events": ", by its dated events", "started_time": ", by its startedTime"}.get(clock or "", "")


def _choosable(explained: Explanation) -> list[Step]:
    """The policies that stop the task if it is one too many for them."""
    counting = ((step, explained.counted(step)) for step in explained.steps)
    return [
        step
        for step, member in counting
        if member is not None and member.selectable and _stops(step) and not step.held_out
    ]


def _stops(step: Step) -> bool:
    return step.policy.stops and step.unapproved is None


def _outlook(explained: Explanation, source: str) -> Iterator[str]:
    verdict, task = explained.verdict, explained.task
    if verdict.also:
        yield f"claimed also by {', '.join(verdict.also)}"
    held = explained.held_out_by(verdict.policy) if verdict.kind is Kind.DUE else None
    if held is not None:
        yield f"not stopped all the same: {_spared(held, source)}, and no other step does"
        return
    winner = next((step.policy for step in explained.steps if step.policy.name == verdict.policy), None)
    if verdict.kind is Kind.DUE and winner is not None and winner.triggers:
        yield f"only a run woken by {' or '.join(winner.triggers)} stops it"
    yield from _if_named(explained, source)
    if explained.stuck is not None and explained.stuck.holds:
        yield "stuck: asked to stop, and still Stopping; every run reports it"
    yield from _as_one_of_many(explained, source)
    if explained.due_in is not None:
        late = explained.held_out_by(explained.due_by)
        then = "" if late is None else f"; not stopped then either: {_spared(late, source)}"
        yield f"due in {format_duration(explained.due_in)}, if it is {task.status} until then{then}"
    elif verdict.kind is not Kind.DUE and task.status in ALIVE and not _choosable(explained):
        yield "time alone will not make it due"


def _spared(step: Step, source: str) -> str:
    share = percent(step.policy.holdout or 0)
    return f"`holdout` of {step.policy.name} spares it ({source}:{step.policy.line}), as {share} of all ids"


def _if_named(explained: Explanation, source: str) -> Iterator[str]:
    named = explained.if_named
    if named.kind is not Kind.DUE or explained.verdict.kind is Kind.DUE:
        return
    held = explained.held_out_by(named.policy)
    if held is None:
        yield f"an event that names it would have it stopped: {named.policy}, {source}:{named.line}"
    else:
        yield f"an event that names it would find it due, but {_spared(held, source)}"


def _as_one_of_many(explained: Explanation, source: str) -> Iterator[str]:
    """What a population makes of the task."""
    for step in explained.steps:
        member = explained.counted(step)
        if member is None:
            continue
        counts, place = f"counts for {step.policy.name}", f"{source}:{step.policy.line}"
        if not member.selectable:
            yield f"{counts} ({place}), which never stops it: {_mercy(step, explained, source)}"
        elif step.held_out:
            yield f"{counts}, which never stops it: {_spared(step, source)}"
        else:
            then = "" if _stops(step) else "; it is then reported, not stopped"
            yield f"{counts} ({place}): whether it is one too many, the other tasks decide{then}"


def _mercy(step: Step, explained: Explanation, source: str) -> str:
    """Which mercy spares a task that only counts."""
    verdict = explained.verdict
    if verdict.kind is Kind.EXEMPT:
        return f"it is exempt ({source}:{verdict.line})" if verdict.line else "it is the reaper's own"
    spared_by = None if step.result is None else step.result.spared_by
    return "it is spared" if spared_by is None else f"`unless` spares it ({source}:{spared_by.line})"
