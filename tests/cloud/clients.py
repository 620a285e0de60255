"""Both clients behind one shape: fc2 as it is, and ours."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import fc2
from requests.structures import CaseInsensitiveDict

from fc_reaper.clock import Clock
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.cloud.api import Answer
from fc_reaper.models import Credentials, Function

KEY_ID = "emulator"
SECRET = "emulator-secret"
TOKEN = "token/with+signs=="

TRANSCODE = Function("media", "transcode", "prod")
RESIZE = Function(None, "resize", "LATEST")

AT = 1_700_000_000_000

Make = Callable[..., "contextlib.AbstractContextManager[Any]"]


@dataclass
class FastClock:
    """Real time, except that sleeping costs none: it only moves both clocks on."""

    slept: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(now=self._now, monotonic=self.monotonic, sleep=self.slept.append)

    def monotonic(self) -> float:
        return time.monotonic() + sum(self.slept)

    def _now(self) -> int:
        return time.time_ns() // 1_000_000 + round(1000 * sum(self.slept))


@contextlib.contextmanager
def ours(endpoint: str, token: str = "", **settings: Any) -> Iterator[AsyncTaskClient]:
    """Our client; its waits between attempts cost no time unless a clock is given."""
    keys = {"access_key_id": KEY_ID, "access_key_secret": SECRET, "security_token": token}
    keys = {name: settings.pop(name, key) for name, key in keys.items()}
    defaults = {"clock": FastClock().clock(), "jitter": lambda: 1.0}
    client = AsyncTaskClient(endpoint, Credentials(**keys), **{**defaults, **settings})
    try:
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def plain(endpoint: str, token: str = "") -> Iterator[fc2.Client]:
    """fc2 as it is."""
    yield fc2.Client(
        endpoint=endpoint, accessKeyID=KEY_ID, accessKeySecret=SECRET, securityToken=token, Timeout=5
    )


def an_answer(
    status: int = 200,
    body: Any = b"",
    *,
    sent: int = AT,
    received: int = AT,
    secrets: tuple[str, ...] = (),
    **headers: Any,
) -> Answer:
    """An answer; a body that is not bytes becomes JSON, `_` in header names becomes `-`."""
    named = CaseInsensitiveDict({name.replace("_", "-"): value for name, value in headers.items()})
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer.of(status, named, raw, sent, received, secrets)
