"""The platform's timer, with or without a command in its payload."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.events.builders import EVERYTHING, a_selector, a_timer, noted, read, requested

RESIZE = {"functionName": "resize"}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"triggerTime": "2026-11-20T02:15:00Z", "triggerName": "nightly"}, id="absent"),
        pytest.param(a_timer(None), id="null"),
        pytest.param(a_timer(""), id="empty"),
        pytest.param(a_timer(" \n\t"), id="blank"),
        pytest.param(a_timer("awesome-fc"), id="plain words"),
        pytest.param(a_timer('"quoted words"'), id="words in quotes"),
        pytest.param(a_timer("sweep of the shared cluster"), id="words that only begin like a share"),
        pytest.param(a_timer('"quoted, but not to the end'), id="a lone quotation mark"),
        pytest.param(a_timer("17"), id="a number as text"),
        pytest.param(a_timer("null"), id="null as text"),
        pytest.param(a_timer("{}"), id="an empty object"),
        pytest.param(a_timer("[]"), id="an empty list"),
        pytest.param(a_timer('{"workflowInstanceId":"39639"}'), id="a foreign object"),
        pytest.param(a_timer({"workflowInstanceId": "39639"}), id="a foreign object, not as text"),
    ],
)
def test_a_timer_without_a_command_selects_everything(event: dict[str, Any]) -> None:
    """Whatever else its payload is."""
    trigger = read(event)
    assert requested(trigger) == [("timer", EVERYTHING)]
    assert trigger.requests[0].name == "nightly"
    assert (trigger.notes, trigger.dry_run, trigger.refused) == ((), False, False)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(json.dumps(RESIZE), id="as text"),
        pytest.param(f"\n {json.dumps(RESIZE)} ", id="as text with blanks around"),
        pytest.param(json.dumps(json.dumps(RESIZE)), id="encoded twice"),
        pytest.param(RESIZE, id="as an object"),
        pytest.param(json.dumps([RESIZE]), id="in a list"),
        pytest.param(json.dumps([json.dumps(RESIZE)]), id="as text in a list"),
        pytest.param(json.dumps({**RESIZE, "workflowInstanceId": "39639"}), id="beside a foreign key"),
    ],
)
def test_a_command_in_the_payload_narrows_the_run(payload: Any) -> None:
    """The request stays the timer's, with its name."""
    trigger = read(a_timer(payload))
    assert requested(trigger) == [("timer", a_selector("resize"))]
    assert trigger.requests[0].name == "nightly"


def test_a_task_named_in_the_payload_makes_it_a_request_of_kind_task() -> None:
    """Without the name of the timer."""
    trigger = read(a_timer('{"functionName": "resize", "invocationId": "job-17"}'))
    assert requested(trigger) == [("task", a_selector("resize", invocation_id="job-17"))]
    assert trigger.requests[0].name is None


def test_each_command_of_a_list_keeps_its_own_selector() -> None:
    """A bad one is refused alone; the note says which."""
    trigger = read(a_timer(json.dumps([RESIZE, {"functonName": "x"}, {"qualifier": "prod"}, 5])))
    assert requested(trigger) == [("timer", a_selector("resize")), ("timer", a_selector(qualifier="prod"))]
    assert [(note.event, note.part) for note in trigger.notes] == [
        ("trigger_refused", "[1]"),
        ("trigger_refused", "[3]"),
    ]


def test_a_refused_command_of_a_list_still_requests_its_dry_run() -> None:
    """The others run, and stop nothing."""
    trigger = read(a_timer(json.dumps([RESIZE, {"dryRun": "yes"}])))
    assert (requested(trigger), trigger.dry_run) == ([("timer", a_selector("resize"))], True)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param('{"functionName": "resize"', id="an object without an end"),
        pytest.param("[nightly] sweep", id="words that begin like a list"),
        pytest.param('{"functionName": "resize"} and so on', id="an object and words"),
        pytest.param('{"functionName": NaN}', id="not a number"),
        pytest.param('{"functonName": "resize"}', id="a misspelt key"),
        pytest.param('{"functionName": ["resize"]}', id="a wrong type"),
        pytest.param('{"shard": "9/8"}', id="a share that there is not"),
        pytest.param('{"shard": null}', id="a share that was not filled in"),
        pytest.param('{"shrad": "2/8"}', id="a misspelt share"),
        pytest.param('{"shards": "2/8"}', id="the plural of a share"),
        pytest.param('{"functionName": "resize", "share": "2/8"}', id="another word for a share"),
        pytest.param('{"data": {"shard": "2/8"}}', id="a share within another object"),
        pytest.param("shard: 2/8", id="a share in words"),
        pytest.param('{"functionName": "a", "functionName": "b"}', id="a key twice"),
        pytest.param(17, id="a number"),
        pytest.param(True, id="true"),
        pytest.param('"[1, 2"', id="a broken list within quotes"),
        pytest.param('["resize"]', id="a list of words"),
        pytest.param('[[{"functionName": "resize"}]]', id="a list in a list"),
    ],
)
def test_a_payload_that_was_meant_as_a_command_and_is_none_refuses_the_timer(payload: Any) -> None:
    """Selecting everything instead would be wider than was written."""
    trigger = read(a_timer(payload))
    assert (trigger.requests, trigger.refused) == ((), True)
    assert set(noted(trigger)) == {"trigger_refused"}


def test_the_name_of_a_function_is_no_share() -> None:
    """Whatever words it has."""
    assert requested(read(a_timer('{"functionName": "share"}'))) == [("timer", a_selector("share"))]


@pytest.mark.parametrize("key", ["functionName", "invocationId", "dryRun", "function_name"])
def test_a_command_beside_the_payload_is_refused(key: str) -> None:
    """It would be overlooked there, and the run would be wider than was meant."""
    trigger = read(a_timer("", **{key: "resize"}))
    assert trigger.refused
    assert "inside the timer's payload" in trigger.notes[0].why


@pytest.mark.parametrize("name", [None, "", 5, "with blank", "x" * 129, "\ud800", "{a}"])
def test_a_name_that_no_trigger_has_is_no_name(name: Any) -> None:
    """Policies for `timer:NAME` do not fit it; those for any timer do."""
    trigger = read(a_timer("", triggerName=name))
    assert requested(trigger) == [("timer", EVERYTHING)]
    assert trigger.requests[0].name is None


@pytest.mark.parametrize("mark", ["triggerTime", "triggerName"])
def test_one_mark_alone_is_a_timer_when_nothing_foreign_stands_beside_it(mark: str) -> None:
    """Every field of the event is optional in the vendor's own types."""
    assert requested(read({mark: "x", "payload": "y"})) == [("timer", EVERYTHING)]
    assert requested(read({mark: "x", "weather": "y"})) == [("alert", EVERYTHING)]


def test_a_payload_written_twice_is_refused() -> None:
    """Two readers of the same bytes could disagree about which one counts."""
    raw = (
        b'{"triggerTime": "t", "triggerName": "n", "payload": "{\\"functionName\\": \\"a\\"}", "payload": ""}'
    )
    assert read(raw).refused


@pytest.mark.parametrize("payload", ["functionName=resize&dryRun=true", "please dry-run today", "dry_run"])
def test_words_that_mention_a_dry_run_request_one(payload: str) -> None:
    """They are no command, but their author wants nothing stopped."""
    trigger = read(a_timer(payload))
    assert (trigger.kind, trigger.dry_run) == ("timer", True)
