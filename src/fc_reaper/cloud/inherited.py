"""Requests as fc2's own methods build them, and the answers they expect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

from fc_reaper.cloud.answers import Answer, unreadable
from fc_reaper.cloud.request import CLASSIC, VERSIONS, Query, Request, checked_headers
from fc_reaper.errors import InvalidName, SettingsError

_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+")
# Every second segment of a classic path is one of fc2's own words: a name with a slash in it shows.
_WORDS = frozenset(
    (
        *("account-settings", "custom-domains", "on-demand-configs", "provision-configs"),
        *("reservedCapacities", "stateful-async-invocation-functions", "tag"),
        *("services", "aliases", "versions", "functions", "code", "invocations", "triggers"),
        *("async-invoke-config", "async-invoke-configs", "on-demand-config", "provision-config"),
        *("instances", "exec", "stateful-async-invocations"),
    )
)
_OURS = frozenset(
    ("authorization", "content-length", "date", "host", "user-agent", "x-fc-date", "x-fc-security-token")
)
"""Headers that are made anew for each attempt, whatever the caller passes."""


def inherited_request(
    method: str, path: str, headers: Mapping[str, Any], params: Mapping[str, Any], body: Any
) -> Request:
    """Check and settle what a method of fc2 wants to send. *path* needs no escaping, and has no query.

    None values in *params* are left out, booleans are written `true` and `false`, lists repeat their key.
    The operation, which ACS3 needs, is taken from a header `x-acs-action`.

    Raises:
        InvalidName: a name in the path would change whom it is about, or a header cannot travel.
        SettingsError: the path begins with no known API version.
    """
    own = checked_headers({name.lower(): str(value) for name, value in headers.items()})
    wire = {name: value for name, value in own.items() if name not in _OURS}
    operation = own.get("x-acs-action", "Other")
    return Request(operation, method.upper(), _checked_path(path), _pairs(params), wire, _bytes(body))


class _Answered(requests.Response):
    """A response whose `json` fails in our way: fc2's methods ask for it without looking."""

    def json(self, **kwargs: Any) -> Any:
        try:
            return super().json(**kwargs)
        except (ValueError, RecursionError):
            answer = Answer(self.status_code, self.headers, self.content, 0, 0)
            raise unreadable(answer, "the body is not JSON") from None


def as_response(answer: Answer, url: str) -> requests.Response:
    """The answer in the shape in which fc2's methods read it."""
    response = _Answered()
    response.status_code = answer.status
    response.headers = CaseInsensitiveDict(answer.headers)
    response._content = answer.body
    response.url = url
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    return response


def _checked_path(path: str) -> str:
    segments = path.split("/")
    if segments[0] or any(not _SEGMENT.fullmatch(s) or s in (".", "..") for s in segments[1:]):
        raise InvalidName(f"{path[:200]!r} is no path; a name in it is empty or holds / ? # % or a blank")
    if segments[1] not in VERSIONS:
        raise SettingsError(f"{segments[1]!r} is no API version; use one of {', '.join(VERSIONS)}")
    if segments[1] == CLASSIC and not _WORDS.issuperset(segments[2::2]):
        raise InvalidName(f"{path[:200]!r} is no classic path; a name in it holds a slash")
    return path


def _pairs(params: Mapping[str, Any]) -> Query:
    pairs = []
    for key, value in params.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        pairs += [(str(key), _query_text(item)) for item in values if item is not None]
    return tuple(sorted(pairs))


def _query_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bytes(body: Any) -> bytes:
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        return body.encode()
    if body is None or isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body or b"")
    raise TypeError(f"a body is bytes, text or an open file, not {type(body).__name__}")
