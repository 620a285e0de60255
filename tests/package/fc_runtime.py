"""Acts as the Python runtime of Function Compute does, in an interpreter that has nothing else.

    python -I -S -B fc_runtime.py < run.json > everything the function printed

`run.json` names the code folder, the handler, the file for the answers and the invocations of one
instance. It needs the standard library only and is no part of the tests' own imports: it is run by the
target's interpreter, whose site-packages are switched off.

Contexts: https://help.aliyun.com/zh/functioncompute/fc/user-guide/context-1 (3.0) and
https://alibabacloud.com/help/zh/functioncompute/fc-2-0/user-guide/context-7 (2.0).
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

KEYS = {
    "access_key_id": "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "access_key_secret": "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "security_token": "ALIBABA_CLOUD_SECURITY_TOKEN",
}


def main() -> None:
    run = json.load(sys.stdin)
    install_the_runtimes_logger()
    os.chdir(run["code"])
    sys.path.insert(0, run["code"])
    os.environ["FC_FUNC_CODE_PATH"] = run["code"]
    handler = load(run["handler"])
    answers = [invoke(handler, invocation) for invocation in run["invocations"]]
    with open(run["answers"], "w", encoding="utf-8") as file:
        json.dump(answers, file)


def install_the_runtimes_logger() -> None:
    """The root logger prints with a prefix, as the runtime's does, before any of our code runs."""
    printer = logging.StreamHandler(sys.stdout)
    printer.setFormatter(logging.Formatter("%(asctime)s runtime [%(levelname)s] %(message)s"))
    logging.getLogger().addHandler(printer)
    logging.getLogger().setLevel(logging.INFO)


def load(name: str) -> Callable[[bytes, object], Any]:
    module, function = name.split(".")
    loaded: Callable[[bytes, object], Any] = getattr(importlib.import_module(module), function)
    return loaded


def invoke(handler: Callable[[bytes, object], Any], invocation: dict[str, Any]) -> dict[str, Any]:
    """One invocation: its environment, its context, and what came back or was raised."""
    os.environ.update(invocation["environment"])
    if invocation["runtime"] == "python3.12":
        os.environ.update({KEYS[name]: key for name, key in invocation["keys"].items()})
    say(f"FC Invoke Start RequestId: {invocation['request_id']}")
    try:
        return {"answer": handler(invocation["event"].encode(), context(invocation))}
    except Exception as error:  # the runtime reports whatever comes, and so do we
        return {"raised": f"{type(error).__name__}: {error}"}
    finally:
        say(f"FC Invoke End RequestId: {invocation['request_id']}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def context(invocation: dict[str, Any]) -> SimpleNamespace:
    function: dict[str, Any] = {"name": "fc-reaper", "handler": "index.handler", "memory": 512, "timeout": 60}
    log = {"log_project": "logs", "log_store": "logs"}
    home = {"region": "cn-hangzhou", "account_id": "123456789"}
    common: dict[str, Any] = {"request_id": invocation["request_id"], **home}
    if invocation["runtime"] == "python3.12":
        function.update(version_id="LATEST", qualifier="LATEST")
        common.update(log, logger=logging.getLogger())
        return SimpleNamespace(**common, function=SimpleNamespace(**function))
    service = {"name": "ops", "qualifier": "LATEST", "version_id": "", **log}
    return SimpleNamespace(
        **common,
        function=SimpleNamespace(**function),
        service=SimpleNamespace(**service),
        credentials=SimpleNamespace(**invocation["keys"]),
        tracing=SimpleNamespace(span_context=None, jaeger_endpoint=None, span_baggages={}),
    )


if __name__ == "__main__":
    main()
