"""Where the cloud is: an endpoint as a person writes it, made whole and safe.

https://www.alibabacloud.com/help/en/functioncompute/fc-2-0/developer-reference/endpoints
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fc_reaper.errors import SettingsError

_SHAPE = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>\d+))?/*"
)
_LOOPBACK = re.compile(r"localhost|\[::1\]|127(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_GOOD = "write https://ACCOUNT.REGION.fc.aliyuncs.com"


class Endpoint(NamedTuple):
    """A scheme, a host in lower case (IPv6 in brackets) and a port. There is never a path."""

    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        """The value of the Host header: the port is named only where it is not the usual one."""
        usual = self.port == _DEFAULT_PORTS[self.scheme]
        return self.host if usual else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The endpoint as one text, without a slash at the end."""
        return f"{self.scheme}://{self.netloc}"


def parse_endpoint(text: str, *, insecure: bool = False) -> Endpoint:
    """Read an endpoint; without a scheme it is https.

    Plain http is for loopback (127.0.0.0/8, ::1, localhost), elsewhere only with *insecure*:
    the security token travels in a header.

    Raises:
        SettingsError: it is no endpoint, or holds a path, a query, a user or a password.
    """
    # The text is not repeated in these errors: it may hold a password.
    if "@" in text:
        raise SettingsError(f"the endpoint must not hold a user or a password; {_GOOD}")
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise SettingsError(f"the endpoint must be a host, perhaps with a port, and nothing after; {_GOOD}")
    scheme = (match["scheme"] or "https").lower()
    if scheme not in _DEFAULT_PORTS:
        raise SettingsError(f"the endpoint's scheme {scheme!r} is neither https nor http; {_GOOD}")
    endpoint = Endpoint(scheme, match["host"].lower(), _port(match["port"], scheme))
    if scheme == "http" and not insecure and not _LOOPBACK.fullmatch(endpoint.host):
        raise SettingsError(
            f"the endpoint http://{endpoint.netloc} would send credentials in clear; "
            "write https://, or allow it by REAPER_INSECURE=true"
        )
    return endpoint


def account_endpoint(account_id: str, region: str) -> str:
    """The public endpoint of one account in one region.

    Raises:
        SettingsError: the account id is not a number, or the region is no region's name.
    """
    if not re.fullmatch(r"[0-9]+", account_id):
        raise SettingsError(f"{account_id!r} is no account id; set FC_ACCOUNT_ID, or REAPER_ENDPOINT instead")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", region):
        raise SettingsError(f"the region {region!r} is no region; write one like cn-hangzhou in FC_REGION")
    return f"https://{account_id}.{region}.fc.aliyuncs.com"


def _port(text: str | None, scheme: str) -> int:
    port = _DEFAULT_PORTS[scheme] if text is None else int(text[:6])
    if not 1 <= port <= 65535:
        raise SettingsError("the endpoint's port is not within 1..65535; leave it out for the usual one")
    return port
