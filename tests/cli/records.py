"""Records in a file, and what `fc-reaper explain --record` says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.command import Ran, environment, fc_reaper

NOWHERE = environment(REAPER_ENDPOINT="http://127.0.0.1:9")
"""No cloud, and no keys for one."""

HOUR = 3_600_000
START = 1_700_000_000_000
TWO: dict[str, Any] = {
    "serviceName": "media",
    "functionName": "transcode",
    "qualifier": "prod",
    "invocationId": "job-7",
    "status": "Running",
    "alreadyRetriedTimes": 0,
    "invocationPayload": '{"order": "s3cret", "most": "90m"}',
    "events": [
        {"eventId": 1, "status": "Enqueued", "timestamp": START},
        {"eventId": 2, "status": "Running", "timestamp": START},
    ],
}
LATER = "2023-11-15T01:13:20Z"
"""Three hours after START."""


def from_file(
    folder: Path,
    record: object,
    *args: str,
    at: str = LATER,
    stdin: bytes = b"",
    env: dict[str, str] = NOWHERE,
) -> Ran:
    """explain --record, evaluated three hours later unless *at* says when.

    *record* is text, bytes or a value to write as JSON.
    """
    text = record if isinstance(record, (str, bytes)) else json.dumps(record)
    path = folder / "task.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return fc_reaper("explain", *args, "--record", "task.json", "--at", at, env=env, stdin=stdin, cwd=folder)
