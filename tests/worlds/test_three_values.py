"""A condition is true, false or unknown: one no settles an *and*, one yes an *or*, and unknown means keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.worlds.world import World, check, file, rule, running, stops, task

GET, NO = ("--events", "get"), ("--events", "no")


def paid(
    payload: Any, invocation_id: str = "a", age: str = "9h", place: str = "media/transcode"
) -> dict[str, Any]:
    """A running task with a payload."""
    return running(invocation_id, age, place, payload=payload)


ONE_NO = [
    ("a clock within, an absent field; read by Get", [paid({"n": 1}, age="3h")],
     stops({"alive_for": "2h"}, unless=[{"alive_for": "6h", "where": "payload.vip"}]), ["a"], GET),
    ("a clock that is unknown, a field that says no", [paid({"vip": False}, age="3h")],
     stops({"alive_for": "2h"}, exempt=[{"alive_for": "6h", "where": "payload.vip"}]), ["a"], NO),
    ("the same in unless", [paid({"vip": False}, age="3h")],
     stops({"alive_for": "2h"}, unless=[{"running_for": "6h", "where": "payload.vip"}]), ["a"], NO),
    ("a clock within, an absent field; in a list", [paid({"n": 1}, age="3h")],
     stops({"alive_for": "2h"}, exempt=[{"alive_for": "6h", "where": "payload.vip"}]), ["a"], ()),
    ("a clock over, an absent field", [paid({"n": 1})],
     stops({"alive_for": "2h"}, exempt=[{"alive_for": "6h", "where": "payload.vip"}]), [], GET),
    ("a function of 3.0, read by Get", [paid({"n": 1}, age="3h", place="resize@prod")],
     stops({"alive_for": "2h"}, "resize@*", unless=[{"running_for": "6h", "where": "payload.vip"}]), ["a"],
     GET),
    ("another status, a clock that is unknown", [running(age="3h")],
     stops({"alive_for": "2h"}, unless=[{"alive_for": "6h", "status": "Enqueued"}]), ["a"], NO),
    ("another target, an absent field", [running(age="3h")],
     stops({"alive_for": "2h"}, exempt=[{"target": "media/resize", "where": "payload.vip"}]), ["a"], ()),
    ("another id, a clock that is unknown", [running(age="3h")],
     stops({"alive_for": "2h"}, exempt=[{"id": "vip-*", "running_for": "6h"}]), ["a"], NO),
    ("a waiting task, a clock within; read by Get", [task("a", "Enqueued", enqueued="-3h", payload={})],
     stops({"queued_for": "2h"}, unless=[{"queued_for": "6h", "where": "payload.vip"}]), ["a"], GET),
    ("one of two in a list of exemptions is unknown", [paid({"vip": False}, age="3h")],
     stops({"alive_for": "2h"}, exempt=[{"where": "payload.vip"}, {"where": "payload.paid"}]), [], ()),
    ("a match with one no and one unknown key", [paid({"n": 1}, age="1h")],
     stops({"alive_for": "2h", "where": "payload.vip"}), [], ()),
    ("two qualifiers, one of them exempt",
     [paid({"vip": True}, "v", place="media/transcode@prod"),
      paid({"vip": False}, place="media/transcode@v2"),
      paid({}, "u", place="media/transcode@v2")],
     stops({"alive_for": "2h"}, "media/transcode@*", exempt=[{"alive_for": "6h", "where": "payload.vip"}]),
     ["a"], GET),
]  # fmt: skip

READ_ONCE = [
    ("a report claims it, a stop rule needs the events", [task("a", "Enqueued", enqueued="-3h")],
     file(rule({"queued_for": "2h"}), rule({"status": "Enqueued"}, name="r", report="seen")), ["a"]),
    ("the report comes first", [task("a", "Enqueued", enqueued="-3h")],
     file(rule({"status": "Enqueued"}, name="r", report="seen"), rule({"queued_for": "2h"})), ["a"]),
    ("a function of 3.0", [running(place="resize")],
     file(rule({"status": "Running"}, "resize", name="r", report="seen"),
     rule({"running_for": "2h"}, "resize")),
     ["a"]),
    ("the report is by a clock of its own", [task("a", "Enqueued", enqueued="-3h", payload={"free": True})],
     file(rule({"alive_for": "1h"}, name="r", report="seen"),
     rule({"queued_for": "2h", "where": "payload.free"})),
     ["a"]),
    ("an exemption needs the events", [running(), running("b", "3h")],
     stops({"alive_for": "2h"}, exempt=[{"running_for": "6h"}]), ["b"]),
    ("a place in keep needs the events", [running("a", "3h"), running("b", "2h"), running("c", "1h")],
     file(rule({"status": "Running"}, name="r", report="seen"),
     rule({"status": "Running"}, keep={"at_most": 2})),
     ["c"]),
    ("a place in keep, several qualifiers",
     [running(name, age, f"media/transcode@{qualifier}")
      for name, age, qualifier in (("a", "3h", "prod"), ("b", "2h", "prod"), ("c", "1h", "v2"))],
     stops({"status": "Running"}, "media/transcode@*", keep={"at_most": 1, "per": "qualifier"}), ["b"]),
]  # fmt: skip

PINNED: dict[str, Any] = {"keep": {"at_most": 1}, "unless": [{"where": "payload.pinned"}]}

NOBODY: list[Any] = ["", "", None, None, {}, {}]
ORDERS = {"at_most": 1, "stop_first": "oldest", "per": "payload.order_id"}

KEEP = [
    ("its unless unknown: it counts", [paid({}, "j-1", "3h"), paid({"pinned": False}, "j-2", "2h")],
     stops({"status": "Running"}, **PINNED), ["j-2"], GET),
    ("its exemption unknown: it counts", [paid({}, "j-1", "3h"), paid({"vip": False}, "j-2", "2h")],
     stops({"status": "Running"}, exempt=[{"where": "payload.vip"}], keep={"at_most": 1}), ["j-2"], ()),
    ("its exemption unknown, of 3.0, by Get",
     [paid({}, "j-1", "3h", "resize"), paid({"vip": False}, "j-2", "2h", "resize")],
     stops({"status": "Running"}, "resize", exempt=[{"where": "payload.vip"}], keep={"at_most": 1}), ["j-2"],
     GET),
    ("its match unknown: it does not count", [paid({}, "j-1", "3h"), paid({"live": True}, "j-2", "2h")],
     stops({"where": "payload.live"}, keep={"at_most": 1}), [], GET),
    ("its first enqueueing is cut off: it takes no part",
     [task("j-1", enqueued="-3h", started="-3h", cutHead=1), running("j-2", "2h"), running("j-3", "1h")],
     stops({"status": "Running"}, keep={"at_most": 1}), ["j-3"], GET),
    ("enqueued again: the first time counts, the oldest first",
     [task("j-1", enqueued="-3h", reenqueued="-1h"), running("j-2", "2h")],
     stops({"status": "Running"}, keep={"at_most": 1, "stop_first": "oldest"}), ["j-1"], GET),
    ("strangers never share a group",
     [*(paid({"order_id": key}, f"g{n}", f"{n}h") for n, key in enumerate(NOBODY, 1)),
      paid({}, "n1"), paid({}, "n2"), paid({"order_id": "A7"}, "r1", "3h"), paid({"order_id": "A7"}, "r2")],
     stops({"status": "Running"}, keep=ORDERS), ["r2"], ()),
    ("strangers of 3.0, read by Get", [paid({"order_id": ""}, f"g{n}", f"{n}h", "resize") for n in (1, 2)],
     stops({"status": "Running"}, "resize", keep=ORDERS), [], GET),
]  # fmt: skip


def _worlds() -> list[World]:
    kinds = (("one no settles it", ONE_NO), ("keep", KEEP))
    worlds = [
        World(kind, name, tasks, policy, stopped, flags=flags)
        for kind, table in kinds
        for name, tasks, policy, stopped, flags in table
    ]
    worlds += [
        World("read once by Get", f"{name}{', listed' * (not flags)}", tasks, policy, stopped, flags=flags)
        for name, tasks, policy, stopped in READ_ONCE
        for flags in (GET, ())
    ]
    return worlds


@pytest.mark.parametrize("world", _worlds(), ids=str)
def test_three_values(world: World, tmp_path: Path) -> None:
    check(world, tmp_path)
