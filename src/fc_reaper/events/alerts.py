"""Alerts and other notifications about functions, one tolerant reader a sender.

A reader takes the object of a notification and returns its alerts, or None if another sender wrote it.
`_alert` decides by an alert's state whether anything follows, and `_target` reads which function it names.
CONTRIBUTING.md explains how to add a sender.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from fc_reaper.errors import EventRefused
from fc_reaper.events.command import check_command, plain
from fc_reaper.events.decode import BLANKS, BRACKETS, JsonObject, parse
from fc_reaper.events.trigger import OwnAccount, Selector

_CALM = frozenset({"OK", "RESOLVED", "INSUFFICIENT_DATA", "NORMAL", "RECOVERED"})
_STATE = r"[A-Za-z_]{1,32}"
_REGION = r"[a-z]{2,}(?:-[a-z0-9]+)+"
_ACCOUNT = r"[0-9]{6,}"
_ARN = (
    r"acs:fc:(?P<region>[^:/]*):(?P<account>[^:/]*)[:/]"
    r"(?:services/(?P<service>[^/.]+)(?:\.(?P<alias>[^/]+))?/)?functions/(?P<function>[^/]+)(?:/(?P<qualifier>[^/]+))?"
)

# The spellings of rules and templates, in lower case and without joiners. A label `service` is the watcher's.
_SPELLINGS = {
    "function": ("functionname", "function"),
    "service": ("servicename",),
    "qualifier": ("qualifier", "functionqualifier"),
    "region": ("region", "regionid"),
    "account": ("userid", "accountid"),
    "arn": ("functionarn",),
}
_WHERE = {*_SPELLINGS["region"], *_SPELLINGS["account"]}

_CUT_OFF = "cut-off"

# CloudMonitor prints a missing value as the four letters.
_NOT_GIVEN = (None, "", "null", "-")


class AlertTarget(NamedTuple):
    """A function that an alert names; region and account are None if the alert does not give them."""

    selector: Selector
    region: str | None = None
    account: str | None = None

    def foreign(self, own: OwnAccount) -> str | None:
        """What proves that it is not in *own* (`region` or `account`); masked values prove nothing."""
        if self.region and own.region and self.region != own.region and re.fullmatch(_REGION, self.region):
            return "region"
        if (
            self.account
            and own.account
            and self.account != own.account
            and re.fullmatch(_ACCOUNT, self.account)
        ):
            return "account"
        return None

    @property
    def any_qualifier(self) -> AlertTarget:
        """The same function under every qualifier."""
        return self._replace(selector=self.selector._replace(qualifier=None))


class Alert(NamedTuple):
    """One alert of a notification.

    `state` is its own word, None if the sender has none. `targets` is empty if it names no function.
    `ignored` says why nothing follows from it, else None. `refused` says which names are impossible.
    `part` is its place in the notification.
    """

    source: str
    state: str | None = None
    targets: tuple[AlertTarget, ...] = ()
    ignored: str | None = None
    refused: tuple[str, ...] = ()
    part: str = ""


def read_alerts(data: JsonObject) -> list[Alert] | None:
    """The alerts of a notification; None if no known sender wrote it."""
    return next((alerts for read in _READERS if (alerts := read(data)) is not None), None)


def _platform(data: JsonObject) -> list[Alert] | None:
    """Function Compute about itself: a destination's record, an event on the bus; and records of ActionTrail.

    Destinations: https://www.alibabacloud.com/help/en/fc/user-guide/result-callback
    Bus events: https://alibabacloud.com/help/en/eventbridge/user-guide/function-compute-events
    Audit records: https://www.alibabacloud.com/help/doc-detail/204963.htm
    """
    on_bus, kind = "specversion" in data, data.get("type")
    beside = ("userIdentity", "acsRegion", "sourceIpAddress", "eventRW", "referencedResources")
    audit = data.keys() >= {"eventName", "eventType"} and _has(data, beside)
    if audit or (on_bus and isinstance(kind, str) and ":ActionTrail:" in kind):
        why = "an audit record of ActionTrail, where our own stops appear too; nothing follows from it"
        return [Alert("ActionTrail", ignored=why)]
    if on_bus and data.get("source") == "acs.fc":
        place = {"region": data.get("aliyunregionid"), "userId": data.get("aliyunaccountid")}
        return [_alert("Function Compute event", None, [{**_object(data.get("data")), **place}])]
    context = _object(data.get("requestContext"))
    if "functionArn" in context and "responseContext" in data:
        # The task has ended and its payload is not ours. The record's qualifier may be the version behind the
        # alias that tasks are listed under.
        alert = _alert("destination record", None, [{"functionArn": context["functionArn"]}])
        return [alert._replace(targets=tuple(target.any_qualifier for target in alert.targets))]
    return None


def _cloud_monitor(data: JsonObject) -> list[Alert] | None:
    """CloudMonitor's threshold alerts, as a callback's form and as a message.

    The level or state decides: a documented sample is named AlertOk while its level is WARN.
    Callback: https://www.alibabacloud.com/help/en/document_detail/60714.html
    Message: https://alibabacloud.com/help/en/cms/user-guide/write-alerts-to-mns
    """
    source = "CloudMonitor alert"
    if "alertState" in data and _has(data, ("metricName", "alertName", "ruleId", "dimensions")):
        return [_alert(source, data["alertState"], [*_dimensions(data.get("dimensions")), _labels(data)])]
    if "curLevel" in data and _has(data, ("ruleId", "ruleName", "metricName", "resources", "metricData")):
        # A rule's own parameters for its target may name the function beside the alert's fields.
        names = [*_dimensions(data.get("resources")), *_dimensions(data.get("metricData")), _labels(data)]
        return [_alert(source, data["curLevel"], names)]
    message = _object(data.get("message"))
    if "type" in data and {"metricName", "dimensions"} <= message.keys():
        # Older subscriptions write the state in Chinese, "recovered" among the words.
        state = "RESOLVED" if "恢复" in str(message.get("levelDescription")) else "ALERT"
        return [_alert(source, state, _dimensions(message["dimensions"]))]
    return None


def _dimensions(value: Any) -> list[Mapping[str, Any]]:
    """Dimensions per resource: an object, a list of them, JSON text of either, `{k=v, k=v}` or `k=v,k=v`."""
    if isinstance(value, str):
        text = value.strip(BLANKS)
        pairs = (pair.partition("=") for pair in text.strip("{}").split(","))
        value = {key.strip(): one.strip() for key, _, one in pairs}
        if text.startswith(BRACKETS):
            with suppress(EventRefused):
                value = parse(text)
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Mapping)]


def _sls(data: JsonObject) -> list[Alert] | None:
    """Simple Log Service: alerts of a query over logs. https://help.aliyun.com/document_detail/2361010.html

    Labels and the rows that fired name the function; columns are called whatever the query selects. At most
    100 rows are shown, and then nobody is named.
    """
    beside = ("status", "fire_results", "results", "labels", "fire_time", "alert_time")
    if not (_has(data, ("alert_instance_id", "alert_id", "alert_name")) and _has(data, beside)):
        return None
    fired, results = ([*one] if isinstance(one := data.get(key), list) else [] for key in beside[1:3])
    if _exceeds(data.get("fire_results_count"), len(fired)) and "fire_results" in data:
        return [_alert(f"{_CUT_OFF} SLS alert", data.get("status"), ())]
    rows = [data.get("labels"), *fired, *(_object(one).get("fire_result") for one in results)]
    return [_alert("SLS alert", data.get("status"), map(_labels, rows))]


def _alertmanager(data: JsonObject) -> list[Alert] | None:
    """Alertmanager's webhook, version 4, which ARMS and Managed Prometheus send too.

    One notification mixes firing and resolved alerts, so each alert's own status counts. Templates may leave
    out an alert's own labels, so those that alerts share count as well. With `max_alerts` some are cut off,
    perhaps those that fire; status and common labels are then those of the others.
    https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
    """
    source, listed = "Alertmanager alert", data.get("alerts")
    beside = ("status", "receiver", "groupLabels", "commonLabels", "groupKey", "externalURL")
    if not isinstance(listed, list) or not _has(data, beside):
        return None
    if _exceeds(data.get("truncatedAlerts"), 0):
        return [_alert(f"{_CUT_OFF} {source}", None, ())]
    shared = {**_labels(data.get("commonLabels")), **_labels(data.get("groupLabels"))}

    def alert(one: JsonObject, part: str) -> Alert:
        labels = {**shared, **_labels(one.get("labels"))}
        return _alert(source, one.get("status", data.get("status")), [labels], part)

    alerts = [alert(one, f"alerts[{i}]") for i, one in enumerate(listed) if isinstance(one, JsonObject)]
    return alerts or [alert(data, "")]


_READERS: tuple[Callable[[JsonObject], list[Alert] | None], ...] = (
    _platform,
    _cloud_monitor,
    _sls,
    _alertmanager,
)


def _alert(source: str, state: Any, named: Iterable[Mapping[str, Any]], part: str = "") -> Alert:
    """An alert about the functions that the mappings *named* name; nothing follows from a calm state."""
    word = state if isinstance(state, str) and re.fullmatch(_STATE, state) else None
    if word is not None and word.upper() in _CALM:
        return Alert(source, word, ignored=f"the {source} says {word}: nothing is wrong now", part=part)
    targets: dict[AlertTarget, None] = {}
    refused: dict[str, None] = {}
    for names in named:
        try:
            if target := _target(names):
                targets[target] = None
        except EventRefused as refusal:
            refused[refusal.why] = None
    # Labels and rows often repeat each other: one that a broader one includes adds nothing.
    kept = [one for one in targets if one == one.any_qualifier or one.any_qualifier not in targets]
    return Alert(source, word, tuple(kept), refused=tuple(refused), part=part)


def _target(names: Mapping[str, Any]) -> AlertTarget | None:
    """The function that *names* (labels, dimensions, a row) give, by its ARN or by its name; None if none.

    Raises:
        EventRefused: an impossible name.
    """
    by_word = {plain(key): value for key, value in names.items()}
    given = {
        what: next((by_word[word] for word in words if by_word.get(word) not in _NOT_GIVEN), None)
        for what, words in _SPELLINGS.items()
    }
    arn = given["arn"]
    if isinstance(arn, str) and (match := re.fullmatch(_ARN, arn)):
        given = {**match.groupdict(), "qualifier": match["alias"] or match["qualifier"]}
    if given["function"] is None:
        return None
    keys = {"serviceName": "service", "functionName": "function", "qualifier": "qualifier"}
    selector = check_command({key: given[what] for key, what in keys.items()})
    place = (one if isinstance(one, str) and one else None for one in (given["region"], given["account"]))
    return AlertTarget(selector, *place)


def _has(data: JsonObject, keys: Iterable[str]) -> bool:
    return not data.keys().isdisjoint(keys)


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
