"""Function Compute about itself: what a destination receives, bus events of `acs.fc`, and audit records.

Destinations: https://www.alibabacloud.com/help/en/fc/user-guide/result-callback
Bus events: https://alibabacloud.com/help/en/eventbridge/user-guide/function-compute-events
Audit records: https://www.alibabacloud.com/help/doc-detail/204963.htm
"""

from __future__ import annotations

from typing import Any

from fc_reaper.errors import EventRefused
from fc_reaper.events.alerts.complaint import Complaint, any_qualifier, by_arn, complaint
from fc_reaper.events.decode import JsonObject

_RECORD = frozenset({"eventName", "eventType"})
_BESIDE_RECORD = frozenset({"userIdentity", "acsRegion", "sourceIpAddress", "eventRW", "referencedResources"})
_AUDIT = "an audit record of ActionTrail: our own stops are in there too, so nothing follows from it"


def read(said: JsonObject) -> list[Complaint] | None:
    """The complaint of a destination record, a bus event or an audit record; None when it is none of them."""
    source, kind = said.get("source"), said.get("type")
    if _is_audit(said) or (isinstance(kind, str) and ":ActionTrail:" in kind and "specversion" in said):
        return [Complaint("ActionTrail", ignored=_AUDIT)]
    if source == "acs.fc" and "specversion" in said:
        return [_bus_event(said)]
    context = said.get("requestContext")
    if isinstance(context, JsonObject) and "functionArn" in context and "responseContext" in said:
        return [_destination(context["functionArn"])]
    return None


def _is_audit(said: JsonObject) -> bool:
    return said.keys() >= _RECORD and not _BESIDE_RECORD.isdisjoint(said)


def _bus_event(said: JsonObject) -> Complaint:
    data = said.get("data")
    names = data if isinstance(data, JsonObject) else {}
    place = {"region": said.get("aliyunregionid"), "userId": said.get("aliyunaccountid")}
    return complaint("Function Compute event", None, [{**names, **place}])


def _destination(arn: Any) -> Complaint:
    """The task has ended and its payload is somebody else's: only its function is looked at."""
    source = "destination record"
    try:
        whom = by_arn(arn) if isinstance(arn, str) else None
    except EventRefused as refusal:
        return Complaint(source, refused=(refusal.why,))
    # The qualifier in a record may be the version behind the alias that tasks are listed under.
    return Complaint(source, whom=() if whom is None else (any_qualifier(whom),))
