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


def where(expression: str, *targets: str) -> dict[str, Any]:
    """A policy that stops what is over two hours old and fits an expression."""
    return stops({"alive_for": "2h", "where": expression}, *targets)


def spared(expression: str) -> dict[str, Any]:
    """A policy that stops what is over two hours old, unless it fits an expression."""
    return stops({"alive_for": "2h"}, unless=[{"where": expression}])


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

EXPRESSIONS = [
    ("or, the other side absent", {"size": 9}, "payload.size > `5` || payload.tier == 'free'", True),
    ("or, one side false, the other absent", {"size": 1}, "payload.size > `5` || payload.tier == 'free'",
     None),
    ("or, the first side absent", {"size": 9}, "payload.tier == 'free' || payload.size > `5`", True),
    ("and, one side false, the other absent", {"size": 1}, "payload.size > `5` && payload.tier == 'free'",
     False),
    ("and, one side true, the other absent", {"size": 9}, "payload.size > `5` && payload.tier == 'free'",
     None),
    ("and, the first side absent", {"size": 1}, "payload.tier == 'free' && payload.size > `5`", False),
    ("not, absent", {}, "!(payload.tier == 'free')", None),
    ("not an and that one no settles", {"n": 1}, "!(payload.n == `2` && payload.gone)", True),
    ("an absent field", {}, "payload.tier == 'free'", None),
    ("an absent field is not another one", {}, "payload.tier != 'free'", None),
    ("null", {"tier": None}, "payload.tier != 'free'", None),
    ("text compared with a number", {"size": "9"}, "payload.size == `9`", None),
    ("text is no number", {"size": "9"}, "payload.size > `5`", None),
    ("text is neither true nor false", {"vip": "yes"}, "payload.vip", None),
    ("a number is neither true nor false", {"vip": 1}, "payload.vip && payload.vip", None),
    ("not a list", {"tags": []}, "!payload.tags", None),
    ("a filter with an unknown element", {"items": [{"n": 9}, {}]}, "length(payload.items[?n > `5`]) == `1`",
     None),
    ("a filter with known elements", {"items": [{"n": 9}, {"n": 1}]},
     "length(payload.items[?n > `5`]) == `1`", True),
    ("a function of an absent field", {}, "contains(payload.tags, 'x')", None),
    ("an age is an interval", {}, "ages.alive_for > `7200`", True),
    ("a number in a list of texts", {"tags": ["7"]}, "contains(payload.tags, `7`)", None),
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

NOBODY: list[Any] = ["", "  ", "\t\n", None, [], {}, [""], [None], {"id": ""}, {"id": None}, [[]], ["A7", ""]]


def _groups() -> list[World]:
    known = [paid({"order_id": "A7"}, "r1", "3h"), paid({"order_id": "A7"}, "r2", "1h")]
    each = stops(
        {"status": ["Enqueued", "Running"]},
        keep={"at_most": 1, "stop_first": "oldest", "per": "payload.order_id"},
    )
    both = stops(
        {"status": "Running"},
        keep={"at_most": 1, "stop_first": "oldest", "per": "[payload.order_id, payload.region]"},
    )
    kind = "strangers never share a group"
    worlds = [
        World(
            kind,
            repr(key),
            [*(paid({"order_id": key}, f"g{n}", f"{n}h") for n in (1, 2, 3)), *known],
            each,
            ["r1"],
        )
        for key in NOBODY
    ]
    worlds.append(
        World(kind, "no key", [*(paid({}, f"g{n}", f"{n}h") for n in (1, 2, 3)), *known], each, ["r1"])
    )
    worlds.append(World(kind, "no payload", [running("g1"), running("g2", "8h"), *known], each, ["r1"]))
    parts: list[Any] = ["", None, []]
    for part in parts:
        strangers = [paid({"order_id": "A7", "region": part}, f"g{n}", f"{n}h") for n in (1, 2)]
        friends = [paid({"order_id": "A7", "region": "x"}, f"r{n}", f"{n}h") for n in (1, 2)]
        worlds.append(World(kind, f"one part of two is {part!r}", [*strangers, *friends], both, ["r2"]))
    for key in (0, False, ["A7"], {"id": 7}):
        tasks = [paid({"order_id": key}, f"g{n}", f"{n}h") for n in (1, 2)]
        worlds.append(World("a group key that somebody filled in", repr(key), tasks, each, ["g2"]))
    three = [paid({"order_id": ""}, f"g{n}", f"{n}h", "resize") for n in (1, 2)]
    policy = stops({"status": "Running"}, "resize", keep={"at_most": 1, "per": "payload.order_id"})
    return [*worlds, World(kind, "a function of 3.0, read by Get", three, policy, [], flags=GET)]


PINNED: dict[str, Any] = {"keep": {"at_most": 1}, "unless": [{"where": "payload.pinned"}]}

KEEP = [
    ("exempt, its unless unknown: it counts",
     [paid({}, "vip-1", "3h"), paid({"pinned": False}, "job-1", "2h")],
     stops({"status": "Running"}, exempt=["vip-*"], **PINNED), ["job-1"]),
    ("its unless unknown: it counts", [paid({}, "j-1", "3h"), paid({"pinned": False}, "j-2", "2h")],
     stops({"status": "Running"}, **PINNED), ["j-2"]),
    ("its unless true: it counts",
     [paid({"pinned": True}, "j-1", "3h"), paid({"pinned": False}, "j-2", "2h")],
     stops({"status": "Running"}, **PINNED), ["j-2"]),
    ("its unless unknown: it is never chosen", [paid({}, "j-2", "2h"), paid({"pinned": False}, "j-1", "3h")],
     stops({"status": "Running"}, **PINNED), ["j-1"]),
    ("its exemption unknown: it counts", [paid({}, "j-1", "3h"), paid({"vip": False}, "j-2", "2h")],
     stops({"status": "Running"}, exempt=[{"where": "payload.vip"}], keep={"at_most": 1}), ["j-2"]),
    ("its exemption unknown, of 3.0, by Get",
     [paid({}, "j-1", "3h", "resize"), paid({"vip": False}, "j-2", "2h", "resize")],
     stops({"status": "Running"}, "resize", exempt=[{"where": "payload.vip"}], keep={"at_most": 1}), ["j-2"]),
    ("all exemptions unknown: none is chosen", [paid({}, f"j-{n}", f"{n}h") for n in (1, 2, 3)],
     stops({"status": "Running"}, exempt=[{"where": "payload.vip"}], keep={"at_most": 1}), []),
    ("its match unknown: it does not count", [paid({}, "j-1", "3h"), paid({"live": True}, "j-2", "2h")],
     stops({"where": "payload.live"}, keep={"at_most": 1}), []),
    ("it is Stopping: it does not count",
     [task("j-1", "Stopping", enqueued="-3h", stopping="-10s"), running("j-2", "2h")],
     stops({"status": ["Running", "Stopping"]}, keep={"at_most": 1}), []),
    ("its first enqueueing is cut off: it takes no part",
     [task("j-1", enqueued="-3h", started="-3h", cutHead=1), running("j-2", "2h"), running("j-3", "1h")],
     stops({"status": "Running"}, keep={"at_most": 1}), ["j-3"]),
    ("its first enqueueing is cut off: it is not chosen",
     [task("j-3", enqueued="-3h", started="-3h", cutHead=1), running("j-2", "2h")],
     stops({"status": "Running"}, keep={"at_most": 1, "stop_first": "oldest"}), []),
    ("enqueued again: the first time counts",
     [task("j-1", enqueued="-3h", reenqueued="-1h"), running("j-2", "2h")],
     stops({"status": "Running"}, keep={"at_most": 1}), ["j-2"]),
    ("enqueued again: the first time counts, the oldest first",
     [task("j-1", enqueued="-3h", reenqueued="-1h"), running("j-2", "2h")],
     stops({"status": "Running"}, keep={"at_most": 1, "stop_first": "oldest"}), ["j-1"]),
    ("per qualifier",
     [paid({}, f"{q}-{n}", f"{n}h", f"media/transcode@{q}") for q in ("prod", "v2") for n in (1, 2)],
     stops({"status": "Running"}, "media/transcode@*", keep={"at_most": 1, "per": "qualifier"}),
     ["prod-1", "v2-1"]),
    ("a tie is settled by id", [running("j-2", "2h"), running("j-1", "2h")],
     stops({"status": "Running"}, keep={"at_most": 1, "stop_first": "oldest"}), ["j-1"]),
]  # fmt: skip


def _worlds() -> list[World]:
    worlds = [
        World("one no settles it", name, tasks, policy, stopped, flags=flags)
        for name, tasks, policy, stopped, flags in ONE_NO
    ]
    for name, payload, expression, value in EXPRESSIONS:
        stopped = ["a"] if value else []
        left = ["a"] if value is False else []
        worlds += [
            World(
                "three values in expressions", f"match, {name}", [paid(payload)], where(expression), stopped
            ),
            World(
                "three values in expressions", f"unless, {name}", [paid(payload)], spared(expression), left
            ),
        ]
    for name, tasks, policy, stopped in READ_ONCE:
        for flags in (GET, ()):
            worlds.append(
                World(
                    "read once by Get",
                    f"{name}{', listed' * (not flags)}",
                    tasks,
                    policy,
                    stopped,
                    flags=flags,
                )
            )
    worlds += _groups()
    for name, tasks, policy, stopped in KEEP:
        for flags in ((), GET):
            worlds.append(
                World("keep", f"{name}{', read by Get' * bool(flags)}", tasks, policy, stopped, flags=flags)
            )
    return worlds


@pytest.mark.parametrize("world", _worlds(), ids=str)
def test_three_values(world: World, tmp_path: Path) -> None:
    check(world, tmp_path)
