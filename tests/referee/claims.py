"""What a run must do, by docs/policy*.md and docs/triggers.md: which policies run, which tasks are due.

`reading.py` reads one record; this is about many of them, and about the file and the event as a whole.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, NamedTuple

from tests.referee.reading import (
    ALIVE,
    FINISHED,
    RUNS_IN,
    Function,
    Present,
    any_holds,
    began,
    both,
    group_of,
    holds_as_long,
    is_held_out,
    is_trusted,
    limit_of,
    matches,
    names_of,
    opposite,
    watches,
)
from tests.referee.worlds import Asked, Request

Key = tuple[Function, str]
Facts = dict[str, Any]


class Verdict(NamedTuple):
    """A task by itself: finished, exempt, unknown, due, reported or kept; and by which policy."""

    kind: str
    policy: str | None = None


class Member(NamedTuple):
    """A task that counts for a `keep` policy: its group, its place by first enqueueing, may it be chosen."""

    group: tuple[Any, ...]
    place: tuple[int, str]
    selectable: bool


class Policy:
    """One policy of the file, and what a run makes of it."""

    def __init__(self, index: int, facts: Facts, approved: bool, asked: Asked, tree: Facts) -> None:
        self.index, self.facts, self.name, self.tree = index, facts, facts["name"], tree
        self.approved, self.stops = approved, "stop" in facts and approved
        self.withholds = "stop" in facts and "keep" not in facts
        self.keep: dict[str, Any] | None = facts.get("keep")
        self.holdout: str | None = facts.get("holdout")
        self.halt_over: int | None = facts.get("halt_over")
        self.requests = [one for one in asked.requests if self._runs(one)]
        parts = dict(reversed(part.split("/")) for part in facts.get("budget", "20/run").split(", "))
        self.per_run = int(parts.get("run", 20))
        self.per_day = int(parts["day"]) if "day" in parts else None

    @property
    def statuses(self) -> list[str]:
        """The statuses in which its match may hold."""
        match = self.facts["match"]
        clocks = [RUNS_IN[key] for key in match if key in RUNS_IN]
        wanted = [*clocks, match["status"]] if "status" in match else clocks
        return [one for one in (*ALIVE, "Stopping") if all(one in some for some in wanted or [ALIVE])]

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
            self.selects(one, function) and one.invocation_id in (None, invocation_id)
            for one in self.requests
        )

    def selects(self, request: Request, function: Function) -> bool:
        """Whether a request names a function, and looks at its shard."""
        return selects(request, function) and shares(request, function, self.tree)

    def is_due(self, record: Facts, function: Function, present: Present) -> bool | None:
        """Whether `match` holds and `unless` does not."""
        spared = any_holds(self.facts.get("unless", []), record, function, present)
        return both(matches(self.facts["match"], record, function, present), opposite(spared))

    def urgency(self, record: Facts, present: Present) -> int | None:
        """By how much a due task is over the only limit of time of the policy; None if it has no such one."""
        clocks = [key for key in self.facts["match"] if key in RUNS_IN]
        if len(clocks) != 1 or "retries_over" in self.facts["match"]:
            return None
        limit, (_, latest) = (
            limit_of(self.facts["match"][clocks[0]], record),
            began(record, clocks[0], present),
        )
        return None if limit is None or latest is None else present.now.earliest - latest - limit


def selects(request: Request, function: Function) -> bool:
    """Whether a request names a function, by either of its names; what it leaves out fits all."""
    wanted = (request.service, request.function, request.qualifier)
    return any(
        all(part in (None, given) for part, given in zip(wanted, name, strict=True))
        for name in names_of(function)
    )


def shares(request: Request, function: Function, tree: Facts) -> bool:
    """Whether a function is in the shard of a request: by a hash of its name, or of that of the last of the
    policies with `keep` or `halt_over` that must stay together, if one of these may watch it."""
    if request.shard is None:
        return True
    name = str(names_of(function)[-1].name if function.service else function.name)
    groups: list[dict[str, list[str]]] = []
    for policy in tree["policies"]:
        if "keep" in policy or "halt_over" in policy:
            globs = [one.partition("@")[0].replace("/", "$") for one in policy["targets"]]
            met = [group for group in groups if any(_may_meet(globs, its) for its in group.values())]
            joined = {its: theirs for group in met for its, theirs in group.items()}
            groups = [group for group in groups if group not in met] + [{**joined, policy["name"]: globs}]
    service, plain, qualifier = function
    text = f"{service}/{plain}@{qualifier}" if service else f"{plain}@{qualifier}"
    for group in groups:
        if any(fnmatchcase(name, glob) for globs in group.values() for glob in globs):
            text = list(group)[-1]
    number, of = map(int, request.shard.split("/"))
    return int(sha256(text.encode()).hexdigest()[:16], 16) % of + 1 == number


def _may_meet(some: list[str], others: list[str]) -> bool:
    """Whether some name may fit both, by what stands before the first pattern of each."""
    pairs = [[(glob, re.split("[*?]", glob)[0]) for glob in globs] for globs in (some, others)]
    return any(
        one == other if one == start and other == its
        else other.startswith(start) if other == its
        else one.startswith(its) if one == start
        else start.startswith(its) or its.startswith(start)
        for one, start in pairs[0] for other, its in pairs[1]
    )  # fmt: skip


def is_own(function: Function) -> bool:
    """Whether it is the reaper's own function, under any qualifier."""
    return any((one.service, one.name) == ("ops", "fc-reaper") for one in names_of(function))


def _deciding(policy: Facts) -> Facts:
    """The keys of which a change un-approves a policy; in these worlds words and names stay."""
    return {key: value for key, value in policy.items() if key != "owner"}


def approvals(tree: Facts, locked: tuple[Facts, list[str]] | None) -> dict[str, bool]:
    """Which policies a lock lets stop: those in it whose meaning is the same, while no exemption is gone, or
    ends earlier.

    If an approved policy changes, every `keep` policy loses its approval too.
    """
    names = [one["name"] for one in tree["policies"]]
    if locked is None:
        return dict.fromkeys(names, True)
    before, approved = locked
    old = {one["name"]: _deciding(one) for one in before["policies"]}
    exempt = tree.get("exempt", [])
    gone = [one for one in before.get("exempt", []) if not any(holds_as_long(its, one) for its in exempt)]
    changed = [
        one["name"]
        for one in tree["policies"]
        if one["name"] in approved and old[one["name"]] != _deciding(one)
    ]
    return {
        one["name"]: one["name"] in approved
        and one["name"] not in changed
        and not gone
        and not (changed and "keep" in one)
        for one in tree["policies"]
    }


class Claims:
    """The policies of one run, and what they say of records."""

    def __init__(self, tree: Facts, locked: tuple[Facts, list[str]] | None, asked: Asked) -> None:
        approved = approvals(tree, locked)
        self.policies = [
            Policy(index, one, approved[one["name"]], asked, tree)
            for index, one in enumerate(tree["policies"])
        ]
        self.by_name = {one.name: one for one in self.policies}
        self.exempt: list[Any] = tree.get("exempt", [])

    def verdict(
        self, record: Facts, key: Key, present: Present, policies: Iterable[Policy] | None = None
    ) -> Verdict:
        """The verdict on a task by those without `keep` of *policies*, else of all that are about it."""
        function = key[0]
        if record["status"] in FINISHED:
            return Verdict("finished")
        exempt = True if is_own(function) else any_holds(self.exempt, record, function, present)
        if exempt:
            return Verdict("exempt")
        if not is_trusted(record, present.now):
            return Verdict("unknown")
        if policies is None:
            policies = [one for one in self.policies if one.covers(*key)]
        results = {one: one.is_due(record, function, present) for one in policies if one.keep is None}
        found = [one for one in results if results[one] and one.stops]
        found += [one for one in results if results[one] and not one.stops]
        if found:
            kind = "due" if found[0].stops else "reported"
            return Verdict(kind if exempt is False else "unknown", found[0].name)
        return Verdict("unknown" if None in results.values() else "kept")

    def member(self, policy: Policy, record: Facts, function: Function, present: Present) -> Member | None:
        """How a task counts for a `keep` policy; None: it does not, or that is unknown.

        One that is due by another stop policy without `keep` does not. One that `exempt` or `unless` spares,
        or may spare, counts and is never chosen.
        """
        if record["status"] not in ALIVE or not is_trusted(record, present.now) or policy.keep is None:
            return None
        exempt = True if is_own(function) else any_holds(self.exempt, record, function, present)
        beside = [one for one in self.policies if one.withholds and one.requests and one.watches(function)]
        if exempt is False and any(one.is_due(record, function, present) for one in beside):
            return None
        group = group_of(record, function, policy.keep.get("per"))
        earliest, latest = began(record, "alive_for", present)
        if matches(policy.facts["match"], record, function, present) is not True:
            return None
        if group is None or earliest is None or latest is None:
            return None
        selectable = exempt is False and policy.is_due(record, function, present) is True
        return Member(group, (earliest, record["invocationId"]), selectable)


@dataclass
class Fate:
    """What becomes of the due tasks of one stop policy: `due` are those that the run is about.

    `number` is how many are due in all targets, held out ones left out. `order` has what decides which of the
    due tasks is first, None where the documents do not say.
    """

    policy: Policy
    due: list[Key] = field(default_factory=list)
    number: int = 0
    order: dict[Key, Any] = field(default_factory=dict)

    @property
    def held_out(self) -> list[Key]:
        return [key for key in self.due if is_held_out(key[1], self.policy.holdout)]

    @property
    def left(self) -> list[Key]:
        return [key for key in self.due if not is_held_out(key[1], self.policy.holdout)]

    @property
    def is_halted(self) -> bool:
        return self.policy.halt_over is not None and self.number > self.policy.halt_over


def fates(
    claims: Claims, records: Mapping[Key, Facts], present: Present
) -> tuple[dict[str, Fate], dict[Key, Verdict]]:
    """The fate of every stop policy, and the verdict on every task of *records* that the run is about.

    First what is due by a policy without `keep`, then, policy by policy, what is one too many.
    """
    found = {one.name: Fate(one) for one in claims.policies if one.stops}
    verdicts: dict[Key, Verdict] = {}
    running = [one for one in claims.policies if one.requests]
    for key, record in records.items():
        function = key[0]
        if any(one.covers(*key) for one in running):
            verdicts[key] = claims.verdict(record, key, present)
        its = [one for one in running if one.watches(function)]
        in_all = claims.verdict(record, key, present, its)
        if in_all.kind == "due" and not is_held_out(key[1], found[in_all.policy or ""].policy.holdout):
            found[in_all.policy or ""].number += 1
    for key, verdict in verdicts.items():
        if verdict.kind == "due":
            policy = claims.by_name[verdict.policy or ""]
            found[policy.name].due.append(key)
            found[policy.name].order[key] = policy.urgency(records[key], present)
    taken: set[Key] = set()
    for policy in running:
        if policy.keep is None:
            continue
        for key, member in _one_too_many(claims, policy, records, present, taken):
            if not policy.stops:
                if policy.covers(*key) and verdicts[key].kind != "due":
                    before = verdicts[key]
                    verdicts[key] = before if before.kind == "reported" else Verdict("reported", policy.name)
                continue
            taken.add(key)
            found[policy.name].number += not is_held_out(key[1], policy.holdout)
            if policy.covers(*key):
                verdicts[key] = Verdict("due", policy.name)
                found[policy.name].due.append(key)
                found[policy.name].order[key] = member.place
    return found, verdicts


def _one_too_many(
    claims: Claims, policy: Policy, records: Mapping[Key, Facts], present: Present, taken: set[Key]
) -> list[tuple[Key, Member]]:
    groups: defaultdict[tuple[Any, ...], list[tuple[Key, Member]]] = defaultdict(list)
    assert policy.keep is not None
    for key, record in records.items():
        if policy.watches(key[0]) and key not in taken:
            member = claims.member(policy, record, key[0], present)
            if member is not None:
                groups[member.group].append((key, member))
    going: list[tuple[Key, Member]] = []
    for group in groups.values():
        group.sort(key=lambda one: one[1].place, reverse=policy.keep["stop_first"] == "newest")
        excess = max(0, len(group) - policy.keep["at_most"])
        going += [one for one in group if one[1].selectable][:excess]
    return going
