"""Secrets stay out of errors, also when the cloud repeats them."""

from __future__ import annotations

from collections.abc import Mapping
from html import unescape
from urllib.parse import quote, unquote

from fc_reaper.cloud.failures import CallFailed
from fc_reaper.cloud.request import Credentials

_WITHHELD = "withheld: it repeats a secret"


def scrubbed(body: bytes, headers: Mapping[str, str], credentials: Credentials) -> bytes:
    """Take out of a refusal what it repeats of *headers* and *credentials*.

    Some doors answer a wrong signature with the text that should have been signed, the security token in it.
    """
    for secret in _secrets(headers["authorization"], credentials):
        for form in {secret, quote(secret, safe=""), secret.replace("/", "\\/")}:
            body = body.replace(form.encode(), b"***")
    return body


def clean(error: CallFailed, headers: Mapping[str, str], credentials: Credentials) -> CallFailed:
    """Withhold what of a refusal, once read, still spells a secret, in whatever disguise."""
    secrets = _secrets(headers["authorization"], credentials)

    def safe(text: str) -> str:
        plain = unescape(unquote(unescape(text)))
        spelt = (secret for secret in secrets if secret in text or secret in plain)
        return _WITHHELD if any(spelt) else text

    texts = (error.detail, error.error_code, error.fc_request_id or "")
    if all(safe(text) == text for text in texts):
        return error
    return CallFailed(
        safe(error.detail),
        http_status=error.http_status,
        error_code=safe(error.error_code),
        fc_request_id=safe(error.fc_request_id or "") or None,
        retryable=error.retryable,
        retry_after=error.retry_after,
        unclear=error.unclear,
    )


def _secrets(authorization: str, credentials: Credentials) -> list[str]:
    # Both schemes end with the signature: `FC id:SIGNATURE`, `... Signature=SIGNATURE`.
    signature = authorization.rpartition("Signature=")[2].rpartition(":")[2]
    known = (authorization, signature, credentials.access_key_secret, credentials.security_token)
    return [secret for secret in known if secret]
