"""Connections that can be cut from outside, and that read an answer within a fixed time.

urllib3 keeps them, reuses them and speaks TLS; this adds what it cannot do: its read time-out starts again
with every byte, and a thread that hangs in a read cannot be called back.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import weakref
from collections.abc import Callable
from typing import Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from fc_reaper.cloud.endpoint import Endpoint

_BUFFER = 1 << 16


class Ends:
    """Our ends of all open connections, so that one call can shut them down."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic
        self.cut = False
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def add(self, end: socket.socket) -> None:
        """Know one more connection; it is shut at once if the line was cut in the meantime."""
        with self._lock:
            self._sockets.add(end)
            late = self.cut
        if late:
            _shut(end)

    def cut_all(self) -> None:
        """Shut every connection down, under the hands of whoever reads from it."""
        with self._lock:
            self.cut = True
            ends = list(self._sockets)
        for end in ends:
            _shut(end)


def _shut(end: socket.socket) -> None:
    try:
        # Not SSLSocket.shutdown, which pulls the TLS state away from a thread that is reading.
        socket.socket.shutdown(end, socket.SHUT_RDWR)
    except OSError:
        return  # It has ended by itself.


class _Reader(io.RawIOBase):
    """Reads from a socket until a moment; a server that sends a byte a second does not move it."""

    def __init__(self, end: socket.socket, monotonic: Callable[[], float]) -> None:
        self._end = end
        self._file = end.makefile("rb", buffering=0)
        self._monotonic = monotonic
        patience = end.gettimeout()
        self._until = None if patience is None else monotonic() + patience

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._until is not None:
            left = self._until - self._monotonic()
            if left <= 0:
                raise TimeoutError("the answer took too long")
            self._end.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Answering:
    """Stands for a socket where http.client asks it for a file to read the answer from."""

    def __init__(self, end: socket.socket, monotonic: Callable[[], float]) -> None:
        self._reader = _Reader(end, monotonic)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader, _BUFFER)


class _Tied:
    """What both kinds of connection add to urllib3's: they are known to the line, and read within bounds."""

    ends: Ends
    sock: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]  # the other base has it
        self.ends.add(self.sock)

    def response_class(self, end: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        # urllib3 has set the read time-out on the socket just before.
        answering: Any = _Answering(end, self.ends.monotonic)
        return http.client.HTTPResponse(answering, *args, **kwargs)


class _PlainConnection(_Tied, HTTPConnection):  # type: ignore[misc]  # response_class is a method here
    pass


class _SecureConnection(_Tied, HTTPSConnection):  # type: ignore[misc]  # response_class is a method here
    pass


class _TiedPool:
    ends: Ends

    def _new_conn(self) -> Any:
        connection = super()._new_conn()  # type: ignore[misc]  # the other base has it
        connection.ends = self.ends
        return connection


class _PlainPool(_TiedPool, HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(_TiedPool, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def pool_of(endpoint: Endpoint, size: int, ends: Ends) -> HTTPConnectionPool:
    """A pool of connections to *endpoint* that keeps at most *size* of them and ties each to *ends*."""
    pool: _PlainPool | _SecurePool
    if endpoint.scheme == "http":
        pool = _PlainPool(endpoint.host, endpoint.port, maxsize=size)
    else:
        pool = _SecurePool(
            endpoint.host,
            endpoint.port,
            maxsize=size,
            cert_reqs="CERT_REQUIRED",
            ca_certs=DEFAULT_CA_BUNDLE_PATH,
        )
    pool.ends = ends
    return pool
