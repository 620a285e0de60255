"""What an event may ask for: a wish for a dry run is heard, and no place is misread."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.worlds.world import Json, World, alertmanager, check, running, stops

THREE = [running("x"), running("y", place="media/thumbs"), running("z", place="media/mux")]
PLACES = ("media/transcode", "media/thumbs", "media/mux")
ALL = ["x", "y", "z"]
COMMAND = {"functionName": "transcode", "dryRun": True}
OWN_ACCOUNT = {"FC_REGION": "cn-hangzhou", "FC_ACCOUNT_ID": "123456789"}


def http(body: str, kind: str = "application/json", *, encoded: bool = False, **more: Any) -> Json:
    """A request to an HTTP trigger."""
    return {
        "version": "v1",
        "rawPath": "/",
        "body": base64.b64encode(body.encode()).decode() if encoded else body,
        "isBase64Encoded": encoded,
        "headers": {"Content-Type": kind},
        "queryParameters": {},
        "requestContext": {"http": {"method": "POST", "path": "/"}, "requestId": "1"},
        **more,
    }


def cloud_event(data: object, **more: object) -> Json:
    """An event of a bus."""
    kind = {
        "specversion": "1.0",
        "id": "1",
        "source": "acs.test",
        "type": "test:Command",
        "datacontenttype": "json",
    }
    return {**kind, "time": "2026-11-22T00:00:00Z", "data": data, **more}


def multipart(name: str, value: str) -> Json:
    body = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n--b--\r\n'
    return http(body, "multipart/form-data; boundary=b")


TEXT = json.dumps(COMMAND)
CLOUDMONITOR: Json = {
    "ruleId": "r", "ruleName": "n", "curLevel": "WARN", "preLevel": "OK", "namespace": "acs_fc",
    "groupId": "1",
    "metricName": "FunctionAsyncMessageLatencyMax#60", "eventName": "AlertOk", "eventType": "Alert",
    "version": "1.0",
}  # fmt: skip
XML = (
    '<?xml version="1.0" encoding="utf-8"?><Notification xmlns="http://mns.aliyuncs.com/doc/v1/">'
    f"<TopicName>reaper</TopicName><MessageId>1</MessageId><Message>{TEXT}</Message></Notification>"
)

WISHES: dict[str, Json | str] = {
    "a command": COMMAND,
    "in XML": http(XML, "text/xml"),
    "in XML, in base64": http(XML, "text/xml", encoded=True),
    "in the body of records": {"Records": [{"messageId": "1", "body": TEXT}]},
    "in the body of the second record": {"Records": [{"body": '{"functionName":"thumbs"}'}, {"body": TEXT}]},
    "in a form": http("payload=" + quote(TEXT), "application/x-www-form-urlencoded"),
    "a field of a form": http("functionName=transcode&dryRun=true", "application/x-www-form-urlencoded"),
    "a field of a form, in base64": http("f=1&dry-run=1", "application/x-www-form-urlencoded", encoded=True),
    "a field of a multipart form": multipart("dry_run", "true"),
    "JSON in a multipart form": multipart("payload", TEXT),
    "in words": http("please dry run only", "text/plain"),
    "in one word": http("DRYRUN", "text/plain"),
    "in words, in base64": http("a dry-run, please", "text/plain", encoded=True),
    "in YAML": http("functionName: transcode\ndryRun: true\n", "application/yaml"),
    "as an event of text": "dry run",
    "in a deep object": {"detail": {"request": {"options": [{"dry_run": "yes"}]}}},
    "in an event of a bus": cloud_event({"functionName": "transcode", "options": {"dryRun": 1}}),
    "in text in an event of a bus": cloud_event(TEXT),
    "in base64 in an event of a bus": cloud_event(None, data_base64=base64.b64encode(TEXT.encode()).decode()),
    "in a queue's message": cloud_event({"messageBody": TEXT}, type="mns:Queue:SendMessage"),
    "in a queue's message in base64": cloud_event({"messageBody": base64.b64encode(TEXT.encode()).decode()},
                                                  type="mns:Queue:SendMessage"),
    "in a timer's payload": {"triggerTime": "2026-11-22T00:00:00Z", "triggerName": "t", "payload": TEXT},
    "in a timer's words": {"triggerTime": "2026-11-22T00:00:00Z", "triggerName": "t", "payload": "a dry run"},
    "in a query": http("{}", queryParameters={"dryRun": "true"}),
    "as a label of an alert": alertmanager({"functionName": "transcode", "dry_run": "true"}),
    "in the text of an alert's dimensions": CLOUDMONITOR | {
        "resources": json.dumps([{"functionName": "transcode", "dryRun": "true"}]), "metricData": {}},
    "in an alert's dimensions that are no JSON": {
        "alertState": "ALERT", "metricName": "m", "alertName": "a", "ruleId": "r",
        "dimensions": "{functionName=transcode, dry_run=yes}"},
    "in base64 in a multipart form": multipart("f", base64.b64encode(TEXT.encode()).decode()),
    "as another key of an alert": alertmanager({"functionName": "transcode"}, dryRun="please"),
    "a value that is an object": {"functionName": "transcode", "x": {"DryRun": {}}},
}  # fmt: skip

NO_WISHES: dict[str, Json | str] = {
    "false": cloud_event({"x": {"dryRun": False}}),
    "0": cloud_event({"x": {"dryRun": 0}}),
    "no": cloud_event({"x": {"dry_run": "no"}}),
    "off": cloud_event({"x": {"dry-run": "OFF"}}),
    "null": cloud_event({"x": {"dryrun": None}}),
    "our own lines in an alert": alertmanager({"functionName": "transcode"}) | {
        "commonAnnotations": {"query": "event: stuck and not mode: dry-run",
        "runbook": "see the dry run section"}
    },
    "our own line as JSON text": alertmanager({"functionName": "transcode"}) | {
        "commonAnnotations": {"line": '{"event": "would_stop", "mode": "dry-run"}'}
    },
    "mode: dry-run in an event of a bus": cloud_event({"line": {"mode": "dry-run", "event": "run_finished"}}),
}  # fmt: skip


def _wishes() -> list[World]:
    heard = "a wish for a dry run is heard everywhere"
    key = "a wish for a dry run is a key or a text nobody opens"
    policy = stops({"alive_for": "2h"}, *PLACES)
    worlds = [World(heard, name, THREE, policy, [], events=[event]) for name, event in WISHES.items()]
    for name, event in NO_WISHES.items():
        expected = ["x"] if "labels" in json.dumps(event) else ALL
        worlds.append(World(key, name, THREE, policy, expected, events=[event]))
    three = [running("x", place="resize@prod"), running("y", place="resize@v2")]
    for name in ("in XML", "in words", "in the body of records"):
        worlds.append(World(heard, f"{name}, functions of 3.0", three,
        stops({"alive_for": "2h"}, "resize@*"), [],
                            events=[WISHES[name]]))  # fmt: skip
    return worlds


TRANSCODE = {"functionName": "transcode", "serviceName": "media"}
SLS: Json = {
    "aliuid": "123456789", "alert_id": "a", "alert_name": "slow", "alert_instance_id": "i",
    "region": "cn-hangzhou",
    "project": "logs", "alert_time": 1795140930, "fire_time": 1795140330, "resolve_time": 0,
    "status": "firing",
    "results": [], "labels": {}, "annotations": {}, "severity": 8,
}  # fmt: skip


def cloudmonitor(**dimensions: str) -> Json:
    return {**CLOUDMONITOR, "resources": json.dumps(dimensions), "metricData": {"timestamp": 1, **dimensions}}


def sls(*rows: Json, count: int | None = None) -> Json:
    return {**SLS, "fire_results": list(rows), "fire_results_count": len(rows) if count is None else count}


LABELS: dict[str, tuple[Json, list[str]]] = {
    "region": (alertmanager({**TRANSCODE, "region": "eu-west-1"}), ["x"]),
    "user_id": (alertmanager({**TRANSCODE, "user_id": "880012345"}), ["x"]),
    "account_id": (alertmanager({**TRANSCODE, "account_id": "880012345"}), ["x"]),
    "userId": (alertmanager({**TRANSCODE, "userId": "880012345"}), ["x"]),
    "service": (alertmanager({"functionName": "transcode", "service": "prometheus-cms-exporter"}), ["x"]),
    "function": (alertmanager({**TRANSCODE, "function": "scrape", "job": "node"}), ["x"]),
    "version": (alertmanager({**TRANSCODE, "version": "1.2.3", "instance": "10.0.0.1:9"}), ["x"]),
    "region of the watcher's own labels": (
        alertmanager(TRANSCODE, commonLabels={"region": "eu-west-1", "service": "prometheus"}),
        ["x"],
    ),
    "region in a row of a query": (sls({**TRANSCODE, "region": "eu-west-1", "cnt": "7"}), ["x"]),
    "FC's own region, another one": (cloudmonitor(**TRANSCODE, region="eu-west-1", userId="123456789"), []),
    "FC's own account, another one": (
        cloudmonitor(**TRANSCODE, region="cn-hangzhou", userId="880012345"),
        [],
    ),
    "FC's own region, this one": (cloudmonitor(**TRANSCODE, region="cn-hangzhou", userId="123456789"), ["x"]),
}

CUT: dict[str, tuple[Json, list[str]]] = {
    "alerts": (alertmanager(TRANSCODE, truncatedAlerts=2), ALL),
    "alerts, and all that is left is over": (
        alertmanager(TRANSCODE, truncatedAlerts=1)
        | {"alerts": [{"status": "resolved", "labels": TRANSCODE, "annotations": {}}]}, ALL),
    "alerts, and none is left": (alertmanager(truncatedAlerts=3), ALL),
    "no alerts": (alertmanager(TRANSCODE, truncatedAlerts=0), ["x"]),
    "rows": (sls(TRANSCODE, count=200), ALL),
    "no rows": (sls(TRANSCODE), ["x"]),
    "rows, one of two": (sls(TRANSCODE, count=2), ALL),
}  # fmt: skip


def _alerts() -> list[World]:
    policy = stops({"alive_for": "2h"}, *PLACES, triggers=["alert"])
    tables = {"labels of the watcher are not the function's place": LABELS, "a cut list names nobody": CUT}
    return [
        World(kind, name, THREE, policy, stopped, events=[event], env=OWN_ACCOUNT)
        for kind, table in tables.items()
        for name, (event, stopped) in table.items()
    ]


@pytest.mark.parametrize("world", [*_wishes(), *_alerts()], ids=str)
def test_events(world: World, tmp_path: Path) -> None:
    check(world, tmp_path)
