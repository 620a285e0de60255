"""The client of Function Compute: what fc2 lacks for asynchronous tasks, on a transport of its own."""

from fc_reaper.cloud.client import AsyncTaskClient
from fc_reaper.cloud.transport import account_endpoint, parse_endpoint

__all__ = ["AsyncTaskClient", "account_endpoint", "parse_endpoint"]
