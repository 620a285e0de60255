"""How a call fails: one typed error for refusals, missing and unreadable answers, without secrets in it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from fc2 import FcError
from urllib3 import exceptions as urllib3_errors

from fc_reaper.cloud.api import Answer, read_date
from fc_reaper.errors import CloudError
from fc_reaper.models import Credentials

_RETRYABLE = frozenset((429, 500, 502, 503, 504))
_EXCERPT = 300
_READ = 1 << 16
_BLANKS = r"[\x00-\x20\x7f-\x9f\u2028\u2029]+"


class CallFailed(CloudError, FcError):  # type: ignore[misc]  # fc2 has no types
    """A call that did not end well. Code written for fc2 catches it as `fc2.FcError`."""

    @property
    def status_code(self) -> int:
        """fc2's name for `http_status`; 0 without an answer."""
        return self.http_status or 0

    @property
    def err_code(self) -> str:
        """fc2's name for `error_code`."""
        return self.error_code

    @property
    def request_id(self) -> str:
        """fc2's name for `fc_request_id`; empty if unknown."""
        return self.fc_request_id or ""

    @property
    def message(self) -> str:
        """The error as fc2 words it: JSON text."""
        facts = {"ErrorCode": self.error_code, "ErrorMessage": self.detail, "RequestId": self.request_id}
        return json.dumps(facts)


def closed(*, unclear: bool = False) -> CallFailed:
    """The client was closed; *unclear* if that was while a change was under way."""
    return CallFailed("the client was closed", error_code="Aborted", unclear=unclear)


def out_of_time(operation: str) -> CallFailed:
    """The deadline came before this attempt could begin."""
    return CallFailed(f"no time was left for {operation}", error_code="OutOfTime", retryable=True)


def unreadable(answer: Answer, why: str) -> CallFailed:
    """An answer that claims success and cannot be understood."""
    return CallFailed(
        why,
        http_status=answer.status,
        error_code="UnreadableAnswer",
        fc_request_id=answer.request_id,
        unclear=True,
    )


def refusal(answer: Answer, secrets: tuple[str, ...] = ()) -> CallFailed:
    """The error that an answer outside 200..299 stands for; it repeats none of *secrets*."""
    body = _text(answer.body)
    facts = _facts(body)
    if 300 <= answer.status < 400:
        code = "UnexpectedRedirect"
        text = "the endpoint redirects, and credentials do not follow; give the final address as endpoint"
    else:
        code = facts.get("errorcode") or facts.get("code") or answer.headers.get("X-Fc-Error-Type") or ""
        text = facts.get("errormessage") or facts.get("message") or body
    request_id = answer.request_id or facts.get("requestid")
    typed = (facts.get("errorcode") or facts.get("code") or "")[:1].isalpha()
    own = typed and 400 <= answer.status < 500 and answer.status != 408
    return CallFailed(
        _excerpt(redacted(text, secrets)) or "the answer has no body",
        http_status=answer.status,
        error_code=_excerpt(redacted(code, secrets)) or "UnreadableAnswer",
        fc_request_id=redacted(request_id, secrets) if request_id else None,
        retryable=answer.status in _RETRYABLE,
        retry_after=_retry_after(answer),
        unclear=not own,
    )


def secrets_of(headers: Mapping[str, str], credentials: Credentials) -> tuple[str, ...]:
    """What an error must not repeat of a signed request: some servers answer with what should be signed."""
    authorization = headers["authorization"]
    # Both schemes end with the signature: `FC id:SIGNATURE`, `... Signature=SIGNATURE`.
    signature = authorization.rpartition("Signature=")[2].rpartition(":")[2]
    known = (authorization, signature, credentials.access_key_secret, credentials.security_token)
    return tuple(secret for secret in known if secret)


def redacted(text: str, secrets: tuple[str, ...]) -> str:
    """*text* without *secrets*; withheld as a whole if it still spells one in another way."""
    text = text[:_READ]
    for secret in secrets:
        for form in (secret, quote(secret, safe="")):
            text = text.replace(form, "***")
    plain = unquote(text)
    if "&" in plain:
        from html import unescape  # hardly any answer needs it

        plain = unescape(unquote(unescape(text)))
    plain = plain.replace("\\/", "/")
    return "withheld: it repeats a secret" if any(secret in plain for secret in secrets) else text


def no_answer(fault: Any) -> CallFailed:
    """The error that a fault of the transport stands for: no whole answer came."""
    if isinstance(fault, urllib3_errors.DecodeError):
        return CallFailed("the body is compressed wrongly", error_code="UnreadableAnswer", unclear=True)
    if isinstance(fault, urllib3_errors.NewConnectionError):
        why = str(fault).rsplit(": ", 1)[-1]
        return CallFailed(f"no connection: {why}", error_code="ConnectionFailed", retryable=True)
    if isinstance(fault, urllib3_errors.ConnectTimeoutError):
        return CallFailed("no connection within the time-out", error_code="TimedOut", retryable=True)
    if isinstance(fault, (urllib3_errors.TimeoutError, TimeoutError)):
        return CallFailed(
            "no whole answer within the time-out", error_code="TimedOut", retryable=True, unclear=True
        )
    if isinstance(fault, urllib3_errors.SSLError):
        # A certificate that is wrong now is wrong a second later.
        passing = "CERTIFICATE_VERIFY_FAILED" not in str(fault)
        return CallFailed(
            f"no TLS: {fault}", error_code="ConnectionFailed", retryable=passing, unclear=passing
        )
    # What a server wrote is not repeated: it may have repeated what was signed.
    cause = fault.args[-1] if fault.args else fault
    kind = cause if isinstance(cause, OSError) else type(fault).__name__
    return CallFailed(
        f"the connection broke: {kind}", error_code="ConnectionFailed", retryable=True, unclear=True
    )


def _facts(body: str) -> dict[str, str]:
    """The texts of an error body by lower-case name: servers of the platform differ in nothing but case."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    items = value.items() if isinstance(value, dict) else ()
    return {key.lower(): str(v) for key, v in items if isinstance(v, (str, int)) and not isinstance(v, bool)}


def _text(body: bytes) -> str:
    """A wrong charset spoils a message, seldom a code."""
    try:
        return body.decode(json.detect_encoding(body))
    except UnicodeDecodeError:
        return body.decode("utf-8", "replace")


def _excerpt(text: str) -> str:
    plain = re.sub(_BLANKS, " ", text[: 4 * _EXCERPT]).strip()
    return plain if len(plain) <= _EXCERPT else f"{plain[: _EXCERPT - 3]}..."


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
