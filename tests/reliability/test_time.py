"""A run ends in time whatever is slow, says that it is partial, and gives every target its turn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.sweep.scope import first_of
from tests.emulator_server import running_emulator
from tests.reaping import reap
from tests.reliability.case import GET, LIST, POLICY, STOP, call_handler, effective_stops, is_sound, is_true
from tests.reliability.proxy import Answer, Call, Script, proxy
from tests.reliability.virtual import VirtualTime, run_virtually
from tests.reliability.wires import dripping_head
from tests.run.account import policy, seeded

INTERVAL = 10_000
"""Milliseconds between two runs; the signatures of all stay good."""


def ceil(number: int, of: int) -> int:
    return -(-number // of)


@given(st.data(), st.integers(1, 400), st.integers(0, 10_000_000))
@settings(max_examples=settings().max_examples * 2)
def test_with_time_for_k_of_n_targets_each_has_its_turn_within_two_rounds(
    data: st.DataObject, number: int, tick: int
) -> None:
    """Whatever the tick at which one begins to count: within 2 * ceil(n / k) ticks."""
    room = data.draw(st.integers(1, number))
    turns = set()
    for later in range(2 * ceil(number, room)):
        start = first_of(number, tick + later)
        turns |= {(start + place) % number for place in range(room)}
    assert turns == set(range(number))


def test_whole_runs_with_time_for_three_of_ten_targets_list_all_within_eight_ticks() -> None:
    """Each call takes a second; a run of ten seconds lists for six of them, two calls for each target."""
    names = [f"f{number}" for number in range(10)]
    tasks = [{**seeded("t-1", "Running", enqueued="-1m", started="-1m"), "functionName": n} for n in names]
    text = policy(targets="[" + ", ".join(f"media/{name}@prod" for name in names) + "]")
    listed: list[set[str]] = []
    began = SYSTEM_CLOCK.now()
    with running_emulator(seed={"invocations": tasks}) as cloud:
        for tick in range(24):
            before = len(cloud.calls()["recent"])
            time = VirtualTime(now=began + tick * INTERVAL)
            ran = run_virtually(
                cloud.endpoint,
                text,
                b"",
                time,
                lambda _: 1.0,
                timeout=20,
                env={"REAPER_MARGIN": "10s", "REAPER_INTERVAL": "10s"},
            )
            is_sound(ran)
            assert ran.finished.fields["partial"]
            assert time.seconds <= 10
            calls = cloud.calls()["recent"][before:]
            done = [call["path"].split("/")[5] for call in calls if "status=Stopping" in call["query"]]
            assert len(done) in (2, 3)
            listed.append(set(done))
    for first in range(len(listed) - 8 + 1):
        assert set().union(*listed[first : first + 8]) == set(names)


class Phase(NamedTuple):
    """One call that never comes back, and the run in which it is made."""

    name: str
    faults: list[dict[str, Any]]
    policy: str = POLICY
    event: bytes = b""


def hanging(operation: str, **match: str) -> dict[str, Any]:
    return {"operation": operation, "times": 1, "delay": "60s", "match": match}


def then(*faults: dict[str, Any]) -> list[dict[str, Any]]:
    return list(faults)


SERVED = {"operation": GET, "times": 3}
"""The reads before the stops."""

DISCOVERY = "ListStatefulAsyncInvocationFunctions"
PATTERN = policy(targets="['media/*@*']")
DAILY = policy(budget="5/run, 9/day")
KEEPING = policy(keep="{at_most: 1}")
NAMED = json.dumps({"invocationId": "over-1"}).encode()

PHASES = [
    Phase("discovery", then(hanging(DISCOVERY)), PATTERN),
    Phase("list", then(hanging(LIST, status="Running"))),
    Phase("read of a named task", then(hanging(GET)), event=NAMED),
    Phase("count of the day", then(hanging(LIST, status="Stopped")), DAILY),
    Phase("read before a stop", then(hanging(GET, invocationId="over-2"))),
    Phase("recheck of a group", then(hanging(GET)), KEEPING),
    Phase("stop", then(hanging(STOP, invocationId="over-2"))),
    Phase("proof", then(SERVED, hanging(GET))),
]

ACCOUNT = {"invocations": [seeded("over-{n}", "Running", count=3, enqueued="-5h", started="-3h")]}


def run_phase(phase: Phase) -> None:
    """The run has a second, and three more until the function's timeout."""
    with running_emulator("--stopping", "5ms", seed=ACCOUNT) as cloud:
        cloud.faults(phase.faults)
        ran = reap(cloud.endpoint, phase.policy, phase.event, enforce=True, timeout=4, margin="3s")
        fields = ran.finished.fields
        assert fields["duration_ms"] < 4_000, phase.name
        assert fields["partial"], phase.name
        assert len(ran.logged("run_finished")) == 1, phase.name


def test_a_run_with_a_single_call_that_hangs_ends_in_time_and_says_that_it_is_partial() -> None:
    """In whatever phase; all at once, since each takes its whole second."""
    with ThreadPoolExecutor(len(PHASES)) as pool:
        list(pool.map(run_phase, PHASES))


BROKEN: list[dict[str, Any]] = [
    {"status": 429, "code": "ResourceExhausted"}, {"status": 429, "retryAfter": 3}, {"status": 500},
    {"status": 503}, {"status": 408, "applied": True}, {"status": 403, "code": "AccessDenied"},
    {"status": 412, "code": "Refused"}, {"drop": "before"}, {"drop": "after"}, {"truncate": True},
    {"foreign": "<html>"}, {"status": 200, "body": [7]}, {"date": "-2h"}, {"date": "+2h"}, {"date": "soon"},
]  # fmt: skip

MOST = {
    policy(): 4, DAILY: 4, PATTERN: 4, policy(match="{alive_for: 2h}"): 4, policy(budget="1/run"): 1,
    policy(targets="['media/*@*']", budget="2/run, 3/day"): 2, policy(halt_over="2"): 0,
    policy(targets="['media/*@*']", keep="{at_most: 1}"): 3,
}  # fmt: skip
"""Policies, and how many tasks one run of each may stop."""

EVENTS = [b"", b"", NAMED, json.dumps({"functionName": "resize"}).encode()]

SEVERAL = {
    "invocations": [
        *ACCOUNT["invocations"],
        seeded("young-1", "Running", enqueued="-10m", started="-9m"),
        {**seeded("over-r", "Running", enqueued="-5h", started="-4h"), "functionName": "resize"},
    ]
}

faults = st.lists(
    st.tuples(st.sampled_from([LIST, GET, STOP, DISCOVERY, "*"]), st.sampled_from(BROKEN), st.integers(1, 4)),
    max_size=5,
)
slow_calls = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.2, 2.0, 7.0, 12.0]), max_size=25)


@settings(max_examples=settings().max_examples * 2 // 5)
@given(
    st.sampled_from(list(MOST)), st.sampled_from(EVENTS), faults, slow_calls,
    st.sampled_from([0.0, 0.0, 0.3, 4.0]), st.sampled_from([12, 30, 60]),
    st.sampled_from(["1s", "4s", "10s"]), st.booleans(),
)  # fmt: skip
def test_a_run_under_any_mix_of_faults_ends_in_time_and_accounts_for_what_is_due(
    text: str,
    event: bytes,
    broken: Any,
    slow: list[float],
    rest: float,
    timeout: int,
    margin: str,
    lost: bool,
) -> None:
    """Every due task has an outcome, or the run says that it is partial, or what it could not list."""
    delays: Iterator[float] = chain(slow, repeat(rest))
    with running_emulator("--stopping", "0ms", seed=SEVERAL) as cloud:
        cloud.faults([{"operation": operation, "times": n, **fault} for operation, fault, n in broken])
        time = VirtualTime()
        ran = run_virtually(
            cloud.endpoint, text, event, time, lambda _: next(delays), timeout=timeout,
            env={"REAPER_MARGIN": margin}, lost_stops_apply=lost,
        )  # fmt: skip
        is_sound(ran)
        is_true([ran], cloud.journal())
        stops = effective_stops(cloud)
        cloud.admin("DELETE", "faults")
        is_sound(call_handler(cloud.endpoint, text))
        both = effective_stops(cloud)
    assert time.seconds < timeout
    assert len(stops) <= MOST[text]
    assert set(both) <= {"over-1", "over-2", "over-3", "over-r"}
    assert max(both.values(), default=1) == 1
    assert MOST[text] < 4 or set(both) == expected(text, b"")
    fields, lines = ran.finished.fields, ran.lines
    assert fields["partial"] or time.seconds < timeout - int(margin[:-1])
    assert fields["partial"] or not [line for line in lines if line.get("why") == "margin"]
    said = {line.get("invocation_id") for line in lines}
    explained = (
        fields["partial"] or fields["errors"] or "trigger_refused" in {line["event"] for line in lines}
    )
    assert explained or expected(text, event) <= said


def expected(text: str, event: bytes) -> set[str]:
    """The due tasks that a run without faults finds; for `keep` nobody says which."""
    if "keep:" in text:
        return set()
    if event == NAMED:
        return {"over-1"}
    transcode, resize = {"over-1", "over-2", "over-3"}, {"over-r"}
    if b"resize" in event:
        return resize if "*" in text else set()
    return transcode | resize if "media/*" in text else transcode


def dripping(call: Call) -> Answer | Script:
    """The reads of the proof get headers that never end, which no time-out of a socket ends."""
    answer = call.forward()
    return dripping_head(call, answer) if call.operation == GET and call.number > 3 else answer


def test_calls_that_hang_get_no_more_than_half_of_the_margin() -> None:
    """The last calls of a run are those of the proof; the other half is kept to write what became of it."""
    with running_emulator("--stopping", "never", seed=ACCOUNT) as cloud, proxy(cloud, dripping) as endpoint:
        ran = reap(endpoint, policy(), enforce=True, timeout=2, margin="1s")
        assert ran.finished.fields["duration_ms"] < 2_000
        assert (ran.counts["accepted"], ran.finished.fields["partial"]) == (3, True)
