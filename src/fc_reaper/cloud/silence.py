"""When no whole answer came: urllib3's many words for it become two."""

from __future__ import annotations

from http.client import HTTPException
from typing import Any

from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    NewConnectionError,
)
from urllib3.exceptions import SSLError as TlsError
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from fc_reaper.cloud.failures import CallFailed, aborted

HTTP_FAULTS = (HTTPError, OSError, HTTPException)
"""All that urllib3, http.client and sockets raise."""


def silence(fault: Any) -> CallFailed:
    """The error that one of HTTP_FAULTS stands for."""
    if isinstance(fault, ClosedPoolError):
        return aborted()
    if isinstance(fault, DecodeError):
        return CallFailed("the body is compressed wrongly", error_code="UnreadableAnswer")
    if isinstance(fault, NewConnectionError):
        return _no_connection(str(fault).rsplit(": ", 1)[-1])
    if isinstance(fault, ConnectTimeoutError):
        return CallFailed("no connection within the time-out", error_code="TimedOut", retryable=True)
    if isinstance(fault, (PoolTimeoutError, TimeoutError)):
        return CallFailed(
            "no whole answer within the time-out", error_code="TimedOut", retryable=True, unclear=True
        )
    if isinstance(fault, TlsError):
        return _no_trust(str(fault))
    return _broken(fault)


def _no_connection(why: str) -> CallFailed:
    return CallFailed(f"no connection: {why}", error_code="ConnectionFailed", retryable=True)


def _no_trust(why: str) -> CallFailed:
    # A certificate that is wrong now is wrong a second later.
    passing = "CERTIFICATE_VERIFY_FAILED" not in why
    return CallFailed(f"no TLS: {why}", error_code="ConnectionFailed", retryable=passing, unclear=passing)


def _broken(fault: Any) -> CallFailed:
    # What a server wrote is not repeated: it may have repeated what we signed.
    cause = fault.args[-1] if fault.args else fault
    why = cause if isinstance(cause, OSError) else type(fault).__name__
    return CallFailed(
        f"the connection broke: {why}", error_code="ConnectionFailed", retryable=True, unclear=True
    )
