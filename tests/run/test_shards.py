"""Runs that share the functions out do together what one run does, and no task is looked at by two."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fc_reaper.models import Exit
from tests.emulator_server import Emulator, running_emulator
from tests.events.builders import a_timer
from tests.reaping import Reaped, reap
from tests.run.account import operations, policy, stopped

PLACES: list[dict[str, str]] = [
    {"serviceName": service, "functionName": name, "qualifier": qualifier}
    for service, name in (("media", "transcode"), ("media", "resize"), ("shop", "invoice"))
    for qualifier in ("LATEST", "prod")
] + [{"functionName": name} for name in ("resize", "encode", "media$encode")]
SEED: dict[str, Any] = {
    "invocations": [
        {**place, "invocationId": f"{kind}-{at}{age}", "status": "Running", "enqueued": age, "started": age}
        for at, place in enumerate(PLACES)
        for kind in ("job", "vip", "keep")
        for age in ("-9h", "-5h", "-90m", "-10m")
    ]
}


@pytest.fixture(scope="module")
def account() -> Iterator[Emulator]:
    """An account that dry runs leave as it is."""
    with running_emulator(seed=SEED) as emulator:
        yield emulator


def shards(number: int) -> list[Any]:
    """The events of so many timers that share the functions out."""
    return [a_timer(json.dumps({"shard": f"{one}/{number}"})) for one in range(1, number + 1)]


def verdicts(runs: Iterable[Reaped]) -> Counter[str]:
    """What is said of each task, by which policy and why, ages and runs left out."""
    said = ["event", "function", "qualifier", "invocation_id", "policy", "rule", "reason", "also", "why"]
    return Counter(
        json.dumps([line.get(name) for name in said])
        for run in runs
        for line in run.lines
        if "invocation_id" in line
    )


def counts(runs: Iterable[Reaped]) -> Counter[str]:
    return sum((Counter(run.counts) for run in runs), Counter[str]())


PATTERNS = ["*/*@*", "*@*", "media/*@*", "shop/*@prod", "media$*"]
TARGETS = [*PATTERNS, "media/transcode@prod", "media/transcode", "resize"]
KEEPS = [{"at_most": 2}, {"at_most": 1, "stop_first": "oldest", "per": "function"}]
WHOLE = [None, None, ("halt_over", 3), ("halt_over", 500), *(("keep", one) for one in KEEPS)]


def plain(target: str, whole: Any = None, does: str = "stop") -> dict[str, Any]:
    return {"targets": [target], "match": {"running_for": "1h"}, "does": does, "whole": whole, "unless": []}


POLICIES = st.lists(
    st.fixed_dictionaries(
        {
            "targets": st.lists(st.sampled_from(TARGETS), min_size=1, max_size=3, unique=True),
            "match": st.sampled_from([{"running_for": "1h"}, {"alive_for": "4h"}, {"running_for": "8h"}]),
            "does": st.sampled_from(["stop", "stop", "report"]),
            "whole": st.sampled_from(WHOLE),
            "unless": st.sampled_from([[], [], ["vip-*"], [{"target": "media/*"}]]),
        }
    ),
    min_size=1,
    max_size=4,
)


def written(policies: list[dict[str, Any]]) -> str:
    entries = []
    for number, one in enumerate(policies):
        entry = {"name": f"p{number}", "targets": one["targets"], "match": one["match"]}
        entry |= {one["does"]: "too long"} | ({"unless": one["unless"]} if one["unless"] else {})
        entry |= {"budget": "500/run"} if one["does"] == "stop" else {}
        if one["whole"] and (one["does"] == "stop" or one["whole"][0] == "keep"):
            entry[one["whole"][0]] = one["whole"][1]
        entries.append(entry)
    return json.dumps({"version": 1, "exempt": ["keep-*"], "policies": entries})


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(POLICIES, st.sampled_from([2, 3, 8]))
@example([plain("media/*@*"), plain("*/*@*", ("keep", KEEPS[0])), plain("resize", ("halt_over", 3))], 3)
@example([plain("*/*@*", None, "report"), plain("media/*@*", ("halt_over", 500)), plain("*/*@*")], 8)
@example([plain("media/transcode@prod"), plain("media/transcode", ("keep", KEEPS[1]))], 2)
def test_all_shards_together_say_of_each_task_what_one_run_says(
    account: Emulator, policies: list[dict[str, Any]], number: int
) -> None:
    """The same claim wins, exempt is exempt, and what is counted is counted whole; each task has one line."""
    text, more = written(policies), dict[str, Any](log_level="DEBUG", log_tasks="500")
    whole = reap(account.endpoint, text, a_timer(), **more)
    shared = [reap(account.endpoint, text, one, **more) for one in shards(number)]
    assert verdicts(shared) == verdicts([whole])
    assert counts(shared) == counts([whole])
    for one in shared:
        assert one.finished.result.unmatched == whole.finished.result.unmatched
        assert one.finished.exit in (Exit.DONE, whole.finished.exit)


BOTH = """
version: 1
exempt: [keep-*]
policies:
  - {name: few, targets: ['media/*@*'], match: {id: '*'}, keep: {at_most: 9}, stop: too many, budget: 500/run}
  - {name: slow, targets: ['*/*@*', '*@*'], match: {running_for: 1h}, stop: too long, budget: 500/run}
"""


def test_shards_stop_together_what_one_run_stops() -> None:
    """In whatever order they come, and each lists only its own functions."""
    found = []
    for events in ([a_timer()], [*reversed(shards(3))]):
        with running_emulator("--stopping", "5ms", seed=SEED) as emulator:
            runs = [reap(emulator.endpoint, BOTH, event, enforce=True) for event in events]
            lists = sum(run.finished.fields["calls"].get("ListAsyncTasks", 0) for run in runs)
            found.append((stopped(emulator), counts(runs)["functions"], lists))
    assert found[0] == found[1]
    assert len(found[0][0]) > 40


def test_the_run_says_which_share_it_looks_at(account: Emulator) -> None:
    """In `run_started`, for the run and for each request; without a shard the run has no such field."""
    (line,) = reap(account.endpoint, BOTH, a_timer('{"shard": "2/8"}')).logged("run_started")
    assert (line["shard"], [one["shard"] for one in line["requests"]]) == ("2/8", ["2/8"])
    (line,) = reap(account.endpoint, BOTH, [{"shard": "2/8"}, {"shard": "1/8"}, {}]).logged("run_started")
    assert (line["shard"], [one["shard"] for one in line["requests"]]) == ("1/8, 2/8", ["2/8", "1/8", None])
    assert "shard" not in reap(account.endpoint, BOTH, {}).logged("run_started")[0]


@pytest.mark.parametrize("shard", ["0/8", "9/8", "2/0", "2", "a/b", "1000/1000", "", None, 2], ids=str)
def test_a_share_that_there_is_not_is_refused_and_nothing_is_looked_at(account: Emulator, shard: Any) -> None:
    """A run over everything in its place would be wider than was written."""
    for event in (a_timer(json.dumps({"shard": shard})), {"shard": shard}):
        reaped = reap(account.endpoint, BOTH, event, enforce=True)
        assert [line["event"] for line in reaped.lines] == ["run_started", "trigger_refused", "run_finished"]
        assert (reaped.finished.exit, reaped.finished.fields["calls"]) == (Exit.REFUSED, {})


def test_a_shard_narrows_what_else_an_event_names(account: Emulator) -> None:
    """A function of another shard is not looked at, and that is no mistake."""
    text = policy(targets="['media/*@*']")
    named = {"functionName": "transcode", "qualifier": "prod"}
    runs = [reap(account.endpoint, text, {**named, "shard": f"{one}/8"}) for one in range(1, 9)]
    assert sorted(run.counts.get("functions", 0) for run in runs) == [0] * 7 + [1]
    assert {run.finished.exit for run in runs} == {Exit.DONE}
    assert verdicts(runs) == verdicts([reap(account.endpoint, text, named)])


def test_no_choice_of_shards_gets_round_halt_over(account: Emulator) -> None:
    """Whatever an event names beside a share, all that is due by the policy counts."""
    text = policy(targets="['media/*@*']", halt_over="5")
    named = {"functionName": "transcode", "qualifier": "prod"}
    for one in range(1, 9):
        reaped = reap(account.endpoint, text, [named, {"shard": f"{one}/8"}])
        assert {line["why"] for line in reaped.logged("skipped")} == {"halted"}
        assert not reaped.ids("would_stop")


def test_the_budget_of_a_run_is_that_of_each_shard_and_the_days_is_one() -> None:
    """The day is counted from the platform's own records, over all targets, whichever shard stopped them."""
    for budget, most in (("1/run", 3), ("1/run, 2/day", 2)):
        with running_emulator("--stopping", "5ms", seed=SEED) as emulator:
            text = policy(targets="['*/*@*', '*@*']", budget=budget)
            for event in shards(3):
                reap(emulator.endpoint, text, event, enforce=True)
            assert len(stopped(emulator)) == most


def test_shards_at_once_stop_each_task_once_and_overrun_the_day_by_a_run_of_each_at_most() -> None:
    """No task is in two of them; what others stop meanwhile no list may show yet."""
    for budget, most in (("500/run", 500), ("2/run, 3/day", 3 + 8 * 2)):
        text = policy(targets="['*/*@*', '*@*']", budget=budget)
        with running_emulator("--stopping", "5ms", "--list-lag", "5s", seed=SEED) as emulator:
            with ThreadPoolExecutor(8) as pool:
                at_once = [pool.submit(reap, emulator.endpoint, text, one, enforce=True) for one in shards(8)]
                runs = [one.result() for one in at_once]
            asked = sum(number for name, number in operations(emulator).items() if name.startswith("Stop"))
            assert len(stopped(emulator)) == asked == counts(runs)["confirmed"] <= most
            assert counts(runs)["confirmed"] == counts(runs)["due"] or most < 500
