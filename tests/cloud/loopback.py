"""A server on loopback that answers whatever a test writes down, byte for byte."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Script = Callable[[socket.socket], object]


@dataclass(frozen=True)
class Seen:
    """A request as it came over the wire. Header names are in lower case; `port` is the client's."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    port: int


@dataclass
class Loopback:
    """What runs behind `answering`; `seen` holds the requests in the order in which they came."""

    endpoint: str
    seen: list[Seen] = field(default_factory=list)

    def last_on(self, connection: socket.socket) -> Seen:
        """The request that is to be answered on *connection*; others may come at the same time."""
        port = connection.getpeername()[1]
        return next(one for one in reversed(self.seen) if one.port == port)


def http(status: int, body: Any = b"", **headers: Any) -> bytes:
    """A whole answer. Bodies that are not bytes become JSON; `_` in header names becomes `-`."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    stated = {"Content_Length": len(raw), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in stated.items() if value is not None]
    return "\r\n".join([f"HTTP/1.1 {status} Said", *lines, "", ""]).encode() + raw


def hang_up(_connection: socket.socket) -> None:
    """Close the connection without a word."""
    raise ConnectionError


def silent(connection: socket.socket) -> None:
    """Say nothing until the client gives up."""
    connection.recv(1)
    raise ConnectionError


@contextlib.contextmanager
def answering(*answers: bytes | Script, tls: ssl.SSLContext | None = None) -> Iterator[Loopback]:
    """Serve *answers* one after the other, the last of them for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "http" if tls is None else "https"
    loopback = Loopback(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
    server = _Server(listener, loopback, list(answers), tls)
    server.start()
    try:
        yield loopback
    finally:
        server.end()


class _Server:
    def __init__(
        self, listener: socket.socket, loopback: Loopback, answers: list[bytes | Script], tls: Any
    ) -> None:
        self._listener = listener
        self._loopback = loopback
        self._answers = answers
        self._tls = tls
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def start(self) -> None:
        self._threads[0].start()

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, (_, port) = self._listener.accept()
                with self._lock:
                    self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection, port))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket, port: int) -> None:
        with connection, contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while (seen := _read_request(stream, port)) is not None:
                    answer = self._next(seen)
                    if isinstance(answer, bytes):
                        connection.sendall(answer)
                    else:
                        answer(connection)

    def _next(self, seen: Seen) -> bytes | Script:
        with self._lock:
            self._loopback.seen.append(seen)
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def _read_request(stream: Any, port: int) -> Seen | None:
    first = stream.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers = {}
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Seen(first[0], first[1], headers, body, port)
