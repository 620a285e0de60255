"""An endpoint as a person writes it, and what it becomes."""

from __future__ import annotations

import pytest

from fc_reaper.cloud import account_endpoint, parse_endpoint
from fc_reaper.cloud.endpoint import sts_endpoint
from fc_reaper.errors import SettingsError

ACCOUNT = "123456789.cn-hangzhou.fc.aliyuncs.com"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (ACCOUNT, f"https://{ACCOUNT}"),
        (f"https://{ACCOUNT}/", f"https://{ACCOUNT}"),
        (f"  HTTPS://{ACCOUNT.upper()}\n", f"https://{ACCOUNT}"),
        (f"https://{ACCOUNT}:443", f"https://{ACCOUNT}"),
        (f"{ACCOUNT}:8443", f"https://{ACCOUNT}:8443"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://127.9.8.7:80", "http://127.9.8.7"),
        ("http://localhost:9000//", "http://localhost:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
    ],
)
def test_an_endpoint_is_made_whole(text: str, url: str) -> None:
    """https unless it says otherwise; lower case; no blanks, no slash behind, no usual port."""
    assert parse_endpoint(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "https://",
        "ftp://host",
        "https://host/path",
        "https://host?x=1",
        "https://host#x",
        "https://me:mine@host",
        "https://ho st",
        "https://höst",
        "https://host:port",
        "https://host:0",
        "https://host:65536",
        "https://host:99999999999999",
        "host\r\nX-Header: 1",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    """With what to write instead, and without repeating a password."""
    with pytest.raises(SettingsError) as caught:
        parse_endpoint(text)
    assert "mine" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        ACCOUNT,
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "128.0.0.1",
        "127.0.0.256",
        "[::2]",
        "127.1",
    ],
)
def test_plain_http_stays_on_this_machine(host: str) -> None:
    """Elsewhere the security token would travel in clear; a switch allows it."""
    with pytest.raises(SettingsError, match="REAPER_INSECURE"):
        parse_endpoint(f"http://{host}")
    assert parse_endpoint(f"http://{host}", insecure=True) == f"http://{host}"


def test_the_endpoint_of_an_account() -> None:
    """One host per account and region."""
    assert account_endpoint("123456789", "cn-hangzhou") == f"https://{ACCOUNT}"


@pytest.mark.parametrize(
    ("account", "region"), [("", "cn"), ("a/b", "cn"), ("1", ""), ("1", "cn/x"), ("1", "cn\n")]
)
def test_an_impossible_account_or_region_makes_no_endpoint(account: str, region: str) -> None:
    """Both come from the environment; neither may smuggle a host in."""
    with pytest.raises(SettingsError):
        account_endpoint(account, region)


@pytest.mark.parametrize(
    ("endpoint", "asked"),
    [
        (f"https://{ACCOUNT}", "https://sts.cn-hangzhou.aliyuncs.com"),
        ("https://1.cn-beijing-internal.fc.aliyuncs.com", "https://sts-vpc.cn-beijing.aliyuncs.com"),
        ("https://1.ap-southeast-1.fc.aliyuncs.com", "https://sts.ap-southeast-1.aliyuncs.com"),
        ("https://fc.example.com", "https://sts.aliyuncs.com"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("http://localhost", "http://localhost"),
        ("http://localhost.example.com", "https://sts.aliyuncs.com"),
        ("https://sts.example.com", "https://sts.aliyuncs.com"),
    ],
)
def test_whose_keys_they_are_is_asked_in_the_same_region(endpoint: str, asked: str) -> None:
    """Inside a VPC where the endpoint is; of an emulator itself; no other host gets a request for STS."""
    assert sts_endpoint(endpoint) == asked
