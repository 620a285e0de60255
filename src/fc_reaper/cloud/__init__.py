"""The client of Function Compute: what fc2 lacks for asynchronous tasks, on a transport of its own."""

# First, since CPython 3.11 and 3.12 may be slow to compile urllib3's patterns deep in a chain of imports.
import fc2  # noqa: F401

from fc_reaper.cloud.api import account_endpoint, parse_endpoint
from fc_reaper.cloud.client import AsyncTaskClient

__all__ = ["AsyncTaskClient", "account_endpoint", "parse_endpoint"]
