"""Who may call: both schemes are checked, by dates, keys, tokens and every signed byte."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.emulator.seeds import A_SHIFT
from tests.emulator.wire import CLASSIC, DIALECTS, OPEN, THREE, Caller, Door
from tests.emulator_process import EmulatorProcess, running_emulator

CODES: dict[str, tuple[Callable[[Caller], Caller], str]] = {
    "wrong secret": (lambda c: replace(c, secret="wrong"), "SignatureNotMatch"),
    "unknown key": (lambda c: replace(c, key="somebody"), "InvalidAccessKeyID"),
    "sixteen minutes late": (lambda c: replace(c, skew=-16 * 60), "SignatureNotMatch"),
    "sixteen minutes early": (lambda c: replace(c, skew=16 * 60), "SignatureNotMatch"),
}


@pytest.mark.parametrize("trouble", CODES)
def test_a_caller_who_is_not_right_is_refused_with_403(
    door: Door, trouble: str, emulator: EmulatorProcess
) -> None:
    """Nothing is done for such a caller, and the call counts."""
    change, code = CODES[trouble]
    stranger = replace(door, call=change(door.call))
    for answer in (stranger.page(), stranger.stop("job-1")):
        assert (answer.status_code, door.code(answer)) == (403, code)
    assert all(task["status"] == "Running" for task in emulator.tasks() if task["invocationId"] == "job-1")
    assert sum(emulator.calls()["counts"].values()) == 2


@pytest.mark.parametrize("minutes", [-14, 14])
def test_a_clock_that_is_off_by_less_than_fifteen_minutes_is_fine(door: Door, minutes: int) -> None:
    assert replace(door, call=replace(door.call, skew=minutes * 60)).page().status_code == 200


def test_a_call_without_authorization_is_refused(door: Door) -> None:
    answer = door.call.send("GET", door.tasks_path, {}, b"", {})
    assert (answer.status_code, door.code(answer)) == (403, "AccessDenied")


def test_the_scheme_of_another_dialect_is_refused(door: Door) -> None:
    """Dialect and signature go together."""
    path, call = door.tasks_path, door.call
    other = call.acs3("GET", path, {}, b"") if door.version == CLASSIC else call.fc("GET", path)
    answer = call.send("GET", path, {}, b"", other)
    assert (answer.status_code, door.code(answer)) == (403, "SignatureNotMatch")


def _sent_without(door: Door, header: str) -> tuple[int, str]:
    headers = door.call.headers("GET", door.tasks_path, {}, b"")
    del headers[header]
    answer = door.call.send("GET", door.tasks_path, {}, b"", headers)
    return answer.status_code, door.code(answer)


@pytest.mark.parametrize(
    ("version", "header"),
    [
        (CLASSIC, "date"),
        (OPEN, "x-acs-date"),
        (OPEN, "x-acs-action"),
        (OPEN, "x-acs-version"),
        (THREE, "x-acs-content-sha256"),
    ],
)
def test_a_missing_header_is_named(call: Caller, version: str, header: str) -> None:
    assert _sent_without(Door(call, version), header) == (400, "MissingRequiredHeader")


@pytest.mark.parametrize(("version", "header"), [(CLASSIC, "date"), (OPEN, "x-acs-date")])
def test_a_date_that_is_none_is_refused(call: Caller, version: str, header: str) -> None:
    door = Door(replace(call, extra={header: "yesterday"}), version)
    answer = door.page()
    assert (answer.status_code, door.code(answer)) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("version", "changed"),
    [
        pytest.param(CLASSIC, {"content-type": "text/plain"}, id="fc-content-type"),
        pytest.param(CLASSIC, {"x-fc-trace-id": "another"}, id="fc-header"),
        pytest.param(CLASSIC, {"x-fc-more": "unsigned"}, id="fc-unsigned-header"),
        pytest.param(OPEN, {"x-fc-trace-id": "another"}, id="acs3-header"),
        pytest.param(OPEN, {"x-acs-more": "unsigned"}, id="acs3-unsigned-header"),
        pytest.param(THREE, {"x-acs-signature-nonce": "another"}, id="acs3-nonce"),
    ],
)
def test_a_header_changed_on_the_way_is_noticed(call: Caller, version: str, changed: dict[str, str]) -> None:
    door = Door(replace(call, extra={"x-fc-trace-id": "mine"}), version)
    query = door._query({})
    headers = door.call.headers("GET", door.tasks_path, query, b"")
    assert door.call.send("GET", door.tasks_path, query, b"", headers).status_code == 200
    answer = door.call.send("GET", door.tasks_path, query, b"", headers | changed)
    assert (answer.status_code, door.code(answer)) == (403, "SignatureNotMatch")


def test_a_query_changed_on_the_way_is_noticed_where_it_is_signed(door: Door) -> None:
    """ACS3 signs the query, the FC scheme does not."""
    query = door._query({})
    headers = door.call.headers("GET", door.tasks_path, query, b"")
    answer = door.call.send("GET", door.tasks_path, {**query, "limit": 1}, b"", headers)
    assert answer.status_code == (200 if door.version == CLASSIC else 403)


def test_a_path_changed_on_the_way_is_noticed(door: Door) -> None:
    query = door._query({})
    headers = door.call.headers("GET", f"{door.tasks_path}/job-1", query, b"")
    answer = door.call.send("GET", f"{door.tasks_path}/job-2", query, b"", headers)
    assert (answer.status_code, door.code(answer)) == (403, "SignatureNotMatch")


@pytest.mark.parametrize("version", [OPEN, THREE])
def test_a_body_changed_on_the_way_is_noticed(call: Caller, version: str) -> None:
    door = Door(call, version)
    path, query = f"{door.path}/invocations", door._query({})
    headers = call.acs3("POST", path, query, b"mine")
    answer = call.send("POST", path, query, b"other", headers)
    assert (answer.status_code, door.code(answer)) == (403, "SignatureNotMatch")


@pytest.mark.parametrize("value", ["a b", "a+b", "a/b&c=d", "ü", "~-._"])
def test_a_query_is_signed_in_its_canonical_form(call: Caller, value: str) -> None:
    """The wire may write a blank as +; the signature has %20."""
    door = Door(call, OPEN)
    assert door.page(invocationIdPrefix=value).json() == {"invocations": []}


@pytest.mark.parametrize("version", [OPEN, THREE])
@pytest.mark.parametrize("header", ["x-acs-action", "x-acs-version"])
def test_what_a_call_says_it_is_must_be_what_it_is(call: Caller, version: str, header: str) -> None:
    door = Door(replace(call, extra={header: "DeleteFunction"}), version)
    answer = door.page()
    assert (answer.status_code, door.code(answer)) == (400, "InvalidArgument")


@pytest.mark.parametrize("hashed", [bytes.fromhex, lambda digest: digest.encode()], ids=["raw", "hex"])
def test_content_md5_may_be_of_the_digest_or_of_its_digits(
    call: Caller, hashed: Callable[[str], bytes]
) -> None:
    """The Node client sends the second; a digest of another body is refused."""
    path = f"{Door(call, CLASSIC).path}/invocations"
    for body, status in ((b"mine", 200), (b"other", 400)):
        md5 = base64.b64encode(hashed(hashlib.md5(b"mine").hexdigest())).decode()
        headers = replace(call, extra={"content-md5": md5}).fc("POST", path)
        assert call.send("POST", path, {}, body, headers).status_code == status


def test_x_fc_date_may_stand_beside_the_date_or_in_its_place(call: Caller) -> None:
    """One public client signs it in place of Date, which is then not looked at."""
    now = time.strftime("%a,%d %b %Y %H:%M:%S GMT", time.gmtime())
    door = Door(replace(call, extra={"x-fc-date": now}), CLASSIC)
    assert door.page().status_code == 200
    in_place = replace(call, extra={"x-fc-date": now, "date": now}).fc("GET", door.tasks_path)
    del in_place["date"]
    assert call.send("GET", door.tasks_path, {}, b"", in_place).status_code == 200


@pytest.mark.parametrize("version", DIALECTS)
def test_a_security_token_is_asked_for_when_one_is_configured(version: str) -> None:
    """Missing or wrong it is refused, and it never comes back in an answer or in the list of calls."""
    with running_emulator("--security-token", "tok-5E", seed=A_SHIFT) as emulator:
        caller = Caller(emulator.endpoint)
        for token, status in ((None, 403), ("wrong", 403), ("tok-5E", 200)):
            assert Door(replace(caller, token=token), version).page().status_code == status
        refused = Door(replace(caller, token="tok-5E", secret="wrong"), version).page()
        assert refused.status_code == 403
        assert "tok-5E" not in refused.text
        assert "tok-5E" not in str(emulator.calls())


def test_the_keys_are_those_that_were_configured() -> None:
    args = ("--access-key-id", "LTAI", "--access-key-secret", "s3cret", "--account-id", "42")
    with running_emulator(*args, seed=A_SHIFT) as emulator:
        door = Door(Caller(emulator.endpoint, "LTAI", "s3cret"), THREE)
        assert door.get("job-1").json()["functionArn"] == "acs:fc:cn-hangzhou:42:functions/transcode"
        assert Door(Caller(emulator.endpoint), THREE).get("job-1").status_code == 403
