"""Commands: our own keys, read strictly; other keys are ignored, near misses refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fc_reaper.events.command import COMMAND_KEYS
from tests.events.builders import EVERYTHING, a_cloud_event, a_selector, noted, read, requested

FULL = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}


@pytest.mark.parametrize("raw", [b"", b" \r\n\t", b"{}", b"\xef\xbb\xbf", b"\xef\xbb\xbf { } "])
def test_an_empty_event_selects_everything(raw: bytes) -> None:
    """No bytes, blanks, a byte order mark and the empty object are the same."""
    trigger = read(raw)
    assert requested(trigger) == [("command", EVERYTHING)]
    assert (trigger.kind, trigger.notes, trigger.dry_run) == ("command", (), False)


@pytest.mark.parametrize(
    ("command", "selector"),
    [
        pytest.param(FULL, a_selector("transcode", service="media", qualifier="prod"), id="all"),
        pytest.param({"functionName": "resize"}, a_selector("resize"), id="function"),
        pytest.param({"serviceName": "media"}, a_selector(service="media"), id="service"),
        pytest.param({"qualifier": "3"}, a_selector(qualifier="3"), id="qualifier"),
        pytest.param({"serviceName": ""}, EVERYTHING, id="empty service is none"),
        pytest.param({"serviceName": None, "functionName": "f"}, a_selector("f"), id="null service is none"),
        pytest.param({"qualifier": "", "functionName": "f"}, a_selector("f"), id="empty qualifier is none"),
        pytest.param({"qualifier": None}, EVERYTHING, id="null qualifier is none"),
        pytest.param({"functionName": "media$f"}, a_selector("media$f"), id="3.0 name of a 2.0 function"),
        pytest.param(
            {"serviceName": "media", "functionName": "media$f"},
            a_selector("f", service="media"),
            id="service given twice, alike",
        ),
        pytest.param({"functionName": "f" * 128}, a_selector("f" * 128), id="the longest name"),
        pytest.param({"functionName": "f", "reason": "night"}, a_selector("f"), id="foreign key"),
        pytest.param({"shard": "2/8"}, a_selector(shard="2/8"), id="a share of the functions"),
        pytest.param({"shard": "100/100"}, a_selector(shard="100/100"), id="the largest number of shares"),
        pytest.param({"functionName": "f", "dryRun": False}, a_selector("f"), id="dryRun false"),
    ],
)
def test_a_command_selects_what_it_names(command: dict[str, Any], selector: Any) -> None:
    """The same bare, as the text of an object, in CloudEvent data, and as text in it."""
    for event in (
        command,
        json.dumps(command),
        a_cloud_event(command),
        a_cloud_event(json.dumps(command)),
        [json.dumps(a_cloud_event(command))],
    ):
        trigger = read(event)
        assert requested(trigger) == [("command", selector)]
        assert (trigger.notes, trigger.dry_run) == ((), False)


def test_an_invocation_id_makes_it_a_request_of_kind_task() -> None:
    """Generated ids may begin with a digit."""
    command = {**FULL, "invocationId": "1-673d4a12-12a3f4b5"}
    selector = a_selector("transcode", service="media", qualifier="prod", invocation_id="1-673d4a12-12a3f4b5")
    assert requested(read(command)) == [("task", selector)]


def test_the_task_id_of_3_0_is_an_invocation_id() -> None:
    """Function Compute 3.0 has no services, so it may not stand beside one."""
    selector = a_selector("resize", qualifier="prod", invocation_id="job-1")
    command = {"functionName": "resize", "qualifier": "prod", "taskId": "job-1"}
    for event in (command, {**command, "serviceName": ""}, {**command, "invocationId": "job-1"}):
        assert requested(read(event)) == [("task", selector)]
    assert requested(read({"taskId": "job-1"})) == [("task", a_selector(invocation_id="job-1"))]
    for event in ({**command, "serviceName": "media"}, {**command, "invocationId": "job-2"}):
        assert read(event).refused


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
    ({"taskId": ""}, "taskId is empty"),
    ({"taskId": 17}, "taskId is a number; write it as text"),
    ({"taskId": "job-*"}, "taskId can be no name"),
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
    *(
        ({"shard": bad}, 'shard is no share of the functions; write the second of eight as "2/8"')
        for bad in (
            *("0/8", "9/8", "2/0", "0/0", "2", "a/b", "1000/1000", "1/101", "", " ", " 2/8", "2/8\n", "02/8"),
            *("-2/8", "2/8/8", "2/-8", "2.0/8", "2:8", "/8", "2/", "\u0662/8"),
        )
    ),
    ({"shard": None}, "shard is null; write it as text"),
    ({"shard": 2}, "shard is a number; write it as text"),
    ({"shard": [2, 8]}, "shard is a list; write it as text"),
    ({"shard": "2/8", "invocationId": "job-1"}, "shard is a share of the functions, and a task is named"),
    ({"dryRun": "true"}, "dryRun is text; write true or false without quotes"),
    ({"dryRun": 1}, "dryRun is a number"),
    ({"dryRun": None}, "dryRun is null"),
    ({"serviceName": "media", "functionName": "shop$f"}, "differ; write one of them"),
]


@pytest.mark.parametrize(("command", "why"), BAD, ids=[json.dumps(command)[:40] for command, _ in BAD])
def test_a_command_that_is_wrong_in_one_key_is_refused_whole(command: dict[str, Any], why: str) -> None:
    """Its other keys are not obeyed either: half a command selects more than the whole."""
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
    ("Shard", "shard"),
    ("shrad", "shard"),
    ("task_id", "taskId"),
    ("TaskID", "taskId"),
    ("asyncTaskId", "taskId"),
    ("X-Fc-Async-Task-Id", "taskId"),
    ("asyncInvocationId", "invocationId"),
    ("statefulInvocationId", "invocationId"),
    ("X-Fc-Stateful-Async-Invocation-Id", "invocationId"),
]


@pytest.mark.parametrize(("key", "meant"), NEAR)
def test_a_near_miss_of_a_key_refuses_the_command(key: str, meant: str) -> None:
    """Ignored, it would make the run wider than was written, or would stop tasks."""
    for event in ({key: "x"}, {"functionName": "f", key: "x"}, a_cloud_event({key: "x"})):
        trigger = read(event)
        assert (trigger.requests, trigger.refused) == ((), True)
        assert trigger.notes[0].why == f"{key!a} is not a command key; did you mean {meant}?"


@pytest.mark.parametrize(
    "key",
    ["function", "service", "functionArn", "functionId", "serviceId", "requestId", "instanceName", "ruleName",
     "dry", "run", "async", "asyncId", "ecsTaskId", "quality", "shardId", "shared", "share", "hard",
     "alias", "id", "task", "tasks", "time", "", "名", "x" * 100_000],
)  # fmt: skip
def test_a_key_that_resembles_none_of_ours_is_ignored(key: str) -> None:
    """Foreign keys are not checked."""
    assert requested(read({"functionName": "f", key: "x"})) == [("command", a_selector("f"))]
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


def test_a_foreign_key_may_be_written_twice() -> None:
    """It does not count."""
    assert requested(read(b'{"functionName": "a", "x": 1, "x": 2}')) == [("command", a_selector("a"))]


DRY_RUNS = [
    {"dry_run": True},
    {"dryrn": True},
    {"dryRun": 1},
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
    """Its author believes that nothing will be stopped; the other elements run, as a dry run."""
    trigger = read([{"functionName": "resize"}, wish])
    assert trigger.dry_run
    assert ("command", a_selector("resize")) in requested(trigger)


def test_a_key_written_twice_is_a_dry_run_whichever_value_comes_last() -> None:
    """One of the two requested it."""
    raw = b'[{"functionName": "resize"}, {"dryRun": true, "dryRun": false}]'
    assert read(raw).dry_run


@pytest.mark.parametrize(
    "element",
    [{"dryRun": False}, {"functonName": "f", "dryRun": False}, {"weather": "dry, run!"}, "run dry", "{", 5],
)
def test_nothing_else_requests_a_dry_run(element: Any) -> None:
    """Among them `dryRun: false`."""
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
    """It would be overlooked there, and the run would be wider than was meant."""
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


def test_the_guide_names_every_key_of_a_command() -> None:
    """And no other."""
    guide = (Path(__file__).parents[2] / "docs" / "triggers.md").read_text("utf-8")
    table = guide.partition("## Commands")[2].partition("## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(COMMAND_KEYS)
