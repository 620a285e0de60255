"""Listings of a run in which nothing is alive: each is told by what rings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fc_reaper.cli.checking.cost import questions
from fc_reaper.cli.output import counted
from fc_reaper.events import Request, Selector
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.ages import StartedTime
from fc_reaper.sweep.scope import scope_of

_MOST = 20
"""Timers of a name that are told apart; of more nobody reads."""


def idle_calls(
    file: PolicyFile, started_time: StartedTime, kind: str = "timer", name: str | None = None
) -> int:
    """Listings that a run by *kind* makes of all literal targets when nothing is alive, one call each."""
    scope = scope_of([Request(kind, name, Selector(), "")], file.policies)
    policies = list({area.policy.index: area.policy for area in scope.areas}.values())
    return sum(
        len(questions(function, policies, file.exempt, started_time)) for function in scope.functions(())
    )


def idle_by_trigger(file: PolicyFile, started_time: StartedTime) -> dict[str, int]:
    """The same for whatever may ring: the first 20 timers that a policy names, `timer` for any other.

    An event that names a task is not among them: it lists nothing.
    """
    names = dict.fromkeys(one for policy in file.policies for one in policy.triggers if ":" in one)
    rings = [*list(names)[:_MOST], "timer", "alert", "command"]
    parted = {ring: ring.partition(":") for ring in rings}
    return {
        ring: idle_calls(file, started_time, kind, name or None) for ring, (kind, _, name) in parted.items()
    }


def idle_sentence(idle: Mapping[str, int]) -> str | None:
    """What `idle_by_trigger` found, in words; None where no run lists anything."""
    numbers = sorted(set(idle.values()), reverse=True)
    if not any(numbers):
        return None
    start = "While nothing is alive the literal targets take"
    if len(numbers) == 1:
        return f"{start} {counted(numbers[0], 'call')} a run."
    named = sum(":" in ring for ring in idle)
    parts = [
        f"{counted(number, 'call') if number else 'none'}{' in a run' if not at else ''} by "
        + _joined(_spoken(ring, named=named) for ring, calls in idle.items() if calls == number)
        for at, number in enumerate(numbers)
    ]
    return f"{start} {', '.join(parts)}."


def _spoken(ring: str, *, named: int) -> str:
    if ring == "timer" and named:
        return "any other timer" if named < _MOST else "a timer that no policy names"
    return ring if ":" in ring else f"an {ring}" if ring == "alert" else f"a {ring}"


def _joined(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
