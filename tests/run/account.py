"""A small account with every kind of task that a reaper must distinguish."""

from __future__ import annotations

from typing import Any

from tests.emulator_server import Emulator


def seeded(invocation_id: str, status: str, **fields: Any) -> dict[str, Any]:
    """One seed entry under media/transcode@prod."""
    place = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}
    return {**place, "invocationId": invocation_id, "status": status, **fields}


SEED: dict[str, Any] = {
    "invocations": [
        seeded("over-{n}", "Running", count=3, enqueued="-5h", started="-3h"),
        seeded("waited-1", "Running", enqueued="-5h", started="-1m"),
        seeded("young-1", "Running", enqueued="-10m", started="-9m"),
        seeded("keep-1", "Running", enqueued="-9h", started="-9h"),
        seeded("vip-1", "Running", enqueued="-9h", started="-9h"),
        seeded("done-1", "Succeeded", enqueued="-9h", started="-9h", ends="-4h"),
        seeded("stuck-1", "Stopping", enqueued="-9h", started="-9h", stopping="-10m"),
        seeded("queue-{n}", "Enqueued", count=2, enqueued="-4h"),
        {
            "functionName": "resize",
            "invocationId": "three-1",
            "status": "Running",
            "enqueued": "-5h",
            "started": "-3h",
        },
    ]
}

POLICY = """\
version: 1
exempt: [keep-*]
policies:
  - name: runaway
    targets: [media/transcode@prod]
    match: {running_for: 2h}
    unless: [vip-*]
    stop: A transcode takes forty minutes at worst.
"""


def policy(**changes: str) -> str:
    """The usual policy with keys of the one entry replaced or added."""
    lines = POLICY.splitlines()
    for key, value in changes.items():
        lines = [line for line in lines if not line.strip().startswith(f"{key}:")]
        lines.append(f"    {key}: {value}")
    return "\n".join(lines) + "\n"


def stopped(cloud: Emulator) -> set[str]:
    """The ids of all tasks for which a stop took effect, by the emulator's own journal."""
    return {
        entry["invocationId"]
        for entry in cloud.journal()
        if entry["cause"] == "stop" and entry["from"] != entry["to"]
    }


def operations(cloud: Emulator) -> dict[str, int]:
    """How often each operation was called."""
    return dict(cloud.calls()["counts"])
