"""The one seam of fc2, and the transport when it is closed, untrusted, unreachable or out of time."""

from __future__ import annotations

import datetime
import inspect
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fc2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fc_reaper.clock import SYSTEM_CLOCK, Clock
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.errors import CloudError, SettingsError
from tests.cloud.clients import SECRET, TOKEN, TRANSCODE, FastClock, ours
from tests.cloud.loopback import answering, hang_up, http, silent
from tests.emulator_server import running_emulator
from tests.reaping import KEYS, reap
from tests.run.account import SEED, policy

TASK = http(200, {"invocationId": "job-1", "status": "Running"}, Content_Type="application/json")


def error_of(call: Callable[[], Any]) -> CloudError:
    with pytest.raises(CloudError) as caught:
        call()
    return caught.value


def test_the_seam_is_called_as_fc2_calls_its_own() -> None:
    """fc2's parameters in their order, then what we need beyond them, by name."""
    theirs = list(inspect.signature(fc2.Client._do_request).parameters)
    ours = inspect.signature(AsyncTaskClient._do_request).parameters
    assert list(ours)[: len(theirs)] == theirs
    assert all(one.kind is one.KEYWORD_ONLY for one in list(ours.values())[len(theirs) :])


def test_every_request_of_a_whole_run_passes_the_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Discovery, listing, reading, stopping, proving and what it saved, with a retry among them."""
    passed: list[str] = []
    seam = AsyncTaskClient._do_request

    def counting(self: Any, *args: Any, operation: str, **more: Any) -> Any:
        passed.append(operation)
        return seam(self, *args, operation=operation, **more)

    monkeypatch.setattr(AsyncTaskClient, "_do_request", counting)
    with running_emulator("--stopping", "5ms", seed=SEED) as cloud:
        cloud.faults([{"operation": "GetStatefulAsyncInvocation", "status": 503, "times": 1}])
        reaped = reap(cloud.endpoint, policy(targets="['media/*@*']"), enforce=True)
        assert reaped.counts["confirmed"] == 3
        assert Counter(passed) == cloud.calls()["counts"]
    assert len(set(passed)) == 5


def test_the_methods_of_fc2_are_not_served() -> None:
    """All of them would send names unchecked; none of them sends anything."""
    methods = [
        (name, method)
        for name, method in inspect.getmembers(fc2.Client, inspect.isfunction)
        if not name.startswith("_")
    ]
    with answering(TASK) as server, ours(server.endpoint) as client:
        for name, method in methods:
            required = [
                one for one in inspect.signature(method).parameters.values() if one.default is one.empty
            ][1:]
            with pytest.raises(NotImplementedError, match=r"use fc2\.Client"):
                getattr(client, name)(*("x" for _ in required))
        assert server.seen == []
    assert len(methods) > 40


def test_closing_ends_the_wait_before_a_retry() -> None:
    """A wait of half a minute is taken in short steps."""
    steps: list[float] = []

    def sleep(seconds: float) -> None:
        steps.append(seconds)
        client.close()

    clock = Clock(now=SYSTEM_CLOCK.now, monotonic=SYSTEM_CLOCK.monotonic, sleep=sleep)
    with answering(http(503, b"", Retry_After=30)) as server, ours(server.endpoint, clock=clock) as client:
        assert error_of(lambda: client.get(TRANSCODE, "job-1")).error_code == "Aborted"
        assert (len(server.seen), len(steps)) == (1, 1)


def test_nothing_is_sent_through_a_closed_client() -> None:
    """It fails at once, before anything is counted."""
    with answering(TASK) as server, ours(server.endpoint) as client:
        client.close()
        assert error_of(lambda: client.get(TRANSCODE, "job-1")).error_code == "Aborted"
        assert error_of(lambda: client.stop(TRANSCODE, "job-1")).error_code == "Aborted"
    assert (server.seen, client.calls) == ([], {})


def test_a_call_under_way_when_the_client_is_closed_is_not_retried() -> None:
    """It ends with its answer or its time-out."""

    def closing(connection: socket.socket) -> None:
        client.close()
        silent(connection)

    with answering(closing) as server, ours(server.endpoint, read_timeout=0.2) as client:
        assert error_of(lambda: client.get(TRANSCODE, "job-1")).error_code == "Aborted"
        assert len(server.seen) == 1


def test_an_attempt_ends_with_its_deadline() -> None:
    """The time-outs shrink to the time that is left."""
    with answering(silent) as server:
        with ours(server.endpoint, clock=SYSTEM_CLOCK, read_timeout=600) as client:
            deadline = SYSTEM_CLOCK.monotonic() + 0.2
            error = error_of(lambda: client.get(TRANSCODE, "job-1", deadline=deadline))
        assert (error.error_code, len(server.seen)) == ("TimedOut", 1)


def test_nothing_is_begun_after_the_deadline() -> None:
    """The deadline itself is too late."""
    clock = Clock(now=SYSTEM_CLOCK.now, monotonic=lambda: 100.0, sleep=lambda _s: None)
    with answering(TASK) as server, ours(server.endpoint, clock=clock) as client:
        assert error_of(lambda: client.get(TRANSCODE, "job-1", deadline=100.0)).error_code == "OutOfTime"
        assert server.seen == []


def test_a_body_that_drips_ends_with_its_deadline() -> None:
    """Each byte comes within the time-out for a pause; the whole never does."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(http(200, b"", Content_Length=1000))
        while True:
            connection.sendall(b" ")
            time.sleep(0.02)

    with answering(drip) as server, ours(server.endpoint, clock=SYSTEM_CLOCK) as client:
        deadline = SYSTEM_CLOCK.monotonic() + 0.3
        error = error_of(lambda: client.get(TRANSCODE, "job-1", deadline=deadline))
        assert (error.error_code, error.retryable, len(server.seen)) == ("TimedOut", True, 1)


def test_an_interim_answer_does_not_shift_the_answers_of_a_connection() -> None:
    """http.client takes a 103 for the whole answer; the true one must not answer the next call."""
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    other = http(200, {"invocationId": "job-1", "status": "Stopped"})

    def late(connection: socket.socket) -> None:
        time.sleep(0.05)
        connection.sendall(other)

    with answering(early, late) as server, ours(server.endpoint) as client:
        assert error_of(lambda: client.stop(TRANSCODE, "job-2")).unclear
        client.get(TRANSCODE, "job-1")
        assert len({seen.port for seen in server.seen}) == 2


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time-out of a socket bounds it; once it answers, calls go on."""
    answers, host = threading.Event(), socket.getaddrinfo("127.0.0.1", 80)

    def hang(*_args: Any, **_more: Any) -> Any:
        answers.wait()
        return host

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with ours("https://fc.example", connect_timeout=0.05) as client:
        error = error_of(lambda: client.stop(TRANSCODE, "job-1"))
        assert (error.error_code, error.retryable, error.unclear) == ("TimedOut", True, False)
        assert "resolved" in error.detail
        answers.set()
        monkeypatch.undo()
        assert client._resolved.wait(10)


def test_a_resolver_that_fails_late_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead one takes some ten seconds to say so: each attempt of each call would take as long again."""
    asked, clock = [], FastClock().clock()

    def fails(*_args: Any, **_more: Any) -> Any:
        asked.append(1)
        clock.sleep(10)
        raise socket.gaierror("temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with ours("https://fc.example", clock=clock, connect_timeout=0.05) as client:
        for _ in range(2):
            error = error_of(lambda: client.get(TRANSCODE, "job-1"))
            assert (error.error_code, error.retryable, error.unclear) == ("TimedOut", True, False)
    assert asked == [1]


def test_a_resolver_that_fails_soon_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may know better by then; and the error is its own."""
    asked = []

    def fails(*_args: Any, **_more: Any) -> Any:
        asked.append(1)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with ours("https://fc.example") as client:
        assert "no such name" in error_of(lambda: client.get(TRANSCODE, "job-1")).detail
    assert len(asked) > 2


HANGING = """
import socket, sys, threading

socket.getaddrinfo = lambda *_args, **_more: threading.Event().wait()
from fc_reaper.__main__ import main_and_exit

sys.argv[1:] = ["invoke", "-", "--policy", sys.argv[1], "--timeout", "3", "--endpoint", "https://fc.example"]
main_and_exit()
"""


def test_a_command_ends_though_the_resolver_never_answers(tmp_path: Path) -> None:
    """As one that could not reach the cloud; no thread keeps the process alive."""
    file = tmp_path / "policy.yaml"
    file.write_text(policy(), encoding="utf-8")
    env = {**os.environ, **KEYS, "REAPER_MARGIN": "1s"}
    command = [sys.executable, "-c", HANGING, str(file)]
    done = subprocess.run(command, env=env, input="{}", capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done.stderr
    assert "not resolved" in done.stdout + done.stderr


def test_nobody_listens() -> None:
    """A refused connection may be a restart, and is said to be one."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with ours(endpoint) as client:
        error = error_of(lambda: client.get(TRANSCODE, "job-1"))
    assert (error.error_code, error.http_status, error.retryable) == ("ConnectionFailed", None, True)
    assert "refused" in str(error).lower()


def test_a_connection_that_the_server_let_go_is_replaced() -> None:
    """Servers close idle connections; the next call opens another."""
    parting = http(200, {"invocationId": "job-1", "status": "Running"}, Connection="close")
    with answering(parting) as server, ours(server.endpoint) as client:
        for _ in range(3):
            assert client.get(TRANSCODE, "job-1").task.status == "Running"
        assert len({seen.port for seen in server.seen}) == 3


def broken(body: bytes, *, status: int = 200, **headers: Any) -> bytes:
    """An answer whose body cannot be read to its end."""
    return http(status, body, Content_Length=None, **headers)


UNCLEAR = {
    "no-answer": hang_up,
    "chunk-of-minus-five": broken(b"-5\r\nhello\r\n0\r\n\r\n", Transfer_Encoding="chunked"),
    "chunk-without-a-size": broken(b"five\r\nhello\r\n", Transfer_Encoding="chunked"),
    "chunk-beyond-all-bounds": broken(b"f" * 40 + b"\r\nhello\r\n", Transfer_Encoding="chunked"),
    "body-not-compressed-as-stated": http(200, b"{}", Content_Encoding="gzip"),
    "status-that-is-no-number": b"HTTP/1.1 two Said\r\n\r\n",
    "not-http": b"\x00\xff\r\n\r\n",
    "headers-without-end": b"HTTP/1.1 200 Said\r\n" + b"A: b\r\n" * 300 + b"\r\n",
    "switching-protocols": b"HTTP/1.1 101 Said\r\n\r\n",
    "early-hints": b"HTTP/1.1 103 Said\r\n\r\n",
    "redirect": http(302, {"Code": "AccessDenied"}, Location="/"),
    "time-out": http(408, {"Code": "RequestTimeout"}),
    "proxy": http(403, b"<html>no</html>"),
    "fault": http(500, {"Code": "InternalServerError"}),
}


@pytest.mark.parametrize("answer", UNCLEAR.values(), ids=UNCLEAR)
def test_a_stop_may_have_taken_effect_unless_the_platform_refused(answer: Any) -> None:
    """Every fault of the transport is one kind of error, and leaves the outcome open."""
    if isinstance(answer, bytes):
        whole = answer

        def answer(connection: socket.socket) -> None:
            connection.sendall(whole)
            hang_up(connection)

    with answering(answer) as server, ours(server.endpoint) as client:
        error = error_of(lambda: client.stop(TRANSCODE, "job-1"))
        assert (type(error).__name__, error.unclear, len(server.seen)) == ("CallFailed", True, 1)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"Code": "AccessDenied"}', b"\xff\xfe"])
def test_any_2xx_accepts_a_stop(status: int, body: bytes) -> None:
    """The classic answer is empty, that of 2023-03-30 is declared as 204; no body says anything."""
    with answering(http(status, b"" if status == 204 else body)) as server, ours(server.endpoint) as client:
        assert client.stop(TRANSCODE, "job-1").earliest > 0


def test_a_refusal_does_not_repeat_our_secrets() -> None:
    """Some servers answer with the text that should have been signed, token and signature in it."""

    def echo(connection: socket.socket) -> None:
        sent = server.seen[-1].headers
        text = f"{sent['authorization']} {sent['x-acs-security-token']} {SECRET}"
        connection.sendall(http(403, {"Code": "SignatureNotMatch", "Message": text * 20}))

    with answering(echo) as server, ours(server.endpoint, TOKEN) as client:
        error = error_of(lambda: client.get(TRANSCODE, "job-1"))
        signature = server.seen[-1].headers["authorization"].rpartition("=")[2]
    shown = f"{error} {error!r} {vars(error)}"
    assert "SignatureNotMatch" in shown
    assert not any(secret in shown for secret in (SECRET, TOKEN, signature, signature[:16], TOKEN[:12]))


@pytest.mark.parametrize("header", [True, False], ids=["header", "body"])
def test_a_good_answer_does_not_repeat_our_secrets(header: bool) -> None:
    """Neither in the request id of its header nor in a text of its record; a short key id is a word."""

    def echo(connection: socket.socket) -> None:
        sent = server.seen[-1].headers
        text = f"{sent['authorization']} {TOKEN} {SECRET}"
        record = {"invocationId": "job-1", "status": "Running" if header else text, "requestId": text}
        connection.sendall(http(200, record if not header else [], X_Fc_Request_Id=text))

    with answering(echo) as server, ours(server.endpoint, TOKEN, access_key_id="media") as client:
        try:
            shown = repr(client.get(TRANSCODE, "job-1"))
        except CloudError as error:
            shown = f"{error!r} {vars(error)}"
        signature = server.seen[-1].headers["authorization"].rpartition("=")[2]
    assert "***" in shown
    assert not any(secret in shown for secret in (SECRET, TOKEN, signature))


def test_a_short_token_is_a_word() -> None:
    """It is not cut out of the texts of an answer."""
    with answering(TASK) as server, ours(server.endpoint, "un") as client:
        assert client.get(TRANSCODE, "job-1").task.status == "Running"


def test_a_client_does_not_show_its_keys() -> None:
    """Not in its own words, and not in those of its parts."""
    with ours("http://127.0.0.1:1", TOKEN) as client:
        shown = f"{client!r} {vars(client)}"
    assert SECRET not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("access_key_id", ""),
        ("access_key_secret", " "),
        ("access_key_secret", "sec\nret"),
        ("security_token", "tökén"),
        ("account_id", "1\r\nX-Evil: 1"),
        ("trace_id", "tökén"),
        ("endpoint", "http://example.com"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(setting: str, value: Any) -> None:
    """Before the first call, with what to write instead and without the secret."""
    good: dict[str, Any] = {"endpoint": "h", "access_key_secret": "hidden-secret"}
    with pytest.raises(SettingsError) as caught, ours(**{**good, setting: value}):
        pass
    assert "hidden-secret" not in str(caught.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that only those trust who are told to, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1)).add_extension(address, critical=False)
    signed = builder.sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, none)
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def _trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fc_reaper.cloud.client.DEFAULT_CA_BUNDLE_PATH", str(certificate))


def test_a_certificate_nobody_vouches_for_ends_the_call(tls: ssl.SSLContext) -> None:
    """Nothing is sent, and nothing is tried again: it will be as wrong a second later."""
    with answering(TASK, tls=tls) as server, ours(server.endpoint) as client:
        error = error_of(lambda: client.get(TRANSCODE, "job-1"))
    facts = (error.error_code, error.retryable, client.calls.total(), server.seen)
    assert facts == ("ConnectionFailed", False, 1, [])


@pytest.mark.usefixtures("_trusted")
def test_tls_is_spoken_over_one_kept_connection(tls: ssl.SSLContext) -> None:
    """One handshake for all calls."""
    with answering(TASK, tls=tls) as server, ours(server.endpoint) as client:
        assert [client.get(TRANSCODE, "job-1").task.status for _ in range(3)] == ["Running"] * 3
        assert len({seen.port for seen in server.seen}) == 1
