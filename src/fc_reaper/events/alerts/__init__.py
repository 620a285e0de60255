"""Notifications that complain about functions, one module per sender.

To add a sender, write a module with its `read` and list it here.
"""

from __future__ import annotations

from collections.abc import Callable

from fc_reaper.events.alerts import alertmanager, cloudmonitor, platform, sls
from fc_reaper.events.alerts.complaint import Complaint, OwnAccount
from fc_reaper.events.decode import JsonObject

__all__ = ["Complaint", "OwnAccount", "read_alerts"]

_SENDERS: tuple[Callable[[JsonObject], list[Complaint] | None], ...] = (
    platform.read,
    cloudmonitor.read,
    sls.read,
    alertmanager.read,
)


def read_alerts(said: JsonObject) -> list[Complaint] | None:
    """The complaints in a notification, each for itself; None when no sender we know wrote it."""
    return next((found for read in _SENDERS if (found := read(said)) is not None), None)
