"""What `backtest --json` and `diff --json` print. Durations are seconds, moments ISO 8601."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, model_validator

from fc_reaper.backtest.history import OUTCOMES
from fc_reaper.cli.output import Does, Seconds, View, inner
from fc_reaper.clock import iso
from fc_reaper.rules.duration import spell_duration

Moment = Annotated[str | None, BeforeValidator(lambda at: None if at is None else iso(at))]
Number = Annotated[int, BeforeValidator(len)]
Outcomes = Annotated[dict[str, int], BeforeValidator(lambda counts: {one: counts[one] for one in OUTCOMES})]
Unknown = Annotated[
    dict[str, Any],
    BeforeValidator(lambda why: {"tasks": sum(why.values()), "why": dict(why.most_common())}),
]
Limit = Annotated[str | None, BeforeValidator(lambda limit: None if limit is None else spell_duration(limit))]
Texts = Annotated[list[str], BeforeValidator(lambda values: list(map(str, values)))]


class TaskView(View):
    service: str | None = inner("task", "function", "service")
    function: str = inner("task", "function", "name")
    qualifier: str = inner("task", "function", "qualifier")
    invocation_id: str = inner("task", "invocation_id")
    request_id: str | None = inner("task", "request_id")


class InconsistentView(TaskView):
    why: str


class BrokenLineView(View):
    line: int
    why: str


class RefusedView(View):
    what: str
    http_status: int | None = inner("error", "http_status")
    error_code: str = inner("error", "error_code")
    error: str = inner("error", "detail")


class HistoryView(View):
    source: str
    records: int = inner("sifted", "records")
    replayed: Number = inner("history", "tasks")
    begin: Moment
    end: Moment
    undated: int = inner("sifted", "undated")
    contradicting: list[InconsistentView] = inner("sifted", "inconsistent")
    repeated: int = inner("sifted", "repeated")
    retried_more_than_told: int = inner("sifted", "unseen_retries")
    broken_lines: list[BrokenLineView] = inner("broken")
    not_listed: list[RefusedView] = inner("refused")
    unmatched: Texts
    saved: str | None


class TriggersView(View):
    name: str
    triggers: list[str]


class RunsView(View):
    interval_s: Seconds = inner("interval")
    runs: int
    first_run: Moment = inner("first")
    last_run: Moment = inner("last")
    outside_targets: int = inner("outside")
    not_replayed: list[TriggersView]


class FoundView(TaskView):
    at: Moment
    outcome: str
    status: str = inner("task", "status")
    rule: str | None = inner("verdict", "rule")
    age_s: Seconds = inner("verdict", "age")
    limit_s: Seconds = inner("verdict", "limit")


class StoppedView(FoundView):
    due_since: Moment
    saved_s: Seconds = inner("saved")
    ran_s: Seconds = inner("lost")


class PolicyView(View):
    name: str = inner("policy", "name")
    line: int = inner("policy", "line")
    does: Does = inner("policy", "stops")
    tasks: Number = inner("found")
    first: Moment = inner("found", 0, "at")
    last: Moment = inner("found", -1, "at")
    outcomes: Outcomes
    false_stops: Annotated[int | None, BeforeValidator(len)]
    saved_s: Seconds = inner("saved")
    due: int | None
    held_back: dict[str, int]
    halted_runs: int
    unknown: Unknown = inner("unknown_why")
    found: list[StoppedView | FoundView]

    @model_validator(mode="after")
    def _of_a_report(self) -> PolicyView:
        if self.does == "report":
            self.false_stops = self.due = None
        return self


class SpreadView(View):
    clock: str
    tasks: int
    p50_s: Seconds = inner("p50")
    p95_s: Seconds = inner("p95")
    p99_s: Seconds = inner("p99")
    max_s: Seconds = inner("most")
    smallest_limit: Limit = inner("limit")
    smallest_limit_s: Seconds = inner("limit")
    unit_s: Seconds = inner("unit")


Measures = Annotated[
    dict[str, SpreadView], BeforeValidator(lambda spreads: {one.measure: one for one in spreads})
]


class SuggestionView(View):
    service: str | None = inner("function", "service")
    function: str = inner("function", "name")
    qualifier: str = inner("function", "qualifier")
    ended: dict[str, int]
    stopped: int
    alive: int
    unknown: int
    measures: Measures = inner("spreads")


class StopView(View):
    policy: str | None = inner("verdict", "policy")
    rule: str | None = inner("verdict", "rule")
    at: Moment
    saved_s: Seconds = inner("saved")


class ChangeView(TaskView):
    how: str
    outcome: str
    old: StopView | None
    new: StopView | None
