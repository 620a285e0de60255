"""The one door to Function Compute: what fc2 lacks for asynchronous tasks, on a transport of our own."""

from fc_reaper.cloud.client import AsyncTaskClient
from fc_reaper.cloud.endpoint import account_endpoint

__all__ = ["AsyncTaskClient", "account_endpoint"]
