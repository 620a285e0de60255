"""Accounts of a given size, and plain fc2 as the one to compare with."""

from __future__ import annotations

from typing import Any

import fc2

from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.models import Credentials, Function

TRANSCODE = Function("media", "transcode", "LATEST")
TASKS = "/services/media.LATEST/functions/transcode/stateful-async-invocations"


def tasks(count: int, name: str, started: str, function: str = "transcode") -> dict[str, Any]:
    """One seed entry of *count* running tasks."""
    return {
        "serviceName": "media",
        "functionName": function,
        "qualifier": "LATEST",
        "invocationId": name + "-{n}",
        "count": count,
        "status": "Running",
        "enqueued": started,
        "started": started,
    }


def policy(targets: str, budget: int = 20) -> str:
    """One policy that stops what runs for more than two hours."""
    return (
        "version: 1\npolicies:\n"
        f"  - name: runaway\n    targets: [{targets}]\n    match: {{running_for: 2h}}\n"
        f"    stop: it is lost\n    budget: {budget}/run\n"
    )


def ours(endpoint: str, pool: int = 32) -> AsyncTaskClient:
    """Our client for the emulator."""
    keys = Credentials(access_key_id="emulator", access_key_secret="emulator-secret")
    return AsyncTaskClient(endpoint, keys, pool_size=pool, api_version="2016-08-15")


class PlainFc2:
    """The two calls as one writes them with the SDK alone."""

    def __init__(self, endpoint: str) -> None:
        keys = {"accessKeyID": "emulator", "accessKeySecret": "emulator-secret"}
        self._client = fc2.Client(endpoint=endpoint, **keys)

    def get(self, invocation_id: str) -> None:
        """Read one task."""
        self._do("GET", invocation_id)

    def stop(self, invocation_id: str) -> None:
        """Request once that it be stopped."""
        self._do("PUT", invocation_id)

    def _do(self, method: str, invocation_id: str) -> None:
        path = f"/{self._client.api_version}{TASKS}/{invocation_id}"
        headers = self._client._build_common_headers(method, path)
        self._client._do_request(method, path, headers)
