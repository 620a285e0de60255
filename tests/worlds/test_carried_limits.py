"""Limits that tasks carry: what people write there, the limit that counts, and where it comes from."""

from __future__ import annotations

from typing import Any

import pytest

from fc_reaper.rules.duration import parse_duration
from tests.emulator_server import running_emulator
from tests.reaping import reap
from tests.run.account import stopped
from tests.worlds.world import running

LIMITS: list[tuple[Any, str, str]] = [
    ("90m", "90m", "task"),
    ("6h", "6h", "task"),
    ("6h1s", "6h", "at_most"),
    ("10000000000000m", "6h", "at_most"),
    (" NONE ", "6h", "at_most"),
    ("P1D", "6h", "at_most"),
    ("5.5h", "5h30m", "task"),
    ("90 Minutes", "90m", "task"),
    ("PT1H30M", "90m", "task"),
    ("0m", "2h", "else"),
    ("soon", "2h", "else"),
    ("5", "2h", "else"),
    *((other, "2h", "else") for other in (5, True, ["5h"], "", None)),
]
"""What a task carries, the limit that counts, its source; tests/rules/test_duration.py has all spellings."""

POLICY = """\
version: 1
policies:
  - name: p
    targets: [media/transcode]
    match: {alive_for: {from: payload.max_run, at_most: 6h, else: 2h}}
    stop: why
    budget: 500/run
"""


def carrying(age: str) -> list[dict[str, Any]]:
    """A task for each limit, with its number as its id, and one that carries none."""
    tasks = [
        running(f"t{number}", age, payload={"max_run": limit}) for number, (limit, *_) in enumerate(LIMITS)
    ]
    return [*tasks, running("none", age, payload={})]


def test_the_log_says_which_limit_counted_and_where_it_came_from() -> None:
    """All are over any limit, so each has a line."""
    with running_emulator(seed={"invocations": carrying("7h")}) as cloud:
        lines = {
            line["invocation_id"]: line
            for line in reap(cloud.endpoint, POLICY, log_tasks="1000").logged("would_stop")
        }
    said = [
        (lines[f"t{number}"]["limit_s"], lines[f"t{number}"]["limit_from"]) for number in range(len(LIMITS))
    ]
    assert said == [(parse_duration(limit) / 1000, source) for _, limit, source in LIMITS]
    assert (lines["none"]["limit_s"], lines["none"]["limit_from"]) == (7200, "else")


@pytest.mark.parametrize("age", ["3h", "5h10m"])
def test_a_task_is_stopped_beyond_that_limit(age: str) -> None:
    """And none before."""
    over = {
        f"t{number}"
        for number, (_, limit, _) in enumerate(LIMITS)
        if parse_duration(limit) < parse_duration(age)
    }
    with running_emulator("--stopping", "5ms", seed={"invocations": carrying(age)}) as cloud:
        reap(cloud.endpoint, POLICY, enforce=True)
        assert stopped(cloud) == {*over, "none"}


def test_a_limit_that_cannot_be_read_is_unknown_without_another() -> None:
    policy = POLICY.replace(", else: 2h", "")
    unread = {f"t{number}" for number, (_, _, source) in enumerate(LIMITS) if source == "else"}
    with running_emulator("--stopping", "5ms", seed={"invocations": carrying("7h")}) as cloud:
        reap(cloud.endpoint, policy, enforce=True)
        assert stopped(cloud) == {f"t{number}" for number in range(len(LIMITS))} - unread


def test_a_limit_in_the_policy_comes_from_there() -> None:
    policy = POLICY.replace("{from: payload.max_run, at_most: 6h, else: 2h}", "2h")
    with running_emulator(seed={"invocations": [running()]}) as cloud:
        (line,) = reap(cloud.endpoint, policy).logged("would_stop")
    assert (line["limit_s"], line["limit_from"]) == (7200, "policy")
