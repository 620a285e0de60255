"""Whole runs over accounts and policies of every kind: what was rehearsed is what is done, and no more."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fc_reaper.model import Function
from fc_reaper.target import parse_target
from tests.emulator_process import EmulatorProcess, running_emulator
from tests.judge import worlds
from tests.reaping import Reaped, reap
from tests.run.test_promises import adds_up

Record = tuple[Any, Any, Any, str]
STATUSES = ["Running"] * 12 + ["Enqueued"] * 6 + ["Retrying", "Stopping", "Stopped", "Stopped", "Succeeded"]


@st.composite
def accounts(draw: st.DrawFn) -> dict[str, Any]:
    """A seed whose tasks are all half a minute away from any limit, so that seconds change nothing.

    Some were stopped before, most of them today.
    """
    number = draw(worlds.CROWD)
    dice, taken = worlds.Dice(draw, 10 * number), set[tuple[Any, str]]()
    return {"invocations": [_entry(dice, taken) for _ in range(number)]}


def _entry(dice: worlds.Dice, taken: set[tuple[Any, str]]) -> dict[str, Any]:
    function, name = worlds.place(dice, taken)
    status, enqueued, entered = dice.of(STATUSES), dice.of(worlds.AGES), dice.of(worlds.AGES)
    entry = {
        "serviceName": function.service,
        "functionName": function.name,
        "qualifier": function.qualifier,
        "invocationId": name,
        "status": status,
        "enqueued": f"-{enqueued}m30s",
        "payload": dice.of(worlds.PAYLOADS),
        "retries": dice.of([0, 1, 2, 4]),
    }
    if status != "Enqueued":
        entry["started"] = f"-{min(entered, enqueued)}m30s"
    if status in ("Stopped", "Succeeded"):
        ago = dice.of(["-1m", "-2m", "-24h30m"])
        entry["ends"] = ago
        if ago == "-24h30m":
            entry["enqueued"] = entry["started"] = "-25h30m"
    return entry


def stopped_by(reaped: Reaped) -> Counter[str]:
    """How many tasks each policy asked to stop."""
    return Counter(line["policy"] for line in reaped.said("accepted"))


def day_left(policy: Mapping[str, Any], seed: Mapping[str, Any]) -> int | None:
    """What the day of a policy has left by what is seeded; None without a budget for the day."""
    parts = dict(reversed(part.split("/")) for part in policy["budget"].split(", "))
    if "day" not in parts:
        return None
    spent = [one for one in seed["invocations"] if one["status"] == "Stopping"
             or (one["status"] == "Stopped" and one["ends"] != "-24h30m")]  # fmt: skip
    watched = [one for one in spent if _watches(policy, one)]
    return max(0, int(parts["day"]) - len(watched))


def _watches(policy: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    function = Function(entry["serviceName"], entry["functionName"], entry["qualifier"])
    return any(parse_target(target).fits(function) for target in policy["targets"])


def per_run(policy: Mapping[str, Any]) -> int:
    """The budget of a run; without one, the usual."""
    number, unit = policy["budget"].split(", ")[0].split("/")
    return int(number) if unit == "run" else 20


def which(line: Mapping[str, Any]) -> Record:
    """The task that a log line is about; its id may come again elsewhere."""
    return line["service"], line["function"], line["qualifier"], line["invocation_id"]


def really_stopped(cloud: EmulatorProcess) -> Counter[Record]:
    """How often a stop took effect on each task, by the emulator's own journal."""
    return Counter(
        (entry["serviceName"], entry["functionName"], entry["qualifier"], entry["invocationId"])
        for entry in cloud.journal()
        if entry["cause"] == "stop" and entry["from"] != entry["to"] == "Stopping"
    )


def both(tree: Mapping[str, Any], seed: Mapping[str, Any], *, events: str, version: str) -> Reaped:
    """Rehearse, then enforce on the same state; what holds of both is asserted, the latter is answered."""
    text = json.dumps(tree) + "\n"  # JSON is YAML
    with running_emulator("--events", events, seed=seed) as cloud:
        rehearsed = reap(cloud.endpoint, text, api_version=version)
        assert not really_stopped(cloud)
        enforced = reap(cloud.endpoint, text, enforce=True, api_version=version)
        done = really_stopped(cloud)
    assert done == Counter(map(which, rehearsed.said("would_stop")))
    assert done == Counter(map(which, enforced.said("accepted")))
    assert max(done.values(), default=1) == 1
    for reaped in (rehearsed, enforced):
        assert adds_up(reaped)
    assert rehearsed.counts.get("due") == enforced.counts.get("due")
    assert halted(rehearsed) == halted(enforced)
    return enforced


def halted(reaped: Reaped) -> set[str]:
    """The policies that found too much due."""
    return {line["policy"] for line in reaped.said("halted")}


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(
    worlds.trees(),
    accounts(),
    st.sampled_from(["list", "get"]),
    st.sampled_from(["2021-04-06", "2016-08-15"]),
)
def test_an_enforcement_stops_the_tasks_that_a_rehearsal_names(
    tree: dict[str, Any], seed: dict[str, Any], events: str, version: str
) -> None:
    """On the same state: the same tasks, each once, within every budget; the halted stop none; it adds up."""
    enforced = both(tree, seed, events=events, version=version)
    by_policy = stopped_by(enforced)
    assert not halted(enforced) & by_policy.keys()
    for policy in tree["policies"]:
        left = day_left(policy, seed)
        assert by_policy[policy["name"]] <= per_run(policy)
        assert left is None or by_policy[policy["name"]] <= left


def test_in_a_world_in_which_everything_happens_each_policy_does_its_own() -> None:
    """One is halted, one spends its day, one its run; and one keeps two of those whom none of them claims."""

    def a_policy(name: str, ids: str, **keys: Any) -> dict[str, Any]:
        return {"name": name, "targets": ["media/*@*"], "match": {"id": ids, "alive_for": "1h"}, "stop": "x",
                "budget": "9/run", **keys}  # fmt: skip

    tree = {
        "version": 1,
        "exempt": ["*-spared"],
        "policies": [
            a_policy("halting", "a-*", halt_over=3),
            a_policy("daily", "b-*", budget="9/run, 3/day"),
            a_policy("running", "c-*", budget="2/run"),
            a_policy("keeping", "*", keep={"at_most": 2}),
        ],
    }
    places = [one._asdict() for one in worlds.FUNCTIONS]
    seed = {"invocations": [
        {"serviceName": at["service"], "functionName": at["name"], "qualifier": at["qualifier"],
         "invocationId": f"{kind}-{copy}", "status": "Running", "enqueued": "-2h", "started": "-90m",
         **({"status": "Stopped", "ends": "-5m"} if copy == "gone" else {})}
        for at in places[::3]
        for kind, copies in [("a", "12"), ("b", "12"), ("c", "12"), ("d", "12"), ("d", ["spared"]),
                             ("b", ["gone"] if at is places[0] else [])]
        for copy in copies
    ]}  # fmt: skip
    enforced = both(tree, seed, events="list", version="2021-04-06")
    assert halted(enforced) == {"halting"}
    # Of three a day one is gone; six are alive of whom two may stay, and the two that are spared are those.
    assert stopped_by(enforced) == {"daily": 2, "running": 2, "keeping": 4}
