"""Three days of an account in lines that real runs printed, with everything in them that can happen."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fc_reaper.policy.lock import Lock, dump_lock
from tests.emulator_server import Emulator, running_emulator
from tests.monitoring.sls import Record
from tests.probe_files import CONTEXT, write_probe
from tests.reaping import Reaped, reap
from tests.run.account import SEED, policy, seeded

EVENTS = Path(__file__).parents[2] / "events"
TIMER = (EVENTS / "timer.json").read_bytes()
MIDNIGHT = 1_795_046_400
"""2026-11-19T00:00:00Z, the beginning of the second day."""

INTERVAL = 300
"""Seconds between two runs, as in s.yaml."""

OWNER = "media `team` <b>"
"""Of the tasks of these days: a text that would look otherwise as Markdown, and as HTML."""

POLICY = policy(owner=f"'{OWNER}'")

REFUSED: dict[str, Any] = {"times": 9, "status": 403, "code": "AccessDenied"}

LATE = {"invocations": [
    *(seeded(f"over-{hours - 2}", "Running", enqueued="-9h", started=f"-{hours}h") for hours in (3, 4, 5)),
    *SEED["invocations"][1:],
]}  # fmt: skip
"""The usual account, where one task is over its limit by one hour, one by two, and one by three."""


class History:
    """The lines of runs as records of a logstore, at times of our choice."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(self, time: int, reaped: Reaped) -> None:
        """File the lines of a run under *time* (epoch seconds)."""
        self.records += [Record(time, line) for line in reaped.lines]

    def lines(self, *events: str) -> list[dict[str, Any]]:
        """The lines of some kinds, oldest first."""
        return [record.line for record in self.records if record.line["event"] in events]


def lived_through() -> History:
    """A day of dry run, then two of enforcement with every trouble there is."""
    history = History()
    with running_emulator("--stopping", "5ms", seed=LATE) as cloud:
        _first_day(history, cloud)
        _second_day(history, cloud)
    _third_day(history)
    return history


def quiet() -> History:
    """An hour of runs that find nothing wrong."""
    seed = {"invocations": [entry for entry in SEED["invocations"] if entry["invocationId"] == "young-1"]}
    history = History()
    with running_emulator(seed=seed) as cloud:
        for number in range(12):
            history.add(MIDNIGHT + number * INTERVAL, reap(cloud.endpoint, POLICY, TIMER, enforce=True))
    return history


def _first_day(history: History, cloud: Emulator) -> None:
    """Dry runs: by the timer, and by other events."""
    start = MIDNIGHT - 86_400
    ends = "[{id: vip-*, until: 2098-02-01T00:00:00+08:00, because: migration}]"
    for number in range(3):
        text = policy(owner=f"'{OWNER}'", unless=ends)
        history.add(start + number * INTERVAL, reap(cloud.endpoint, text, TIMER, log_level="DEBUG"))
    others = ["eventbridge-oss.json", "cloudmonitor-callback-recovered.txt", "refused/misspelt-key.json"]
    for name in others:
        history.add(start + 4000, reap(cloud.endpoint, POLICY, (EVENTS / name).read_bytes()))
    text = policy().replace("    stop:", "    report:")
    history.add(start + 5000, reap(cloud.endpoint, text, TIMER, log_tasks="1"))
    text = policy(match="{running_for: 2h59m}", owner=f"'{OWNER}'")
    history.add(start + 5600, reap(cloud.endpoint, text.replace("    stop:", "    report:"), TIMER))
    with TemporaryDirectory() as folder:
        path = Path(folder, "policy.yaml")
        path.write_text(POLICY)
        Path(folder, "policy.lock").write_text(dump_lock(Lock(version=1, exempt=(), policies=())))
        probe = str(write_probe(Path(folder), api_versions={"2021-04-06": True}))
        timer = {**json.loads(TIMER), "payload": '{"shard": "1/1"}'}
        history.add(start + 6000, reap(cloud.endpoint, path, timer, context=CONTEXT, platform=probe))


def _second_day(history: History, cloud: Emulator) -> None:
    """Enforcement: held back at first, then refused, then done; and a timer that slept for an hour."""
    held_back = [f"{POLICY}    halt_over: 1\n", policy(budget="1/run")]
    held_back.append(policy(targets="[media/nobody, gone/at-all]"))
    for number, text in enumerate(held_back):
        history.add(MIDNIGHT + number * INTERVAL, reap(cloud.endpoint, text, TIMER, enforce=True))
    cloud.faults([{**REFUSED, "operation": "StopStatefulAsyncInvocation"}])
    history.add(MIDNIGHT + 900, reap(cloud.endpoint, POLICY, TIMER, enforce=True))
    cloud.reset()
    history.add(MIDNIGHT + 4500, reap(cloud.endpoint, POLICY, TIMER, enforce=True))
    history.add(MIDNIGHT + 4800, reap(cloud.endpoint, "version: 2\n", TIMER, enforce=True))


def _third_day(history: History) -> None:
    """Clouds whose answers get lost, that lag behind, that date nothing, and that do not answer in time."""
    start = MIDNIGHT + 86_400
    for number, stopping in enumerate(("never", "1ms")):
        with running_emulator("--stopping", stopping, seed=SEED) as cloud:
            cloud.faults([{"operation": "StopStatefulAsyncInvocation", "times": 1, "drop": "after"}])
            history.add(start + number, reap(cloud.endpoint, POLICY, TIMER, enforce=True))
    ended = {"invocations": [{**SEED["invocations"][0], "count": 1, "ends": "-1s"}]}
    with running_emulator("--list-lag", "30s", seed=ended) as cloud:
        history.add(start + 300, reap(cloud.endpoint, POLICY, TIMER, enforce=True))
    with running_emulator("--events", "no", seed=SEED) as cloud:
        history.add(start + 600, reap(cloud.endpoint, POLICY, TIMER, enforce=True))
        cloud.faults([{**REFUSED, "operation": "GetStatefulAsyncInvocation"}])
        history.add(start + 700, reap(cloud.endpoint, POLICY, TIMER, enforce=True))
    with running_emulator(seed=SEED) as cloud:
        text = policy(match="{stopping_for: 1h}", owner=f"'{OWNER}'")
        history.add(start + 800, reap(cloud.endpoint, text, TIMER, enforce=True))
        cloud.faults([{"operation": "GetStatefulAsyncInvocation", "times": 99, "delay": "5s"}])
        slow = reap(cloud.endpoint, POLICY, TIMER, enforce=True, timeout=3, margin="1s", concurrency="1")
        history.add(start + 900, slow)
