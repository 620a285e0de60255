"""Crowded worlds for laws: tasks of which most are over most limits, and policies that are about them.

A world in which nothing happens proves nothing, so limits are at most an hour and ages at least one, budgets
and halts are small, ids come again in other functions and under other qualifiers, and many tasks came at the
same moment. `tests/judge/test_world_laws.py` counts what happens in them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

from fc_reaper.judge.claim import claim
from fc_reaper.judge.rules import rules_for
from fc_reaper.judge.verdict import Claim, Kind, Verdict
from fc_reaper.model import ALIVE, STOPPING, Event, Function, Millis, Task
from fc_reaper.policy import PolicyFile, load_policy
from tests.builders import NOON

FUNCTIONS = [
    Function("media", name, qualifier) for name in ("transcode", "resize") for qualifier in ("prod", "2")
]
STATUSES = ["Running"] * 12 + ["Enqueued"] * 6 + ["Retrying", "Dequeued", STOPPING, "Succeeded"]
CROWD = st.sampled_from([14, 8, 10, 12, 16, 18, 20])
AGES = [*range(60, 301, 20), 5, 30]
"""Minutes; so few that many tasks have the same."""
RARELY = [False] * 19 + [True]

_Value = TypeVar("_Value")


_SALT = Random(7).randbytes(1000)
"""So that bytes which are all the same, as hypothesis likes them, make no world of which all tasks are so."""


class Dice:
    """Many small choices out of one large one, a byte each: much quicker than to draw them one by one."""

    def __init__(self, draw: st.DrawFn, choices: int) -> None:
        drawn = draw(st.binary(min_size=choices, max_size=choices))
        self._bytes = (one ^ salt for one, salt in zip(drawn, _SALT, strict=False))

    def of(self, values: Sequence[_Value]) -> _Value:
        """One of *values*, of which there are far less than 256."""
        return values[next(self._bytes) % len(values)]


PAYLOADS: list[dict[str, Any]] = [
    {"order": order, "n": n, **more}
    for more in ({}, {"max": "20m"}, {"max": "2h"}, {"max": 5})
    for order in "ab"
    for n in (1, 2)
]
PAYLOADS += [{"order": "a"}, {"n": 3}, {}]


def place(dice: Dice, taken: set[tuple[Function, str]]) -> tuple[Function, str]:
    """A function and an id in it that no other task has there; elsewhere it may."""
    function = dice.of(FUNCTIONS)
    name = f"{dice.of(['job', 'job', 'job', 'vip', 'keep'])}-{dice.of(range(5))}"
    while (function, name) in taken:
        name += "0"
    taken.add((function, name))
    return function, name


@st.composite
def tasks(draw: st.DrawFn) -> list[Task]:
    """Mostly ten to twenty tasks; few of them are young, doubtful, undated, finished or being stopped."""
    number = draw(CROWD)
    dice, taken = Dice(draw, 10 * number), set[tuple[Function, str]]()
    return [_task(dice, number, taken) for number in range(number)]


def _task(dice: Dice, number: int, taken: set[tuple[Function, str]]) -> Task:
    function, name = place(dice, taken)
    status, enqueued, entered = dice.of(STATUSES), dice.of(AGES), dice.of(AGES)
    events = [Event(NOON - enqueued * 60_000, 1, "Enqueued")]
    if status != "Enqueued":
        events.append(Event(NOON - min(entered, enqueued) * 60_000, 2, status))
    record: dict[str, Any] = {"status": status, "invocationPayload": json.dumps(dice.of(PAYLOADS))}
    return Task(
        function,
        name,
        status,
        request_id=f"r-{number}",
        retries=dice.of([0, 1, 2, 4]),
        events=() if dice.of(RARELY) else tuple(events),
        doubt="strange" if dice.of(RARELY) else None,
        record=record,
    )


MINUTES = st.integers(1, 60)
WHERE = st.sampled_from(
    ["payload.order == 'a'", "!(payload.order == 'a')", "payload.n > `1`", "payload.n != `2`",
     "payload.gone != 'x'", "ages.alive_for > `7200`", "status == 'Running'",
     "payload.order == 'a' || payload.n > `1`"]
)  # fmt: skip
PER = st.sampled_from(
    [None, "function", "qualifier", "payload.order", "payload.n", "[payload.order, payload.n]"]
)
CLOCKS = st.sampled_from(["alive_for"] * 4 + ["running_for"] * 3 + ["queued_for"])
TARGETS = st.sampled_from([["media/*@*"]] * 3 + [["media/transcode@*"], ["media/*@prod"]])
SOME = st.sampled_from([["vip-*", "keep-*", "job-0*"], "*-1*", "job-*"])
NARROWER = st.just(None) | st.just(None) | SOME
MAYBE = st.sampled_from([False, False, True])
SELDOM = st.sampled_from([False, False, False, True])
MERCY = st.sampled_from(
    ["vip-*", "keep-1*", "job-2*", {"running_for": "3h"}, {"where": "payload.n == `2`"}, {"retries_over": 3},
     {"target": "media/resize@prod"}, {"where": "payload.gone == 'x'", "id": "job-1*"}]
)  # fmt: skip


def limits(draw: st.DrawFn) -> Any:
    """A limit, now and then one that the task carries."""
    number = draw(MINUTES)
    if not draw(SELDOM):
        return f"{number}m"
    carried = {"from": "payload.max", "at_most": f"{number + 5}m"}
    return {**carried, "else": f"{number}m"} if draw(st.booleans()) else carried


@st.composite
def matches(draw: st.DrawFn, *, keep: bool, beside: bool) -> dict[str, Any]:
    """A match with a clock, or for a `keep` with statuses, and perhaps more; *beside* one it leaves some."""
    if keep and draw(st.booleans()):
        match: dict[str, Any] = {"status": list(draw(st.sampled_from([ALIVE, ("Running", "Enqueued")])))}
    else:
        match = {draw(CLOCKS): limits(draw)}
    if draw(SELDOM) and draw(SELDOM):
        match["where"] = draw(WHERE)
    narrower = draw(SOME if beside else NARROWER)
    return match if narrower is None else {**match, "id": narrower}


@st.composite
def policies(draw: st.DrawFn, name: str, *, keep: bool, beside: bool) -> dict[str, Any]:
    """One policy over some of the functions, of those with `keep` or perhaps *beside* one."""
    does = draw(st.sampled_from(["stop"] * 7 + ["report"]))
    policy: dict[str, Any] = {
        "name": name,
        "targets": draw(TARGETS),
        "match": draw(matches(keep=keep, beside=beside)),
        does: "because",
        "budget": draw(st.sampled_from(["1/run", "2/run", "3/run", "9/run", "9/run, 3/day", "2/day"])),
    }
    if keep:
        counted = {
            "at_most": draw(st.sampled_from([1, 1, 2, 3])),
            "stop_first": draw(st.sampled_from(["newest", "oldest"])),
        }
        per = draw(PER)
        policy["keep"] = counted if per is None else {**counted, "per": per}
    if draw(MAYBE):
        policy["unless"] = draw(st.lists(MERCY, min_size=1, max_size=2))
    if draw(MAYBE if keep else SELDOM):
        policy["holdout"] = draw(st.sampled_from(["20%", "50%"]))
    if draw(MAYBE if keep else SELDOM):
        policy["halt_over"] = draw(st.sampled_from([2, 1, 3]))
    return policy


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """A policy file as plain data; in half of them something is kept, by the first policy or the last."""
    keeps = draw(st.sampled_from([[False], [True], [False, False], [True, False], [False, True],
                                  [True, True], [False, False, False], [False, True, True]]))  # fmt: skip
    named = zip(("first", "second", "third"), keeps, strict=False)
    tree: dict[str, Any] = {
        "version": 1,
        "policies": [draw(policies(name, keep=keep, beside=any(keeps) and not keep)) for name, keep in named],
    }
    if draw(MAYBE):
        tree["exempt"] = draw(st.lists(MERCY, min_size=1, max_size=2))
    return tree


def loaded(tree: dict[str, Any]) -> PolicyFile:
    """The file that *tree* stands for."""
    return load_policy(json.dumps(tree), source="policy.yaml")


def judged(task: Task, file: PolicyFile, now: Millis = NOON) -> Verdict:
    """The verdict of one task, usually at noon, by every policy whose targets fit."""
    fitting = [one for one in file.policies if any(target.fits(task.function) for target in one.targets)]
    return claim(task, rules_for(task.function, fitting, file.exempt), now)


def claims(some: list[Task], file: PolicyFile) -> list[Claim]:
    """All tasks with their verdicts."""
    return [Claim(task, judged(task, file)) for task in some]


def may_be_stopped(verdict: Verdict, file: PolicyFile) -> bool:
    """Whether a task is due, or is so by `keep` if there are too many."""
    stops = {policy.name for policy in file.policies if policy.stops}
    return verdict.kind is Kind.DUE or any(one.choosable and one.policy in stops for one in verdict.members)
