"""Alerts and other notifications about functions, one tolerant reader a sender.

A reader returns the alerts of a notification, or None if another sender wrote it. `follow` decides what
follows from each. CONTRIBUTING.md explains how to add a sender.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from fc_reaper.errors import EventRefused
from fc_reaper.events.command import check_command, plain
from fc_reaper.events.parser import JsonObject, NoteEvent, OwnAccount, Selector, json_in

_CALM = frozenset({"OK", "RESOLVED", "INSUFFICIENT_DATA", "NORMAL", "RECOVERED"})
_STATE = r"[A-Za-z_]{1,32}"
_ARN = (
    r"acs:fc:(?P<region>[^:/]*):(?P<userId>[^:/]*)[:/](?:services/(?P<serviceName>[^/.]+)(?:\.(?P<alias>[^/]+))?/)?"
    r"functions/(?P<functionName>[^/]+)(?:/(?P<qualifier>[^/]+))?"
)

# The spellings of rules and templates, in lower case and without joiners. A label `service` is the watcher's.
_SPELLINGS = {
    "functionName": ("functionname", "function"), "serviceName": ("servicename",),
    "qualifier": ("qualifier", "functionqualifier"), "functionArn": ("functionarn",),
    "region": ("region", "regionid"), "userId": ("userid", "accountid"),
}  # fmt: skip
_WHERE = {*_SPELLINGS["region"], *_SPELLINGS["userId"]}
_REGION = r"[a-z]{2,}(?:-[a-z0-9]+)+"
_ACCOUNT = r"[0-9]{6,}"
_NOT_GIVEN = (None, "", "null", "-")  # CloudMonitor prints a missing value as the four letters


class Alert(NamedTuple):
    """One alert: its sender, its word for its state, what may name its functions, or why it is ignored."""

    source: str
    state: Any = None
    names: Iterable[Mapping[str, Any]] = ()
    part: str = ""
    ignored: str | None = None

    @property
    def word(self) -> str | None:
        """Its state as a note may show it; None if that is no word."""
        return self.state if isinstance(self.state, str) and re.fullmatch(_STATE, self.state) else None


def read_alerts(data: JsonObject) -> list[Alert] | None:
    """The alerts of a notification; None if no known sender wrote it."""
    return next((alerts for read in _READERS if (alerts := read(data)) is not None), None)


def follow(alert: Alert, own: OwnAccount) -> tuple[list[Selector], list[tuple[NoteEvent, str]]]:
    """What an alert selects, and what is to be noted of it; a function outside of *own* is not selected."""
    source, word = alert.source, alert.word
    if alert.ignored is not None:
        return [], [("trigger_ignored", alert.ignored)]
    if word is not None and word.upper() in _CALM:
        return [], [("trigger_ignored", f"the {source} says {word}: nothing is wrong now")]
    found: dict[Selector, None] = {}
    notes: dict[tuple[NoteEvent, str], None] = {}
    for names in alert.names:
        given = _given(names)
        try:
            selector = check_command(given)
        except EventRefused as refusal:
            notes["trigger_refused", f"the {source} gives an impossible name: {refusal}"] = None
            continue
        if foreign := _foreign(given, own):
            notes["trigger_ignored", f"the {source} is about another {foreign} than the reaper's"] = None
        elif selector.function is not None:
            found[selector] = None
    if not (found or notes):
        return [Selector()], [("trigger_unrecognised", f"the {source} names no function")]
    # A label and a row often name one function: under its qualifier alone it might be refused as no target.
    return [one for one in found if not one.qualifier or one._replace(qualifier=None) not in found], [*notes]


def _given(names: Mapping[str, Any]) -> dict[str, Any]:
    """What *names* give of a function and its place, by its ARN or in words; empty if they name none."""
    # Where both are there, `serviceName` counts and not `service_name`.
    by_word = {plain(key): names[key] for key in sorted(names, key=_SPELLINGS.__contains__)}
    given = {
        what: next((by_word[word] for word in words if by_word.get(word) not in _NOT_GIVEN), None)
        for what, words in _SPELLINGS.items()
    }
    arn = given.pop("functionArn")
    if isinstance(arn, str) and (match := re.fullmatch(_ARN, arn)):
        given = {**match.groupdict(), "qualifier": match["alias"] or match["qualifier"]}
    return given if given["functionName"] is not None else {}


def _foreign(given: Mapping[str, Any], own: OwnAccount) -> str | None:
    """What proves that the place is not in *own* (`region` or `account`); masked values prove nothing."""
    checks = (("region", own.region, "region", _REGION), ("account", own.account, "userId", _ACCOUNT))
    for what, mine, key, whole in checks:
        its = given.get(key)
        if mine and isinstance(its, str) and its != mine and re.fullmatch(whole, its):
            return what
    return None


def _platform(data: JsonObject) -> list[Alert] | None:
    """Function Compute about itself: a destination's record, an event on the bus; and records of ActionTrail.

    Destinations: https://www.alibabacloud.com/help/en/fc/user-guide/result-callback
    Bus events: https://alibabacloud.com/help/en/eventbridge/user-guide/function-compute-events
    Audit records: https://www.alibabacloud.com/help/doc-detail/204963.htm
    """
    on_bus, kind = "specversion" in data, data.get("type")
    beside = {"userIdentity", "acsRegion", "sourceIpAddress", "eventRW", "referencedResources"}
    audit = data.keys() >= {"eventName", "eventType"} and bool(data.keys() & beside)
    if audit or (on_bus and isinstance(kind, str) and ":ActionTrail:" in kind):
        why = "an audit record of ActionTrail, where our own stops appear too; nothing follows from it"
        return [Alert("ActionTrail", ignored=why)]
    if on_bus and data.get("source") == "acs.fc":
        place = {"region": data.get("aliyunregionid"), "userId": data.get("aliyunaccountid")}
        return [Alert("Function Compute event", names=[{**_object(data.get("data")), **place}])]
    context = _object(data.get("requestContext"))
    if "functionArn" in context and "responseContext" in data:
        # The task has ended and its payload is not ours. The record's qualifier may be the version behind the
        # alias that tasks are listed under.
        given = {**_given({"functionArn": context["functionArn"]}), "qualifier": None}
        return [Alert("destination record", names=[given])]
    return None


def _cloud_monitor(data: JsonObject) -> list[Alert] | None:
    """CloudMonitor's threshold alerts, as a callback's form and as a message.

    The level or state decides: a documented sample is named AlertOk while its level is WARN.
    Callback: https://www.alibabacloud.com/help/en/document_detail/60714.html
    Message: https://alibabacloud.com/help/en/cms/user-guide/write-alerts-to-mns
    """
    source = "CloudMonitor alert"
    if "alertState" in data and data.keys() & {"metricName", "alertName", "ruleId", "dimensions"}:
        return [Alert(source, data["alertState"], [*_dimensions(data.get("dimensions")), _labels(data)])]
    if "curLevel" in data and data.keys() & {"ruleId", "ruleName", "metricName", "resources", "metricData"}:
        # A rule's own parameters for its target may name the function beside the alert's fields.
        names = [*_dimensions(data.get("resources")), *_dimensions(data.get("metricData")), _labels(data)]
        return [Alert(source, data["curLevel"], names)]
    message = _object(data.get("message"))
    if "type" in data and {"metricName", "dimensions"} <= message.keys():
        # Older subscriptions write the state in Chinese, "recovered" among the words.
        state = "RESOLVED" if "恢复" in str(message.get("levelDescription")) else "ALERT"
        return [Alert(source, state, _dimensions(message["dimensions"]))]
    return None


def _dimensions(value: Any) -> list[Mapping[str, Any]]:
    """Dimensions per resource: an object, a list of them, JSON text of either, `{k=v, k=v}` or `k=v,k=v`."""
    if isinstance(value, str):
        pairs = (pair.partition("=") for pair in value.strip().strip("{}").split(","))
        written = {key.strip(): one.strip() for key, _, one in pairs}
        with suppress(EventRefused):
            value = json_in(value)
        value = value if isinstance(value, (dict, list)) else written
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Mapping)]


def _sls(data: JsonObject) -> list[Alert] | None:
    """Simple Log Service: alerts of a query over logs. https://help.aliyun.com/document_detail/2361010.html

    Labels and the rows that fired name the function; columns are called whatever the query selects. At most
    100 rows are shown; of more than that, nobody is named.
    """
    beside = {"status", "fire_results", "results", "labels", "fire_time", "alert_time"}
    if not (data.keys() & {"alert_instance_id", "alert_id", "alert_name"} and data.keys() & beside):
        return None
    state, fired, results = data.get("status"), data.get("fire_results"), data.get("results")
    if isinstance(fired, list) and _exceeds(data.get("fire_results_count"), len(fired)):
        return [Alert("cut-off SLS alert", state)]
    rows = [data.get("labels"), *(fired if isinstance(fired, list) else ())]
    rows += [_object(one).get("fire_result") for one in (results if isinstance(results, list) else ())]
    return [Alert("SLS alert", state, map(_labels, rows))]


def _alertmanager(data: JsonObject) -> list[Alert] | None:
    """Alertmanager's webhook, version 4, which ARMS and Managed Prometheus send too.

    Each alert's own status counts, and the labels that alerts share count as well, since templates may leave
    out its own. With `max_alerts` some are cut off, perhaps those that fire.
    https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
    """
    source, state, listed = "Alertmanager alert", data.get("status"), data.get("alerts")
    beside = {"status", "receiver", "groupLabels", "commonLabels", "groupKey", "externalURL"}
    if not isinstance(listed, list) or not data.keys() & beside:
        return None
    if _exceeds(data.get("truncatedAlerts"), 0):
        return [Alert(f"cut-off {source}")]
    shared = {**_labels(data.get("commonLabels")), **_labels(data.get("groupLabels"))}
    alerts = [
        Alert(source, one.get("status", state), [{**shared, **_labels(one.get("labels"))}], f"alerts[{at}]")
        for at, one in enumerate(listed)
        if isinstance(one, JsonObject)
    ]
    return alerts or [Alert(source, state, [shared])]


_READERS = (_platform, _cloud_monitor, _sls, _alertmanager)


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, JsonObject) else JsonObject()


def _labels(value: Any) -> dict[str, Any]:
    """The labels in *value* without those for a region or an account, which say where the watcher sits."""
    return {key: one for key, one in _object(value).items() if plain(key) not in _WHERE}


def _exceeds(count: Any, shown: int) -> bool:
    try:
        return float(count) > shown
    except (TypeError, ValueError, OverflowError):
        return False
