"""fc2's client with its one seam replaced: every request leaves and every answer enters here."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import fc2
import requests

from fc_reaper import __version__
from fc_reaper.clock import Clock, Deadline
from fc_reaper.cloud import acs3, fc_signature
from fc_reaper.cloud.answers import Answer, refusal
from fc_reaper.cloud.endpoint import Endpoint
from fc_reaper.cloud.failures import aborted, out_of_time
from fc_reaper.cloud.inherited import as_response, inherited_request
from fc_reaper.cloud.line import Line
from fc_reaper.cloud.redaction import clean, scrubbed
from fc_reaper.cloud.request import CLASSIC, Credentials, Request, checked_headers
from fc_reaper.cloud.retry import Retry
from fc_reaper.models import Millis


class Door(fc2.Client):  # type: ignore[misc]  # fc2 has no types
    """Signs, sends, reads, and asks again; knows nothing of tasks.

    All methods of `fc2.Client` work through it, except the two that bypass the seam.
    Safe for any number of threads.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        line: Line,
        *,
        common_headers: Mapping[str, str],
        clock: Clock,
        jitter: Callable[[], float],
        pace: Callable[[Deadline | None], None],
        on_call: Callable[[str], None],
    ) -> None:
        super().__init__(
            endpoint=endpoint.url,
            accessKeyID=credentials.access_key_id,
            accessKeySecret=credentials.access_key_secret,
            securityToken=credentials.security_token,
        )
        self.user_agent: str = f"fc-reaper/{__version__} {self.user_agent}"
        self._credentials = credentials
        self._line = line
        self._common_headers = checked_headers({"user-agent": self.user_agent, **common_headers})
        self._clock = clock
        self._pace = pace
        self._on_call = on_call
        self._retry = Retry(clock, jitter, self._require_line)
        self._skew: Millis = 0
        self._skew_lock = threading.Lock()
        self._waiting = threading.local()

    @property
    def skew_ms(self) -> Millis:
        """The largest difference seen for certain between the local clock and the answers' `Date`."""
        return self._skew

    def close(self) -> None:
        """Let the connections go. Every later call fails at once with the code `Aborted`."""
        self._line.close()

    def abort(self) -> None:
        """Shut the connections down, so that calls under way end with the code `Aborted`, as later ones do.

        A thread that is still connecting ends after the connect time-out at the latest.
        """
        self._line.abort()

    def _ask(self, request: Request, deadline: Deadline | None = None) -> Answer:
        """Send a question until it is answered or patience ends (see `Retry`)."""
        return self._retry(lambda: self._attempt(request, deadline), deadline)

    def _attempt(self, request: Request, deadline: Deadline | None = None) -> Answer:
        """Send once, signed for this moment.

        Raises:
            CallFailed: no answer, or one outside 200..299, or one that tells of a failed function.
        """
        self._take_turn(deadline)
        self._require_line()
        left = self._time_left(request, deadline)
        self._on_call(request.operation)
        sent = self._clock.now()
        headers = self._signed(request, sent)
        reply = self._line.exchange(request.method, request.target, headers, request.body, left)
        answer = Answer(reply.status, reply.headers, reply.body, sent, self._clock.now())
        self._note_skew(answer.skew)
        # A function that failed is told in a header, and the status is 200.
        if not 200 <= answer.status < 300 or answer.headers.get("X-Fc-Error-Type"):
            refused = refusal(answer._replace(body=scrubbed(answer.body, headers, self._credentials)))
            raise clean(refused, headers, self._credentials)
        return answer

    def _turns(self) -> int:
        """Turns that this thread has waited for already."""
        return getattr(self._waiting, "turns", 0)

    def _take_turn(self, deadline: Deadline | None) -> None:
        if self._turns():
            self._waiting.turns -= 1
        else:
            self._pace(deadline)

    def _require_line(self) -> None:
        if self._line.cut:
            raise aborted()

    def _time_left(self, request: Request, deadline: Deadline | None) -> float | None:
        if deadline is None:
            return None
        left = deadline - self._clock.monotonic()
        if left <= 0:
            raise out_of_time(request.operation)
        return left

    def _signed(self, request: Request, now: Millis) -> dict[str, str]:
        dated = {**self._common_headers, "x-fc-date": fc_signature.http_date(now), **request.headers}
        dressed = request._replace(headers=dated)
        if request.version == CLASSIC:
            return fc_signature.signed_headers(dressed, self._credentials, self.host, now)
        return acs3.signed_headers(dressed, self._credentials, self.host, now, uuid.uuid4().hex)

    def _note_skew(self, skew: Millis) -> None:
        if skew > self._skew:
            with self._skew_lock:
                self._skew = max(self._skew, skew)

    # What fc2 calls, or lets others call, by these names:

    def _build_common_headers(
        self,
        method: str,
        path: str,
        customHeaders: Mapping[str, Any] = {},  # noqa: N803
        unescaped_queries: Any = None,
    ) -> dict[str, Any]:
        """The caller's own headers and no others: the signature is made at each attempt, not here."""
        return dict(customHeaders or {})

    def _do_request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, Any] | None,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> requests.Response:
        """Send what an inherited method asks for; a GET is asked again after a passing trouble.

        Raises:
            CallFailed: as `_attempt`.
            InvalidName: the path or a header holds what must not be sent.
        """
        request = inherited_request(method, path, headers or {}, params or {}, body)
        answer = self._ask(request) if request.method == "GET" else self._attempt(request)
        return as_response(answer, f"{self.endpoint}{request.target}")

    def do_http_request(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse: fc2 sends HTTP triggers around the seam, with its own retries and logging."""
        raise NotImplementedError("this client calls no HTTP triggers; use fc2.Client for that")

    def websocket(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse: fc2 opens web sockets around the seam."""
        raise NotImplementedError("this client opens no web sockets; use fc2.Client for instance_exec")
