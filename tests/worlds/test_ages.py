"""An age is known within bounds: too young to condemn proves no exemption false."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.worlds.world import World, check, record, running, stops, task

NOW_S = int(time.time())
OFTEN_RETRIED = stops({"retries_over": 2})

BOUNDS = [
    ("an exemption, the latest date in the future",
     [record(("Enqueued", "-1h"), ("Running", "+2h"), retries=5)],
     stops({"retries_over": 2}, exempt=[{"running_for": "6h"}]), []),
    ("one of many events has no date",
     [record(("Enqueued", "-9h"), ("Dequeued", None), ("Running", "-8h"))], stops({"running_for": "2h"}), []),
    ("a date of 2016", [record(("Enqueued", "2016-12-31T23:59:59Z"), ("Running", "-3h"))],
     stops({"alive_for": "2h"}), []),
    ("a date of 2017", [record(("Enqueued", "2017-01-02T00:00:00Z"), ("Running", "-3h"))],
     stops({"alive_for": "2h"}), ["a"]),
    ("the head is lost, and the present attempt is known",
     [task(enqueued="-8h", started="-3h", cutHead=2)], stops({"running_for": "2h"}), ["a"]),
    ("the head is lost, and the longest age is not known",
     [record(("Running", "-90m"), retries=0)], stops({"running_for": "1h"}, unless=[{"alive_for": "2h"}]),
      []),
    ("delayed on purpose, it waits", [task("a", "Enqueued", enqueued="-30m", delay="1h")],
     stops({"queued_for": "1h"}), []),
    ("torn in one qualifier, whole in the other",
     [task("a", place="media/transcode@prod", enqueued="-9h", started="-3h", cutHead=2),
      task("b", place="media/transcode@v2", enqueued="-3h", started="-3h")],
     stops({"running_for": "2h"}, "media/transcode@*", exempt=[{"alive_for": "6h"}]), ["b"]),
    ("a function of 3.0, the first enqueueing cut off",
     [task(place="resize", enqueued="-9h", started="-3h", cutHead=1)],
     stops({"running_for": "2h"}, "resize", unless=[{"alive_for": "6h"}]), []),
    ("the tail is lost, and an exemption is false by the upper bound",
     [record(("Enqueued", "-5h"), ("Running", "-4h"), retries=2)],
     stops({"retries_over": 1}, unless=[{"running_for": "5h"}]), ["a"]),
    ("a function of 3.0, the tail is cut",
     [task(place="resize", enqueued="-9h", started="-1h", retries=2, cutTail=2)],
     stops({"running_for": "2h"}, "resize"), []),
    ("Running, though it was stopped",
     [record(("Enqueued", "-9h"), ("Running", "-8h"), ("Stopped", "-1h"), status="Running", retries=5)],
     OFTEN_RETRIED, []),
    ("a status that nobody knows",
     [record(("Enqueued", "-9h"), ("Suspended", "-8h"), retries=5)], OFTEN_RETRIED, []),
]  # fmt: skip
"""What a record lacks or contradicts; `tests/evaluator/test_second_reading.py` has the law."""

BEFORE_THE_PLATFORM = [
    ("startedTime is 1", 1, "unknown", []),
    ("startedTime is 0", 0, "enqueue", []),
    ("startedTime is negative", -9, "enqueue", []),
    ("startedTime is in 1970, in milliseconds", 86_400_000, "unknown", []),
    ("startedTime is in 2016", "2016-06-01T00:00:00Z", "enqueue", []),
    ("startedTime is in 2018", "2018-06-01T00:00:00Z", "enqueue", ["a"]),
    ("startedTime is to come", "+1h", "enqueue", []),
    ("startedTime is in seconds", NOW_S - 9 * 3600, "unknown", ["a"]),
]


def _worlds() -> list[World]:
    worlds = [
        World(
            "ages are bounds", f"{name}{', read by Get' * bool(flags)}", tasks, policy, stopped, flags=flags
        )
        for name, tasks, policy, stopped in BOUNDS
        for flags in ((), ("--events", "get"))
    ]
    worlds += [
        World(
            "a date before the platform existed is none",
            name,
            [running(startedTime=started, age="10m")],
            stops({"alive_for": "2h"}),
            stopped,
            flags=["--events", "no"],
            env={"REAPER_STARTED_TIME": meaning},
        )
        for name, started, meaning, stopped in BEFORE_THE_PLATFORM
    ]
    return worlds


@pytest.mark.parametrize("world", _worlds(), ids=str)
def test_ages(world: World, tmp_path: Path) -> None:
    check(world, tmp_path)


TOO_YOUNG = [running(age="7190s")]
"""Ten seconds short of two hours."""
LIST = "ListStatefulAsyncInvocations"

MOMENTS = [
    ("a list two hours ahead, and a read that is right",
     [running(age="1h")], stops({"alive_for": "2h"}), LIST, "+2h", [], None),
    ("twenty seconds ahead, due by that clock alone", TOO_YOUNG, stops({"alive_for": "2h"}), "*", "+20s", [],
     0),
    ("twenty seconds ahead, exempt by that clock alone",
     TOO_YOUNG, stops({"running_for": "1h"}, exempt=[{"alive_for": "2h"}]), "*", "+20s", [], 0),
    ("twenty seconds behind, exempt by ours alone",
     [running(age="7205s")], stops({"running_for": "1h"}, unless=[{"alive_for": "2h"}]), "*", "-20s", [], 0),
    ("twenty seconds apart, over by both", [running()], stops({"alive_for": "2h"}), "*", "-20s", ["a"], 0),
    ("twenty seconds ahead, an event between both clocks",
     [record(("Enqueued", "-9h"), ("Running", "+10s"), retries=5)], OFTEN_RETRIED, "*", "+20s", ["a"], 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("tasks", "policy", "operation", "date", "stopped", "code"),
    [pytest.param(*rest, id=f"the moment has bounds: {name}") for name, *rest in MOMENTS],
)
def test_the_moment_has_bounds(
    tasks: list[dict[str, object]],
    policy: dict[str, object],
    operation: str,
    date: str,
    stopped: list[str],
    code: int | None,
    tmp_path: Path,
) -> None:
    """The earlier clock condemns, the later one exempts; without two that agree nothing is stopped."""
    faults = [{"operation": operation, "times": 1000, "date": date}]
    check(World("the moment has bounds", "", tasks, policy, stopped, faults=faults, exit=code), tmp_path)
