"""The keys, the region and the account of a person, from the files of the official command line."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from alibabacloud_credentials.utils import auth_util

from fc_reaper.cli.app import environment as found_by
from fc_reaper.cli.output import CommandError
from fc_reaper.cli.plan import every_timer
from fc_reaper.errors import CloudError
from fc_reaper.platform import account_digest
from tests.cli.command import environment, fc_reaper, fc_reaper_process
from tests.cloud.loopback import answering, http
from tests.emulator_server import Emulator, running_emulator
from tests.probe_files import ACCOUNT, REGION, probed
from tests.project.files import ROOT
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
    with pytest.raises(
        CommandError, match=r"--profile pord: there is no such profile .*; there are default, prod"
    ):
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
        assert "FC_ACCOUNT_ID" not in found_by(keys=False)
        with pytest.raises(CommandError, match=r"config\.json cannot be read"):
            found_by()


# Whole commands

FIRST = ["--region", "cn-hangzhou", "--account", "123456789"]
INCIDENT = ["--target", "media/transcode@prod", "--running-for", "2h"]


def test_a_first_plan_needs_nothing_but_the_keys_that_a_person_has(
    user: Path, cloud: Emulator, tmp_path: Path
) -> None:
    """No variable, no policy, no reason for stops that nobody makes; nothing is changed."""
    configured(user, AK)
    env = person(user, REAPER_ENDPOINT=cloud.endpoint)
    ran = fc_reaper("plan", *FIRST, *INCIDENT, env=env, cwd=tmp_path)
    assert "5 due of 7 tasks listed in 1 function" in ran.text
    assert set(cloud.calls()["counts"]) == {
        "GetCallerIdentity", "ListStatefulAsyncInvocations", "GetStatefulAsyncInvocation", "GetFunction",
    }  # fmt: skip


def test_the_advice_for_apply_names_region_account_and_profile(
    user: Path, cloud: Emulator, tmp_path: Path
) -> None:
    """A plan is for one account in one region, and the same options carry it out."""
    configured(user, AK, {**AK, "name": "prod"})
    env = person(user, REAPER_ENDPOINT=cloud.endpoint)
    args = [*FIRST, "--profile", "prod"]
    whole = [*INCIDENT, "--reason", "stale", "--max", "9", "--out", "plan.json"]
    ran = fc_reaper("plan", *args, *whole, env=env, cwd=tmp_path)
    words = shlex.split(ran.out.rpartition(": fc-reaper ")[2])
    assert words == ["apply", *args, "plan.json", "--enforce"]
    assert "5 stopped" in fc_reaper(*words, env=env, cwd=tmp_path).text
    assert (
        fc_reaper("apply", "plan.json", "--enforce", "--region", "cn-beijing", env=env, cwd=tmp_path).code
        == 2
    )


ASK_THE_CLOUD = [
    "plan", "apply plan.json --enforce", "explain media/transcode@prod over-1", "backtest",
    "diff policy.yaml policy.yaml", "approve --yes", "invoke timer.json",
]  # fmt: skip


@pytest.mark.parametrize("command", ASK_THE_CLOUD)
def test_every_command_that_asks_the_cloud_compares_the_account_first(
    command: str, user: Path, cloud: Emulator, folder: Path
) -> None:
    """Exit 2 for the account of somebody else, in one line; nothing else is asked."""
    configured(user, AK, {**AK, "name": "prod"})
    env = person(user, REAPER_ENDPOINT=cloud.endpoint)
    (folder / "timer.json").write_bytes(every_timer([]))
    fc_reaper("plan", "--out", "plan.json", env=env, cwd=folder)
    cloud.reset()
    ran = fc_reaper(*command.split(), "--profile", "prod", "--account", "987", env=env, cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert ran.errors == [
        "fc-reaper: --account is 987, but these keys belong to account 123456789 "
        "(RAMUser acs:ram::123456789:user/emulator); leave it out, or choose a --profile"
    ]
    assert cloud.calls()["counts"] == {"GetCallerIdentity": 1}


@pytest.mark.parametrize(
    "command",
    ["check", "backtest --history history.jsonl", "diff policy.yaml policy.yaml --history history.jsonl",
     "explain --record task.json", "invoke timer.json --explain", "schema"],
)  # fmt: skip
def test_a_command_that_asks_no_cloud_looks_for_no_keys(command: str, user: Path, folder: Path) -> None:
    """Not in a file, though it cannot be read, nor anywhere in the network."""
    (user / ".aliyun").mkdir()
    (user / ".aliyun" / "config.json").write_text("this is no JSON")
    (folder / "timer.json").write_bytes(every_timer([]))
    for name in ("history.jsonl", "task.json"):
        shutil.copy(ROOT / "examples" / name, folder)
    env = person(user, ALIBABA_CLOUD_ECS_METADATA_DISABLED="false")
    with no_network() as asked:
        ran = fc_reaper(*command.split(), env=env, cwd=folder)
    assert (ran.code, ran.err, asked) == (0, "", [])


@pytest.mark.parametrize("command", ["plan", "diff policy.yaml policy.yaml", "backtest"])
def test_facts_of_the_account_count_once_sts_has_said_whose_keys_they_are(
    command: str, user: Path, cloud: Emulator, folder: Path
) -> None:
    """A file of REAPER_PLATFORM is for one account, which nothing but the keys names here."""
    configured(user, AK)
    for account, code in ((ACCOUNT, {0, 1}), ("987", {2})):
        (folder / "probe.json").write_text(json.dumps(probed(account=account_digest(REGION, account))))
        env = person(user, REAPER_ENDPOINT=cloud.endpoint, REAPER_PLATFORM="probe.json")
        assert fc_reaper(*command.split(), env=env, cwd=folder).code in code


@contextmanager
def no_network() -> Iterator[list[str]]:
    """No name is resolved, so that nobody is reached; the hosts that were asked for."""
    asked: list[str] = []

    def unknown(host: Any, *_args: Any, **_more: Any) -> Any:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with patch.object(socket, "getaddrinfo", unknown):
        yield asked


def test_a_region_that_does_not_exist_is_said(user: Path, folder: Path) -> None:
    """By the name of its host, which is not known, and how to write one; exit 3."""
    configured(user, AK)
    with no_network() as asked:
        ran = fc_reaper("plan", "--region", "cn-hangzou", env=person(user), cwd=folder)
    assert (ran.code, ran.out) == (3, "")
    assert "'sts.cn-hangzou.aliyuncs.com'" in ran.errors[0]
    assert "that the region has Function Compute" in ran.errors[1]
    assert set(asked) == {"sts.cn-hangzou.aliyuncs.com"}


def test_a_region_without_function_compute_is_said(user: Path, folder: Path) -> None:
    """STS is there, since the account is known; the host of Function Compute is not."""
    configured(user, AK)
    env = person(user, FC_ACCOUNT_ID="123456789")
    with no_network() as asked:
        ran = fc_reaper("plan", "--region", "cn-nowhere", env=env, cwd=folder)
    assert ran.code == 3
    assert "'123456789.cn-nowhere.fc.aliyuncs.com'" in ran.err
    assert "that the region has Function Compute" in ran.err
    assert set(asked) == {"123456789.cn-nowhere.fc.aliyuncs.com"}


def test_a_name_that_can_be_no_region_is_not_even_tried(user: Path, folder: Path) -> None:
    """Exit 2."""
    configured(user, AK)
    with no_network() as asked:
        ran = fc_reaper("plan", "--region", "China (Hangzhou)", env=person(user), cwd=folder)
    assert (ran.code, asked) == (2, [])
    assert ran.errors == ["fc-reaper: the region 'China (Hangzhou)' is no region; write one like cn-hangzhou"]


def test_without_keys_one_line_says_the_four_ways(
    user: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metadata of ECS is asked last, and only where nothing else has keys."""
    monkeypatch.setattr(auth_util, "environment_ecs_metadata_disabled", "false")  # as of its import
    with no_network() as asked:
        env = person(user, ALIBABA_CLOUD_ECS_METADATA_DISABLED="false")
        ran = fc_reaper("plan", *FIRST, env=env, cwd=folder)
        assert set(asked) == {"100.100.100.200"}
        env["REAPER_ENDPOINT"] = "http://127.0.0.1:9851"  # an emulator's, where nobody has such a role
        asked.clear()
        at_once = fc_reaper("plan", env=env, cwd=folder)
    assert (at_once.code, at_once.err, asked) == (2, ran.err, [])
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    for way in ("aliyun configure", "ALIBABA_CLOUD_ACCESS_KEY_ID", "~/.alibabacloud/credentials", "ECS"):
        assert way in ran.err


def test_where_another_place_has_keys_ecs_is_not_asked(user: Path, folder: Path) -> None:
    configured(user, AK)
    with no_network() as asked:
        env = person(user, ALIBABA_CLOUD_ECS_METADATA_DISABLED="false")
        fc_reaper("plan", *FIRST, env=env, cwd=folder)
    assert set(asked) == {"sts.cn-hangzhou.aliyuncs.com"}


def test_keys_that_ran_out_or_have_no_right_are_told_apart(user: Path, cloud: Emulator, folder: Path) -> None:
    """Exit 3, with what to do."""
    configured(user, AK)
    env = person(user, REAPER_ENDPOINT=cloud.endpoint)
    cloud.faults([{"operation": "GetCallerIdentity", "status": 400, "code": "InvalidSecurityToken.Expired"}])
    ran = fc_reaper("plan", env=env, cwd=folder)
    assert (ran.code, ran.out) == (3, "")
    assert "these keys have run out: get new ones (aliyun configure)" in ran.errors[1]
    cloud.faults([{"operation": "GetCallerIdentity", "status": 404, "code": "InvalidAccessKeyId.NotFound"}])
    said = fc_reaper("plan", env=env, cwd=folder).errors[1]
    assert f"check profile default of {user}/.aliyun/config.json, or choose another --profile" in said
    cloud.faults([{"operation": "GetCallerIdentity", "status": 400, "code": "InvalidTimeStamp.Expired"}])
    assert "this machine's clock" in fc_reaper("plan", env=env, cwd=folder).errors[1]
    cloud.faults([{"operation": "GetCallerIdentity", "times": 9, "status": 400, "code": "Throttling.User"}])
    assert "try again later" in fc_reaper("plan", env=env, cwd=folder).errors[1]
    cloud.faults(
        [{"operation": "ListStatefulAsyncInvocations", "times": 9, "status": 403, "code": "AccessDenied"}]
    )
    ran = fc_reaper("plan", env=env, cwd=folder)
    assert ran.code == 3
    assert "check that RAM allows fc:ListStatefulAsyncInvocations" in ran.err


@pytest.mark.parametrize(
    ("profile", "env"), [("other", {}), ("other", KEYS), (None, {"ALIBABA_CLOUD_PROFILE": "other"})]
)
def test_the_advice_about_wrong_keys_says_where_they_came_from(
    profile: str | None, env: Mapping[str, str], user: Path, cloud: Emulator, folder: Path
) -> None:
    """It is of the command at hand: a profile, or the variables, also where nobody asked STS before."""
    configured(user, AK, {**AK, "name": "other", "access_key_id": "unknown"})
    env = person(user, REAPER_ENDPOINT=cloud.endpoint, FC_ACCOUNT_ID="123456789", **env)
    options = [] if profile is None else ["--profile", profile]
    for command in ("plan", "backtest", "doctor"):
        ran = fc_reaper(command, *options, env=env, cwd=folder)
        assert ran.code == 3
        said = "".join(f"{ran.out}{ran.err}".split())
        assert f"checkprofileotherof{user}/.aliyun/config.json,orchooseanother--profile" in said
    env = person(user, REAPER_ENDPOINT=cloud.endpoint, **{**KEYS, "ALIBABA_CLOUD_ACCESS_KEY_ID": "unknown"})
    assert "check ALIBABA_CLOUD_ACCESS_KEY_ID, " in fc_reaper("plan", env=env, cwd=folder).err


MODES: dict[str, tuple[dict[str, Any], str]] = {
    "no token": ({"mode": "StsToken"}, "the security token is empty"),
    "no host of STS": (
        {"mode": "RamRoleArn", "ram_role_arn": "acs:ram::1:role/a", "ram_session_name": "me"},
        "Failed to resolve 'sts.aliyuncs.com' (",
    ),
    "a length of no session": (
        {"mode": "RamRoleArn", "ram_role_arn": "acs:ram::1:role/a", "expired_seconds": 60}, "duration",
    ),
    "a role from the keys of a profile that is not there": (
        {"mode": "ChainableRamRoleArn", "source_profile": "gone"}, "unable to get profile with 'gone'",
    ),
    "a role from its own keys": ({"mode": "ChainableRamRoleArn", "source_profile": "one"}, "recursion"),
    "no instance": ({"mode": "EcsRamRole", "ram_role_name": "a"}, "100.100.100.200"),
    "no file of a token": (
        {"mode": "OIDC", "ram_role_arn": "acs:ram::1:role/a", "oidc_provider_arn": "acs:ram::1:p/p",
         "oidc_token_file": "/nowhere"}, "/nowhere",
    ),
    "signed out": (
        {"mode": "CloudSSO", "cloud_sso_sign_in_url": "https://sso.example", "cloud_sso_account_id": "1",
         "cloud_sso_access_config": "a", "access_token": SECRET, "cloud_sso_access_token_expire": 1},
        "re-login",
    ),
    "a program that fails": ({"mode": "External", "process_command": "false"}, "exit status 1"),
    "a program that is not there": ({"mode": "External", "process_command": "no-such"}, "'no-such'"),
    "a mode that the package does not know": ({"mode": "RsaKeyPair"}, "unsupported profile mode 'Rsa"),
    "no mode": ({"mode": None}, "unsupported profile mode"),
}  # fmt: skip
"""What a profile of `aliyun configure` has beside its keys, and words that say why it yields none."""


@pytest.mark.parametrize("mode", MODES)
def test_a_profile_that_yields_no_keys_is_one_line(mode: str, user: Path, folder: Path) -> None:
    """Which one, why, and what to do; exit 2, and no secret."""
    fields, why = MODES[mode]
    configured(user, {**AK, "name": "one", **fields})
    with no_network():
        env = person(user, ALIBABA_CLOUD_ECS_METADATA_DISABLED="false")
        ran = fc_reaper("plan", *FIRST, "--profile", "one", env=env, cwd=folder)
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    assert ran.err.startswith(f"fc-reaper: no keys: profile one of {user}/.aliyun/config.json: ")
    assert why in ran.err
    assert ran.err.endswith("; mend it, or choose another --profile\n")
    assert SECRET not in ran.err


def test_a_program_that_prints_keys_is_run(user: Path, found: Find) -> None:
    """Mode External."""
    keys = {"mode": "AK", "access_key_id": "emulator", "access_key_secret": SECRET}
    configured(user, {**AK, "mode": "External", "process_command": f"echo {shlex.quote(json.dumps(keys))}"})
    assert found() == WHOLE


@pytest.mark.parametrize("current", [True, False])
def test_a_profile_that_is_wanted_and_not_there_is_said(current: bool, user: Path, found: Find) -> None:
    """By the file itself, or by the variable of the official tools."""
    configured(user, AK, current="gone" if current else "default")
    with pytest.raises(CommandError, match=r"no keys: profile gone of .*\.json: .*; mend it, or choose"):
        found({} if current else {"ALIBABA_CLOUD_PROFILE": "gone"})


@pytest.mark.parametrize("text", ["this is no JSON", "[]", '{"profiles": 1}', "", '{"profiles": [{}]}'])
def test_a_file_that_is_broken_is_one_line(text: str, user: Path, found: Find) -> None:
    """Its path, and what to do; nothing of what is in it."""
    (user / ".aliyun").mkdir()
    (user / ".aliyun" / "config.json").write_text(text)
    with pytest.raises(CommandError, match=r"\.json cannot be read: it is not as .*; mend or remove it$"):
        found()


def test_a_folder_that_cannot_be_read_is_one_line(found: Find) -> None:
    """As where HOME is that of another user: the system says why."""
    with pytest.raises(CommandError, match=r"\.json cannot be read: File name too long; mend or remove"):
        found({"HOME": "/" + "x" * 5000})


def test_no_profile_at_all_is_as_no_file(user: Path, found: Find) -> None:
    """What the official command line leaves where the last profile was deleted; null is absent."""
    (user / ".aliyun").mkdir()
    (user / ".aliyun" / "config.json").write_text('{"current": "", "profiles": null}')
    assert found() == {}


def test_a_secret_that_a_file_or_an_answer_spoils_is_not_repeated(user: Path, folder: Path) -> None:
    """The package quotes both in what it says."""
    (user / ".alibabacloud").mkdir()
    ini = f"[default]\ntype = access_key\naccess_key_id = a\naccess_key_secret = %{SECRET}\n"
    (user / ".alibabacloud" / "credentials").write_text(ini)
    ran = fc_reaper("plan", *FIRST, env=person(user), cwd=folder)
    assert (ran.code, len(ran.errors)) == (2, 1)
    assert SECRET not in ran.err
    with answering(http(200, {"AccessKeyId": "LTAI", "AccessKeySecret": SECRET, "Code": "None"})) as server:
        uri = {"ALIBABA_CLOUD_CREDENTIALS_URI": f"{server.endpoint}/keys"}
        env = person(user, ALIBABA_CLOUD_CREDENTIALS_FILE="/nowhere", **uri)
        said = fc_reaper_process("plan", *FIRST, env=env, cwd=folder)
    assert said.code == 2
    assert "no keys: ALIBABA_CLOUD_CREDENTIALS_URI: " in said.err
    assert '"Code": "None"' in said.err
    assert SECRET not in said.err


def test_a_role_that_cannot_be_assumed_is_said_without_the_keys(user: Path, folder: Path) -> None:
    """The request of the package has keys in its query, and its faults repeat that."""
    role = {"ram_role_arn": "acs:ram::1:role/reader", "ram_session_name": "me", "sts_region": "cn-hangzhou"}
    configured(user, {**AK, "mode": "RamRoleArn", "access_key_id": "LTAI-of-a-person", **role})
    with no_network() as asked:
        ran = fc_reaper("plan", *FIRST, env=person(user), cwd=folder)
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    assert "no keys: profile default of" in ran.err
    assert "LTAI-of-a-person" not in ran.err
    assert set(asked) == {"sts.cn-hangzhou.aliyuncs.com"}


def test_a_credentials_uri_is_asked(user: Path, cloud: Emulator, folder: Path) -> None:
    """Where it is set, as on the official tools; in a process of its own, as the package reads it once."""
    keys = {"Code": "Success", "AccessKeyId": "emulator", "AccessKeySecret": SECRET}
    keys |= {"SecurityToken": "a-token", "Expiration": "2099-01-01T00:00:00Z"}
    with answering(http(200, keys)) as server:
        uri = {"ALIBABA_CLOUD_CREDENTIALS_URI": f"{server.endpoint}/keys"}
        env = person(user, REAPER_ENDPOINT=cloud.endpoint, **uri)
        ran = fc_reaper_process("plan", env=env, cwd=folder)
    assert "3 due of 7 tasks" in " ".join(ran.out.split())
    assert cloud.calls()["counts"]["GetCallerIdentity"] == 1
