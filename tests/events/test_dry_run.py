"""A wish for a dry run is heard in every envelope; what an alert only quotes is none."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.events.builders import a_cloud_event, a_selector, a_timer, read, requested

COMMAND = {"functionName": "resize", "dryRun": True}
TEXT = json.dumps(COMMAND)
XML = f"<Notification><TopicName>t</TopicName><Message>{TEXT}</Message></Notification>"
YAML = "functionName: resize\ndryRun: true\n"
FORM = "payload=%7B%22functionName%22%3A%22resize%22%2C%22dryRun%22%3Atrue%7D"
BOUNDARY = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n--b--\r\n'


def in_base64(text: str, encoding: str = "utf-8") -> str:
    return base64.b64encode(text.encode(encoding)).decode()


def in_lines(text: str) -> str:
    """Base64 as mail and multipart bodies have it."""
    return base64.encodebytes(text.encode()).decode().replace("\n", "\r\n")


def a_request(body: Any, query: Any = None, **more: Any) -> dict[str, Any]:
    context = {"http": {"method": "POST", "path": "/"}, "requestId": "1"}
    return {"headers": {}, "body": body, "queryParameters": query or {}, "requestContext": context, **more}


BODIES: dict[str, str] = {
    "XML": XML,
    "an XML element": "<command><dryRun>true</dryRun></command>",
    "an XML attribute": '<param name="dry-run" value="1"/>',
    "base64 in XML": f"<Message>{in_base64(TEXT)}</Message>",
    "YAML": YAML,
    "a form of others": FORM,
    "a form with base64": f"a=b&payload={in_base64(TEXT).replace('=', '%3D')}",
    "a form with words": "text=please+dry+run+only",
    "multipart": BOUNDARY.format("dryRun", "true"),
    "multipart with JSON": BOUNDARY.format("payload", TEXT),
    "more blanks than a regular expression should count": f"dry{' ' * 100_000}run, dry run",
    "multipart in base64": BOUNDARY.format("payload", in_lines(f"{'x' * 50}{TEXT}")),
    "words": "please dry run only",
    "one word": "DRY-RUN",
    "a hyphen that does not break": "dry\u2011run",
    "a dash": "please: dry \u2013 run",
    "UTF-16 without a mark": "\0d\0r\0y\0R\0u\0n\0=\0t\0r\0u\0e",
    "broken JSON": '{"functionName": "resize", "dryRun": tru',
    "two JSON values": f'{{"a": 1}}\n{TEXT}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("encoded", [str, in_base64], ids=["plain", "base64"])
def test_a_body_that_no_decoder_opens_is_searched_for_the_words(body: str, encoded: Any) -> None:
    """In HTTP requests, messages, CloudEvents, timers, lists, and in envelopes that nobody knows."""
    text = encoded(body)
    for event, path in (
        (a_request(text), "body"),
        (a_request(text, isBase64Encoded=encoded is in_base64), "body"),
        ({"TopicName": "t", "MessageId": "m", "Message": text}, "Message"),
        (a_cloud_event(text), "data"),
        (a_cloud_event({"messageId": "m", "messageBody": text}), "data.messageBody"),
        (a_timer(text), "payload"),
        ([{"functionName": "resize"}, text], "[1]"),
        ({"Records": [{"messageId": "1", "body": text}]}, "Records[0].body"),
        ({"event": {"payload": text}}, "event.payload"),
    ):
        assert read(event).dry_run_asked_at == path, event


OPENED: list[tuple[Any, str]] = [
    (COMMAND, "dryRun"),
    (a_cloud_event(COMMAND), "data.dryRun"),
    (json.dumps(a_cloud_event(COMMAND)), "data.dryRun"),
    (in_base64(TEXT).encode(), "dryRun"),
    ([{}, TEXT], "[1].dryRun"),
    (a_timer(TEXT), "payload.dryRun"),
    (a_timer("", more=[{"dryRun": 1}]), "more[0].dryRun"),
    (a_timer(json.dumps([{}, json.dumps(COMMAND)])), "payload[1].dryRun"),
    ({"Records": [{"messageId": "1", "body": TEXT}]}, "Records[0].body.dryRun"),
    ({"Records": [{"kinesis": {"data": in_base64(TEXT)}}]}, "Records[0].kinesis.data.dryRun"),
    ({"Records": [{"Sns": {"Message": json.dumps(TEXT)}}]}, "Records[0].Sns.Message.dryRun"),
    ({"detail": {"input": {"options": [{"dry_run": "yes"}]}}}, "detail.input.options[0].dry_run"),
    ({"functionName": "resize", "options": {"dryRun": True}}, "options.dryRun"),
    ({"body": "{}", "attrs": {"Extend": '{"dryRun": "true"}'}}, "attrs.Extend.dryRun"),
    (a_request("{}", {"dryRun": "true"}), "queryParameters.dryRun"),
    (a_request("{}", {"dry_run": "1"}), "queryParameters.dry_run"),
    (a_request("{}", {"dryRun": "1"}), "queryParameters.dryRun"),
    (a_request("functionName=resize&dryRun=yes"), "body.dryRun"),
    (a_request("{}", headers={"Dry-Run": "true"}), "headers.Dry-Run"),
    (a_request("functionName=resize&dryRun=true"), "body.dryRun"),
    ({"receiver": "r", "status": "", "alerts": [{"labels": {"dryRun": 1}}]}, "alerts[0].labels.dryRun"),
    ({"alertState": "ALERT", "metricName": "m", "dimensions": "{function=f, dry_run=yes}"}, "[0].dry_run"),
    ({"ruleId": "r", "curLevel": "WARN", "resources": json.dumps([COMMAND]), "metricData": {}}, "[0].dryRun"),
    (a_cloud_event(None, data_base64=in_base64(TEXT)), "data_base64.dryRun"),
    ({"command": "resize --now", "args": "dryRun=true"}, "args"),
    ({"argv": ["sweep", "--dry-run"]}, "argv[1]"),
    (json.dumps("please dry run"), "event"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "path"), OPENED, ids=[path for _, path in OPENED])
def test_the_path_says_where_the_wish_is(event: Any, path: str) -> None:
    """Keys and indices from the outside in, as they are written."""
    assert read(event).dry_run_asked_at == path


@pytest.mark.parametrize("key", ["dryRun", "dry_run", "dry-run", "dryrun", "DRYRUN", "Dry Run", "DryRun"])
@pytest.mark.parametrize(
    ("value", "wish"),
    [(True, True), (1, True), ("true", True), ("yes", True), ("", True), ({}, True), ([False], True),
     (False, False), (0, False), (None, False), ("false", False), ("False", False), ("0", False),
     ("no", False), ("OFF", False), (" null ", False)],
)  # fmt: skip
def test_a_key_is_a_wish_unless_its_value_says_no(key: str, value: Any, wish: bool) -> None:
    """At any depth, in any spelling."""
    for event in (
        {key: value},
        {"a": [{"b": {key: value}}]},
        {"Records": [{"body": json.dumps({key: value})}]},
    ):
        assert read([{"functionName": "resize"}, event]).dry_run is wish


OWN_LINE = json.dumps({"event": "stuck", "mode": "dry-run", "dry_run_asked_at": "dryRun"})
QUOTES = {
    "query": "event: stuck and not mode: dry-run",
    "runbook": "see the dry run section",
    "line": OWN_LINE,
}
LABELS = {"functionName": "resize"}
ALERT = {"status": "firing", "labels": LABELS, "annotations": QUOTES}
NOTIFICATION = {"receiver": "r", "status": "firing", "alerts": [ALERT]}
ROWS = [{**LABELS, "content": OWN_LINE, "message": QUOTES["query"], "body": "dry-run"}]
SLS = {"alert_id": "a", "status": "firing", "fire_results": ROWS, "results": [{"query": QUOTES["query"]}]}
CALLBACK = {"alertState": "ALERT", "metricName": "m", "dimensions": "{functionName=resize}"}


@pytest.mark.parametrize(
    "event",
    [
        NOTIFICATION,
        SLS,
        [json.dumps(SLS)],
        a_cloud_event(SLS, source="acs:sls", subject="dry-run"),
        {**CALLBACK, "expression": QUOTES["query"]},
        a_request(f"alertState=ALERT&metricName=m&dimensions=functionName%3Dresize&message={OWN_LINE}"),
        a_request(in_base64(json.dumps(NOTIFICATION)), isBase64Encoded=True),
        {"TopicName": "dry-run", "MessageId": "m", "Message": json.dumps(NOTIFICATION)},
    ],
    ids=["Alertmanager", "SLS", "SLS batch", "SLS on the bus", "CloudMonitor", "form", "HTTP", "topic"],
)
def test_an_alert_that_quotes_our_own_log_wishes_nothing(event: Any) -> None:
    """It is about us, and says what we logged."""
    trigger = read(event)
    assert (requested(trigger), trigger.dry_run_asked_at) == ([("alert", a_selector("resize"))], None)


@pytest.mark.parametrize(
    "event",
    [
        {"weather": "dry, running water"},
        {"weather": "we plan a dry run"},
        {"functionName": "resize", "reason": "after the dry run"},
        {"objectName": "dry-run.mp4"},
        {"line": OWN_LINE, "data": json.loads(OWN_LINE)},
        a_timer(OWN_LINE),
        a_timer("", triggerName="dry-run"),
        a_request("{}", headers={"User-Agent": "dry-run"}),
        "laundry runs",
    ],
)
def test_other_values_wish_nothing(event: Any) -> None:
    """Only keys, and text that stands where a command could."""
    assert not read(event).dry_run


def test_a_path_is_one_short_printable_line() -> None:
    """Keys come from outside."""
    event: Any = {"dryRun": True}
    for key in ("\n" * 50, "ключ", "x" * 10_000, "\u202e"):
        event = {key: event}
    path = read(event).dry_run_asked_at or ""
    assert path.isascii()
    assert path.isprintable()
    assert len(path) <= 200


def test_a_wish_is_found_as_deep_as_an_event_can_be() -> None:
    """Sixty levels in each of eight texts."""
    text = json.dumps({"dryRun": True})
    for _ in range(8):
        text = '{"a":' * 60 + json.dumps(in_base64(text)) + "}" * 60
    assert read([text]).dry_run


def wrapped(value: Any, how: str) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    return {
        "text": text,
        "base64": in_base64(text),
        "object": {"detail": {"message": value}},
        "list": [1, {"data": value}],
        "cloudevent": a_cloud_event(value),
        "message": {"TopicName": "t", "MessageId": "m", "Message": text},
        "http": a_request(text),
        "unknown": {"Records": [{"body": text}]},
        "timer": a_timer(text),
    }[how]


@given(
    st.sampled_from([COMMAND, {"x": {"dry-run": "yes"}}, "dry run please", XML, YAML]),
    st.lists(
        st.sampled_from(
            ["text", "base64", "object", "list", "cloudevent", "message", "http", "unknown", "timer"]
        ),
        max_size=5,
    ),
)
def test_no_envelope_within_an_envelope_loses_a_wish(wish: Any, layers: list[str]) -> None:
    """Up to five deep."""
    event = wish
    for how in layers:
        event = wrapped(event, how)
    assert read([{"functionName": "resize"}, {"e": event} if isinstance(event, list) else event]).dry_run


@pytest.mark.parametrize(
    ("text", "wish"),
    [(text, True) for text in ("true", "TRUE", "1", "yes", "on", "", " true ", "please")]
    + [(text, False) for text in ("false", "False", "0", "no", "off", "null", " FALSE ")],
)
def test_a_form_and_a_query_say_in_text_whether_they_wish(text: str, wish: bool) -> None:
    """Neither knows true and false, so `?dryRun=1` is no mistake."""
    for event in (a_request("", {"dryRun": text}), a_request(f"functionName=resize&dryRun={text}")):
        trigger = read(event)
        assert (trigger.dry_run, trigger.refused) == (wish, False)
        assert trigger.requests
