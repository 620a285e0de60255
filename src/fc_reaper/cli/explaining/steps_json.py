"""The steps of an explanation as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fc_reaper.evaluator.explain import Explanation, FieldRead, MatcherResult, Step
from fc_reaper.evaluator.verdict import Kind, Member, Verdict
from fc_reaper.models import Task
from fc_reaper.rules.matcher import RuleResult


def as_json(explained: Explanation, source: str) -> dict[str, Any]:
    """Everything as plain values; lengths of time are seconds, moments epoch milliseconds."""
    return {
        "source": source,
        "now_ms": explained.now,
        "record": _record_json(explained.task, explained.inconsistency),
        "exempt": [_asked_json(asked) for asked in explained.exempt],
        "policies": [_step_json(step, explained.counted(step)) for step in explained.steps],
        "verdict": _verdict_json(explained.verdict),
        "if_named": _verdict_json(explained.if_named),
        "held_out_by": explained.verdict.policy if _is_held_out(explained) else None,
        "due_in_s": _seconds(explained.due_in),
        "stuck": explained.stuck is not None and bool(explained.stuck.holds),
    }


def _is_held_out(explained: Explanation) -> bool:
    """Whether the task is due, and yet spared by its id."""
    verdict = explained.verdict
    return verdict.kind is Kind.DUE and explained.held_out_by(verdict.policy) is not None


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


def _step_json(step: Step, member: Member | None) -> dict[str, Any]:
    policy = step.policy
    return {
        "name": policy.name,
        "line": policy.line,
        "does": "stop" if policy.stops else "report",
        "triggers": list(policy.triggers) or ["all"],
        "target_fits": step.match is not None,
        "match": None if step.match is None else _asked_json(step.match),
        "unless": [_asked_json(asked) for asked in step.unless],
        "claims": None if step.result is None else step.result.holds,
        "keep": _keep_json(step, member),
        "held_out": step.held_out,
        "not_approved": step.unapproved,
    }


def _keep_json(step: Step, member: Member | None) -> dict[str, Any] | None:
    keep, place = step.policy.keep, step.membership
    if keep is None:
        return None
    unknown = isinstance(place, RuleResult) and place.holds is None
    return {
        "at_most": keep.at_most,
        "stop_first": keep.stop_first,
        "per": None if keep.per is None else str(keep.per),
        "reads": _reads_json(step.group_fields),
        "counts": None if unknown else member is not None,
        "may_be_chosen": member is not None and member.selectable,
        "age_s": _seconds(place.age) if isinstance(place, Member) else None,
        "why": place.why if isinstance(place, RuleResult) and place.why else None,
    }


def _reads_json(reads: Iterable[FieldRead]) -> list[dict[str, Any]]:
    return [{"field": path, "present": kind is not None, "kind": kind} for path, kind in reads]


def _asked_json(asked: MatcherResult) -> dict[str, Any]:
    return {
        "line": asked.line,
        "holds": asked.holds,
        "keys": [
            {
                "key": question.key,
                "wanted": question.wanted,
                "holds": question.result.holds,
                "age_s": _seconds(question.result.age),
                "limit_s": _seconds(question.result.limit),
                "why": question.result.why or None,
                "reads": _reads_json(question.fields),
            }
            for question in asked.keys
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
