"""Serves an ASGI application on a loopback address until a signal ends it."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

KEEP_ALIVE_S = 90
"""Idle connections are kept this long, as a comment in the Go SDK says of the real ones:
https://github.com/aliyun/fc-go-sdk/blob/master/connect.go"""


def loopback_socket(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes any free one.

    Raises:
        ValueError: *host* is not a loopback address.
        OSError: the port is in use, or the address does not exist.
    """
    address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    if not address.is_loopback:
        raise ValueError(f"{host} is not a loopback address; the emulator serves this machine only")
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    # Named as TCP: asyncio answers without delay (TCP_NODELAY) only on sockets that say so.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((str(address), port))
    except OSError:
        bound.close()
        raise
    return bound


def endpoint_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def configuration(app: ASGIApp) -> uvicorn.Config:
    """How uvicorn serves *app*: silent, without headers of its own."""
    return uvicorn.Config(
        as_documented(app),
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        date_header=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
    )


def as_documented(app: ASGIApp) -> ASGIApp:
    """*app*, with header names spelt as in the documents: `X-Fc-Request-Id`.

    ASGI has them in lower case, and h11 sends what it is given; the official Java client reads them by case.
    """

    async def spelt(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_spelt(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name.title(), value) for name, value in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_spelt)

    return spelt


def serve(app: ASGIApp, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; *ready* is called once connections are accepted."""
    _Server(configuration(app), ready).run(sockets=[bound])


class _Protocol(H11Protocol):
    """Puts the connection into the state of a request, so that a fault can close it."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal ends the server with status 0; uvicorn would raise it again afterwards."""
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self.handle_exit)
        yield
