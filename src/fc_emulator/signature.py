"""Verifies signatures: the FC scheme and ACS3-HMAC-SHA256, written from their documentation alone.

FC: https://help.aliyun.com/document_detail/53252.html
ACS3: https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, quote, unquote

from fc_emulator.errors import ApiError, forbidden, invalid_argument
from fc_emulator.options import Options

TOLERANCE_MS = 15 * 60 * 1000
"""The largest accepted difference between the date of a request and the clock, itself included."""

_ACS3 = r"ACS3-HMAC-SHA256 Credential=([^,\s]+), ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{64})"


@dataclass(frozen=True)
class SignedRequest:
    """A request as it was sent. `path` and `query` are escaped, header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


Scheme = Callable[[SignedRequest, Options, int], None]
"""Raises ApiError when a signature is wrong. The number is the real time in epoch milliseconds."""


def check_fc(request: SignedRequest, options: Options, now: int) -> None:
    """The scheme of 2016-08-15: `FC <key id>:<base64 HMAC-SHA256>`. The query is not signed."""
    found = re.fullmatch(r"FC ([^:\s]+):(\S+)", _authorization(request, "FC "))
    if not found:
        raise forbidden("Authorization is not FC <AccessKeyId>:<signature>")
    headers = request.headers
    # Some clients sign x-fc-date in place of Date, others beside it: both are checked.
    dates = [headers[name] for name in ("x-fc-date", "date") if name in headers]
    if not dates:
        raise ApiError(400, "MissingRequiredHeader", "the header Date is missing")
    for date in dates:
        _check_date(date, parsedate_to_datetime, now)
    _check_credentials(found[1], headers.get("x-fc-security-token"), options)
    _check_md5(request)
    texts = [_fc_text(request, date) for date in dates]
    expected = [base64.b64encode(_hmac(options.access_key_secret, text)).decode() for text in texts]
    if not any(_same(found[2], signature) for signature in expected):
        raise forbidden(f"the signature does not match; the string to sign is {_masked(texts[0], request)!r}")


def _fc_text(request: SignedRequest, date: str) -> str:
    headers = request.headers
    signed = sorted((name, value) for name, value in headers.items() if name.startswith("x-fc-"))
    lines = [request.method, headers.get("content-md5", ""), headers.get("content-type", ""), date]
    return "\n".join([*lines, "".join(f"{name}:{value}\n" for name, value in signed) + unquote(request.path)])


def _check_md5(request: SignedRequest) -> None:
    given = request.headers.get("content-md5")
    digest = hashlib.md5(request.body, usedforsecurity=False)
    # The Go client sends the hexadecimal digest, the Node client the base64 of that.
    forms = [base64.b64encode(form).decode() for form in (digest.digest(), digest.hexdigest().encode())]
    if given and given not in (*forms, digest.hexdigest()):
        raise invalid_argument("Content-MD5 does not match the body")


def check_acs3(request: SignedRequest, options: Options, now: int) -> None:
    """The scheme of 2021-04-06 and 2023-03-30: everything is signed, the body by its hash."""
    found = re.fullmatch(_ACS3, _authorization(request, "ACS3-HMAC-SHA256 "))
    if not found:
        raise forbidden("Authorization is not ACS3-HMAC-SHA256 Credential=,SignedHeaders=,Signature=")
    headers, names = request.headers, found[2].split(";")
    for name in ("host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-content-sha256"):
        if not headers.get(name):
            raise ApiError(400, "MissingRequiredHeader", f"the header {name} is missing")
    _check_date(headers["x-acs-date"], lambda text: datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ"), now)
    _check_credentials(found[1], headers.get("x-acs-security-token"), options)
    _check_signed_headers(headers, names)
    if headers["x-acs-content-sha256"] != hashlib.sha256(request.body).hexdigest():
        raise forbidden("x-acs-content-sha256 is not the hash of the body")
    canonical = _acs3_canonical(request, names)
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    if not _same(found[3], _hmac(options.access_key_secret, text).hex()):
        shown = _masked(canonical, request)
        raise forbidden(f"the signature does not match; the canonical request is {shown!r}")


def _acs3_canonical(request: SignedRequest, names: list[str]) -> str:
    pairs = sorted(parse_qsl(request.query, keep_blank_values=True))
    query = "&".join(f"{quote(key, safe='~')}={quote(value, safe='~')}" for key, value in pairs)
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    payload = request.headers["x-acs-content-sha256"]
    return "\n".join([request.method, request.path, query, headers, ";".join(names), payload])


def _check_signed_headers(headers: Mapping[str, str], names: list[str]) -> None:
    if names != sorted(set(names)):
        raise forbidden("SignedHeaders is not sorted, or has a name twice")
    absent = [name for name in names if name not in headers]
    if absent:
        raise forbidden(f"SignedHeaders names {absent[0]}, which was not sent")
    for name in headers:
        if (name.startswith("x-acs-") or name == "host") and name not in names:
            raise forbidden(f"the header {name} is not signed")


def _authorization(request: SignedRequest, scheme: str) -> str:
    given = request.headers.get("authorization", "")
    if not given:
        raise forbidden("the header Authorization is missing; anonymous calls are not served", "AccessDenied")
    if not given.startswith(scheme):
        raise forbidden(f"this API version is signed with the scheme {scheme.strip()}")
    return given


def _check_credentials(key_id: str, token: str | None, options: Options) -> None:
    if key_id != options.access_key_id:
        raise forbidden("the access key id is unknown", "InvalidAccessKeyID")
    if options.security_token is not None and not _same(token or "", options.security_token):
        problem = "is missing" if not token else "is not the one that belongs to the access key id"
        raise forbidden(f"the security token {problem}", "InvalidAccessKeyID")


def _check_date(text: str, parse: Callable[[str], datetime], now: int) -> None:
    try:
        moment = parse(text).replace(tzinfo=timezone.utc).timestamp() * 1000
    except (TypeError, ValueError, OverflowError):
        raise invalid_argument(f"{text!r} is not a date of this scheme") from None
    if abs(moment - now) > TOLERANCE_MS:
        raise forbidden(f"the date {text!r} differs by more than 15 minutes from the clock")


def _masked(text: str, request: SignedRequest) -> str:
    """*text* without a security token: callers may log error messages."""
    for name in ("x-fc-security-token", "x-acs-security-token"):
        if request.headers.get(name):
            text = text.replace(request.headers[name], "***")
    return text


def _hmac(secret: str, text: str) -> bytes:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
