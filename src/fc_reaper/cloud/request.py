"""A request before it is signed: everything that stays the same from one attempt to the next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from fc_reaper.errors import InvalidName

CLASSIC = "2016-08-15"
"""The API version of every method inherited from fc2, and the only one with the FC signature."""
OPEN = "2021-04-06"
WITHOUT_SERVICES = "2023-03-30"
"""Function Compute 3.0."""
VERSIONS = (CLASSIC, OPEN, WITHOUT_SERVICES)

_HEADER_NAME = re.compile(r"[a-z0-9-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")

Query = tuple[tuple[str, str], ...]
"""Sorted pairs, not yet escaped."""


class Request(NamedTuple):
    """One operation on the wire.

    `path` is escaped and without a query. `headers` have lower-case names and are the caller's own;
    those of the signature are added at each attempt.
    """

    operation: str
    method: str
    path: str
    query: Query = ()
    headers: Mapping[str, str] = {}
    body: bytes = b""

    @property
    def version(self) -> str:
        """The API version, the first segment of the path; it decides the signature."""
        return self.path.split("/", 2)[1]

    @property
    def target(self) -> str:
        """Path and query as they travel."""
        return f"{self.path}?{wire_query(self.query)}" if self.query else self.path


class Credentials(NamedTuple):
    """Keys of an account; `security_token` is empty for keys that do not expire."""

    access_key_id: str
    access_key_secret: str
    security_token: str

    def __repr__(self) -> str:
        return "Credentials(...)"


def wire_query(query: Query) -> str:
    """Escape a query so that a blank is %20 and only letters, digits and `_.-~` stay as they are."""
    return "&".join(f"{quote(key, safe='~')}={quote(value, safe='~')}" for key, value in query)


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Let headers with lower-case names pass that may travel, without blanks around their values.

    Raises:
        InvalidName: a name or a value holds anything but printable ASCII, such as a line break.
    """
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            # The value stays untold: it may be a secret.
            raise InvalidName(f"the header {name[:80]!r} cannot travel; use printable ASCII, no line breaks")
    return {name: value.strip() for name, value in headers.items()}
