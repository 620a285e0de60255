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
from typing import NamedTuple
from urllib.parse import unquote

from fc_reaper.cloud.api import CLASSIC
from fc_reaper.models import Credentials, Millis

_ACS3 = "ACS3-HMAC-SHA256"


class Request(NamedTuple):
    """What is signed: *path* and *query* as they are sent, *headers* with lower-case names."""

    operation: str
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""


def signed_headers(
    request: Request, credentials: Credentials, host: str, now: Millis, nonce: str
) -> dict[str, str]:
    """All headers of *request* for one attempt at the moment *now*, `authorization` among them."""
    version, date = request.path.split("/", 2)[1], formatdate(now / 1000, usegmt=True)
    headers = {**request.headers, "host": host, "x-fc-date": date}
    if version == CLASSIC:
        headers = {"content-type": "application/json", **headers, "date": date}
        return _fc(request, headers, credentials)
    headers |= {
        "x-acs-action": request.operation,
        "x-acs-version": version,
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now / 1000)),
        "x-acs-signature-nonce": nonce,
    }
    return _acs3(request, {"accept": "application/json", **headers}, credentials)


def _acs3(request: Request, headers: dict[str, str], credentials: Credentials) -> dict[str, str]:
    """The *headers* with an ACS3 signature, which covers all of them."""
    payload_hash = hashlib.sha256(request.body).hexdigest()
    headers["x-acs-content-sha256"] = payload_hash
    if credentials.security_token:
        headers["x-acs-accesskey-id"] = credentials.access_key_id
        headers["x-acs-security-token"] = credentials.security_token
    names = sorted(headers)
    signed = ";".join(names)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    canonical = "\n".join((request.method, request.path, request.query, lines, signed, payload_hash))
    to_sign = f"{_ACS3}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = credentials.access_key_secret.encode()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"{_ACS3} Credential={credentials.access_key_id},SignedHeaders={signed},Signature={signature}"
    )
    return headers


def _fc(request: Request, headers: dict[str, str], credentials: Credentials) -> dict[str, str]:
    """The *headers* with an FC signature, which covers neither the query nor the body."""
    if credentials.security_token:
        headers["x-fc-security-token"] = credentials.security_token
    lines = [
        request.method,
        headers.get("content-md5", ""),
        headers["content-type"],
        headers["date"],
        *(f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-fc-")),
        unquote(request.path),
    ]
    key = credentials.access_key_secret.encode()
    digest = hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).digest()
    headers["authorization"] = f"FC {credentials.access_key_id}:{base64.b64encode(digest).decode()}"
    return headers
