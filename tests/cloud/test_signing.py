"""Both signatures, compared with those of the official SDK and of fc2."""

from __future__ import annotations

import hashlib
import string
from types import SimpleNamespace
from urllib.parse import quote, urlencode

import pytest
from alibabacloud_tea_openapi.utils import Utils
from fc2.auth import Auth
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.cloud.api import Request, signed_headers
from fc_reaper.models import Credentials

NOW = 1_700_000_000_000
KEYS = Credentials(access_key_id="AKID", access_key_secret="secret")
WITH_TOKEN = KEYS._replace(security_token="a/token+==")

words = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12)
values = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
printable = st.text(string.ascii_letters + string.digits + " ,;:=/+~%&", max_size=20)
paths = st.lists(words, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))
queries = st.dictionaries(words, values, max_size=5)
headers = st.dictionaries(words.map(str.lower), printable, max_size=5)


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    path=paths,
    query=queries,
    extra=headers,
    body=st.binary(max_size=40),
    keys=st.sampled_from([KEYS, WITH_TOKEN]),
)
def test_acs3_equals_the_official_signature_byte_for_byte(
    method: str, path: str, query: dict[str, str], extra: dict[str, str], body: bytes, keys: Credentials
) -> None:
    """For any path, query, headers and body, with and without a security token."""
    sent = urlencode(sorted(query.items()), safe="~", quote_via=quote)
    ours = Request("Do", method, f"/2021-04-06{path}", sent, extra, body)
    signed, _ = signed_headers(ours, keys, "host", NOW, "nonce")
    stated = {name: value for name, value in signed.items() if name != "authorization"}
    theirs = SimpleNamespace(method=method, pathname=ours.path, query=query, headers=stated)
    payload_hash = hashlib.sha256(body).hexdigest()
    official = Utils.get_authorization(
        theirs, "ACS3-HMAC-SHA256", payload_hash, keys.access_key_id, keys.access_key_secret
    )
    assert signed["authorization"] == official


def test_acs3_states_what_the_official_client_states() -> None:
    """Version, action, date, nonce and the hash of the body; with a token also the key's id."""
    request = Request("StopAsyncTask", "PUT", "/2023-03-30/functions/f/async-tasks/t/stop")
    signed, _ = signed_headers(request, WITH_TOKEN, "host", NOW, "nonce")
    del signed["authorization"]
    assert signed == {
        "accept": "application/json",
        "host": "host",
        "x-fc-date": "Tue, 14 Nov 2023 22:13:20 GMT",
        "x-acs-version": "2023-03-30",
        "x-acs-action": "StopAsyncTask",
        "x-acs-date": "2023-11-14T22:13:20Z",
        "x-acs-signature-nonce": "nonce",
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-accesskey-id": "AKID",
        "x-acs-security-token": "a/token+==",
    }


@given(
    method=st.sampled_from(["GET", "PUT"]),
    path=paths,
    extra=headers,
    keys=st.sampled_from([KEYS, WITH_TOKEN]),
)
def test_the_fc_signature_equals_that_of_fc2(
    method: str, path: str, extra: dict[str, str], keys: Credentials
) -> None:
    """fc2's own computation over the very headers that we send."""
    stated = {f"x-fc-{name}": value for name, value in extra.items()}
    request = Request("Do", method, f"/2016-08-15{path}", "", stated)
    signed, _ = signed_headers(request, keys, "host", NOW, "nonce")
    sent = {name: value for name, value in signed.items() if name != "authorization"}
    theirs = Auth(keys.access_key_id, keys.access_key_secret).sign_request(method, request.path, sent)
    assert signed["authorization"] == theirs


def test_the_fc_signature_is_over_the_decoded_path() -> None:
    """As the platform's page says; the query is not signed."""
    signed, _ = signed_headers(Request("Do", "GET", "/2016-08-15/a%24b", "q=1"), KEYS, "host", NOW, "nonce")
    authorization = signed.pop("authorization")
    assert authorization == Auth("AKID", "secret").sign_request("GET", "/2016-08-15/a$b", signed)


@pytest.mark.parametrize(
    ("version", "scheme"),
    [("2016-08-15", "FC"), ("2021-04-06", "ACS3-HMAC-SHA256"), ("2023-03-30", "ACS3-HMAC-SHA256")],
)
def test_the_version_decides_the_signature(version: str, scheme: str) -> None:
    """Whatever the signature, the moment also stands in a header of the platform's own."""
    signed, _ = signed_headers(Request("Do", "GET", f"/{version}/x"), KEYS, "host", NOW, "nonce")
    assert signed["authorization"].split()[0] == scheme
    assert signed["x-fc-date"] == "Tue, 14 Nov 2023 22:13:20 GMT"


def test_the_date_is_that_of_the_attempt() -> None:
    """In English and in GMT, whatever the machine speaks."""
    signed, _ = signed_headers(Request("Do", "GET", "/2016-08-15/x"), KEYS, "host", NOW, "nonce")
    assert signed["date"] == "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize("shown", [repr(WITH_TOKEN), str(WITH_TOKEN), f"{[WITH_TOKEN]}"])
def test_credentials_do_not_show_themselves(shown: str) -> None:
    """Not in a traceback's locals, not in a careless log line."""
    assert "secret" not in shown
    assert "token" not in shown
