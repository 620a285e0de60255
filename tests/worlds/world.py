"""Small accounts, and what runs over them must come to; the truth is the emulator's own journal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fc_reaper.clock import Clock
from tests.cli.command import at, fc_reaper
from tests.emulator_server import running_emulator
from tests.reaping import FASTER
from tests.run.account import stopped

Json = dict[str, Any]

TIMER: Json = {"triggerTime": "2026-11-22T00:00:00Z", "triggerName": "schedule", "payload": ""}


class World(NamedTuple):
    """An account, a policy, and the ids that all runs together must stop.

    *stopped* None: any, but *at_most* so many. *exit* is that of every run; None: any but a fault of ours.
    Each of *events* starts a run; text is sent as it is.
    """

    kind: str
    name: str
    tasks: Sequence[Json]
    policy: Json
    stopped: Sequence[str] | None = ()
    at_most: int | None = None
    events: Sequence[Json | str] = (TIMER,)
    flags: Sequence[str] = ()
    env: Mapping[str, str] = {}
    faults: Sequence[Json] = ()
    exit: int | None = None
    clock: Clock = FASTER

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def check(world: World, folder: Path) -> None:
    """Run once for each event, and compare what was stopped."""
    policy = folder / "policy.yaml"
    policy.write_text(json.dumps(world.policy), encoding="utf-8")
    flags = ["--stopping", "5ms", *world.flags]
    with running_emulator(*flags, seed={"invocations": list(world.tasks)}) as cloud:
        cloud.faults(world.faults)
        last = "no event, no run"
        env = at(cloud, REAPER_SELF="ops/fc-reaper", **world.env)
        for event in world.events:
            raw = event if isinstance(event, str) else json.dumps(event)
            options: tuple[str | Path, ...] = ("--policy", policy, "--enforce", "--timeout", "120")
            ran = fc_reaper("invoke", "-", *options, env=env, stdin=raw.encode(), clock=world.clock)
            last = ran.errors[-1]
            assert world.exit is None or ran.code == world.exit, last
        if world.stopped is not None:
            assert sorted(stopped(cloud)) == sorted(world.stopped), last
        if world.at_most is not None:
            assert len(stopped(cloud)) <= world.at_most, last


def task(
    invocation_id: str = "a", status: str = "Running", place: str = "media/transcode", **more: Any
) -> Json:
    """One seed entry. *place* is a target; a name without a service is a function of 3.0."""
    function, _, qualifier = place.partition("@")
    service, _, name = function.rpartition("/")
    entry = {"functionName": name, "qualifier": qualifier or "LATEST", **more}
    entry = {"serviceName": service, **entry} if service else entry
    return {**entry, "invocationId": invocation_id, "status": status}


def running(invocation_id: str = "a", age: str = "9h", place: str = "media/transcode", **more: Any) -> Json:
    """A task that has been running for *age*, since it was enqueued."""
    return task(invocation_id, "Running", place, enqueued=f"-{age}", started=f"-{age}", **more)


def several(
    prefix: str, count: int, age: str = "9h", place: str = "media/transcode", **more: Any
) -> list[Json]:
    """Running tasks PREFIX-0, PREFIX-1 and so on."""
    return [running(f"{prefix}-{number}", age, place, **more) for number in range(count)]


def record(
    *events: tuple[str, object], status: str = "", place: str = "media/transcode", **more: Any
) -> Json:
    """The task `a` with these events, a status and when it was reached each; None: without a date."""
    written = [{"status": name, **({} if when is None else {"timestamp": when})} for name, when in events]
    return task("a", status or events[-1][0], place, enqueued="-9h", started="-9h", events=written, **more)


def rule(match: Json, *targets: str, name: str = "p", **keys: Any) -> Json:
    """A policy that stops what matches, in media/transcode unless other targets are given."""
    action = {} if "report" in keys else {"stop": "why"}
    return {"name": name, "targets": list(targets) or ["media/transcode"], "match": match, **action, **keys}


def file(*policies: Json, **keys: Any) -> Json:
    """A policy file; *keys* such as `exempt`."""
    return {"version": 1, **keys, "policies": list(policies)}


def stops(match: Json, *targets: str, exempt: Sequence[Any] | None = None, **keys: Any) -> Json:
    """A policy file with one rule."""
    return file(rule(match, *targets, **keys), **({} if exempt is None else {"exempt": list(exempt)}))


def alertmanager(*alerts: Json, **more: Any) -> Json:
    """A notification; each alert is its labels."""
    bodies = [{"status": "firing", "labels": {"alertname": "Backlog", **labels}, "annotations": {},
               "startsAt": "2026-11-26T10:00:00Z",
               "endsAt": "0001-01-01T00:00:00Z"} for labels in alerts]  # fmt: skip
    return {"version": "4", "groupKey": "{}:{}", "status": "firing", "receiver": "reaper", "groupLabels": {},
            "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am.example", "alerts": bodies,
            **more}  # fmt: skip
