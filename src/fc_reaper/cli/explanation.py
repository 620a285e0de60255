"""What `fc-reaper explain --json` prints, as one pydantic model. Durations are seconds, moments epoch ms."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasPath, BaseModel, BeforeValidator, ConfigDict, Field

from fc_reaper.evaluator.explain import Explanation, Step
from fc_reaper.evaluator.verdict import Kind, Member


def _path(*names: str) -> Any:
    """The value of a field under another name, or further inside; None where something on the way is."""
    return Field(None, validation_alias=AliasPath(*names))


Seconds = Annotated[float | None, BeforeValidator(lambda ms: None if ms is None else ms / 1000)]
Present = Annotated[bool, BeforeValidator(lambda value: value is not None)]
OrNone = Annotated[str | None, BeforeValidator(lambda text: None if text in (None, "") else str(text))]
Does = Annotated[Literal["stop", "report"], BeforeValidator(lambda stops: "stop" if stops else "report")]


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class FieldView(_View):
    field: str = _path("path")
    present: Present = _path("kind")
    kind: str | None


class KeyView(_View):
    key: str
    wanted: str
    holds: bool | None = _path("result", "holds")
    age_s: Seconds = _path("result", "age")
    limit_s: Seconds = _path("result", "limit")
    why: OrNone = _path("result", "why")
    reads: list[FieldView] = _path("fields")


class MatcherView(_View):
    line: int
    holds: bool | None
    keys: list[KeyView]


class KeepView(_View):
    at_most: int
    stop_first: str
    per: OrNone
    reads: list[FieldView] = []
    counts: bool | None = None
    may_be_chosen: bool = False
    age_s: float | None = None
    why: str | None = None


class PolicyView(_View):
    name: str = _path("policy", "name")
    line: int = _path("policy", "line")
    does: Does = _path("policy", "stops")
    triggers: list[str] = _path("policy", "triggers")
    target_fits: Present = _path("match")
    match: MatcherView | None
    unless: list[MatcherView]
    claims: bool | None = _path("result", "holds")
    keep: KeepView | None = _path("policy", "keep")
    held_out: bool | None
    not_approved: str | None = _path("unapproved")


class VerdictView(_View):
    kind: Kind
    policy: str | None
    rule: str | None
    reason: str
    line: int | None
    age_s: Seconds = _path("age")
    limit_s: Seconds = _path("limit")
    over_s: Seconds = _path("over")
    clock: str | None
    also: list[str]


class EventView(_View):
    at_ms: int = _path("at")
    status: str


class RecordView(_View):
    service: str | None = _path("task", "function", "service")
    name: str = _path("task", "function", "name")
    qualifier: str = _path("task", "function", "qualifier")
    invocation_id: str = _path("task", "invocation_id")
    status: str = _path("task", "status")
    retries: int | None = _path("task", "retries")
    started_time_ms: int | None = _path("task", "started_at")
    events: list[EventView] = _path("task", "events")
    inconsistency: str | None


class ExplanationView(_View):
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
