"""Both signature schemes are verified: dates, keys, tokens and every signed byte."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.emulator.seeds import A_SHIFT
from tests.emulator.wire import V2016, V2021, V2023, VERSIONS, Api, Caller
from tests.emulator_server import Emulator, running_emulator

CODES: dict[str, tuple[Callable[[Caller], Caller], str]] = {
    "wrong secret": (lambda c: replace(c, secret="wrong"), "SignatureNotMatch"),
    "unknown key": (lambda c: replace(c, key="other"), "InvalidAccessKeyID"),
    "sixteen minutes late": (lambda c: replace(c, skew=-16 * 60), "SignatureNotMatch"),
    "sixteen minutes early": (lambda c: replace(c, skew=16 * 60), "SignatureNotMatch"),
}


@pytest.mark.parametrize("mistake", CODES)
def test_a_wrong_signature_is_refused_with_403(api: Api, mistake: str, emulator: Emulator) -> None:
    """The operation is not carried out, and the call counts."""
    change, code = CODES[mistake]
    other = replace(api, call=change(api.call))
    for answer in (other.page(), other.stop("job-1")):
        assert (answer.status_code, api.code(answer)) == (403, code)
    assert all(task["status"] == "Running" for task in emulator.tasks() if task["invocationId"] == "job-1")
    assert sum(emulator.calls()["counts"].values()) == 2


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_may_be_off_by_less_than_fifteen_minutes(api: Api, minutes: int) -> None:
    assert replace(api, call=replace(api.call, skew=minutes * 60)).page().status_code == 200


def test_a_call_without_authorization_is_refused(api: Api) -> None:
    answer = api.call.send("GET", api.tasks_path, {}, b"", {})
    assert (answer.status_code, api.code(answer)) == (403, "AccessDenied")


def test_the_scheme_of_another_version_is_refused(api: Api) -> None:
    path, call = api.tasks_path, api.call
    other = call.acs3("GET", path, {}, b"") if api.version == V2016 else call.fc("GET", path)
    answer = call.send("GET", path, {}, b"", other)
    assert (answer.status_code, api.code(answer)) == (403, "SignatureNotMatch")


def _sent_without(api: Api, header: str) -> tuple[int, str]:
    headers = api.call.headers("GET", api.tasks_path, {}, b"")
    del headers[header]
    answer = api.call.send("GET", api.tasks_path, {}, b"", headers)
    return answer.status_code, api.code(answer)


@pytest.mark.parametrize(
    ("version", "header"),
    [
        (V2016, "date"),
        (V2021, "x-acs-date"),
        (V2021, "x-acs-action"),
        (V2021, "x-acs-version"),
        (V2023, "x-acs-content-sha256"),
    ],
)
def test_a_missing_header_is_named(call: Caller, version: str, header: str) -> None:
    assert _sent_without(Api(call, version), header) == (400, "MissingRequiredHeader")


@pytest.mark.parametrize(("version", "header"), [(V2016, "date"), (V2021, "x-acs-date")])
def test_a_date_in_another_format_is_refused(call: Caller, version: str, header: str) -> None:
    api = Api(replace(call, extra={header: "yesterday"}), version)
    answer = api.page()
    assert (answer.status_code, api.code(answer)) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("version", "changed"),
    [
        pytest.param(V2016, {"content-type": "text/plain"}, id="fc-content-type"),
        pytest.param(V2016, {"x-fc-trace-id": "another"}, id="fc-header"),
        pytest.param(V2016, {"x-fc-more": "unsigned"}, id="fc-unsigned-header"),
        pytest.param(V2021, {"x-fc-trace-id": "another"}, id="acs3-header"),
        pytest.param(V2021, {"x-acs-more": "unsigned"}, id="acs3-unsigned-header"),
        pytest.param(V2023, {"x-acs-signature-nonce": "another"}, id="acs3-nonce"),
    ],
)
def test_a_changed_header_is_refused(call: Caller, version: str, changed: dict[str, str]) -> None:
    api = Api(replace(call, extra={"x-fc-trace-id": "mine"}), version)
    query = api._query({})
    headers = api.call.headers("GET", api.tasks_path, query, b"")
    assert api.call.send("GET", api.tasks_path, query, b"", headers).status_code == 200
    answer = api.call.send("GET", api.tasks_path, query, b"", headers | changed)
    assert (answer.status_code, api.code(answer)) == (403, "SignatureNotMatch")


def test_a_changed_query_is_refused_where_it_is_signed(api: Api) -> None:
    """ACS3 signs the query, the FC scheme does not."""
    query = api._query({})
    headers = api.call.headers("GET", api.tasks_path, query, b"")
    answer = api.call.send("GET", api.tasks_path, {**query, "limit": 1}, b"", headers)
    assert answer.status_code == (200 if api.version == V2016 else 403)


def test_a_changed_path_is_refused(api: Api) -> None:
    query = api._query({})
    headers = api.call.headers("GET", f"{api.tasks_path}/job-1", query, b"")
    answer = api.call.send("GET", f"{api.tasks_path}/job-2", query, b"", headers)
    assert (answer.status_code, api.code(answer)) == (403, "SignatureNotMatch")


@pytest.mark.parametrize("version", [V2021, V2023])
def test_a_changed_body_is_refused(call: Caller, version: str) -> None:
    api = Api(call, version)
    path, query = f"{api.path}/invocations", api._query({})
    headers = call.acs3("POST", path, query, b"mine")
    answer = call.send("POST", path, query, b"other", headers)
    assert (answer.status_code, api.code(answer)) == (403, "SignatureNotMatch")


@pytest.mark.parametrize("value", ["a b", "a+b", "a/b&c=d", "ü", "~-._"])
def test_a_query_is_signed_in_its_canonical_form(call: Caller, value: str) -> None:
    """A URL may contain a blank as +; the signature has %20."""
    api = Api(call, V2021)
    assert api.page(invocationIdPrefix=value).json() == {"invocations": []}


@pytest.mark.parametrize("version", [V2021, V2023])
@pytest.mark.parametrize("header", ["x-acs-action", "x-acs-version"])
def test_action_and_version_headers_must_be_those_of_the_path(
    call: Caller, version: str, header: str
) -> None:
    api = Api(replace(call, extra={header: "DeleteFunction"}), version)
    answer = api.page()
    assert (answer.status_code, api.code(answer)) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(lambda digest: base64.b64encode(digest).decode(), id="base64"),
        pytest.param(lambda digest: base64.b64encode(digest.hex().encode()).decode(), id="node"),
        pytest.param(lambda digest: digest.hex(), id="go"),
    ],
)
def test_content_md5_is_written_as_the_official_clients_do(
    call: Caller, written: Callable[[bytes], str]
) -> None:
    """In base64, in base64 of the hexadecimal form, or in that form; that of another body is refused."""
    path = f"{Api(call, V2016).path}/invocations"
    for body, status in ((b"mine", 200), (b"other", 400)):
        headers = replace(call, extra={"content-md5": written(hashlib.md5(b"mine").digest())}).fc(
            "POST", path
        )
        assert call.send("POST", path, {}, body, headers).status_code == status


def test_x_fc_date_may_replace_date_or_accompany_it(call: Caller) -> None:
    """One public client signs it in place of Date."""
    now = time.strftime("%a,%d %b %Y %H:%M:%S GMT", time.gmtime())
    api = Api(replace(call, extra={"x-fc-date": now}), V2016)
    assert api.page().status_code == 200
    in_place = replace(call, extra={"x-fc-date": now, "date": now}).fc("GET", api.tasks_path)
    del in_place["date"]
    assert call.send("GET", api.tasks_path, {}, b"", in_place).status_code == 200


@pytest.mark.parametrize("version", VERSIONS)
def test_a_security_token_is_required_when_one_is_configured(version: str) -> None:
    """Missing or wrong it is refused, and it never comes back in an answer or in the list of calls."""
    with running_emulator("--security-token", "tok-5E", seed=A_SHIFT) as emulator:
        caller = Caller(emulator.endpoint)
        for token, status in ((None, 403), ("wrong", 403), ("tok-5E", 200)):
            assert Api(replace(caller, token=token), version).page().status_code == status
        refused = Api(replace(caller, token="tok-5E", secret="wrong"), version).page()
        assert refused.status_code == 403
        assert "tok-5E" not in refused.text
        assert "tok-5E" not in str(emulator.calls())


def test_the_keys_can_be_configured() -> None:
    args = ("--access-key-id", "LTAI", "--access-key-secret", "s3cret", "--account-id", "42")
    with running_emulator(*args, seed=A_SHIFT) as emulator:
        api = Api(Caller(emulator.endpoint, "LTAI", "s3cret"), V2023)
        assert api.get("job-1").json()["functionArn"] == "acs:fc:cn-hangzhou:42:functions/transcode"
        assert Api(Caller(emulator.endpoint), V2023).get("job-1").status_code == 403
