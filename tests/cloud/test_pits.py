"""What plain fc2 does wrong on the wire, each beside what our client does. Both speak to a real socket.

A row of plain fc2 that begins to fail is good news: the pit was filled.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fc2
import fc2.client
import pytest
import urllib3.util.retry

from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.cloud.errors import CallFailed
from fc_reaper.errors import CloudError, InvalidName, SettingsError
from tests.cloud.clients import TOKEN, TRANSCODE, FastClock, Make, ours, plain
from tests.cloud.loopback import Script, answering, hang_up, http

TASK = {"serviceName": "media", "functionName": "transcode", "invocationId": "job-1", "status": "Running"}
GOOD = http(200, TASK, Content_Type="application/json")
REFUSED = http(403, {"ErrorCode": "AccessDenied", "ErrorMessage": "no"}, X_Fc_Request_Id="r-1")
FAULT = http(500, {"ErrorCode": "InternalServerError", "ErrorMessage": "fault"}, X_Fc_Request_Id="r-1")


def both(*, of_fc2: Any, of_ours: Any) -> pytest.MarkDecorator:
    """The same test for both clients, with what is seen of each."""
    rows = [pytest.param(plain, of_fc2, id="fc2"), pytest.param(ours, of_ours, id="ours")]
    return pytest.mark.parametrize(("make", "expected"), rows)


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of plain fc2, which cost no time here."""
    waits: list[float] = []
    fake = SimpleNamespace(sleep=waits.append, time=time.time, mktime=time.mktime)
    monkeypatch.setattr(urllib3.util.retry, "time", fake)
    return waits


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def read(client: Any) -> Any:
    """Read something by either client."""
    return (
        client.get(TRANSCODE, "job-1") if isinstance(client, AsyncTaskClient) else client.get_service("media")
    )


def change(client: Any) -> Any:
    """Change something by either client."""
    ours = isinstance(client, AsyncTaskClient)
    return client.stop(TRANSCODE, "job-1") if ours else client.delete_service("media")


def outcome_of(call: Callable[[], Any]) -> str:
    """The name of the error a call ends with, `returned` without one."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "returned"


@both(of_fc2=4, of_ours=1)
def test_four_calls_share_one_connection(make: Make, expected: int) -> None:
    """fc2 opens a connection, and makes a TLS handshake, for each call."""
    with answering(GOOD) as server, make(server.endpoint) as client:
        for _ in range(4):
            read(client)
        assert len({seen.port for seen in server.seen}) == expected


@both(of_fc2=6, of_ours=1)
@pytest.mark.parametrize("trouble", [FAULT, hang_up], ids=["status-500", "answer-lost"])
def test_what_changes_something_is_sent_once(make: Make, expected: int, trouble: bytes | Script) -> None:
    """fc2 repeats PUT and DELETE: a Stop whose answer was lost would be sent again, blindly."""
    with answering(trouble) as server, make(server.endpoint) as client:
        with contextlib.suppress(Exception):
            change(client)
        assert len(server.seen) == expected


def test_fc2_waits_half_a_minute_for_a_lasting_fault(slept: list[float]) -> None:
    """Six requests with 0, 2, 4, 8 and 16 s between them, whatever time is left."""
    with answering(FAULT) as server, plain(server.endpoint) as client:
        assert outcome_of(lambda: read(client)) == "RetryError"
        assert (len(server.seen), sum(slept)) == (6, 30)


def test_ours_waits_no_longer_than_its_deadline() -> None:
    """Waits double from 0.2 s, and none of them may outlast the deadline."""
    clock_of_ours = FastClock()
    with answering(FAULT) as server, ours(server.endpoint, clock=clock_of_ours.clock()) as client:
        with pytest.raises(CloudError):
            client.get(TRANSCODE, "job-1", deadline=clock_of_ours.monotonic() + 2)
        assert (len(server.seen), round(sum(clock_of_ours.slept), 3)) == (4, 1.4)


@both(of_fc2="RetryError", of_ours="CallFailed")
def test_a_lasting_fault_is_the_error_that_the_cloud_named(make: Make, expected: str) -> None:
    """fc2 loses status, code and request id behind an error of urllib3."""
    with answering(FAULT) as server, make(server.endpoint) as client:
        assert outcome_of(lambda: read(client)) == expected


def test_our_error_of_a_lasting_fault_keeps_every_fact() -> None:
    """Status, code, request id, and whether it may pass."""
    with answering(FAULT) as server, ours(server.endpoint) as client:
        with pytest.raises(fc2.FcError) as caught:
            read(client)
        error = caught.value
        assert isinstance(error, CallFailed)
        facts = (500, "InternalServerError", "r-1")
        assert (error.http_status, error.error_code, error.fc_request_id) == facts
        assert (error.status_code, error.err_code, error.request_id) == facts
        assert error.retryable


@both(of_fc2="ConnectionError", of_ours="CallFailed")
def test_a_missing_answer_is_the_same_typed_error(make: Make, expected: str) -> None:
    """fc2 lets an error of requests through when a connection breaks."""
    with answering(hang_up) as server, make(server.endpoint) as client:
        assert outcome_of(lambda: read(client)) == expected


@both(of_fc2=1, of_ours=2)
@pytest.mark.parametrize("status", [429, 503])
def test_throttling_without_a_hint_is_retried(make: Make, expected: int, status: int) -> None:
    """fc2 gives up at once."""
    throttled = http(status, {"ErrorCode": "ResourceExhausted"})
    with answering(throttled, GOOD) as server, make(server.endpoint) as client:
        with contextlib.suppress(fc2.FcError):
            read(client)
        assert len(server.seen) == expected


def test_fc2_sleeps_as_long_as_a_server_says(slept: list[float]) -> None:
    """Five times an hour, in a function that lives ten minutes."""
    hour = http(429, {"ErrorCode": "ResourceExhausted"}, Retry_After=3600)
    with answering(hour) as server, plain(server.endpoint) as client:
        assert outcome_of(lambda: read(client)) == "FcError"
    assert slept == [3600] * 5


@both(of_fc2=1, of_ours=2)
def test_each_attempt_is_signed_for_its_own_moment(make: Make, expected: int) -> None:
    """fc2 sends the old date again; after a quarter of an hour the cloud refuses it."""
    wait = http(503, {"ErrorCode": "ResourceThrottled"}, Retry_After=2)
    with answering(wait, GOOD) as server, make(server.endpoint) as client:
        read(client)
        assert len(server.seen) == 2
        assert len({seen.headers["authorization"] for seen in server.seen}) == expected


@both(of_fc2=True, of_ours=False)
@pytest.mark.parametrize("answer", [GOOD, REFUSED], ids=["good", "refused"])
def test_no_secret_reaches_a_log(
    make: Make, expected: bool, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """fc2 writes token and signature into the root logger: always at DEBUG, and at ERROR when refused."""
    caplog.set_level(logging.DEBUG)
    with answering(answer) as server, make(server.endpoint, TOKEN) as client:
        with contextlib.suppress(fc2.FcError):
            read(client)
        signature = server.seen[0].headers["authorization"].rpartition("Signature=")[2].rpartition(":")[2]
    written = "\n".join(f"{record.getMessage()} {record.args}" for record in caplog.records)
    assert (TOKEN in written and signature in written) is expected
    assert (TOKEN in written or signature in written) is expected


@both(of_fc2=1, of_ours=0)
def test_logging_is_not_set_up_behind_our_back(
    make: Make, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fc2's first error gives the root logger a handler, which then doubles every line of ours."""
    monkeypatch.setattr(logging.root, "handlers", [])
    with answering(REFUSED) as server, make(server.endpoint) as client, contextlib.suppress(fc2.FcError):
        read(client)
    assert len(logging.root.handlers) == expected


NO_OBJECT = [
    pytest.param(b"<html><h1>Bad Gateway</h1></html>", id="html"),
    pytest.param(b"", id="empty"),
    pytest.param(b'["AccessDenied"]', id="array"),
    pytest.param(b'{"ErrorCode": "Acc', id="cut-off"),
    pytest.param(b"[" * 100_000, id="deep"),
]


@pytest.mark.parametrize("body", NO_OBJECT)
def test_fc2_stumbles_over_a_refusal_that_is_no_object(body: bytes) -> None:
    """A JSON error, a type error, or a recursion error, from the line that logs it."""
    with answering(http(403, body)) as server, plain(server.endpoint) as client:
        stumbles = ("JSONDecodeError", "TypeError", "RecursionError")
        assert outcome_of(lambda: read(client)) in stumbles


@pytest.mark.parametrize("body", NO_OBJECT)
def test_any_refusal_is_one_typed_error(body: bytes) -> None:
    """Whatever the body, the status and the request id are known."""
    with answering(http(403, body, X_Fc_Request_Id="r-7")) as server, ours(server.endpoint) as client:
        with pytest.raises(fc2.FcError) as caught:
            read(client)
        assert (caught.value.status_code, caught.value.request_id) == (403, "r-7")
        assert caught.value.err_code == "UnreadableAnswer"


@both(of_fc2="JSONDecodeError", of_ours="CallFailed")
def test_an_empty_success_is_a_typed_error_where_a_body_is_needed(make: Make, expected: str) -> None:
    """fc2 lets the JSON parser's error through."""
    with answering(http(200)) as server, make(server.endpoint) as client:
        assert outcome_of(lambda: read(client)) == expected


CASINGS = ["ErrorCode", "errorCode", "Code", "code"]


@pytest.mark.parametrize("casing", CASINGS)
@both(of_fc2=["AccessDenied", "", "", ""], of_ours=["AccessDenied"] * 4)
def test_error_codes_are_read_in_every_casing(make: Make, expected: list[str], casing: str) -> None:
    """The servers of the platform spell it differently; fc2 reads one spelling."""
    with answering(http(403, {casing: "AccessDenied"})) as server, make(server.endpoint) as client:
        with pytest.raises(fc2.FcError) as caught:
            read(client)
        assert caught.value.err_code == expected[CASINGS.index(casing)]


@pytest.mark.parametrize("casing", ["RequestId", "RequestID", "requestId"])
@both(of_fc2="unknown", of_ours="r-9")
def test_the_request_id_is_also_read_from_the_body(make: Make, expected: str, casing: str) -> None:
    """Without the header fc2 says `unknown`."""
    with answering(http(403, {"Code": "AccessDenied", casing: "r-9"})) as server:
        with make(server.endpoint) as client, pytest.raises(fc2.FcError) as caught:
            read(client)
        assert caught.value.request_id == expected


@both(of_fc2=2, of_ours=1)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_do_not_follow_a_redirect(make: Make, expected: int, status: int) -> None:
    """fc2 follows, the authorization with it."""
    moved = http(status, b"", Location="/elsewhere")
    with answering(moved, GOOD) as server, make(server.endpoint) as client:
        outcome = outcome_of(lambda: read(client))
        assert (outcome, len(server.seen)) == ("returned" if expected == 2 else "CallFailed", expected)


@both(of_fc2="Basic", of_ours="ACS3-HMAC-SHA256")
def test_a_netrc_does_not_replace_the_signature(
    make: Make, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """requests prefers a matching netrc entry to the header it was given."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with answering(GOOD) as server, make(server.endpoint) as client:
        read(client)
        assert server.seen[0].headers["authorization"].split()[0] == expected


@both(of_fc2=(1, 0), of_ours=(0, 1))
def test_a_proxy_in_the_environment_is_not_obeyed(
    make: Make, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys must not travel through whatever a shell happens to name."""
    with answering(GOOD) as proxy, answering(GOOD) as server, make(server.endpoint) as client:
        monkeypatch.setenv("http_proxy", proxy.endpoint)
        read(client)
        assert (len(proxy.seen), len(server.seen)) == expected


@both(of_fc2="//2016", of_ours="/2021")
def test_a_slash_behind_the_endpoint_does_no_harm(make: Make, expected: str) -> None:
    """fc2 sends a path that begins with two, and a Host with one."""
    with answering(GOOD) as server, make(f"{server.endpoint}/") as client:
        read(client)
        assert server.seen[0].target.startswith(f"{expected}-")
        assert server.seen[0].headers["host"].endswith("/") is (make is plain)


@pytest.mark.parametrize("text", ["HTTP://127.0.0.1:{port}", " http://127.0.0.1:{port} "])
@both(of_fc2=False, of_ours=True)
def test_an_endpoint_may_be_shouted_or_padded(make: Make, expected: bool, text: str) -> None:
    """fc2 makes `https://HTTP://...` of it."""
    with answering(GOOD) as server, make(text.format(port=server.endpoint.rpartition(":")[2])) as client:
        assert (client.endpoint == server.endpoint) is expected


@pytest.mark.parametrize(
    "text", ["http://me:mine@127.0.0.1:1", "http://127.0.0.1:1/path", "http://127.0.0.1:1?a=b"]
)
def test_an_endpoint_with_more_than_a_host_is_refused(text: str) -> None:
    """fc2 puts user, password and path into the Host header."""
    with plain(text) as client:
        assert client.host == text.partition("//")[2]
    with pytest.raises(SettingsError) as caught, ours(text):
        pass
    assert "mine" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "sent_by_fc2"),
    [
        ("..", "/2016-08-15/services/media/"),
        (".", "/2016-08-15/services/media/functions/"),
        ("a#b", "/2016-08-15/services/media/functions/a"),
        ("a?x=1", "/2016-08-15/services/media/functions/a?x=1"),
        ("a/b", "/2016-08-15/services/media/functions/a/b"),
        ("a b", "/2016-08-15/services/media/functions/a%20b"),
        ("a%2Fb", "/2016-08-15/services/media/functions/a%2Fb"),
    ],
)
def test_a_name_cannot_change_what_a_request_is_about(name: str, sent_by_fc2: str) -> None:
    """fc2 escapes nothing; ours refuses before anything is sent."""
    with answering(GOOD) as server:
        with plain(server.endpoint) as client:
            client.get_function("media", name)
        with ours(server.endpoint) as client, pytest.raises(InvalidName):
            client.get(TRANSCODE._replace(name=name), "job-1")
        assert [seen.target for seen in server.seen] == [sent_by_fc2]


@both(of_fc2=False, of_ours=True)
def test_a_body_cut_short_is_a_typed_error(make: Make, expected: bool) -> None:
    """What came is not taken for the whole; fc2 lets an error of requests through, or takes it."""

    def cut_short(connection: Any) -> None:
        connection.sendall(http(200, b'{"a": 1}', Content_Length=100))
        hang_up(connection)

    with answering(cut_short) as server, make(server.endpoint) as client:
        assert (outcome_of(lambda: read(client)) == "CallFailed") is expected
