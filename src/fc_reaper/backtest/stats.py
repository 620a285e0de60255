"""What a replay found, what a change of policy changes, and how long the tasks of each function take."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from fc_reaper.backtest.history import OUTCOMES, Outcome, Tasks, identity, longest, outcome_of
from fc_reaper.models import Function, Millis, Target, Task, iso
from fc_reaper.policy import Policy
from fc_reaper.rules.duration import spell_duration
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
        return {**identity(self.task), **named, **self.verdict.by.fields(), **stop}


def by_outcome(tasks: Iterable[Found]) -> dict[Outcome, int]:
    """How many of them ended how."""
    counts = Counter(one.outcome for one in tasks)
    return {outcome: counts[outcome] for outcome in OUTCOMES}


@dataclass
class PolicyReplay:
    """What one policy would have done. Counts are of tasks, each once, but `halted_runs`.

    `found` are the tasks that it stops or reports, in the order of time. `counts` has how many were `due`,
    `reported`, or held back by `budget`, `halted` or `holdout`; `unknown`, by what was missing, how many were
    unknown in some run and never due.
    """

    policy: Policy
    found: list[Found] = field(default_factory=list)
    halted_runs: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def stops(self) -> list[Found]:
        return self.found if self.policy.stops else []

    @property
    def held_back(self) -> dict[str, int]:
        """How many due tasks were held back, for a while or for good, and by what."""
        return {why: self.counts[why] for why in ("budget", "halted", "holdout")}

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
        return {
            **{name: getattr(policy, name) for name in ("name", "line", "does")},
            "tasks": len(found),
            "outcomes": by_outcome(found),
            "halted_runs": self.halted_runs,
            "first": iso(found[0].at) if found else None,
            "last": iso(found[-1].at) if found else None,
            "false_stops": len(self.false_stops) if policy.stops else None,
            "saved_s": self.saved / 1000,
            "due": self.counts["due"] if policy.stops else None,
            "held_back": self.held_back,
            "unknown": {"tasks": self.unknown.total(), "why": dict(self.unknown.most_common())},
            "found": found,
        }


@dataclass
class Replay:
    """A whole replay, with a run at each of `ticks`; `outside` counts tasks outside all replayed targets."""

    policies: list[PolicyReplay]
    not_replayed: list[Policy]
    ticks: range
    outside: int

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
        return {**runs, "not_replayed": others, "outside_targets": self.outside}


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


# The longest wait since an enqueueing, the longest attempt, and the whole life from the first enqueueing.
_MEASURES = {"queue": "queued_for", "run": "running_for", "alive": "alive_for"}


def suggest(tasks: Iterable[Task], targets: Collection[Target] = ()) -> Iterator[dict[str, Any]]:
    """Measure the tasks of each function of *targets* (of all functions without any), in their order.

    Measured are those that ended by themselves, counted by status in `ended`; others are `stopped` by
    somebody, `alive`, or of `unknown` status. `measures` has percentiles by nearest rank, and the smallest
    limit in whole units under which no task that succeeded would have been stopped; None when none did.
    """
    counts: defaultdict[Function, Counter[str]] = defaultdict(Counter)
    lengths: defaultdict[tuple[Function, str, bool], array[int]] = defaultdict(lambda: array("q"))
    for task in tasks:
        outcome = outcome_of(task)
        ended = outcome in ("succeeded", "failed")
        counts[task.function][task.status if ended else outcome] += 1
        for measure, clock in _MEASURES.items() if ended else ():
            length = longest(task, clock, 0)
            if length is not None:
                lengths[task.function, measure, outcome == "succeeded"].append(length)
    for function in sorted(counts, key=str):
        if targets and not any(target.fits(function) for target in targets):
            continue
        count = counts[function]
        others = {"stopped": "censored", "alive": "open", "unknown": "unknown"}
        numbers = {name: count.pop(outcome, 0) for name, outcome in others.items()}
        good, bad = ({one: lengths[function, one, how] for one in _MEASURES} for how in (True, False))
        measures = {one: _spread(one, good[one], bad[one]) for one in _MEASURES if good[one] or bad[one]}
        names = dict(zip(("service", "function", "qualifier"), function, strict=True))
        yield {**names, "ended": count, **numbers, "measures": measures}


def _spread(measure: str, good: Sequence[Millis], bad: Sequence[Millis]) -> dict[str, Any]:
    ordered = sorted((*good, *bad))
    limit, unit = smallest_limit(max(good)) if good else (None, 1_000)
    shares = {"p50_s": 50, "p95_s": 95, "p99_s": 99, "max_s": 100}
    return {
        "clock": _MEASURES[measure],
        "tasks": len(ordered),
        **{name: percentile(ordered, share) / 1000 for name, share in shares.items()},
        "smallest_limit": None if limit is None else spell_duration(limit),
        "smallest_limit_s": None if limit is None else limit / 1000,
        "unit_s": unit / 1000,
    }


def percentile(ordered: Sequence[Millis], share: int) -> Millis:
    """The nearest rank: the smallest value of *ordered* such that *share* percent of all are not greater."""
    return ordered[-(-share * len(ordered) // 100) - 1]


def smallest_limit(length: Millis) -> tuple[Millis, Millis]:
    """The smallest limit in whole seconds, beyond 10m in minutes, that it is never seen over; the unit."""
    unit = 1_000 if length <= 600_000 else 60_000
    return max(1, -(-(length - 1) // unit)) * unit, unit
