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
from itertools import chain
from typing import Any

from fc_emulator.api_versions import task_record
from fc_emulator.tasks import Task
from tests.referee.claims import Claims, Facts, Fate, Key, Policy, Verdict, fates, is_own
from tests.referee.reading import (
    Function,
    Now,
    Present,
    end_of,
    events_of,
    is_held_out,
    is_over,
    milliseconds,
    moment,
    owner_of,
    watches,
)
from tests.referee.trial import Run, Trial
from tests.referee.wire import Exchange
from tests.referee.worlds import Actor

OUTCOMES = ("would_stop", "accepted", "confirmed", "ended", "skipped", "stop_failed")
TRUSTED_SKEW = 30_000
DAY = 86_400_000
SECRETS = ("emulator-secret", "STS.token", "s3cret")
"""The keys of the account, and what every payload contains."""
UNREAD = ("it could not be read", "the time was up before it could be read")
"""Why a listed task is unknown that had to be read by itself."""
MISREAD = (
    "by the emulator",
    "another task",
    "unknown status",
    "empty object",
    "nothing",
    "seconds",
    "numbers as text",
    "no date",
)
"""Faults of the wire by which a single record says something else than it was."""


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
        self.claims = Claims(world.tree, world.locked, self.asked)
        self.policies = self.claims.policies
        self.meaning = world.env.get("REAPER_STARTED_TIME", "unknown")
        self.finished = next(iter(self.run.logged("run_finished")), None)
        self.counts: dict[str, int] = self.finished["counts"] if self.finished else {}
        places = [Function(*place) for place in world.places]
        # Once an alias was repointed, its tasks may be under a version that nothing lists.
        self.tasks = {
            (place, task.id): task
            for task in self.run.before
            if (place := Function(*task.function)) in places
        }
        self.lag = int(world.options["list_lag"])
        self.stops = [one for one in self.run.exchanges if one.kind == "stop"]
        self.spent: defaultdict[str, set[Key]] = defaultdict(set)
        self.exact: list[Fate] = []
        self.forgotten = {place for place in places for one in world.actors if self._loses(one, place)}
        self.lied_about = {Function(*one.place) for one in self.run.exchanges if self._is_lie(one)}
        self.omitted = {line["omitted"] for line in self.run.logged("lines_omitted")}
        self.lines: defaultdict[Key, list[Facts]] = defaultdict(list)
        for line in self.run.logged(*OUTCOMES):
            self.lines[key_of(line)].append(line)

    def check(self) -> None:
        """Find everything that is wrong with the run."""
        self._whole()
        if self.finished is None:
            return
        for stop in self.stops:
            self._stop(stop)
        self._budgets()
        self._halted()
        self._outcomes()
        self._skipped()
        self._verdicts()
        self._owned()
        self._nothing_missed()

    def breach(self, what: str) -> None:
        self.breaches.append(f"run {self.number}: {what}")

    # The lines by themselves

    def _whole(self) -> None:
        if len(self.run.logged("run_finished")) != 1 or self.run.lines[-1]["event"] != "run_finished":
            self.breach("it does not end with exactly one run_finished line")
            return
        counts, finished = self.counts, self.finished
        assert finished is not None
        if counts["listed"] != sum(counts[kind] for kind in ("kept", "exempt", "unknown", "reported", "due")):
            self.breach(f"listed does not add up: {counts}")
        names = ("would_stop", "confirmed", "accepted", "ended", "skipped", "failed")
        if counts["due"] != sum(counts[kind] for kind in names):
            self.breach(f"due does not add up: {counts}")
        by_policy = Counter[str]()
        for its in finished["policies"].values():
            by_policy.update({name: number for name, number in its.items() if name != "saved"})
        if any(by_policy[kind] != counts[kind] for kind in (*names, "due", "reported")):
            self.breach(f"the counts of the policies {dict(by_policy)} are not those of the run {counts}")
        self._savings(finished)
        said = json.dumps(self.run.lines, ensure_ascii=False)
        if "a fault in fc-reaper itself" in said:
            self.breach(f"a fault of its own: {finished['errors']}")
        if any(secret in said for secret in SECRETS):
            self.breach("a line shows a secret")
        if self.run.result is not None:
            if any(self.run.result.get(key, value) != value for key, value in finished.items()):
                self.breach("the result is not the last line")
        elif type(self.run.raised).__name__ != "CloudUnreachable":
            self.breach(f"it raised {self.run.raised!r}")
        elif counts["accepted"] + counts["confirmed"]:
            self.breach("it raised, though something was stopped")
        sent, counted = Counter(one.operation for one in self.run.exchanges), Counter(finished["calls"])
        unsent = sum(
            one["times"] for one in self.world.wire_faults if one["kind"] in ("refused", "no connection")
        )
        if sent - counted or sum((counted - sent).values()) > unsent:
            self.breach(f"calls are said to be {dict(counted)} and were {dict(sent)}")
        end = self.run.begun + round(self.world.timeout * 1000) - 10_000
        if self.run.ended > end + 1_500:
            self.breach(f"it ended {self.run.ended - end} ms past its margin")
        if any(one.sent > end for one in self.run.exchanges):
            self.breach("a call was sent past the margin")
        sent_at = sorted(one.sent for one in self.run.exchanges)
        # A turn may be waited for some time before its call is sent.
        most = int(self.world.env["REAPER_RATE"].removesuffix("/s")) + 2 * int(
            self.world.env["REAPER_CONCURRENCY"]
        )
        if any(later - at < 1000 for at, later in zip(sent_at, sent_at[most:], strict=False)):
            self.breach(f"more than {most} calls were sent within a second")
        mode = "enforce" if self.enforces else "dry-run"
        if any(line["mode"] != mode for line in self.run.lines):
            self.breach(f"the mode of some line is not {mode}")

    def _savings(self, finished: dict[str, Any]) -> None:
        """GetFunction is called at most once a function, after a stop of its tasks; each stop is counted."""
        saved, parts = finished["saved"], ("tasks", "unknown", "vcpu_s", "gb_s", "gpu_gb_s")
        stopped = self.counts["accepted"] + self.counts["confirmed"]
        if tuple(saved) != parts or saved["tasks"] != stopped or not 0 <= saved["unknown"] <= stopped:
            self.breach(f"{stopped} were stopped, and what they save is {saved}")
        if any((saved[name] is None) != (0 < stopped == saved["unknown"]) for name in parts[2:]):
            self.breach(f"a sum is null where something is known, or none where nothing is: {saved}")
        if any(its["saved"]["tasks"] != its.get("accepted", 0) + its.get("confirmed", 0)
               for its in finished["policies"].values()):  # fmt: skip
            self.breach(f"what each policy saves is not of its stops: {finished['policies']}")
        asked = [one for one in self.run.exchanges if one.operation == "GetFunction"]
        if len({one.place for one in asked}) != len(asked):
            self.breach("the configuration of a function was asked for twice")
        stops = {one.place: one.sent for one in reversed(self.stops)}
        if any(one.sent < stops.get(one.place, one.sent + 1) for one in asked):
            self.breach("the configuration of a function was asked for without a stop of its tasks")

    # Nothing wrong

    def _stop(self, stop: Exchange) -> None:
        key = Function(*stop.place), stop.invocation_id or ""
        if not self.enforces:
            self.breach(f"a stop in a dry run: {named(key)}")
            return
        if is_own(key[0]):
            self.breach(f"it stopped itself: {named(key)}")
        reading = self._reading(stop)
        if isinstance(reading, str):
            self.breach(f"a stop of {named(key)} {reading}")
            return
        record, now = reading
        present = Present(now, self.meaning)
        verdict = self.claims.verdict(record, key, present)
        policy = self.claims.by_name[verdict.policy or ""] if verdict.kind == "due" else None
        if policy is None:
            stated = self.lines[key][0]["policy"] if key in self.lines else None
            found = list(self._one_too_many(record, key, present, stop))
            policy = next((one for one in found if one.name == stated), found[0] if found else None)
        if policy is None:
            self.breach(f"a stop of {named(key)}, which is {verdict.kind}: {json.dumps(record)} at {now}")
            return
        if is_held_out(key[1], policy.holdout):
            self.breach(f"a stop of {named(key)}, which {policy.name} holds out")
        if not is_refusal(stop):
            self.spent[policy.name].add(key)

    def _reading(self, stop: Exchange) -> tuple[Facts, Now] | str:
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
        date, now = date_of(get), self.bounds(get)
        if date is None or now is None:
            return "after an answer without a date"
        sent, received = get.sent + self.world.skew, get.answered + self.world.skew
        if max(sent - 1000 - date, date - received) > TRUSTED_SKEW:
            return f"while the clocks differ: {received} and {date}"
        return record, now

    def bounds(self, one: Exchange) -> Now | None:
        """The present of an answer: between the local clock and its date, which is in whole seconds."""
        date = date_of(one)
        if date is None or one.answered is None:
            return None
        return Now(min(one.answered + self.world.skew, date), max(one.sent + self.world.skew, date + 1000))

    def _one_too_many(self, record: Facts, key: Key, present: Present, stop: Exchange) -> Iterator[Policy]:
        """The `keep` policies by which a task was one too many when its stop was requested."""
        for policy in self.policies:
            if policy.keep is None or not policy.stops or not policy.covers(*key):
                continue
            mine = self.claims.member(policy, record, key[0], present)
            if mine is None or not mine.selectable:
                continue
            ahead = set()
            for its_key, its_record, its_present in self._others(policy, key, stop):
                its = self.claims.member(policy, its_record, its_key[0], its_present)
                if its is None or its.group != mine.group:
                    continue
                older = its.place < mine.place
                if not its.selectable or older == (policy.keep["stop_first"] == "newest"):
                    ahead.add(its_key)
            if len(ahead) >= policy.keep["at_most"]:
                yield policy

    def _others(self, policy: Policy, key: Key, stop: Exchange) -> Iterator[tuple[Key, Facts, Present]]:
        """The other tasks of a policy, as they were when a stop was sent, or were last read before."""
        # Those that are gone or replaced by the end were there before.
        for other in (*self.run.before, *self.trial.account.tasks()):
            its_key = Function(*other.function), other.id
            if its_key != key and policy.watches(its_key[0]):
                yield its_key, self.record(other, stop.sent), self.present(stop.sent)
        for get in self.run.exchanges:
            its_key = Function(*get.place), get.invocation_id or ""
            if get.kind == "get" and its_key != key and policy.watches(its_key[0]) and get.status == 200:
                record, read_at, now = get.value, get.answered or 0, self.bounds(get)
                if isinstance(record, dict) and stop.sent - 20_000 <= read_at <= stop.sent:
                    present = self.present(read_at) if now is None else Present(now, self.meaning)
                    yield its_key, {"status": "", **named_as_in_2(record)}, present

    def _budgets(self) -> None:
        for policy in self.policies:
            number = sum(not self._ended_by_itself(key) for key in self.spent[policy.name])
            if number > policy.per_run:
                self.breach(f"{policy.name} spent {number} of {policy.per_run}/run")
            if number and policy.per_day is not None:
                certain = self.stopped_today(certain=True)
                stopped = sum(1 for one in certain if policy.watches(one[0]) and self._is_met(policy, one[0]))
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

    def _is_met(self, policy: Policy, function: Function) -> bool:
        """Whether a run knows of a function of *policy*: from discovery, unless that said that there is none;
        or from a target without a pattern, of the policy or of another one that the run is about."""
        if Function(None, "", "LATEST") not in self.lied_about:
            return True
        about = [one for one in self.policies if any(one.selects(its, function) for its in one.requests)]
        targets = [target for one in (policy, *about) for target in one.facts["targets"]]
        return watches([one for one in targets if "*" not in one and "?" not in one], function)

    def _ended_by_itself(self, key: Key) -> bool:
        """Whether a stop whose answer was lost turned out to be none: the task succeeded, or failed."""
        line = self.lines[key][-1] if key in self.lines else {}
        return line.get("event") == "ended" and line["status"] != "Stopped"

    def _halted(self) -> None:
        """Nothing follows from what was not seen: neither how many are due, nor how many are one too many."""
        unseen = {line_place(line) for line in self.run.logged("list_failed") if line["http_status"] != 404}
        unread = [line for line in self.run.logged("unknown") if line["reason"] in UNREAD]
        unseen |= {line_place(line) for line in unread}
        for policy in self.policies:
            chosen = self.spent[policy.name] | {
                key_of(line) for line in self.run.logged("would_stop") if line["policy"] == policy.name
            }
            if chosen and (policy.keep is not None or policy.halt_over is not None):
                missing: list[object] = [one for one in unseen if policy.watches(Function(*one))]
                missing += self._unlisted(policy, chosen)
                if missing:
                    self.breach(f"{policy.name} stops {len(chosen)}, and {missing} was not seen")

    def _unlisted(self, policy: Policy, chosen: set[Key]) -> list[tuple[Function, str]]:
        """The functions of *policy* of which no listing had ended when the first of *chosen* was stopped,
        with the status: one in which its tasks may be due, or one too many."""
        sent = [one.sent for one in self.stops if (Function(*one.place), one.invocation_id) in chosen]
        first = min(sent, default=self.run.ended)
        ended = {
            (one.place, one.query.get("status"))
            for one in self.run.exchanges
            if one.kind == "list" and one.answered is not None and one.answered <= first
            if (one.status == 200 and isinstance(one.value, dict) and not one.value.get("nextToken"))
            or (one.status is not None and self._is_honest(one))
        }
        blind = self.world.env["REAPER_API_VERSION"] == "2021-04-06"
        places = {key[0] for key in self.tasks} - self.forgotten - self.lied_about
        return [
            (place, status)
            for place in sorted(places, key=str)
            if policy.watches(place) and self._is_met(policy, place)
            for status in policy.statuses
            if (place, status) not in ended
            if not (blind and status == "Dequeued" and place.service is not None)
        ]

    def _share_a_function(self, one: Policy, other: Policy) -> bool:
        places = (Function(*place) for place in self.world.places)
        return any(one.watches(place) and other.watches(place) for place in places)

    def stopped_today(self, *, certain: bool) -> Iterator[Key]:
        """The tasks that lists showed as Stopped or Stopping since less than a day; with *certain* only those
        of which that is certain, else those of which it may be."""
        slack = abs(self.world.skew) + 2_000
        for key, task in self.tasks.items():
            if certain and (key[0] in self.forgotten | self.lied_about or self._replaced_at(key)):
                continue
            record = self.record(task, self.run.begun - self.lag, listed=True)
            if record["status"] not in ("Stopped", "Stopping"):
                record = self.record(task, self.run.ended)
                if certain or record["status"] not in ("Stopped", "Stopping"):
                    continue
            dates = [moment(one.get("timestamp")) for one in record.get("events") or []
                     if one["status"] == record["status"]]  # fmt: skip
            ended = moment(record["endTime"]) if record["status"] == "Stopped" else None
            date = max([at for at in dates if at is not None], default=ended)
            if certain:
                if date is not None and date > self.run.ended + slack - DAY:
                    yield key
            elif date is None or date > self.run.begun - slack - DAY:
                yield key

    # Lines against what happened

    def _outcomes(self) -> None:
        final = {key: lines[-1]["event"] for key, lines in self.lines.items()}
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
        for key, lines in self.lines.items():
            claimed = any(line["event"] in ("accepted", "confirmed", "stop_failed") for line in lines)
            if claimed and key not in requested:
                self.breach(f"{named(key)} is said to be {lines[-1]['event']}, and no stop was sent")
            if self.enforces and lines[-1]["event"] == "would_stop":
                self.breach(f"{named(key)} would be stopped, in a run that enforces")
            policy = self.claims.by_name[lines[-1]["policy"]]
            if not policy.stops or not policy.covers(*key):
                self.breach(f"{named(key)} is due by {policy.name}, which is not about it")
        if not self.omitted:
            for stop in self.stops:
                self._has_its_line(stop)
        stopped = {
            (Function(one["serviceName"], one["functionName"], one["qualifier"]), one["invocationId"])
            for one in self.run.journal
            if one["to"] == "Stopped"
        }
        for key, event in final.items():
            gone = key[0] in self.forgotten or self._was_stopped_before_it_was_replaced(key)
            if event == "confirmed" and key not in stopped and not gone:
                self.breach(f"{named(key)} is said to be confirmed, and is not Stopped")

    def _loses(self, actor: Actor, place: Function) -> bool:
        """Whether nothing finds the tasks of *place* any more after what somebody does: its function is
        forgotten, or its alias repointed, in 2.0 that of a service, where tasks are found under versions."""
        its = Function(*actor.place)
        if actor.action == "repoint" and self.world.options["alias_tasks"] == "version":
            same = place.service is not None or place.name == its.name
            return same and (place.service, place.qualifier) == (its.service, its.qualifier)
        return actor.action == "forget" and place == its

    def _replaced_at(self, key: Key) -> list[float]:
        """When somebody puts another task in the place of this one, of which nothing is left then."""
        return [
            self.world.start + one.after * 1000
            for one in self.world.actors
            if one.action == "replace" and (Function(*one.place), one.invocation_id) == key
        ]

    def _was_stopped_before_it_was_replaced(self, key: Key) -> bool:
        """Whether a task was read as Stopped before another got its id, since when its journal is gone."""
        replaced = self._replaced_at(key)
        return any(
            one.kind == "get" and (Function(*one.place), one.invocation_id) == key and one.fault is None
            and one.served is not None and one.served <= min(replaced) and one.value["status"] == "Stopped"
            for one in self.run.exchanges if replaced and one.status == 200
        )  # fmt: skip

    def _has_its_line(self, stop: Exchange) -> None:
        key = Function(*stop.place), stop.invocation_id or ""
        lines = self.lines.get(key, [])
        if not lines:
            self.breach(f"a stop of {named(key)} was sent, and no line says so")
        elif stop.status in (200, 204) and not stop.fault:
            if not any(line["event"] in ("accepted", "confirmed") for line in lines):
                self.breach(f"the stop of {named(key)} was accepted, and no line says so")
        elif stop.status in (200, 204) or is_refusal(stop):
            return
        elif lines[0]["event"] == "stop_failed" and not lines[0].get("unclear"):
            self.breach(f"nobody knows what became of the stop of {named(key)}, and its line does not say so")

    def _skipped(self) -> None:
        """Each reason for which a due task was left alone was there."""
        assert self.finished is not None
        spent = Counter(lines[-1]["policy"] for key, lines in self.lines.items() if self._spends(key, lines))
        for key, lines in self.lines.items():
            line = lines[-1]
            policy, why = self.claims.by_name[line["policy"]], line.get("why")
            waits = why == "budget" and policy.per_day is None and not self.omitted
            if waits and spent[policy.name] < policy.per_run:
                self.breach(f"{named(key)} waits, and {spent[policy.name]} of {policy.per_run}/run are spent")
            if why == "halted" and policy.halt_over is None and policy.keep is None:
                self.breach(f"{named(key)} waits for {policy.name}, which nothing can halt")
            if why == "clock" and not self._clocks_differ():
                self.breach(f"{named(key)} waits for the clock, which is right")
            if why == "denied":
                denied = [one for one in self.run.exchanges if one.status in (401, 403)]
                if sum(one.place[:2] == line_place(line)[:2] for one in denied) < 3:
                    self.breach(f"{named(key)} waits, and nothing was denied")
            asked_to_wait = any(one.status == 429 for one in self.run.exchanges)
            end = self.run.begun + self.world.timeout * 1000
            if why == "margin" and self.run.ended < end - 15_000 and not asked_to_wait:
                self.breach(f"{named(key)} waits for want of time, and there is time")
            if held(line) != is_held_out(key[1], policy.holdout):
                self.breach(f"whether {named(key)} is held out is not the share of {policy.name}")

    def _spends(self, key: Key, lines: list[Facts]) -> bool:
        """Whether a due task has taken a place of the budget: what brought no stop gives it to the next."""
        line, why = lines[-1], lines[-1].get("why")
        if line["event"] == "stop_failed":
            return bool(line.get("unclear")) or lines[0]["event"] == "accepted"
        if line["event"] == "ended" or why == "spared":
            return any((Function(*one.place), one.invocation_id) == key for one in self.stops)
        return line["event"] in ("would_stop", "accepted", "confirmed") or why in ("clock", "margin")

    def _clocks_differ(self) -> bool:
        dates = [(one, date_of(one)) for one in self.run.exchanges if one.status is not None]
        return any(
            date is None or abs(date - (one.answered or 0) - self.world.skew) > 28_000 for one, date in dates
        )

    def _owned(self) -> None:
        """A line names the owner that its policy says; null where no record with a payload was read.

        A stuck task that no policy is about has the owner by one of those of its function.
        """
        if any(is_misread(one) for one in self.run.exchanges):
            return
        owners = {policy["name"]: policy.get("owner") for policy in self.world.tree["policies"]}
        for line in (one for one in self.run.lines if "invocation_id" in one):
            key, owner, said = key_of(line), owners.get(line["policy"]), line["owner"]
            if key not in self.tasks or self._replaced_at(key):
                continue
            record = named_as_in_2(self.record(self.tasks[key], self.run.begun))
            if line["event"] == "stuck" and line["policy"] is None:
                about = [one.facts for one in self.policies if one.watches(key[0])]
                covered = [one.facts for one in self.policies if one.covers(*key)]
                told = any(
                    isinstance(one.get("owner"), str) for one in covered if "target" not in one["match"]
                )
                if said not in {None, *(owner_of(one.get("owner"), record) for one in about)}:
                    self.breach(f"{named(key)} is stuck, and {said} owns no task of its function")
                if said is None and told:
                    self.breach(f"{named(key)} is stuck, and its line names no owner")
                continue
            expected = owner_of(owner, record)
            read = line["event"] in ("would_stop", "accepted", "confirmed", "reported")
            surely = read or (isinstance(owner, str) and line["event"] != "kept")
            if said != expected and (said is not None or surely):
                self.breach(f"the owner of {named(key)} is {expected}, its line says {said}")

    def _verdicts(self) -> None:
        """A line about a task that did not change says what it is; and so does DEBUG of those that stay."""
        misread = any(is_misread(one) for one in self.run.exchanges)
        if misread or abs(self.world.skew) > 27_000:
            return
        for line in self.run.logged("reported", "exempt", "kept", "unknown"):
            key = key_of(line)
            if key not in self.tasks or line["reason"] in UNREAD:
                continue
            if any(one.keep is not None and one.requests and one.watches(key[0]) for one in self.policies):
                continue
            if line["rule"] == "stopping_for" or self.changes(key):
                continue  # it may be unknown whether it is stuck
            views = [self.verdicts(key, listed=listed) for listed in (True, False)]
            views.append(self.verdicts(key, listed=True, payload=False))
            kinds = {"kept" if one.kind == "finished" else one.kind for view in views for one in view}
            if line["event"] not in kinds | self._kinds_seen(key) and all(len(view) == 1 for view in views):
                self.breach(f"{named(key)} is {kinds}, its line says {line['event']}: {line['reason']}")
        for line in self.run.logged("exempt", "kept", "skipped"):
            if "until" in line and end_of(line["until"]) < self.present(self.run.begun).now.earliest:
                self.breach(f"{named(key_of(line))} is spared until {line['until']}, which is over")
        limit = milliseconds(self.world.env.get("REAPER_STUCK_AFTER", "3m"))
        stuck = {key_of(line) for line in self.run.logged("stuck")}
        for key, task in self.tasks.items():
            if self.changes(key) or key[0] in self.forgotten:
                continue
            first, last = (self.is_stuck(task, at, limit) for at in (self.run.begun, self.run.ended))
            listed = any(one.covers(key[0], "") for one in self.policies)
            if first is last is True and listed and key not in stuck and self.is_quiet and not self.omitted:
                self.breach(f"{named(key)} is stuck, and no line says so")
            if not (first or last) and key in stuck:
                self.breach(f"{named(key)} is said to be stuck, and is not")

    def _kinds_seen(self, key: Key) -> set[str]:
        """What a task was by the answers that may have shown it: between the beginning and the end of a run
        it may be unknown, because a limit lies between the bounds of the present."""
        seen = [
            one
            for one in self.run.exchanges
            if Function(*one.place) == key[0] and one.kind in ("list", "get")
        ]
        found = set()
        for one in seen:
            now = self.bounds(one)
            if now is not None and one.served is not None:
                record = self.record(self.tasks[key], one.served, listed=one.kind == "list")
                found.add(self.claims.verdict(record, key, Present(now, self.meaning)).kind)
        return found

    def is_stuck(self, task: Task, at: int, limit: int) -> bool | None:
        record = self.record(task, at)
        if record["status"] != "Stopping":
            return False
        from tests.referee.reading import is_trusted

        present = self.present(at)
        return is_over(record, "stopping_for", limit, present) if is_trusted(record, present.now) else None

    # Nothing missed

    def present(self, at: int) -> Present:
        """The bounds of the present that are known at a moment of the cloud's clock."""
        local, date = at + self.world.skew, at // 1000 * 1000
        return Present(Now(min(local, date), max(local, date + 1000)), self.meaning)

    def record(self, task: Task, at: int, *, listed: bool = False) -> Facts:
        """The record that the cloud shows of a task when it is read by itself, or in a list."""
        events = self.trial.account.options.events in (("list",) if listed else ("list", "get"))
        return task_record(task, self.trial.account, at, events=events, payload=True, qualifier="x")

    def changes(self, key: Key) -> bool:
        """Whether something happens to a task from what lists show at the beginning to the end of the run."""
        begun, ended = self.run.begun - self.lag - 1, self.run.ended + 1
        hit = any((Function(*one.place), one.invocation_id) == key for one in self.world.actors)
        return hit or any(begun <= one.at <= ended for one in self.tasks[key].lifecycle.changes)

    def steady(self, key: Key) -> Verdict | None:
        """The verdict that holds of a task from the beginning of the run to its end; None if it changes."""
        if self.changes(key):
            return None
        (read, listed) = (self.verdicts(key, listed=listed) for listed in (False, True))
        if len(read) > 1 or len(listed) > 1:
            return None
        # A list may leave out what settles it; what it settles by itself is not read.
        settled = next(iter(listed)).kind != "unknown"
        return None if settled and listed != read else next(iter(read))

    def ends(self) -> list[int]:
        """When exemptions end."""
        tree = self.world.tree
        entries = chain(tree.get("exempt", ()), *(one.get("unless", ()) for one in tree["policies"]))
        return [end_of(one["until"]) for one in entries if isinstance(one, dict) and "until" in one]

    def verdicts(self, key: Key, *, listed: bool, payload: bool = True) -> set[Verdict]:
        """The verdicts at the beginning and the end of the run, by the record in a list or the one read.

        And where an exemption ends meanwhile, which may have begun to hold meanwhile.
        """
        begun, ended = self.run.begun, self.run.ended
        moments = [begun, *(one for one in self.ends() if begun < one < ended), ended]
        records = {at: self.record(self.tasks[key], at, listed=listed) for at in moments}
        if not payload:
            records = {at: {**one, "invocationPayload": None} for at, one in records.items()}
        return {self.claims.verdict(one, key, self.present(at)) for at, one in records.items()}

    def listable(self, key: Key) -> bool:
        """FC 2.0 does not list Dequeued tasks by the version 2021-04-06; a task that is named is read."""
        if any(one.invocation_id == key[1] for one in self.asked.requests):
            return True
        dequeued = self.tasks[key].lifecycle.status == "Dequeued" and key[0].service is not None
        return not (dequeued and self.world.env["REAPER_API_VERSION"] == "2021-04-06")

    @property
    def is_quiet(self) -> bool:
        """Whether nothing went wrong in the run, so that every due task is to be stopped or counted."""
        assert self.finished is not None
        clean = all(
            self._is_harmless(one) and (one.status in (200, 204) or self._is_honest(one))
            for one in self.run.exchanges
        )
        unconnected = any(one["kind"] in ("refused", "no connection") for one in self.world.wire_faults)
        skewed = abs(self.world.skew) > 27_000
        trouble = self.world.actors or unconnected or skewed or self.finished["partial"]
        return clean and not trouble

    def _is_harmless(self, one: Exchange) -> bool:
        """Whether an answer said what it was to say; in whole seconds, where the account has no others."""
        in_seconds = one.fault == "seconds" and self.world.start % 1000 == 0
        harmless = one.fault in (None, "numbers as text", "repeated records", "informational")
        return not one.spoiled and (harmless or in_seconds)

    def _is_honest(self, one: Exchange) -> bool:
        """A refusal that belongs to the account: no such function, or a status that is not listed."""
        return (one.status == 404 and one.place not in self.world.places) or (
            one.status == 400 and one.query.get("status") == "Dequeued"
        )

    def _is_lie(self, one: Exchange) -> bool:
        """Whether a listing said that there is nothing, and that was not true: who could know?"""
        if one.kind not in ("list", "functions"):
            return False
        if one.status in (400, 404):
            return not self._is_honest(one)
        keys = {"invocations", "tasks", "data", "configs"}
        first = not one.query.get("nextToken")
        empty = first and one.status == 200 and isinstance(one.value, dict) and not keys & one.value.keys()
        return empty and one.fault is not None

    def _nothing_missed(self) -> None:
        for key in self.tasks:
            if any(one.covers(*key) for one in self.policies):
                verdict = self.steady(key)
                shown = self.listable(key) and not self._contradicts_the_setting(key)
                if verdict is not None and verdict.kind == "due" and shown:
                    self._is_accounted_for(key, verdict.policy or "")
        if self.is_quiet:
            self._listed()
        if self.is_quiet and not self.omitted:
            self._exactly()

    def _listed(self) -> None:
        """`listed` is how many tasks the lists named, those for a day's budget or `halt_over` left out."""
        narrows = any(any(one[2:]) for one in self.asked.requests)
        if narrows or any(one.per_day is not None for one in self.policies):
            return
        shown = {
            (one.place, record.get("invocationId", record.get("taskId")))
            for one in self.run.exchanges
            if one.kind == "list" and isinstance(one.value, dict)
            for record in one.value.get("invocations") or one.value.get("tasks") or []
        }
        if self.counts["listed"] != len(shown):
            self.breach(
                f"{self.counts['listed']} tasks are said to be listed, and the lists name {len(shown)}"
            )

    def _is_accounted_for(self, key: Key, policy: str) -> None:
        """A due task has a line, or something says why it was not seen; and nobody takes it for young."""
        assert self.finished is not None
        if key in self.lines:
            line = self.lines[key][-1]
            misread = any(is_misread(one) for one in self.run.exchanges)
            asked = any((Function(*one.place), one.invocation_id) == key for one in self.stops)
            spared = line.get("why") == "spared" and not held(line) and not asked
            if spared and not misread and not self.world.actors:
                self.breach(f"{named(key)} is due by {policy} all the time, and spared: {line['detail']}")
            return
        failed = {line_place(line) for line in self.run.logged("list_failed")}
        service, name, qualifier = key[0]
        place = f"{service + '/' if service else ''}{name}@{qualifier}"
        named_in_an_error = any(place in one or "in task mode" in one for one in self.finished["errors"])
        refused = self.run.logged("trigger_refused") or not self.run.logged("run_started")
        read = (one for one in self.run.exchanges if (Function(*one.place), one.invocation_id) == key)
        refused = refused or any(is_misread(one) for one in read)
        excused = self.finished["partial"] or self.omitted or named_in_an_error or refused
        excused = excused or key[0] in failed or (None, "*", "*") in failed
        lied = key[0] in self.forgotten | self.lied_about or Function(None, "", "LATEST") in self.lied_about
        # By a wrong date of its list it may not have been known to be due, and been reported all the same,
        # and an exemption may not have ended, which no line tells.
        listed = [one for one in self.run.exchanges if one.kind == "list" and Function(*one.place) == key[0]]
        misdated = any(is_misread(one) for one in listed)
        kinds = ("unknown", "reported") if misdated else ("unknown",)
        excused = excused or (misdated and bool(self.ends()))
        if not excused and not lied and key not in {key_of(line) for line in self.run.logged(*kinds)}:
            self.breach(f"{named(key)} is due by {policy}, and no line says anything of it")

    def _exactly(self) -> None:
        """Without any trouble: which tasks each policy stops, in which order, and how many."""
        watched = [
            key
            for key in self.tasks
            if self.listable(key) and any(one.requests and one.watches(key[0]) for one in self.policies)
        ]
        if any(self.changes(key) or self._contradicts_the_setting(key) for key in watched):
            return
        if any(self._list_says_more(key, at) for key in watched for at in (self.run.begun, self.run.ended)):
            return
        if self._is_ambiguous() or self._keeps_beside_one_unapproved():
            return
        first, last = (
            fates(self.claims, {key: self.record(self.tasks[key], at) for key in watched}, self.present(at))
            for at in (self.run.begun, self.run.ended)
        )
        if first != last and any(
            (one.due, one.number) != (last[0][name].due, last[0][name].number)
            for name, one in first[0].items()
        ):
            return
        granted: list[tuple[Policy, int, int]] = []
        for fate in first[0].values():
            self._exactly_one(fate, granted)

    def _is_ambiguous(self) -> bool:
        """Whether the event names a task by an id that several have: then none of them is meant."""
        named = Counter(
            key[1]
            for key in self.tasks
            for one in self.asked.requests
            if one.invocation_id == key[1] and any(policy.watches(key[0]) for policy in self.policies)
        )
        return any(number > 1 for number in named.values())

    def _keeps_beside_one_unapproved(self) -> bool:
        """What a `keep` policy that is not approved would stop may or may not count for the others."""
        keeps = [one for one in self.policies if one.keep is not None and "stop" in one.facts]
        return any(one.approved for one in keeps) and any(not one.approved for one in keeps)

    def _contradicts_the_setting(self, key: Key) -> bool:
        """Whether `startedTime` is later than the first event, though REAPER_STARTED_TIME says that it is the
        first enqueueing: then lists by it, with a second of slack, leave out what its events make due."""
        record = self.record(self.tasks[key], self.run.begun)
        dates = [at for at, _, _ in events_of(record) if at is not None]
        started = moment(record.get("startedTime"))
        return (
            self.meaning == "enqueue" and started is not None and started > min(dates, default=started) + 1000
        )

    def _list_says_more(self, key: Key, at: int) -> bool:
        """Whether a record without events says something else at a moment than the same one with them."""
        task = self.tasks[key]
        listed, read = (self.record(task, at, listed=listed) for listed in (True, False))
        all_of_it = [policy for policy in self.policies if policy.requests and policy.watches(key[0])]
        views = [self.claims.verdict(record, key, self.present(at), all_of_it) for record in (listed, read)]
        one, other = views
        if one.kind != "unknown" and one != other and "due" in (one.kind, other.kind):
            return True
        for policy in self.policies:
            mine, its = (
                self.claims.member(policy, record, key[0], self.present(at)) for record in (listed, read)
            )
            if mine is not None and mine != its:
                return True
        return False

    def _exactly_one(self, fate: Fate, granted: list[tuple[Policy, int, int]]) -> None:
        """*granted* is what earlier policies of the file may stop, at least and at most."""
        policy, left = fate.policy, fate.left
        self.exact += [fate] if left else []
        stopped = {key_of(line) for line in self.run.logged("accepted", "confirmed", "would_stop")
                   if line["policy"] == policy.name}  # fmt: skip
        allowed = [policy.per_run, policy.per_run]
        if policy.per_day is not None:
            shared = [numbers for one, *numbers in granted if self._share_a_function(one, policy)]
            for at, certain in enumerate((False, True)):
                before = sum(policy.watches(key[0]) for key in self.stopped_today(certain=certain))
                others = sum(most if at == 0 else least for least, most in shared)
                allowed[at] = max(0, min(policy.per_run, policy.per_day - before - others))
        if left and not fate.is_halted:
            granted.append((policy, min(len(left), allowed[0]), min(len(left), allowed[1])))
        if fate.is_halted:
            allowed = [0, 0]
        low, high = (min(len(left), one) for one in allowed)
        spared = [key for key in left if self._is_not_too_many_any_more(policy, key)]
        low -= len(spared)
        facts = f"{policy.name} stopped {sorted(map(named, stopped))} of due " \
                f"{[named(key) for key in left]}, allowed {allowed}, {fate.number} in all"  # fmt: skip
        if not low <= len(stopped) <= high or not stopped <= set(left):
            self.breach(facts)
        halted = any(line["policy"] == policy.name for line in self.run.logged("halted"))
        if halted != bool(fate.is_halted and left):
            self.breach(f"{policy.name} is halted: {halted}; {fate.number} are due in all")
        if stopped:
            self._in_order(fate, stopped, set(left) - set(spared))

    def _is_not_too_many_any_more(self, policy: Policy, key: Key) -> bool:
        """What another `keep` policy has stopped is not there when the group is counted again."""
        others = [one for one in self.policies if one is not policy and one.keep is not None and one.stops]
        shared = policy.keep is not None and any(self._share_a_function(one, policy) for one in others)
        return (
            shared
            and key in self.lines
            and self.lines[key][-1].get("detail") == "it is not one too many any more"
        )

    def _in_order(self, fate: Fate, stopped: set[Key], left: set[Key]) -> None:
        """The most overdue are stopped first; in a `keep` policy those that `stop_first` names.

        Where lists leave out events, some ages are known by `startedTime` alone, and less exactly.
        """
        keep = fate.policy.keep
        if keep is None and self.world.options["events"] == "get":
            return
        for gone in stopped:
            for stays in left - stopped:
                one, other = fate.order[gone], fate.order[stays]
                if one is None or other is None:
                    continue
                if one > other if keep and keep["stop_first"] == "oldest" else one < other:
                    self.breach(
                        f"{fate.policy.name} stops {named(gone)} before {named(stays)}: {one}, {other}"
                    )


def key_of(line: Facts) -> Key:
    """The task that a line is about."""
    return Function(*line_place(line)), line["invocation_id"]


def line_place(line: Facts) -> tuple[str | None, str, str]:
    return line["service"], line["function"], line["qualifier"]


def named(key: Key) -> str:
    service, name, qualifier = key[0]
    return f"{service + '/' if service else ''}{name}@{qualifier} {key[1]}"


def held(line: Facts) -> bool:
    """Whether a task was spared by `holdout`."""
    return line.get("why") == "spared" and "holdout" in line.get("detail", "")


def named_as_in_2(record: Facts) -> Facts:
    """A record in the names of FC 2.0."""
    names = {"taskId": "invocationId", "taskPayload": "invocationPayload"}
    return {names.get(key, key): value for key, value in record.items()}


def date_of(exchange: Exchange) -> int | None:
    """The cloud's clock by an answer's `Date`."""
    try:
        return round(parsedate_to_datetime(exchange.date or "").timestamp()) * 1000
    except ValueError:
        return None


def is_misread(one: Exchange) -> bool:
    """Whether a record in an answer may say something else than it was."""
    return one.spoiled or one.fault in MISREAD


def is_refusal(stop: Exchange) -> bool:
    """Whether an answer is the platform's own refusal, so that nothing was stopped: a 4xx with its code."""
    if stop.status is None or not 400 <= stop.status < 500 or stop.status == 408:
        return False
    value = stop.value
    facts = {key.lower(): one for key, one in value.items()} if isinstance(value, dict) else {}
    return bool(re.match("[A-Za-z]", str(facts.get("errorcode") or facts.get("code") or "")))


def referees_of(trial: Trial) -> list[Referee]:
    """One for each run, which it has checked."""
    referees = [Referee(trial, run, number) for number, run in enumerate(trial.runs)]
    for one in referees:
        one.check()
    return referees


def breaches_of(trial: Trial, referees: list[Referee]) -> list[str]:
    """All that is wrong with a trial."""
    found = [f"the emulator: {one}" for one in trial.faults_of_the_emulator]
    return found + [breach for one in referees for breach in one.breaches]
