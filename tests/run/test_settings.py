"""What the environment and the context settle."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fc_reaper.errors import PolicyError, SettingsError
from fc_reaper.models import Exit
from fc_reaper.settings import Settings, read_context, read_policy, refuse_targets
from fc_reaper.settings import read_credentials as credentials_of
from fc_reaper.settings import read_settings as settings_of
from tests.emulator_server import Emulator
from tests.reaping import reap
from tests.run.account import POLICY, operations


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
        ("REAPER_CONCURRENCY", "257"),
        ("REAPER_MARGIN", "10"),
        ("REAPER_STUCK_AFTER", "soon"),
        ("REAPER_SELF", "a/b/c"),
        ("REAPER_LOG_LEVEL", "ERROR"),
        ("REAPER_LOG_TASKS", "many"),
        ("REAPER_STARTED_TIME", "start"),
        ("REAPER_INSECURE", "1"),
        ("REAPER_ENDPOINT", "http://example.com"),
        ("REAPER_DRY_RUN", "true"),
        ("REAPER_", "1"),
        ("reaper_mode", "enforce"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    """Nothing is guessed: above all nothing near `enforce`."""
    with pytest.raises(SettingsError, match=name):
        read_settings({name: value})


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("REAPER_MODE", "preview", "REAPER_MODE is 'preview'; write dry-run or enforce"),
        ("REAPER_RATE", "20", "REAPER_RATE is '20'; write calls per second or minute, such as 20/s or 600/m"),
        ("REAPER_CONCURRENCY", "x", "REAPER_CONCURRENCY is 'x'; write a whole number from 1 to 256"),
        ("REAPER_MARGINS", "1", "REAPER_MARGINS is not a setting; did you mean REAPER_MARGIN?"),
        ("REAPER_DRYRUN", "1", "is not a setting; write REAPER_MODE=dry-run or REAPER_MODE=enforce"),
        ("REAPER_XYZ", "1", "write one of REAPER_POLICY, REAPER_MODE, "),
        ("REAPER_ENDPOINT", "https://me:mine@host", "REAPER_ENDPOINT: the endpoint must not hold a user"),
    ],
)
def test_a_fault_says_which_variable_has_which_value_and_what_to_write(
    name: str, value: str, line: str
) -> None:
    """But for the value of a variable that may hold a password."""
    with pytest.raises(SettingsError) as caught:
        read_settings({name: value})
    assert line in str(caught.value)
    assert "mine" not in str(caught.value)


def test_all_faults_are_logged_at_once() -> None:
    """An environment is not corrected one deployment at a time."""
    with pytest.raises(SettingsError) as caught:
        read_settings({"REAPER_MODE": "x", "REAPER_RATE": "y", "REAPER_POLCY": "z"})
    assert len(str(caught.value).splitlines()) == 3


def test_an_empty_variable_counts_as_absent() -> None:
    """Templates leave them behind."""
    assert read_settings({"REAPER_MODE": "", "REAPER_SELF": "", "FC_REGION": ""}) == read_settings({})


def test_the_defaults_are_those_of_the_documents() -> None:
    """A dry run at a gentle rate."""
    assert read_settings({}).model_dump() == {
        "policy": "policy.yaml",
        "mode": "dry-run",
        "api_version": "2021-04-06",
        "insecure": False,
        "endpoint": None,
        "started_time": "unknown",
        "platform": None,
        "rate": (20, 1.0),
        "concurrency": 16,
        "margin": 10_000,
        "stuck_after": 180_000,
        "interval": 300_000,
        "ourselves": None,
        "verbose": False,
        "log_tasks": 100,
        "account_id": None,
        "region": None,
        "folder": Path(),
        "timeout": 60.0,
        "facts": None,
    }


def test_every_setting_is_read() -> None:
    """Each from its own variable."""
    env = {
        "REAPER_MODE": "enforce",
        "REAPER_API_VERSION": "2016-08-15",
        "REAPER_INSECURE": "true",
        "REAPER_ENDPOINT": "http://example.com/",
        "REAPER_STARTED_TIME": "enqueue",
        "REAPER_RATE": "600/m",
        "REAPER_CONCURRENCY": "4",
        "REAPER_MARGIN": "5s",
        "REAPER_STUCK_AFTER": "10m",
        "REAPER_INTERVAL": "1h",
        "REAPER_SELF": "ops/reaper@prod",
        "REAPER_LOG_TASKS": "7",
        "FC_ACCOUNT_ID": "1",
        "FC_REGION": "cn-hangzhou",
        "FC_FUNC_CODE_PATH": "/code",
    }
    assert read_settings(env, CONTEXT_20).model_dump(exclude={"policy", "verbose", "platform", "facts"}) == {
        "mode": "enforce",
        "api_version": "2016-08-15",
        "insecure": True,
        "endpoint": "http://example.com",
        "started_time": "enqueue",
        "rate": (600, 60.0),
        "concurrency": 4,
        "margin": 5_000,
        "stuck_after": 600_000,
        "interval": 3_600_000,
        "ourselves": ("ops", "reaper", "LATEST"),
        "log_tasks": 7,
        "account_id": "1",
        "region": "cn-hangzhou",
        "folder": Path("/code"),
        "timeout": 120.0,
    }


def test_a_misspelt_setting_ends_the_run_before_anything_is_listed(cloud: Emulator) -> None:
    """Whoever wrote REAPER_DRY_RUN=true must not get an enforcing run."""
    reaped = reap(cloud.endpoint, POLICY, enforce=True, dry_run="true")
    assert [line["event"] for line in reaped.lines] == ["run_finished"]
    assert reaped.finished.exit is Exit.REFUSED
    assert "REAPER_MODE=dry-run" in reaped.finished.result.errors[0]
    assert operations(cloud) == {}


def test_a_timeout_within_the_margin_is_refused(cloud: Emulator) -> None:
    """The platform's default of three seconds leaves no time for anything."""
    reaped = reap(cloud.endpoint, POLICY, timeout=3)
    assert reaped.finished.exit is Exit.REFUSED
    assert "raise the timeout" in reaped.finished.result.errors[0]
    assert operations(cloud) == {}


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
        refuse_targets(settings, read_policy(settings), enforce=False)


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


def test_a_text_that_was_read_before_is_not_read_again() -> None:
    """A warm instance gets the same policy; a change of the text, or of a rule, is seen at once."""
    one, other = (POLICY.replace("runaway", name) for name in ("one", "other"))
    first = read_policy(read_settings({"REAPER_POLICY": one}))
    assert read_policy(read_settings({"REAPER_POLICY": one, "REAPER_MODE": "enforce"})) is first
    assert read_policy(read_settings({"REAPER_POLICY": other})).policies[0].name == "other"


def test_a_policy_file_is_read_anew_when_it_changed(tmp_path: Path) -> None:
    """Good or bad, and so are its examples."""
    example = "    examples: [{given: {running_for: 1h}, expect: %s}]\n"
    settings = read_settings({"FC_FUNC_CODE_PATH": str(tmp_path)})
    for _ in range(2):
        for expected in ("stop", "keep"):
            (tmp_path / "policy.yaml").write_text(POLICY + example % expected, "utf-8")
            if expected == "keep":
                assert read_policy(settings).policies[0].examples[0].expect == "keep"
                continue
            for _ in range(2):
                with pytest.raises(PolicyError, match="expected stop, got keep"):
                    read_policy(settings)
