"""The entry point, called as Function Compute calls it."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from fc_reaper.handler import CloudUnreachable, handler
from tests.emulator_server import Emulator
from tests.reaping import KEYS
from tests.run.account import POLICY

CONTEXT = SimpleNamespace(request_id="r-9", function=SimpleNamespace(timeout=60), account_id="1", region="r")


@pytest.fixture
def environment(cloud: Emulator, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The function's environment, pointing at the emulator."""
    for name, value in {**KEYS, "REAPER_ENDPOINT": cloud.endpoint, "REAPER_POLICY": POLICY}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_result_is_json_and_every_line_is_an_object(
    environment: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line carries who, when and why; the result is the last line with the tasks."""
    result = json.loads(handler(b"", CONTEXT))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    always = {"timestamp", "level", "event", "run_id", "request_id", "mode", "trigger"}
    assert all(always <= set(line) for line in lines)
    assert {line["request_id"] for line in lines} == {"r-9"}
    assert result["counts"] == lines[-1]["counts"]
    assert {task["invocation_id"] for task in result["tasks"]} == {"over-1", "over-2", "over-3"}


def test_the_runtimes_root_handler_neither_prefixes_nor_doubles(
    environment: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The platform installs a handler of its own on the root logger."""
    root = logging.getLogger()
    noise = logging.StreamHandler()
    noise.setFormatter(logging.Formatter("PREFIX %(message)s"))
    root.addHandler(noise)
    before, root.level = root.level, logging.DEBUG
    try:
        handler(b"", CONTEXT)
    finally:
        root.removeHandler(noise)
        root.level = before
    captured = capsys.readouterr()
    assert "run_finished" not in captured.err
    assert "emulator-secret" not in captured.err
    assert "Signature" not in captured.err
    assert captured.out.count('"run_finished"') == 1


def test_keys_are_read_at_each_invocation(environment: Any, cloud: Emulator) -> None:
    """One instance lives longer than its keys."""
    keys = SimpleNamespace(access_key_id="emulator", access_key_secret="wrong", security_token="")
    wrong = SimpleNamespace(**vars(CONTEXT), credentials=keys)
    assert json.loads(handler(b"", wrong))["errors"]
    assert json.loads(handler(b"", CONTEXT))["errors"] == []


def test_only_what_a_retry_can_cure_is_raised(environment: Any) -> None:
    """A cloud that is down is worth the platform's retry; wrong keys are not."""
    environment.setenv("REAPER_ENDPOINT", "http://127.0.0.1:9")
    environment.setenv("REAPER_MARGIN", "58s")
    with pytest.raises(CloudUnreachable):
        handler(b"", CONTEXT)


def test_an_http_trigger_gets_its_answer_in_its_own_shape(environment: Any) -> None:
    """Function Compute 3.0 wants a status and a body."""
    event = {
        "version": "v1",
        "rawPath": "/",
        "headers": {},
        "queryParameters": {},
        "body": '{"functionName": "transcode"}',
        "isBase64Encoded": False,
        "requestContext": {"http": {"method": "POST", "path": "/"}},
    }
    answer = json.loads(handler(json.dumps(event).encode(), CONTEXT))
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["counts"]["due"] == 3
