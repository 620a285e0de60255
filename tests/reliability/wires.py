"""The network: connections that fail, answers that are late, cut, endless, compressed or somebody else's."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from socket import socket
from typing import Any

from tests.reliability.answers import ALWAYS, of
from tests.reliability.case import GET, LIST, STOP, Case
from tests.reliability.proxy import Answer, Call, Script, Spoil

LATE: dict[str, Any] = {"timeout": 3.5, "env": {"REAPER_MARGIN": "2s"}}
"""A run that has a second and a half."""


def spoiling(operation: str, make: Callable[[Call, Answer], Answer | Script], times: int = ALWAYS) -> Spoil:
    """Change the first *times* answers to *operation*."""

    def spoil(call: Call) -> Answer | Script:
        answer = call.forward()
        return make(call, answer) if call.operation == operation and call.number <= times else answer

    return spoil


def dripping_head(_call: Call, _answer: Answer) -> Script:
    """A header line that never ends."""

    def script(connection: socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(0.05)

    return script


def dripping_body(_call: Call, answer: Answer) -> Script:
    """The body, a byte now and then."""

    def script(connection: socket) -> None:
        connection.sendall(f"HTTP/1.1 {answer.status} OK\r\nContent-Length: 99999\r\n\r\n".encode())
        for _ in range(200):
            connection.sendall(b" ")
            time.sleep(0.05)

    return script


def endless(_call: Call, _answer: Answer) -> Script:
    """A body of unknown length that goes on."""

    def script(connection: socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{")
        while True:
            connection.sendall(b" " * 1_000_000)

    return script


def squeezed(_call: Call, answer: Answer) -> Answer:
    """The same body, compressed."""
    return Answer(answer.status, {**answer.headers, "Content-Encoding": "gzip"}, gzip.compress(answer.body))


def squeezed_wrongly(_call: Call, answer: Answer) -> Answer:
    return Answer(answer.status, {**answer.headers, "Content-Encoding": "gzip"}, answer.body)


def bomb(_call: Call, answer: Answer) -> Answer:
    """Twenty megabytes of blanks in a hundred kilobytes."""
    body = gzip.compress(b" " * 20_000_000, 1)
    return Answer(answer.status, {**answer.headers, "Content-Encoding": "gzip"}, body)


def negative_chunk(_call: Call, _answer: Answer) -> Script:
    return lambda connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n"
    )


def headers_without_end(_call: Call, _answer: Answer) -> Script:
    def script(connection: socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-More: x\r\n" * 1000)

    return script


def too_long(_call: Call, answer: Answer) -> Answer:
    """More bytes than the header says."""
    return Answer(answer.status, {**answer.headers, "Content-Length": str(len(answer.body) - 5)}, answer.body)


def too_short(_call: Call, answer: Answer) -> Answer:
    """Blanks that the header does not count."""
    length = {"Content-Length": str(len(answer.body))}
    return Answer(answer.status, {**answer.headers, **length}, answer.body + b" " * 9)


def no_http(_call: Call, _answer: Answer) -> Script:
    return lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


def empty(_call: Call, answer: Answer) -> Answer:
    return Answer(200, answer.headers, b"")


def replaced(body: bytes) -> Callable[[Call, Answer], Answer]:
    return lambda _call, answer: Answer(200, answer.headers, body)


PAGE = "<html>busy</html>"

CONNECTIONS = [
    Case("nobody listens at the endpoint", endpoint="http://127.0.0.1:9"),
    Case("the connection breaks before one list is served", [of(LIST, 1, drop="before")]),
    Case("the connection breaks before each read of a task", [of(GET, drop="before")]),
    Case("the connection breaks before the first stop is carried out", [of(STOP, 1, drop="before")]),
    Case("the connection breaks before each stop is carried out", [of(STOP, drop="before")]),
    Case("something that is no HTTP answers one list", spoil=spoiling(LIST, no_http, 1)),
]  # fmt: skip

TIMES = [
    Case("no answer to any call", [of("*", delay="30s")], **LATE),
    Case("no answer to one read of a task", [of(GET, 1, delay="30s")], **LATE),
    Case("no answer to one stop", [of(STOP, 1, delay="30s")], **LATE),
    Case("headers of the lists that never end", spoil=spoiling(LIST, dripping_head), **LATE),
    Case("bodies of the reads that never end, a byte now and then",
         spoil=spoiling(GET, dripping_body), **LATE),
]  # fmt: skip

BODIES = [
    Case("a list is cut in the middle, once", [of(LIST, 1, truncate=True)]),
    Case("each list is cut in the middle", [of(LIST, truncate=True)]),
    Case("each read of a task is cut in the middle", [of(GET, truncate=True)]),
    Case("each answer to a stop is cut in the middle", [of(STOP, truncate=True)], ("--stopping", "0ms")),
    Case("lists are compressed", spoil=spoiling(LIST, squeezed)),
    Case("lists claim to be compressed and are not", spoil=spoiling(LIST, squeezed_wrongly)),
    Case("lists of twenty megabytes, compressed", spoil=spoiling(LIST, bomb)),
    Case("more headers than anybody counts, to each list", spoil=spoiling(LIST, headers_without_end)),
    Case("lists are longer than their `Content-Length`", spoil=spoiling(LIST, too_long)),
    Case("blanks follow each read of a task, beyond its `Content-Length`", spoil=spoiling(GET, too_short)),
    Case("lists that never end", spoil=spoiling(LIST, endless)),
    Case("chunks of the lists have a negative size", spoil=spoiling(LIST, negative_chunk)),
    Case("a gateway's page with 502 to one list", [of(LIST, 1, status=502, foreign=PAGE)]),
    Case("a gateway's page with 200 to each list", [of(LIST, status=200, foreign=PAGE)]),
    Case("a gateway's page with 200 to each read of a task", [of(GET, status=200, foreign=PAGE)]),
    Case("a gateway's page with 200 to each stop, none takes effect", [of(STOP, status=200, foreign=PAGE)]),
    Case("an empty 200 to each list", spoil=spoiling(LIST, empty)),
    Case("an empty 200 to each read of a task", spoil=spoiling(GET, empty)),
    Case("an empty 200 to each stop, which takes effect", spoil=spoiling(STOP, empty)),
    Case("`{}` to each read of a task", spoil=spoiling(GET, replaced(b"{}"))),
    Case("`[]` to each list", spoil=spoiling(LIST, replaced(b"[]"))),
    Case("`null` to each read of a task", spoil=spoiling(GET, replaced(b"null"))),
]  # fmt: skip

CASES = {"Connections": CONNECTIONS, "Calls that take too long": TIMES, "Bodies": BODIES}
