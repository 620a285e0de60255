"""Random worlds, each from one number: an account, a policy, events, faults, clocks, and who else is about.

What is common here is what is rare elsewhere: records that were cut off, re-enqueued, undated, dated ahead;
several `keep` policies; pages; ages exactly at a limit. An event is made together with its meaning, so that
nobody has to read it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any, NamedTuple

from fc_emulator.lifecycle import Event, Lifecycle
from tests.referee.reading import CARRIED, PER, WHERE
from tests.referee.wire import CHANGES, Place

Facts = dict[str, Any]

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
TWIN: Place = (None, "media$resize", "LATEST")
"""A function of FC 2.0 by its name in 3.0."""

ALIVE = ("Enqueued", "Dequeued", "Running", "Retrying")
LIMITS = {"30m": 1800, "1h": 3600, "2h": 7200, "6h": 21600}

# The tables below say what there is, and by repetition how often.
# fmt: off
NEAR = (0, 0, 0, 1, 1, -1, 2, 600, 600, 600, 3600, 3600, 40_000, 40_000, -600, -900)
"""Seconds by which an age differs from a limit."""

STATUSES = (*["Running"] * 8, *["Enqueued"] * 4, *["Retrying"] * 3, "Dequeued", "Stopping", "Stopping",
            "Stopped", "Stopped", "Succeeded", "Failed")

OPTIONS: dict[str, tuple[Any, ...]] = {
    "stopping": (200, 1000, 1000, 5000, None),
    "started_time": ("enqueue", "execution"),
    "events": (*["list"] * 5, *["get"] * 4, "no"),
    "record_qualifier": ("asked", "version"),
    "stop_finished": (412, 400),
    "stop_stopping": (200, 412),
    "list_lag": (0, 0, 0, 2_000, 10_000),
    "arn": ("colon", "slash"),
    "stop_answer": (200, 204),
    "empty_list": ("key", "omitted"),
    "event_detail": ("empty", "log-tail"),
    "latency": (0, 0, 20),
    "rate": (*[None] * 10, 30.0, 8.0),
    "alias_tasks": ("alias", "version"),
}
"""Every switch of the emulator by which the platform may be another one."""

DAMAGES = ("head", "head", "head", "tail", "tail", "undated", "ahead", "contradicts", "over", "retries",
           "no events")
"""What a record may lack, or say that cannot be."""

EVENTS = (*["timer"] * 18, *["night"] * 2, *["everything"] * 5, *["function"] * 6, *["task"] * 6,
          *["alert"] * 4, "list", "list", "strange", "strange", "calm", "refused", "outside")

DELAYS = (*[(0.0, 0.0)] * 4, *[(0.01, 0.01)] * 3, *[(0.0, 0.3)] * 2, (0.5, 2.0))
"""The least and the most seconds that a message takes."""

SKEWS = (-1_000, 2_000, -5_000, 9_000, -20_000, 26_000, 28_000, 33_000, -40_000, 1_200_000, -1_200_000)
"""By how many milliseconds the local clock may be wrong."""

OPERATIONS = (*["ListStatefulAsyncInvocations"] * 2, *["GetStatefulAsyncInvocation"] * 3,
              *["StopStatefulAsyncInvocation"] * 9, "*", "ListStatefulAsyncInvocationFunctions")

ENDS = (-300_000, -3600, -60, 0, 0, 1, 1, 2, 5, 20, 60, 400, 3600, 90_000, 10_000_000)
"""Seconds from the beginning of a world to the end of an exemption."""

ZONES = (timezone.utc, timezone(timedelta(hours=8)), timezone(-timedelta(hours=3, minutes=30)))

FAULTS: tuple[Facts, ...] = (
    {"status": 500}, {"status": 502, "foreign": "<html>"}, {"status": 503, "retryAfter": 1}, {"status": 504},
    {"status": 429, "code": "ResourceExhausted"}, {"status": 429, "code": "Throttling", "retryAfter": 5},
    {"status": 429, "code": "Throttling", "retryAfter": 100_000}, {"status": 408, "code": "Timeout"},
    {"status": 302, "headers": {"Location": "http://127.0.0.1/"}}, {"status": 400, "code": "InvalidArgument"},
    {"status": 401, "code": "Unauthorized"}, {"status": 403, "code": "AccessDenied"},
    {"status": 404, "code": "StatefulAsyncInvocationNotFound"},
    {"status": 412, "code": "StatefulAsyncInvocationAlreadyCompleted"}, {"status": 200, "body": {}},
    {"drop": "before"}, {"drop": "after"}, {"truncate": True}, {"date": "-2h"}, {"date": "+2h"},
    {"date": "-25s"}, {"date": "soon"}, {"delay": "2s"}, {"delay": "12s"}, {"delay": "70s"},
)
"""Faults that the emulator makes."""

WIRE = ("refused", "no connection", "reset before", "reset after", "truncated", "bad chunk", "informational",
        "only informational", "slow answer", "slow body", "no date", "no list", *CHANGES)
"""Faults of the network, and of what passes through it."""
# fmt: on


class Request(NamedTuple):
    """What an event asks for: its kind, the timer's name, the function and the task it names, a shard."""

    kind: str
    name: str | None = None
    service: str | None = None
    function: str | None = None
    qualifier: str | None = None
    invocation_id: str | None = None
    shard: str | None = None


class Asked(NamedTuple):
    """What one event means: requests, and whether it wishes a dry run."""

    requests: tuple[Request, ...] = ()
    wish: bool = False


class Actor(NamedTuple):
    """Somebody else, who does something after so many seconds: to a task `stop`, `forget` (its function with
    it) or `replace`; to an alias `repoint`."""

    after: float
    action: str
    place: Place
    invocation_id: str

    def lifecycle(self, now: int) -> Lifecycle:
        """A fresh task under the same id."""
        history = (Event(now - 100, "Enqueued"), Event(now - 50, "Running"))
        return Lifecycle("Running", history, enqueued=now - 100, executed=now - 50)


@dataclass
class World:
    """All that a world is made of. `events` are carried out one after the other, `pause` seconds apart.

    `locked` is a policy and the names in it that a lock approves, None without a lock.
    """

    number: int
    start: int = BASE
    options: Facts = field(default_factory=dict)
    invocations: list[Facts] = field(default_factory=list)
    functions: list[Facts] = field(default_factory=list)
    tree: Facts = field(default_factory=dict)
    locked: tuple[Facts, list[str]] | None = None
    env: dict[str, str] = field(default_factory=dict)
    events: list[tuple[bytes, str]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    pause: float = 300.0
    timeout: float = 120.0
    skew: int = 0
    delays: tuple[float, float] = (0.0, 0.0)
    faults: list[Facts] = field(default_factory=list)
    wire_faults: list[Facts] = field(default_factory=list)
    actors: list[Actor] = field(default_factory=list)

    def latency(self, random: Random) -> float:
        """How long a message takes one way, in seconds."""
        low, high = self.delays
        return low if low == high else round(random.uniform(low, high), 3)

    @property
    def places(self) -> list[Place]:
        """Every function under each of its qualifiers."""
        entries = (*self.functions, *self.invocations)
        return list(dict.fromkeys(place_of(one) for one in entries))


def place_of(entry: Facts) -> Place:
    """The function of an entry of a seed."""
    return entry.get("serviceName"), entry["functionName"], entry.get("qualifier", "LATEST")


def world_of(number: int) -> World:
    """The world of a number, always the same one."""
    return _Maker(number).world


class _Maker:
    """Draws one world. Every choice is one of `random`, in a fixed order."""

    def __init__(self, number: int) -> None:
        self.random, self.world = Random(number), World(number)
        self.pick, world = self.random.choice, self.world
        world.start = BASE + self.random.randrange(10**8) * (1000 if self.chance(0.7) else 1)
        # In a calm world nothing changes and nothing fails, so that it is known which tasks are stopped.
        self.is_calm = self.chance(0.36)
        self.is_still = self.is_calm or self.chance(0.4)
        self.places = self.random.sample(PLACES, self.pick([1, 1, 2, 2, 3, 4]))
        self.places += [OWN] if self.chance(0.12) else []
        self.places += [TWIN] if ("media", "resize", "LATEST") in self.places and self.chance(0.2) else []
        world.options = {name: self.pick(OPTIONS[name]) for name in OPTIONS if name != "alias_tasks"}
        if self.chance(0.15):
            world.options["security_token"] = "STS.token-of-the-world"
        self._account()
        world.tree = {"version": 1}
        if self.chance(0.35 if self.is_calm else 0.5):
            world.tree["exempt"] = [self._sparing() for _ in range(self.pick([1, 1, 2]))]
        world.tree["policies"] = [self._policy(number) for number in range(self.pick([1, 2, 3, 3, 4]))]
        world.env = self._env()
        if self.chance(0.12):
            self._lock()
        for _ in range(self.pick([1, 1, 1, 2])):
            event, asked = self._event()
            world.events.append((event, "enforce" if self.chance(0.85) else "dry-run"))
            world.asked.append(asked)
        world.pause, world.delays = self.pick([1.0, 30.0, 300.0, 3600.0]), self.pick(DELAYS)
        if not self.is_calm:
            world.skew = self.pick(SKEWS) if self.chance(0.2) else 0
            world.timeout = self.pick([*[60.0, 120.0, 600.0] * 3, 13.0])
            if self.chance(0.75):
                self._faults()
        if not self.is_still and self.chance(0.5):
            self._actors()
        # Last, so that the rest of a world is what its number has always meant.
        self._aliases()
        self._unseen()
        self._never_ran()
        self._owners()
        self._ends()
        if self.chance(0.25):
            self._shards()

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    # The account

    def _account(self) -> None:
        world, number = self.world, 0
        for place in self.places:
            for _ in range(self.pick([0, 6, 10, 14, 20, 30])):
                number += 1
                task = self._task(place, number)
                known = {one["invocationId"] for one in world.invocations if one["functionName"] == place[1]}
                if world.invocations and self.chance(0.05):
                    elsewhere = self.pick(world.invocations)["invocationId"]
                    task["invocationId"] = task["invocationId"] if elsewhere in known else elsewhere
                world.invocations.append(task)
            service, name, qualifier = place
            world.functions.append({"serviceName": service, "functionName": name, "qualifier": qualifier})
        if self.chance(0.2):
            # An id with {n} and a count are as many tasks.
            entry = self._task(self.pick(self.places), 0, plain=True)
            world.invocations.append(
                {**entry, "invocationId": "bulk-{n}", "count": self.pick([30, 40, 110, 130])}
            )
        if self.chance(0.2):
            world.functions.append({"functionName": "encoder", "qualifier": "LATEST", "taskMode": False})

    def _age(self) -> int:
        """Seconds, often near a limit, or exactly at it."""
        return max(1, self.pick(list(LIMITS.values())) + self.pick(NEAR))

    def _task(self, place: Place, number: int, plain: bool = False) -> Facts:
        pick = self.pick
        status = pick(["Running", "Running", "Enqueued", "Succeeded"]) if plain else pick(STATUSES)
        alive = self._age()
        ran = min(alive, self._age())
        entry: Facts = {
            **({} if place[0] is None else {"serviceName": place[0]}),
            "functionName": place[1],
            "qualifier": place[2],
            "invocationId": f"{pick(['job', 'job', 'job', 'job', 'vip', 'keep', 'nightly'])}-{number}",
            "status": status,
            "enqueued": f"-{alive}s",
            "payload": self._payload(),
        }
        if status not in ("Enqueued", "Dequeued"):
            entry["started"] = f"-{ran}s"
        if status == "Stopping":
            entry["stopping"] = f"-{min(ran, pick([1, 100, 180, 181, 601, 4000]))}s"
        if status in ("Stopped", "Succeeded", "Failed"):
            entry["ends"] = f"-{min(ran, pick([1, 600, 3600, 86_000, 90_000]))}s"
        if status == "Stopped":
            entry["stopping"] = entry["ends"]
            if self.chance(0.3):
                ended = pick([50_000, 80_000, 86_000, 86_399, 86_400, 86_401, 90_000])
                entry |= {
                    "enqueued": "-200000s",
                    "started": "-100000s",
                    "stopping": f"-{ended}s",
                    "ends": f"-{ended}s",
                }
        if not plain:
            self._peculiar(entry, alive, ran)
        return entry

    def _peculiar(self, entry: Facts, alive: int, ran: int) -> None:
        """What makes a task another one than most are."""
        pick, status = self.pick, entry["status"]
        if status in ("Running", "Retrying", "Enqueued") and self.chance(0.3):
            entry["retries"] = self.random.randint(1, 4)
        if status == "Retrying":
            entry["retries"] = max(1, entry.get("retries", 1))
        if status in ("Running", "Retrying") and self.chance(0.15):
            entry["reenqueued"] = f"-{self.random.randint(ran, alive)}s"
        if status in ALIVE and not self.is_still and self.chance(0.15):
            entry["ends"] = f"+{pick([1, 2, 5, 20])}s"
        if status == "Enqueued" and not self.is_still and self.chance(0.06):
            entry["started"] = f"+{pick([1, 3, 10])}s"
        if self.chance(0.12 if self.is_calm else 0.25):
            self._damage(entry, alive, ran)
        if self.chance(0.04):
            entry["startedTime"] = pick([0, 1, "+1h", "-1s", f"-{alive + 500}s"])
        if self.chance(0.05):
            del entry["payload"]
            entry["payloadText"] = pick(["", "not json", "[1, 2]", "5", '"gold"', "null"])

    def _damage(self, entry: Facts, alive: int, ran: int) -> None:
        """Make the record say less than there was, or something that cannot be."""
        what, status = self.pick(DAMAGES), entry["status"]
        if what == "head":
            entry["cutHead"] = self.pick([1, 1, 2, 3])
            return
        if what == "tail":
            entry["cutTail"] = 1
            return
        events: list[Facts] = [{"status": "Enqueued", "timestamp": f"-{alive}s"}]
        if status != "Enqueued":
            events.append({"status": "Running", "timestamp": f"-{ran}s"})
        if status not in ("Enqueued", "Running", "Dequeued"):
            events.append({"status": status, "timestamp": f"-{min(ran, 60)}s"})
        if what == "retries":
            entry["retries"] = self.random.randint(1, 5)
        elif what == "no events":
            events = []
        elif what == "undated":
            hit = self.pick(events)
            hit.pop("timestamp")
            hit.update(self.pick([{}, {}, {"timestamp": 0}, {"timestamp": -5}, {"timestamp": 1}]))
        elif what == "ahead":
            self.pick(events[-1:] + events)["timestamp"] = self.pick(["+2s", "+1h", "+9d"])
        elif what == "contradicts":
            events.append({"status": self.pick(["Running", "Retrying", "Dequeued"]), "timestamp": "-1s"})
        elif what == "over":
            events.insert(1, {"status": "Succeeded", "timestamp": f"-{alive}s"})
        entry["events"] = events

    def _payload(self) -> Any:
        pick = self.pick
        payload: Facts = {"note": "s3cret"}
        if self.chance(0.85):
            payload["tier"] = pick(["gold", "silver", "free", "free", None, 5])
        if self.chance(0.85):
            payload["n"] = pick([1, 2, 6, 9, "6", None, True])
        if self.chance(0.7):
            payload["urgent"] = pick([True, False, False, "yes"])
        if self.chance(0.85):
            payload["order"] = pick(["a", "a", "a", "b", "b", "b", "c", "", " ", None, [], ["a"], [""]])
        if self.chance(0.7):
            payload["max_run"] = pick(list(CARRIED))
        return payload

    # The policy

    def _sparing(self) -> Any:
        pick = self.pick
        limit, where = pick(list(LIMITS)), pick(list(WHERE))
        return pick([
            *["keep-*"] * 3, *["vip-*"] * 2, {"target": "media/resize"}, {"target": "encode@prod"},
            {"status": ["Retrying"]}, *[{"running_for": limit}, {"alive_for": limit}] * 2,
            {"retries_over": 2},
            {"where": where}, {"id": ["vip-*", "job-1?"], "status": ["Running"]},
            {"queued_for": limit, "where": where}, {"status": ["Enqueued"]},
            {"target": "media/resize", "id": "job-*"},
        ])  # fmt: skip

    def _targets(self) -> list[str]:
        pick = self.pick
        literal = [written(place) for place in self.places if "$" not in place[1] and place != OWN]
        globs = ["media/*@*", "*/*@*", "*@*", "media/transcode@*", "re*", "*/trans*", "media/*", "encode@*"]
        chosen = [pick(literal) if self.chance(0.6) else pick(globs) for _ in range(pick([1, 1, 2, 3]))]
        chosen += literal if self.chance(0.75) else []
        chosen += ["media/gone"] if self.chance(0.05) else []
        return list(dict.fromkeys(chosen))

    def _match(self, keep: bool) -> Facts:
        pick = self.pick
        limit, where, id_ = (
            pick(["30m", "30m", "30m", "1h", "2h", "6h"]),
            pick(list(WHERE)),
            pick(["job-*", ["job-*", "nightly-?"]]),
        )
        clock = pick([*["running_for"] * 3, *["alive_for"] * 3, "queued_for"])
        carried = {"from": "payload.max_run", "at_most": pick(["1h", "6h"]), "else": "30m"}
        if self.chance(0.3):
            del carried["else"]
        choices: list[Facts] = [
            {clock: limit},
            {clock: limit},
            {clock: limit},
            {clock: limit, "where": where},
        ]
        choices += [
            {"status": ["Running"]}, {"status": ["Enqueued", "Running"]}, {"id": "*"},
            {"status": ["Running", "Retrying"], "where": where},
        ] if keep else [
            {clock: carried}, {"retries_over": pick([0, 1, 2])}, {"stopping_for": pick(["3m", "10m"])},
            {"alive_for": limit, "status": ["Running", "Retrying"]}, {"id": id_, clock: limit},
            {"running_for": limit, "retries_over": 0},
        ]  # fmt: skip
        return pick(choices)

    def _policy(self, number: int) -> Facts:
        pick = self.pick
        policy: Facts = {"name": f"p{number}", "targets": self._targets()}
        kind = pick(["plain"] * 6 + ["keep", "keep", "keep", "task"])
        if kind == "task":
            policy |= {"match": {"status": ["Enqueued", "Running", "Retrying"]}, "triggers": ["task"]}
        else:
            policy["match"] = self._match(kind == "keep")
        if kind == "keep":
            policy["keep"] = {"at_most": pick([1, 1, 2, 3, 8]), "stop_first": pick(["newest", "oldest"])}
            if self.chance(0.6):
                policy["keep"]["per"] = pick(list(PER))
        if self.chance(0.25):
            policy["unless"] = [self._sparing() for _ in range(pick([1, 1, 2]))]
        policy["stop" if self.chance(0.85) else "report"] = "it takes too long"
        if self.chance(0.75):
            policy["budget"] = pick(["1/run", "2/run", "3/run", "9/run", "50/run", "300/run"])
            if self.chance(0.35):
                policy["budget"] += pick([", 1/day", ", 3/day", ", 5/day", ", 400/day"])
        if kind != "task" and self.chance(0.15):
            policy["halt_over"] = pick([1, 2, 4, 8, 100])
        if self.chance(0.5 if "halt_over" in policy else 0.1):
            policy["holdout"] = pick(["10%", "50%", "2.5%"])
        if kind != "task" and self.chance(0.16):
            policy["triggers"] = pick([["timer"], ["timer:night"], ["alert"], ["command"], ["timer", "task"],
                                       ["alert", "command"]])  # fmt: skip
        return policy

    def _lock(self) -> None:
        """A lock of the same policies, perhaps before the last change."""
        before = json.loads(json.dumps(self.world.tree))
        names = [one["name"] for one in before["policies"] if "stop" in one]
        change = self.pick(["none", "none", "changed", "only", "exempt", "added"])
        if change == "changed":
            self.pick(before["policies"])["budget"] = "7/run"
        elif change == "only":
            names = names[1:]
        elif change == "exempt":
            before.setdefault("exempt", []).append("once-*")
        elif change == "added" and "exempt" in before:
            before["exempt"].pop()
        self.world.locked = before, names

    def _env(self) -> dict[str, str]:
        pick = self.pick
        env = {
            "REAPER_ENDPOINT": "http://127.0.0.1:9000",
            "REAPER_SELF": "ops/fc-reaper",
            "REAPER_RATE": pick(["20/s", "2000/s", "2000/s", "100/s", "5/s"]),
            "REAPER_API_VERSION": pick(["2021-04-06", "2016-08-15"]),
            "REAPER_LOG_TASKS": pick(["1000"] * 6 + ["100", "3"]),
            "REAPER_CONCURRENCY": pick(["1", "4", "16", "16"]),
        }
        if self.chance(0.4):
            env["REAPER_STARTED_TIME"] = str(self.world.options["started_time"])
        if self.chance(0.3):
            env["REAPER_LOG_LEVEL"] = "DEBUG"
        if self.chance(0.2):
            env["REAPER_STUCK_AFTER"] = pick(["1s", "10m"])
        return env

    # Events

    def _event(self) -> tuple[bytes, Asked]:
        kind = self.pick(EVENTS)
        event, requests = self._asked(kind)
        wish = kind != "refused" and self.chance(0.12)
        if wish:
            event = self._with_wish(event)
        return event if isinstance(event, bytes) else json.dumps(event).encode(), Asked(requests, wish)

    def _asked(self, kind: str) -> tuple[Any, tuple[Request, ...]]:
        pick = self.pick
        place = pick([one for one in self.places if "$" not in one[1]])
        command: Facts = {"functionName": place[1]}
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
                return {**timer, "payload": json.dumps(command)}, (named._replace(kind="timer", name=name),)
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
            return self._task_named()
        if kind in ("alert", "calm"):
            return _alert(place, "WARN" if kind == "alert" else "OK")
        if kind == "strange":
            return {"hello": "world", "n": [1, 2]}, (Request("alert"),)
        return pick([b"plain words", b'{"functonName": "x"}', b'{"functionName": ""}', b"{"]), ()

    def _task_named(self) -> tuple[Facts, tuple[Request, ...]]:
        tasks = [one for one in self.world.invocations if "count" not in one]
        hit = self.pick(tasks or [{"invocationId": "job-0"}])
        event: Facts = {"invocationId": hit["invocationId"]}
        if self.chance(0.5):
            keys = ("serviceName", "functionName", "qualifier")
            event |= {key: hit[key] for key in keys if key in hit and "$" not in hit[key]}
        service, name, qualifier = (event.get(key) for key in ("serviceName", "functionName", "qualifier"))
        return event, (Request("task", None, service, name, qualifier, event["invocationId"]),)

    def _shards(self) -> None:
        """Timers and commands that look at one share of the functions, or of what they name."""
        for at, ((event, mode), asked) in enumerate(zip(self.world.events, self.world.asked, strict=True)):
            shard = self.pick(["1/2", "1/2", "2/2", "2/2", "1/3", "2/3", "3/3", "2/8", "1/1"])
            (request, *more) = asked.requests or (None,)
            if asked.wish or more or request is None or request.kind not in ("timer", "command"):
                continue
            facts = json.loads(event or b"{}")
            timer, payload = "payload" in facts, facts.get("payload", "")
            command = json.loads(payload if payload.startswith("{") else "{}") if timer else facts
            command = {**command, "shard": shard}
            facts = {**facts, "payload": json.dumps(command)} if timer else command
            self.world.events[at] = json.dumps(facts).encode(), mode
            self.world.asked[at] = Asked((request._replace(shard=shard),))

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
            return {**event, "payload": self.pick(["dry run", "dry-run, please", '{"dryRun": true}'])}
        if "hello" in event:
            text = base64.b64encode(b'{"dry_run": 1}').decode()
            return {**event, **self.pick([{"deep": {"er": {"DryRun": "yes"}}}, {"body": text}])}
        if "ruleId" in event:
            return {**event, "labels": {"dry-run": "true"}}
        return {**event, "dryRun": True}

    # What goes wrong

    def _faults(self) -> None:
        pick, world = self.pick, self.world
        if self.chance(0.2):
            # One that misleads, by itself, so that it is seen what follows.
            on_page = {
                "kind": pick(["no list", "empty object", "truncated"]),
                "operation": "page",
                "times": 1,
            }
            kind = pick(["another task", "unknown status", "empty object", "seconds", "seconds", "no date"])
            misread = {"kind": kind, "operation": pick(["get", "*"]), "times": pick([2, 50])}
            lost: Facts = {
                "kind": pick(["reset after", "truncated", "bad chunk", "reset before"]),
                "operation": "stop",
            }
            lost["times"] = pick([1, 3, 50])
            paged = any("count" in one for one in world.invocations)
            world.wire_faults.append(pick([misread, lost, lost, *[on_page] * 3 * paged]))
            return
        for _ in range(pick([1, 2, 3, 3, 5, 8])):
            times = pick([1, 1, 2, 4, 50])
            if self.chance(0.5):
                operation = pick(OPERATIONS)
                fault = {"operation": operation, "times": times, **pick(FAULTS)}
                if "status" in fault and operation != "*" and self.chance(0.4):
                    fault["applied"] = True
                world.faults.append(fault)
            else:
                operation = pick(["*", *["list"] * 3, *["page"] * 2, *["get"] * 3, *["stop"] * 6])
                fault = {
                    "kind": pick(WIRE),
                    "operation": operation,
                    "times": times,
                    "after": pick([0, 0, 1, 3, 6]),
                }
                world.wire_faults.append({**fault, "seconds": pick([1.0, 5.0, 9.0, 12.0, 55.0])})

    def _actors(self) -> None:
        tasks = [one for one in self.world.invocations if "count" not in one]
        for one in self.random.sample(tasks, min(len(tasks), self.pick([1, 2, 4]))):
            action, after = (
                self.pick(["stop", "stop", "replace", "forget"]),
                self.pick([0.0, 0.05, 0.5, 2.0, 5.0]),
            )
            self.world.actors.append(Actor(after, action, place_of(one), one["invocationId"]))

    def _aliases(self) -> None:
        """Where a repointed alias leaves its tasks; and somebody who repoints one while a run looks at it."""
        self.world.options["alias_tasks"] = self.pick(OPTIONS["alias_tasks"])
        aliases = [place for place in self.places if place[2] == "prod"]
        if aliases and not self.is_still and self.chance(0.3):
            self.world.actors.append(
                Actor(self.pick([0.0, 0.05, 0.5, 2.0]), "repoint", self.pick(aliases), "")
            )

    def _unseen(self) -> None:
        """Where numbers decide, some tasks may never be seen: the time is up before all lists were asked for,
        or a record that has to be read by itself cannot be."""
        counts = any("keep" in one or "halt_over" in one for one in self.world.tree["policies"])
        if self.is_calm or not counts or not self.chance(0.35):
            return
        if self.chance(0.5):
            self.world.env["REAPER_RATE"], self.world.timeout = "1/s", self.pick([20.0, 30.0])
        else:
            self.world.options["events"] = "get"
            hit = {"invocationId": self.pick(["job-1*", "vip-*", "*-2"])}
            why: Facts = self.pick([{"status": 403}, {"status": 403}, {"delay": "70s"}])
            fault = {"operation": "GetStatefulAsyncInvocation", "match": hit, "times": 50, **why}
            self.world.faults.insert(0, fault)

    def _never_ran(self) -> None:
        """Where a budget of the day counts, those that were stopped may have been so in the queue; 0 is what
        `startedTime` then may be, in which no window of it is."""
        days = any("/day" in one.get("budget", "") for one in self.world.tree["policies"])
        if not days or not self.chance(0.5):
            return
        for one in self.world.invocations:
            peculiar = {"events", "retries", "reenqueued", "startedTime", "cutHead", "cutTail"} & one.keys()
            if one["status"] == "Stopped" and not peculiar:
                del one["started"]
                one["startedTime"] = 0

    def _owners(self) -> None:
        """Who owns the tasks of a policy: a name, or a field of the payload."""
        for policy in self.world.tree["policies"]:
            field = self.pick(["tier", "n", "urgent", "order", "gone"])
            owner = self.pick([None, None, "media-team", {"from": f"payload.{field}"}])
            if owner is not None:
                policy["owner"] = owner

    def _ends(self) -> None:
        """Some exemptions have a reason or an end: long ago, soon, or while a run goes on. A lock may have
        seen another end."""
        tree, before = self.world.tree, (self.world.locked or ({},))[0]
        lists = [(tree.get("exempt", []), before.get("exempt", []))]
        for at, one in enumerate(tree["policies"]):
            seen = before["policies"][at] if before else {}
            lists.append((one.get("unless", []), seen.get("unless", [])))
        for number, (entries, theirs) in enumerate(lists):
            for at, entry in enumerate(entries):
                if not self.chance(0.4):
                    continue
                plain = {"id": entry} if isinstance(entry, str) else entry
                ended = self._ending(plain)
                entries[at] = {**ended, "because": "it migrates"} if self.chance(0.5) else ended
                if at < len(theirs) and theirs[at] == entry:
                    theirs[at] = entries[at] if number or self.chance(0.6) else self._ending(plain)

    def _ending(self, plain: Facts) -> Facts:
        ends = datetime.fromtimestamp(self.world.start // 1000 + self.pick(ENDS), self.pick(ZONES))
        return {**plain, "until": ends.isoformat()} if self.chance(0.9) else plain


def written(place: Place) -> str:
    """A function as a target of a policy."""
    name = place[1] if place[0] is None else f"{place[0]}/{place[1]}"
    return name if place[2] == "LATEST" else f"{name}@{place[2]}"


def _alert(place: Place, level: str) -> tuple[Facts, tuple[Request, ...]]:
    """A message of CloudMonitor about a function, and what it asks for: nothing once all is well."""
    facts: Facts = {"serviceName": place[0] or "", "functionName": place[1]}
    alert = {
        "ruleId": "r", "ruleName": "slow", "curLevel": level, "preLevel": "OK", "eventType": "Alert",
        "resources": json.dumps(facts), "metricName": "m", "namespace": "acs_fc", "period": "60",
        "metricData": {**facts, "timestamp": 1795140900000, "Value": 7}, "version": "1.0",
    }  # fmt: skip
    return alert, () if level == "OK" else (Request("alert", None, place[0], place[1]),)
