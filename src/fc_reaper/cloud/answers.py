"""What came back: the moment an answer is true for, its JSON, or the error it stands for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_tz
from functools import lru_cache
from typing import Any, NamedTuple

from fc_reaper.cloud.failures import CallFailed
from fc_reaper.models import Millis

_RETRYABLE = frozenset((429, 500, 502, 503, 504))
_EXCERPT = 300
_BLANKS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")


class Answer(NamedTuple):
    """A whole answer. `headers` are looked up without case; `sent` and `received` are the local clock's."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent: Millis
    received: Millis

    @property
    def date(self) -> Millis | None:
        """The server's clock in whole seconds, None when it did not say or said nonsense."""
        return read_date(self.headers.get("Date"))

    @property
    def moment(self) -> Millis:
        """The moment of judgement: the earlier of both clocks, so that no age comes out too old."""
        date = self.date
        return self.sent if date is None else min(self.sent, date)

    @property
    def skew(self) -> Millis:
        """How far the clocks are apart for certain, never negative.

        The server wrote its date between `sent` and `received`, and cut it to whole seconds.
        """
        date = self.date
        if date is None:
            return 0
        return max(0, self.sent - 1000 - date, date - self.received)

    @property
    def request_id(self) -> str | None:
        """The id that the platform's support asks for."""
        return self.headers.get("X-Fc-Request-Id") or None


def json_object(answer: Answer) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        CallFailed: `UnreadableAnswer`, when it is anything else.
    """
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise unreadable(answer, f"the body is not JSON: {_kind(answer)}") from None
    if not isinstance(value, dict):
        raise unreadable(answer, "the body is JSON, but not an object")
    return value


def unreadable(answer: Answer, why: str) -> CallFailed:
    """An answer that claims success and cannot be understood."""
    return CallFailed(
        why, http_status=answer.status, error_code="UnreadableAnswer", fc_request_id=answer.request_id
    )


def refusal(answer: Answer) -> CallFailed:
    """The error that an answer outside 200..299, or one of a failed function, stands for."""
    facts = _facts(answer.body)
    return CallFailed(
        _message(answer, facts),
        http_status=answer.status,
        error_code=_code(answer, facts),
        fc_request_id=answer.request_id or facts.get("requestid"),
        retryable=answer.status in _RETRYABLE,
        retry_after=_retry_after(answer),
        unclear=answer.status >= 500,
    )


def _message(answer: Answer, facts: Mapping[str, str]) -> str:
    if 300 <= answer.status < 400:
        return "the endpoint redirects, and credentials do not follow; give the final address as endpoint"
    text = facts.get("errormessage") or facts.get("message") or _text(answer.body)
    return _excerpt(text) or "the answer has no body"


def _code(answer: Answer, facts: Mapping[str, str]) -> str:
    if 300 <= answer.status < 400:
        return "UnexpectedRedirect"
    stated = facts.get("errorcode") or facts.get("code") or answer.headers.get("X-Fc-Error-Type")
    return _excerpt(stated or "UnreadableAnswer")


def _facts(body: bytes) -> dict[str, str]:
    """Texts of an error body by lower-case name: doors of the platform differ in nothing but case."""
    try:
        # A wrong charset spoils a message, seldom a code.
        value = json.loads(_text(body))
    except (ValueError, RecursionError):
        return {}
    items = value.items() if isinstance(value, dict) else ()
    return {key.lower(): str(v) for key, v in items if isinstance(v, (str, int)) and not isinstance(v, bool)}


def _text(body: bytes) -> str:
    try:
        return body.decode(json.detect_encoding(body))
    except UnicodeDecodeError:
        return body.decode("utf-8", "replace")


def _kind(answer: Answer) -> str:
    # A body that claims success is not repeated: nobody knows what it holds.
    return _excerpt(f"{len(answer.body)} bytes of {answer.headers.get('Content-Type') or 'no stated type'}")


def _excerpt(text: str) -> str:
    plain = _BLANKS.sub(" ", text[: 4 * _EXCERPT]).strip()
    return plain if len(plain) <= _EXCERPT else f"{plain[: _EXCERPT - 3]}..."


def _retry_after(answer: Answer) -> float | None:
    stated = answer.headers.get("Retry-After")
    if stated is None:
        return _acs_retry_after(answer.headers.get("x-acs-retry-after"))
    seconds = _seconds(stated)
    until = read_date(stated) if seconds is None else None
    if until is None:
        return seconds
    # A server that names a date means its own clock.
    return max(0, until - (answer.date or answer.received)) / 1000


def _acs_retry_after(stated: str | None) -> float | None:
    """No page names the unit, and the official SDK sleeps milliseconds: a large number cannot be seconds."""
    number = _seconds(stated)
    return number / 1000 if number is not None and number >= 100 else number


def _seconds(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


@lru_cache(maxsize=64)
def read_date(text: str | None) -> Millis | None:
    """An HTTP date as epoch milliseconds, None when it is not one. Without a zone it is GMT."""
    if not text:
        return None
    try:
        parsed = parsedate_tz(text)
        if parsed is None:
            return None
        zone = timezone(timedelta(seconds=parsed[9] or 0))
        return round(datetime(*parsed[:6], tzinfo=zone).timestamp()) * 1000
    except (ValueError, IndexError, OverflowError, TypeError):
        return None
