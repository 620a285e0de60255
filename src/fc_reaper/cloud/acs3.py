"""The ACS3-HMAC-SHA256 signature, for the 2021-04-06 and the 2023-03-30 API.

https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
Tests hold it equal, byte for byte, to what the official SDK signs.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote

from fc_reaper.cloud.request import Credentials, Query, Request
from fc_reaper.models import Millis

_SCHEME = "ACS3-HMAC-SHA256"


def signed_headers(
    request: Request, credentials: Credentials, host: str, now: Millis, nonce: str
) -> dict[str, str]:
    """All headers of *request* for one attempt at the moment *now*, `authorization` among them."""
    payload_hash = hashlib.sha256(request.body).hexdigest()
    headers = {
        "accept": "application/json",
        **request.headers,
        "host": host,
        "x-acs-version": request.version,
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now / 1000)),
        "x-acs-signature-nonce": nonce,
        "x-acs-content-sha256": payload_hash,
    }
    headers.setdefault("x-acs-action", request.operation)
    if credentials.security_token:
        headers["x-acs-accesskey-id"] = credentials.access_key_id
        headers["x-acs-security-token"] = credentials.security_token
    headers["authorization"] = authorization(
        request.method, request.path, request.query, headers, payload_hash, credentials
    )
    return headers


def authorization(
    method: str,
    path: str,
    query: Query,
    headers: Mapping[str, str],
    payload_hash: str,
    credentials: Credentials,
) -> str:
    """The value of the Authorization header.

    *path* is escaped as it travels; *headers* have lower-case names and all of them are signed;
    *payload_hash* is the SHA-256 of the body in hexadecimal digits.
    """
    signed = ";".join(sorted(headers))
    canonical = "\n".join(
        (method, path, _canonical_query(query), _canonical_headers(headers), signed, payload_hash)
    )
    to_sign = f"{_SCHEME}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(credentials.access_key_secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{_SCHEME} Credential={credentials.access_key_id},SignedHeaders={signed},Signature={signature}"


def _canonical_query(query: Query) -> str:
    # The official SDK escapes values only; the names in use hold nothing to escape.
    return "&".join(f"{key}={quote(value, safe='~')}" for key, value in query)


def _canonical_headers(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
