"""Whole runs: what a dry run named is what is done, and no more."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tests.emulator_server import Emulator, running_emulator
from tests.evaluator import worlds
from tests.reaping import Reaped, reap
from tests.run.account import seeded
from tests.run.test_promises import adds_up

Record = tuple[Any, Any, Any, str]


def which(line: Mapping[str, Any]) -> Record:
    """The task that a log line is about; its id may come again elsewhere."""
    return line["service"], line["function"], line["qualifier"], line["invocation_id"]


def logged(reaped: Reaped, event: str) -> Counter[tuple[str, Record]]:
    """By which policy each task went, by the log lines of one kind."""
    return Counter((line["policy"], which(line)) for line in reaped.logged(event))


def really_stopped(cloud: Emulator) -> Counter[Record]:
    """How often a stop took effect on each task, by the emulator's own journal."""
    return Counter(
        (entry["serviceName"], entry["functionName"], entry["qualifier"], entry["invocationId"])
        for entry in cloud.journal()
        if entry["cause"] == "stop" and entry["from"] != entry["to"] == "Stopping"
    )


def halted(reaped: Reaped) -> set[str]:
    """The policies that found too much due."""
    return {line["policy"] for line in reaped.logged("halted")}


def both(tree: Mapping[str, Any], seed: Mapping[str, Any], *, events: str) -> Reaped:
    """Run dry, then enforce on the same state; what holds of both is asserted, the latter is answered."""
    text = json.dumps(tree) + "\n"  # JSON is YAML
    with running_emulator("--events", events, "--stopping", "20ms", seed=seed) as cloud:
        dry_run = reap(cloud.endpoint, text)
        assert not really_stopped(cloud)
        enforced = reap(cloud.endpoint, text, enforce=True)
        done = really_stopped(cloud)
    assert logged(dry_run, "would_stop") == logged(enforced, "accepted")
    assert done == Counter(map(which, enforced.logged("accepted")))
    assert max(done.values(), default=1) == 1
    assert adds_up(dry_run)
    assert adds_up(enforced)
    assert dry_run.counts.get("due") == enforced.counts.get("due")
    assert halted(dry_run) == halted(enforced)
    return enforced


def test_in_a_world_in_which_everything_happens_each_policy_does_its_own() -> None:
    """One is halted, one spends its day, one its run; and one keeps two tasks that are not due by others."""

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
    enforced = both(tree, seed, events="list")
    assert halted(enforced) == {"halting"}
    # Of three a day one is gone; six are alive of which two may stay, and the two that are spared are those.
    stops = logged(enforced, "accepted")
    assert Counter(policy for policy, _ in stops) == {"daily": 2, "running": 2, "keeping": 4}


def test_a_spared_task_counts_where_a_list_does_not_carry_events() -> None:
    """Whether it matches is known only by reading it, and that it is never stopped is no reason not to."""
    tree = {"version": 1, "policies": [
        {"name": "one", "targets": ["media/transcode@prod"], "match": {"alive_for": "1h"}, "stop": "x",
         "keep": {"at_most": 1}, "unless": ["vip-*"]}
    ]}  # fmt: skip
    seed = {
        "invocations": [
            seeded(name, "Running", enqueued="-2h", started="-90m") for name in ("job-1", "vip-1")
        ]
    }
    for events in ("list", "get"):
        enforced = both(tree, seed, events=events)
        assert enforced.ids("accepted") == {"job-1"}
