"""Emulators for all tests that use a socket: in a thread of this process, or in a process of their own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from uvicorn.server import ServerState

from fc_emulator.__main__ import options_of, parsed
from fc_emulator.account import Account
from fc_emulator.app import application
from fc_emulator.seed import read_seed
from fc_emulator.server import configuration, endpoint_of, loopback_socket

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Emulator:
    """A running emulator and its admin API. `endpoint` is such as `http://127.0.0.1:40000`."""

    endpoint: str

    def tasks(self) -> list[dict[str, Any]]:
        """The records of all tasks, with events and payload."""
        return list(self.admin("GET", "tasks")["tasks"])

    def task(self, invocation_id: str) -> dict[str, Any]:
        """The only task of this id."""
        (found,) = [task for task in self.tasks() if task["invocationId"] == invocation_id]
        return found

    def calls(self) -> dict[str, Any]:
        """`counts` by operation and the `recent` calls."""
        return self.admin("GET", "calls")

    def journal(self) -> list[dict[str, Any]]:
        """Every change of status with its cause, oldest first."""
        return list(self.admin("GET", "journal")["journal"])

    def faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Add faults to those that wait already, in this order."""
        self.admin("POST", "faults", {"faults": list(faults)})

    def advance(self, by: str) -> None:
        """Move all tasks into the past by a duration such as `1h`."""
        self.admin("POST", "clock", {"advance": by})

    def reset(self) -> None:
        """Back to the seed, no faults, no calls counted."""
        self.admin("POST", "reset")

    def admin(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One request under /_emulator/; raises urllib.error.HTTPError when it is refused."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/_emulator/{path}", data, method=method)
        with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
            value: dict[str, Any] = json.load(answer)
            return value


@contextmanager
def running_emulator(*args: str, seed: Mapping[str, Any] | None = None) -> Iterator[Emulator]:
    """Serve a fresh account on a free port, in a thread that all tests share; *args* as for the command.

    A fault in the emulator fails the test, unless the test fails by itself.
    """
    options = options_of(parsed(args))
    account = Account(options, read_seed(json.dumps(seed or {})), lambda: time.time_ns() // 1_000_000)
    loop, faults = _event_loop()
    server = _Server(account, faults)
    loop.wait(server.start())
    try:
        yield Emulator(server.endpoint)
    finally:
        loop.wait(server.stop())
        reported, faults[:] = "".join(faults), []
    assert not reported, f"a fault in the emulator: {reported}"


class _Server:
    """One account behind a socket of its own."""

    def __init__(self, account: Account, faults: list[str]) -> None:
        self._config = configuration(application(account, faults.append))
        self._config.load()
        self._state = ServerState()
        self._socket = loopback_socket("127.0.0.1", 0)
        self.endpoint = endpoint_of(self._socket)

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._protocol, sock=self._socket)

    def _protocol(self) -> asyncio.Protocol:
        protocol: Any = self._config.http_protocol_class
        made: asyncio.Protocol = protocol(config=self._config, server_state=self._state, app_state={})
        return made

    async def stop(self) -> None:
        """Close the port and every connection, and give up the calls under way."""
        # A server that closes loses what it has just accepted, half made: it accepts no more before it does.
        asyncio.get_running_loop().remove_reader(self._socket)
        for _ in range(3):
            await asyncio.sleep(0)
        self._server.close()
        tasks = list(self._state.tasks)
        for connection in list(self._state.connections):
            connection.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _LoopThread:
    """An event loop in a thread that ends with this process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="emulator", daemon=True).start()

    def wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(_TIMEOUT_S)


@cache
def _event_loop() -> tuple[_LoopThread, list[str]]:
    """The thread of all emulators, and what went wrong in it."""
    thread, faults = _LoopThread(), list[str]()
    thread.loop.set_exception_handler(lambda _, context: faults.append(f"{context}\n"))
    return thread, faults


@contextmanager
def emulator_process(*args: str, seed: Mapping[str, Any] | None = None) -> Iterator[Emulator]:
    """The emulator as a process of its own, for the benchmarks.

    It ends by SIGTERM with the block. Output on standard error is an error, unless the block raises one.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "fc_emulator", "--port", "0", *args]
        if seed is not None:
            file = Path(folder) / "seed.json"
            file.write_text(json.dumps(seed), encoding="utf-8")
            command += ["--seed", str(file)]
        errors = Path(folder) / "stderr.txt"
        with (
            errors.open("w", encoding="utf-8") as stderr,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
        ):
            try:
                yield Emulator(_endpoint(process, errors))
            finally:
                process.terminate()
                process.communicate(timeout=_TIMEOUT_S)
        written = errors.read_text(encoding="utf-8")
        assert not written, f"the emulator wrote to standard error: {written}"


def _endpoint(process: subprocess.Popen[str], errors: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the emulator did not start: {errors.read_text(encoding='utf-8')}"
    endpoint: str = json.loads(line)["endpoint"]
    return endpoint
