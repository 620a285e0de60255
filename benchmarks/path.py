"""`python -m benchmarks.path`: the modules and functions of ours that an event passes until a stop request.

One run of the handler is traced, with one task that is over its limit. Another run comes before, so that
imports, and what is made only once, do not count. A comprehension counts with its function.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

from tests.emulator_server import running_emulator
from tests.reaping import KEYS

import fc_reaper
from benchmarks.account import policy, tasks
from fc_reaper.handler import handler

_OURS = str(Path(fc_reaper.__file__).parent) + os.sep
_PARTS = ("<module>", "<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>")
_TIMER = b'{"triggerTime": "2026-11-18T11:06:40Z", "triggerName": "sweep", "payload": ""}'

Functions = dict[str, list[str]]
"""The functions that were entered, by module, in the order in which they were first entered."""


class Passed(NamedTuple):
    """What a run passes until its stop request leaves, and in all."""

    until_stop: Functions
    whole_run: Functions


def main() -> int:
    """Print the modules with their functions."""
    passed = trace()
    for module, functions in passed.until_stop.items():
        names = [name.partition(":")[0].replace(".<locals>", "") for name in functions]
        print(f"{module:22}{len(functions):4}  {' '.join(names)}")
    for what, found in zip(("until the stop request", "whole run"), passed, strict=True):
        print(f"{what}: {len(found)} modules, {count(found)} functions")
    return 0


def count(found: Functions) -> int:
    """How many functions these are."""
    return sum(map(len, found.values()))


@cache
def trace() -> Passed:
    """Run twice, and trace the second run."""
    passed = Passed({}, {})
    with running_emulator("--stopping", "50ms", seed={"invocations": [tasks(1, "old", "-3h")]}) as cloud:
        env = {**KEYS, "REAPER_ENDPOINT": cloud.endpoint, "REAPER_POLICY": policy("media/transcode")}
        env |= {"REAPER_MODE": "enforce", "REAPER_SELF": "ops/fc-reaper"}
        for traced in (False, True):
            cloud.reset()
            recorded = _recorded(passed) if traced else nullcontext()
            with mock.patch.dict(os.environ, env), redirect_stdout(StringIO()), recorded:
                handler(_TIMER, SimpleNamespace(request_id="r", function=SimpleNamespace(timeout=60)))
            assert [entry["to"] for entry in cloud.journal() if entry["cause"] == "stop"]
    return passed


@contextmanager
def _recorded(passed: Passed) -> Iterator[None]:
    stopping = threading.Event()

    def profile(frame: FrameType, event: str, _arg: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_name == "urlopen" and frame.f_locals.get("method") == "PUT":
            stopping.set()
        if event != "call" or not code.co_filename.startswith(_OURS) or code.co_name in _PARTS:
            return
        module = code.co_filename[len(_OURS) : -3].replace(os.sep, ".")
        name = f"{getattr(code, 'co_qualname', code.co_name)}:{code.co_firstlineno}"
        for found in passed if not stopping.is_set() else passed[1:]:
            functions = found.setdefault(module, [])
            if name not in functions:
                functions.append(name)

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


if __name__ == "__main__":
    sys.exit(main())
