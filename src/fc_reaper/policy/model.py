"""What a policy file says, once it has been read: plain values that never change.

Lengths of time are milliseconds. `line` is the line of the file, counted from 1, where the thing
begins, so that a verdict can point at it; 0 when the value was not read from a file.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from fc_reaper.models import ALIVE, STOPPING, UNFINISHED, Millis
from fc_reaper.rules.expression import Expression
from fc_reaper.rules.target import Target

CLOCKS: dict[str, tuple[str, ...]] = {
    "queued_for": ("Enqueued", "Dequeued"),
    "running_for": ("Running",),
    "alive_for": ALIVE,
    "stopping_for": (STOPPING,),
}
"""The matcher keys that limit a length of time, and the statuses in which each of them can hold."""

STATUSES_WITH_RETRIES = ALIVE
"""The statuses in which `retries_over` can hold."""

DEFAULT_PER_RUN = 20
"""Tasks that a policy without `budget` may stop in one run."""


@dataclass(frozen=True)
class Carried:
    """A limit that the task carries itself, at most *at_most*.

    `otherwise` is the limit of a task that carries none that can be read; None: then nobody can tell.
    """

    expression: Expression
    at_most: Millis
    otherwise: Millis | None = None


Limit = Millis | Carried
"""Up to where a length of time is fine: the policy's own number, or the task's."""


@dataclass(frozen=True)
class Matcher:
    """Conditions on a task, joined by *and*. What is None (`ids`: empty) was not stated and asks nothing.

    `ids` are globs on the invocation id (`*` and `?`, with case); one of them must fit.
    `target` holds patterns for the function; one of them must fit.
    A clock (`queued_for` and so on) holds when the time is *over* the limit; exactly at it is not over.
    `retries_over` holds when the task was retried *more* than so many times. `where` holds when the
    expression answers true.
    """

    statuses: tuple[str, ...] | None = None
    ids: tuple[str, ...] = ()
    target: tuple[Target, ...] | None = None
    queued_for: Limit | None = None
    running_for: Limit | None = None
    alive_for: Limit | None = None
    stopping_for: Limit | None = None
    retries_over: int | None = None
    where: Expression | None = None
    line: int = field(default=0, compare=False)

    @cached_property
    def limits(self) -> tuple[tuple[str, Limit], ...]:
        """The clocks that are stated, by name, each with its limit."""
        stated = ((name, getattr(self, name)) for name in CLOCKS)
        return tuple((name, limit) for name, limit in stated if limit is not None)

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """Every expression that it asks, in `where` or as a limit."""
        carried = tuple(limit.expression for _, limit in self.limits if isinstance(limit, Carried))
        return carried if self.where is None else (*carried, self.where)

    @cached_property
    def stated_statuses(self) -> tuple[str, ...] | None:
        """The statuses in which every stated condition can hold; None when any status will do.

        Empty when the conditions contradict each other; a policy file that says so is refused.
        """
        demands = self.demands.values()
        if not demands:
            return None
        return tuple(status for status in UNFINISHED if all(status in demand for demand in demands))

    @cached_property
    def demands(self) -> dict[str, tuple[str, ...]]:
        """The statuses that each stated condition asks for by itself, by matcher key."""
        demands = {name: CLOCKS[name] for name, _ in self.limits}
        if self.statuses is not None:
            demands["status"] = self.statuses
        if self.retries_over is not None:
            demands["retries_over"] = STATUSES_WITH_RETRIES
        return demands

    @cached_property
    def condition_statuses(self) -> tuple[str, ...]:
        """The statuses in which this can hold as a policy's `match`.

        A `match` that names neither a status nor a clock means the tasks that are alive: one that is
        Stopping already is meant only where `status` or `stopping_for` says so.
        """
        return ALIVE if self.stated_statuses is None else self.stated_statuses


@dataclass(frozen=True)
class Keep:
    """How many of what matches may be alive at once, and which of them go first.

    `per` makes groups, each with its own *at_most*: by function (under all qualifiers), by function and
    qualifier, or by what an expression answers; None is one group of all that the policy watches.
    """

    at_most: int
    stop_first: Literal["newest", "oldest"] = "newest"
    per: Literal["function", "qualifier"] | Expression | None = None


@dataclass(frozen=True)
class Example:
    """A task that somebody thought of, and what the policy must make of it.

    `ages` holds clocks with their lengths, in the order of `CLOCKS`. `payload` is JSON text. What is None
    (`ages`: empty) was not given.
    """

    expect: Literal["stop", "report", "keep"]
    id: str | None = None
    target: Target | None = None
    status: str | None = None
    ages: tuple[tuple[str, Millis], ...] = ()
    retries: int | None = None
    payload: str | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Policy:
    """One entry of `policies`: whom it watches, when a task is due, and what then happens.

    `stops` is False for a `report`, which never stops anything. `triggers` empty means all.
    `per_run` is how many tasks it may stop in one run, `per_day` how many of its targets' tasks may have
    been stopped within a day, whoever stopped them (None: no such limit), `halt_over` how many may be due at
    once before it stops none of them (exactly that many is still fine; None: no such limit). `holdout` is
    the share of tasks that is spared, in hundredths of a percent.
    `index` is its place in the file, from 0. `approved` is False for
    a stop policy that only reports because a lock does not approve it.
    """

    name: str
    targets: tuple[Target, ...]
    match: Matcher
    stops: bool
    reason: str
    unless: tuple[Matcher, ...] = ()
    triggers: tuple[str, ...] = ()
    keep: Keep | None = None
    per_run: int = DEFAULT_PER_RUN
    per_day: int | None = None
    halt_over: int | None = None
    holdout: int | None = None
    examples: tuple[Example, ...] = ()
    line: int = field(default=0, compare=False)
    index: int = 0
    approved: bool = True

    @property
    def withholds(self) -> bool:
        """Whether a task that it claims belongs to it, so that it counts for no `keep` policy beside it.

        One that lost its approves keeps this: else a change not approved would make another policy stop.
        """
        return self.keep is None and (self.stops or not self.approved)

    def fits_trigger(self, kind: str, name: str | None = None) -> bool:
        """Whether a trigger of that kind runs this policy; *name* is the timer's, where it has one."""
        if not self.triggers or kind in self.triggers:
            return True
        return name is not None and f"{kind}:{name}" in self.triggers

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """Every expression that it asks of a task."""
        per = () if self.keep is None or not isinstance(self.keep.per, Expression) else (self.keep.per,)
        return (*self.match.expressions, *(one for mercy in self.unless for one in mercy.expressions), *per)


@dataclass(frozen=True)
class PolicyFile:
    """A whole policy file. `exempt` is above every policy; `source` names the file in messages."""

    version: int
    exempt: tuple[Matcher, ...]
    policies: tuple[Policy, ...]
    source: str = field(compare=False)

    def report_only(self, names: Collection[str]) -> PolicyFile:
        """This file with the policies of these *names* turned into reports, whatever else they say."""
        policies = (
            replace(one, stops=False, approved=False) if one.stops and one.name in names else one
            for one in self.policies
        )
        return replace(self, policies=tuple(policies))
