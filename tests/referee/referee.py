"""What a world must come to, checked against the emulator's journal, every exchange, and the log lines.

Two halves. *Nothing wrong*: each stop request, by the record that was read right before it, was due, within
targets, budget and mode, and of no exempt task. *Nothing missed*: each task that was due from the beginning
of a run to its end is accounted for, and stopped where nothing stood in the way. Only what is certain is held
against the product: a task that changes while a run looks at it may be taken either way.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from fc_emulator.api_versions import task_record
from fc_emulator.tasks import Task
from tests.referee.reading import (
    ALIVE,
    FINISHED,
    Function,
    Now,
    Present,
    any_holds,
    began,
    both,
    group_of,
    is_held_out,
    is_trusted,
    matches,
    moment,
    names_of,
    opposite,
    watches,
)
from tests.referee.trial import Run, Trial
from tests.referee.wire import Exchange
from tests.referee.worlds import Asked, Request

Key = tuple[Function, str]
OUTCOMES = ("would_stop", "accepted", "confirmed", "ended", "skipped", "stop_failed")
TRUSTED_SKEW = 30_000
DAY = 86_400_000


class Verdict(NamedTuple):
    """A task by itself: finished, exempt, unknown, due, reported or kept; and by which policy."""

    kind: str
    policy: str | None = None


class Policy:
    """One policy of the file, and what a run makes of it."""

    def __init__(self, index: int, facts: dict[str, Any], approved: bool, asked: Asked) -> None:
        self.index, self.facts, self.name = index, facts, facts["name"]
        self.approved, self.stops = approved, "stop" in facts and approved
        self.withholds = "stop" in facts and "keep" not in facts
        self.keep: dict[str, Any] | None = facts.get("keep")
        self.requests = [one for one in asked.requests if self._runs(one)]
        parts = dict(reversed(part.split("/")) for part in facts.get("budget", "20/run").split(", "))
        self.per_run = int(parts.get("run", 20))
        self.per_day = int(parts["day"]) if "day" in parts else None

    def _runs(self, request: Request) -> bool:
        triggers = self.facts.get("triggers")
        if self.keep is not None and request.invocation_id is not None:
            return False
        named = f"timer:{request.name}" if request.kind == "timer" else None
        return triggers is None or request.kind in triggers or named in triggers

    def watches(self, function: Function) -> bool:
        return watches(self.facts["targets"], function)

    def covers(self, function: Function, invocation_id: str) -> bool:
        """Whether the run is about this task, as far as this policy goes."""
        return self.watches(function) and any(
            _selects(one, function) and one.invocation_id in (None, invocation_id) for one in self.requests
        )

    def is_due(self, record: dict[str, Any], function: Function, present: Present) -> bool | None:
        """Whether `match` holds and `unless` does not."""
        spared = any_holds(self.facts.get("unless", []), record, function, present)
        return both(matches(self.facts["match"], record, function, present), opposite(spared))


def _selects(request: Request, function: Function) -> bool:
    wanted = (request.service, request.function, request.qualifier)
    return any(
        all(part in (None, given) for part, given in zip(wanted, name, strict=True))
        for name in names_of(function)
    )


@dataclass
class Referee:
    """Checks one run of a world; `breaches` are what it found."""

    trial: Trial
    run: Run
    number: int

    def __post_init__(self) -> None:
        world = self.trial.world
        self.world, self.asked = world, world.asked[self.number]
        self.breaches: list[str] = []
        self.enforces = self.run.enforce and not self.asked.wish
        approved = approvals(world.tree, world.locked)
        self.policies = [
            Policy(index, one, approved[one["name"]], self.asked)
            for index, one in enumerate(world.tree["policies"])
        ]
        self.by_name = {one.name: one for one in self.policies}
        self.exempt = world.tree.get("exempt", [])
        self.meaning = world.env.get("REAPER_STARTED_TIME", "unknown")
        self.own = Function("ops", "fc-reaper", "LATEST")
        self.finished = next(iter(self.run.logged("run_finished")), None)
        self.counts: dict[str, int] = self.finished["counts"] if self.finished else {}
        self.tasks = {(Function(*task.function), task.id): task for task in self.run.before}
        self.lag = int(world.options["list_lag"])
        self.stops = [one for one in self.run.exchanges if one.kind == "stop"]
        self.spent: defaultdict[str, set[Key]] = defaultdict(set)
        self.forgotten = {Function(*one.place) for one in world.actors if one.action == "forget"}
        self.lied_about = {Function(*one.place) for one in self.run.exchanges if self._is_lie(one)}

    def check(self) -> list[str]:
        """Everything that is wrong with the run, in words."""
        self._lines()
        if self.finished is None:
            return self.breaches
        for stop in self.stops:
            self._stop(stop)
        self._budgets()
        self._outcomes()
        self._nothing_missed()
        return self.breaches

    def _is_lie(self, one: Exchange) -> bool:
        """Whether a listing said that there is nothing, and that was not true: nobody can know better."""
        if one.kind not in ("list", "functions"):
            return False
        if one.status in (400, 404):
            return one.place in self.world.places or one.kind == "functions"
        keys = {"invocations", "tasks", "data", "configs"}
        empty = one.status == 200 and isinstance(one.value, dict) and not keys & one.value.keys()
        return empty and bool(one.fault or self.world.faults)

    def breach(self, what: str) -> None:
        self.breaches.append(f"run {self.number}: {what}")

    # The lines by themselves

    def _lines(self) -> None:
        if len(self.run.logged("run_finished")) != 1 or self.run.lines[-1]["event"] != "run_finished":
            self.breach("it does not end with exactly one run_finished line")
            return
        counts = self.counts
        if counts["listed"] != sum(counts[kind] for kind in ("kept", "exempt", "unknown", "reported", "due")):
            self.breach(f"listed does not add up: {counts}")
        names = ("would_stop", "confirmed", "accepted", "ended", "skipped", "failed")
        if counts["due"] != sum(counts[kind] for kind in names):
            self.breach(f"due does not add up: {counts}")
        assert self.finished is not None
        faults = [error for error in self.finished["errors"] if "a fault in fc-reaper itself" in error]
        faults += [str(line) for line in self.run.lines if "a fault in fc-reaper itself" in json.dumps(line)]
        if faults:
            self.breach(f"a fault of its own: {faults[0]}")
        if self.run.result is not None:
            result = {key: value for key, value in self.run.result.items() if key != "tasks"}
            line = {key: value for key, value in self.finished.items() if key in result}
            if {key: result[key] for key in line} != line:
                self.breach("the result is not the last line")
        elif type(self.run.raised).__name__ != "CloudUnreachable":
            self.breach(f"it raised {self.run.raised!r}")
        elif any(counts[kind] for kind in ("accepted", "confirmed")):
            self.breach("it raised, though something was stopped")
        self._calls()
        end = self.run.begun + self.world.timeout * 1000 - 10_000
        if self.run.ended > end + 1_500:
            self.breach(f"it ended {self.run.ended - end} ms past its margin")
        late = [one for one in self.stops if one.sent > end]
        if late:
            self.breach(f"a stop was sent past the margin: {late[0].invocation_id}")
        mode = "enforce" if self.enforces else "dry-run"
        if any(line["mode"] != mode for line in self.run.lines):
            self.breach(f"the mode of some line is not {mode}")

    def _calls(self) -> None:
        assert self.finished is not None
        sent = Counter(one.operation for one in self.run.exchanges)
        said = Counter(self.finished["calls"])
        unsent = sum(
            one["times"] for one in self.world.wire_faults if one["kind"] in ("refused", "no connection")
        )
        if sent - said or (sum((said - sent).values()) > unsent):
            self.breach(f"calls are said to be {dict(said)} and were {dict(sent)}")

    # Nothing wrong

    def _stop(self, stop: Exchange) -> None:
        key = Function(*stop.place), stop.invocation_id or ""
        name = f"{stop.place} {stop.invocation_id}"
        if not self.enforces:
            self.breach(f"a stop in a dry run: {name}")
            return
        function, invocation_id = key
        if any((one.service, one.name) == ("ops", "fc-reaper") for one in names_of(function)):
            self.breach(f"it stopped itself: {name}")
        reading = self._reading(stop)
        if isinstance(reading, str):
            self.breach(f"a stop of {name} {reading}")
            return
        record, now = reading
        present = Present(now, self.meaning)
        verdict = self.verdict(record, function, invocation_id, present)
        policy = self.by_name[verdict.policy] if verdict.kind == "due" and verdict.policy else None
        if policy is None:
            policy = self._one_too_many(record, key, present, stop, verdict)
        if policy is None:
            self.breach(f"a stop of {name}, which is {verdict.kind}: {json.dumps(record)} at {now}")
            return
        if is_held_out(invocation_id, policy.facts.get("holdout")):
            self.breach(f"a stop of {name}, which {policy.name} holds out")
        if stop.status is None or 200 <= stop.status < 300 or not is_refusal(stop):
            self.spent[policy.name].add(key)

    def _reading(self, stop: Exchange) -> tuple[dict[str, Any], Now] | str:
        """The record that was read right before a stop, and when; or what is wrong with that reading."""
        same = [
            one
            for one in self.run.exchanges
            if one.place == stop.place and one.invocation_id == stop.invocation_id and one.sent <= stop.sent
        ]
        before = same[: [one is stop for one in same].index(True)]
        if not before or before[-1].kind != "get":
            return "without reading the task right before it"
        get = before[-1]
        if get.answered is None or get.status is None or not 200 <= get.status < 300 or not get.value:
            return f"after a reading that failed ({get.status}, {get.fault})"
        if get.answered > stop.sent or stop.sent - get.answered > 1_000:
            return f"{stop.sent - get.answered} ms after its reading"
        record = named_as_in_2(get.value)
        if record.get("invocationId") != stop.invocation_id:
            return "after a reading of another task"
        date = date_of(get)
        if date is None:
            return "after an answer without a date"
        sent, received = get.sent + self.world.skew, get.answered + self.world.skew
        if max(sent - 1000 - date, date - received) > TRUSTED_SKEW:
            return f"while the clocks differ: {received} and {date}"
        return record, Now(min(received, date), max(sent, date + 1000))

    def verdict(
        self, record: dict[str, Any], function: Function, invocation_id: str, present: Present,
        policies: list[Policy] | None = None,
    ) -> Verdict:  # fmt: skip
        """The verdict on a task by all policies without `keep` that are about it."""
        if record["status"] in FINISHED:
            return Verdict("finished")
        if any((one.service, one.name) == ("ops", "fc-reaper") for one in names_of(function)):
            return Verdict("exempt")
        exempt = any_holds(self.exempt, record, function, present)
        if exempt:
            return Verdict("exempt")
        if not is_trusted(record, present.now):
            return Verdict("unknown")
        if policies is None:
            policies = [one for one in self.policies if one.covers(function, invocation_id)]
        plain = [one for one in policies if one.keep is None]
        results = {one: one.is_due(record, function, present) for one in plain}
        found = [one for one in plain if results[one] and one.stops]
        found += [one for one in plain if results[one] and not one.stops]
        if found:
            kind = "due" if found[0].stops else "reported"
            return Verdict(kind if exempt is False else "unknown", found[0].name)
        return Verdict("unknown" if None in results.values() else "kept")

    # Groups of `keep`

    def member(
        self, policy: Policy, record: dict[str, Any], function: Function, present: Present
    ) -> tuple[tuple[Any, ...], tuple[int, str], bool] | None:
        """The group in which a task counts, its place by age, and whether it may be chosen; None: it does not
        count, or that is unknown."""
        if record["status"] not in ALIVE or not is_trusted(record, present.now) or policy.keep is None:
            return None
        beside = [one for one in self.policies if one.withholds and one.requests and one.watches(function)]
        exempt = any_holds(self.exempt, record, function, present)
        own = any((one.service, one.name) == ("ops", "fc-reaper") for one in names_of(function))
        if exempt is False and not own and any(one.is_due(record, function, present) for one in beside):
            return None
        group = group_of(record, function, policy.keep.get("per"))
        earliest, latest = began(record, "alive_for", present)
        if matches(policy.facts["match"], record, function, present) is not True or group is None:
            return None
        if earliest is None or latest is None:
            return None
        chosen = exempt is False and not own and policy.is_due(record, function, present) is True
        return group, (earliest, record["invocationId"]), chosen

    def _one_too_many(
        self, record: dict[str, Any], key: Key, present: Present, stop: Exchange, verdict: Verdict
    ) -> Policy | None:
        """The `keep` policy by which a task was one too many when its stop was requested, if there is one."""
        function, invocation_id = key
        for policy in self.policies:
            if policy.keep is None or not policy.stops or not policy.covers(function, invocation_id):
                continue
            mine = self.member(policy, record, function, present)
            if mine is None or not mine[2]:
                continue
            group, place, _ = mine
            ahead = set()
            for at in (stop.sent, stop.sent - 5_000, stop.sent - 10_000):
                now = self.now(at)
                for other in self.trial.account.tasks():
                    where = Function(*other.function)
                    if (where, other.id) == key or not policy.watches(where) or other.lifecycle.created > at:
                        continue
                    its = self.member(policy, self.record(other, at), where, Present(now, self.meaning))
                    if its is None or its[0] != group:
                        continue
                    older = its[1] < place
                    if not its[2] or older == (policy.keep["stop_first"] == "newest"):
                        ahead.add((where, other.id))
            if len(ahead) >= policy.keep["at_most"]:
                return policy
            self.breach(f"{policy.name} stops {key} while only {len(ahead)} others stay")
            return policy
        return None

    def _budgets(self) -> None:
        for policy in self.policies:
            number = len(self.spent[policy.name])
            if number > policy.per_run:
                self.breach(f"{policy.name} spent {number} of {policy.per_run}/run")
            if number and policy.per_day is not None:
                stopped = sum(1 for one in self.stopped_today(certain=True) if policy.watches(one[0]))
                earlier = sum(
                    len(self.spent[one.name])
                    for one in self.policies[: policy.index]
                    if self._share_a_function(one, policy)
                )
                if number + stopped + earlier > policy.per_day:
                    day = policy.per_day
                    self.breach(
                        f"{policy.name} spent {number}, {earlier} earlier, {stopped} before, of {day}/day"
                    )

    def _share_a_function(self, one: Policy, other: Policy) -> bool:
        return any(
            one.watches(Function(*place)) and other.watches(Function(*place)) for place in self.world.places
        )

    def stopped_today(self, *, certain: bool) -> Iterator[Key]:
        """The tasks that lists showed as Stopped or Stopping since less than a day; with *certain* only those
        of which that is certain, else those of which it may be."""
        for key, task in self.tasks.items():
            if certain and key[0] in self.forgotten | self.lied_about:
                continue
            record = self.record(task, self.run.begun - self.lag)
            if record["status"] not in ("Stopped", "Stopping"):
                if certain or self.record(task, self.run.ended)["status"] not in ("Stopped", "Stopping"):
                    continue
                record = self.record(task, self.run.ended)
            dates = [at for one in record.get("events") or [] if one["status"] == record["status"]
                     for at in [moment(one.get("timestamp"))] if at is not None]  # fmt: skip
            date = max(dates, default=moment(record["endTime"]) if record["status"] == "Stopped" else None)
            slack = abs(self.world.skew) + 2_000
            if certain:
                if date is not None and date > self.run.ended + slack - DAY:
                    yield key
            elif date is None or date > self.run.begun - slack - DAY:
                yield key

    # Lines against what happened

    def _outcomes(self) -> None:
        final: dict[Key, str] = {}
        lines: defaultdict[Key, list[dict[str, Any]]] = defaultdict(list)
        for line in self.run.logged(*OUTCOMES):
            key = key_of(line)
            lines[key].append(line)
            final[key] = line["event"]
        self.lines, self.final = lines, final
        self.omitted = {line["omitted"] for line in self.run.logged("lines_omitted")}
        if not self.omitted:
            names = Counter("failed" if one == "stop_failed" else one for one in final.values())
            said = {name: self.counts[name] for name in
                    ("would_stop", "accepted", "confirmed", "ended", "skipped", "failed")}  # fmt: skip
            if said != {name: names[name] for name in said}:
                self.breach(f"counts {said} are not the lines {dict(names)}")
            for event in ("reported", "unknown", "stuck"):
                if self.counts[event] != len(self.run.logged(event)):
                    self.breach(f"{self.counts[event]} {event}, and {len(self.run.logged(event))} lines")
        requested = {(Function(*one.place), one.invocation_id or "") for one in self.stops}
        for key, its in lines.items():
            if any(line["event"] in ("accepted", "confirmed", "stop_failed") for line in its):
                if key not in requested and self.enforces:
                    self.breach(f"{key} is said to be {its[-1]['event']}, and no stop was sent")
                if not self.enforces:
                    self.breach(f"{key} is said to be {its[-1]['event']} in a dry run")
        if not self.omitted:
            for stop in self.stops:
                key = Function(*stop.place), stop.invocation_id or ""
                if key not in lines:
                    self.breach(f"a stop of {key} was sent, and no line says so")
                elif (
                    stop.status in (200, 204)
                    and not stop.fault
                    and not any(line["event"] in ("accepted", "confirmed") for line in lines[key])
                ):
                    self.breach(f"the stop of {key} was accepted, and no line says so")
        stopped = {
            (Function(one["serviceName"], one["functionName"], one["qualifier"]), one["invocationId"])
            for one in self.trial.journal
            if one["to"] == "Stopped" and one["at"] <= self.run.ended
        }
        for key, event in final.items():
            if event == "confirmed" and key not in stopped:
                self.breach(f"{key} is said to be confirmed, and is not Stopped")

    # Nothing missed

    def now(self, at: int) -> Now:
        """The bounds of the present that are known at a moment of the cloud's clock."""
        local, date = at + self.world.skew, at // 1000 * 1000
        return Now(min(local, date), max(local, date + 1000))

    def record(self, task: Task, at: int) -> dict[str, Any]:
        """The record that the cloud shows of a task when it is read by itself."""
        events = self.trial.account.options.events != "no"
        return task_record(task, self.trial.account, at, events=events, payload=True, qualifier="x")

    def steady(self, key: Key, policies: list[Policy] | None = None) -> Verdict | None:
        """The verdict that holds of a task from the beginning of the run to its end; None if it changes."""
        task, begun, ended = self.tasks[key], self.run.begun, self.run.ended
        if any(begun - self.lag - 1 <= one.at <= ended + 1 for one in task.lifecycle.changes):
            return None
        if any((Function(*one.place), one.invocation_id) == key for one in self.world.actors):
            return None
        first, last = (
            self.verdict(self.record(task, at), *key, Present(self.now(at), self.meaning), policies)
            for at in (begun, ended)
        )
        return first if first == last else None

    def listable(self, key: Key) -> bool:
        """FC 2.0 does not list Dequeued tasks by the version 2021-04-06."""
        dequeued = self.tasks[key].lifecycle.status == "Dequeued" and key[0].service is not None
        return not (dequeued and self.world.env["REAPER_API_VERSION"] == "2021-04-06")

    @property
    def is_quiet(self) -> bool:
        """Whether nothing went wrong in the run, so that every due task is to be stopped or counted."""
        assert self.finished is not None
        clean = all(one.fault is None and one.status in (200, 204) for one in self.run.exchanges)
        actors = bool(self.world.actors) or any(
            f["kind"] in ("refused", "no connection") for f in self.world.wire_faults
        )
        skewed = abs(self.world.skew) > 27_000
        return clean and not actors and not skewed and not self.world.faults and not self.finished["partial"]

    def _nothing_missed(self) -> None:
        due: defaultdict[str, list[Key]] = defaultdict(list)
        unsure: set[str] = set()
        for key in self.tasks:
            if not any(one.covers(*key) for one in self.policies):
                continue
            verdict = self.steady(key)
            if verdict is None:
                unsure |= {one.name for one in self.policies if one.covers(*key)}
            elif verdict.kind == "due" and self.listable(key):
                due[verdict.policy or ""].append(key)
        for name, keys in due.items():
            self._accounted(name, keys)
        if self.is_quiet:
            for policy in self.policies:
                if policy.stops and policy.keep is None and policy.name not in unsure and policy.requests:
                    self._exactly(policy, due[policy.name])

    def _accounted(self, name: str, keys: list[Key]) -> None:
        """Every due task has a line, or something says why it was not seen."""
        assert self.finished is not None
        seen = {key_of(line) for line in self.run.logged(*OUTCOMES, "unknown")}
        failed = {
            (line["service"], line["function"], line["qualifier"]) for line in self.run.logged("list_failed")
        }
        excused = self.finished["partial"] or self.omitted or self.finished["errors"]
        for key in keys:
            if key[0] in self.forgotten | self.lied_about or Function(None, "", "LATEST") in self.lied_about:
                continue
            if key not in seen and not excused and key[0] not in failed and (None, "*", "*") not in failed:
                self.breach(f"{key} is due by {name}, and no line says anything of it")

    def _exactly(self, policy: Policy, due: list[Key]) -> None:
        """Without any trouble: which tasks of a policy are stopped, and how many."""
        held = [key for key in due if is_held_out(key[1], policy.facts.get("holdout"))]
        left = [key for key in due if key not in held]
        done = "accepted" if self.enforces else "would_stop"
        stopped = {key_of(line) for line in self.run.logged("accepted", "confirmed", "would_stop")
                   if line["policy"] == policy.name}  # fmt: skip
        if self.omitted:
            return
        if policy.per_day is not None or policy.facts.get("halt_over") is not None:
            return
        wanted = min(len(left), policy.per_run)
        if len(stopped) != wanted or not stopped <= set(left):
            self.breach(
                f"{policy.name}: {done} {sorted(stopped)}, due {sorted(left)}, {policy.per_run} a run"
            )
        for key in held:
            if not any(line.get("why") == "spared" for line in self.lines[key]):
                self.breach(f"{key} is held out by {policy.name}, and no line says so")


def approvals(tree: dict[str, Any], locked: tuple[dict[str, Any], list[str]] | None) -> dict[str, bool]:
    """Which stop policies a lock lets stop."""
    names = [one["name"] for one in tree["policies"]]
    if locked is None:
        return dict.fromkeys(names, True)
    before, approved = locked
    old = {one["name"]: one for one in before["policies"]}
    gone = [one for one in before.get("exempt", []) if one not in tree.get("exempt", [])]
    changed = [one["name"] for one in tree["policies"] if one["name"] in approved and old[one["name"]] != one]
    return {
        one["name"]: one["name"] in approved
        and one["name"] not in changed
        and not gone
        and not (changed and "keep" in one)
        for one in tree["policies"]
    }


def key_of(line: dict[str, Any]) -> Key:
    """The task that a line is about."""
    return Function(line["service"], line["function"], line["qualifier"]), line["invocation_id"]


def named_as_in_2(record: dict[str, Any]) -> dict[str, Any]:
    """A record in the names of FC 2.0."""
    names = {"taskId": "invocationId", "taskPayload": "invocationPayload"}
    return {names.get(key, key): value for key, value in record.items()}


def date_of(exchange: Exchange) -> int | None:
    """The cloud's clock by an answer's `Date`."""
    try:
        return round(parsedate_to_datetime(exchange.date or "").timestamp()) * 1000
    except ValueError:
        return None


def is_refusal(stop: Exchange) -> bool:
    """Whether an answer is the platform's own refusal, so that nothing was stopped: a 4xx with its code."""
    if stop.status is None or not 400 <= stop.status < 500 or stop.status == 408:
        return False
    value = stop.value
    facts = {key.lower(): one for key, one in value.items()} if isinstance(value, dict) else {}
    return bool(re.match("[A-Za-z]", str(facts.get("errorcode") or facts.get("code") or "")))


def breaches_of(trial: Trial) -> list[str]:
    """All that is wrong with a trial."""
    found = [f"the emulator: {one}" for one in trial.faults_of_the_emulator]
    for number, run in enumerate(trial.runs):
        found += Referee(trial, run, number).check()
    return found
