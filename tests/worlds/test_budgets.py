"""Budgets, the day's included, `halt_over` and denials: what fails spends nothing, what is unclear does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.reaping import FASTER
from tests.reliability.virtual import VirtualTime
from tests.worlds.world import TIMER, World, check, file, rule, running, several, stops

STOP, GET = "StopStatefulAsyncInvocation", "GetStatefulAsyncInvocation"
OVER = {"alive_for": "2h"}
BOTH = ("media/archive", "media/transcode")
IN_TURN = {"REAPER_CONCURRENCY": "1"}


def fault(operation: str, invocation_id: str = "*", **more: Any) -> dict[str, Any]:
    """A fault that lasts, of the calls about some ids."""
    return {"operation": operation, "times": 100_000, "match": {"invocationId": invocation_id}, **more}


def of(function: str, operation: str = STOP, **more: Any) -> dict[str, Any]:
    """A fault that lasts, of one function, or `FUNCTION@QUALIFIER`."""
    name, _, qualifier = function.partition("@")
    match = {"functionName": name, **({"qualifier": qualifier} if qualifier else {})}
    return {"operation": operation, "times": 100_000, "match": match, **more}


BROKEN: dict[str, Any] = {"status": 500}
DENIED: dict[str, Any] = {"status": 403, "code": "AccessDenied"}
OKS = [f"ok-{number}" for number in range(3)]


def _failures() -> list[World]:
    kind = "what fails spends no budget"
    twice = [TIMER] * 2
    archive = [*several("arch", 45, place="media/archive"), *several("ok", 3, "4h")]
    return [
        World(kind, "all stops in a function are denied", archive, stops(OVER, *BOTH), OKS, events=twice,
              faults=[of("archive", **DENIED)]),
        World(kind, "all reads in a function are denied", archive, stops(OVER, *BOTH), OKS, events=twice,
              faults=[of("archive", GET, **DENIED)]),
        World(kind, "all stops of one function of 3.0 are denied",
              [*several("arch", 25, place="archive"), *several("ok", 3, "4h", "resize")],
              stops(OVER, "archive", "resize"), OKS, events=twice, faults=[of("archive", **DENIED)]),
        World(kind, "all reads in a function fail, whoever else is due is younger", archive,
              stops(OVER, *BOTH), OKS, events=twice, faults=[of("archive", GET, **BROKEN)]),
    ]  # fmt: skip


def _denials() -> list[World]:
    kind = "only 401 and 403 are denials"
    bad_and_ok = [*several("bad", 4), running("ok-1", "4h")]
    worlds = [
        World(kind, f"four times {status}, then the rest", bad_and_ok, stops(OVER, budget="5/run"), ["ok-1"],
              env=IN_TURN, clock=VirtualTime().clock if status == 429 else FASTER,
              faults=[fault(STOP, "bad-*", status=status, code=code)])
        for status, code in (
            (404, "StatefulAsyncInvocationNotFound"), (412, "PreconditionFailed"), (429, "ResourceExhausted"),
            (500, "InternalServerError"), (503, "ResourceThrottled"))
    ]  # fmt: skip
    worlds.append(
        World("three denials in a row skip the rest of a function", "of 3.0",
              [*several("bad", 3, place="archive"), running("ok-1", "4h", "archive"),
               running("ok-2", "4h", "resize")],
              stops(OVER, "archive", "resize"), ["ok-2"], env=IN_TURN,
              faults=[fault(STOP, "bad-*", **DENIED)], exit=1)
    )  # fmt: skip
    return worlds


def _days() -> list[World]:
    lag = ("--list-lag", "5s")
    daily = {"budget": "5/run, 5/day"}
    stale = "a quota is not read from a stale list alone"
    earlier = "what earlier policies were granted counts"
    day = "the day's budget"
    twelve = several("d", 12)
    first = [f"d-{number}" for number in range(5)]
    return [
        World(stale, "three runs, a run takes less than the day", twelve, stops(OVER, budget="2/run, 5/day"),
              None, 5,
              [TIMER] * 4, flags=lag),
        World(stale, "a function of 3.0", several("d", 10, place="resize"), stops(OVER, "resize", **daily),
              None, 5,
              [TIMER] * 2, flags=lag),
        World(stale, "two qualifiers",
              [*several("d", 6, place="media/transcode@prod"), *several("e", 6, place="media/transcode@v2")],
              stops(OVER, "media/transcode@*", **daily), None, 5, [TIMER] * 3, flags=lag),
        World(stale, "alerts", twelve, stops(OVER, **daily), None, 5, [{"functionName": "transcode"}] * 3,
              flags=lag),
        World(stale, "whatever a finished task is answered", twelve, stops(OVER, **daily), None, 5,
              [TIMER] * 3,
              flags=(*lag, "--stop-finished", "400", "--stop-stopping", "412", "--stop-answer", "204")),
        World(day, "two functions of 3.0", [*several("a", 5, place="a"), *several("b", 5, place="b")],
              stops(OVER, "a", "b", **daily), None, 5, [{"functionName": "a"}, {"functionName": "b"}]),
        World(day, "two qualifiers, an event for each",
              [*several("a", 5, place="media/transcode@p"), *several("b", 5, place="media/transcode@q")],
              stops(OVER, "media/transcode@*", **daily), None, 5,
              [{"functionName": "transcode", "qualifier": qualifier} for qualifier in "pq"]),
        World(day, "an event for each task", twelve, stops(OVER, **daily), None, 5,
              [{"invocationId": f"d-{number}"} for number in range(12)]),
        World(earlier, "two policies, the same tasks", twelve,
              file(rule(OVER, **daily), rule(OVER, name="q", **daily)),
              None, 5),
        World(earlier, "two policies of one function of 3.0", several("d", 12, place="resize"),
              file(rule(OVER, "resize", **daily),
                   rule({"running_for": "1h"}, "resize", name="q", unless=first, **daily)), None, 5),
        World(earlier, "a keep policy beside one by age", twelve,
              file(rule(OVER, unless=[f"d-{number}" for number in range(5, 12)], **daily),
                   rule({"status": "Running"}, name="q", keep={"at_most": 2}, **daily)), None, 5),
        World(earlier, "a run later", twelve,
              file(rule(OVER, budget="2/run, 5/day"),
                   rule({"running_for": "1h"}, name="q", unless=first, budget="2/run, 5/day")), None, 5,
                   [TIMER] * 4),
        World(earlier, "two qualifiers share no function",
              [*several("a", 3, place="media/transcode@p"), *several("b", 3, place="media/transcode@q")],
              file(rule(OVER, "media/transcode@p", budget="3/run, 3/day"),
                   rule(OVER, "media/transcode@q", name="q", budget="3/run, 3/day")),
              ["a-0", "a-1", "a-2", "b-0", "b-1", "b-2"]),
    ]  # fmt: skip


def _halts() -> list[World]:
    kind = "an event cannot get round halt_over"
    functions = [running(f"h-{f}", place=f"media/{f}") for f in "pqrst"]
    alert = {"version": "4", "status": "firing", "receiver": "r", "groupLabels": {}, "commonLabels": {}}
    return [
        World(kind, "an event for each literal function", functions,
              stops(OVER, *(f"media/{f}" for f in "pqrst"), halt_over=3), [],
              events=[{"functionName": f} for f in "pqrst"]),
        World(kind, "an alert for each function", functions, stops(OVER, "media/*", halt_over=3), [],
              events=[{**alert,
              "alerts": [{"status": "firing", "labels": {"functionName": f, "serviceName": "media"}}]}
                      for f in "pqrst"]),
        World(kind, "tasks of 3.0", several("h", 5, place="resize"), stops(OVER, "resize", halt_over=3), [],
              events=[{"taskId": f"h-{n}"} for n in range(5)]),
        World(kind, "what is exempt is not due", [*several("h", 3), *several("vip", 3)],
              stops(OVER, halt_over=3, exempt=["vip-*"]), ["h-1"], events=[{"invocationId": "h-1"}]),
    ]  # fmt: skip


def _unclear() -> list[World]:
    kind = "only the platform's own refusal gives a place back"
    answers: dict[str, dict[str, Any]] = {
        "408": {"status": 408, "code": "RequestTimeout", "applied": True},
        "302": {"status": 302, "body": {"Code": "Moved", "Message": ""}, "applied": True},
        "500": {"status": 500, "applied": True},
        "504 of a gateway": {"status": 504, "foreign": "<html>late</html>", "applied": True},
        "403 of a gateway": {"status": 403, "foreign": "<html>no</html>", "applied": True},
        "418 without an error code": {"status": 418, "body": {"hello": 1}, "applied": True},
        "400 that says nothing": {"status": 400, "foreign": "", "applied": True},
        "409 of a gateway": {"status": 409, "foreign": "<html>", "applied": True},
        "429 of a gateway": {"status": 429, "foreign": "slow down", "applied": True},
        "no answer": {"drop": "after"},
        "half an answer": {"truncate": True},
        "412 though it took effect": {"status": 412, "code": "PreconditionFailed", "applied": True},
        "403 though it took effect": {"status": 403, "code": "AccessDenied", "applied": True},
    }
    worlds = [
        World(
            kind, name, several("r", 6), stops(OVER, budget="2/run"), None, 2, faults=[fault(STOP, **answer)]
        )
        for name, answer in answers.items()
    ]
    worlds += [
        World(kind, f"{name}, a function of 3.0", several("r", 6, place="resize"),
              stops(OVER, "resize", budget="2/run"),
              None, 2, faults=[fault(STOP, **answers[name])])
        for name in ("408", "no answer", "403 of a gateway")
    ]  # fmt: skip
    return worlds


def _rates() -> list[World]:
    kind = "the rate is learnt"
    eight = several("r", 8)
    throttled = {"operation": "*", "times": 6, "status": 429, "code": "ResourceExhausted"}
    return [
        World(kind, "six calls in a row are refused", eight, stops(OVER),
              [one["invocationId"] for one in eight], faults=[throttled]),
        World(kind, "three calls are refused, and say for how long", several("r", 3), stops(OVER),
              ["r-0", "r-1", "r-2"], faults=[{**throttled, "times": 3, "retryAfter": 1}]),
    ]  # fmt: skip


WORLDS = [*_failures(), *_denials(), *_days(), *_halts(), *_unclear(), *_rates()]


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_budgets(world: World, tmp_path: Path) -> None:
    check(world, tmp_path)
