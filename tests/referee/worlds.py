"""Random worlds, each from one number: an account, a policy, events, faults, clocks, and who else is about.

What is common here is what is rare elsewhere: records that were cut off, re-enqueued, undated, dated ahead;
several `keep` policies; pages; ages exactly at a limit. An event is made together with its meaning, so that
nobody has to read it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from fc_emulator.lifecycle import Event, Lifecycle
from tests.referee.reading import CARRIED, PER, WHERE
from tests.referee.wire import CHANGES, Place

BASE = 1_795_000_000_000
"""Every world begins some time after this moment of November 2026."""

PLACES: tuple[Place, ...] = (
    ("media", "transcode", "LATEST"),
    ("media", "transcode", "prod"),
    ("media", "transcode", "7"),
    ("media", "resize", "LATEST"),
    ("audio", "mix", "prod"),
    (None, "resize", "LATEST"),
    (None, "encode", "prod"),
    (None, "encode", "LATEST"),
)
OWN: Place = ("ops", "fc-reaper", "LATEST")
LIMITS = {"30m": 1800, "1h": 3600, "2h": 7200, "6h": 21600}
ALIVE = ("Enqueued", "Dequeued", "Running", "Retrying")


class Request(NamedTuple):
    """What an event asks for: its kind, the timer's name, and the function and the task that it names."""

    kind: str
    name: str | None = None
    service: str | None = None
    function: str | None = None
    qualifier: str | None = None
    invocation_id: str | None = None


class Asked(NamedTuple):
    """What one event means: requests, and whether it wishes a dry run."""

    requests: tuple[Request, ...] = ()
    wish: bool = False


class Actor(NamedTuple):
    """Somebody else, who does something to a task after so many seconds: `stop`, `forget` or `replace`."""

    after: float
    action: str
    place: Place
    invocation_id: str

    def lifecycle(self, now: int) -> Lifecycle:
        """A fresh task under the same id."""
        return Lifecycle(
            "Running",
            (Event(now - 100, "Enqueued"), Event(now - 50, "Running")),
            enqueued=now - 100,
            executed=now - 50,
        )


@dataclass
class World:
    """All that a world is made of. `events` are carried out one after the other, `pause` seconds apart."""

    number: int
    start: int = BASE
    options: dict[str, Any] = field(default_factory=dict)
    invocations: list[dict[str, Any]] = field(default_factory=list)
    functions: list[dict[str, Any]] = field(default_factory=list)
    tree: dict[str, Any] = field(default_factory=dict)
    locked: tuple[dict[str, Any], list[str]] | None = None
    env: dict[str, str] = field(default_factory=dict)
    events: list[tuple[bytes, str]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    pause: float = 300.0
    timeout: float = 120.0
    skew: int = 0
    delays: tuple[float, float] = (0.0, 0.0)
    faults: list[dict[str, Any]] = field(default_factory=list)
    wire_faults: list[dict[str, Any]] = field(default_factory=list)
    actors: list[Actor] = field(default_factory=list)

    def latency(self, random: Random) -> float:
        """How long a message takes one way, in seconds."""
        low, high = self.delays
        return low if low == high else round(random.uniform(low, high), 3)

    @property
    def places(self) -> list[Place]:
        """Every function under each of its qualifiers."""
        return list(
            dict.fromkeys(
                (one.get("serviceName"), one["functionName"], one.get("qualifier", "LATEST"))
                for one in (*self.functions, *self.invocations)
            )
        )


def world_of(number: int) -> World:
    """The world of a number, always the same one."""
    return _Maker(number).world


class _Maker:
    """Draws one world. Every choice is one of `random`, in a fixed order."""

    def __init__(self, number: int) -> None:
        self.random = random = Random(number)
        self.world = world = World(number)
        world.start = BASE + random.randrange(10**8) * (1000 if random.random() < 0.7 else 1)
        self.places = random.sample(PLACES, random.choice([1, 1, 2, 2, 3, 4]))
        if random.random() < 0.12:
            self.places.append(OWN)
        if (None, "resize", "LATEST") in self.places and random.random() < 0.1:
            self.places.append((None, "media$resize", "LATEST"))
        world.options = self._options()
        self._account()
        world.tree = self._tree()
        world.env = self._env()
        self._lock()
        runs = random.choice([1, 1, 1, 2])
        for _ in range(runs):
            event, asked = self._event()
            mode = "enforce" if random.random() < 0.85 else "dry-run"
            world.events.append((event, mode))
            world.asked.append(asked)
        world.pause = random.choice([1.0, 30.0, 300.0, 3600.0])
        world.delays = random.choice([(0.0, 0.0)] * 4 + [(0.01, 0.01)] * 3 + [(0.0, 0.3)] * 2 + [(0.5, 2.0)])
        world.timeout = random.choice([60.0, 120.0, 600.0] * 3 + [13.0])
        if random.random() < 0.25:
            world.skew = random.choice(
                [-2_000, 5_000, -20_000, 28_000, 33_000, -40_000, 1_200_000, -1_200_000]
            )
        if random.random() < 0.45:
            self._faults()
        if random.random() < 0.3:
            self._actors()

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    # The account

    def _options(self) -> dict[str, Any]:
        pick = self.random.choice
        options = {
            "stopping": pick([200, 1000, 1000, 5000, None]),
            "started_time": pick(["enqueue", "execution"]),
            "events": pick(["list", "list", "get", "get", "no"]),
            "record_qualifier": pick(["asked", "version"]),
            "stop_finished": pick([412, 400]),
            "stop_stopping": pick([200, 412]),
            "list_lag": pick([0, 0, 0, 2_000, 10_000]),
            "arn": pick(["colon", "slash"]),
            "stop_answer": pick([200, 204]),
            "empty_list": pick(["key", "omitted"]),
            "event_detail": pick(["empty", "log-tail"]),
            "latency": pick([0, 0, 20]),
            "rate": pick([None] * 8 + [30.0, 8.0]),
        }
        if self.chance(0.15):
            options["security_token"] = "STS.token-of-the-world"
        return options

    def _account(self) -> None:
        world = self.world
        number = 0
        for place in self.places:
            many = self.random.choice([0, 1, 3, 6, 10, 16, 24])
            for _ in range(many):
                number += 1
                world.invocations.append(self._task(place, number))
            if self.chance(0.12):
                entry = self._task(place, 0, plain=True)
                entry |= {"invocationId": "bulk-{n}", "count": self.random.choice([30, 110, 230])}
                world.invocations.append(entry)
            service, name, qualifier = place
            world.functions.append(
                {"serviceName": service, "functionName": name, "qualifier": qualifier, "taskMode": True}
            )
        if self.chance(0.2):
            world.functions.append({"functionName": "encoder", "qualifier": "LATEST", "taskMode": False})

    def _age(self) -> int:
        """Seconds, often near a limit, or exactly at it."""
        limit = self.random.choice(list(LIMITS.values()))
        return max(
            1, limit + self.random.choice([0, 0, 1, 1, -1, 2, 600, 600, -600, 3600, 40_000, -limit // 2])
        )

    def _task(self, place: Place, number: int, plain: bool = False) -> dict[str, Any]:
        random, pick = self.random, self.random.choice
        prefix = pick(["job", "job", "job", "vip", "keep", "nightly"])
        status = pick(
            ["Running"] * 6
            + ["Enqueued"] * 3
            + ["Retrying"] * 2
            + ["Dequeued", "Stopping", "Stopping", "Stopped", "Succeeded", "Failed"]
        )
        if plain:
            status = pick(["Running", "Running", "Enqueued", "Succeeded"])
        alive = self._age()
        entry: dict[str, Any] = {
            "functionName": place[1],
            "qualifier": place[2],
            "invocationId": f"{prefix}-{number}",
            "status": status,
            "enqueued": f"-{alive}s",
            "payload": self._payload(),
        }
        if place[0] is not None:
            entry["serviceName"] = place[0]
        ran = min(alive, self._age())
        if status not in ("Enqueued", "Dequeued"):
            entry["started"] = f"-{ran}s"
        if status == "Stopping":
            entry["stopping"] = f"-{min(ran, pick([1, 100, 181, 601, 4000]))}s"
        if status in ("Stopped", "Succeeded", "Failed"):
            entry["ends"] = f"-{min(ran, pick([1, 600, 3600, 86_000, 90_000]))}s"
            if status == "Stopped":
                entry["stopping"] = entry["ends"]
        if plain:
            return entry
        if status in ("Running", "Retrying", "Enqueued") and self.chance(0.3):
            entry["retries"] = random.randint(1, 4)
        if status == "Retrying":
            entry["retries"] = max(1, entry.get("retries", 1))
        if status in ("Running", "Retrying") and self.chance(0.15):
            entry["reenqueued"] = f"-{random.randint(ran, alive)}s"
        if status in ALIVE and self.chance(0.06):
            entry["ends"] = f"+{pick([1, 2, 5, 20])}s"
        if status == "Enqueued" and self.chance(0.05):
            entry["started"] = f"+{pick([1, 3, 10])}s"
        if self.chance(0.35):
            self._damage(entry, alive, ran)
        if self.chance(0.06):
            entry["startedTime"] = pick([0, 1, "+1h", "-1s", f"-{alive + 500}s"])
        if self.chance(0.06):
            del entry["payload"]
            entry["payloadText"] = pick(["", "not json", "[1, 2]", "5", '"gold"', "null"])
        return entry

    def _damage(self, entry: dict[str, Any], alive: int, ran: int) -> None:
        """Make the record say less than there was, or something that cannot be."""
        what = self.random.choice(
            [
                "head",
                "head",
                "tail",
                "tail",
                "undated",
                "ahead",
                "contradicts",
                "over",
                "retries",
                "no events",
            ]
        )
        status = entry["status"]
        if what == "head":
            entry["cutHead"] = self.random.choice([1, 1, 2, 3])
        elif what == "tail":
            entry["cutTail"] = 1
        elif what == "retries":
            entry["retries"] = self.random.randint(1, 5)
            entry["events"] = [
                {"status": "Enqueued", "timestamp": f"-{alive}s"},
                {"status": status, "timestamp": f"-{ran}s"},
            ]
        elif what == "no events":
            entry["events"] = []
        else:
            events: list[dict[str, Any]] = [{"status": "Enqueued", "timestamp": f"-{alive}s"}]
            if status != "Enqueued":
                events.append({"status": "Running", "timestamp": f"-{ran}s"})
                if status not in ("Running", "Dequeued"):
                    events.append({"status": status, "timestamp": f"-{min(ran, 60)}s"})
            if what == "undated":
                hit = self.random.choice(events)
                hit.pop("timestamp")
                if self.chance(0.5):
                    hit["timestamp"] = self.random.choice([0, -5, 1])
            elif what == "ahead":
                self.random.choice(events[-1:] + events)["timestamp"] = self.random.choice(
                    ["+2s", "+1h", "+9d"]
                )
            elif what == "contradicts":
                events.append(
                    {"status": self.random.choice(["Running", "Retrying", "Dequeued"]), "timestamp": "-1s"}
                )
            elif what == "over":
                events.insert(1, {"status": "Succeeded", "timestamp": f"-{alive}s"})
            entry["events"] = events

    def _payload(self) -> Any:
        pick, payload = self.random.choice, dict[str, Any]()
        if self.chance(0.6):
            payload["tier"] = pick(["gold", "silver", "free", "free", None, 5])
        if self.chance(0.6):
            payload["n"] = pick([1, 2, 6, 9, "6", None, True])
        if self.chance(0.4):
            payload["urgent"] = pick([True, False, False, "yes"])
        if self.chance(0.6):
            payload["order"] = pick(["a", "a", "b", "b", "c", "", " ", None, [], ["a"], [""]])
        if self.chance(0.4):
            payload["max_run"] = pick(list(CARRIED))
        return payload

    # The policy

    def _tree(self) -> dict[str, Any]:
        tree: dict[str, Any] = {"version": 1}
        if self.chance(0.6):
            tree["exempt"] = [self._sparing() for _ in range(self.random.choice([1, 1, 2]))]
        tree["policies"] = [self._policy(number) for number in range(self.random.choice([1, 2, 2, 3, 4]))]
        return tree

    def _sparing(self) -> Any:
        pick = self.random.choice
        limit = pick(list(LIMITS))
        return pick(
            [
                "keep-*",
                "vip-*",
                "keep-*",
                {"target": "media/resize"},
                {"target": "encode@prod"},
                {"status": ["Retrying"]},
                {"running_for": limit},
                {"alive_for": limit},
                {"retries_over": 2},
                {"where": pick(list(WHERE))},
                {"id": ["vip-*", "job-1?"], "status": ["Running"]},
                {"queued_for": limit, "where": pick(list(WHERE))},
                {"status": ["Enqueued"]},
            ]
        )

    def _targets(self) -> list[str]:
        def written(place: Place) -> str:
            name = place[1] if place[0] is None else f"{place[0]}/{place[1]}"
            return name if place[2] == "LATEST" else f"{name}@{place[2]}"

        pick = self.random.choice
        literal = [written(place) for place in self.places if "$" not in place[1] and place != OWN]
        globs = ["media/*@*", "*/*@*", "*@*", "media/transcode@*", "re*", "*/trans*", "media/*", "encode@*"]
        chosen = [pick(literal) if self.chance(0.6) else pick(globs) for _ in range(pick([1, 1, 2, 3]))]
        if self.chance(0.5):
            chosen += literal
        if self.chance(0.05):
            chosen.append("media/gone")
        return list(dict.fromkeys(chosen))

    def _match(self, keep: bool) -> dict[str, Any]:
        pick = self.random.choice
        limit = pick(list(LIMITS))
        clock = pick(["running_for", "running_for", "alive_for", "alive_for", "queued_for"])
        carried = {"from": "payload.max_run", "at_most": pick(["1h", "6h"]), "else": "30m"}
        if self.chance(0.3):
            del carried["else"]
        choices: list[dict[str, Any]] = [
            {clock: limit},
            {clock: limit},
            {clock: limit},
            {clock: limit, "where": pick(list(WHERE))},
            {clock: carried},
            {"retries_over": pick([0, 1, 2])},
            {"stopping_for": pick(["3m", "10m"])},
            {"alive_for": limit, "status": ["Running", "Retrying"]},
            {"id": pick(["job-*", ["job-*", "nightly-?"]]), clock: limit},
            {"running_for": limit, "retries_over": 0},
        ]
        if keep:
            choices = [
                *choices[:4],
                {"status": ["Running"]},
                {"status": ["Enqueued", "Running"]},
                {"id": "*"},
                {"status": ["Running", "Retrying"], "where": pick(list(WHERE))},
            ]
        return pick(choices)

    def _policy(self, number: int) -> dict[str, Any]:
        pick = self.random.choice
        policy: dict[str, Any] = {"name": f"p{number}", "targets": self._targets()}
        kind = pick(["plain"] * 5 + ["keep", "keep", "keep", "task"])
        if kind == "task":
            policy |= {"match": {"status": ["Enqueued", "Running", "Retrying"]}, "triggers": ["task"]}
        else:
            policy["match"] = self._match(kind == "keep")
        if kind == "keep":
            policy["keep"] = {"at_most": pick([1, 1, 2, 3, 8]), "stop_first": pick(["newest", "oldest"])}
            if self.chance(0.6):
                policy["keep"]["per"] = pick(list(PER))
        if self.chance(0.35):
            policy["unless"] = [self._sparing() for _ in range(pick([1, 1, 2]))]
        policy["stop" if self.chance(0.8) else "report"] = "it takes too long"
        if self.chance(0.75):
            policy["budget"] = pick(["1/run", "2/run", "3/run", "9/run", "50/run", "300/run"])
            if self.chance(0.35):
                policy["budget"] += pick([", 1/day", ", 3/day", ", 5/day", ", 400/day"])
        if kind != "task" and self.chance(0.2):
            policy["halt_over"] = pick([1, 2, 4, 8, 100])
        if self.chance(0.12):
            policy["holdout"] = pick(["10%", "50%", "2.5%"])
        if kind != "task" and self.chance(0.3):
            policy["triggers"] = pick(
                [["timer"], ["timer:night"], ["alert"], ["command"], ["timer", "task"], ["alert", "command"]]
            )
        return policy

    def _lock(self) -> None:
        """A lock of the same policies, perhaps before the last change."""
        if not self.chance(0.12):
            return
        before = json.loads(json.dumps(self.world.tree))
        names = [one["name"] for one in before["policies"] if "stop" in one]
        change = self.random.choice(["none", "none", "changed", "only", "exempt", "added"])
        if change == "changed":
            self.random.choice(before["policies"])["budget"] = "7/run"
        elif change == "only":
            names = names[1:]
        elif change == "exempt":
            before.setdefault("exempt", []).append("once-*")
        elif change == "added" and "exempt" in before:
            before["exempt"].pop()
        self.world.locked = before, names

    def _env(self) -> dict[str, str]:
        pick, options = self.random.choice, self.world.options
        env = {
            "REAPER_ENDPOINT": "http://127.0.0.1:9000",
            "REAPER_SELF": "ops/fc-reaper",
            "REAPER_RATE": pick(["20/s", "2000/s", "2000/s", "100/s", "5/s"]),
            "REAPER_API_VERSION": pick(["2021-04-06", "2016-08-15"]),
            "REAPER_LOG_TASKS": pick(["1000"] * 5 + ["100", "3"]),
            "REAPER_CONCURRENCY": pick(["1", "4", "16", "16"]),
        }
        if self.chance(0.4):
            env["REAPER_STARTED_TIME"] = str(options["started_time"])
        if self.chance(0.3):
            env["REAPER_LOG_LEVEL"] = "DEBUG"
        if self.chance(0.2):
            env["REAPER_STUCK_AFTER"] = pick(["1s", "10m"])
        return env

    # Events

    def _event(self) -> tuple[bytes, Asked]:
        pick = self.random.choice
        kind = pick(
            ["timer"] * 8
            + [
                "night",
                "everything",
                "everything",
                "function",
                "function",
                "function",
                "task",
                "task",
                "alert",
                "alert",
                "strange",
                "calm",
                "refused",
                "list",
                "outside",
            ]
        )
        event, requests = self._asked(kind)
        wish = False
        if kind != "refused" and self.chance(0.15):
            event, wish = self._with_wish(event), True
        raw = json.dumps(event).encode() if not isinstance(event, bytes) else event
        return raw, Asked(requests, wish)

    def _asked(self, kind: str) -> tuple[Any, tuple[Request, ...]]:
        pick = self.random.choice
        place = pick([one for one in self.places if "$" not in one[1]])
        command: dict[str, Any] = {"functionName": place[1]}
        if place[0] is not None and self.chance(0.7):
            command["serviceName"] = place[0]
        if self.chance(0.4):
            command["qualifier"] = place[2]
        named = Request("command", None, command.get("serviceName"), place[1], command.get("qualifier"))
        if kind in ("timer", "night"):
            name = "schedule" if kind == "timer" else "night"
            timer = {
                "triggerTime": "2026-11-20T02:15:00Z",
                "triggerName": name,
                "payload": pick(["", "tick"]),
            }
            if self.chance(0.1):
                request = named._replace(kind="timer", name=name)
                return {**timer, "payload": json.dumps(command)}, (request,)
            return timer, (Request("timer", name),)
        if kind == "everything":
            return pick([{}, b""]), (Request("command"),)
        if kind == "function":
            return command, (named,)
        if kind == "list":
            return [command, {}], (named, Request("command"))
        if kind == "outside":
            return {"functionName": "elsewhere"}, (Request("command", function="elsewhere"),)
        if kind == "task":
            tasks = [one for one in self.world.invocations if "count" not in one] or [
                {"invocationId": "job-0"}
            ]
            hit = pick(tasks)
            event: dict[str, Any] = {"invocationId": hit["invocationId"]}
            if self.chance(0.5) and "functionName" in hit:
                event |= {key: hit[key] for key in ("serviceName", "functionName", "qualifier") if key in hit}
            return event, (
                Request(
                    "task",
                    None,
                    event.get("serviceName"),
                    event.get("functionName"),
                    event.get("qualifier"),
                    event["invocationId"],
                ),
            )
        if kind in ("alert", "calm"):
            level = "WARN" if kind == "alert" else "OK"
            facts: dict[str, Any] = {"serviceName": place[0] or "", "functionName": place[1]}
            alert = {
                "ruleId": "r",
                "ruleName": "slow",
                "curLevel": level,
                "preLevel": "OK",
                "eventType": "Alert",
                "resources": json.dumps(facts),
                "metricName": "m",
                "namespace": "acs_fc",
                "period": "60",
                "metricData": {**facts, "timestamp": 1795140900000, "Value": 7},
                "version": "1.0",
            }
            request = Request("alert", None, place[0], place[1])
            return alert, (request,) if kind == "alert" else ()
        if kind == "strange":
            return {"hello": "world", "n": [1, 2]}, (Request("alert"),)
        return pick([b"plain words", b'{"functonName": "x"}', b'{"functionName": ""}', b"{"]), ()

    def _with_wish(self, event: Any) -> Any:
        """The same event with a wish for a dry run, in one of many places."""
        if isinstance(event, bytes) or event == {}:
            return {"dryRun": True}
        if isinstance(event, list):
            return [*event[:-1], {**event[-1], "dryRun": True}]
        if "triggerTime" in event:
            payload = event["payload"]
            if payload.startswith("{"):
                return {**event, "payload": json.dumps({**json.loads(payload), "dryRun": True})}
            return {
                **event,
                "payload": self.random.choice(["dry run", "dry-run, please", '{"dryRun": true}']),
            }
        if "hello" in event:
            text = base64.b64encode(b'{"dry_run": 1}').decode()
            return {**event, **self.random.choice([{"deep": {"er": {"DryRun": "yes"}}}, {"body": text}])}
        if "ruleId" in event:
            return {**event, "labels": {"dry-run": "true"}}
        return {**event, "dryRun": True}

    # What goes wrong

    def _faults(self) -> None:
        pick, world = self.random.choice, self.world
        two = ["ListStatefulAsyncInvocations", "GetStatefulAsyncInvocation", "StopStatefulAsyncInvocation"]
        for _ in range(pick([1, 1, 2, 3, 5, 8])):
            if self.chance(0.5):
                operation = pick([*two, *two, "*", "ListStatefulAsyncInvocationFunctions"])
                fault: dict[str, Any] = pick(
                    [
                        {"status": 500},
                        {"status": 503, "retryAfter": 1},
                        {"status": 502, "foreign": "<html>"},
                        {"status": 504},
                        {"status": 429, "code": "ResourceExhausted"},
                        {"status": 429, "code": "Throttling", "retryAfter": pick([1, 5, 100_000])},
                        {"status": 408, "code": "Timeout"},
                        {"status": 302, "headers": {"Location": "http://x/"}},
                        {"status": 403, "code": "AccessDenied"},
                        {"status": 404, "code": "StatefulAsyncInvocationNotFound"},
                        {"status": 412, "code": "StatefulAsyncInvocationAlreadyCompleted"},
                        {"status": 200, "body": {}},
                        {"drop": "before"},
                        {"drop": "after"},
                        {"truncate": True},
                        {"date": pick(["-2h", "+2h", "-25s"])},
                        {"date": "soon"},
                        {"delay": pick(["2s", "12s", "70s"])},
                        {"status": 400, "code": "InvalidArgument"},
                    ]
                )
                fault = {"operation": operation, "times": pick([1, 1, 2, 4, 50]), **fault}
                if "status" in fault and self.chance(0.4) and operation != "*":
                    fault["applied"] = True
                world.faults.append(fault)
            else:
                kind = pick(
                    [
                        "refused",
                        "no connection",
                        "reset before",
                        "reset after",
                        "truncated",
                        "bad chunk",
                        "informational",
                        "only informational",
                        "slow answer",
                        "slow body",
                        *CHANGES,
                    ]
                )
                world.wire_faults.append(
                    {
                        "kind": kind,
                        "operation": pick(["*", "list", "list", "get", "get", "stop", "stop"]),
                        "times": pick([1, 1, 2, 4, 50]),
                        "after": pick([0, 0, 1, 5]),
                        "seconds": pick([1.0, 5.0, 9.0, 12.0, 55.0]),
                    }
                )

    def _actors(self) -> None:
        tasks = [one for one in self.world.invocations if "count" not in one]
        for one in self.random.sample(tasks, min(len(tasks), self.random.choice([1, 2, 4]))):
            place = (one.get("serviceName"), one["functionName"], one["qualifier"])
            action = self.random.choice(["stop", "stop", "replace", "forget"])
            after = self.random.choice([0.0, 0.05, 0.5, 2.0, 5.0])
            self.world.actors.append(Actor(after, action, place, one["invocationId"]))
