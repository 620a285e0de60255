"""Commands: exactly our own keys, read strictly; everything else about them is ignored or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.events.builders import EVERYTHING, a_cloud_event, a_narrowing, asked, noted, read

FULL = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}


@pytest.mark.parametrize("raw", [b"", b" \r\n\t", b"{}", b"\xef\xbb\xbf", b"\xef\xbb\xbf { } "])
def test_saying_nothing_commands_everything(raw: bytes) -> None:
    """No bytes, blanks, a byte order mark and the empty object are the same."""
    trigger = read(raw)
    assert asked(trigger) == [("command", EVERYTHING)]
    assert (trigger.kind, trigger.notes, trigger.dry_run) == ("command", (), False)


@pytest.mark.parametrize(
    ("command", "narrowing"),
    [
        pytest.param(FULL, a_narrowing("transcode", service="media", qualifier="prod"), id="all"),
        pytest.param({"functionName": "resize"}, a_narrowing("resize"), id="function"),
        pytest.param({"serviceName": "media"}, a_narrowing(service="media"), id="service"),
        pytest.param({"qualifier": "3"}, a_narrowing(qualifier="3"), id="qualifier"),
        pytest.param({"serviceName": ""}, EVERYTHING, id="empty service is none"),
        pytest.param({"serviceName": None, "functionName": "f"}, a_narrowing("f"), id="null service is none"),
        pytest.param({"qualifier": "", "functionName": "f"}, a_narrowing("f"), id="empty qualifier is none"),
        pytest.param({"qualifier": None}, EVERYTHING, id="null qualifier is none"),
        pytest.param({"functionName": "media$f"}, a_narrowing("media$f"), id="3.0 name of a 2.0 function"),
        pytest.param(
            {"serviceName": "media", "functionName": "media$f"},
            a_narrowing("f", service="media"),
            id="service said twice, alike",
        ),
        pytest.param({"functionName": "f" * 128}, a_narrowing("f" * 128), id="the longest name"),
        pytest.param({"functionName": "f", "reason": "night"}, a_narrowing("f"), id="foreign key"),
        pytest.param({"functionName": "f", "dryRun": False}, a_narrowing("f"), id="dryRun false"),
    ],
)
def test_a_command_narrows_by_what_it_names(command: dict[str, Any], narrowing: Any) -> None:
    """The same bare, as the text of an object, in CloudEvent data, and as text in it."""
    for event in (
        command,
        json.dumps(command),
        a_cloud_event(command),
        a_cloud_event(json.dumps(command)),
        [json.dumps(a_cloud_event(command))],
    ):
        trigger = read(event)
        assert asked(trigger) == [("command", narrowing)]
        assert (trigger.notes, trigger.dry_run) == ((), False)


def test_an_invocation_id_makes_the_ask_one_of_kind_task() -> None:
    """Generated ids may begin with a digit."""
    command = {**FULL, "invocationId": "1-673d4a12-12a3f4b5"}
    narrowing = a_narrowing(
        "transcode", service="media", qualifier="prod", invocation_id="1-673d4a12-12a3f4b5"
    )
    assert asked(read(command)) == [("task", narrowing)]


@pytest.mark.parametrize("event", [{"dryRun": True}, a_cloud_event({"dryRun": True, "functionName": "f"})])
def test_dry_run_true_makes_the_run_a_dry_run(event: Any) -> None:
    """And is a command by itself."""
    trigger = read(event)
    assert (trigger.kind, trigger.dry_run) == ("command", True)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"functionName": ""}, "functionName is empty"),
    ({"functionName": None}, "functionName is empty"),
    ({"invocationId": ""}, "invocationId is empty"),
    ({"invocationId": None, "functionName": "f"}, "invocationId is empty"),
    ({"functionName": 7}, "functionName is a number; write it as text"),
    ({"functionName": False}, "functionName is true or false"),
    ({"functionName": ["f"]}, "functionName is a list"),
    ({"serviceName": {}}, "serviceName is an object"),
    ({"qualifier": 3}, "qualifier is a number; write it as text"),
    ({"invocationId": 17}, "invocationId is a number; write it as text"),
    ({"functionName": "*"}, "functionName can be no name"),
    ({"functionName": "re?ize"}, "functionName can be no name"),
    ({"functionName": "media/transcode"}, "without service/"),
    ({"functionName": "transcode@prod"}, "and @qualifier"),
    ({"functionName": "../etc"}, "functionName can be no name"),
    ({"functionName": "1st"}, "functionName can be no name"),
    ({"functionName": "f\n"}, "functionName can be no name"),
    ({"functionName": " f"}, "functionName can be no name"),
    ({"functionName": "a$b$c"}, "functionName can be no name"),
    ({"functionName": "$b"}, "functionName can be no name"),
    ({"functionName": "f" * 129}, "functionName can be no name"),
    ({"functionName": "fünf"}, "functionName can be no name"),
    ({"serviceName": "media$x"}, "serviceName can be no name"),
    ({"serviceName": " "}, "serviceName can be no name"),
    ({"serviceName": "media.prod"}, "serviceName can be no name"),
    ({"qualifier": "*"}, "qualifier can be no name"),
    ({"invocationId": "job-*"}, "invocationId can be no name"),
    ({"invocationId": "a/b"}, "invocationId can be no name"),
    ({"invocationId": "${data.id}"}, "invocationId can be no name"),
    ({"dryRun": "true"}, "dryRun is text; write true or false without quotes"),
    ({"dryRun": 1}, "dryRun is a number"),
    ({"dryRun": None}, "dryRun is null"),
    ({"serviceName": "media", "functionName": "shop$f"}, "differ; write one of them"),
]


@pytest.mark.parametrize(("command", "why"), BAD, ids=[json.dumps(command)[:40] for command, _ in BAD])
def test_a_command_that_is_wrong_in_one_key_is_refused_whole(command: dict[str, Any], why: str) -> None:
    """What it says rightly is not obeyed either: half a command is wider than the whole."""
    for event in ({"functionName": "right", **command}, a_cloud_event({"qualifier": "prod", **command})):
        trigger = read(event)
        assert (trigger.requests, trigger.refused, noted(trigger)) == ((), True, ["trigger_refused"])
        assert why in trigger.notes[0].why


NEAR = [
    ("functonName", "functionName"),
    ("functionname", "functionName"),
    ("FunctionName", "functionName"),
    ("function_name", "functionName"),
    ("function-name", "functionName"),
    ("function name", "functionName"),
    ("function.name", "functionName"),
    ("functoinName", "functionName"),
    ("functionNames", "functionName"),
    ("funcionNme", "functionName"),
    ("fun\u0441tionName", "functionName"),
    ("service_name", "serviceName"),
    ("servicName", "serviceName"),
    ("serviceNmae", "serviceName"),
    ("Qualifier", "qualifier"),
    ("qualifer", "qualifier"),
    ("qualifiers", "qualifier"),
    ("invocation_id", "invocationId"),
    ("invocationID", "invocationId"),
    ("InvokationId", "invocationId"),
    ("dry_run", "dryRun"),
    ("dry-run", "dryRun"),
    ("DRYRUN", "dryRun"),
    ("dryrn", "dryRun"),
    ("dyrRun", "dryRun"),
    ("dryRun ", "dryRun"),
]


@pytest.mark.parametrize(("key", "meant"), NEAR)
def test_a_near_miss_of_a_key_refuses_the_command(key: str, meant: str) -> None:
    """Ignored, it would make the run wider, or real, against what was written."""
    for event in ({key: "x"}, {"functionName": "f", key: "x"}, a_cloud_event({key: "x"})):
        trigger = read(event)
        assert (trigger.requests, trigger.refused) == ((), True)
        assert trigger.notes[0].why == f"{key!a} is not a command key; did you mean {meant}?"


@pytest.mark.parametrize(
    "key",
    ["function", "service", "functionArn", "functionId", "serviceId", "requestId", "instanceName", "ruleName",
     "dry", "run", "quality", "alias", "id", "taskId", "time", "", "名", "x" * 100_000],
)  # fmt: skip
def test_a_key_that_resembles_none_of_ours_is_ignored(key: str) -> None:
    """Other people's keys are their own business."""
    assert asked(read({"functionName": "f", key: "x"})) == [("command", a_narrowing("f"))]
    assert noted(read({key: "x"})) == ["trigger_unrecognised"]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"functionName": "a", "functionName": "b"}',
        b'{"functionName": "a", "functionName": "a"}',
        b'{"functionName": "a", "function\\u004eame": "b"}',
        b'{"dryRun": true, "dryRun": false}',
        b'{"specversion": "1.0", "id": "1", "source": "s", "data": {"functionName": "a"}, "data": {}}',
    ],
)
def test_a_key_that_counts_and_is_written_twice_is_refused(raw: bytes) -> None:
    """Two readers of the same bytes could disagree about which one counts."""
    trigger = read(raw)
    assert (trigger.requests, trigger.refused) == ((), True)
    assert "written twice" in trigger.notes[0].why


def test_a_foreign_key_written_twice_is_as_foreign_as_once() -> None:
    """It counts for nothing, however often."""
    assert asked(read(b'{"functionName": "a", "x": 1, "x": 2}')) == [("command", a_narrowing("a"))]


DRY_RUNS = [
    {"dry_run": True},
    {"dry_run": False},
    {"dryRun": "false"},
    {"dryRun": 1},
    {"dryRun": None},
    {"dryRun": True, "functonName": "f"},
    {"functonName": "f", "DryRun": 1},
    '{"dryRun": true, "functionName": "f"',
    '{"dry_run": true}',
    [{"dryRun": True}],
    ['{"dryRun": true}'],
    {"command": {"functionName": "f", "dryRun": True}},
    a_cloud_event({"functionName": "f"}, dryRun=True),
    a_cloud_event({"options": [{"dryRun": True}]}),
    a_cloud_event('{"dryRun": true'),
    {"triggerTime": "t", "triggerName": "n", "payload": '{"dryRun": tru}'},
    {"triggerTime": "t", "triggerName": "n", "payload": '{"dryRun": "yes"}'},
]


@pytest.mark.parametrize("wish", DRY_RUNS, ids=[json.dumps(wish)[:60] for wish in DRY_RUNS])
def test_a_badly_written_wish_for_a_dry_run_still_makes_the_whole_run_a_dry_run(wish: Any) -> None:
    """Whoever wrote it believes that nothing will be stopped; the other elements go on, dry_run_env."""
    trigger = read([{"functionName": "resize"}, wish])
    assert trigger.dry_run
    assert ("command", a_narrowing("resize")) in asked(trigger)


def test_a_key_written_twice_is_a_dry_run_whichever_value_comes_last() -> None:
    """One of the two asked for it."""
    raw = b'[{"functionName": "resize"}, {"dryRun": true, "dryRun": false}]'
    assert read(raw).dry_run


@pytest.mark.parametrize(
    "element",
    [{"dryRun": False}, {"functonName": "f", "dryRun": False}, {"weather": "dry, run!"}, "a dry run", "{", 5],
)
def test_nothing_else_asks_for_a_dry_run(element: Any) -> None:
    """`dryRun: false` approves nothing and un-approves nothing."""
    assert not read([{"functionName": "resize"}, element]).dry_run


@pytest.mark.parametrize(
    "event",
    [
        a_cloud_event({}, functionName="f"),
        a_cloud_event({}, invocationId="job-1"),
        a_cloud_event(None, service_name="media"),
        {"TopicName": "t", "MessageId": "m", "Message": "{}", "functionName": "f"},
        {"httpMethod": "POST", "headers": {}, "body": "{}", "functionName": "f"},
    ],
)
def test_a_command_key_beside_the_content_of_an_envelope_is_refused(event: Any) -> None:
    """It would be overlooked there, and the run would be wider than it was meant."""
    trigger = read(event)
    assert trigger.refused
    assert "belongs inside" in trigger.notes[0].why


def test_messages_fit_a_line_and_never_repeat_a_value() -> None:
    """A value may be a secret that slipped into the wrong field."""
    for command, _ in BAD:
        secret = {key: "s3cr3t/" + str(value) if isinstance(value, str) and value else value
                  for key, value in command.items()}  # fmt: skip
        for note in read(secret).notes:
            assert "s3cr3t" not in note.why
            assert note.why.isascii()
            assert note.why.isprintable()
            assert len(note.why) <= 200
