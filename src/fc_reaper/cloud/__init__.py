"""The client of Function Compute: what fc2 lacks for asynchronous tasks, on a transport of its own."""

import logging

# First, since CPython 3.11 and 3.12 may be slow to compile urllib3's patterns deep in a chain of imports.
import fc2  # noqa: F401

from fc_reaper.cloud.client import AsyncTaskClient, ReadOnlyClient
from fc_reaper.cloud.endpoint import account_endpoint, parse_endpoint, place_of

# The handlers of the root logger print into the log of the function, which has lines of its own.
for _library in ("fc2", "urllib3"):
    logging.getLogger(_library).propagate = False

__all__ = ["AsyncTaskClient", "ReadOnlyClient", "account_endpoint", "parse_endpoint", "place_of"]
