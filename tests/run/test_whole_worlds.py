"""Whole runs over accounts and policies of every kind: what was dry_run is what is done, and no more."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fc_reaper.models import Function, Millis, Task, TaskEvent, iso
from fc_reaper.rules.fields import parse_target
from tests.builders import NOON
from tests.emulator_server import Emulator, running_emulator
from tests.evaluator import worlds
from tests.evaluator.naive import Fate, budgets, what_happens
from tests.reaping import Reaped, reap
from tests.run.account import seeded
from tests.run.test_promises import adds_up

Record = tuple[Any, Any, Any, str]
STATUSES = ["Running"] * 12 + ["Enqueued"] * 6 + ["Retrying", "Stopping", "Succeeded"] + ["Stopped"] * 2
ENDED: list[Millis] = [60_000, 86_400_000 + 1_800_000]
"""How long ago a task can have ended: within a day, or a little earlier."""
SERVICES = ["media", "video", "sound"]


WITHOUT_SHRINKING = [Phase.explicit, Phase.reuse, Phase.generate]
"""A failure is shown as it was found: to make it smaller takes minutes of starting emulators."""


class Account(NamedTuple):
    """One policy file, and tasks that are all half a minute away from any limit: seconds change nothing."""

    tree: dict[str, Any]
    some: list[Task]

    @property
    def seed(self) -> dict[str, Any]:
        """What the emulator begins with."""
        return {"invocations": [_entry(task) for task in self.some]}


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """Small worlds under one policy file, each in a service of its own; what one exempts is exempt in all."""
    dice = worlds.Dice(draw, len(SERVICES))
    trees = [_at(service, worlds.a_tree(dice)) for service in SERVICES]
    tree = {**trees[0], "policies": [policy for one in trees for policy in one["policies"]]}
    return Account(tree, [task for service in SERVICES for task in _tasks(dice, service)])


def _at(service: str, tree: Mapping[str, Any]) -> dict[str, Any]:
    """The same file for the functions of *service*; what holds until noon there holds until today here."""
    text = (
        json.dumps(tree)
        .replace('"media/', f'"{service}/')
        .replace(f"{iso(NOON)[:19]}Z", "2099-12-31T00:00:00Z")
    )
    moved: dict[str, Any] = json.loads(text)
    for policy in moved["policies"]:
        policy["name"] = f"{service}-{policy['name']}"
    return moved


def _tasks(dice: worlds.Dice, service: str) -> Iterator[Task]:
    """Some were stopped before, half of them within a day."""
    for task in worlds.some_tasks(dice, STATUSES, flawed=[False]):
        ended = dice.of(ENDED)
        events = [TaskEvent(at - 30_000, number, status) for at, number, status in task.events]
        if task.status in ("Stopped", "Succeeded"):
            events = [
                TaskEvent(NOON - ended - 3_600_000, 1, "Enqueued"),
                TaskEvent(NOON - ended, 2, task.status),
            ]
        yield task._replace(function=task.function._replace(service=service), events=tuple(events))


def _entry(task: Task) -> dict[str, Any]:
    first, last = task.events[0].at, task.events[-1].at
    entry = {
        "serviceName": task.function.service,
        "functionName": task.function.name,
        "qualifier": task.function.qualifier,
        "invocationId": task.invocation_id,
        "status": task.status,
        "enqueued": _ago(first),
        "payload": json.loads((task.record or {})["invocationPayload"]),
        "retries": task.retries,
        "events": [{"eventId": e.id, "status": e.status, "timestamp": _ago(e.at)} for e in task.events],
    }
    if task.status in ("Stopped", "Succeeded"):
        return {**entry, "started": _ago(first), "ends": _ago(last)}
    return entry if task.status == "Enqueued" else {**entry, "started": _ago(last)}


def _ago(at: Millis) -> str:
    return f"-{(NOON - at) // 1000}s"


def expected(account: Account) -> dict[str, list[Task]]:
    """What each stop policy stops, by the simplest reading, with what is left of its day."""
    fates = what_happens(account.some, account.tree).fates
    granted: list[tuple[set[Function], int]] = []
    stops: dict[str, list[Task]] = {}
    for policy in account.tree["policies"]:
        if policy["name"] in fates:
            left = _left(fates[policy["name"]])
            most = most_of(policy, account, granted)
            stops[policy["name"]] = left[:most]
            granted.append((_watched(policy, account), min(len(left), most)))
    return stops


def _left(fate: Fate) -> list[Task]:
    return [] if fate.halted else [task for task in fate.due if task not in fate.held]


def most_of(policy: Mapping[str, Any], account: Account, granted: list[tuple[set[Function], int]]) -> int:
    """Its budget a run, or what is left of its day by what was stopped and by what others may stop now."""
    per_run, per_day = budgets(policy)
    if per_day is None:
        return per_run
    watched = _watched(policy, account)
    spent = [task for task in account.some if task.function in watched and _counts_today(task)]
    others = sum(number for functions, number in granted if functions & watched)
    return max(0, min(per_run, per_day - len(spent) - others))


def _counts_today(task: Task) -> bool:
    return task.status == "Stopping" or (task.status == "Stopped" and task.events[-1].at > NOON - 86_400_000)


def _watched(policy: Mapping[str, Any], account: Account) -> set[Function]:
    targets = [parse_target(target) for target in policy["targets"]]
    return {task.function for task in account.some if any(target.fits(task.function) for target in targets)}


def named(stops: Mapping[str, list[Task]]) -> Counter[tuple[str, Record]]:
    """By which policy each task goes."""
    return Counter(
        (name, (*one.function, one.invocation_id)) for name, tasks in stops.items() for one in tasks
    )


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


def both(tree: Mapping[str, Any], seed: Mapping[str, Any], *, events: str, version: str) -> Reaped:
    """Run dry, then enforce on the same state; what holds of both is asserted, the latter is answered."""
    text = json.dumps(tree) + "\n"  # JSON is YAML
    with running_emulator("--events", events, "--stopping", "20ms", seed=seed) as cloud:
        dry_run = reap(cloud.endpoint, text, api_version=version)
        assert not really_stopped(cloud)
        enforced = reap(cloud.endpoint, text, enforce=True, api_version=version)
        done = really_stopped(cloud)
    assert logged(dry_run, "would_stop") == logged(enforced, "accepted")
    assert done == Counter(map(which, enforced.logged("accepted")))
    assert max(done.values(), default=1) == 1
    assert adds_up(dry_run)
    assert adds_up(enforced)
    assert dry_run.counts.get("due") == enforced.counts.get("due")
    assert halted(dry_run) == halted(enforced)
    return enforced


@settings(
    max_examples=settings().max_examples // 20,
    suppress_health_check=list(HealthCheck),
    phases=WITHOUT_SHRINKING,
)
@given(accounts(), st.sampled_from(["list", "get"]), st.sampled_from(["2021-04-06", "2016-08-15"]))
def test_an_enforcement_stops_the_tasks_that_a_dry_run_names(
    account: Account, events: str, version: str
) -> None:
    """On the same state: the same tasks, each once, within every budget; the halted stop none; it adds up."""
    enforced = both(account.tree, account.seed, events=events, version=version)
    assert logged(enforced, "accepted") == named(expected(account))
    fates = what_happens(account.some, account.tree).fates
    assert halted(enforced) == {name for name, fate in fates.items() if fate.halted}
    assert enforced.counts.get("due", 0) == sum(len(fate.due) for fate in fates.values())


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
    enforced = both(tree, seed, events="list", version="2021-04-06")
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
        enforced = both(tree, seed, events=events, version="2021-04-06")
        assert enforced.ids("accepted") == {"job-1"}


def happening(account: Account) -> Iterator[str]:
    """What there is in an account that a law may be about."""
    fates, stops = what_happens(account.some, account.tree).fates, expected(account)
    for policy in account.tree["policies"]:
        if "report" in policy:
            continue
        kind, fate, stopped = (
            "keep" if "keep" in policy else "plain",
            fates[policy["name"]],
            stops[policy["name"]],
        )
        if stopped:
            yield f"{kind} stops"
        if fate.halted:
            yield f"{kind} halted"
        if fate.held:
            yield "held out"
        if len(stopped) < len(_left(fate)):
            yield "day spent" if len(stopped) < budgets(policy)[0] else "run spent"
        if len(stopped) < min(len(_left(fate)), most_of(policy, account, [])):
            yield "day spent by others"


LEAST = {
    "plain stops": 30, "keep stops": 20, "plain halted": 5, "keep halted": 3, "held out": 15, "run spent": 15,
    "day spent": 15, "day spent by others": 1,
}  # fmt: skip


def test_in_these_accounts_something_happens() -> None:
    """In how many of sixty accounts each thing does."""
    seen: Counter[str] = Counter()

    @settings(max_examples=60, derandomize=True, database=None, phases=[Phase.generate])
    @given(accounts())
    def check(account: Account) -> None:
        seen.update(set(happening(account)))

    check()
    assert {what: seen[what] for what, least in LEAST.items() if seen[what] < least} == {}
