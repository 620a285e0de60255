"""Whatever a server answers: a run ends well, counts each task once, and stops nothing beyond its policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from socket import socket
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.emulator_server import running_emulator
from tests.reliability.case import call_handler, effective_stops, is_sound
from tests.reliability.proxy import Answer, Call, Script, proxy
from tests.run.account import policy, seeded

ACCOUNT = {
    "invocations": [
        seeded("over-{n}", "Running", count=4, enqueued="-5h", started="-3h"),
        seeded("young-{n}", "Running", count=2, enqueued="-10m", started="-9m"),
        seeded("keep-1", "Running", enqueued="-9h", started="-9h"),
        {**seeded("other-1", "Running", enqueued="-9h", started="-9h"), "functionName": "resize"},
    ]
}

POLICIES = [
    policy(budget="2/run"), policy(budget="2/run, 5/day"), policy(budget="2/run", halt_over="9"),
    policy(budget="2/run", match="{alive_for: 2h}", unless="[young-*]"),
    policy(budget="2/run", targets="['media/trans*@*']"), policy(budget="2/run", keep="{at_most: 1}"),
]  # fmt: skip

WORDS: list[Any] = [
    None, True, 0, -1, 1e400, 2**70, "", " ", "Running", "Stopped", "\x00", "\ud800", "\u202e", "over-1",
    "keep-1", [], {}, [[]], [None], {"a": {}}, "2026-01-01T00:00:00Z", 1_700_000_000, "x" * 5_000,
]  # fmt: skip

SHORT = {"REAPER_CONCURRENCY": "2", "REAPER_MARGIN": "4s"}

Damage = Callable[[Random, Answer], Answer | Script]


def replaced(dice: Random, value: Any) -> Any:
    """One place of a JSON value holds something else."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        key = dice.choice(list(value))
        return {**value, key: replaced(dice, value[key])}
    if isinstance(value, list) and value and dice.random() < 0.9:
        place = dice.randrange(len(value))
        return [*value[:place], replaced(dice, value[place]), *value[place + 1 :]]
    return dice.choice(WORDS)


def another_value(dice: Random, answer: Answer) -> Answer:
    value = json.loads(answer.body or b"null")
    for _ in range(dice.randint(1, 3)):
        value = replaced(dice, value)
    answer.body = json.dumps(value).encode("utf-8", "surrogatepass")
    return answer


def other_bytes(dice: Random, answer: Answer) -> Answer:
    body = bytearray(answer.body)
    for _ in range(dice.randint(1, 4)):
        if body:
            body[dice.randrange(len(body))] = dice.randrange(256)
    answer.body = bytes(body)
    return answer


def a_part(dice: Random, answer: Answer) -> Answer:
    answer.body = answer.body[: dice.randint(0, len(answer.body))]
    return answer


def another_status(dice: Random, answer: Answer) -> Answer:
    statuses = [101, 199, 204, 206, 226, 300, 304, 307, 400, 401, 404, 409, 418, 451, 511, 599]
    answer.status = dice.choice(statuses)
    return answer


def other_headers(dice: Random, answer: Answer) -> Answer:
    name, value = dice.choice(
        [("Content-Encoding", "gzip"), ("Content-Encoding", "br"), ("Transfer-Encoding", "chunked"),
         ("Content-Length", "-1"), ("Content-Length", "7"), ("Connection", "close"), ("Date", ""),
         ("Retry-After", "-5"), ("Retry-After", "1e9"), ("X-Fc-Request-Id", "\x1b[31m"),
         ("Content-Type", "text/html; charset=utf-7"), ("Location", "http://127.0.0.1:9/")]
    )  # fmt: skip
    answer.headers[name] = value
    return answer


def cut_connection(dice: Random, answer: Answer) -> Script:
    raw = f"HTTP/1.1 {answer.status} OK\r\nContent-Length: {len(answer.body)}\r\n\r\n".encode() + answer.body
    part = raw[: dice.randint(0, len(raw) - 1)]

    def script(connection: socket) -> None:
        connection.sendall(part)

    return script


def noise(dice: Random, _answer: Answer) -> Script:
    raw = dice.randbytes(dice.randint(1, 300))

    def script(connection: socket) -> None:
        connection.sendall(raw)

    return script


DAMAGES: list[Damage] = [
    another_value, another_value, another_value, other_bytes, a_part, another_status, other_headers,
    cut_connection, noise,
]  # fmt: skip


@settings(max_examples=settings().max_examples // 5)
@given(st.sampled_from(POLICIES), st.integers(0, 2**32), st.sampled_from([0.05, 0.3, 1.0]))
def test_no_answer_leads_a_run_beyond_its_policy(text: str, seed: int, share: float) -> None:
    """Budget, exemption and targets hold though records lie; a later run that hears the truth is as ever."""
    dice, earlier = Random(seed), list[Answer]()

    def spoil(call: Call) -> Answer | Script:
        answer = call.forward()
        if dice.random() >= share:
            earlier.append(Answer(answer.status, dict(answer.headers), answer.body))
            return answer
        if earlier and dice.random() < 0.1:
            return dice.choice(earlier)  # that of another call
        return dice.choice(DAMAGES)(dice, answer)

    with running_emulator("--stopping", "0ms", seed=ACCOUNT) as cloud:
        with proxy(cloud, spoil) as endpoint:
            ran = call_handler(endpoint, text, timeout=6, env=SHORT)
        is_sound(ran)
        stops = effective_stops(cloud)
        assert len(stops) <= 2
        assert not stops.keys() & {"keep-1", "other-1"}
        assert max(stops.values(), default=1) == 1
        is_sound(call_handler(cloud.endpoint, text))
        assert effective_stops(cloud).keys() - stops.keys() <= {"over-1", "over-2", "over-3", "over-4"}
