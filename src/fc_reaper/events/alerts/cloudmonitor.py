"""CloudMonitor: threshold alerts, as a callback's form and as a message.

Callback: https://www.alibabacloud.com/help/en/document_detail/60714.html
Message: https://alibabacloud.com/help/en/cms/user-guide/write-alerts-to-mns
The level or state decides: a documented sample is named AlertOk while its level is WARN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fc_reaper.errors import EventRefused
from fc_reaper.events.alerts.complaint import Complaint, complaint
from fc_reaper.events.decode import JsonObject, looks_like_json, parse, strip

SOURCE = "CloudMonitor alert"

_BESIDE_STATE = ("metricName", "alertName", "ruleId", "dimensions")
_BESIDE_LEVEL = ("ruleId", "ruleName", "metricName", "resources", "metricData")


def read(said: JsonObject) -> list[Complaint] | None:
    """The one complaint of a callback or a message; None when CloudMonitor did not write it."""
    if "alertState" in said and not said.keys().isdisjoint(_BESIDE_STATE):
        return [complaint(SOURCE, said["alertState"], [*_dimensions(said.get("dimensions")), said])]
    if "curLevel" in said and not said.keys().isdisjoint(_BESIDE_LEVEL):
        # A rule's own parameters for its target may name the function beside the alert's fields.
        naming = [*_dimensions(said.get("resources")), *_dimensions(said.get("metricData")), said]
        return [complaint(SOURCE, said["curLevel"], naming)]
    return _older(said.get("message")) if "type" in said else None


def _older(message: Any) -> list[Complaint] | None:
    """The form that older subscriptions write: state in Chinese, dimensions as `k=v,k=v`."""
    if not isinstance(message, JsonObject) or not {"metricName", "dimensions"} <= message.keys():
        return None
    state = "RESOLVED" if "恢复" in str(message.get("levelDescription")) else "ALERT"
    return [complaint(SOURCE, state, _dimensions(message["dimensions"]))]


def _dimensions(value: Any) -> list[Mapping[str, Any]]:
    """Dimensions per resource: an object, a list of them, JSON text of either, or `{k=v, k=v}`."""
    if isinstance(value, str):
        value = _from_text(strip(value))
    listed = value if isinstance(value, list) else [value]
    return [one for one in listed if isinstance(one, Mapping)]


def _from_text(text: str) -> Any:
    try:
        return parse(text) if looks_like_json(text) else _pairs(text)
    except EventRefused:
        return _pairs(text)


def _pairs(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.strip("{}").split(","))
    return {key.strip(): value.strip() for key, _, value in pairs}
