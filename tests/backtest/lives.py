"""Histories with good defaults, and a replay that spares itself nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from fc_reaper.backtest import History, as_of, sift
from fc_reaper.backtest.replay import SweepOptions, replay, rung_by_timer
from fc_reaper.backtest.result import Replay
from fc_reaper.evaluator.evaluate import compile_policies, evaluate
from fc_reaper.evaluator.select import Allowance, Selection, select
from fc_reaper.evaluator.verdict import Evaluation, Kind, Verdict
from fc_reaper.models import FINISHED, STOPPED, STOPPING, Function, Millis, Task, TaskEvent
from fc_reaper.policy import Policy, PolicyFile, load_policy
from tests.builders import TRANSCODE, ms

MIDNIGHT: Millis = 1_794_960_000_000
"""A multiple of every interval that the tests use."""

MINUTE: Millis = 60_000
DAY: Millis = 86_400_000


def at(text: str) -> Millis:
    """The moment so long after midnight."""
    return MIDNIGHT + ms(text)


def lived(invocation_id: str, *events: tuple[str, str], **fields: Any) -> Task:
    """A task whose life is *events*, such as `("Running", "3h")`: what happened, how long after midnight."""
    dated = tuple(TaskEvent(at(when), number, name) for number, (name, when) in enumerate(events, 1))
    identity = {"function": TRANSCODE, "invocation_id": invocation_id, "request_id": f"r-{invocation_id}"}
    return Task(**{**identity, "status": events[-1][0], "events": dated, **fields})


def history(*tasks: Task, taken: str | None = None) -> History:
    """A history of *tasks*, all of which must be fit for a replay."""
    sifted = sift(tasks)
    assert len(sifted.tasks) == len(tasks), (sifted.contradicting, sifted.undated)
    return History(tuple(sifted.tasks), None if taken is None else at(taken))


def policies(*entries: str, exempt: str = "") -> PolicyFile:
    """A file of *entries*, each the flow keys of one policy without name, targets and braces."""
    lines = ["version: 1", *([f"exempt: {exempt}"] if exempt else []), "policies:"]
    for number, entry in enumerate(entries):
        name = "" if "name:" in entry else f"name: p{number}, "
        targets = "" if "targets:" in entry else "targets: ['media/*@*'], "
        reason = "" if "report:" in entry else ", stop: it takes too long"
        lines.append(f"  - {{{name}{targets}{entry}{reason}}}")
    return load_policy("\n".join(lines), source="policy.yaml")


def replayed(past: History, *entries: str, interval: str = "5m", exempt: str = "", **terms: Any) -> Replay:
    """The replay of *past* under *entries*."""
    return replay(past, policies(*entries, exempt=exempt), SweepOptions(ms(interval), **terms))


class Naive(NamedTuple):
    """What a replay comes to that asks everybody at every tick."""

    stops: list[tuple[str, Millis, str, Verdict]]
    reports: set[tuple[str, str, Millis]]
    halted: dict[str, int]
    due: dict[str, int]
    held_back: dict[str, dict[str, int]]


def naive(past: History, file: PolicyFile, terms: SweepOptions, last: Millis) -> Naive:
    """Run *file* at every tick up to *last* as a sweep would: list all, `claim`, `choose`, stop."""
    run = _Run(past, file, terms)
    tick = -(-past.begin // terms.interval) * terms.interval
    while tick <= last:
        run.once(tick)
        tick += terms.interval
    held_back = {name: {why: len(ids) for why, ids in held.items()} for name, held in run.held_back.items()}
    due = {name: len(ids) for name, ids in run.due.items()}
    return Naive(run.stops, {(*key, at) for key, at in run.reports.items()}, run.halted, due, held_back)


class _Run:
    def __init__(self, past: History, file: PolicyFile, terms: SweepOptions) -> None:
        self.past, self.file, self.terms = past, file, terms
        self.awake = [policy for policy in file.policies if rung_by_timer(policy)]
        self.stops: list[tuple[str, Millis, str, Verdict]] = []
        self.stopped: dict[str, tuple[Millis, Function]] = {}
        self.reports: dict[tuple[str, str], Millis] = {}
        names = [policy.name for policy in self.awake if policy.stops]
        self.halted = dict.fromkeys(names, 0)
        self.due: dict[str, set[str]] = {name: set() for name in names}
        self.held_back: dict[str, dict[str, set[str]]] = {
            name: {"budget": set(), "halted": set(), "holdout": set()} for name in names
        }

    def once(self, now: Millis) -> None:
        settled: list[Evaluation] = []
        granted: list[tuple[Policy, int]] = []
        evaluations = list(self._evaluations(now))

        def allowance(policy: Policy, due: int) -> Allowance:
            allowed = self._allowed(policy, now, granted)
            granted.append((policy, min(due, allowed)))
            return Allowance(allowed)

        selections = select(evaluations, self.awake, room=1000, allowance=allowance, settled=settled.append)
        alone = [one for one in evaluations if not one.verdict.members]
        for found in (*alone, *settled):
            if found.verdict.kind is Kind.REPORTED:
                key = found.verdict.policy or "", found.task.invocation_id
                self.reports.setdefault(key, now)
        for selection in selections:
            self._note(selection)
            for one in selection.selected:
                self.stopped[one.task.invocation_id] = now, one.task.function
                self.stops.append((selection.policy.name, now, one.task.invocation_id, one.verdict))

    def _note(self, selection: Selection) -> None:
        name, held_back = selection.policy.name, self.held_back[selection.policy.name]
        selected, waiting, spared = (
            {one.task.invocation_id for one in some}
            for some in (selection.selected, selection.waiting, selection.held_out_tasks)
        )
        self.halted[name] += selection.halted is not None
        self.due[name] |= selected | waiting | spared
        held_back["budget" if selection.halted is None else "halted"] |= waiting
        held_back["holdout"] |= spared

    def _evaluations(self, now: Millis) -> Iterable[Evaluation]:
        for whole in self.past.tasks:
            task = as_of(whole, now)
            if task is None or task.status in FINISHED or whole.invocation_id in self.stopped:
                continue
            fitting = [one for one in self.awake if any(target.fits(task.function) for target in one.targets)]
            rules = compile_policies(
                task.function, fitting, self.file.exempt, started_time=self.terms.started_time
            )
            yield Evaluation(task, evaluate(task, rules, now))

    def _allowed(self, policy: Policy, now: Millis, granted: Sequence[tuple[Policy, int]]) -> int:
        if policy.per_day is None:
            return policy.per_run
        functions = self._functions(policy)
        count = sum(at > now - DAY and one in functions for at, one in self.stopped.values())
        for whole in self.past.tasks:
            task = as_of(whole, now)
            if task is None or task.function not in functions or task.invocation_id in self.stopped:
                continue
            count += task.status in (STOPPED, STOPPING) and task.events[-1].at > now - DAY
        count += sum(number for other, number in granted if self._functions(other) & functions)
        return max(0, min(policy.per_run, policy.per_day - count))

    def _functions(self, policy: Policy) -> set[Function]:
        all_of_them = {task.function for task in self.past.tasks}
        return {one for one in all_of_them if any(target.fits(one) for target in policy.targets)}


STEPS = {
    "Enqueued": ("Dequeued", "Running", "Expired", "Stopping", "Thinking"),
    "Dequeued": ("Running", "Invalid", "Expired", "Stopped"),
    "Running": ("Succeeded", "Failed", "Retrying", "Stopping"),
    "Retrying": ("Running", "Enqueued", "Failed", "Stopping"),
    "Stopping": ("Stopped", "Succeeded"),
    "Thinking": ("Running",),
}


@st.composite
def lives(draw: st.DrawFn, number: int = 0) -> Task:
    """Any life that a task can have, of up to nine events within some hours."""
    function = draw(st.sampled_from([TRANSCODE, Function("media", "resize", "LATEST")]))
    status, moment = "Enqueued", MIDNIGHT + draw(st.integers(0, 60)) * 30_000
    events = [TaskEvent(moment, 1, status)]
    for step in range(2, draw(st.integers(1, 9)) + 1):
        if status not in STEPS:
            break
        status = draw(st.sampled_from(STEPS[status]))
        moment += draw(st.sampled_from([0, 1, 30_000, MINUTE, 299_999, 5 * MINUTE, 17 * MINUTE, 60 * MINUTE]))
        events.append(TaskEvent(moment, step, status))
    name = draw(st.sampled_from(["job", "keep", "vip"]))
    raw = [{"eventId": one.id, "status": one.status, "timestamp": one.at} for one in events]
    started = draw(st.none() | st.integers(0, 40).map(lambda halves: events[0].at + halves * 30_000))
    record = {"status": status, "events": raw, "invocationPayload": draw(PAYLOADS), "startedTime": started}
    identity = (function, f"{name}-{number}", status, f"r-{number}")
    return Task(*identity, events=tuple(events), record=record, started_at=started)


PAYLOADS = st.sampled_from(
    [
        '{"order": 1, "run": "10m", "most": 400}',
        '{"order": 2, "most": 720.0005}',
        '{"order": 2, "run": "1h"}',
        "none",
    ]
)


@st.composite
def histories(draw: st.DrawFn, most: int = 14) -> History:
    """A history of up to *most* tasks of two functions."""
    count = draw(st.integers(1, most))
    return History(tuple(draw(lives(number)) for number in range(count)))
