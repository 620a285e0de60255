"""Under every combination of what is unknown about the cloud: no wrong stop, and none missed.

The truth is the emulator's own journal and its records, which always carry dated events.
"""

from __future__ import annotations

from datetime import datetime
from itertools import combinations, product
from random import Random
from typing import Any

import pytest

from fc_reaper.models import ALIVE
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import Reaped, reap
from tests.run.account import seeded

HOUR = 3_600_000
LIMITS = {"running_for": 2 * HOUR, "alive_for": 6 * HOUR, "queued_for": 3 * HOUR}
POLICY = """\
version: 1
exempt: [keep-*]
policies:
  - name: running
    targets: [media/*@*, resize]
    match: {running_for: 2h}
    unless: [vip-*]
    stop: it runs for too long
    budget: 1000/run
  - name: waiting
    targets: [media/transcode@prod, 'res*@*']
    match: {queued_for: 3h}
    unless: [vip-*]
    stop: nobody waits for it any more
    budget: 1000/run
  - name: alive
    targets: [media/transcode@prod, 'res*@*']
    match: {alive_for: 6h}
    unless: [vip-*]
    stop: it has lived for too long
    budget: 1000/run
"""


def an_account(seed: int) -> dict[str, Any]:
    """Sixty tasks of every age and status; half an hour around each limit is left free."""
    dice = Random(seed)
    entries = []
    for number in range(60):
        name = dice.choice(["job", "job", "job", "keep", "vip"])
        status = dice.choice(["Running"] * 4 + ["Enqueued", "Enqueued", "Retrying", "Stopping", "Succeeded"])
        alive = dice.choice([0.2, 1.0, 2.7, 4.0, 5.2, 7.0, 20.0])
        ran = min(alive, dice.choice([0.1, 1.0, 2.7, 7.0]))
        retries = dice.choice([0, 0, 0, 2]) if status != "Enqueued" else 0
        entry = seeded(f"{name}-{number}", status, enqueued=f"-{int(alive * 3600)}s", retries=retries)
        if status != "Enqueued":
            entry["started"] = f"-{int(ran * 3600)}s"
        if number % 4 == 0:
            entry = {**entry, "functionName": "resize", "qualifier": "LATEST"}
            del entry["serviceName"]
        entries.append(entry)
    return {"invocations": entries}


def _id(record: dict[str, Any]) -> str:
    """The id under the name that its dialect gives it."""
    return str(record.get("taskId") or record.get("invocationId"))


def truly_over(record: dict[str, Any], now: int) -> set[str]:
    """The rules that a record breaks by its dated events alone."""
    events = [event for event in record["events"] if event["status"] not in ("Stopping", "Stopped")]
    latest = events[-1]["status"]
    since = {
        name: [e["timestamp"] for e in events if e["status"] == name] for name in ("Enqueued", "Running")
    }
    ages = {"alive_for": now - since["Enqueued"][0]}
    if latest == "Running":
        ages["running_for"] = now - since["Running"][-1]
    if latest in ("Enqueued", "Dequeued"):
        ages["queued_for"] = now - since["Enqueued"][-1]
    return {rule for rule, age in ages.items() if age > LIMITS[rule]}


def wrongly_stopped(cloud: Emulator) -> list[str]:
    """The stops that no rule allowed."""
    records = {_id(record): record for record in cloud.tasks()}
    wrong = []
    for entry in cloud.journal():
        if entry["cause"] != "stop" or entry["to"] != "Stopping" or entry["from"] == "Stopping":
            continue
        name = entry["invocationId"]
        fine = name.startswith("job-") and entry["from"] in ALIVE and truly_over(records[name], entry["at"])
        wrong += [] if fine else [name]
    return wrong


def missed(cloud: Emulator, reaped: Reaped, rules: set[str]) -> set[str]:
    """What breaks one of *rules*, may be stopped, and was not."""
    stopped = {entry["invocationId"] for entry in cloud.journal() if entry["cause"] == "stop"}
    over = {
        _id(record)
        for record in cloud.tasks()
        if record["status"] in ALIVE and truly_over(record, reaped_at(reaped)) & rules
    }
    return {name for name in over if name.startswith("job-")} - stopped


def reaped_at(reaped: Reaped) -> int:
    """Any moment of the run will do: nothing is near its limit."""
    return int(datetime.fromisoformat(reaped.lines[0]["timestamp"].replace("Z", "+00:00")).timestamp() * 1000)


def known(events: str, meaning: str, configured: str) -> set[str]:
    """The rules that can be decided at all: without dated events only some of them."""
    if events != "no":
        return set(LIMITS)
    return {"alive_for"} if configured == "enqueue" and meaning == "enqueue" else set()


UNKNOWNS = {
    "--started-time": ["enqueue", "execution"],
    "--events": ["list", "get", "no"],
    "--record-qualifier": ["asked", "version"],
    "--stop-finished": ["412", "400"],
    "--stop-stopping": ["200", "412"],
    "--stop-answer": ["200", "204"],
    "--arn": ["colon", "slash"],
    "--empty-list": ["key", "omitted"],
    "--event-detail": ["empty", "log-tail"],
    "--alias-tasks": ["alias", "version"],
}


ACCOUNTS = range(48)


def drawn(number: int) -> dict[str, str]:
    """One value for each switch."""
    dice = Random(number)
    return {switch: dice.choice(values) for switch, values in UNKNOWNS.items()}


def test_the_accounts_have_every_pair_of_what_is_unknown() -> None:
    for (one, ones), (other, others) in combinations(UNKNOWNS.items(), 2):
        seen = {(drawn(number)[one], drawn(number)[other]) for number in ACCOUNTS}
        assert seen == set(product(ones, others))


@pytest.mark.parametrize("number", ACCOUNTS)
def test_no_wrong_stop_and_none_missed(number: int) -> None:
    """Whatever the cloud turns out to be: what is stopped was over its limit, what was over is stopped."""
    switches = drawn(number)
    options = [word for pair in switches.items() for word in pair]
    meaning, events = switches["--started-time"], switches["--events"]
    configured, version = ("unknown", meaning)[number % 2], ("2021-04-06", "2016-08-15")[number // 2 % 2]
    with running_emulator(*options, "--stopping", "5ms", seed=an_account(number)) as cloud:
        reaped = reap(cloud.endpoint, POLICY, enforce=True, started_time=configured, api_version=version)
        assert wrongly_stopped(cloud) == []
        assert missed(cloud, reaped, known(events, meaning, configured)) == set()


@pytest.mark.parametrize("seed", range(6))
def test_no_wrong_stop_while_everything_goes_wrong(seed: int) -> None:
    """Refusals, time-outs, lost answers, foreign bodies and wrong dates cost stops, never a wrong one."""
    dice = Random(seed)
    broken: list[dict[str, Any]] = [
        {"status": 500, "code": "InternalServerError"},
        {"status": 503, "code": "ResourceThrottled"},
        {"status": 429, "code": "ResourceExhausted"},
        {"status": 403, "code": "AccessDenied"},
        {"status": 412, "code": "StatefulAsyncInvocationAlreadyCompleted"},
        {"drop": "before"},
        {"drop": "after"},
        {"truncate": True},
        {"foreign": "<html>gateway</html>"},
        {"foreign": '{"hello": 1}'},
        {"date": "-2h"},
        {"date": "+2h"},
    ]
    operations = ["ListStatefulAsyncInvocations", "GetStatefulAsyncInvocation", "StopStatefulAsyncInvocation"]
    with running_emulator("--stopping", "5ms", seed=an_account(100 + seed)) as cloud:
        cloud.faults([{"operation": dice.choice(operations), **dice.choice(broken)} for _ in range(30)])
        reaped = reap(cloud.endpoint, POLICY, enforce=True, timeout=30)
        assert wrongly_stopped(cloud) == []
        counts = reaped.finished.fields["counts"]
        assert counts["due"] == sum(
            counts[name] for name in ("would_stop", "confirmed", "accepted", "ended", "skipped", "failed")
        )
        reap(cloud.endpoint, POLICY, enforce=True, timeout=30)
        assert wrongly_stopped(cloud) == []
