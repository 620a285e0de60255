"""Whole events: lists, unrecognised values, and what cannot be read at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fc_reaper.events import Note, Request, Trigger, parse_event
from tests.events.builders import EVERYTHING, a_cloud_event, a_selector, a_timer, noted, read, requested

MEBIBYTE = 1_048_576


def test_empty_data_of_a_cloud_event_selects_everything() -> None:
    """An empty object is a command in every place."""
    assert requested(read(a_cloud_event({}))) == [("command", EVERYTHING)]


UNRECOGNISED: list[Any] = [
    {"weather": "fine"},
    {"nested": {"functionName": "f"}},
    [],
    "words",
    "",
    17,
    1.5,
    True,
    None,
    a_cloud_event(None),
    a_cloud_event("words"),
    a_cloud_event(""),
    a_cloud_event(5),
    a_cloud_event([]),
    a_cloud_event({"objectName": "x.jpg"}),
    {"specversion": "1.0", "type": "x"},
    {"id": "i", "source": "s", "type": "t"},
    {"parameter": {}, "source": {"projectName": "p"}, "jobName": "j", "taskId": "t", "cursorTime": 1},
]


@pytest.mark.parametrize("event", UNRECOGNISED, ids=[json.dumps(event)[:50] for event in UNRECOGNISED])
def test_anything_else_that_is_well_formed_is_unrecognised(event: Any) -> None:
    """All targets that accept alerts are selected, and the log says so."""
    trigger = read(event)
    assert requested(trigger) == [("alert", EVERYTHING)]
    assert (noted(trigger), trigger.kind, trigger.refused) == (["trigger_unrecognised"], "alert", False)


UNREADABLE = {
    "words": b"not json",
    "half an object": b'{"functionName": "resize"',
    "two documents": b"{} {}",
    "a comment": b"{} // everything",
    "single quotes": b"{'functionName': 'f'}",
    "not UTF-8": b'{"functionName": "\xff"}',
    "UTF-16": '{"functionName": "f"}'.encode("utf-16"),
    "a NUL": b"\x00",
    "a raw line break in a text": b'{"functionName": "a\nb"}',
    "NaN": b'{"x": NaN}',
    "Infinity": b"[-Infinity]",
    "an endless number": b'{"x": ' + b"9" * 5000 + b"}",
    "nested 65 deep": b"[" * 65 + b"]" * 65,
    "nested without end": b"[" * MEBIBYTE,
    "objects without end": b'{"a":' * 200_000,
    "more than a mebibyte": b" " * (MEBIBYTE + 1),
    "ten thousand and one elements": b"[" + b"{}," * 10_000 + b"{}]",
    "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbf{}",
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_refused_whole(raw: bytes) -> None:
    """No request, and one note says what is wrong."""
    trigger = read(raw)
    assert (trigger.requests, trigger.refused, noted(trigger)) == ((), True, ["trigger_refused"])
    assert trigger.notes[0].part == ""


def test_the_limits_themselves_are_inside() -> None:
    """A mebibyte, 64 levels and 10,000 elements are read."""
    assert requested(read(b" " * MEBIBYTE)) == [("command", EVERYTHING)]
    assert requested(read(b'{"functionName": "f"}'.ljust(MEBIBYTE))) == [("command", a_selector("f"))]
    deep = b'{"functionName": "f", "x": ' + b"[" * 63 + b"]" * 63 + b"}"
    assert requested(read(deep)) == [("command", a_selector("f"))]
    assert requested(read(b"[" + b"{}," * 9_999 + b"{}]")) == [("command", EVERYTHING)]


def test_brackets_in_text_are_not_depth() -> None:
    """Only what the parser would nest counts."""
    assert requested(read({"functionName": "f", "note": '[{"' * 500})) == [("command", a_selector("f"))]


def test_each_element_of_a_list_is_read_for_itself() -> None:
    """Its own selector, part and refusal."""
    trigger = read(
        [
            a_cloud_event({"functionName": "resize"}, id="1"),
            json.dumps(a_cloud_event({"serviceName": "media"}, id="2")),
            '{"functionName": ',
            [{"functionName": "hidden"}],
            [],
            {"functionName": "x", "invocationId": "job-1"},
            {"functionName": 5},
        ]
    )
    assert trigger.requests == (
        Request("command", None, a_selector("resize"), "[0]"),
        Request("command", None, a_selector(service="media"), "[1]"),
        Request("task", None, a_selector("x", invocation_id="job-1"), "[5]"),
    )
    assert [(note.event, note.part) for note in trigger.notes] == [
        ("trigger_refused", "[2]"),
        ("trigger_refused", "[3]"),
        ("trigger_refused", "[4]"),
        ("trigger_refused", "[6]"),
    ]
    assert not trigger.refused


def test_a_list_of_nothing_but_bad_elements_is_refused() -> None:
    """No request is left."""
    assert read([{"functonName": "a"}, "{"]).refused


def test_dry_run_in_one_element_makes_the_whole_run_a_dry_run() -> None:
    """There is one run for all elements."""
    trigger = read([{"functionName": "a"}, {"functionName": "b", "dryRun": True}])
    assert trigger.dry_run
    assert len(trigger.requests) == 2


def test_identical_requests_are_one() -> None:
    """The first part is named."""
    assert read([{"functionName": "a"}] * 3).requests == (Request("command", None, a_selector("a"), "[0]"),)


def test_a_repeated_event_may_still_request_a_dry_run() -> None:
    """The wish is never lost."""
    twice = [a_cloud_event({"functionName": "a"}), a_cloud_event({"functionName": "a", "dryRun": True})]
    assert read(twice).dry_run


@pytest.mark.parametrize(
    "time", ["2020-11-19T21:04:42.179PRC", "2020-08-17T16:04:46.149Asia/Shanghai", 5, None]
)
def test_odd_timestamps_do_not_matter(time: Any) -> None:
    """They are not read."""
    assert requested(read(a_cloud_event({"functionName": "a"}, time=time))) == [("command", a_selector("a"))]


@pytest.mark.parametrize("wrap", [json.dumps, dict])
def test_an_event_may_be_text_or_an_object(wrap: Any) -> None:
    """As a console or a test gives it."""
    command = {"functionName": "resize", "dryRun": True}
    assert parse_event(wrap(command)) == read(command)


@pytest.mark.parametrize("event", [None, "", " ", {}])
def test_an_event_of_nothing_selects_everything(event: Any) -> None:
    """As no bytes do."""
    assert requested(parse_event(event)) == [("command", EVERYTHING)]


@pytest.mark.parametrize("event", [object(), {"wsgi.input": object()}, {1, 2}, "\ud800", float("nan")])
def test_an_event_that_json_cannot_hold_is_refused(event: Any) -> None:
    """Among them the one of an HTTP trigger of Function Compute 2.0."""
    assert parse_event(event).refused


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ([a_timer(), {"functionName": "a"}, {"x": 1}], "timer"),
        ([{"functionName": "a"}, {"x": 1}], "alert"),
        ([{"functionName": "a", "invocationId": "j"}, {"functionName": "a"}], "command"),
        ([{"functionName": "a", "invocationId": "j"}], "task"),
        (b"broken", "alert"),
    ],
)
def test_the_kind_of_a_run_is_that_of_its_broadest_request(event: Any, kind: str) -> None:
    """Timer before alert before command before task; alert if there is no request."""
    assert read(event).kind == kind


def test_an_event_is_refused_if_a_refusal_leaves_no_request() -> None:
    """An ignored alert leaves none either, and is no refusal."""
    assert not Trigger((), None, (Note("trigger_ignored", "all is well", ""),)).refused
    assert Trigger((), None, (Note("trigger_refused", "broken", ""),)).refused
    assert not read([{"functionName": "a"}, "{"]).refused
