"""Picks the real things: the client, the pace of its calls, the clock."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from fc_reaper.clock import SYSTEM_CLOCK, Clock, RateLimiter
from fc_reaper.cloud import AsyncTaskClient, account_endpoint
from fc_reaper.dependencies import Connect
from fc_reaper.errors import SettingsError
from fc_reaper.settings import Credentials, Settings


def connector(clock: Clock = SYSTEM_CLOCK, random: Random | None = None) -> Connect:
    """Make the function that opens a client for one run."""
    dice = random or Random()

    def connect(
        settings: Settings, credentials: Credentials, run_id: str, called: Callable[[str], None]
    ) -> AsyncTaskClient:
        return AsyncTaskClient(
            endpoint=endpoint(settings),
            access_key_id=credentials.access_key_id,
            access_key_secret=credentials.access_key_secret,
            security_token=credentials.security_token,
            account_id=settings.account_id,
            api_version=settings.api_version,
            trace_id=run_id,
            insecure=settings.insecure,
            pool_size=settings.concurrency,
            clock=clock,
            jitter=dice.random,
            pace=RateLimiter(*settings.rate, clock),
            on_call=called,
        )

    return connect


def endpoint(settings: Settings) -> str:
    """The endpoint that is set, else the account's own host.

    Raises:
        SettingsError: neither is known.
    """
    if settings.endpoint:
        return settings.endpoint
    if not (settings.account_id and settings.region):
        raise SettingsError("no endpoint: set REAPER_ENDPOINT, or FC_ACCOUNT_ID and FC_REGION")
    return account_endpoint(settings.account_id, settings.region)
