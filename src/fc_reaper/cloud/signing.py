"""Both signatures: ACS3-HMAC-SHA256 for 2021-04-06 and 2023-03-30, the FC signature for 2016-08-15.

https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
https://www.alibabacloud.com/help/en/functioncompute/signature-authentication
fc2 computes the FC signature as well, but writes what it signs, secrets included, into the root logger.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import quote, unquote

from fc_reaper.cloud.api import CLASSIC, Query, Request
from fc_reaper.models import Credentials, Millis

_ACS3 = "ACS3-HMAC-SHA256"


def signed_headers(
    request: Request, credentials: Credentials, host: str, now: Millis, nonce: str
) -> dict[str, str]:
    """All headers of *request* for one attempt at the moment *now*, `authorization` among them."""
    dated = request._replace(headers={**request.headers, "x-fc-date": http_date(now)})
    if request.version == CLASSIC:
        return fc_headers(dated, credentials, host, now)
    return acs3_headers(dated, credentials, host, now, nonce)


def acs3_headers(
    request: Request, credentials: Credentials, host: str, now: Millis, nonce: str
) -> dict[str, str]:
    """The headers with an ACS3 signature, which covers all of them."""
    payload_hash = hashlib.sha256(request.body).hexdigest()
    headers = {
        "accept": "application/json",
        **request.headers,
        "host": host,
        "x-acs-action": request.operation,
        "x-acs-version": request.version,
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now / 1000)),
        "x-acs-signature-nonce": nonce,
        "x-acs-content-sha256": payload_hash,
    }
    if credentials.security_token:
        headers["x-acs-accesskey-id"] = credentials.access_key_id
        headers["x-acs-security-token"] = credentials.security_token
    names = sorted(headers)
    signed = ";".join(names)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    parts = (request.method, request.path, _canonical(request.query), lines, signed, payload_hash)
    to_sign = f"{_ACS3}\n{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()}"
    key = credentials.access_key_secret.encode()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"{_ACS3} Credential={credentials.access_key_id},SignedHeaders={signed},Signature={signature}"
    )
    return headers


def fc_headers(request: Request, credentials: Credentials, host: str, now: Millis) -> dict[str, str]:
    """The headers with an FC signature."""
    headers = {
        "content-type": "application/json",
        **request.headers,
        "host": host,
        "date": http_date(now),
    }
    if credentials.security_token:
        headers["x-fc-security-token"] = credentials.security_token
    headers["authorization"] = fc_authorization(request.method, request.path, headers, credentials)
    return headers


def fc_authorization(method: str, path: str, headers: Mapping[str, str], credentials: Credentials) -> str:
    """The value of the Authorization header; *headers* have lower-case names. The query is not signed."""
    lines = [
        method,
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


def _canonical(query: Query) -> str:
    # The official SDK escapes values only; the names in use need no escaping.
    return "&".join(f"{key}={quote(value, safe='~')}" for key, value in query)
