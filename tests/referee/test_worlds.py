"""Nothing wrong, and nothing missed, in two hundred worlds of all kinds.

`python -m tests.referee SEED --verbose` shows one of them; `make nightly` tries ten thousand.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import combinations

import pytest

from tests.referee.census import happenings
from tests.referee.referee import Referee, breaches_of, referees_of
from tests.referee.trial import Trial, carry_out
from tests.referee.worlds import OPTIONS, world_of

WORLDS, SLICES = 200, 20


@cache
def trial(seed: int) -> Trial:
    return carry_out(world_of(seed))


@cache
def referees(seed: int) -> list[Referee]:
    return referees_of(trial(seed))


@pytest.mark.parametrize("slice_number", range(SLICES))
def test_nothing_is_wrong_and_nothing_missed(slice_number: int) -> None:
    found = []
    for seed in range(slice_number, WORLDS, SLICES):
        breaches = breaches_of(trial(seed), referees(seed))
        found += [f"{breach}\n    replay: python -m tests.referee {seed} --verbose" for breach in breaches]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("seed", [6, 10, 15])
def test_a_world_is_always_the_same(seed: int) -> None:
    """To the last call and line: what a failing world shows can be shown again."""
    once, again = (carry_out(world_of(seed)) for _ in range(2))
    for one, other in zip(once.runs, again.runs, strict=True):
        assert one.exchanges == other.exchanges
        assert one.lines == other.lines
        assert (one.begun, one.ended) == (other.begun, other.ended)


LEAST = {
    # runs
    "a run": 220, "a quiet run": 50, "a policy known to the last stop": 23,
    "a group known to the last stop": 3, "several runs": 25, "a run that enforces": 120,
    "a run that is a dry run": 10, "a run that is a dry run by wish": 10, "a run that is partial": 5,
    "an event that narrows": 50, "an event of a shard": 20, "a lock": 10, "trigger timer": 50,
    "trigger command": 40, "trigger alert": 20, "trigger task": 15, "line trigger_ignored": 5,
    "line trigger_refused": 5, "line trigger_unrecognised": 3,
    # accounts
    "record reenqueued": 200, "record cutHead": 150, "record cutTail": 100, "record retries": 800,
    "record startedTime": 80, "record payloadText": 80, "record count": 20, "record undated": 50,
    "record dated ahead": 50, "record without events": 50, "a page that is not the first": 6,
    "a clock that is wrong": 20, "somebody else: stop": 20, "somebody else: forget": 8,
    "somebody else: replace": 8, "somebody else: repoint": 8,
    # policies
    "policy keep": 80, "several keep policies": 15, "policy unless": 60, "policy halt_over": 30,
    "policy holdout": 25, "policy triggers": 60, "policy report": 25, "policy N/day": 50,
    "policy owner": 80,
    "an exemption with an end": 30, "exempt with an end": 3,
    "carried limit": 15, "keep per None": 20, "keep per function": 5, "keep per qualifier": 5,
    "keep per payload.order": 5, "match running_for": 50, "match alive_for": 50, "match queued_for": 20,
    "match stopping_for": 8, "match retries_over": 20, "match where": 30, "match id": 20,
    # what became of tasks
    "a stop": 200, "a stop that is refused": 6, "due by keep": 60, "line accepted": 80,
    "line confirmed": 50, "line would_stop": 20, "line reported": 30, "line exempt": 20,
    "line unknown": 200, "line stuck": 40, "line ended": 2, "line stop_failed": 3, "line halted": 4,
    "line budget_spent": 15, "line not_approved": 8, "line list_failed": 40, "line lines_omitted": 8,
    "skipped: budget": 50, "skipped: halted": 20, "skipped: spared": 5, "skipped: clock": 1,
    "skipped: unreadable": 2,
    # what went wrong
    "wire by the emulator": 50, "wire truncated": 3,
    "answer 5xx": 5, "answer 403": 10, "answer 404": 20, "answer 429": 10,
    "wire no answer in time": 2,
}  # fmt: skip
"""How often each of these is there at least; one that is not named here may be as rare as it is."""


def test_in_these_worlds_there_is_everything() -> None:
    """And every value of every switch of the emulator, each pair of values of two switches together."""
    seen = Counter[str]()
    for seed in range(WORLDS):
        seen.update(happenings(trial(seed), referees(seed)))
    assert {what: seen[what] for what, least in LEAST.items() if seen[what] < least} == {}
    switches = [f"switch {name}={value}" for name, values in OPTIONS.items() for value in values]
    assert not [switch for switch in switches if seen[switch] < 3]
    shown = {pair for seed in range(WORLDS) for pair in combinations(trial(seed).world.options.items(), 2)}
    pairs = combinations(((name, value) for name in OPTIONS for value in OPTIONS[name]), 2)
    assert not {(one, other) for one, other in pairs if one[0] != other[0]} - shown
