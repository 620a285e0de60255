"""The memory of a whole run, whatever a server answers and however many calls are in flight."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from fc_reaper.errors import CloudError
from fc_reaper.models import Query
from tests.cloud.clients import TRANSCODE, ours
from tests.cloud.loopback import Script, answering, http

MIB = 1 << 20
FUNCTIONS = 16

POLICY = """\
version: 1
policies:
  - name: runaway
    targets: [{targets}]
    match: {{status: Running, where: payload.x}}
    report: it is lost
"""

RUN = """
import json, sys
from tests.reaping import reap

reaped = reap(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), timeout=600)
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak) >> 10, reaped.counts.get("listed", 0))
"""


def a_page(payload: str, tasks: int = 25, **more: object) -> bytes:
    record = {"status": "Running", "invocationPayload": payload, **more}
    return json.dumps({"invocations": [{"invocationId": f"t-{n}", **record} for n in range(tasks)]}).encode()


def padded(body: bytes, size: int) -> bytes:
    return body + b" " * (size - len(body))


def endless(connection: socket.socket) -> None:
    connection.sendall(http(200, b'{"invocations": ["', Content_Length=None))
    while True:
        connection.sendall(b"x" * MIB)


def wide() -> bytes:
    """One wide character makes every other one of its text as wide in memory."""
    return a_page("x" * 300_000 + "?").replace(b"?", "\U0001f600".encode())


ANSWERS: dict[str, tuple[bytes | Script, int]] = {
    "as-large-as-may-be": (http(200, padded(wide(), 8 * MIB)), 25 * FUNCTIONS),
    "with-a-record-that-has-no-id": (http(200, padded(wide().replace(b"t-24", b""), 8 * MIB)), 0),
    "a-byte-too-large": (http(200, padded(a_page("", 1), 8 * MIB + 1)), 0),
    "small-values": (http(200, a_page("", 1, more=[[]] * 2_000_000)), 0),
    "escapes": (
        http(200, padded(a_page("", 1, more="?").replace(b"?", b"\\u0041" * 1_300_000), 8 * MIB)),
        16,
    ),
    "endless": (endless, 0),
    "compressed": (http(200, gzip.compress(b" " * (256 * MIB), 1), Content_Encoding="gzip"), 0),
}


@pytest.mark.parametrize(("answer", "listed"), ANSWERS.values(), ids=ANSWERS)
def test_a_run_stays_below_two_hundred_megabytes(answer: bytes | Script, listed: int) -> None:
    """Sixteen functions, all listed at once; a function of the platform has 256 MB."""
    with answering(answer) as server:
        megabytes, seen = run(server.endpoint, [f"media/f{number}" for number in range(FUNCTIONS)], {})
    assert megabytes < 200
    assert seen == listed


def run(endpoint: str, targets: list[str], event: object) -> tuple[int, int]:
    """How many megabytes a run took in a process of its own, and how many tasks it listed."""
    text = POLICY.format(targets=", ".join(targets))
    command = [sys.executable, "-c", RUN, endpoint, text, json.dumps(event)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    megabytes, seen = map(int, done.stdout.split())
    return megabytes, seen


def test_tasks_that_an_event_names_are_let_go_of_one_by_one() -> None:
    """Each may have a large record."""

    def a_task(connection: socket.socket) -> None:
        invocation_id = urlsplit(server.last_on(connection).target).path.rpartition("/")[2]
        record = {"invocationId": invocation_id, "status": "Running", "invocationPayload": "x" * 4 * MIB}
        listed = invocation_id.startswith("stateful")
        connection.sendall(http(200, {"invocations": []} if listed else record))

    event = [{"functionName": "f", "invocationId": f"t-{number}"} for number in range(60)]
    with answering(a_task) as server:
        megabytes, seen = run(server.endpoint, ["media/f"], event)
    assert megabytes < 200
    assert seen == 60


def test_a_page_is_made_to_fit() -> None:
    """Where a page is too large, fewer tasks are asked for, at last one."""

    def sized(connection: socket.socket) -> None:
        limit = int(dict(parse_qsl(urlsplit(server.last_on(connection).target).query))["limit"])
        connection.sendall(http(200, a_page("x" * 3 * MIB, limit)))

    with answering(sized) as server, ours(server.endpoint) as client:
        assert len(client.list_page(Query(TRANSCODE, payload=True)).tasks) == 1
    assert [parse_qs(urlsplit(seen.target).query)["limit"] for seen in server.seen] == [["25"], ["5"], ["1"]]


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
