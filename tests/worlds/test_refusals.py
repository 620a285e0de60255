"""Wrong settings and policies are refused, and no function is listed that nobody saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worlds.world import World, alertmanager, check, file, rule, running, stops


def _refusals() -> list[World]:
    one, over = [running()], stops({"alive_for": "2h"})
    unknown, wrong = "unknown settings are refused", "a policy error"
    wrong_policies = {
        "halt_over with task alone": stops({"alive_for": "2h"}, halt_over=5, triggers=["task"]),
        "no limit": stops({"status": "Running"}),
        "an age beside no comparison": stops({"alive_for": "2h", "where": "ages.alive_for"}),
        "an age compared with an age": stops(
            {"alive_for": "2h", "where": "ages.alive_for > ages.running_for"}
        ),
        "an age compared for equality": stops({"alive_for": "2h", "where": "ages.alive_for == `7200`"}),
        "an empty list of exemptions": {**over, "exempt": None},
        "two policies of one name": file(rule({"alive_for": "2h"}), rule({"alive_for": "3h"})),
    }
    worlds = [World(wrong, name, one, policy, [], exit=2) for name, policy in wrong_policies.items()]
    names = ("REAPER_DRY_RUN", "REAPER_MODUS", "REAPER_ENFORCE", "REAPER_BUDGET", "REAPER_", "REAPER_RATES")
    return [*worlds, *(World(unknown, name, one, over, [], env={name: "true"}, exit=2) for name in names)]


def _discoveries() -> list[World]:
    kind = "discovery never invents"
    young = [running(age="10m")]
    globs = stops({"alive_for": "2h"}, "*/*@*", "*@*")
    return [
        World(kind, "a young task, no function of 3.0", [running(age="10m", place="media/transcode@prod")],
              globs, [], exit=0,
              events=[{"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}]),
        World(kind, "a qualifier that is not there", young, globs, [], exit=2,
              events=[{"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}]),
        World(kind, "a function that is not there", young, globs, [], exit=2,
              events=[{"serviceName": "media", "functionName": "nothing"}]),
        World(kind, "a service that is not there", young, globs, [], exit=2,
              events=[{"serviceName": "nothing", "functionName": "transcode"}]),
        World(kind, "an alert about a function that is not there", young, globs, [], exit=2,
              events=[alertmanager({"functionName": "nothing", "serviceName": "media"})]),
        World(kind, "a function of 3.0 beside one of 2.0",
              [running(place="media/transcode@prod"), running("b", place="transcode@prod")], globs, ["a"],
               exit=0,
              events=[{"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}]),
        World(kind, "a task of 3.0 by its id", [running("a", place="resize"), running("b", place="resize")],
              stops({"alive_for": "2h"}, "*@*"), ["a"], events=[{"taskId": "a"}], exit=0),
    ]  # fmt: skip


@pytest.mark.parametrize("world", [*_refusals(), *_discoveries()], ids=str)
def test_refusals(world: World, tmp_path: Path) -> None:
    check(world, tmp_path)
