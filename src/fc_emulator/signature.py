"""Checks who calls: the FC scheme and ACS3-HMAC-SHA256, by our own reading of their pages.

FC: https://help.aliyun.com/document_detail/53252.html
ACS3: https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, quote, unquote

from fc_emulator.options import Options
from fc_emulator.refusals import Refusal, forbidden, invalid

TOLERANCE_MS = 15 * 60 * 1000
"""A signature this far from our clock is still accepted, one millisecond more is not."""


@dataclass(frozen=True)
class Signed:
    """A request as it came over the wire. `path` and `query` are escaped, header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def with_body(self, body: bytes) -> Signed:
        return replace(self, body=body)


Scheme = Callable[[Signed, Options, int], None]
"""Lets a request pass, or raises Refusal. The number is the real time in epoch milliseconds."""


def check_fc(request: Signed, options: Options, now: int) -> None:
    """The scheme of 2016-08-15: `FC <key id>:<base64 HMAC-SHA256>`. The query is not signed."""
    found = re.fullmatch(r"FC ([^:\s]+):(\S+)", _authorization(request, "FC "))
    if not found:
        raise forbidden("Authorization is not FC <AccessKeyId>:<signature>")
    headers = request.headers
    # Some clients sign x-fc-date in place of Date, others beside it: either is a date that must not be stale.
    dates = [headers[name] for name in ("x-fc-date", "date") if name in headers]
    if not dates:
        raise Refusal(400, "MissingRequiredHeader", "the header Date is missing")
    for date in dates:
        _check_moment(_http_date(date), date, now)
    _check_key(found[1], options)
    _check_token(headers.get("x-fc-security-token"), options)
    _check_md5(request)
    texts = [_fc_text(request, date) for date in dates]
    if not any(_same(found[2], _fc_signature(options.access_key_secret, text)) for text in texts):
        raise forbidden(f"the signature does not fit; the string to sign is {_masked(texts[0], request)!r}")


def _fc_text(request: Signed, date: str) -> str:
    headers = request.headers
    own = sorted((name, value) for name, value in headers.items() if name.startswith("x-fc-"))
    lines = [request.method, headers.get("content-md5", ""), headers.get("content-type", ""), date]
    return "\n".join([*lines, "".join(f"{name}:{value}\n" for name, value in own) + unquote(request.path)])


def _fc_signature(secret: str, text: str) -> str:
    return base64.b64encode(_hmac(secret, text)).decode()


def _check_md5(request: Signed) -> None:
    given = request.headers.get("content-md5")
    digest = hashlib.md5(request.body, usedforsecurity=False)
    # The Node client sends the base64 of the hexadecimal digest.
    forms = [base64.b64encode(form).decode() for form in (digest.digest(), digest.hexdigest().encode())]
    if given and given not in forms:
        raise invalid("Content-MD5 does not fit the body")


def check_acs3(request: Signed, options: Options, now: int) -> None:
    """The scheme of 2021-04-06 and 2023-03-30: everything is signed, the body by its hash."""
    found = re.fullmatch(
        r"ACS3-HMAC-SHA256 Credential=([^,\s]+), ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]{64})",
        _authorization(request, "ACS3-HMAC-SHA256 "),
    )
    if not found:
        raise forbidden("Authorization is not ACS3-HMAC-SHA256 Credential=,SignedHeaders=,Signature=")
    key_id, names, signature = found[1], found[2].split(";"), found[3]
    _check_required(request, ("host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-content-sha256"))
    date = request.headers["x-acs-date"]
    _check_moment(_iso_date(date), date, now)
    _check_key(key_id, options)
    _check_token(request.headers.get("x-acs-security-token"), options)
    _check_names(request, names)
    if request.headers["x-acs-content-sha256"] != hashlib.sha256(request.body).hexdigest():
        raise forbidden("x-acs-content-sha256 is not the hash of the body")
    canonical = _acs3_canonical(request, names)
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    if not _same(signature, _hmac(options.access_key_secret, text).hex()):
        shown = _masked(canonical, request)
        raise forbidden(f"the signature does not fit; the canonical request is {shown!r}")


def _acs3_canonical(request: Signed, names: list[str]) -> str:
    pairs = sorted(parse_qsl(request.query, keep_blank_values=True))
    query = "&".join(f"{quote(key, safe='~')}={quote(value, safe='~')}" for key, value in pairs)
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    payload = request.headers["x-acs-content-sha256"]
    return "\n".join([request.method, request.path, query, headers, ";".join(names), payload])


def _check_required(request: Signed, names: tuple[str, ...]) -> None:
    for name in names:
        if not request.headers.get(name):
            raise Refusal(400, "MissingRequiredHeader", f"the header {name} is missing")


def _check_names(request: Signed, names: list[str]) -> None:
    if names != sorted(set(names)):
        raise forbidden("SignedHeaders are not in order, each once")
    absent = [name for name in names if name not in request.headers]
    if absent:
        raise forbidden(f"SignedHeaders names {absent[0]}, which did not arrive")
    due = [name for name in request.headers if name.startswith("x-acs-") or name == "host"]
    for name in due:
        if name not in names:
            raise forbidden(f"the header {name} is not signed")


def _authorization(request: Signed, scheme: str) -> str:
    given = request.headers.get("authorization", "")
    if not given:
        raise forbidden("the header Authorization is missing; anonymous calls are not served", "AccessDenied")
    if not given.startswith(scheme):
        raise forbidden(f"this API version is signed with the scheme {scheme.strip()}")
    return given


def _check_key(key_id: str, options: Options) -> None:
    if key_id != options.access_key_id:
        raise forbidden("the access key id is unknown", "InvalidAccessKeyID")


def _check_token(token: str | None, options: Options) -> None:
    if options.security_token is not None and not _same(token or "", options.security_token):
        trouble = "is missing" if not token else "is not the one that belongs to the access key id"
        raise forbidden(f"the security token {trouble}", "InvalidAccessKeyID")


def _check_moment(moment: float | None, text: str, now: int) -> None:
    if moment is None:
        raise invalid(f"{text!r} is not a date of this scheme")
    if abs(moment - now) > TOLERANCE_MS:
        raise forbidden(f"the date {text!r} is more than 15 minutes away from ours")


def _http_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).replace(tzinfo=timezone.utc).timestamp() * 1000
    except (TypeError, ValueError, OverflowError):
        return None


def _iso_date(text: str) -> float | None:
    try:
        parsed = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return parsed.timestamp() * 1000


def _masked(text: str, request: Signed) -> str:
    """*text* without a security token: whoever is refused may log why."""
    for name in ("x-fc-security-token", "x-acs-security-token"):
        if request.headers.get(name):
            text = text.replace(request.headers[name], "***")
    return text


def _hmac(secret: str, text: str) -> bytes:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())
