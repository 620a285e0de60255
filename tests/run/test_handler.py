"""The entry point, called as Function Compute calls it."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import fc_reaper
from fc_reaper import handler as deployed
from fc_reaper.handler import CloudUnreachable, handler
from tests.emulator_server import Emulator
from tests.reaping import FASTER, KEYS
from tests.run.account import POLICY

CONTEXT = SimpleNamespace(request_id="r-9", function=SimpleNamespace(timeout=60), account_id="1", region="r")


@pytest.fixture
def environment(cloud: Emulator, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The function's environment, pointing at the emulator, and a clock that does not wait as long."""
    for name, value in {**KEYS, "REAPER_ENDPOINT": cloud.endpoint, "REAPER_POLICY": POLICY}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(deployed, "SYSTEM_CLOCK", FASTER)
    return monkeypatch


def test_the_result_is_json_and_every_line_is_an_object(
    environment: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line carries who, when and why; the result is the last line with the tasks."""
    result = json.loads(str(handler(b"", CONTEXT)))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    always = {"timestamp", "level", "event", "run_id", "request_id", "mode", "trigger"}
    assert all(always <= set(line) for line in lines)
    assert {line["request_id"] for line in lines} == {"r-9"}
    assert result["counts"] == lines[-1]["counts"]
    assert {task["invocation_id"] for task in result["tasks"]} == {"over-1", "over-2", "over-3"}


def test_the_runtimes_root_handler_neither_prefixes_nor_doubles(
    environment: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The platform installs a handler of its own on the root logger; at DEBUG libraries would fill it."""
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
    assert captured.err == ""
    assert [json.loads(line)["event"] for line in captured.out.splitlines()][-1] == "run_finished"
    assert captured.out.count('"run_finished"') == 1


def test_keys_are_read_at_each_invocation(environment: Any, cloud: Emulator) -> None:
    """One instance lives longer than its keys."""
    keys = SimpleNamespace(access_key_id="emulator", access_key_secret="wrong", security_token="")
    wrong = SimpleNamespace(**vars(CONTEXT), credentials=keys)
    assert json.loads(str(handler(b"", wrong)))["errors"]
    assert json.loads(str(handler(b"", CONTEXT)))["errors"] == []


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
    answer = json.loads(str(handler(json.dumps(event).encode(), CONTEXT)))
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["counts"]["due"] == 3


def wsgi(method: str = "POST", query: str = "", body: bytes = b"", **more: Any) -> dict[str, Any]:
    """The request of an HTTP trigger of FC 2.0, as its runtime passes it."""
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": "/",
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)) if body else "",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "fc.context": CONTEXT,
        "fc.request_uri": "/",
        **more,
    }


NAMED = b'{"functionName": "transcode"}'


@pytest.mark.parametrize(
    ("environ", "due", "dry_run", "refused"),
    [
        (wsgi(), 3, False, False),
        (wsgi("GET", "dryRun=true"), 3, True, False),
        (wsgi("GET", HTTP_DRY_RUN="1"), 3, True, False),
        (wsgi("GET", "dryRun=false&dryRun=true"), 0, True, True),
        (wsgi("GET", "dryRun"), 3, True, False),
        (wsgi(body=NAMED), 3, False, False),
        (wsgi(body=b'{"functionName": "resize"}'), 0, False, False),
        (wsgi(body=b'{"functionName": "\xff'), 0, False, True),
        (wsgi(body=b"{" * 100_000), 0, False, True),
        (wsgi(body=b"\x1f\x8b\x08"), 0, False, True),
        (wsgi(CONTENT_LENGTH="many"), 0, False, True),
        (wsgi(CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked"), 0, False, True),
        (wsgi(QUERY_STRING=3), 0, False, True),
        ({**wsgi(), "wsgi.input": None}, 0, False, True),
        ({"REQUEST_METHOD": None, "fc.context": CONTEXT, "wsgi.input": object()}, 0, False, True),
    ],
)
def test_an_http_trigger_of_2_0_is_answered_as_wsgi(
    environment: Any,
    capsys: pytest.CaptureFixture[str],
    environ: dict[str, Any],
    due: int,
    dry_run: bool,
    refused: bool,
) -> None:
    """With a run or a refusal, and in any case with one last line."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    environment.setenv("REAPER_MODE", "enforce")
    environment.setenv("REAPER_SELF", "ops/reaper")
    (body,) = cast(list[bytes], handler(environ, lambda status, headers: started.append((status, headers))))
    assert started == [("200 OK", [("Content-Type", "application/json")])]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines].count("run_finished") == 1
    assert lines[-1]["request_id"] == "r-9"
    assert json.loads(body)["counts"]["due"] == due
    assert (lines[-1]["mode"] == "dry-run") == dry_run
    assert (
        due or json.loads(body)["errors"] or environ["wsgi.input"].getvalue() == b'{"functionName": "resize"}'
    )


def test_wsgi_says_when_a_retry_may_cure_it(environment: Any) -> None:
    """There is nobody to catch what would be raised."""
    environment.setenv("REAPER_ENDPOINT", "http://127.0.0.1:9")
    environment.setenv("REAPER_MARGIN", "58s")
    started: list[str] = []
    handler(wsgi(), lambda status, headers: started.append(status))
    assert started == ["503 Service Unavailable"]


EVENTS: list[tuple[Any, int]] = [
    (None, 3),
    ("", 3),
    ("{}", 3),
    ({}, 3),
    (bytearray(NAMED), 3),
    (memoryview(NAMED), 3),
    (NAMED.decode(), 3),
    (json.loads(NAMED), 3),
    ([json.loads(NAMED)], 3),
    ({"functionName": "resize"}, 0),
    ("\ud800", 0),
    ({"functionName": b"transcode"}, 0),
    (object(), 0),
    ({("a", 1): 2}, 0),
    (float("nan"), 0),
]


@pytest.mark.parametrize(("event", "due"), EVENTS, ids=lambda value: re.sub(" at 0x.*", "", repr(value))[:30])
def test_an_event_may_be_bytes_text_a_decoded_value_or_nothing(
    environment: Any, capsys: pytest.CaptureFixture[str], event: Any, due: int
) -> None:
    """It is a run or a refusal, and one last line says which."""
    result = json.loads(str(handler(event, CONTEXT)))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines].count("run_finished") == 1
    assert result["counts"]["due"] == due


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("from ._pydantic_core import SchemaValidator", "No module named 'pydantic_core._pydantic_core'"),
        ("int | 3", "unsupported operand type(s) for |: 'type' and 'int'"),
    ],
)
def test_a_package_for_another_python_says_so_in_one_line(tmp_path: Path, line: str, why: str) -> None:
    """Its compiled libraries cannot be imported, or its source is too new; only the first call would show it.

    It names a package only where one can be made.
    """
    (tmp_path / "pydantic_core").mkdir()
    (tmp_path / "pydantic_core" / "__init__.py").write_text(line + "\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-c", "import fc_reaper.handler"]
    done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    anew = f"run make package PY={python}, or " if python in ("3.10", "3.12") else ""
    assert f"not made for python{python}: {why}; {anew}change the runtime in s.yaml" in last
    assert "During handling" not in done.stderr


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 8), (3, 9)])
def test_a_python_that_is_too_old_says_so_before_it_reads_newer_source(
    version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first module of the package is the only one that such a Python can read."""
    source = Path(fc_reaper.__file__).read_text("ascii")
    newer = (ast.JoinedStr, ast.AnnAssign, ast.ImportFrom, ast.FunctionDef, ast.NamedExpr)
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, newer)]
    monkeypatch.setattr(sys, "version_info", (*version, 18))
    said = f"not python{version[0]}.{version[1]}; change the runtime in s.yaml"
    with pytest.raises(ImportError, match=re.escape(said)):
        exec(compile(source, "fc_reaper", "exec"), {})
