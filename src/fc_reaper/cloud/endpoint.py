"""Endpoints: the URLs that requests and keys may be sent to, and how much one may say beside bodies."""

import re
from http.client import HTTPException, HTTPResponse
from typing import Any

from fc_reaper.errors import SettingsError

_SHAPE = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>\d+))?/*"
)
_HOST = re.compile(r"https?://([0-9]+)\.([a-z0-9-]+?)(-internal|-vpc)?\.fc\.aliyuncs\.com(?::[0-9]+)?")
LOOPBACK = re.compile(r"localhost|\[?::1\]?|127(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}")
_LINES = 1 << 16  # bytes of the head of an answer, heads before it, sizes of chunks, a trailer
_DEFAULT_PORTS = {"http": 80, "https": 443}
_GOOD = "write https://ACCOUNT.REGION.fc.aliyuncs.com"


def parse_endpoint(text: str, *, insecure: bool = False) -> str:
    """The URL of an endpoint: scheme, host in lower case, and the port where it is not the usual one.

    Without a scheme it is https. Plain http is for loopback (127.0.0.0/8, ::1, localhost), elsewhere only
    with *insecure*: the security token is sent in a header.
    https://www.alibabacloud.com/help/en/functioncompute/fc-2-0/developer-reference/endpoints
    A SettingsError where it is no endpoint, or holds a path, a query, a user or a password.
    """
    # The text is not repeated in these errors: it may hold a password.
    if "@" in text:
        raise SettingsError(f"the endpoint must not hold a user or a password; {_GOOD}")
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise SettingsError(f"the endpoint must be a host, perhaps with a port, and nothing after; {_GOOD}")
    scheme, host = (match["scheme"] or "https").lower(), match["host"].lower()
    if match["scheme"] is None and LOOPBACK.fullmatch(host):
        raise SettingsError(f"the endpoint has no scheme; write http://{text.strip()}")
    if scheme not in _DEFAULT_PORTS:
        raise SettingsError(f"the endpoint's scheme {scheme!r} is neither https nor http; {_GOOD}")
    port = int((match["port"] or str(_DEFAULT_PORTS[scheme]))[:6])
    if not 1 <= port <= 65535:
        raise SettingsError("the endpoint's port is not within 1..65535; leave it out for the usual one")
    url = f"{scheme}://{host}" + ("" if port == _DEFAULT_PORTS[scheme] else f":{port}")
    if scheme == "http" and not insecure and not LOOPBACK.fullmatch(host):
        what = f"the endpoint {url} would send credentials in clear"
        raise SettingsError(f"{what}; write https://, or allow it by REAPER_INSECURE=true")
    return url


def account_endpoint(account_id: str | None, region: str | None) -> str:
    """The public endpoint of one account in one region; a SettingsError for what can be neither."""
    if not (account_id and region):
        what = "no endpoint: set REAPER_ENDPOINT, or FC_ACCOUNT_ID and FC_REGION (--account, --region)"
        raise SettingsError(what)
    if not re.fullmatch(r"[0-9]+", account_id):
        raise SettingsError(f"{account_id!r} is no account id; set FC_ACCOUNT_ID, or REAPER_ENDPOINT instead")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", region):
        raise SettingsError(f"the region {region!r} is no region; write one like cn-hangzhou")
    return f"https://{account_id}.{region}.fc.aliyuncs.com"


def place_of(endpoint: str | None, *known: str | None) -> tuple[str | None, ...]:
    """Account and region, as the host of an endpoint says them, else as they are *known*."""
    host = _HOST.fullmatch(endpoint or "")
    return host.group(1, 2) if host else known


def sts_endpoint(endpoint: str) -> str:
    """Where STS is asked about the keys for *endpoint*: in its region, if it tells; loopback serves both.

    https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-getcalleridentity
    """
    if found := _HOST.fullmatch(endpoint):
        return f"https://sts{'-vpc' if found[3] else ''}.{found[2]}.aliyuncs.com"
    own = re.fullmatch(rf"https?://(?:{LOOPBACK.pattern})(?::\d+)?", endpoint)
    return endpoint if own else "https://sts.aliyuncs.com"


class BoundedResponse(HTTPResponse):
    """An answer whose lines outside the body are bounded together; http.client reads some for ever."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp: Any = _Lines(self.fp)


class _Lines:
    def __init__(self, stream: Any) -> None:
        self._stream, self._left = stream, _LINES

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def readline(self, limit: int) -> bytes:
        line: bytes = self._stream.readline(min(limit, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise HTTPException("head, sizes of chunks and trailer are larger than 64 KiB")
        return line
