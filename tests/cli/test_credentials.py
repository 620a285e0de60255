"""The keys, the region and the account of a person, from the files of the official command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from fc_reaper.cli.app import environment as found_by
from fc_reaper.cli.output import CommandError
from fc_reaper.errors import CloudError
from tests.cli.command import environment
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import KEYS

Find = Callable[..., dict[str, str]]
SECRET = KEYS["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]
AK = {"mode": "AK", "access_key_id": "emulator", "access_key_secret": SECRET, "region_id": "cn-hangzhou"}


@pytest.fixture
def user(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a user, which may hold keys: not that in which a test looks for them afterwards."""
    return tmp_path_factory.mktemp("user")


def configured(user: Path, *profiles: Mapping[str, Any], current: str = "default") -> None:
    """Write `~/.aliyun/config.json` as `aliyun configure` does."""
    rest = {"output_format": "json", "language": "en", "site": "", "retry_timeout": 0, "sts_token": ""}
    entries = [{"name": "default", **rest, **one} for one in profiles]
    (user / ".aliyun").mkdir()
    whole = {"current": current, "profiles": entries, "meta_path": ""}
    (user / ".aliyun" / "config.json").write_text(json.dumps(whole, indent="\t"))


def person(user: Path, **extra: str) -> dict[str, str]:
    """The environment of this user, who works on no instance of ECS."""
    env = {name: value for name, value in environment().items() if not name.startswith("ALIBABA_")}
    return {**env, "HOME": str(user), "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true", **extra}


@pytest.fixture
def found(user: Path, cloud: Emulator) -> Find:
    """What the commands find with options and more variables, where the emulator is the endpoint."""

    def found_with(env: Mapping[str, str] = {}, **options: Any) -> dict[str, str]:  # never changed
        at = person(user, REAPER_ENDPOINT=cloud.endpoint, **env)
        with patch.dict("os.environ", at, clear=True):
            return {
                name.removeprefix("ALIBABA_CLOUD_"): value
                for name, value in found_by(**options).items()
                if name.startswith(("FC_", "ALIBABA_CLOUD_ACCESS", "ALIBABA_CLOUD_SECURITY")) and value
            }

    return found_with


WHOLE = {
    "ACCESS_KEY_ID": "emulator",
    "ACCESS_KEY_SECRET": SECRET,
    "FC_REGION": "cn-hangzhou",
    "FC_ACCOUNT_ID": "123456789",
}


def test_the_current_profile_of_the_official_command_line_gives_keys_and_region(
    user: Path, found: Find
) -> None:
    """And STS says whose keys they are."""
    configured(user, AK)
    assert found() == WHOLE


def test_a_profile_is_chosen_by_its_name(user: Path, found: Find) -> None:
    """By the option, whatever keys the environment has, or by the variable of the official tools."""
    configured(user, {**AK, "access_key_id": "another"}, {**AK, "name": "prod", "region_id": "cn-beijing"})
    env = {**KEYS, "ALIBABA_CLOUD_ACCESS_KEY_ID": "third", "ALIBABA_CLOUD_SECURITY_TOKEN": "stale"}
    beijing = {**WHOLE, "FC_REGION": "cn-beijing"}
    assert found(env, profile="prod") == beijing
    assert found({"ALIBABA_CLOUD_PROFILE": "prod"}) == beijing
    assert found(profile="prod", region="cn-shanghai")["FC_REGION"] == "cn-shanghai"


def test_keys_of_the_environment_come_first_and_ask_nobody(user: Path, cloud: Emulator, found: Find) -> None:
    """As before there was a chain: no file is read, and STS is not asked."""
    (user / ".aliyun").mkdir()
    (user / ".aliyun" / "config.json").write_text("this is no JSON")
    assert found(KEYS) == {"ACCESS_KEY_ID": "emulator", "ACCESS_KEY_SECRET": SECRET}
    assert cloud.calls()["counts"] == {}


@pytest.mark.parametrize("name", ["credentials", "credentials.ini"])
def test_the_file_of_the_sdks_is_read_as_well(name: str, user: Path, found: Find) -> None:
    """It has no region; another section is named by --profile."""
    (user / ".alibabacloud").mkdir()
    keys = f"type = access_key\naccess_key_id = emulator\naccess_key_secret = {SECRET}\n"
    (user / ".alibabacloud" / name).write_text(f"[default]\n{keys}[prod]\n{keys}")
    expected = {name: value for name, value in WHOLE.items() if name != "FC_REGION"}
    assert found() == expected
    assert found(profile="prod") == expected


def test_a_token_goes_with_its_keys(user: Path) -> None:
    """Mode StsToken, and the ARN of a role."""
    configured(user, {**AK, "mode": "StsToken", "sts_token": "the-token-of-a-role"})
    with running_emulator("--security-token", "the-token-of-a-role") as cloud:
        env = person(user, REAPER_ENDPOINT=cloud.endpoint)
        with patch.dict("os.environ", env, clear=True):
            keys = found_by()
    assert keys["ALIBABA_CLOUD_SECURITY_TOKEN"] == "the-token-of-a-role"
    assert keys["FC_ACCOUNT_ID"] == "123456789"


def test_an_account_that_is_given_is_compared_with_that_of_the_keys(user: Path, found: Find) -> None:
    """The same one is taken, another one is refused."""
    configured(user, AK)
    assert found(account="123456789") == WHOLE
    with pytest.raises(CommandError, match="--account is 987, but these keys belong to account 123456789"):
        found(account="987")


def test_an_unknown_profile_names_those_that_exist(user: Path, found: Find) -> None:
    """Of both files."""
    configured(user, AK, {**AK, "name": "prod"})
    with pytest.raises(CommandError, match=r"--profile pord: there is no such profile .*: default, prod"):
        found(profile="pord")


def test_a_place_that_names_keys_and_yields_none_is_said(user: Path, found: Find) -> None:
    """With its path; what follows in the chain is tried before."""
    configured(user, {**AK, "access_key_id": ""})
    with pytest.raises(CommandError, match=r"no keys: profile default of .*: the access key id is empty"):
        found()


def test_wrong_keys_are_refused_by_sts(user: Path, found: Find) -> None:
    """Before anything is listed."""
    configured(user, {**AK, "access_key_id": "unknown"})
    with pytest.raises(CloudError, match="InvalidAccessKeyID"):
        found()


def test_nothing_is_looked_for_where_no_cloud_is_needed(user: Path) -> None:
    """Not even a file that cannot be read matters."""
    (user / ".aliyun").mkdir()
    (user / ".aliyun" / "config.json").write_text("this is no JSON")
    with patch.dict("os.environ", person(user), clear=True):
        assert "FC_ACCOUNT_ID" not in found_by(cloud=False)
        with pytest.raises(CommandError, match=r"config\.json cannot be read"):
            found_by()
