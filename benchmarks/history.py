"""A history of a given size, always the same, and three policies of different kinds to replay over it."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from uuid import UUID

from fc_reaper.models import Function, Millis, Task, TaskEvent
from fc_reaper.policy import PolicyFile, load_policy

_BEGIN: Millis = 1_794_960_000_000
_MINUTE: Millis = 60_000
_DAY: Millis = 86_400_000

_POLICIES = """\
version: 1
policies:
  - {name: clock, targets: ['media/*'], match: {running_for: 6h}, stop: it is lost}
  - {name: keep, targets: ['media/*'], match: {status: Running}, keep: {at_most: 9}, budget: 1/run, stop: x}
  - {name: ages, targets: ['media/*'], match: {alive_for: 1m, where: 'ages.running_for > `9000`'}, stop: old}
"""


def write(path: Path, count: int) -> None:
    """Write so many tasks to a file, as records of the cloud with ids of 36 characters."""
    with path.open("w", encoding="utf-8") as file:
        for number, task in enumerate(lived(count, days=7)):
            events = [
                {"eventId": one.id, "status": one.status, "timestamp": one.at, "eventDetail": ""}
                for one in task.events
            ]
            record = {
                "serviceName": task.function.service,
                "functionName": task.function.name,
                "invocationId": f"task-{number:031}",
                "requestId": str(UUID(int=number)),
                "status": task.status,
                "startedTime": task.events[0].at,
                "endTime": task.events[-1].at,
                "alreadyRetriedTimes": task.retries,
                "events": events,
            }
            file.write(f"{json.dumps(record)}\n")


def three_policies() -> PolicyFile:
    """One with a clock, one with `keep` and a backlog that its budget never clears, one that asks ages."""
    return load_policy(_POLICIES, source="three policies")


def lived(count: int, days: int) -> list[Task]:
    """So many tasks of five functions over so many days: most take minutes, one in twenty about a day."""
    random = Random(7)
    return [_life(number, _BEGIN + random.randrange(days * _DAY), random) for number in range(count)]


def _life(number: int, at: Millis, random: Random) -> Task:
    stages = ["Enqueued", "Dequeued", "Running"]
    if random.random() < 0.1:
        stages += ["Retrying", "Running"]
    stages.append("Succeeded" if random.random() < 0.9 else "Failed")
    mean = 24 * 60 * _MINUTE if random.random() < 0.05 else 20 * _MINUTE
    events = []
    for place, status in enumerate(stages, 1):
        events.append(TaskEvent(at, place, status))
        at += round(random.expovariate(1 / (mean if status == "Running" else 30_000)))
    function = Function("media", f"f{number % 5}", "LATEST")
    return Task(function, f"job-{number}", stages[-1], retries=stages.count("Retrying"), events=tuple(events))
