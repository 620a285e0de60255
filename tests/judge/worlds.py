"""Small worlds for laws: tasks, and policies that mean something to them, in every key they may have."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from fc_reaper.judge.claim import claim, rules_for
from fc_reaper.judge.verdict import Claim, Kind, Verdict
from fc_reaper.model import ALIVE, STOPPING, Event, Function, Task
from fc_reaper.policy import PolicyFile, load_policy
from tests.builders import NOON

FUNCTIONS = [
    Function("media", name, qualifier) for name in ("transcode", "resize") for qualifier in ("prod", "2")
]
MINUTES = st.integers(1, 300)
DURATIONS = MINUTES.map(lambda minutes: f"{minutes}m")
WHERE = st.sampled_from(
    ["payload.order == 'a'", "!(payload.order == 'a')", "payload.n > `1`", "payload.n != `2`",
     "payload.gone != 'x'", "ages.alive_for > `7200`", "status == 'Running'",
     "payload.order == 'a' || payload.n > `1`"]
)  # fmt: skip
PER = st.sampled_from(["function", "qualifier", "payload.order", "payload.n", "[payload.order, payload.n]"])


ORDERS: dict[str, st.SearchStrategy[Any]] = {"order": st.sampled_from("ab"), "n": st.integers(1, 3)}
PAYLOADS = st.fixed_dictionaries({}, optional={**ORDERS, "max": DURATIONS | st.just(5)})


@st.composite
def tasks(draw: st.DrawFn) -> list[Task]:
    """Some tasks, most of them alive and dated, each with an id of its own in its function."""
    return [_task(draw, number) for number in range(draw(st.integers(0, 12)))]


def _task(draw: st.DrawFn, number: int) -> Task:
    status = draw(st.sampled_from([*ALIVE, "Running", "Running", STOPPING, "Succeeded"]))
    enqueued = draw(MINUTES)
    entered = draw(st.integers(0, enqueued))
    events = [Event(NOON - enqueued * 60_000, 1, "Enqueued")]
    if status != "Enqueued":
        events.append(Event(NOON - entered * 60_000, 2, status))
    payload = draw(
        st.fixed_dictionaries(
            {},
            optional={"order": st.sampled_from("ab"), "n": st.integers(1, 3), "max": DURATIONS | st.just(5)},
        )
    )
    record: dict[str, Any] = {"status": status, "invocationPayload": json.dumps(payload)}
    return Task(
        draw(st.sampled_from(FUNCTIONS)),
        f"{draw(st.sampled_from(['job', 'vip', 'keep']))}-{number}",
        status,
        request_id=f"r-{number}",
        retries=draw(st.integers(0, 5)),
        events=tuple(events) if draw(st.integers(0, 9)) else (),
        doubt=None if draw(st.integers(0, 9)) else "strange",
        record=record,
    )


def limits(draw: st.DrawFn, minutes: int | None = None) -> Any:
    """A limit, now and then one that the task carries."""
    number = draw(MINUTES) if minutes is None else minutes
    if draw(st.integers(0, 3)):
        return f"{number}m"
    carried = {"from": "payload.max", "at_most": f"{number + 5}m"}
    return {**carried, "else": f"{number}m"} if draw(st.booleans()) else carried


@st.composite
def matches(draw: st.DrawFn) -> dict[str, Any]:
    """A match with a clock, and perhaps more."""
    match: dict[str, Any] = {draw(st.sampled_from(["running_for", "alive_for", "queued_for"])): limits(draw)}
    if draw(st.integers(0, 3)) == 0:
        match["where"] = draw(WHERE)
    if draw(st.integers(0, 3)) == 0:
        match["id"] = draw(st.sampled_from(["*", "job-*", ["vip-*", "keep-*"]]))
    return match


MERCY = st.sampled_from(
    ["vip-*", "keep-1*", {"running_for": "3h"}, {"where": "payload.n == `2`"}, {"retries_over": 3},
     {"target": "media/resize@*"}, {"where": "payload.gone == 'x'", "id": "job-1*"}]
)  # fmt: skip


@st.composite
def policies(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """One policy over some of the functions."""
    does = draw(st.sampled_from(["stop", "stop", "stop", "report"]))
    policy: dict[str, Any] = {
        "name": name,
        "targets": draw(st.sampled_from([["media/*@*"], ["media/transcode@*"], ["media/transcode@prod"]])),
        "match": draw(matches()),
        does: "because",
        "budget": f"{draw(st.integers(1, 6))}/run",
    }
    if draw(st.integers(0, 2)) == 0:
        policy["keep"] = {
            "at_most": draw(st.integers(1, 3)),
            "stop_first": draw(st.sampled_from(["newest", "oldest"])),
        }
        if draw(st.booleans()):
            policy["keep"]["per"] = draw(PER)
        if draw(st.booleans()):
            policy["match"] = {"status": list(draw(st.sampled_from([ALIVE, ("Running",)])))}
    if draw(st.integers(0, 2)) == 0:
        policy["unless"] = draw(st.lists(MERCY, max_size=2))
    if draw(st.integers(0, 3)) == 0:
        policy["holdout"] = draw(st.sampled_from(["10%", "50%", "0.5%"]))
    if draw(st.integers(0, 3)) == 0:
        policy["halt_over"] = draw(st.integers(1, 6))
    return policy


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """A policy file as plain data."""
    names = ["first", "second", "third"][: draw(st.integers(1, 3))]
    tree: dict[str, Any] = {"version": 1, "policies": [draw(policies(name)) for name in names]}
    if draw(st.integers(0, 2)) == 0:
        tree["exempt"] = draw(st.lists(MERCY, min_size=1, max_size=2))
    return tree


def loaded(tree: dict[str, Any]) -> PolicyFile:
    """The file that *tree* stands for."""
    return load_policy(json.dumps(tree), source="policy.yaml")


def judged(task: Task, file: PolicyFile) -> Verdict:
    """The verdict of one task at noon, by every policy whose targets fit."""
    fitting = [one for one in file.policies if any(target.fits(task.function) for target in one.targets)]
    return claim(task, rules_for(task.function, fitting, file.exempt), NOON)


def claims(some: list[Task], file: PolicyFile) -> list[Claim]:
    """All tasks with their verdicts."""
    return [Claim(task, judged(task, file)) for task in some]


def may_be_stopped(verdict: Verdict, file: PolicyFile) -> bool:
    """Whether a task is due, or is so by `keep` if there are too many."""
    stops = {policy.name for policy in file.policies if policy.stops}
    return verdict.kind is Kind.DUE or any(one.choosable and one.policy in stops for one in verdict.members)
