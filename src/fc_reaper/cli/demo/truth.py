"""What really happened, by the emulator's own records and journal. No reaper's word counts here."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from fc_reaper.models import FINISHED, Millis
from fc_reaper.policy import format_duration

Record = Mapping[str, Any]

_A_MINUTE: Millis = 60_000


class Deed(NamedTuple):
    """What a reaper did to one task: stop requests, whether any was answered 200, whether any took effect."""

    requests: int = 0
    accepted: bool = False
    took_effect: bool = False


class Score(NamedTuple):
    """Stop requests of one reaper, each in one of three; and tasks to be stopped that it left running."""

    right: int
    wrong: int
    for_nothing: int
    missed: int

    @property
    def requests(self) -> int:
        return self.right + self.wrong + self.for_nothing

    @property
    def flawless(self) -> bool:
        """Whether exactly the right tasks were stopped."""
        return self.wrong == 0 and self.missed == 0


def deeds(journal: Iterable[Record]) -> dict[str, Deed]:
    """What was done to each task, by invocation id."""
    done: dict[str, Deed] = {}
    for entry in journal:
        if "answer" in entry:
            before = done.get(entry["invocationId"], Deed())
            done[entry["invocationId"]] = Deed(
                before.requests + 1,
                before.accepted or entry["answer"]["status"] == 200,
                before.took_effect or entry["from"] != entry["to"],
            )
    return done


def score(tasks: Iterable[Record], journal: Iterable[Record]) -> Score:
    """Compare what was done with what the owner of each task wants."""
    done = deeds(journal)
    took = {task["invocationId"]: done.get(task["invocationId"], Deed()).took_effect for task in tasks}
    wants = {task["invocationId"]: wanted(task) for task in tasks}
    right = sum(took[one] and wants[one] for one in took)
    wrong = sum(took[one] and not wants[one] for one in took)
    requests = sum(deed.requests for deed in done.values())
    missed = sum(wants[one] and not took[one] for one in took)
    return Score(right, wrong, requests - right - wrong, missed)


def wanted(task: Record) -> bool:
    """Whether the owner of *task* wants it stopped; the payload says so, which neither reaper reads."""
    return bool(json.loads(task["invocationPayload"])["owner"] == "stop")


def story(task: Record, journal: Iterable[Record], lost: Collection[str], now: Millis) -> str:
    """The truth about one task in a few words; *task* as it was at the moment *now*, before anybody came.

    *lost* names the tasks for which the answer to a stop request got lost.
    """
    began = {event["status"]: event["timestamp"] for event in task["events"]}
    first, running = task["events"][0]["timestamp"], began.get("Running", now)
    own_ends = (e for e in journal if e["invocationId"] == task["invocationId"] and e["cause"] != "stop")
    if any(entry["to"] in FINISHED for entry in own_ends):
        return "ended while we looked"
    if task["status"] == "Stopping":
        return f"Stopping for {minutes(now - began['Stopping'])}"
    if task["invocationId"] in lost:
        return f"running {minutes(now - first)}, answer lost"
    if task["alreadyRetriedTimes"]:
        return f"alive {minutes(now - first)}, {task['alreadyRetriedTimes'] + 1} attempts"
    if running - first > _A_MINUTE:
        return f"queued {minutes(running - first)}, running {minutes(now - running)}"
    return f"running {minutes(now - running)}"


def minutes(length: Millis) -> str:
    """A length of time in whole minutes, so that it does not matter how fast this machine is."""
    return format_duration(length - length % _A_MINUTE)
