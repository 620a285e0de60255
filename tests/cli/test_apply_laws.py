"""What holds of `plan` and `apply` for every account and every policy file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fc_reaper.models import Millis, Task, TaskEvent, iso
from tests.builders import NOON
from tests.cli.command import a_policy_file
from tests.cli.plans import a_plan, carried_out, edited
from tests.emulator_server import running_emulator
from tests.evaluator import worlds
from tests.evaluator.naive import budget
from tests.run.test_whole_worlds import Record, really_stopped, which

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


def of_fate(plan: dict[str, Any], *fates: str) -> Counter[tuple[str, Record]]:
    """The tasks of a plan with one of these fates, or with any, each with its policy."""
    return Counter(
        (task["policy"], which(task)) for task in plan["tasks"] if not fates or task["fate"] in fates
    )


def reviewed(plan: dict[str, Any]) -> None:
    """A reviewer leaves no more than one task of each policy, the last one in the plan."""
    plan["tasks"] = list({task["policy"]: task for task in plan["tasks"]}.values())


@settings(
    max_examples=max(1, settings().max_examples // 33),
    suppress_health_check=list(HealthCheck),
    phases=WITHOUT_SHRINKING,
)
@given(accounts(), st.booleans())
def test_apply_stops_what_the_plan_would_have_stopped_and_nothing_of_a_halted_policy(
    account: Account, review: bool
) -> None:
    """A task beyond the budget may take a place; what the plan spares or lacks is not stopped."""
    with TemporaryDirectory() as folder, running_emulator("--stopping", "5ms", seed=account.seed) as cloud:
        a_policy_file(Path(folder), json.dumps(account.tree))
        path = a_plan(cloud, Path(folder), REAPER_SELF="ops/fc-reaper")
        planned = json.loads(path.read_text("utf-8"))
        assert not really_stopped(cloud)
        if review:
            edited(path, reviewed)
        left = json.loads(path.read_text("utf-8"))
        carried_out(cloud, path, REAPER_SELF="ops/fc-reaper")
        stopped = really_stopped(cloud)
    assert of_fate(left) <= of_fate(planned)
    done = Counter({(policy, task): stopped[task] for policy, task in of_fate(left) if stopped[task]})
    assert done.total() == stopped.total() == len(stopped)
    assert of_fate(left, "would_stop") <= done <= of_fate(left, "would_stop", "budget")
    by_policy = Counter(policy for policy, _ in done)
    assert not by_policy.keys() & {policy for policy, _ in of_fate(planned, "halted")}
    assert all(by_policy[policy["name"]] <= budget(policy) for policy in account.tree["policies"])
