"""Acts as the Python runtime of Function Compute does, in an interpreter that has nothing else.

    python -I -S fc_runtime.py < run.json > everything the function printed

`run.json` names the code folder, the handler, the platform (one of PLATFORMS), the file for the answers and
the invocations of one instance. It needs the standard library only and is no part of the tests' own imports:
it is run by the target's interpreter, whose site-packages are switched off.

Contexts: https://help.aliyun.com/zh/functioncompute/fc/user-guide/context-1 (3.0, python3.12),
https://help.aliyun.com/zh/functioncompute/context-1 (3.0, python3.10) and
https://alibabacloud.com/help/zh/functioncompute/fc-2-0/user-guide/context-7 (2.0).
Variables: https://www.alibabacloud.com/help/tc/functioncompute/fc-2-0/user-guide/fc-environment-variables
"""

from __future__ import annotations

import errno
import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

PLATFORMS = ("fc2-python3.10", "fc3-python3.10", "fc3-python3.12")
"""The generation of the platform and the runtime: each has a context and variables of its own."""

KEYS = {
    "access_key_id": "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "access_key_secret": "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "security_token": "ALIBABA_CLOUD_SECURITY_TOKEN",
}
EARLIER_KEYS = ("accessKeyID", "accessKeySecret", "securityToken")
"""2.0 says the keys a second time under these names."""

CHANGES_A_FOLDER = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.chmod", "os.link", "os.symlink"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    run = json.load(sys.stdin)
    install_the_runtimes_logger()
    os.chdir(run["code"])
    os.environ.update(instance_variables(run["platform"], run["code"], run["handler"]))
    sys.path.insert(0, run["code"])
    keep_from_writing(run["code"])
    handler = load(run["handler"])
    answers = [invoke(handler, invocation, run["platform"]) for invocation in run["invocations"]]
    with open(run["answers"], "w", encoding="utf-8") as file:
        json.dump(answers, file)


def install_the_runtimes_logger() -> None:
    """The root logger prints with a prefix, as the runtime's does, before any of our code runs."""
    printer = logging.StreamHandler(sys.stdout)
    printer.setFormatter(logging.Formatter("%(asctime)s runtime [%(levelname)s] %(message)s"))
    logging.getLogger().addHandler(printer)
    logging.getLogger().setLevel(logging.INFO)


def instance_variables(platform: str, code: str, handler: str) -> dict[str, str]:
    """What the platform sets when an instance starts, the keys of that moment included."""
    keys = [f"{name}-of-the-start" for name in KEYS]
    variables = {
        "FC_ACCOUNT_ID": "123456789",
        "FC_REGION": "cn-hangzhou",
        "FC_FUNCTION_NAME": "fc-reaper",
        "FC_FUNCTION_HANDLER": handler,
        "FC_FUNCTION_MEMORY_SIZE": "512",
        "FC_FUNC_CODE_PATH": code,
        "FC_INSTANCE_ID": "c-0001",
        "FC_CUSTOM_LISTEN_PORT": "9000",
        **dict(zip(KEYS.values(), keys, strict=True)),
    }
    if platform.startswith("fc2"):
        variables.update(zip(EARLIER_KEYS, keys, strict=True))
        variables.update(FC_SERVICE_NAME="ops", FC_QUALIFIER="LATEST")
    else:
        version = "FC_FUNCTION_VERSION" if platform.endswith("3.12") else "FC_VER_ID"
        variables[version] = "LATEST"
    return variables


def keep_from_writing(code: str) -> None:
    """Make the code folder read-only for this process: whoever runs the tests, root too, is refused."""
    inside = os.path.join(os.path.realpath(code), "")

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if changes_a_file(event, arguments) and os.path.realpath(os.fsdecode(arguments[0])).startswith(
            inside
        ):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fsdecode(arguments[0]))

    sys.addaudithook(refuse)


def changes_a_file(event: str, arguments: tuple[Any, ...]) -> bool:
    # https://docs.python.org/3/library/audit_events.html: open(path, mode, flags); a number is no path
    changes = event in CHANGES_A_FOLDER or (event == "open" and bool((arguments[2] or 0) & WRITING))
    return changes and isinstance(arguments[0], (str, bytes, os.PathLike))


def load(name: str) -> Callable[[bytes, object], Any]:
    module, function = name.split(".")
    loaded: Callable[[bytes, object], Any] = getattr(importlib.import_module(module), function)
    return loaded


def invoke(
    handler: Callable[[bytes, object], Any], invocation: dict[str, Any], platform: str
) -> dict[str, Any]:
    """One invocation: its environment, its context, what came back or was raised, and what it has cost."""
    os.environ.update(invocation["environment"])
    if platform.endswith("3.12"):
        os.environ.update({KEYS[name]: key for name, key in invocation["keys"].items()})
    say(f"FC Invoke Start RequestId: {invocation['request_id']}")
    try:
        outcome = {"answer": handler(invocation["event"].encode(), context(invocation, platform))}
    except Exception as error:  # the runtime reports whatever comes, and so do we
        outcome = {"raised": f"{type(error).__name__}: {error}"}
    finally:
        say(f"FC Invoke End RequestId: {invocation['request_id']}")
    return {**outcome, "peak_kilobytes": peak_kilobytes(), "processor_seconds": time.process_time()}


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def peak_kilobytes() -> int:
    """The most memory this process has held until now; 0 where Linux does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    except OSError:
        return 0


def context(invocation: dict[str, Any], platform: str) -> SimpleNamespace:
    timeout = invocation.get("timeout", 60)
    function: dict[str, Any] = {
        "name": "fc-reaper",
        "handler": "index.handler",
        "memory": 512,
        "timeout": timeout,
    }
    log = {"log_project": "logs", "log_store": "logs"}
    place = {"region": "cn-hangzhou", "account_id": "123456789"}
    common: dict[str, Any] = {"request_id": invocation["request_id"], **place}
    if platform.endswith("3.12"):
        function.update(version_id="LATEST", qualifier="LATEST")
        common.update(log, logger=logging.getLogger())
        return SimpleNamespace(**common, function=SimpleNamespace(**function))
    service = {"qualifier": "LATEST", "version_id": "", **log}
    if platform.startswith("fc2"):
        service["name"] = "ops"
    return SimpleNamespace(
        **common,
        function=SimpleNamespace(**function),
        service=SimpleNamespace(**service),
        credentials=SimpleNamespace(**invocation["keys"]),
        tracing=SimpleNamespace(span_context=None, jaeger_endpoint=None, span_baggages={}),
    )


if __name__ == "__main__":
    main()
