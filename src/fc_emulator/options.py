"""The switches of the emulator: the account it has, and behaviour that the platform does not document."""

from __future__ import annotations

import re
from dataclasses import dataclass

REGION = "cn-hangzhou"
"""The region in the resource names of Function Compute 3.0; a loopback address has none."""


@dataclass(frozen=True)
class Options:
    """How the emulated account behaves. All durations are milliseconds.

    `security_token` None: callers need none. `rate` None: calls are not limited, else calls per second.
    `stopping` None: a task that was asked to stop stays in Stopping for ever. `unserved` are versions of the
    API whose paths are unknown.
    """

    account_id: str = "123456789"
    access_key_id: str = "emulator"
    access_key_secret: str = "emulator-secret"
    security_token: str | None = None
    latency: int = 0
    rate: float | None = None
    stopping: int | None = 1_000
    started_time: str = "enqueue"
    events: str = "list"
    record_qualifier: str = "asked"
    stop_finished: int = 412
    stop_stopping: int = 200
    list_lag: int = 0
    arn: str = "colon"
    stop_answer: int = 200
    empty_list: str = "key"
    event_detail: str = "empty"
    alias_tasks: str = "alias"
    unserved: frozenset[str] = frozenset()


def parse_rate(text: str) -> float | None:
    """Read calls per second from `20/s`, or `none` for no limit.

    Raises:
        ValueError: it is neither, or zero.
    """
    if text == "none":
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)/s", text, re.ASCII)
    if not found or float(found[1]) == 0:
        raise ValueError(f"{text!r} is not a rate; write calls per second such as 20/s, or none")
    return float(found[1])
