"""Alerts select the functions that they name, while something is wrong; they can do no more."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from fc_reaper.events import OwnAccount, parse_event
from tests.events.builders import EVERYTHING, a_cloud_event, a_selector, noted, read, requested

RESIZE = a_selector("resize")
TRANSCODE = a_selector("transcode", service="media")


def a_callback(
    dimensions: Any = "{functionName=resize}", state: Any = "ALERT", **more: Any
) -> dict[str, Any]:
    return {"alertState": state, "metricName": "FunctionMaxDuration", "dimensions": dimensions, **more}


def a_message(resources: Any, level: Any = "WARN", **more: Any) -> dict[str, Any]:
    return {"ruleId": "r", "curLevel": level, "resources": resources, **more}


def an_sls_alert(status: str = "firing", **more: Any) -> dict[str, Any]:
    return {"alert_id": "a", "alert_instance_id": "i", "status": status, **more}


def a_notification(*alerts: Any, **more: Any) -> dict[str, Any]:
    return {"receiver": "fc-reaper", "status": "firing", "alerts": list(alerts), **more}


def an_alert(labels: dict[str, Any], status: str = "firing") -> dict[str, Any]:
    return {"status": status, "labels": labels}


@pytest.mark.parametrize(
    ("dimensions", "selector"),
    [
        ("{functionName=transcode, region=cn-hangzhou, serviceName=media, userId=164}", TRANSCODE),
        ("{functionName=resize, region=cn-hangzhou, serviceName=, userId=12****}", RESIZE),
        ("{serviceName=null, functionName=resize}", RESIZE),
        ("{functionName=media$transcode, serviceName=media}", TRANSCODE),
        ("functionName=resize,serviceName=", RESIZE),
        ('{"functionName": "transcode", "serviceName": "media"}', TRANSCODE),
        ('[{"userId": "1", "functionName": "resize"}]', RESIZE),
        ({"functionName": "resize"}, RESIZE),
        ("{functionName=resize, qualifier=prod}", a_selector("resize", qualifier="prod")),
        ("{region=cn-hangzhou, userId=164}", EVERYTHING),
        ("{serviceName=media}", EVERYTHING),
        ("", EVERYTHING),
        (None, EVERYTHING),
        ("{functionName=null}", EVERYTHING),
        ("{{{=,=,}", EVERYTHING),
    ],
)
def test_cloudmonitor_names_the_function_in_its_dimensions(dimensions: Any, selector: Any) -> None:
    """In every spelling of its pages and of recorded callbacks, as a form, as JSON, and as a message."""
    text = dimensions if isinstance(dimensions, str) else json.dumps(dimensions)
    form = urlencode(a_callback(text)).encode()
    for event in (a_callback(dimensions), a_callback(text), a_message(dimensions), a_message(text), form):
        assert requested(read(event)) == [("alert", selector)]


@pytest.mark.parametrize("state", ["OK", "ok", "INSUFFICIENT_DATA", "RESOLVED"])
def test_an_alert_that_is_over_is_ignored(state: str) -> None:
    """Nothing is wrong now, so there is no run; that is no refusal."""
    for event in (a_callback(state=state), a_message("{}", level=state), an_sls_alert(status=state.lower())):
        trigger = read(event)
        assert (trigger.requests, noted(trigger), trigger.refused) == ((), ["trigger_ignored"], False)


@pytest.mark.parametrize("state", ["ALERT", "ALARM", "CRITICAL", "WARN", "INFO", "", None, 5])
def test_any_other_state_fires(state: Any) -> None:
    """An unknown state costs a few calls; ignoring it could leave tasks running all night."""
    for event in (a_callback(state=state), a_message('{"functionName": "resize"}', level=state)):
        assert requested(read(event)) == [("alert", RESIZE)]


def test_the_level_decides_and_not_the_name_of_the_event() -> None:
    """The documented sample is called AlertOk while its level is WARN."""
    event = a_message('{"functionName": "resize"}', eventName="AlertOk")
    assert requested(read(event)) == [("alert", RESIZE)]
    assert read({**event, "curLevel": "OK", "eventName": "AlertBad"}).requests == ()


@pytest.mark.parametrize(
    ("words", "requests"), [("发生告警", [("alert", RESIZE)]), ("恢复告警", [])], ids=["fires", "is over"]
)
def test_the_older_message_of_cloudmonitor_gives_its_state_in_words(words: str, requests: Any) -> None:
    """Old subscriptions still send it."""
    message = {"levelDescription": words, "metricName": "m", "dimensions": "userId=1,functionName=resize"}
    assert requested(read({"message": message, "type": 0})) == requests


@pytest.mark.parametrize(
    "more",
    [
        {"labels": {"functionName": "resize"}},
        {"fire_results": [{"function_name": "resize", "cnt": "17"}]},
        {"results": [{"fire_result": {"FunctionName": "resize"}}]},
        {
            "labels": {"functionName": "resize"},
            "fire_results": [{"functionName": "resize", "qualifier": "LATEST"}],
        },
    ],
)
def test_sls_names_the_function_in_labels_or_rows(more: Any) -> None:
    """As object, in a list, and in a list of texts; rows that only repeat the label add nothing."""
    alert = an_sls_alert(**more)
    for event in (alert, [alert], [json.dumps(alert)], a_cloud_event(alert, source="acs:sls")):
        assert requested(read(event)) == [("alert", RESIZE)]


def test_every_row_that_fired_names_its_function() -> None:
    """Rows that did not fire are not read."""
    alert = an_sls_alert(
        fire_results=[{"functionName": "a", "qualifier": "prod"}, {"functionName": "b", "serviceName": "s"}],
        results=[{"raw_results": [{"functionName": "calm"}], "fire_result": {"functionName": "c"}}],
    )
    names = [selector.function for _, selector in requested(read(alert))]
    assert names == ["a", "b", "c"]


@pytest.mark.parametrize(
    "labels",
    [
        {"functionName": "transcode", "serviceName": "media"},
        {"function_name": "transcode", "service_name": "media"},
        {"FunctionName": "transcode", "ServiceName": "media"},
        {"function": "transcode", "serviceName": "media"},
        {"functionArn": "acs:fc:cn-hangzhou:164:services/media/functions/transcode"},
    ],
)
def test_a_label_may_be_spelt_as_people_spell_it(labels: Any) -> None:
    """The author of a rule chooses which label names the function."""
    assert requested(read(a_notification(an_alert(labels)))) == [("alert", TRANSCODE)]


WATCHER = {
    "region": "eu-west-1",
    "regionId": "cn-shanghai",
    "user_id": "880012345",
    "userId": "880012345",
    "account_id": "880012345",
    "service": "prometheus-cms-exporter",
}


@pytest.mark.parametrize("label", WATCHER)
def test_a_label_that_says_where_the_watcher_sits_changes_nothing(label: str) -> None:
    """The exporter that scraped, the account and region of the rule: the function is ours all the same."""
    labels = {"functionName": "resize", label: WATCHER[label]}
    for event in (
        a_notification(an_alert(labels)),
        a_notification(an_alert({"functionName": "resize"}), commonLabels=labels),
        an_sls_alert(labels=labels, fire_results=[labels], **WATCHER),
        a_callback("{functionName=resize}", **WATCHER),
        a_message('{"functionName": "resize"}', **WATCHER),
    ):
        assert requested(parse_event(json.dumps(event).encode(), OWN)) == [("alert", RESIZE)]


@pytest.mark.parametrize("label", ["service_name", "service-name", "SERVICENAME", "Service.Name"])
def test_the_platforms_own_spelling_counts_before_every_other(label: str) -> None:
    """Exporters have a `service_name` of their own; the order of labels says nothing."""
    given = {"functionName": "resize", "serviceName": "media"}
    for labels in ({label: "exporter", **given}, {**given, label: "exporter"}):
        assert requested(read(a_notification(an_alert(labels)))) == [
            ("alert", a_selector("resize", service="media"))
        ]


@pytest.mark.parametrize("status", ["firing", "resolved"])
@pytest.mark.parametrize("cut", [1, 17, "2"])
def test_a_notification_that_its_sender_cut_off_names_nobody(status: str, cut: Any) -> None:
    """Those that were cut off may fire elsewhere, whatever is said of the others: common labels, status."""
    labels = {"functionName": "resize"}
    said = a_notification(an_alert(labels, status), status=status, commonLabels=labels, truncatedAlerts=cut)
    for event in (said, [said], a_cloud_event(said)):
        trigger = read(event)
        assert (requested(trigger), noted(trigger)) == ([("alert", EVERYTHING)], ["trigger_unrecognised"])
        assert "cut-off" in trigger.notes[0].why


@pytest.mark.parametrize("cut", [0, None, "", "0", -1, [], {}, "many"])
def test_a_notification_that_is_whole_names_its_functions(cut: Any) -> None:
    """Also one whose count says nothing."""
    event = a_notification(an_alert({"functionName": "resize"}), truncatedAlerts=cut)
    assert requested(read(event)) == [("alert", RESIZE)]


def test_rows_that_sls_cut_off_name_nobody() -> None:
    """It shows a hundred of them at most; over is over, since that is said of the whole alert."""
    rows = [{"functionName": "resize"}]
    shown: list[dict[str, Any]] = [{"fire_results": rows}, {"fire_results": rows, "labels": rows[0]}]
    for more in (*shown, {"fire_results": []}):
        event = an_sls_alert(fire_results_count=2, **more)
        assert requested(read(event)) == [("alert", EVERYTHING)]
        assert read({**event, "status": "resolved"}).requests == ()
        assert requested(read([event, {**event, "fire_results_count": 0}]))[0] == ("alert", EVERYTHING)
    assert requested(read(an_sls_alert(fire_results_count=1, fire_results=rows))) == [("alert", RESIZE)]
    assert requested(read(an_sls_alert(fire_results_count=9, labels=rows[0]))) == [("alert", RESIZE)]


def test_in_a_mixed_notification_each_alert_counts_for_itself() -> None:
    """The status of the notification does not decide for its alerts."""
    trigger = read(
        a_notification(
            an_alert({"function": "a"}),
            an_alert({"function": "b"}, "resolved"),
            an_alert({"function": "c"}),
            an_alert({"function": "d e"}),
        )
    )
    assert [(request.selector.function, request.part) for request in trigger.requests] == [
        ("a", "alerts[0]"),
        ("c", "alerts[2]"),
    ]
    assert [(note.event, note.part) for note in trigger.notes] == [
        ("trigger_ignored", "alerts[1]"),
        ("trigger_refused", "alerts[3]"),
    ]


@pytest.mark.parametrize(
    "event",
    [
        a_notification({"labels": {}}, commonLabels={"function": "resize"}),
        a_notification(groupLabels={"function": "resize"}),
        a_notification("not an object", commonLabels={"function": "resize"}),
    ],
)
def test_labels_that_alerts_share_count_for_each(event: Any) -> None:
    """Templates may leave an alert's own labels out."""
    assert requested(read(event)) == [("alert", RESIZE)]


def test_an_alert_that_names_no_function_selects_all() -> None:
    """All targets that accept alerts, and the log says why."""
    for event in (a_callback("{region=cn-hangzhou}"), an_sls_alert(), a_notification(an_alert({"job": "x"}))):
        trigger = read(event)
        assert (requested(trigger), noted(trigger)) == ([("alert", EVERYTHING)], ["trigger_unrecognised"])


@pytest.mark.parametrize("name", ["*", "a/b", "1st", "x" * 129, 17])
def test_an_alert_that_names_what_can_be_no_function_is_refused(name: Any) -> None:
    """It does not select all instead: it was about one."""
    for event in (a_callback({"functionName": name}), an_sls_alert(labels={"functionName": name})):
        trigger = read(event)
        assert (trigger.requests, trigger.refused) == ((), True)
        assert len(trigger.notes[0].why) <= 200


OWN = OwnAccount("cn-hangzhou", "1649015465570000")


@pytest.mark.parametrize(
    ("dimensions", "about"),
    [
        ("{functionName=resize, region=cn-shanghai}", "region"),
        ("{functionName=resize, userId=9990000000000000}", "account"),
    ],
)
def test_an_alert_about_another_region_or_account_is_ignored(dimensions: str, about: str) -> None:
    """A function of the same name exists there, and it is not ours."""
    trigger = parse_event(json.dumps(a_callback(dimensions)).encode(), OWN)
    assert (trigger.requests, noted(trigger)) == ((), ["trigger_ignored"])
    assert f"another {about}" in trigger.notes[0].why


@pytest.mark.parametrize(
    "dimensions",
    [
        "{functionName=resize, region=cn-hangzhou, userId=1649015465570000}",
        "{functionName=resize, region=Shanghai, userId=164901546557****}",
        "{functionName=resize, region=, userId=null}",
        "{functionName=resize}",
    ],
)
def test_what_does_not_prove_another_region_or_account_is_ours(dimensions: str) -> None:
    """Masked and odd values prove nothing."""
    assert requested(parse_event(json.dumps(a_callback(dimensions)).encode(), OWN)) == [("alert", RESIZE)]
    assert requested(read(a_callback("{functionName=resize, region=eu-central-1}"))) == [("alert", RESIZE)]


def test_the_place_of_an_sls_rule_is_not_that_of_the_function() -> None:
    """Logs of several regions are often kept in one, and a userId in a log is seldom an account."""
    labels = {"functionName": "resize", "userId": "20000001"}
    alert = an_sls_alert(region="eu-central-1", aliuid="99999999", labels=labels)
    assert requested(parse_event(json.dumps(alert).encode(), OWN)) == [("alert", RESIZE)]


def a_record(arn: str, payload: str = "{}") -> dict[str, Any]:
    context = {"requestId": "job-1", "functionArn": arn, "condition": "", "approximateInvokeCount": 1}
    return {"requestContext": context, "requestPayload": payload, "responseContext": {"statusCode": 200}}


@pytest.mark.parametrize(
    ("arn", "selector"),
    [
        ("acs:fc:::services/media.prod/functions/transcode", TRANSCODE),
        ("acs:fc:cn-hangzhou:164:services/media/functions/transcode", TRANSCODE),
        ("acs:fc:cn-hangzhou:164:functions/resize", RESIZE),
        ("acs:fc:cn-hangzhou:164/functions/resize/prod", RESIZE),
        ("acs:fc:cn-hangzhou:164:functions/media$transcode", a_selector("media$transcode")),
        ("acs:oss:::bucket", EVERYTHING),
        ("", EVERYTHING),
    ],
)
def test_a_destination_record_selects_its_function(arn: str, selector: Any) -> None:
    """Its task has ended, so neither the task nor its qualifier is selected."""
    for event in (a_record(arn), a_cloud_event(a_record(arn))):
        assert requested(read(event)) == [("alert", selector)]


def test_the_payload_in_a_destination_record_is_never_obeyed() -> None:
    """It is the payload of another function."""
    record = a_record("acs:fc:::functions/resize", '{"functionName": "other", "dryRun": true}')
    trigger = read(record)
    assert (requested(trigger), trigger.dry_run) == ([("alert", RESIZE)], False)


@pytest.mark.parametrize("kind", ["fc:ActionTrail:ApiCall", "ecs:ActionTrail:ConsoleOperation"])
def test_audit_records_are_ignored(kind: str) -> None:
    """Our own stops are among them, so acting on one would be a loop. Bare, on the bus, and in a list."""
    record = {"eventName": "StopAsyncTask", "eventType": "ApiCall", "serviceName": "Fc", "acsRegion": "x"}
    for event in (record, a_cloud_event(record), a_cloud_event({"a": 1}, type=kind), [json.dumps(record)]):
        trigger = read(event)
        assert (trigger.requests, noted(trigger), trigger.refused) == ((), ["trigger_ignored"], False)


@pytest.mark.parametrize("key", ["invocationId", "invocation_id"])
def test_an_alert_that_names_a_task_is_refused(key: str) -> None:
    """As an alert it would select more than was meant, and it cannot be a command."""
    for event in (a_callback(**{key: "job-17"}), an_sls_alert(**{key: "job-17"})):
        assert read(event).refused


def test_an_alert_may_request_a_dry_run() -> None:
    """That can do no harm."""
    assert read(a_callback(dryRun=True)).dry_run
    assert read(a_callback(dry_run="yes")).dry_run
    assert not read(a_callback(dryRun=False)).dry_run


def test_a_rule_may_name_the_function_in_parameters_of_its_own() -> None:
    """CloudMonitor can add fields to the event of a function; the state still decides."""
    assert requested(read(a_message(None, functionName="resize"))) == [("alert", RESIZE)]
    assert read(a_message(None, level="OK", functionName="resize")).requests == ()
