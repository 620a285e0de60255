"""What speaks against approving a policy, each in a sentence that says what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from fc_reaper.backtest.stats import PolicyReplay
from fc_reaper.cli.approving.looks import Evidence, Scanner, needs_a_name
from fc_reaper.cli.history import Loaded
from fc_reaper.cli.output import counted
from fc_reaper.models import FINISHED, STOPPED, Function
from fc_reaper.policy import Policy

_FEW = 4
"""Tasks of a policy's own functions from which on a share says something."""

_ENOUGH = 10
"""Tasks that ended by themselves, from which on a history says something."""

_BY_ITSELF = frozenset(FINISHED) - {STOPPED}

Doubts = tuple[str, ...]


def doubts_of(policy: Policy, found: Evidence) -> Doubts:
    """Why somebody should think twice before *policy* stops anything; empty: nothing speaks against it."""
    if needs_a_name(policy):
        return ()
    look = found.of(policy)
    if look is None or found.loaded is None:
        return ("it was not looked at; run fc-reaper approve again",)
    (replayed,) = (one for one in look.replay.policies if one.policy.name == policy.name)
    return (*_of_now(policy, look, found), *_of_then(policy, replayed, found.loaded))


def gone_doubts(gone: Iterable[str]) -> Doubts:
    """One for each exemption that the lock knows and the policy file has no more."""
    return tuple(
        f"the exemption {one} is gone since the lock was written; put it back, unless that is meant"
        for one in gone
    )


def _of_now(policy: Policy, look: Scanner, found: Evidence) -> Iterator[str]:
    for line in look.lines.of("halted"):
        if line.policy == policy.name:
            yield f"right now it would be halted: {line.why}; see who is due, and mend the policy"
    if look.finished.result.partial or look.lines.of("list_failed") or not found.census.whole:
        yield "not all tasks could be looked at; mend what fc-reaper plan could not list, and try again"
    counts = look.finished.result.policies.get(policy.name)
    due = counts.due if counts else 0
    alive = _watched(policy, found.census.tasks)
    if alive >= _FEW and due * 2 > alive:
        yield (
            f"{due} of the {alive} unfinished tasks of its functions are due right now, more than half; "
            "look at its limit and its unit"
        )


def _of_then(policy: Policy, replayed: PolicyReplay, loaded: Loaded) -> Iterator[str]:
    records = Counter(task.function for task in loaded.history.tasks)
    ended = Counter(task.function for task in loaded.history.tasks if task.status in _BY_ITSELF)
    yield from _too_few(_watched(policy, records), _watched(policy, ended))
    yield from _stops(replayed, _watched(policy, records))
    if replayed.halted_runs:
        runs = counted(replayed.halted_runs, "run")
        yield f"it would have been halted in {runs} of the history; see fc-reaper backtest, and mend it"
    if loaded.refused:
        yield "not all of the history could be read; try again, or give one with --history"


def _too_few(records: int, ended: int) -> Iterator[str]:
    """Where the history is too short to tell that a limit is wrong."""
    if records == 0:
        yield (
            "no task of its functions is in the history, so nobody knows what it would have done; "
            "give one with --history that has some"
        )
    elif ended < _ENOUGH:
        number = "no task" if ended == 0 else f"only {counted(ended, 'task')}"
        alone = "by itself" if ended <= 1 else "by themselves"
        yield (
            f"{number} of its functions ended {alone} in the history: too few to tell; "
            "wait for more, or give a longer one with --history"
        )


def _stops(replayed: PolicyReplay, records: int) -> Iterator[str]:
    wrong, stops = len(replayed.false_stops), len(replayed.stops)
    if wrong:
        yield (
            f"{counted(wrong, 'task')} that it would have stopped succeeded in truth; "
            "fc-reaper backtest --suggest shows the smallest limit without a false stop"
        )
    if records >= _FEW and stops * 2 > records:
        yield (
            f"it would have stopped {stops} of the {records} tasks of its functions in the history, more "
            "than half; look at its limit and its unit"
        )


def _watched(policy: Policy, tasks: Mapping[Function, int]) -> int:
    """How many of *tasks*, counted by function, *policy* watches."""
    fitting = (number for place, number in tasks.items() if any(t.fits(place) for t in policy.targets))
    return sum(fitting)
