"""What a policy file says, once it has been read: plain values that never change.

Lengths of time are milliseconds. `line` is the line of the file, counted from 1, where the thing
begins, so that a verdict can point at it; 0 when the value was not read from a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from fc_reaper.model import ALIVE, STOPPING, UNFINISHED, Millis
from fc_reaper.target import Target

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
class Matcher:
    """Conditions on a task, joined by *and*. What is None (`ids`: empty) was not stated and asks nothing.

    `ids` are globs on the invocation id (`*` and `?`, with case); one of them must fit.
    `target` holds patterns for the function; one of them must fit.
    A clock (`queued_for` and so on) holds when the time is *over* the limit; exactly at it is not over.
    `retries_over` holds when the task was retried *more* than so many times.
    """

    statuses: tuple[str, ...] | None = None
    ids: tuple[str, ...] = ()
    target: tuple[Target, ...] | None = None
    queued_for: Millis | None = None
    running_for: Millis | None = None
    alive_for: Millis | None = None
    stopping_for: Millis | None = None
    retries_over: int | None = None
    line: int = 0

    @cached_property
    def limits(self) -> tuple[tuple[str, Millis], ...]:
        """The clocks that are stated, by name, each with its limit."""
        stated = ((name, getattr(self, name)) for name in CLOCKS)
        return tuple((name, limit) for name, limit in stated if limit is not None)

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
class Policy:
    """One entry of `policies`: whom it watches, when a task is due, and what then happens.

    `stops` is False for a `report`, which never stops anything. `triggers` empty means all.
    `per_run` is how many tasks it may stop in one run, `halt_over` how many may be due at once
    before it stops none of them (exactly that many is still fine; None: no such limit).
    `index` is its place in the file, counted from 0: two policies may stand on one line.
    """

    name: str
    targets: tuple[Target, ...]
    match: Matcher
    stops: bool
    reason: str
    unless: tuple[Matcher, ...] = ()
    triggers: tuple[str, ...] = ()
    per_run: int = DEFAULT_PER_RUN
    halt_over: int | None = None
    line: int = 0
    index: int = 0

    def fits_trigger(self, kind: str, name: str | None = None) -> bool:
        """Whether a trigger of that kind runs this policy; *name* is the timer's, where it has one."""
        if not self.triggers or kind in self.triggers:
            return True
        return name is not None and f"{kind}:{name}" in self.triggers


@dataclass(frozen=True)
class PolicyFile:
    """A whole policy file. `exempt` is above every policy; `source` names the file in messages."""

    version: int
    exempt: tuple[Matcher, ...]
    policies: tuple[Policy, ...]
    source: str
