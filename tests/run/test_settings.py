"""What the environment and the context settle."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fc_reaper.context import read_context
from fc_reaper.errors import PolicyError, SettingsError
from fc_reaper.policy_files import read_policy
from fc_reaper.settings import Settings, refuse_foreign_targets, refuse_no_time
from fc_reaper.settings import read_credentials as credentials_of
from fc_reaper.settings import read_settings as settings_of


def read_settings(env: dict[str, str], given: Any = None) -> Settings:
    return settings_of(env, read_context(given))


def read_credentials(env: dict[str, str], given: Any) -> Any:
    return credentials_of(env, read_context(given))


CONTEXT_20 = SimpleNamespace(
    request_id="r",
    credentials=SimpleNamespace(access_key_id="STS.a", access_key_secret="b", security_token="c"),
    function=SimpleNamespace(name="reaper", handler="index.handler", memory=512, timeout=120),
    service=SimpleNamespace(name="ops", qualifier="LATEST"),
    region="cn-hangzhou",
    account_id="123",
)
CONTEXT_312 = SimpleNamespace(
    request_id="r",
    function=SimpleNamespace(name="reaper", timeout=120, qualifier="LATEST"),
    region="cn-hangzhou",
    account_id="123",
)
ENVIRONMENT = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "d",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "e",
    "ALIBABA_CLOUD_SECURITY_TOKEN": "f",
}


def test_the_context_comes_before_the_environment() -> None:
    """The environment of a long-lived instance may hold keys that are older than the context's."""
    keys = read_credentials(ENVIRONMENT, CONTEXT_20)
    assert (keys.access_key_id, keys.access_key_secret, keys.security_token) == ("STS.a", "b", "c")


@pytest.mark.parametrize("context", [CONTEXT_312, None, SimpleNamespace(credentials=None)])
def test_without_keys_on_the_context_the_environment_serves(context: Any) -> None:
    """python3.12 has no `context.credentials`."""
    assert read_credentials(ENVIRONMENT, context).access_key_id == "d"


def test_no_keys_at_all_say_what_to_do() -> None:
    """A function without a role has none."""
    with pytest.raises(SettingsError, match="role"):
        read_credentials({}, CONTEXT_312)


def test_keys_never_show() -> None:
    """A repr may end up in a log."""
    assert "STS.a" not in repr(read_credentials({}, CONTEXT_20))


@pytest.mark.parametrize(
    ("context", "ourselves"),
    [(CONTEXT_20, "ops/reaper@LATEST"), (CONTEXT_312, "reaper@LATEST"), (None, "None")],
)
def test_the_reaper_learns_its_own_name(context: Any, ourselves: str) -> None:
    """From the context where the environment is silent."""
    assert str(read_settings({}, context).ourselves) == ourselves


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REAPER_MODE", "Enforce"),
        ("REAPER_MODE", "true"),
        ("REAPER_API_VERSION", "2021"),
        ("REAPER_RATE", "20"),
        ("REAPER_RATE", "0/s"),
        ("REAPER_CONCURRENCY", "0"),
        ("REAPER_MARGIN", "10"),
        ("REAPER_STUCK_AFTER", "soon"),
        ("REAPER_SELF", "a/b/c"),
        ("REAPER_LOG_LEVEL", "ERROR"),
        ("REAPER_LOG_TASKS", "many"),
        ("REAPER_STARTED_TIME", "start"),
        ("REAPER_INSECURE", "1"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    """Nothing is guessed: above all nothing near `enforce`."""
    with pytest.raises(SettingsError, match=name):
        read_settings({name: value})


def test_all_faults_are_told_at_once() -> None:
    """Nobody mends an environment one deployment at a time."""
    with pytest.raises(SettingsError) as caught:
        read_settings({"REAPER_MODE": "x", "REAPER_RATE": "y"})
    assert len(str(caught.value).splitlines()) == 2


def test_a_timeout_within_the_margin_is_refused() -> None:
    """The platform's default of three seconds leaves no time for anything."""
    context = SimpleNamespace(function=SimpleNamespace(timeout=3))
    with pytest.raises(SettingsError, match="timeout"):
        refuse_no_time(read_settings({}, context))


def test_a_strange_context_is_refused_by_field() -> None:
    """The platform may change; then it should say where, and show no value."""
    context = SimpleNamespace(credentials=SimpleNamespace(access_key_id=5), region="r")
    with pytest.raises(SettingsError, match=r"credentials\.access_key_id"):
        read_settings({}, context)


def test_the_dialect_of_3_0_has_no_words_for_services() -> None:
    """One target with a service is a wrong setting, not a function that cannot be listed."""
    text = "version: 1\npolicies:\n- {name: a, targets: [s/f], match: {running_for: 1h}, stop: slow}\n"
    settings = read_settings({"REAPER_POLICY": text, "REAPER_API_VERSION": "2023-03-30"})
    with pytest.raises(SettingsError, match="2023-03-30"):
        refuse_foreign_targets(settings, read_policy(settings))


def test_a_log_level_may_be_written_in_any_case() -> None:
    """It is no reason to leave tasks running."""
    assert read_settings({"REAPER_LOG_LEVEL": "debug"}).verbose


def test_the_policy_may_stand_in_the_variable_itself() -> None:
    """A text with a newline is the policy, not a path."""
    text = "version: 1\npolicies:\n- {name: a, targets: [f], match: {running_for: 1h}, stop: slow}\n"
    assert read_policy(read_settings({"REAPER_POLICY": text})).source == "REAPER_POLICY"


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no such file"), (b"\xff\xfe\x00", "UTF-8"), (b"", "empty")]
)
def test_a_policy_file_that_cannot_be_used_says_why(tmp_path: Any, content: bytes | None, words: str) -> None:
    """Missing, not text, and empty are three different things."""
    if content is not None:
        (tmp_path / "policy.yaml").write_bytes(content)
    with pytest.raises(PolicyError, match=words):
        read_policy(read_settings({"FC_FUNC_CODE_PATH": str(tmp_path)}))
