"""The FC signature, for the classic 2016-08-15 API.

https://www.alibabacloud.com/help/en/functioncompute/signature-authentication
fc2 holds the same computation, but writes what it signs into the root logger.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import unquote

from fc_reaper.cloud.request import Credentials, Request
from fc_reaper.models import Millis


def signed_headers(request: Request, credentials: Credentials, host: str, now: Millis) -> dict[str, str]:
    """All headers of *request* for one attempt at the moment *now*, `authorization` among them."""
    headers = {
        "content-type": "application/json",
        **request.headers,
        "host": host,
        "date": http_date(now),
    }
    if credentials.security_token:
        headers["x-fc-security-token"] = credentials.security_token
    headers["authorization"] = authorization(request.method, request.path, headers, credentials)
    return headers


def authorization(method: str, path: str, headers: Mapping[str, str], credentials: Credentials) -> str:
    """The value of the Authorization header; *headers* have lower-case names. The query is not signed."""
    lines = [
        method.upper(),
        headers.get("content-md5", ""),
        headers.get("content-type", ""),
        headers.get("date", ""),
        *(f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-fc-")),
        unquote(path),
    ]
    key = credentials.access_key_secret.encode()
    digest = hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).digest()
    return f"FC {credentials.access_key_id}:{base64.b64encode(digest).decode()}"


def http_date(now: Millis) -> str:
    """A moment as HTTP writes it, such as `Mon, 02 Jan 2006 15:04:05 GMT`."""
    return formatdate(now / 1000, usegmt=True)
