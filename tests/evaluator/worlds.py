"""Dense worlds for laws: tasks of which most are over most limits, and policies that are about them.

A world in which nothing happens proves nothing, so limits are at most an hour and ages at least one, budgets
and halts are small, ids come again in other functions and under other qualifiers, and many tasks came at the
same moment. `tests/evaluator/test_world_laws.py` counts what happens in them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import cycle
from random import Random
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st

from fc_reaper.evaluator.evaluate import Evaluation, compile_policies, evaluate
from fc_reaper.models import ALIVE, STOPPING, Function, Millis, Moment, Task, TaskEvent, iso
from fc_reaper.policy import PolicyFile, load_policy
from fc_reaper.rules.result import Kind, Verdict
from tests.builders import NOON

FUNCTIONS = [
    Function("media", name, qualifier) for name in ("transcode", "resize") for qualifier in ("prod", "2")
]
STATUSES = ["Running"] * 12 + ["Enqueued"] * 6 + ["Retrying", "Dequeued", STOPPING, "Succeeded"]
SIZES = [14, 8, 10, 12, 16, 18, 20]
AGES = [*range(60, 301, 20), 60, 30, 30, 5]
"""Minutes; so few that many tasks have the same, and some are exactly at a limit."""
RARELY = [False] * 19 + [True]

_Value = TypeVar("_Value")


_CHOICES = 600
"""More than a world needs."""
_SALT = Random(7).randbytes(_CHOICES - 1)
"""So that bytes which are all the same, as hypothesis likes them, make no world of which all tasks are so."""


class Dice:
    """Many small choices out of one large one, a byte each: much quicker than to draw them one by one.

    And no two worlds have a part in common, as hypothesis likes it, too.
    """

    def __init__(self, draw: st.DrawFn, worlds: int = 1) -> None:
        choices = worlds * _CHOICES
        drawn = draw(st.binary(min_size=choices, max_size=choices))
        self._bytes = (one ^ salt for one, salt in zip(drawn, cycle(_SALT), strict=False))

    def of(self, values: Sequence[_Value]) -> _Value:
        """One of *values*, of which there are far less than 256."""
        return values[next(self._bytes) % len(values)]


PAYLOADS: list[dict[str, Any]] = [
    {"order": order, "n": n, **more}
    for more in ({}, {"max": "20m"}, {"max": "2h"}, {"max": 5})
    for order in "ab"
    for n in (1, 2)
]
PAYLOADS += [
    {"order": "a"},
    {"n": 3},
    {},
    {"order": " ", "n": 1},
    {"order": [], "n": 1},
    {"order": "a", "n": ""},
]
PAYLOADS += [{"order": "b", "max": maximum} for maximum in ("forever", "soon", "0.5 hours", "-1h")]


def place(dice: Dice, taken: set[tuple[Function, str]]) -> tuple[Function, str]:
    """A function and an id in it that no other task has there; elsewhere it may."""
    function = dice.of(FUNCTIONS)
    name = f"{dice.of(['job', 'job', 'job', 'vip', 'keep'])}-{dice.of(range(3))}"
    while (function, name) in taken:
        name += "0"
    taken.add((function, name))
    return function, name


def some_tasks(dice: Dice, statuses: Sequence[str] = STATUSES, flawed: Sequence[bool] = RARELY) -> list[Task]:
    """Eight to twenty tasks; few are young, torn, undated, inconsistent, finished or being stopped."""
    taken = set[tuple[Function, str]]()
    return [_task(dice, number, taken, statuses, flawed) for number in range(dice.of(SIZES))]


def _task(
    dice: Dice, number: int, taken: set[tuple[Function, str]], statuses: Sequence[str], flawed: Sequence[bool]
) -> Task:
    function, name = place(dice, taken)
    status, enqueued, entered, retries = (
        dice.of(statuses),
        dice.of(AGES),
        dice.of(AGES),
        dice.of([0, 1, 3, 4]),
    )
    events = _events(status, enqueued, min(entered, enqueued), retries)
    if dice.of(flawed):
        events = events[dice.of([1, 2]) :]
    return Task(
        function,
        name,
        status,
        request_id=f"r-{number}",
        retries=dice.of([retries + 1, retries + 1, None]) if dice.of(flawed) else retries,
        started_at=NOON - enqueued * 60_000,
        events=() if dice.of(flawed) else tuple(events),
        undated=("Dequeued",) if dice.of(flawed) else (),
        inconsistency="strange" if dice.of(flawed) else None,
        record={"status": status, "invocationPayload": json.dumps(dice.of(PAYLOADS))},
    )


def _events(status: str, enqueued: int, entered: int, retries: int) -> list[TaskEvent]:
    """A whole record, by minutes before noon; it shows every restart, and each new wait."""
    earlier = retries - (status == "Retrying")
    steps = [("Enqueued", enqueued), *[("Running", enqueued), ("Retrying", enqueued)] * earlier]
    if status in ("Enqueued", "Dequeued") and retries:
        steps.append(("Enqueued", entered))
    if status == "Retrying":
        steps.append(("Running", enqueued))
    if status != "Enqueued":
        steps.append((status, entered))
    return [TaskEvent(NOON - age * 60_000, number, name) for number, (name, age) in enumerate(steps, 1)]


MINUTES = [60, 30, 5] * 20 + list(range(1, 61))
WHERE = [
    "payload.order == 'a'", "!(payload.order == 'a')", "payload.n > `1`", "payload.n != `2`",
    "payload.gone != 'x'", "ages.alive_for > `7200`", "status == 'Running'",
    "payload.order == 'a' || payload.n > `1`", "payload.order == 'a' && payload.n > `1`",
]  # fmt: skip
PER = [None, "function", "qualifier", "payload.order", "payload.n", "[payload.order, payload.n]"]
CLOCKS = ["alive_for"] * 4 + ["running_for"] * 3 + ["queued_for"]
TARGETS = [["media/*@*"]] * 3 + [["media/transcode@*"], ["media/*@prod"]]
TARGETS_BESIDE = [["media/*@prod"], ["media/*@*"], ["media/*@2"]]
SOME: list[Any] = [["vip-*", "keep-*", "job-0*"], "*-1*", "job-*"]
EXEMPTIONS: list[Any] = [
    "vip-*", "keep-1*", "job-2*", {"running_for": "3h"}, {"where": "payload.n == `2`"}, {"retries_over": 3},
    {"target": "media/resize@prod"}, {"target": "media/res*", "id": "*-1*"},
    {"alive_for": "4h", "where": "payload.n == `2`"},
    {"where": "payload.gone == 'x'", "id": "job-1*"},
    {"id": "*-1*", "until": iso(NOON)[:19] + "Z", "because": "at noon it still holds"},
    {"where": "payload.n == `2`", "until": iso(NOON - 1000)[:19] + "Z"},
    {"target": "media/*", "until": iso(NOON - 86_400_000)[:19] + "+00:00", "because": "ended a day ago"},
]  # fmt: skip
BUDGETS = ["1/run", "2/run", "3/run", "9/run", "9/run, 2/day", "1/day"]
KEEPS = [[False], [True], [False, False], [True, False], [False, True], [True, True], [False, False, False],
         [False, True, True]]  # fmt: skip
"""Which of the policies of a file keep so many: in half of the files one does, the first or the last."""


def _limit(dice: Dice) -> Any:
    """A limit, now and then one that the task carries."""
    number = dice.of(MINUTES)
    if dice.of(range(4)):
        return f"{number}m"
    carried = {"from": "payload.max", "at_most": f"{number + 5}m"}
    return {**carried, "else": f"{number}m"} if dice.of([True, False]) else carried


def _match(dice: Dice, *, keep: bool, beside: bool) -> dict[str, Any]:
    """A match with a clock, or for a `keep` with statuses, and perhaps more; *beside* one it leaves some."""
    if keep and dice.of([True, False]):
        match: dict[str, Any] = {
            "status": list(dice.of([ALIVE, ("Running", "Enqueued"), ("Running", STOPPING)]))
        }
    else:
        match = {dice.of(CLOCKS): _limit(dice)}
    if dice.of(range(8)) == 0:
        match["where"] = dice.of(WHERE)
    if beside or dice.of(range(4)) == 0:
        match["id"] = dice.of(SOME)
    return match


def _policy(dice: Dice, name: str, *, keep: bool, beside: bool) -> dict[str, Any]:
    """One policy over some of the functions, of those with `keep` or perhaps *beside* one."""
    policy: dict[str, Any] = {
        "name": name,
        "targets": dice.of(TARGETS_BESIDE if beside else TARGETS),
        "match": _match(dice, keep=keep, beside=beside),
        dice.of(["stop"] * 6 + ["report"]): "because",
        "budget": dice.of(BUDGETS),
    }
    if keep:
        per = dice.of(PER)
        counted = {"at_most": dice.of([1, 1, 1, 2, 3]), "stop_first": dice.of(["newest", "oldest"])}
        policy["keep"] = counted if per is None else {**counted, "per": per}
    if dice.of(range(5)) < 2:
        policy["unless"] = _exemptions(dice)
    if dice.of(range(4)) == 0:
        policy["holdout"] = dice.of(["20%", "50%"])
    if dice.of(range(7)) < 2:
        policy["halt_over"] = dice.of([2, 1, 3])
    return policy


def _exemptions(dice: Dice) -> list[Any]:
    return [dice.of(EXEMPTIONS) for _ in range(dice.of([1, 2]))]


def a_tree(dice: Dice) -> dict[str, Any]:
    """A policy file as plain data."""
    keeps = dice.of(KEEPS)
    named = zip(("first", "second", "third"), keeps, strict=False)
    policies = [_policy(dice, name, keep=keep, beside=any(keeps) and not keep) for name, keep in named]
    exempt = {"exempt": _exemptions(dice)} if dice.of([True, False]) else {}
    return {"version": 1, **exempt, "policies": policies}


class World(NamedTuple):
    """A policy file as plain data, and the tasks that there are at noon."""

    tree: dict[str, Any]
    some: list[Task]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A policy file and its tasks."""
    dice = Dice(draw)
    return World(a_tree(dice), some_tasks(dice))


def loaded(tree: dict[str, Any]) -> PolicyFile:
    """The file that *tree* stands for."""
    return load_policy(json.dumps(tree), source="policy.yaml")


def evaluated(task: Task, file: PolicyFile, now: Millis = NOON) -> Verdict:
    """The verdict of one task, usually at noon, by every policy whose targets fit."""
    fitting = [one for one in file.policies if any(target.fits(task.function) for target in one.targets)]
    return evaluate(task, compile_policies(task.function, fitting, file.exempt), Moment.exactly(now))


def evaluations(some: list[Task], file: PolicyFile) -> list[Evaluation]:
    """All tasks with their verdicts."""
    return [Evaluation(task, evaluated(task, file)) for task in some]


def may_be_stopped(verdict: Verdict, file: PolicyFile) -> bool:
    """Whether a task is due, or is so by `keep` if there are too many."""
    stops = {policy.name for policy in file.policies if policy.stops}
    return verdict.kind is Kind.DUE or any(one.selectable and one.policy in stops for one in verdict.members)
