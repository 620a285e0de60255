"""The line to one endpoint: pooled connections, bounded in time and size, that can be cut at any moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from urllib3 import Timeout

from fc_reaper.cloud.connections import Ends, pool_of
from fc_reaper.cloud.endpoint import Endpoint
from fc_reaper.cloud.failures import CallFailed, aborted
from fc_reaper.cloud.silence import HTTP_FAULTS, silence

_CHUNK = 1 << 16
_LARGEST_BODY = 64 << 20
"""A page of 100 tasks with 128 KB of payload each is a fifth of it."""


class Reply(NamedTuple):
    """What came over the line. `headers` are looked up without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Line:
    """Connections to one endpoint, for any number of threads; at most *pool_size* are kept open for reuse.

    *connect_timeout* bounds a connection attempt, *read_timeout* the whole answer from its first byte to its
    last, both in seconds. Nothing is redirected, retried or sent through a proxy, and no netrc is read.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connect_timeout: float,
        read_timeout: float,
        pool_size: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._ends = Ends(monotonic)
        self._pool = pool_of(endpoint, pool_size, self._ends)

    @property
    def cut(self) -> bool:
        """Whether the line was closed or aborted for good."""
        return self._ends.cut

    def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, left: float | None
    ) -> Reply:
        """Send one request and read its whole answer, all within *left* seconds if given.

        Raises:
            CallFailed: no whole answer came (`ConnectionFailed`, `TimedOut`), or one of more than 64 MiB
                (`UnreadableAnswer`), or the line is cut (`Aborted`).
        """
        if self.cut:
            raise aborted()
        try:
            return self._exchange(method, target, headers, body, self._timeout(left))
        except HTTP_FAULTS as fault:
            raise self._fault(fault) from None

    def abort(self) -> None:
        """Shut every connection down, under the hands of whoever reads from it."""
        self._ends.cut_all()

    def close(self) -> None:
        """Let the kept connections go; requests under way end in peace."""
        self._ends.cut = True
        self._pool.close()

    def _fault(self, fault: Exception) -> CallFailed:
        return aborted() if self.cut else silence(fault)

    def _timeout(self, left: float | None) -> Timeout:
        connect, read = self._connect_timeout, self._read_timeout
        if left is None:
            return Timeout(connect=connect, read=read)
        return Timeout(total=left, connect=min(connect, left), read=min(read, left))

    def _exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, timeout: Timeout
    ) -> Reply:
        response: Any = self._pool.urlopen(
            method,
            target,
            body=body or None,
            headers=dict(headers),
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=timeout,
            preload_content=False,
            enforce_content_length=True,
        )
        try:
            whole = _read(response)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return Reply(response.status, response.headers, whole)


def _read(response: Any) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := response.read(_CHUNK):
        size += len(chunk)
        if size > _LARGEST_BODY:
            raise CallFailed(
                "the body is larger than 64 MiB", http_status=response.status, error_code="UnreadableAnswer"
            )
        chunks.append(chunk)
    return b"".join(chunks)
