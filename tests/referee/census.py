"""What worlds and their runs consist of, counted, so that it can be demanded that everything is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.referee.referee import OUTCOMES, Referee, is_refusal
from tests.referee.trial import Run, Trial


def happenings(trial: Trial, referees: list[Referee]) -> Iterator[str]:
    """A word for each thing that there is in a world, or that happened in it."""
    world = trial.world
    yield from (f"switch {name}={value}" for name, value in world.options.items())
    for entry in world.invocations:
        yield from (f"record {key}" for key in RECORDS if entry.get(key))
        yield from _of_events(entry)
    for policy in world.tree["policies"]:
        yield from (f"policy {key}" for key in POLICY_KEYS if key in policy)
        yield from ["policy N/day"] if "day" in policy.get("budget", "") else []
        yield from [f"keep per {policy['keep'].get('per')}"] if "keep" in policy else []
        yield from (f"match {key}" for key in policy["match"])
        yield from ["an exemption with an end" for one in policy.get("unless", ()) if "until" in one]
        yield from ["carried limit" for value in policy["match"].values() if isinstance(value, dict)]
    keeps = sum("keep" in policy for policy in world.tree["policies"])
    yield from ["several keep policies"] if keeps > 1 else []
    yield from ["a lock"] if world.locked else []
    yield from ["several runs"] if len(world.events) > 1 else []
    yield from ["a clock that is wrong"] if world.skew else []
    yield from (f"somebody else: {actor.action}" for actor in world.actors)
    for run, referee in zip(trial.runs, referees, strict=True):
        yield from _of_run(run, referee)


POLICY_KEYS = ("keep", "unless", "halt_over", "holdout", "triggers", "report", "owner")
RECORDS = ("reenqueued", "cutHead", "cutTail", "retries", "startedTime", "payloadText", "count")


def _of_events(entry: dict[str, Any]) -> Iterator[str]:
    events = entry.get("events")
    if events is None:
        return
    dates = [str(one.get("timestamp", "none")) for one in events]
    yield from ["record without events"] if not events else []
    yield from ["record undated"] if {"none", "0", "-5", "1"} & set(dates) else []
    yield from ["record dated ahead"] if any(date.startswith("+") for date in dates) else []


def _of_run(run: Run, referee: Referee) -> Iterator[str]:
    yield from ("a policy known to the last stop" for _ in referee.exact)
    yield from ("a group known to the last stop" for fate in referee.exact if fate.policy.keep)
    yield "a run"
    yield from ["a quiet run"] if referee.finished and referee.is_quiet else []
    yield from (f"trigger {one}" for one in {line["trigger"] for line in run.lines})
    wish = "enforces" if referee.enforces else "is a dry run by wish" if run.enforce else "is a dry run"
    yield f"a run that {wish}"
    yield from ["an event that narrows"] if any(any(one[2:5]) for one in referee.asked.requests) else []
    yield from ["an event of a shard"] if any(one.shard for one in referee.asked.requests) else []
    for line in run.lines:
        yield f"line {line['event']}"
        yield from [f"{line['event']} with an end"] if "until" in line else []
        yield from [f"skipped: {line['why']}"] if line["event"] == "skipped" else []
        yield from ["stop_failed, unclear"] if line.get("unclear") else []
        yield from ["due by keep"] if line["event"] in OUTCOMES and line["rule"] == "keep" else []
    for one in run.exchanges:
        yield from [f"wire {one.fault}"] if one.fault else []
        yield from [f"answer {one.status}", f"answer {one.status // 100}xx"] if one.status else []
        yield from ["a page that is not the first"] if one.query.get("nextToken") else []
        yield from ["a stop"] if one.kind == "stop" else []
        yield from ["a stop that is unclear"] if one.kind == "stop" and one.status is None else []
        yield from ["a stop that is refused"] if one.kind == "stop" and is_refusal(one) else []
    yield from ["a run that is partial"] if referee.finished and referee.finished["partial"] else []
