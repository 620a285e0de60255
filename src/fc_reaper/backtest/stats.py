"""What a replay found, what a change of policy changes, and how long the tasks of each function take."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from fc_reaper.backtest.history import OUTCOMES, Outcome, Tasks, identity, longest, outcome_of
from fc_reaper.models import Function, Millis, Target, Task, iso
from fc_reaper.policy import Policy
from fc_reaper.rules.result import Verdict


@dataclass(frozen=True, slots=True)
class Found:
    """The task of that `number` that a policy would have reported or stopped first at `at`, and how it ended.

    Only a stop has `due_since`, when it was due first; `saved` is the time in Running after it (0 if the task
    succeeded), and `lost` the one before.
    """

    tasks: Tasks
    number: int
    at: Millis
    verdict: Verdict
    outcome: Outcome
    due_since: Millis | None = None
    saved: Millis = 0
    lost: Millis = 0

    @property
    def task(self) -> Task:
        return self.tasks[self.number]

    def as_json(self) -> dict[str, Any]:
        stop: dict[str, Any] = {}
        if self.due_since is not None:
            stop = {"due_since": iso(self.due_since), "saved_s": self.saved / 1000, "ran_s": self.lost / 1000}
        named = {"policy": self.verdict.policy, "at": iso(self.at), "outcome": self.outcome}
        owner, by = self.verdict.owner, self.verdict.by
        return {**identity(self.task), **named, "owner": owner, **by.fields(), **stop}


def by_outcome(tasks: Iterable[Found]) -> dict[Outcome, int]:
    """How many of them ended how."""
    counts = Counter(one.outcome for one in tasks)
    return {outcome: counts[outcome] for outcome in OUTCOMES}


@dataclass
class PolicyReplay:
    """What one policy would have done.

    `found` are the tasks that it stops or reports, in the order of time; `due` are the numbers of all that
    were due by it in some run, those included that its budget, a halt or the holdout held back.
    """

    policy: Policy
    found: list[Found] = field(default_factory=list)
    halted_runs: int = 0
    due: set[int] = field(default_factory=set)

    @property
    def stops(self) -> list[Found]:
        return self.found if self.policy.stops else []

    @property
    def false_stops(self) -> list[Found]:
        """The stops of tasks that would have succeeded; those that had run longest first."""
        wrong = (stop for stop in self.stops if stop.outcome == "succeeded")
        return sorted(wrong, key=lambda stop: (-stop.lost, _key(stop)))

    @property
    def saved(self) -> Millis:
        return sum(stop.saved for stop in self.stops)

    def as_json(self) -> dict[str, Any]:
        policy, found = self.policy, self.found
        named = {name: getattr(policy, name) for name in ("name", "line", "does")}
        counts = {"tasks": len(found), "outcomes": by_outcome(found), "halted_runs": self.halted_runs}
        first, last = (iso(found[0].at), iso(found[-1].at)) if found else (None, None)
        false_stops, due = (len(self.false_stops), len(self.due)) if policy.stops else (None, None)
        stops = {"false_stops": false_stops, "saved_s": self.saved / 1000, "due": due}
        return {**named, **counts, "first": first, "last": last, **stops, "found": found}


@dataclass
class Replay:
    """A whole replay, with a run at each of `ticks`.

    `outside` counts tasks outside all replayed targets; `unknown`, by what was missing, those that some run
    could not decide and that were never due. `unseen` are the targets of which the history has no task.
    """

    policies: list[PolicyReplay]
    not_replayed: list[Policy]
    ticks: range
    outside: int
    unknown: Counter[str]
    unseen: Sequence[str] = ()

    @property
    def stops(self) -> list[Found]:
        return [stop for one in self.policies for stop in one.stops]

    @property
    def saved(self) -> Millis:
        return sum(one.saved for one in self.policies)

    def as_json(self) -> dict[str, Any]:
        ticks = self.ticks
        first, last = (iso(ticks[0]), iso(ticks[-1])) if ticks else (None, None)
        runs = {"runs": len(ticks), "first_run": first, "last_run": last, "interval_s": ticks.step / 1000}
        others = [{"name": one.name, "triggers": one.triggers} for one in self.not_replayed]
        unknown = {"tasks": self.unknown.total(), "why": dict(self.unknown.most_common())}
        return {**runs, "not_replayed": others, "outside_targets": self.outside, "unknown": unknown}


How = Literal["more", "less", "earlier", "later"]


@dataclass(frozen=True, slots=True)
class Change:
    """A task that two policy files treat differently: a stop of it, and those by each of the two, if any."""

    how: How
    stop: Found
    old: Found | None
    new: Found | None

    def as_json(self) -> dict[str, Any]:
        named = {"how": self.how, "outcome": self.stop.outcome, "old": self.old, "new": self.new}
        return {**identity(self.stop.task), **named}


def compare(old: Replay, new: Replay) -> tuple[dict[How, list[Change]], int]:
    """What changes whether and when a task is stopped, whichever policy does, and how many are stopped alike.

    Both have replayed one history. Tasks that succeeded in truth come first, then it goes by time.
    """
    before, after = ({stop.number: stop for stop in one.stops} for one in (old, new))
    every = {**before, **after}
    changes: dict[How, list[Change]] = {how: [] for how in get_args(How)}
    for stop in sorted(every.values(), key=lambda one: (one.outcome != "succeeded", one.at, _key(one))):
        one, other = before.get(stop.number), after.get(stop.number)
        how: How
        if one is None or other is None:
            how = "more" if one is None else "less"
        elif one.at != other.at:
            how = "earlier" if other.at < one.at else "later"
        else:
            continue
        changes[how].append(Change(how, stop, one, other))
    return changes, len(every) - sum(map(len, changes.values()))


def _key(found: Found) -> tuple[str, str, str]:
    task = found.task
    return str(task.function), task.invocation_id, task.request_id or ""


def suggest(tasks: Iterable[Task], targets: Collection[Target]) -> Iterator[dict[str, Any]]:
    """Measure the tasks of *targets* that ended by themselves: the most that each clock came to.

    By function and clock: percentiles by nearest rank, and the smallest limit in whole seconds by which no
    task that succeeded would have been stopped; None where none succeeded.
    """
    lengths: defaultdict[tuple[Function, str], array[int]] = defaultdict(lambda: array("q"))
    slowest: dict[tuple[Function, str], Millis] = {}
    for task in tasks:
        outcome = outcome_of(task)
        if outcome in ("succeeded", "failed") and any(target.fits(task.function) for target in targets):
            for clock in ("queued_for", "running_for", "alive_for"):
                length, group = longest(task, clock, 0), (task.function, clock)
                if length is not None:
                    lengths[group].append(length)
                    if outcome == "succeeded":
                        slowest[group] = max(length, slowest.get(group, 0))
    for function, clock in sorted(lengths, key=lambda group: (str(group[0]), group[1])):
        ordered, most = sorted(lengths[function, clock]), slowest.get((function, clock))
        ranks = {f"p{share}_s": -(-share * len(ordered) // 100) - 1 for share in (50, 95, 99)} | {"max_s": -1}
        yield {
            **function.fields(),
            "clock": clock,
            "tasks": len(ordered),
            **{name: ordered[rank] / 1000 for name, rank in ranks.items()},
            # Exactly at a limit is not over it, and at its last millisecond a task has ended.
            "smallest_limit_s": None if most is None else max(1, -(-(most - 1) // 1000)),
        }
