"""Refusals of the cloud: statuses, keys and clocks."""

from __future__ import annotations

import time
from email.utils import formatdate
from socket import socket
from typing import Any

from tests.reliability.case import GET, HURRIED, LIST, STOP, Case
from tests.reliability.proxy import Answer, Call, Script, Spoil
from tests.run.account import policy

ALWAYS = 999_999
IN_TURN: dict[str, Any] = {"timeout": 4, "env": {"REAPER_MARGIN": "3s", "REAPER_CONCURRENCY": "1"}}
"""A run that has a second, and makes one call after the other."""


def of(operation: str, times: int = ALWAYS, **more: Any) -> dict[str, Any]:
    return {"operation": operation, "times": times, **more}


def no_date(call: Call) -> Answer:
    answer = call.forward()
    del answer.headers["Date"]
    return answer


def expired(operation: str) -> list[dict[str, Any]]:
    """The keys are good for lists, and no longer when tasks are read or stopped."""
    return [of(operation, status=403, code="InvalidSecurityToken.Expired")]


THROTTLED: dict[str, Any] = {"status": 429, "code": "ResourceExhausted"}

RATES = [
    Case("429 once", [of("*", 1, **THROTTLED)]),
    Case("429 once, with `Retry-After: 1`", [of("*", 1, **THROTTLED, retryAfter=1)]),
    Case("429 once, with `Retry-After: 86400`", [of("*", 1, **THROTTLED, retryAfter=86400)], **IN_TURN),
    Case("429 to the first list, with `Retry-After: tomorrow`",
         [of(LIST, 1, **THROTTLED, headers={"Retry-After": "tomorrow"})]),
    Case("429 five times", [of("*", 5, **THROTTLED)]),
    Case("429 to every call", [of("*", **THROTTLED)], **IN_TURN),
    Case("429 to every stop", [of(STOP, **THROTTLED)]),
]  # fmt: skip


def _server_errors() -> list[Case]:
    cases = []
    for status in (500, 502, 503, 504):
        cases += [
            Case(f"{status} to one list", [of(LIST, 1, status=status)]),
            Case(f"{status} to the first five calls", [of("*", 5, status=status)]),
            Case(f"{status} to every call", [of("*", status=status)]),
        ]
    return [
        *cases,
        Case("503 to every read of a task", [of(GET, status=503)]),
        Case("503 to one stop", [of(STOP, 1, status=503)]),
        Case("500 to every stop", [of(STOP, status=500)]),
    ]


def informational(operation: str) -> Spoil:
    """A 103 to each call, and the answer a moment later, on a connection that stays open."""

    def spoil(call: Call) -> Answer | Script:
        answer = call.forward()
        if call.operation != operation:
            return answer
        head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        rest = f"HTTP/1.1 {answer.status} Said\r\n{head}Content-Length: {len(answer.body)}\r\n\r\n"

        def script(connection: socket) -> bool:
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")
            time.sleep(0.02)
            connection.sendall(rest.encode() + answer.body)
            return True

        return script

    return spoil


ELSEWHERE: dict[str, Any] = {"status": 302, "foreign": "", "headers": {"Location": "http://127.0.0.1:9/"}}

OTHER_STATUSES = [
    Case("408 to every stop, none takes effect", [of(STOP, status=408, code="RequestTimeout")]),
    Case("408 to every stop, though it takes effect; the budget is one",
         [of(STOP, status=408, code="RequestTimeout", applied=True)], ("--stopping", "0ms"),
         policy=policy(budget="1/run")),
    Case("408 to one list", [of(LIST, 1, status=408, code="RequestTimeout", match={"status": "Running"})]),
    Case("302 to every call", [of("*", **ELSEWHERE)]),
    Case("302 to every stop", [of(STOP, **ELSEWHERE)]),
    Case("103, then the answer, to every list", spoil=informational(LIST), env={"REAPER_CONCURRENCY": "1"}),
    Case("103, then the answer, to every stop", spoil=informational(STOP), flags=("--stopping", "0ms"),
         env={"REAPER_CONCURRENCY": "1"}),
    Case("403 to every list", [of(LIST, status=403, code="AccessDenied")]),
    Case("404 with a gateway's page to every list", [of(LIST, status=404, foreign="<html>")]),
    Case("412 to every stop of a task that is Running", [of(STOP, status=412, code="PreconditionFailed")]),
]  # fmt: skip


class Jump:
    """Our clock jumps by so many milliseconds while the first task is read, and stays there."""

    def __init__(self, by: int) -> None:
        self._by, self._shift = by, 0
        self.clock = HURRIED._replace(now=lambda: HURRIED.now() + self._shift)

    def spoil(self, call: Call) -> Answer:
        self._shift = self._by if call.operation == GET else self._shift
        return call.forward()


AHEAD, BACK = Jump(600_000), Jump(-3_600_000)


def two_dates(call: Call) -> Answer:
    """The `Date` of the server, and after it that of a proxy an hour behind."""
    answer = call.forward()
    answer.headers["DATE"] = formatdate(time.time() - 3_600, usegmt=True)
    return answer


KEYS_AND_CLOCKS = [
    Case("a wrong key", env={"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "another-secret"}),
    Case("no security token where one is required", flags=("--security-token", "a-token")),
    Case("the security token expires after the list", expired(GET), env={"REAPER_CONCURRENCY": "1"}),
    Case("the security token expires before the first stop", expired(STOP), env={"REAPER_CONCURRENCY": "1"}),
    Case("the cloud's clock is two hours behind ours", [of("*", date="-2h")]),
    Case("the cloud's clock is an hour ahead of ours", [of("*", date="+1h")]),
    Case("the cloud's clock is 20 seconds behind ours", [of("*", date="-20s")]),
    Case("the cloud's clock is 20 seconds ahead of ours", [of("*", date="+20s")]),
    Case("one server's clock: reads are dated two hours behind, lists are not", [of(GET, date="-2h")]),
    Case("one answer, to the first stop, is dated two hours ahead", [of(STOP, 1, date="+2h")],
         env={"REAPER_CONCURRENCY": "1"}),
    Case("one answer, to the first stop, is dated two hours ahead; the next run",
         [of(STOP, 1, date="+2h")], env={"REAPER_CONCURRENCY": "1"}, runs=2),
    Case("no `Date` in any answer", spoil=no_date),
    Case("two `Date` headers, an hour apart", spoil=two_dates),
    Case("our clock jumps ten minutes ahead while a task is read", spoil=AHEAD.spoil, clock=AHEAD.clock,
         env={"REAPER_CONCURRENCY": "1"}),
    Case("our clock jumps an hour back while a task is read", spoil=BACK.spoil, clock=BACK.clock,
         env={"REAPER_CONCURRENCY": "1"}),
    Case("a `Date` that cannot be read", [of("*", date="soon")]),
]  # fmt: skip

CASES = {
    "The cloud refuses for now": [*RATES, *_server_errors()],
    "The cloud refuses": OTHER_STATUSES,
    "Keys and clocks": KEYS_AND_CLOCKS,
}
