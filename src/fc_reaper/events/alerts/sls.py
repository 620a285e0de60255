"""Simple Log Service: alerts of a query over logs.

https://help.aliyun.com/document_detail/2361010.html
Region, project and account in it say where the rule lives, not the function, and are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fc_reaper.events.alerts.complaint import Complaint, complaint
from fc_reaper.events.decode import JsonObject

SOURCE = "SLS alert"

_RULE = frozenset({"alert_instance_id", "alert_id", "alert_name"})
_BESIDE = frozenset({"status", "fire_results", "results", "labels", "fire_time", "alert_time"})


def read(said: JsonObject) -> list[Complaint] | None:
    """The one complaint; None when SLS did not write it."""
    if _RULE.isdisjoint(said) or _BESIDE.isdisjoint(said):
        return None
    return [complaint(SOURCE, said.get("status"), _naming(said))]


def _naming(said: JsonObject) -> Iterator[Mapping[str, Any]]:
    """Labels and the rows that made it fire: columns are called whatever the query selected."""
    results = [one.get("fire_result") for one in _list(said.get("results")) if isinstance(one, JsonObject)]
    for names in (said.get("labels"), *_list(said.get("fire_results")), *results):
        if isinstance(names, JsonObject):
            yield _without_place(names)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _without_place(names: JsonObject) -> dict[str, Any]:
    return {key: value for key, value in names.items() if key.lower() not in ("userid", "accountid")}
