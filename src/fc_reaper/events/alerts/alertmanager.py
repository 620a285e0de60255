"""Alertmanager's webhook, version 4, which ARMS and Managed Prometheus send too.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
One notification mixes firing and resolved alerts, so each alert's own status counts.
"""

from __future__ import annotations

from typing import Any

from fc_reaper.events.alerts.complaint import Complaint, complaint
from fc_reaper.events.decode import JsonObject

SOURCE = "Alertmanager alert"

_BESIDE = frozenset({"status", "receiver", "groupLabels", "commonLabels", "groupKey", "externalURL"})
_SHARED_LABELS = ("commonLabels", "groupLabels")


def read(said: JsonObject) -> list[Complaint] | None:
    """One complaint per alert; None when Alertmanager did not write it."""
    alerts = said.get("alerts")
    if not isinstance(alerts, list) or _BESIDE.isdisjoint(said):
        return None
    found = [
        _complaint(alert, said, f"alerts[{index}]")
        for index, alert in enumerate(alerts)
        if isinstance(alert, JsonObject)
    ]
    return found or [_complaint(said, said, "")]


def _complaint(alert: JsonObject, whole: JsonObject, part: str) -> Complaint:
    return complaint(SOURCE, alert.get("status", whole.get("status")), [_labels(alert, whole)], part)


def _labels(alert: JsonObject, whole: JsonObject) -> dict[str, Any]:
    """An alert's labels on top of those it shares: templates may leave its own out."""
    labels: dict[str, Any] = {}
    for group in (*(whole.get(key) for key in _SHARED_LABELS), alert.get("labels")):
        if isinstance(group, JsonObject):
            labels.update(group)
    return labels
