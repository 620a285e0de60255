"""A proxy on loopback that spoils what passes, for faults that no well-behaved server can make."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.emulator_server import Emulator

Script = Callable[[socket], object]
"""Uses the connection in place of an answer; it is closed unless the script returns True."""


@dataclass
class Answer:
    """What the emulator answered. A length is added to `headers` unless a test sets one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @value.setter
    def value(self, value: Any) -> None:
        self.body = json.dumps(value).encode()


@dataclass
class Call:
    """One request. `number` counts those of its operation and status from 1; `forward` carries it out."""

    operation: str
    status: str | None
    query: dict[str, str]
    number: int
    forward: Callable[[], Answer]


Spoil = Callable[[Call], Answer | Script]


@contextlib.contextmanager
def proxy(cloud: Emulator, spoil: Spoil) -> Iterator[str]:
    """Serve in front of *cloud*, at the endpoint that is yielded; *spoil* makes each answer."""
    server = _Server(cloud, spoil)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        for connection in list(server.open):
            with contextlib.suppress(OSError):
                connection.shutdown(SHUT_RDWR)
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, cloud: Emulator, spoil: Spoil) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cloud, self.spoil = cloud, spoil
        self.numbers: Counter[tuple[str, str | None]] = Counter()
        self.lock = threading.Lock()
        self.open: set[socket] = set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *_args: Any) -> None:
        """Write nothing."""

    def do_GET(self) -> None:
        try:
            self._serve()
        except OSError:
            self.close_connection = True

    do_PUT = do_GET  # noqa: N815

    def _serve(self) -> None:
        operation = self.headers.get("x-acs-action", "")
        query = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        with self.server.lock:
            self.server.numbers[operation, query.get("status")] += 1
            number = self.server.numbers[operation, query.get("status")]
        call = Call(operation, query.get("status"), query, number, self._forward)
        answer = self.server.spoil(call)
        if not isinstance(answer, Answer):
            self.close_connection = not answer(self.connection)
            return
        length = {} if "Content-Length" in answer.headers else {"Content-Length": str(len(answer.body))}
        lines = [f"{name}: {value}" for name, value in {**answer.headers, **length}.items()]
        head = "\r\n".join([f"HTTP/1.1 {answer.status} Said", *lines, "", ""])
        self.connection.sendall(head.encode() + answer.body)

    def _forward(self) -> Answer:
        where = urlsplit(self.server.cloud.endpoint)
        connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=60)
        with contextlib.closing(connection):
            # The signature is that of the proxy's own host, which the header keeps.
            connection.request(self.command, self.path, headers=dict(self.headers.items()))
            response = connection.getresponse()
            body = response.read()
            headers = {name: value for name, value in response.getheaders() if name != "Content-Length"}
            return Answer(response.status, headers, body)
