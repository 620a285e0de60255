"""A network in virtual time: the sockets below urllib3, and behind them the emulator's own ASGI application.

What passes are the bytes of HTTP. Requests are built, signed and sent by the product, and answers parsed by
it, as over a real socket; only `create_connection` of urllib3 is replaced. Every exchange is recorded.
"""

from __future__ import annotations

import io
import json
import os
import types
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from random import Random
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.types import Message, Scope

from fc_emulator.account import Account
from fc_emulator.app import Api, RateLimiter
from fc_emulator.faults import Faults
from fc_emulator.journal import Calls
from fc_emulator.routes import match
from fc_emulator.server import as_documented
from tests.referee.simulation import Simulation

Place = tuple[str | None, str, str]
"""A function: service (None in FC 3.0), name, qualifier."""

NAMES_IN_2 = {
    "StopAsyncTask": "StopStatefulAsyncInvocation",
    "GetAsyncTask": "GetStatefulAsyncInvocation",
    "ListAsyncTasks": "ListStatefulAsyncInvocations",
    "ListAsyncInvokeConfigs": "ListStatefulAsyncInvocationFunctions",
}
KINDS = {
    "StopStatefulAsyncInvocation": "stop",
    "GetStatefulAsyncInvocation": "get",
    "ListStatefulAsyncInvocations": "list",
    "ListStatefulAsyncInvocationFunctions": "functions",
}


@dataclass
class Exchange:
    """One request and what came of it. Times are milliseconds of the cloud's clock.

    `status`, `date` and `body` are what reached the caller; None where no whole answer did. `fault` is that
    of the wire, or "by the emulator"; `spoiled`: the emulator made one, whatever the wire did as well.
    """

    kind: str
    operation: str
    place: Place
    invocation_id: str | None
    query: dict[str, str]
    sent: int
    served: int | None = None
    answered: int | None = None
    status: int | None = None
    date: str | None = None
    body: bytes | None = None
    fault: str | None = None
    spoiled: bool = False
    trace_id: str | None = None
    code: str | None = None

    @property
    def value(self) -> Any:
        """The body as JSON, None if it is none."""
        try:
            return json.loads(self.body or b"")
        except ValueError:
            return None


@dataclass
class WireFault:
    """What happens to the bytes of some answers, or of the connection; `times` calls after `after` others.

    `operation` is list, get, stop, functions or `*`; page for a page that is not the first. `kind` is one of
    `worlds.WIRE`, `seconds` how long a slow one takes.
    """

    kind: str
    operation: str = "*"
    times: int = 1
    after: int = 0
    invocation_id: str = "*"
    seconds: float = 0.0

    def takes(self, exchange: Exchange) -> bool:
        """Whether it is for this exchange; it is then used up by one."""
        kinds = ("*", exchange.kind, *(["page"] if exchange.query.get("nextToken") else []))
        if self.times <= 0 or self.operation not in kinds:
            return False
        if not fnmatchcase(exchange.invocation_id or "", self.invocation_id):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


Parts = tuple[int, list[tuple[str, str]], bytes]
"""An answer: status, headers, body."""


def _changed_json(change: Callable[[dict[str, Any], Exchange], None]) -> Callable[[Parts, Exchange], Parts]:
    def changed(parts: Parts, exchange: Exchange) -> Parts:
        status, headers, body = parts
        try:
            value = json.loads(body)
        except ValueError:
            return parts
        if status != 200 or not isinstance(value, dict):
            return parts
        change(value, exchange)
        body = json.dumps(value).encode()
        return status, [(k, str(len(body)) if k == "Content-Length" else v) for k, v in headers], body

    return changed


def _items(value: dict[str, Any]) -> list[dict[str, Any]]:
    return next((value[key] for key in ("invocations", "tasks") if isinstance(value.get(key), list)), [])


def _records(value: dict[str, Any], exchange: Exchange) -> list[dict[str, Any]]:
    return [value] if exchange.kind == "get" else _items(value)


def _repeat_token(value: dict[str, Any], exchange: Exchange) -> None:
    if exchange.query.get("nextToken"):
        value["nextToken"] = exchange.query["nextToken"]


def _repeat_records(value: dict[str, Any], exchange: Exchange) -> None:
    items = _items(value)
    items += items[:3]


def _lose_the_list(value: dict[str, Any], exchange: Exchange) -> None:
    for key in ("invocations", "tasks", "data", "configs"):
        value.pop(key, None)


def _in_seconds(value: dict[str, Any], exchange: Exchange) -> None:
    for record in _records(value, exchange):
        for facts in (record, *record.get("events", [])):
            for key in ("startedTime", "endTime", "timestamp"):
                if isinstance(facts.get(key), int):
                    facts[key] //= 1000


def _as_text(value: dict[str, Any], exchange: Exchange) -> None:
    for record in _records(value, exchange):
        for facts in (record, *record.get("events", [])):
            for key in ("startedTime", "endTime", "timestamp", "alreadyRetriedTimes"):
                if isinstance(facts.get(key), int):
                    facts[key] = str(facts[key])


def _another_task(value: dict[str, Any], exchange: Exchange) -> None:
    for key in ("invocationId", "taskId"):
        if key in value:
            value[key] = "another-1"


def _unknown_status(value: dict[str, Any], exchange: Exchange) -> None:
    value["status"] = "Paused"


CHANGES: dict[str, Callable[[Parts, Exchange], Parts]] = {
    "repeated token": _changed_json(_repeat_token),
    "repeated records": _changed_json(_repeat_records),
    "no list": _changed_json(_lose_the_list),
    "seconds": _changed_json(_in_seconds),
    "numbers as text": _changed_json(_as_text),
    "another task": _changed_json(_another_task),
    "unknown status": _changed_json(_unknown_status),
    "no date": lambda parts, _: (parts[0], [(k, v) for k, v in parts[1] if k != "Date"], parts[2]),
    "empty object": lambda parts, _: (parts[0], [(k, v) for k, v in parts[1] if k != "Content-Length"]
                                      + [("Content-Length", "2")], b"{}"),
    "nothing": lambda parts, _: (200, [(k, v) for k, v in parts[1] if k != "Content-Length"]
                                 + [("Content-Length", "0")], b""),
}  # fmt: skip
"""What is done to an answer on its way."""


class Network:
    """The only way to one account: *latency* returns the seconds that a message takes."""

    def __init__(
        self,
        simulation: Simulation,
        account: Account,
        now: Callable[[], int],
        latency: Callable[[], float],
        faults: Sequence[WireFault],
        random: Random,
    ) -> None:
        self.simulation, self.now, self.latency, self.faults = simulation, now, latency, faults
        self.random = random
        self.exchanges: list[Exchange] = []
        self.reports: list[str] = []
        self.account_faults = Faults()
        limiter = RateLimiter(account.options.rate, lambda: simulation.time)
        api = Api(
            account,
            Calls(),
            self.account_faults,
            limiter,
            _sleep,  # type: ignore[arg-type]  # it is awaited, if not by an event loop
            lambda: f"{random.getrandbits(128):032x}",
            self.reports.append,
        )
        self._app = as_documented(api)

    def connect(self, _address: object, timeout: float | None, **_options: Any) -> Socket:
        """`create_connection` of urllib3."""
        fault = next((one for one in self.faults if one.kind in ("refused", "no connection")), None)
        if fault is not None and fault.after > 0:
            fault.after -= 1
        elif fault is not None and fault.times > 0:
            fault.times -= 1
            if fault.kind == "refused":
                raise ConnectionRefusedError(111, "Connection refused")
            self.simulation.sleep(timeout or 0)
            raise TimeoutError("timed out")
        return Socket(self, timeout)

    def exchange(self, socket: Socket, raw: bytes) -> Generator[float, None, None]:
        """Carry *raw* to the account and the answer back into *socket*; yields the seconds that pass."""
        head, body = raw.split(b"\r\n\r\n", 1)
        line, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        headers = [tuple(one.split(": ", 1)) for one in lines]
        path, _, query = target.partition("?")
        exchange = self._recorded(method, path, query, {k.lower(): v for k, v in headers})
        fault = next((one for one in self.faults if one.takes(exchange)), None)
        kind = fault.kind if fault else None
        exchange.fault = kind
        yield self.latency()
        if kind == "reset before":
            return socket.receive_reset()
        exchange.served = self.now()
        scope: Scope = {
            "type": "http", "method": method, "path": unquote(path), "raw_path": path.encode(),
            "query_string": query.encode(), "http_version": "1.1", "scheme": "http",
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers],
        }  # fmt: skip
        answer, ordered = _Answer(scope, body), self._ordered()
        yield from _driven(self._app(scope, answer.receive, answer.send))
        if self._ordered() < ordered:
            exchange.fault, exchange.spoiled = exchange.fault or "by the emulator", True
        if kind == "slow answer" and fault is not None:
            yield fault.seconds
        yield self.latency()
        if answer.aborted or kind == "reset after":
            return socket.receive_reset()
        self._deliver(socket, exchange, answer, kind, fault.seconds if fault else 0.0)
        return None

    def _ordered(self) -> int:
        """How many faults the emulator is still to make."""
        return sum(fault.times for fault in self.account_faults.waiting)

    def _deliver(
        self, socket: Socket, exchange: Exchange, answer: _Answer, kind: str | None, seconds: float
    ) -> None:
        parts: Parts = (answer.status, answer.headers, bytes(answer.body))
        if kind in CHANGES:
            parts = CHANGES[kind](parts, exchange)
        status, headers, body = parts
        head = _head(status, headers)
        nothing_to_cut = status == 204  # by HTTP, whatever follows its headers
        whole = nothing_to_cut or not answer.closed
        if kind == "truncated" or answer.closed:
            whole = nothing_to_cut
            body = body[: len(body) // 2] if not answer.closed else body
            head = _head(status, [(k, v) for k, v in headers if k != "Content-Length"]
                         + [("Content-Length", str(2 * len(body) + 2))])  # fmt: skip
        elif kind == "bad chunk":
            whole = False
            head = _head(status, [(k, v) for k, v in headers if k != "Content-Length"]
                         + [("Transfer-Encoding", "chunked")])  # fmt: skip
            body = b"-5\r\n" + body
        elif kind == "informational":
            head = b"HTTP/1.1 100 Continue\r\n\r\n" + head
        elif kind == "only informational":
            whole, head, body = False, b"HTTP/1.1 102 Processing\r\n\r\n", b""
        if socket.abandoned:
            exchange.fault = "no answer in time"
            return
        if whole:
            exchange.status, exchange.body = status, body
            exchange.date = next((v for k, v in headers if k == "Date"), None)
            exchange.answered = self.now()
        if kind == "slow body":
            steps = 5
            for number in range(steps):
                piece = body[len(body) * number // steps : len(body) * (number + 1) // steps]
                socket.receive((head if number == 0 else b"") + piece, seconds * number / steps)
            exchange.answered = self.now() + round(seconds * (steps - 1) / steps * 1000)
        else:
            socket.receive(head + body)
        if not whole:
            socket.receive_end()

    def _recorded(self, method: str, path: str, query: str, headers: dict[str, str]) -> Exchange:
        found, pairs = match(method, path), dict(parse_qsl(query, keep_blank_values=True))
        operation = found.route.name if found else "Unknown"
        place: Place = (None, "", "")
        if found is not None:
            service = found.params.get("service")
            qualifier = pairs.get("qualifier", "LATEST")
            if service is not None and "." in service:
                service, qualifier = service.split(".", 1)
            place = (service, found.params.get("function", ""), qualifier)
        exchange = Exchange(
            kind=KINDS.get(NAMES_IN_2.get(operation, operation), "other"),
            operation=operation,
            place=place,
            invocation_id=found.params.get("id") if found else None,
            query=pairs,
            sent=self.now(),
            trace_id=headers.get("x-fc-trace-id"),
        )
        self.exchanges.append(exchange)
        return exchange


class _Answer:
    """What the application sends, and the connection that it may close."""

    def __init__(self, scope: Scope, body: bytes) -> None:
        scope["state"] = {"transport": self}
        self._incoming = [{"type": "http.request", "body": body, "more_body": False}]
        self.status, self.headers, self.body = 0, list[tuple[str, str]](), bytearray()
        self.aborted = self.closed = False

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    async def receive(self) -> Message:
        return self._incoming.pop() if self._incoming else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in message["headers"]]
        else:
            self.body += message.get("body", b"")


class Socket:
    """One connection, as urllib3 and http.client use it."""

    _quiet, _kept = os.pipe()
    _ended, _closed = os.pipe()
    os.close(_closed)
    """Two descriptors: nothing ever arrives on the one, the other is at its end, as urllib3 sees it."""

    def __init__(self, network: Network, timeout: float | None) -> None:
        self._network, self._timeout = network, timeout
        self._sent = bytearray()
        self._incoming: deque[tuple[float, bytes | None]] = deque()
        self._under_way: Generator[float, None, None] | None = None
        self.abandoned = False

    def settimeout(self, timeout: float | None) -> None:
        self._timeout = timeout

    def fileno(self) -> int:
        """Of a connection that is sound, or that the other side closed: urllib3 keeps only the former."""
        return self._ended if self._incoming else self._quiet

    def close(self, *_: object) -> None:
        """Nothing is kept that would have to be let go."""

    shutdown = setsockopt = close

    def sendall(self, data: bytes) -> None:
        """Take a part of a request; it is carried when its answer is read."""
        self._sent += data
        head, found, body = bytes(self._sent).partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                       if line.startswith(b"content-length:")), 0)  # fmt: skip
        if found and len(body) >= length:
            self._under_way = self._network.exchange(self, bytes(self._sent))
            self._sent.clear()

    def makefile(self, _mode: str = "rb", _buffering: int | None = None) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self))

    def receive(self, data: bytes, after: float = 0.0) -> None:
        """Bytes that arrive after so many seconds."""
        self._incoming.append((self._network.simulation.time + after, data))

    def receive_end(self) -> None:
        """The other side closes the connection."""
        self.receive(b"")

    def receive_reset(self) -> None:
        """The other side breaks the connection off."""
        self._incoming.append((0.0, None))

    def read(self, most: int) -> bytes:
        """The next bytes, as soon as there are some, b"" at the end.

        Raises:
            TimeoutError: nothing came within the time-out.
            ConnectionResetError: the connection broke.
        """
        simulation = self._network.simulation
        end = simulation.time + (1e9 if self._timeout is None else self._timeout)
        while not self._incoming:
            if self._under_way is None:
                return b""
            self._carry(end)
        at, data = self._incoming[0]
        if at > end:
            simulation.sleep(end - simulation.time)
            raise TimeoutError("timed out")
        simulation.sleep(at - simulation.time)
        if data is None:
            raise ConnectionResetError(104, "Connection reset by peer")
        if data == b"":
            return b""
        self._incoming.popleft()
        if len(data) > most:
            self._incoming.appendleft((at, data[most:]))
        return data[:most]

    def _carry(self, end: float) -> None:
        """Let the exchange go on until it is over; what takes longer goes on without the caller."""
        simulation, exchange = self._network.simulation, self._under_way
        assert exchange is not None
        for seconds in exchange:
            if simulation.time + seconds > end:
                left = seconds - (end - simulation.time)
                simulation.sleep(end - simulation.time)
                self._under_way, self.abandoned = None, True
                simulation.later(left, lambda: self._go_on(exchange))
                raise TimeoutError("timed out")
            simulation.sleep(seconds)
        self._under_way = None

    def _go_on(self, exchange: Generator[float, None, None]) -> None:
        seconds = next(exchange, None)
        if seconds is not None:
            self._network.simulation.later(seconds, lambda: self._go_on(exchange))


class _Incoming(io.RawIOBase):
    """The reading side of a socket."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._socket.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@types.coroutine
def _sleep(seconds: float) -> Generator[float, None, None]:
    """The application's own delays pass in virtual time."""
    yield seconds


def _driven(application: Any) -> Generator[float, None, None]:
    """Run an ASGI application that waits for nothing but `_sleep`."""
    while True:
        try:
            seconds = application.send(None)
        except StopIteration:
            return
        yield seconds


def _head(status: int, headers: Sequence[tuple[str, str]]) -> bytes:
    phrases = {one.value: one.phrase for one in HTTPStatus}
    lines = [f"HTTP/1.1 {status} {phrases.get(status, '')}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
