"""The memory of a whole run, whatever a server answers and however many calls are in flight."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import settings

from fc_reaper.clock import Jobs, Pool
from fc_reaper.errors import CloudError
from fc_reaper.models import Page, Query
from tests.cloud.clients import TRANSCODE, FastClock, ours
from tests.cloud.loopback import Script, answering, http

MIB = 1 << 20

POLICY = """\
version: 1
policies:
  - name: runaway
    targets: [{targets}]
    match: {{status: Running, where: payload.x}}
    report: it is lost
"""

RUNS = """
import json, os, sys
from tests.reaping import reap

for line in sys.stdin:
    if child := os.fork():
        if os.waitpid(child, 0)[1]:
            sys.exit("a run failed")
    else:
        reaped = reap(*json.loads(line), timeout=600)
        (peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
        print(int(peak) >> 10, reaped.counts.get("listed", 0), flush=True)
        os._exit(0)
"""
"""A process that has imported all, and forks for each run: the most memory is counted from the fork on."""


def a_page(payload: str, tasks: int = 25, **more: object) -> bytes:
    record = {"status": "Running", "invocationPayload": payload, **more}
    return json.dumps({"invocations": [{"invocationId": f"t-{n}", **record} for n in range(tasks)]}).encode()


def padded(body: bytes, size: int) -> bytes:
    return body + b" " * (size - len(body))


def endless(connection: socket.socket) -> None:
    connection.sendall(http(200, b'{"invocations": ["', Content_Length=None))
    while True:
        connection.sendall(b"x" * MIB)


WIDE = "\U0001f600".encode()
"""In memory it makes every other character of its text as wide."""


def filled(size: int, *, unit: bytes, last: bytes = b"") -> bytes:
    """A page of one task, of about *size* bytes, whose payload is *unit* again and again, then *last*."""
    page = a_page("?", 1)
    return page.replace(b"?", unit * ((size - len(page) - len(last)) // len(unit)) + last)


def valued(values: int, unit: bytes) -> bytes:
    """A page of one task with so many values in a list; *unit* is text that becomes two of them."""
    return a_page("", 1, more="?").replace(b'"?"', b"[" + b",".join([unit] * (values // 2)) + b"]")


def many_lines(lines: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n" + a_page("", 1)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

PAGE = padded(a_page("x" * 330_000), 8 * MIB)

ANSWERS: dict[str, tuple[bytes | Script, int]] = {
    "as-large-as-may-be": (http(200, PAGE), 25),
    "with-a-record-that-has-no-id": (http(200, PAGE.replace(b"t-24", b"")), 0),
    "a-byte-too-large": (http(200, padded(a_page("", 1), 8 * MIB + 1)), 0),
    "a-quarter-of-it-in-wide-characters": (http(200, filled(2 * MIB, unit=b"x", last=WIDE)), 1),
    "all-of-it-in-wide-characters": (http(200, filled(4 * MIB, unit=b"x", last=WIDE)), 0),
    "in-escaped-wide-characters": (http(200, filled(4 * MIB, unit=b"\\ud83d\\ude00")), 0),
    "escaped-letters": (http(200, filled(4 * MIB, unit=b"\\u0041")), 1),
    "a-payload-of-small-values": (http(200, filled(4 * MIB, unit=b"[],")), 1),
    "small-values": (http(200, valued(700_000, b"[]")), 0),
    "small-texts": (http(200, filled(2 * MIB, unit=b'":2,"')), 0),
    "as-many-values-as-may-be": (http(200, valued(24_900, b'{"%s":""}' % WIDE)), 1),
    "percent-signs": (http(200, filled(250_000, unit=b"%41")), 1),
    "a-long-token": (http(200, {"invocations": [], "nextToken": "x" * MIB}), 0),
    "long-lines-before-the-body": (
        many_lines(b"".join(b"X: %s\r\n" % (b"x" * 65_000) for _ in range(90))),
        0,
    ),
    "a-trailer-without-end": (CHUNKED + b"0\r\n" + b"X: y\r\n" * 300_000, 0),
    "endless": (endless, 0),
    "compressed": (http(200, gzip.compress(b" " * (256 * MIB), 1), Content_Encoding="gzip"), 0),
}
"""What is answered, and how many tasks of each function are listed."""

TRIED = dict(list(ANSWERS.items())[:: max(1, 100 // settings().max_examples)])
"""All of them; a fifth with `--hypothesis-profile brief`."""


Run = Callable[[str, list[str], object], tuple[int, int]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """How many megabytes a run took in a process of its own, and how many tasks it listed."""
    command = [sys.executable, "-c", RUNS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def run(endpoint: str, targets: list[str], event: object) -> tuple[int, int]:
            print(
                json.dumps([endpoint, POLICY.format(targets=", ".join(targets)), event]),
                file=stdin,
                flush=True,
            )
            megabytes, seen = map(int, stdout.readline().split())
            return megabytes, seen

        yield run


@pytest.mark.parametrize(("answer", "listed"), TRIED.values(), ids=TRIED)
def test_a_run_stays_below_two_hundred_megabytes(run: Run, answer: bytes | Script, listed: int) -> None:
    """Sixteen functions, all listed at once; a function of the platform has 256 MB.

    Of answers above 1 MiB eight at once take as much as sixteen, also where they are not taken one by one.
    """
    functions = 8 if isinstance(answer, bytes) and len(answer) > MIB else 16
    with answering(answer) as server:
        megabytes, seen = run(server.endpoint, [f"media/f{number}" for number in range(functions)], {})
    assert megabytes < 144
    assert seen == functions * listed


def test_tasks_that_an_event_names_are_let_go_of_one_by_one(run: Run) -> None:
    """Each may have a large record."""

    def a_task(connection: socket.socket) -> None:
        invocation_id = urlsplit(server.last_on(connection).target).path.rpartition("/")[2]
        record = {"invocationId": invocation_id, "status": "Running", "invocationPayload": "x" * 4 * MIB}
        listed = invocation_id.startswith("stateful")
        connection.sendall(http(200, {"invocations": []} if listed else record))

    event = [{"functionName": "f", "invocationId": f"t-{number}"} for number in range(45)]
    with answering(a_task) as server:
        megabytes, seen = run(server.endpoint, ["media/f"], event)
    assert megabytes < 184
    assert seen == 45


def test_a_large_answer_waits_until_those_before_it_are_taken() -> None:
    """Else memory would grow with the calls in flight. One that is not read in time fails."""
    clock = FastClock()
    answer = http(200, a_page("x" * 20_000))
    with answering(answer) as server, ours(server.endpoint, clock=clock.clock()) as client:
        end = clock.monotonic() + 60
        jobs: Jobs[int, Page] = deque()
        jobs += ((n, partial(client.list_page, Query(TRANSCODE), deadline=end)) for n in range(6))
        pages = Pool(6, clock.clock(), lambda: False).each(jobs, end)
        taken = [next(pages)]
        time.sleep(0.3)  # long enough for all of them, if they did not wait
        clock.slept.append(60)
        taken += pages
    # One may be begun while the one before it is on its way to whoever takes it.
    assert sum(isinstance(page, Page) for _, page in taken) <= 3
    assert len(taken) == 6


def test_a_page_is_made_to_fit() -> None:
    """Where a page is too large, fewer tasks are asked for, at last one."""

    def sized(connection: socket.socket) -> None:
        limit = int(dict(parse_qsl(urlsplit(server.last_on(connection).target).query))["limit"])
        connection.sendall(http(200, a_page("x" * 3 * MIB, limit)))

    with answering(sized) as server, ours(server.endpoint) as client:
        assert len(client.list_page(Query(TRANSCODE, payload=True)).tasks) == 1
    assert [parse_qs(urlsplit(seen.target).query)["limit"] for seen in server.seen] == [["25"], ["5"], ["1"]]


@pytest.mark.parametrize(
    ("payload", "more", "limits"),
    [
        ("x" * 120_000 + "\U0001f600", {}, ["25", "5"]),
        ("x" * 300_000 + "\u8f6c", {}, ["25", "5"]),
        ("", {"events": [{"status": "Running", "timestamp": 1, "eventId": 1}] * 500}, ["25", "5"]),
        ("x" * 64_000 * 4, {"events": [{"status": "Running", "timestamp": 1}] * 60}, ["25"]),
    ],
    ids=["in wide characters", "in Chinese", "with many events", "of all that the platform accepts"],
)
def test_an_honest_page_is_read_whole(payload: str, more: dict[str, object], limits: list[str]) -> None:
    """A page that takes too much memory is asked for in parts."""

    def sized(connection: socket.socket) -> None:
        limit = int(dict(parse_qsl(urlsplit(server.last_on(connection).target).query))["limit"])
        page = json.loads(a_page(payload, limit, **more))
        connection.sendall(http(200, json.dumps(page, ensure_ascii=False).encode()))

    with answering(sized) as server, ours(server.endpoint) as client:
        tasks = client.list_page(Query(TRANSCODE, payload=True)).tasks
    assert [parse_qs(urlsplit(seen.target).query)["limit"][0] for seen in server.seen] == limits
    assert {(task.record or {})["invocationPayload"] for task in tasks} == {payload}


def test_what_is_too_large_for_one_task_is_an_error() -> None:
    """It is not tried again, and what came of it is let go of."""
    with answering(endless) as server, ours(server.endpoint) as client:
        with pytest.raises(CloudError) as caught:
            client.get(TRANSCODE, "job-1")
        assert (caught.value.error_code, caught.value.retryable, len(server.seen)) == (
            "UnreadableAnswer",
            False,
            1,
        )
        with pytest.raises(CloudError):
            client.list_page(Query(TRANSCODE))
        assert len(server.seen) == 4
