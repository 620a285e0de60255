"""One fault as a row of docs/reliability.md, and the run of the real handler that proves the row."""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

from fc_reaper import handler as deployed
from fc_reaper.clock import SYSTEM_CLOCK, Clock
from fc_reaper.run import RunResult, run
from fc_reaper.settings import connect
from tests.emulator_server import Emulator, running_emulator
from tests.monitoring.published import must_be_published
from tests.reaping import FAULT, KEYS
from tests.reliability.proxy import Spoil, proxy
from tests.run.account import policy, seeded

Json = dict[str, Any]

HURRIED = Clock(SYSTEM_CLOCK.now, SYSTEM_CLOCK.monotonic, lambda seconds: time.sleep(seconds / 100))
"""Sleeps a hundredth of the time; the emulator's tasks stop within 5 ms."""

ACCOUNT: Json = {
    "invocations": [
        seeded("over-{n}", "Running", count=3, enqueued="-5h", started="-3h"),
        seeded("young-1", "Running", enqueued="-10m", started="-9m"),
        seeded("keep-1", "Running", enqueued="-9h", started="-9h"),
    ]
}
"""Three tasks are due, one is too young, one is exempt."""

LIST, GET, STOP = "ListStatefulAsyncInvocations", "GetStatefulAsyncInvocation", "StopStatefulAsyncInvocation"

POLICY = policy()


class Case(NamedTuple):
    """One fault. What a run under it comes to is in the row of docs/reliability.md that names it.

    *faults* and *flags* are those of the emulator, *spoil* those of a proxy before it. *runs* runs follow
    each other; the row is about the last one.
    """

    fault: str
    faults: Sequence[Mapping[str, Any]] = ()
    flags: Sequence[str] = ()
    spoil: Spoil | None = None
    seed: Json = ACCOUNT
    policy: str = POLICY
    event: bytes = b""
    timeout: float = 60
    env: Mapping[str, str] = {}
    runs: int = 1
    endpoint: str | None = None
    clock: Clock = HURRIED

    def __str__(self) -> str:
        return self.fault

    def in_version(self, version: str) -> Case:
        """The same fault under another version of the API; those of a proxy are made in 2021-04-06 only."""
        if version != "2023-03-30":
            return self._replace(env={**self.env, "REAPER_API_VERSION": version})
        text = json.dumps([self.seed, *self.faults]).replace('"serviceName": "media", ', "")
        seed, *faults = json.loads(text.replace("StatefulAsyncInvocationNotFound", "AsyncTaskNotFound"))
        return self._replace(seed=seed, faults=faults, policy=self.policy.replace("media/", ""))


@dataclass(frozen=True)
class Ran:
    """What one call of the handler came to: its lines, and how it ended."""

    lines: list[Json]
    finished: RunResult
    raised: bool

    @property
    def ends(self) -> str:
        return "raised" if self.raised else str(int(self.finished.exit))

    @property
    def summary(self) -> str:
        """Each kind of line that is about something, with how many there were."""
        kinds = Counter(
            _kind(line) for line in self.lines if line["event"] not in ("run_started", "run_finished")
        )
        told = [f"{number} {kind}" for kind, number in kinds.items()]
        if self.finished.fields["partial"]:
            told.append("partial")
        return ", ".join(sorted(told, key=_by_event)) or "none"


ORDER = ["trigger", "list_failed", "unknown", "stuck", "would_stop", "halted", "budget_spent", "skipped",
         "accepted", "confirmed", "ended", "stop_failed", "lines", "partial"]  # fmt: skip


def _by_event(told: str) -> tuple[int, str]:
    event = told.partition(" ")[2].partition(" ")[0] or told
    return next((n for n, word in enumerate(ORDER) if event.startswith(word)), 99), told


def _kind(line: Mapping[str, Any]) -> str:
    """The event, and in brackets why, the refusal, and whether the outcome is unclear."""
    refusal = " ".join(str(line[key]) for key in ("http_status", "error_code") if line.get(key))
    words = [line["why"] if line["event"] == "skipped" else "", refusal]
    words.append("unclear" if line.get("unclear") else "")
    more = ", ".join(word for word in words if word)
    return f"{line['event']} ({more})" if more else str(line["event"])


def environment(endpoint: str, text: str) -> dict[str, str]:
    """The environment of a function that enforces the policy *text*."""
    return {
        **KEYS,
        "REAPER_ENDPOINT": endpoint,
        "REAPER_POLICY": text,
        "REAPER_MODE": "enforce",
        "REAPER_RATE": "2000/s",
        "REAPER_SELF": "ops/fc-reaper",
    }


@contextlib.contextmanager
def hurried(env: Mapping[str, str], clock: Clock = HURRIED) -> Iterator[None]:
    """The handler's process has this environment, and a clock that does not wait as long."""
    with (
        patch.dict(os.environ, env, clear=True),
        patch.object(deployed, "SYSTEM_CLOCK", clock),
        patch.object(deployed, "connect", partial(connect, clock=clock)),
    ):
        yield


def context_of(timeout: float) -> Any:
    """The platform's context of an invocation."""
    return SimpleNamespace(request_id="r-1", function=SimpleNamespace(timeout=timeout))


def call_handler(
    endpoint: str,
    text: str,
    event: bytes = b"",
    *,
    timeout: float = 60,
    env: Mapping[str, str] = {},
    clock: Clock = HURRIED,
) -> Ran:
    """Call the handler as the platform does."""
    results: list[RunResult] = []

    def kept(*args: Any, **more: Any) -> RunResult:
        results.append(run(*args, **more))
        return results[-1]

    out, raised, began = io.StringIO(), False, time.monotonic()
    with (
        hurried({**environment(endpoint, text), **env}, clock),
        patch.object(deployed, "run", kept),
        contextlib.redirect_stdout(out),
    ):
        try:
            deployed.handler(event, context_of(timeout))
        except deployed.CloudUnreachable:
            raised = True
    assert time.monotonic() - began < timeout
    return Ran([json.loads(line) for line in out.getvalue().splitlines()], results[0], raised)


def is_sound(ran: Ran) -> None:
    """What holds of every run: one last line, published lines, each task counted once, no fault of ours."""
    for line in ran.lines:
        must_be_published(line)
    assert [line["event"] for line in ran.lines].count("run_finished") == 1
    assert ran.lines[-1]["event"] == "run_finished"
    assert not [error for error in ran.finished.fields["errors"] if FAULT in error]
    counts = ran.finished.fields["counts"]
    assert counts["listed"] == sum(counts[name] for name in ("kept", "exempt", "unknown", "reported", "due"))
    outcomes = ("would_stop", "confirmed", "accepted", "ended", "skipped", "failed")
    assert counts["due"] == sum(counts[name] for name in outcomes)


def is_true(runs: Sequence[Ran], journal: Sequence[Mapping[str, Any]]) -> None:
    """What the lines say of stops is what the journal has, and what the journal has is in some line."""
    requested = {entry["invocationId"] for entry in journal if entry["cause"] == "stop"}
    stopped = {entry["invocationId"] for entry in journal if entry["to"] == "Stopped"}
    lines = [line for ran in runs for line in ran.lines]
    assert {line["invocation_id"] for line in lines if line["event"] == "confirmed"} <= stopped
    settled = ("accepted", "confirmed", "stop_failed", "ended", "skipped")
    assert requested <= {line["invocation_id"] for line in lines if line["event"] in settled}


def effective_stops(cloud: Emulator) -> Counter[str]:
    """How often each task was stopped, by the emulator's own journal."""
    return Counter(
        entry["invocationId"]
        for entry in cloud.journal()
        if entry["cause"] == "stop" and entry["from"] != entry["to"] == "Stopping"
    )


@contextlib.contextmanager
def served(case: Case) -> Iterator[tuple[Emulator, str]]:
    """The account of a case with its faults, and the endpoint to call."""
    flags = case.flags if "--stopping" in case.flags else ("--stopping", "5ms", *case.flags)
    with running_emulator(*flags, seed=case.seed) as cloud:
        cloud.faults(case.faults)
        if case.spoil is None:
            yield cloud, case.endpoint or cloud.endpoint
        else:
            with proxy(cloud, case.spoil) as endpoint:
                yield cloud, endpoint


def run_case(case: Case) -> tuple[int, Ran]:
    """Run the handler over the account of *case*; the number of tasks that were stopped, and the last run."""
    with served(case) as (cloud, endpoint):
        runs = []
        for _ in range(case.runs):
            options: Any = {"timeout": case.timeout, "env": case.env, "clock": case.clock}
            runs.append(call_handler(endpoint, case.policy, case.event, **options))
            is_sound(runs[-1])
        stops = effective_stops(cloud)
        assert all(name.startswith("over-") for name in stops)
        assert max(stops.values(), default=1) == 1
        is_true(runs, cloud.journal())
    return len(stops), runs[-1]
