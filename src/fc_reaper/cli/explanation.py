"""What `fc-reaper explain --json` prints, as one pydantic model. Durations are seconds, moments epoch ms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from fc_reaper.cli.output import View, inner
from fc_reaper.evaluator.explain import Explanation, Step
from fc_reaper.evaluator.verdict import Kind, Member

Seconds = Annotated[float | None, BeforeValidator(lambda ms: None if ms is None else ms / 1000)]
Present = Annotated[bool, BeforeValidator(lambda value: value is not None)]
OrNone = Annotated[str | None, BeforeValidator(lambda text: None if text in (None, "") else str(text))]
Does = Annotated[Literal["stop", "report"], BeforeValidator(lambda stops: "stop" if stops else "report")]


class FieldView(View):
    field: str = inner("path")
    present: Present = inner("kind")
    kind: str | None


class KeyView(View):
    key: str
    wanted: str
    holds: bool | None = inner("result", "holds")
    age_s: Seconds = inner("result", "age")
    limit_s: Seconds = inner("result", "limit")
    why: OrNone = inner("result", "why")
    reads: list[FieldView] = inner("fields")


class MatcherView(View):
    line: int
    holds: bool | None
    keys: list[KeyView]


class KeepView(View):
    at_most: int
    stop_first: str
    per: OrNone
    reads: list[FieldView] = Field(default_factory=list)
    counts: bool | None = None
    may_be_chosen: bool = False
    age_s: float | None = None
    why: str | None = None


class PolicyView(View):
    name: str = inner("policy", "name")
    line: int = inner("policy", "line")
    does: Does = inner("policy", "stops")
    triggers: list[str] = inner("policy", "triggers")
    target_fits: Present = inner("match")
    match: MatcherView | None
    unless: list[MatcherView]
    claims: bool | None = inner("result", "holds")
    keep: KeepView | None = inner("policy", "keep")
    held_out: bool | None
    not_approved: str | None = inner("unapproved")


class VerdictView(View):
    kind: Kind
    policy: str | None
    rule: str | None
    reason: str
    line: int | None
    age_s: Seconds = inner("age")
    limit_s: Seconds = inner("limit")
    over_s: Seconds = inner("over")
    clock: str | None
    also: list[str]


class EventView(View):
    at_ms: int = inner("at")
    status: str


class RecordView(View):
    service: str | None = inner("task", "function", "service")
    name: str = inner("task", "function", "name")
    qualifier: str = inner("task", "function", "qualifier")
    invocation_id: str = inner("task", "invocation_id")
    status: str = inner("task", "status")
    retries: int | None = inner("task", "retries")
    started_time_ms: int | None = inner("task", "started_at")
    events: list[EventView] = inner("task", "events")
    inconsistency: str | None


class ExplanationView(View):
    source: str
    now_ms: int
    record: RecordView
    exempt: list[MatcherView]
    policies: list[PolicyView]
    verdict: VerdictView
    if_named: VerdictView
    held_out_by: str | None
    due_in_s: Seconds
    stuck: bool


def explanation_view(explained: Explanation, source: str) -> ExplanationView:
    """The steps of *explained* and its verdict; *source* is the policy file."""
    verdict = explained.verdict
    due = verdict.kind is Kind.DUE
    return ExplanationView(
        source=source,
        now_ms=explained.now,
        record=RecordView.model_validate(explained),
        exempt=list(map(MatcherView.model_validate, explained.exempt)),
        policies=[_policy_view(step, explained.counted(step)) for step in explained.steps],
        verdict=VerdictView.model_validate(verdict),
        if_named=VerdictView.model_validate(explained.if_named),
        held_out_by=verdict.policy if due and explained.held_out_by(verdict.policy) else None,
        due_in_s=explained.due_in,
        stuck=explained.stuck is not None and bool(explained.stuck.holds),
    )


def _policy_view(step: Step, member: Member | None) -> PolicyView:
    view, place = PolicyView.model_validate(step), step.membership
    view.triggers = view.triggers or ["all"]
    if view.keep is not None:
        view.keep.reads = list(map(FieldView.model_validate, step.group_fields))
        view.keep.counts, view.keep.may_be_chosen = (
            member is not None,
            member is not None and member.selectable,
        )
        if isinstance(place, Member):
            view.keep.age_s = place.age / 1000
        elif place is not None:
            view.keep.why = place.why or None
            view.keep.counts = None if place.holds is None else view.keep.counts
    return view
