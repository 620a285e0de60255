"""Envelopes are opened by their shape; a command inside is obeyed, a bad one refused."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import pytest

from tests.events.builders import EVERYTHING, a_cloud_event, a_selector, noted, read, requested

RESIZE = a_selector("resize")


def in_base64(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def a_request(body: Any, query: Any = None, **more: Any) -> dict[str, Any]:
    context = {"http": {"method": "POST", "path": "/"}, "requestId": "1"}
    return {
        "version": "v1",
        "headers": {},
        "body": body,
        "isBase64Encoded": False,
        "queryParameters": query or {},
        "requestContext": context,
        **more,
    }


COMMAND = {"functionName": "resize"}
TEXT = json.dumps(COMMAND)


@pytest.mark.parametrize(
    "event",
    [
        {"TopicName": "t", "MessageId": "m", "Message": TEXT},
        {"TopicName": "t", "MessageId": "m", "Message": in_base64(COMMAND), "colour": "an attribute"},
        {"body": TEXT, "attrs": {"Extend": "{}"}},
        a_cloud_event({"messageId": "m", "messageBody": TEXT}, type="mns:Queue:SendMessage"),
        {"requestId": "r", "messageBody": in_base64(COMMAND)},
        a_cloud_event({"topic": "t", "partition": 1, "offset": 2, "value": COMMAND}),
        a_cloud_event({"topic": "t", "partition": 1, "offset": 2, "value": in_base64(COMMAND)}),
        {"msgId": "m", "topic": "t", "systemProperties": {}, "userProperties": {}, "body": TEXT},
        {"props": {}, "body": COMMAND},
        a_cloud_event({"props": {}, "envelope": {}, "body": TEXT}),
        a_cloud_event({"headers": {}, "path": "/", "body": COMMAND, "httpMethod": "POST", "queryString": {}}),
        a_request(TEXT),
        a_request(in_base64(COMMAND), isBase64Encoded=True),
        a_request(in_base64(COMMAND), isBase64Encoded="true"),
        a_request("functionName=resize"),
        a_request("", {"functionName": "resize"}),
        {"httpMethod": "GET", "headers": {}, "body": None, "queryParameters": {"functionName": "resize"}},
        in_base64(COMMAND).encode(),
        b"functionName=resize",
        json.dumps(TEXT),
        json.dumps(json.dumps(TEXT)),
        a_cloud_event(None, data_base64=in_base64(COMMAND)) | {"data": in_base64(COMMAND)},
        [{"TopicName": "t", "MessageId": "m", "Message": json.dumps(a_cloud_event(TEXT))}],
    ],
    ids=lambda event: json.dumps(event)[:50] if not isinstance(event, bytes) else event.decode()[:50],
)
def test_a_command_is_found_in_every_envelope(event: Any) -> None:
    """They are recognised by shape, never by the name of a trigger."""
    trigger = read(event)
    assert requested(trigger) == [("command", RESIZE)]
    assert trigger.notes == ()


@pytest.mark.parametrize("message", ["words", "", "abcd", "c2VjcmV0IHdvcmRz", 5, None, "a=b"])
def test_a_message_of_plain_words_is_unrecognised(message: Any) -> None:
    """Its envelope is well formed, so all targets that accept alerts are selected."""
    for event in ({"TopicName": "t", "MessageId": "m", "Message": message}, {"body": message, "attrs": {}}):
        trigger = read(event)
        assert (requested(trigger), noted(trigger)) == ([("alert", EVERYTHING)], ["trigger_unrecognised"])


@pytest.mark.parametrize(
    "message", ['{"functionName": ', "[1", '{"functonName": "f"}', '{"functionName": ""}']
)
def test_a_bad_command_in_a_message_is_refused(message: str) -> None:
    """In an envelope as bare, plain or in base64."""
    for text in (message, base64.b64encode(message.encode()).decode()):
        for event in (
            {"TopicName": "t", "MessageId": "m", "Message": text},
            a_request(text),
            a_cloud_event(text),
        ):
            trigger = read(event)
            assert (trigger.requests, trigger.refused) == ((), True)


def test_a_request_without_body_and_query_selects_everything() -> None:
    """As no bytes at all do."""
    assert requested(read(a_request(""))) == [("command", EVERYTHING)]
    assert requested(read(a_request(None, {"token": "x"}))) == [("command", EVERYTHING)]


@pytest.mark.parametrize(("word", "wish"), [("true", True), ("false", False)])
def test_a_query_can_request_a_dry_run_of_the_command_in_the_body(word: str, wish: bool) -> None:
    """A query has no types, so the word is enough there."""
    trigger = read(a_request(TEXT, {"dryRun": word}))
    assert (requested(trigger), trigger.dry_run) == ([("command", RESIZE)], wish)


@pytest.mark.parametrize(
    "query",
    [
        {"functionName": "other"},
        {"functonName": "resize"},
        {"dry_run": "true"},
        {"dryRun": ["yes"]},
        {"invocationId": ""},
        {"functionName": ["a", "b"]},
    ],
)
def test_a_query_is_read_as_strictly_as_a_command(query: Any) -> None:
    """A query that selects is refused beside a body."""
    assert read(a_request(TEXT, query)).refused


def test_only_the_outermost_request_is_answered_in_http_shape() -> None:
    """The bus has answered a request that it delivers."""
    assert read(a_request(TEXT)).http
    assert read(a_request("{")).http
    assert not read(a_cloud_event(a_request(TEXT))).http
    assert not read(COMMAND).http


@pytest.mark.parametrize(
    "event",
    [
        b'{"TopicName": "t", "MessageId": "m", "Message": "{}", "Message": "words"}',
        b'{"headers": {}, "httpMethod": "GET", "body": "", "body": "{}"}',
        b"functionName=a&functionName=b",
    ],
)
def test_a_content_written_twice_is_refused(event: bytes) -> None:
    """Two readers of the same bytes could disagree about which one counts."""
    assert read(event).refused


def test_eight_layers_are_opened() -> None:
    """A ninth is refused."""

    def wrapped(times: int) -> Any:
        event: Any = COMMAND
        for number in range(times):
            event = a_cloud_event(event, id=str(number))
        return event

    assert requested(read(wrapped(8))) == [("command", RESIZE)]
    assert read(wrapped(9)).refused


def test_elements_are_counted_through_all_layers() -> None:
    """Lists in texts cannot hide more elements than one list may have."""
    texts = [json.dumps([{}] * 900)] * 12
    notes = read(texts).notes
    assert notes[-1].event == "trigger_refused"
    assert "10000 elements" in notes[-1].why


def test_a_reading_shows_layers_source_and_state() -> None:
    """For `invoke --explain`."""
    dimensions = {"alertState": "ALERT", "metricName": "m", "dimensions": "{functionName=resize}"}
    (reading,) = read(a_request(in_base64(dimensions), isBase64Encoded=True)).readings
    assert reading.layers == ("http request", "text")
    assert (reading.source, reading.state, reading.part) == ("CloudMonitor alert", "ALERT", "")


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b'{"dryRun": true}', mtime=0),
        zlib.compress(b"dry run"),
        "{}".encode("utf-16"),
        b"\xff",
        None,
    ],
    ids=["gzip", "zlib", "UTF-16 with a mark", "a byte", "nothing"],
)
def test_a_body_that_is_not_text_is_refused(body: bytes | None) -> None:
    """It may ask for a dry run in a way that nobody reads, as it may where it is the whole event."""
    text = "no base64" if body is None else base64.b64encode(body).decode()
    trigger = read(a_request(text, isBase64Encoded=True))
    assert trigger.refused
    assert "send UTF-8" in trigger.notes[0].why


def test_a_body_of_utf_16_is_refused_and_its_wish_is_heard() -> None:
    """The rest of the event may be followed, as a dry run."""
    text = base64.b64encode('{"dryRun": true}'.encode("utf-16")).decode()
    trigger = read([a_request(text, isBase64Encoded=True), {"functionName": "resize"}])
    assert (trigger.dry_run_asked_at, len(trigger.requests)) == ("[0].body", 1)
