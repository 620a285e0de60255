"""Secrets stay out of errors, also when the cloud repeats them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from fc_reaper.cloud.request import Credentials


def scrubbed(body: bytes, headers: Mapping[str, str], credentials: Credentials) -> bytes:
    """Take out of a refusal what it repeats of *headers* and *credentials*.

    Some doors answer a wrong signature with the text that should have been signed, the security token in it.
    """
    for secret in _secrets(headers["authorization"], credentials):
        for form in {secret, quote(secret, safe=""), secret.replace("/", "\\/")}:
            body = body.replace(form.encode(), b"***")
    return body


def _secrets(authorization: str, credentials: Credentials) -> list[str]:
    # Both schemes end with the signature: `FC id:SIGNATURE`, `... Signature=SIGNATURE`.
    signature = authorization.rpartition("Signature=")[2].rpartition(":")[2]
    known = (authorization, signature, credentials.access_key_secret, credentials.security_token)
    return [secret for secret in known if secret]
