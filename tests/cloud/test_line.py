"""The line under strain: cut, closed, untrusted, unreachable, and never repeating a secret."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fc_reaper.clock import SYSTEM_CLOCK, Clock
from fc_reaper.cloud import AsyncTaskClient
from fc_reaper.cloud.failures import CallFailed
from fc_reaper.errors import CloudError, InvalidName, SettingsError
from tests.cloud.clients import SECRET, TOKEN, TRANSCODE, ours
from tests.cloud.loopback import answering, dripping, http, silent

TASK = http(200, {"invocationId": "job-1", "status": "Running"}, Content_Type="application/json")


def error_of(call: Callable[[], Any]) -> CloudError:
    with pytest.raises(CloudError) as caught:
        call()
    return caught.value


def error_in_thread(call: Callable[[], Any], meanwhile: Callable[[], Any]) -> CloudError:
    """The error of *call*, which runs in a thread while *meanwhile* is done here."""
    errors: list[CloudError] = []
    thread = threading.Thread(target=lambda: errors.append(error_of(call)))
    thread.start()
    meanwhile()
    thread.join()
    return errors[0]


@pytest.fixture
def asked() -> threading.Event:
    """Set once the server has read a request."""
    return threading.Event()


def test_abort_ends_a_call_that_hangs(asked: threading.Event) -> None:
    """Whoever waits for the answer learns it at once; nothing is asked again."""

    def hanging(connection: socket.socket) -> None:
        asked.set()
        silent(connection)

    with answering(hanging) as server, ours(server.endpoint, read_timeout=600) as client:

        def meanwhile() -> None:
            asked.wait()
            client.abort()

        error = error_in_thread(lambda: client.get(TRANSCODE, "job-1"), meanwhile)
        assert (error.error_code, error.retryable, len(server.seen)) == ("Aborted", False, 1)


def test_abort_ends_a_call_in_the_middle_of_its_body(asked: threading.Event) -> None:
    """Also when the connection was not to be kept after this answer."""

    def half(connection: socket.socket) -> None:
        connection.sendall(http(200, b"{", Content_Length=100, Connection="close"))
        asked.set()
        silent(connection)

    with answering(half) as server, ours(server.endpoint, read_timeout=600) as client:

        def meanwhile() -> None:
            asked.wait()
            client.abort()

        assert error_in_thread(lambda: client.get(TRANSCODE, "job-1"), meanwhile).error_code == "Aborted"


def test_abort_wakes_a_call_that_waits_to_ask_again() -> None:
    """A wait of half a minute is left within a nap."""
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        client.abort()

    clock = Clock(now=SYSTEM_CLOCK.now, monotonic=SYSTEM_CLOCK.monotonic, sleep=sleep)
    with answering(http(503, b"", Retry_After=30)) as server, ours(server.endpoint, clock=clock) as client:
        assert error_of(lambda: client.get(TRANSCODE, "job-1")).error_code == "Aborted"
        assert (len(server.seen), len(naps)) == (1, 1)


@pytest.mark.parametrize("end", ["abort", "close"])
def test_nothing_is_sent_through_a_line_that_has_ended(end: str) -> None:
    """It fails at once, before anything is counted."""
    counted: list[str] = []
    with answering(TASK) as server, ours(server.endpoint, on_call=counted.append) as client:
        getattr(client, end)()
        assert error_of(lambda: client.get(TRANSCODE, "job-1")).error_code == "Aborted"
        assert error_of(lambda: client.stop(TRANSCODE, "job-1")).error_code == "Aborted"
    assert (server.seen, counted) == ([], [])


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


def test_a_refusal_does_not_repeat_our_secrets() -> None:
    """Some doors answer with the text that should have been signed, token and signature in it."""

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
        ("api_version", "2020-01-01"),
        ("connect_timeout", float("inf")),
        ("endpoint", "http://example.com"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(setting: str, value: Any) -> None:
    """Before the first call, with what to write instead and without the secret."""
    good: dict[str, Any] = {"endpoint": "h", "access_key_id": "id", "access_key_secret": "hidden-secret"}
    with pytest.raises(SettingsError) as caught:
        AsyncTaskClient(**{**good, setting: value})
    assert "hidden-secret" not in str(caught.value)


def test_a_header_cannot_smuggle_another_in() -> None:
    """A line break in a trace id is refused; so is one in a header of a caller."""
    with pytest.raises(InvalidName), ours("http://127.0.0.1:1", trace_id="a\r\nX-Evil: 1"):
        pass
    with ours("http://127.0.0.1:1") as client, pytest.raises(InvalidName):
        client.get_service("media", headers={"x-fc-trace-id": "a\nb"})


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
    monkeypatch.setattr("fc_reaper.cloud.connections.DEFAULT_CA_BUNDLE_PATH", str(certificate))


def test_a_certificate_nobody_vouches_for_ends_the_call(tls: ssl.SSLContext) -> None:
    """Nothing is sent, and nothing is tried again: it will be as wrong a second later."""
    counted: list[str] = []
    with answering(TASK, tls=tls) as server, ours(server.endpoint, on_call=counted.append) as client:
        error = error_of(lambda: client.get(TRANSCODE, "job-1"))
    assert (error.error_code, error.retryable, len(counted), server.seen) == (
        "ConnectionFailed",
        False,
        1,
        [],
    )


@pytest.mark.usefixtures("_trusted")
def test_tls_is_spoken_over_one_kept_connection(tls: ssl.SSLContext) -> None:
    """One handshake for all calls."""
    with answering(TASK, tls=tls) as server, ours(server.endpoint) as client:
        assert [client.get(TRANSCODE, "job-1").task.status for _ in range(3)] == ["Running"] * 3
        assert len({seen.port for seen in server.seen}) == 1


@pytest.mark.usefixtures("_trusted")
def test_the_bounds_hold_under_tls_too(tls: ssl.SSLContext, asked: threading.Event) -> None:
    """A dripping answer is given up, and a hanging one can be aborted."""

    def hanging(connection: socket.socket) -> None:
        asked.set()
        silent(connection)

    with answering(dripping(TASK, 0.02), hanging, tls=tls) as server:
        with ours(server.endpoint, read_timeout=0.2) as client, pytest.raises(CallFailed, match="TimedOut"):
            client.stop(TRANSCODE, "job-1")
        with ours(server.endpoint, read_timeout=600) as client:

            def meanwhile() -> None:
                asked.wait()
                client.abort()

            error = error_in_thread(lambda: client.get(TRANSCODE, "job-1"), meanwhile)
            assert error.error_code == "Aborted"
