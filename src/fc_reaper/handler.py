"""The entry point: `handler(event, context)` is what Function Compute calls."""

from __future__ import annotations

import gc
import json
import os
import sys
from random import Random
from typing import Any

# A cold start is billed. Imports leave next to no garbage, and no plugin of pydantic is installed.
gc.disable()
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

import fc_reaper.cloud  # noqa: F401  # before all others, see there
from fc_reaper.clock import SYSTEM_CLOCK
from fc_reaper.errors import ReaperError
from fc_reaper.run import Dependencies, run
from fc_reaper.settings import connect

gc.enable()
gc.freeze()


class CloudUnreachable(ReaperError):
    """Nothing could be listed and nothing was stopped; raised so that the platform tries again."""


def handler(event: bytes, context: Any) -> str:
    """Run once for *event* and answer with the result as JSON text.

    Everything is built anew from the environment and *context*, so that keys are never stale.

    Raises:
        CloudUnreachable: the cloud did not answer, or refused only for now, and nothing was done.
    """
    dependencies = Dependencies(os.environ, sys.stdout, SYSTEM_CLOCK, Random(), connect)
    finished = run(event, context, dependencies)
    if finished.curable:
        raise CloudUnreachable("; ".join(finished.fields["errors"]))
    body = json.dumps(finished.fields)
    if not finished.trigger.http:
        return body
    # An HTTP trigger of FC 3.0 wants its own shape:
    # https://help.aliyun.com/zh/functioncompute/http-trigger-invoking-function
    headers = {"Content-Type": "application/json"}
    answer = {"statusCode": 200, "headers": headers, "isBase64Encoded": False, "body": body}
    return json.dumps(answer)
