"""`REAPER_PLATFORM`: settings that come from what was found out about this very account."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.cli.credentials import signed_in
from fc_reaper.errors import SettingsError
from fc_reaper.models import Exit
from fc_reaper.platform import account_digest, facts_for
from fc_reaper.settings import Context, Settings, read_settings
from tests.cli.command import a_policy_file, at, environment, fc_reaper
from tests.emulator_server import Emulator, running_emulator
from tests.probe_files import ACCOUNT, CONTEXT, REGION, api_versions, facts, probed, write_probe
from tests.reaping import KEYS, Reaped, reap
from tests.run.account import POLICY, operations, seeded

HERE = {"FC_REGION": REGION, "FC_ACCOUNT_ID": ACCOUNT}
ENQUEUE = {"started_time": "enqueue"}


def settings_with(path: Path, **env: str) -> Settings:
    return read_settings({**HERE, "REAPER_PLATFORM": str(path), **env}, Context())


def refusal(path: Path, **env: str) -> str:
    with pytest.raises(SettingsError) as refused:
        settings_with(path, **env)
    return str(refused.value)


def test_the_file_says_what_startedtime_means(tmp_path: Path) -> None:
    settings = settings_with(write_probe(tmp_path, facts={"started_time": "execution"}))
    assert (settings.started_time, settings.facts) == ("execution", {"started_time": "execution"})


@pytest.mark.parametrize(
    ("served", "version", "relied_on"),
    [
        ({}, "2021-04-06", False),
        ({"2021-04-06": True, "2016-08-15": True}, "2021-04-06", True),
        ({"2021-04-06": False, "2016-08-15": True}, "2016-08-15", True),
        ({"2021-04-06": None, "2016-08-15": True}, "2016-08-15", True),
        ({"2021-04-06": False, "2016-08-15": None}, "2021-04-06", False),
        ({"2021-04-06": False, "2016-08-15": False, "2023-03-30": True}, "2021-04-06", False),
    ],
)
def test_services_are_reached_by_a_version_that_is_served(
    tmp_path: Path, served: dict[str, bool | None], version: str, relied_on: bool
) -> None:
    """The default one if it answered. Targets without a service are always reached by 2023-03-30."""
    settings = settings_with(write_probe(tmp_path, api_versions=served))
    assert settings.api_version == version
    assert settings.facts == ({"api_version": version} if relied_on else {})


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    """And the run does not rely on what it did not take."""
    path = write_probe(tmp_path, facts=ENQUEUE, api_versions={"2016-08-15": True})
    settings = settings_with(path, REAPER_STARTED_TIME="unknown")
    assert (settings.started_time, settings.facts) == ("unknown", {"api_version": "2016-08-15"})


def test_an_empty_variable_does_not(tmp_path: Path) -> None:
    """It counts as absent."""
    path = write_probe(tmp_path, facts=ENQUEUE)
    assert settings_with(path, REAPER_STARTED_TIME="").started_time == "enqueue"


@given(facts(), api_versions())
def test_no_other_fact_sets_anything(facts: dict[str, Any], versions: dict[str, bool | None]) -> None:
    """Each of them has a safe treatment already, or says nothing about the functions of others."""
    text = json.dumps(probed(facts=facts, api_versions=versions, observed={"filters": ["x"]}))
    taken = facts_for(text, "probe.json", ACCOUNT, REGION)
    assert taken.get("started_time") == facts.get("started_time")
    assert set(taken) <= {"started_time", "api_version"}
    assert versions.get(taken.get("api_version", ""), True)


def test_the_path_begins_beside_the_code(tmp_path: Path) -> None:
    """As that of the policy."""
    write_probe(tmp_path, facts=ENQUEUE)
    env = {**HERE, "REAPER_PLATFORM": "probe.json", "FC_FUNC_CODE_PATH": str(tmp_path)}
    assert read_settings(env, Context()).started_time == "enqueue"


def test_the_context_of_the_platform_says_where_the_run_is(tmp_path: Path) -> None:
    context = Context.model_validate(SimpleNamespace(region=REGION, account_id=ACCOUNT))
    env = {"REAPER_PLATFORM": str(write_probe(tmp_path, facts=ENQUEUE))}
    assert read_settings(env, context).started_time == "enqueue"


def test_a_change_of_the_file_is_seen_by_a_warm_instance(tmp_path: Path) -> None:
    assert settings_with(write_probe(tmp_path, facts=ENQUEUE)).started_time == "enqueue"
    path = write_probe(tmp_path, facts={"started_time": "execution"})
    assert settings_with(path).started_time == "execution"
    path.write_text("{", "utf-8")
    assert "Invalid JSON" in refusal(path)


ELSEWHERE = "; run fc-reaper probe there, or unset REAPER_PLATFORM"
REFUSED = {
    "another region": ({"FC_REGION": "cn-shanghai"},
        f"not of account {ACCOUNT} in cn-shanghai{ELSEWHERE}"),
    "another account": ({"FC_ACCOUNT_ID": "987654321"},
        f"not of account 987654321 in {REGION}{ELSEWHERE}"),
    "an endpoint in another region": (
        {"REAPER_ENDPOINT": f"https://{ACCOUNT}.cn-shanghai-internal.fc.aliyuncs.com"},
        f"not of account {ACCOUNT} in cn-shanghai{ELSEWHERE}"),
    "an endpoint of another account": (
        {"REAPER_ENDPOINT": f"https://987654321.{REGION}.fc.aliyuncs.com"},
        f"not of account 987654321 in {REGION}{ELSEWHERE}"),
    "no region": ({"FC_REGION": ""},
        "account and region of this run are not known; set FC_ACCOUNT_ID and FC_REGION"),
    "no account": ({"FC_ACCOUNT_ID": ""},
        "account and region of this run are not known; set FC_ACCOUNT_ID and FC_REGION"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_facts_of_elsewhere_are_refused(tmp_path: Path, case: str) -> None:
    """An unknown place is refused too: startedTime may mean something else there."""
    env, message = REFUSED[case]
    path = write_probe(tmp_path, facts=ENQUEUE)
    assert refusal(path, **env) == f"{path}: {message}"


def test_the_endpoint_may_say_what_the_settings_do_not(tmp_path: Path) -> None:
    path = write_probe(tmp_path, facts=ENQUEUE)
    endpoint = f"https://{ACCOUNT}.{REGION}.fc.aliyuncs.com"
    settings = settings_with(path, REAPER_ENDPOINT=endpoint, FC_REGION="", FC_ACCOUNT_ID="")
    assert settings.started_time == "enqueue"


@given(st.integers(1, 10**16), st.integers(1, 10**16))
def test_only_the_account_of_the_file_is_taken_for_it(one: int, other: int) -> None:
    text = json.dumps(probed(account=account_digest(REGION, str(one)), facts=ENQUEUE))
    assert facts_for(text, "probe.json", str(one), REGION) == ENQUEUE
    if account_digest(REGION, str(other)) != account_digest(REGION, str(one)):
        with pytest.raises(SettingsError, match="not of account"):
            facts_for(text, "probe.json", str(other), REGION)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file; write the path of a file (REAPER_PLATFORM)"),
        (b"\xff\xfe", "byte 0 is not UTF-8"),
        (b"{", "Invalid JSON: EOF"),
        (b"{}", "version: Field required"),
    ],
    ids=["missing", "no text", "torn", "empty"],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "probe.json"
    if content is not None:
        path.write_bytes(content)
    assert words in refusal(path)
    assert len(refusal(path).splitlines()) == 1


def test_without_the_variable_nothing_is_imported_for_it() -> None:
    """A cold start does not grow by what few use."""
    program = (
        "import sys, fc_reaper.handler as handler; handler.handler(b'{}', None); "
        "sys.exit('fc_reaper.platform' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], env=environment(), check=True, capture_output=True)


BLIND = ("--events", "no", "--started-time", "execution")
SEED = {"invocations": [seeded("old-1", "Running", enqueued="-9h", started="-3h")]}


@pytest.fixture
def blind() -> Iterator[Emulator]:
    """An account whose records have no events: only the meaning of startedTime tells how long a task runs."""
    with running_emulator(*BLIND, seed=SEED) as emulator:
        yield emulator


def reaped(emulator: Emulator, **env: Any) -> Reaped:
    return reap(emulator.endpoint, POLICY, context=CONTEXT, **env)


def test_a_run_relies_on_the_facts_and_its_first_line_says_so(blind: Emulator, tmp_path: Path) -> None:
    served = {"2021-04-06": False, "2016-08-15": True}
    path = write_probe(tmp_path, facts={"started_time": "execution"}, api_versions=served)
    run = reaped(blind, platform=str(path))
    assert run.lines[0]["event"] == "run_started"
    assert run.lines[0]["platform"] == {"started_time": "execution", "api_version": "2016-08-15"}
    assert run.ids("would_stop") == {"old-1"}
    assert {call["path"].split("/")[1] for call in blind.calls()["recent"]} == {"2016-08-15"}


def test_without_the_file_nothing_is_guessed(blind: Emulator) -> None:
    run = reaped(blind)
    assert "platform" not in run.lines[0]
    assert run.ids("unknown") == {"old-1"}


def test_a_file_without_facts_is_named_too(blind: Emulator, tmp_path: Path) -> None:
    """It was read, and nothing follows from it."""
    run = reaped(blind, platform=str(write_probe(tmp_path)))
    assert run.lines[0]["platform"] == {}
    assert run.ids("unknown") == {"old-1"}


def test_a_run_elsewhere_is_refused_before_anything_is_listed(blind: Emulator, tmp_path: Path) -> None:
    path = write_probe(tmp_path, region="cn-shanghai", facts={"started_time": "execution"})
    run = reaped(blind, platform=str(path))
    assert run.finished.exit is Exit.REFUSED
    assert [line["event"] for line in run.lines] == ["run_finished"]
    assert len(run.finished.result.errors) == 1
    assert operations(blind) == {}


def commanded(blind: Emulator, folder: Path, *args: str, **env: str) -> Any:
    a_policy_file(folder)
    probe = write_probe(folder, facts={"started_time": "execution"})
    return fc_reaper(*args, env=at(blind, REAPER_PLATFORM=probe.name, **env), cwd=folder)


def test_plan_relies_on_the_same_facts(blind: Emulator, tmp_path: Path) -> None:
    ran = commanded(blind, tmp_path, "plan", "--json", **HERE)
    assert [task["invocation_id"] for task in ran.json["tasks"]] == ["old-1"]


def test_explain_relies_on_the_same_facts(blind: Emulator, tmp_path: Path) -> None:
    ran = commanded(blind, tmp_path, "explain", "media/transcode@prod", "old-1", "--json", **HERE)
    assert (ran.json["verdict"]["kind"], ran.json["verdict"]["clock"]) == ("due", "started_time")


@pytest.mark.parametrize("command", ["plan", "check", "explain", "invoke"])
def test_a_command_that_cannot_tell_the_account_is_refused(
    blind: Emulator, tmp_path: Path, command: str
) -> None:
    """In one line, exit 2, and without a call."""
    args = {"explain": ("media/transcode@prod", "old-1"), "invoke": ("-",)}.get(command, ())
    ran = commanded(blind, tmp_path, command, *args)
    assert ran.code == 2
    assert "account and region of this run are not known; set FC_ACCOUNT_ID and FC_REGION" in ran.err
    assert operations(blind) == {}


def test_whose_the_keys_are_is_asked_first(blind: Emulator, tmp_path: Path) -> None:
    """So that a person need not know the account's id."""
    probe = write_probe(tmp_path, facts=ENQUEUE)
    env = {"FC_REGION": REGION, "REAPER_PLATFORM": str(probe), "REAPER_ENDPOINT": blind.endpoint, **KEYS}
    known = signed_in(env, account=None, profile=None, ask=True)
    assert read_settings(known, Context()).facts == ENQUEUE


def test_a_probe_does_not_rely_on_an_earlier_one(tmp_path: Path) -> None:
    """So that the way out of a refusal is open: to probe where the run is."""
    seed = {"functions": [{"functionName": "fc-reaper-probe"}]}
    with running_emulator(seed=seed) as emulator:
        env = at(emulator, FC_REGION="cn-shanghai", FC_ACCOUNT_ID=ACCOUNT)
        probe = write_probe(tmp_path)
        assert fc_reaper("plan", env={**env, "REAPER_PLATFORM": str(probe)}, cwd=tmp_path).code == 2
        ran = fc_reaper(
            "probe", "--force", env={**env, "REAPER_PLATFORM": str(probe)}, cwd=tmp_path, stdin=b"n\n"
        )
    assert (ran.code, ran.err) == (1, "fc-reaper: nothing was submitted; answer y, or add --yes\n")


def test_an_option_wins_over_the_file(blind: Emulator, tmp_path: Path) -> None:
    """As over every setting."""
    ran = commanded(blind, tmp_path, "plan", "--api-version", "2016-08-15", **HERE)
    assert ran.code == 0
    assert {call["path"].split("/")[1] for call in blind.calls()["recent"]} == {"2016-08-15"}
