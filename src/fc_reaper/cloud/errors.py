"""How a call fails: one typed error for refusals, missing and unreadable answers."""

import json
import math
from typing import Any

from fc2 import FcError
from urllib3 import exceptions as urllib3_errors

from fc_reaper.cloud.api import Answer, read_date
from fc_reaper.errors import CloudError

_RETRYABLE = frozenset((429, 500, 502, 503, 504))


class CallFailed(CloudError, FcError):  # type: ignore[misc]  # fc2 has no types
    """A call that did not end well. Code written for fc2 catches it as `fc2.FcError`, with fc2's names."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.status_code, self.err_code = self.http_status or 0, self.error_code
        self.request_id = self.fc_request_id or ""
        shown = {"ErrorCode": self.err_code, "ErrorMessage": self.detail, "RequestId": self.request_id}
        self.message = json.dumps(shown)


class TooLarge(CallFailed):
    """An answer that is larger than any that is read."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why, http_status=status, error_code="UnreadableAnswer", unclear=True)


def closed(*, unclear: bool = False) -> CallFailed:
    """The client was closed; *unclear* if that was while a change was under way."""
    return CallFailed("the client was closed", error_code="Aborted", unclear=unclear)


def unreadable(answer: Answer, why: str) -> CallFailed:
    """An answer that claims success and cannot be understood."""
    facts = {"http_status": answer.status, "fc_request_id": answer.request_id or None}
    return CallFailed(why, error_code="UnreadableAnswer", unclear=True, **facts)


def refusal(answer: Answer) -> CallFailed:
    """The error that an answer outside 200..299 stands for.

    Servers of the platform spell the names in an error body differently, in nothing but case.
    """
    items = (answer.value or {}).items()
    facts = {key.lower(): str(value) for key, value in items if type(value) in (str, int)}
    code = facts.get("errorcode") or facts.get("code") or ""
    text = facts.get("errormessage") or facts.get("message") or answer.text
    typed = code[:1].isalpha() and 400 <= answer.status < 500 and answer.status != 408
    if 300 <= answer.status < 400:
        code = "UnexpectedRedirect"
        text = "the endpoint redirects, and credentials do not follow; give the final address as endpoint"
    error = CallFailed(
        " ".join(text[:1200].split()) or "the answer has no body",
        http_status=answer.status,
        error_code=code or "UnreadableAnswer",
        fc_request_id=answer.request_id or facts.get("requestid"),
        retry_after=_retry_after(answer),
        unclear=not typed,
    )
    error.retryable = error.throttled or answer.status in _RETRYABLE
    return error


def no_answer(fault: Any) -> CallFailed:
    """The error that a fault of the transport stands for: no whole answer came."""
    code, retryable, unclear = "ConnectionFailed", True, True
    if isinstance(fault, urllib3_errors.DecodeError):
        why, code, retryable = "the body is compressed wrongly", "UnreadableAnswer", False
    elif isinstance(fault, urllib3_errors.NewConnectionError):
        why, unclear = f"no connection: {str(fault).rsplit(': ', 1)[-1]}", False
    elif isinstance(fault, urllib3_errors.ConnectTimeoutError):
        why, code, unclear = "no connection within the time-out", "TimedOut", False
    elif isinstance(fault, (urllib3_errors.TimeoutError, TimeoutError)):
        why, code = "no whole answer within the time-out", "TimedOut"
    elif isinstance(fault, urllib3_errors.SSLError):
        # A certificate that is wrong now is wrong a second later.
        retryable = unclear = "CERTIFICATE_VERIFY_FAILED" not in str(fault)
        why = f"no TLS: {fault}"
    else:
        # What a server wrote is not repeated: it may have repeated what was signed.
        cause = fault.args[-1] if fault.args else fault
        why = f"the connection broke: {cause if isinstance(cause, OSError) else type(fault).__name__}"
    return CallFailed(why, error_code=code, retryable=retryable, unclear=unclear)


def _retry_after(answer: Answer) -> float | None:
    """Seconds that the answer asks to wait: a number, a date of the server's clock, or x-acs-retry-after."""
    stated = answer.headers.get("Retry-After")
    if stated is None:
        # No page names the unit, and the official SDK sleeps milliseconds: a large number cannot be seconds.
        number = _seconds(answer.headers.get("x-acs-retry-after"))
        return number / 1000 if number is not None and number >= 100 else number
    seconds = _seconds(stated)
    until = read_date(stated) if seconds is None else None
    return seconds if until is None else max(0, until - answer.date) / 1000


def _seconds(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None
