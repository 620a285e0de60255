"""What a replay found, what a change of policy changes, and how long the tasks of each function take.

The models are what `--json` prints, lengths of time in seconds and moments in ISO 8601.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, PlainSerializer, model_serializer

from fc_reaper.backtest.history import (
    OUTCOMES,
    Grounds,
    Outcome,
    Result,
    Seconds,
    Timestamp,
    WholeTask,
    longest,
    outcome_of,
)
from fc_reaper.models import Function, Millis, Task, iso
from fc_reaper.policy import Policy
from fc_reaper.rules.duration import spell_duration
from fc_reaper.rules.target import Target


class Ended(Result):
    """A task, and how it ended in truth."""

    task: WholeTask
    outcome: Outcome


class Found(Ended):
    """A task that a policy would have reported or stopped: when first, and why."""

    at: Timestamp
    verdict: Grounds


class Stop(Found):
    """A stop; `saved` is the time in Running after it (0 if the task succeeded), `lost` the one before."""

    due_since: Timestamp
    saved: Annotated[Seconds, Field(serialization_alias="saved_s")]
    lost: Annotated[Seconds, Field(serialization_alias="ran_s")]


def by_outcome(tasks: Iterable[Ended]) -> dict[Outcome, int]:
    """How many of them ended how."""
    counts = Counter(one.outcome for one in tasks)
    return {outcome: counts[outcome] for outcome in OUTCOMES}


class PolicyReplay(BaseModel):
    """What one policy would have done. Counts are of tasks, each once, but `halted_runs`.

    `found` are the tasks that it stops or reports, in the order of time. `halted_runs` are the runs that
    stopped none because too many were due. `tasks` are the numbers of the tasks in the history that were
    `due`, `reported`, or held back by `budget`, `halted` or `holdout`; `reasons` says of those that were
    unknown in some run what was missing. `memory` is that of the functions in MB, None if it does not matter.
    """

    policy: Annotated[Policy, Field(exclude=True)]
    memory: Annotated[int | None, Field(exclude=True)] = None
    found: list[Stop | Found] = []
    halted_runs: int = 0
    tasks: Annotated[defaultdict[str, set[int]], Field(exclude=True)] = defaultdict(set)
    reasons: Annotated[dict[int, str], Field(exclude=True)] = {}

    @property
    def stops(self) -> list[Stop]:
        return [one for one in self.found if isinstance(one, Stop)]

    @property
    def due(self) -> int:
        return len(self.tasks["due"])

    @property
    def held_back(self) -> dict[str, int]:
        """How many due tasks were held back, for a while or for good, and by what."""
        return {why: len(self.tasks[why]) for why in ("budget", "halted", "holdout")}

    @property
    def unknown(self) -> Counter[str]:
        """How many tasks were unknown in some run and never due, by what was missing."""
        found = self.tasks["due"] | self.tasks["reported"]
        return Counter(why for number, why in self.reasons.items() if number not in found)

    @property
    def false_stops(self) -> list[Stop]:
        """The stops of tasks that would have succeeded; those that had run longest first."""
        wrong = [stop for stop in self.stops if stop.outcome == "succeeded"]
        return sorted(wrong, key=lambda stop: (-stop.lost, str(stop.task.function), stop.task.invocation_id))

    @property
    def saved(self) -> Millis:
        return sum(stop.saved for stop in self.stops)

    @property
    def saved_gb_s(self) -> float:
        """What the time saved costs; a GB has 1024 MB."""
        return round(self.saved / 1000 * (self.memory or 0) / 1024, 3)

    @model_serializer(mode="wrap")
    def _with_counts(self, dump: Callable[[PolicyReplay], dict[str, Any]]) -> dict[str, Any]:
        stops = self.policy.stops
        costs = {} if self.memory is None else {"saved_gb_s": self.saved_gb_s}
        first, last = (iso(one.at) for one in (self.found[0], self.found[-1])) if self.found else (None, None)
        return {
            "name": self.policy.name,
            "line": self.policy.line,
            "does": self.policy.does,
            "tasks": len(self.found),
            "first": first,
            "last": last,
            "outcomes": by_outcome(self.found),
            "false_stops": len(self.false_stops) if stops else None,
            "saved_s": self.saved / 1000,
            **costs,
            "due": self.due if stops else None,
            "held_back": self.held_back,
            "unknown": {"tasks": self.unknown.total(), "why": dict(self.unknown.most_common())},
            **dump(self),
        }


class Replay(BaseModel):
    """A whole replay.

    `first` and `last` are its first and last run, None when there was none; `runs` counts them all.
    `not_replayed` are the policies that no timer runs; `outside` counts tasks outside all replayed targets.
    """

    policies: Annotated[list[PolicyReplay], Field(exclude=True)]
    not_replayed: Annotated[
        list[Policy],
        PlainSerializer(lambda some: [one.model_dump(include={"name", "triggers"}) for one in some]),
    ]
    interval: Annotated[Seconds, Field(serialization_alias="interval_s")]
    outside: Annotated[int, Field(serialization_alias="outside_targets")]
    runs: int
    first: Annotated[Timestamp | None, Field(serialization_alias="first_run")]
    last: Annotated[Timestamp | None, Field(serialization_alias="last_run")]

    @property
    def stops(self) -> list[Stop]:
        return [stop for one in self.policies for stop in one.stops]

    @property
    def reported(self) -> int:
        return sum(len(one.found) for one in self.policies if not one.policy.stops)

    @property
    def saved(self) -> Millis:
        return sum(one.saved for one in self.policies)


How = Literal["more", "less", "earlier", "later"]


def _brief(stop: Stop | None) -> dict[str, Any] | None:
    if stop is None:
        return None
    policy, rule = stop.verdict.policy, stop.verdict.by.rule
    return {"policy": policy, "rule": rule, "at": iso(stop.at), "saved_s": stop.saved / 1000}


class Change(Ended):
    """A task that two policy files treat differently, with its stops; None where it has none."""

    how: How
    old: Annotated[Stop | None, PlainSerializer(_brief)]
    new: Annotated[Stop | None, PlainSerializer(_brief)]


def compare(old: Replay, new: Replay) -> tuple[dict[How, list[Change]], int]:
    """What changes whether and when a task is stopped, and how many both stop in the same run.

    Which policy stops it makes no difference. Tasks that succeeded in truth come first, then it goes by time.
    """
    before, after = ({_key(stop.task): stop for stop in one.stops} for one in (old, new))
    changes: dict[How, list[Change]] = {how: [] for how in get_args(How)}
    every = {**before, **after}
    for key in sorted(every, key=lambda key: (every[key].outcome != "succeeded", every[key].at, key)):
        one, other, stop = before.get(key), after.get(key), every[key]
        how: How
        if one is None or other is None:
            how = "more" if one is None else "less"
        elif one.at != other.at:
            how = "earlier" if other.at < one.at else "later"
        else:
            continue
        changes[how].append(Change(how=how, task=stop.task, outcome=stop.outcome, old=one, new=other))
    return changes, len(every) - sum(map(len, changes.values()))


def _key(task: Task) -> tuple[str, str, str]:
    return str(task.function), task.invocation_id, task.request_id or ""


# How long tasks take.


class Spread(BaseModel):
    """How long tasks take by one clock; percentiles are by nearest rank.

    `limit` is the smallest limit in whole units under which no task that succeeded would have been stopped
    at any interval; None when none succeeded.
    """

    clock: str
    tasks: int
    p50: Annotated[Seconds, Field(serialization_alias="p50_s")]
    p95: Annotated[Seconds, Field(serialization_alias="p95_s")]
    p99: Annotated[Seconds, Field(serialization_alias="p99_s")]
    most: Annotated[Seconds, Field(serialization_alias="max_s")]
    smallest_limit: str | None
    limit: Annotated[Seconds | None, Field(serialization_alias="smallest_limit_s")]
    unit: Annotated[Seconds, Field(serialization_alias="unit_s")]


class Suggestion(BaseModel):
    """How long the tasks of one function took that ended by themselves, and how they ended.

    `stopped` counts those that somebody stopped, `alive` those that have not ended, `unknown` those with an
    unknown status: none of them is measured.
    """

    service: str | None
    function: str
    qualifier: str
    ended: dict[str, int]
    stopped: int
    alive: int
    unknown: int
    measures: dict[str, Spread]


def suggest(tasks: Iterable[Task], targets: Collection[Target] = ()) -> Iterator[Suggestion]:
    """Measure the tasks of each function of *targets* (of all functions without any), in their order.

    `queue` is the longest wait since an enqueueing, `run` the longest attempt, `alive` the whole life from
    the first enqueueing. A task that never ran has no run.
    """
    by_function: defaultdict[Function, list[Task]] = defaultdict(list)
    for task in tasks:
        by_function[task.function].append(task)
    measures = {"queue": "queued_for", "run": "running_for", "alive": "alive_for"}
    for function in sorted(by_function, key=str):
        if targets and not any(target.fits(function) for target in targets):
            continue
        outcomes = Counter(map(outcome_of, by_function[function]))
        ended = [task for task in by_function[function] if outcome_of(task) in ("succeeded", "failed")]
        spreads = {measure: _spread(clock, ended) for measure, clock in measures.items()}
        yield Suggestion(
            service=function.service,
            function=function.name,
            qualifier=function.qualifier,
            ended=Counter(task.status for task in ended),
            stopped=outcomes["censored"],
            alive=outcomes["open"],
            unknown=outcomes["unknown"],
            measures={measure: spread for measure, spread in spreads.items() if spread is not None},
        )


def _spread(clock: str, tasks: Iterable[Task]) -> Spread | None:
    lengths = [(length, task.status) for task in tasks if (length := longest(task, clock, 0)) is not None]
    if not lengths:
        return None
    ordered = sorted(length for length, _ in lengths)
    good = max((length for length, status in lengths if status == "Succeeded"), default=None)
    limit, unit = (None, 1_000) if good is None else smallest_limit(good)
    return Spread(
        clock=clock,
        tasks=len(ordered),
        p50=percentile(ordered, 50),
        p95=percentile(ordered, 95),
        p99=percentile(ordered, 99),
        most=ordered[-1],
        smallest_limit=None if limit is None else spell_duration(limit),
        limit=limit,
        unit=unit,
    )


def percentile(ordered: Sequence[Millis], share: int) -> Millis:
    """The nearest rank: the smallest value such that *share* percent of all are not greater.

    *ordered* is ascending and not empty, *share* from 1 to 100.
    """
    return ordered[-(-share * len(ordered) // 100) - 1]


def smallest_limit(length: Millis) -> tuple[Millis, Millis]:
    """The smallest limit in whole units that a task of that length is never seen over, and the unit.

    The unit is a second up to ten minutes, else a minute. Exactly at a limit is not over it, and in the last
    millisecond of *length* the task has ended.
    """
    unit = 1_000 if length <= 600_000 else 60_000
    return max(1, -(-(length - 1) // unit)) * unit, unit
