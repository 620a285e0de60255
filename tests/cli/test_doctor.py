"""`fc-reaper doctor`: what is in place, what is not, and which functions nobody watches."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fc_reaper.cli import coverage, doctor
from fc_reaper.cli.doctor import Diagnosis
from tests.cli.command import Ran, a_policy_file, at, environment, fc_reaper
from tests.cli.test_app import NASTY
from tests.emulator_server import Emulator, running_emulator
from tests.probing.pairs import covering
from tests.probing.test_pairs import SWITCHES
from tests.reaping import KEYS
from tests.run.account import operations, policy, seeded

CONFIG = {"maxAsyncEventAgeInSeconds": 3600, "maxAsyncRetryAttempts": 1}
TRANSCODE = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}
SEED: dict[str, Any] = {
    "invocations": [seeded("job-1", "Running", enqueued="-5h", started="-3h")],
    "functions": [{**TRANSCODE, "timeout": 600, "asyncConfig": CONFIG}],
}
"""A function of FC 2.0 that the usual policy watches."""


def account(*functions: str, **task: Any) -> dict[str, Any]:
    """The usual account with more functions of FC 3.0, and one task that differs."""
    more = [{"functionName": name} for name in functions]
    return {
        "invocations": [*SEED["invocations"], *([seeded("job-2", **task)] if task else [])],
        "functions": [*SEED["functions"], *more],
    }


def diagnose(cloud: Emulator, folder: Path, *args: str, **env: str) -> tuple[int, Diagnosis]:
    """The exit code, and what --json prints, read by its model. Nothing may have been stopped or changed."""
    ran = fc_reaper("doctor", "--json", *args, env=at(cloud, **env), cwd=folder)
    assert ran.err == ""
    assert not [name for name in operations(cloud) if not name.startswith(("Get", "List"))]
    return ran.code, Diagnosis.model_validate(ran.json)


def lines(found: Diagnosis, *states: str) -> dict[str, str]:
    """The text and the remedy of each check that is not well, or is in one of *states*."""
    return {one.check: one.text for one in found.checks if one.state in (states or ("warn", "fail"))}


def test_an_account_in_order_is_fine_in_80_columns_without_colour(folder: Path) -> None:
    """Exit 0, one line for each check, and who watches which function, with its native limits."""
    with running_emulator(seed=SEED) as cloud:
        ran = fc_reaper("doctor", env=at(cloud), cwd=folder)
    assert (ran.code, ran.err) == (0, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "\x1b" not in ran.out
    for line in (
        "ok    policy: policy.yaml is valid: 1 policy; REAPER_MODE is dry-run here",
        "ok    lock: there is no policy.lock",
        "ok    account: 123456789, RAMUser acs:ram::123456789:user/emulator",
        "ok    API 2021-04-06: answers, and fc:ListStatefulAsyncInvocationFunctions is",
        "ok    API 2016-08-15: answers, and fc:ListStatefulAsyncInvocationFunctions is",
        "ok    API 2023-03-30: answers, and fc:ListAsyncInvokeConfigs is allowed",
        "ok    fc:GetStatefulAsyncInvocation: allowed",
        "warn  fc:StopStatefulAsyncInvocation: unproven: only a stop is proof; see",
        "ok    records: 1 record read, all as expected",
        "ok    coverage: nobody watches 0 of 1 function in task mode",
        "media/transcode@prod  runaway (dry run)      10m     1h        1",
    ):
        assert line in ran.out.splitlines()


def test_the_model_is_what_json_prints(folder: Path) -> None:
    """What nobody watches is first; a limit that nobody has set, or that is no number, is null."""
    odd = {"functionName": "odd", "asyncConfig": {"maxAsyncEventAgeInSeconds": "1h"}}
    seed = {**SEED, "functions": [*SEED["functions"], odd]}
    with running_emulator(seed=seed) as cloud:
        code, found = diagnose(cloud, folder, FC_REGION="cn-hangzhou")
        assert (found.account, found.region, found.endpoint) == ("123456789", "cn-hangzhou", cloud.endpoint)
    assert (code, found.exit, found.uncovered) == (0, 0, 1)
    names = ("function", "watched_by", "timeout_s", "event_age_s", "retries")
    assert [tuple(getattr(one, name) for name in names) for one in found.coverage] == [
        ("odd", {}, 60, None, None),
        ("media/transcode@prod", {"runaway": "dry run"}, 600, 3600, 1),
    ]


def fault(operation: str, status: int = 403, code: str = "AccessDenied", **more: Any) -> dict[str, Any]:
    """Every call of *operation* is answered so."""
    return {"operation": operation, "times": 1000, "status": status, "code": code} | more


CONFIGURATION = "GetFunctionAsyncInvokeConfig"
LIST, GET = "ListStatefulAsyncInvocations", "GetStatefulAsyncInvocation"
STOP = "fc:StopStatefulAsyncInvocation"
FUNCTIONS = "ListAsyncInvokeConfigs"
IN_2 = [{"operation": FUNCTIONS, "times": 2, "delay": "1ms"}]
"""The functions of FC 2.0 are listed well, in both versions of its API; the next list is that of FC 3.0."""

ACCOUNTS: dict[str, tuple[str, Mapping[str, Any], list[dict[str, Any]], int, dict[str, str]]] = {
    "a function that nobody watches": (
        policy(), account("resize"), [], 0,
        {"coverage": "nobody watches 1 of 2 functions in task mode; name them in targets"},
    ),
    "tasks may not be listed": (
        policy(), SEED, [fault(LIST)], 3,
        {f"fc:{LIST}": "media/transcode@prod: HTTP 403, AccessDenied: "},
    ),
    "whose keys these are is not told": (
        policy(), SEED, [fault("GetCallerIdentity")], 0,
        {"account": "whose keys these are is unknown: HTTP 403, AccessDenied: "},
    ),
    "tasks may not be read": (
        policy(), SEED, [fault(GET)], 3, {f"fc:{GET}": f"allow fc:{GET} in RAM, on Resource *"}
    ),
    "functions may not be read, which no run needs": (
        policy(), SEED, [fault("GetFunction")], 0, {"fc:GetFunction": "allow fc:GetFunction in RAM"}
    ),
    "functions that are read at the second try": (
        policy(), SEED,
        [fault(name, 503, "ServiceUnavailable", times=1) for name in ("GetFunction", CONFIGURATION)], 0, {},
    ),
    "configurations may not be read, which no run needs": (
        policy(), SEED, [fault(CONFIGURATION)], 0,
        {"fc:GetFunctionAsyncInvokeConfig": "allow fc:GetFunctionAsyncInvokeConfig in RAM"},
    ),
    "functions of FC 3.0 may not be listed": (
        policy(), SEED, [*IN_2, fault(FUNCTIONS)], 0,
        {"API 2023-03-30": "allow fc:ListAsyncInvokeConfigs in RAM, on Resource *",
         "coverage": "nobody watches 0 of 1 function in task mode, and some could not be listed"},
    ),
    "the API of FC 3.0 is not served, and no target needs it": (
        policy(), SEED, [*IN_2, fault(FUNCTIONS, 400, "PathNotSupported")], 0,
        {"API 2023-03-30": "HTTP 400, PathNotSupported"},
    ),
    "the API of FC 3.0 is not served, and a target needs it": (
        policy(targets="[media/transcode@prod, resize]"), SEED,
        [*IN_2, fault(FUNCTIONS, 400, "PathNotSupported")], 3,
        {"API 2023-03-30": "HTTP 400, PathNotSupported", "target": "there is no function 'resize'"},
    ),
    "one function is out of order": (
        policy(), SEED, [fault(LIST, 500, "InternalServerError")], 3,
        {f"fc:{LIST}": "media/transcode@prod: HTTP 500, InternalServerError: "},
    ),
    "a task that contradicts itself": (
        policy(), account(status="Running", enqueued="-5h", endTime="-1h"), [], 1,
        {"records": "1 record of media/transcode@prod: the record has an end, yet it is Running; "
                    "such tasks are kept"},
    ),
    "a status that nobody knows": (
        policy(), account(status="Paused", enqueued="-5h"), [], 1,
        {"records": "1 record of media/transcode@prod: unknown status Paused"},
    ),
    "a qualifier that does not exist": (
        policy(targets="[media/transcode@pord]"), SEED, [], 1,
        {"target": "there is no qualifier 'pord'; correct or delete it", "coverage": "1 of 1"},
    ),
    "a function that does not exist": (
        policy(targets="[media/transcode@prod, quite-another]"), SEED, [], 1,
        {"target": "quite-another@LATEST: there is no function 'quite-another'; correct or delete it"},
    ),
    "a target without a task": (
        policy(targets="[media/transcode@prod, idle]"), account("idle"), [], 0,
        {"target": "idle@LATEST had no task in the kept history; is the qualifier right"},
    ),
    "a target that is not in task mode": (
        policy(targets="[media/transcode@prod, plain]"),
        {**SEED, "functions": [*SEED["functions"], {"functionName": "plain", "taskMode": False}]}, [], 0,
        {"target": "plain@LATEST had no task in the kept history"},
    ),
    "a policy that does not read": (
        policy(match="{alivefor: 2h}"), SEED, [], 2, {"policy": "did you mean alive_for?"}
    ),
    "a policy with a lint": (
        policy(targets="[media/transcode@prod]", match="{queued_for: 5m}"), SEED, [], 0,
        {"policy": "a task may wait for up to 1h on purpose"},
    ),
    "answers without a Date": (
        policy(), SEED, [{"operation": "*", "times": 1000, "date": "never"}], 1,
        {"clock": "answers have no Date, so nothing would be stopped"},
    ),
    "a clock that is wrong": (
        policy(), SEED, [{"operation": "*", "times": 1000, "date": "-1m"}], 1,
        {"clock": "is 59s from the cloud's, so nothing would be stopped; set it by NTP"},
    ),
}  # fmt: skip
"""The policy, the account and what goes wrong in it; the exit code, and the checks that are not well."""


@pytest.mark.parametrize("case", ACCOUNTS)
def test_what_is_said_of_an_account(case: str, tmp_path: Path) -> None:
    """Nothing else is said: each check stands by itself."""
    text, seed, faults, code, expected = ACCOUNTS[case]
    a_policy_file(tmp_path, text)
    with running_emulator(seed=seed) as cloud:
        cloud.faults(
            [{key: value for key, value in one.items() if value not in (None, "")} for one in faults]
        )
        ended, found = diagnose(cloud, tmp_path)
    said = lines(found)
    said.pop(STOP, None)
    said.pop("fc:StopAsyncTask", None)
    assert ended == code
    assert list(said) == list(expected)
    for check, words in expected.items():
        assert words in said[check]


def test_uncovered_functions_are_exit_1_where_that_is_wanted(folder: Path) -> None:
    """`--fail-uncovered` is for pipelines; what cannot be listed may be uncovered as well."""
    with running_emulator(seed=account("resize")) as cloud:
        assert diagnose(cloud, folder)[0] == 0
        code, found = diagnose(cloud, folder, "--fail-uncovered")
        assert (code, found.uncovered, "coverage" in lines(found, "fail")) == (1, 1, True)
        cloud.faults([*IN_2, fault(FUNCTIONS)])
        code, found = diagnose(cloud, folder, "--fail-uncovered")
    assert (code, found.uncovered) == (1, None)


@pytest.mark.parametrize(
    ("changes", "locked", "mode", "state"),
    [
        ({}, False, "dry-run", "dry run"),
        ({}, False, "enforce", "enforced"),
        ({}, True, "enforce", "enforced"),
        ({"match": "{running_for: 1h}"}, True, "enforce", "not approved"),
        ({"match": "{running_for: 1h}"}, True, "dry-run", "not approved"),
        ({"stop": None, "report": "Is that normal?"}, False, "enforce", "reports"),
    ],
)
def test_what_a_policy_does_with_what_it_finds(
    changes: dict[str, Any], locked: bool, mode: str, state: str, folder: Path
) -> None:
    """By the mode, the policy and the lock beside it."""
    with running_emulator(seed=SEED) as cloud:
        if locked:
            assert fc_reaper("approve", "--yes", env=at(cloud), cwd=folder).code == 0
        text = policy(**{key: value for key, value in changes.items() if value})
        a_policy_file(folder, text.replace("    stop: A", "    # A") if "report" in changes else text)
        code, found = diagnose(cloud, folder, REAPER_MODE=mode)
    assert code == 0
    assert [one.watched_by for one in found.coverage] == [{"runaway": state}]
    assert ("runaway only reports: " in lines(found).get("lock", "")) == (state == "not approved")
    if locked and state == "enforced":
        assert lines(found, "ok")["lock"].startswith("policy.lock is in force")


def test_a_lock_that_cannot_be_used_is_exit_2(folder: Path) -> None:
    """No policy is approved by it."""
    (folder / "policy.lock").write_text("nonsense")
    with running_emulator(seed=SEED) as cloud:
        code, found = diagnose(cloud, folder)
    assert code == 2
    assert lines(found, "fail")["lock"].startswith("policy.lock:1: ")
    assert found.coverage[0].watched_by == {"runaway": "not approved"}


def test_fc_reaper_itself_needs_no_policy(folder: Path) -> None:
    """It is never stopped."""
    with running_emulator(seed=account("fc-reaper")) as cloud:
        code, found = diagnose(cloud, folder, "--fail-uncovered", REAPER_SELF="fc-reaper")
        ran = fc_reaper("doctor", env=at(cloud, REAPER_SELF="fc-reaper"), cwd=folder)
    assert (code, found.uncovered) == (0, 0)
    assert "fc-reaper             fc-reaper itself" in ran.out


def test_a_function_that_both_apis_list_is_one(folder: Path) -> None:
    """One of FC 2.0 is called `service$function` in FC 3.0."""
    both = {"functionName": "media$transcode", "qualifier": "prod"}
    with running_emulator(seed={**SEED, "functions": [*SEED["functions"], both]}) as cloud:
        code, found = diagnose(cloud, folder, "--fail-uncovered")
    assert (code, [one.function for one in found.coverage]) == (0, ["media/transcode@prod"])


def test_many_functions_are_listed_all_and_read_in_part(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not read in time fails no check: of those it is known who watches them."""
    monkeypatch.setattr(doctor, "_PATIENCE", 0.0)
    with running_emulator(seed=account("a", "b", "c")) as cloud:
        code, found = diagnose(cloud, folder)
        assert "GetFunction" not in operations(cloud)
    assert (code, found.uncovered, set(lines(found))) == (0, 3, {STOP, "coverage"})
    assert [one.timeout_s for one in found.coverage] == [None] * 4


BAD_INPUT: dict[str, tuple[dict[str, str], int, str, str]] = {
    "another account": (
        {"FC_ACCOUNT_ID": "42"}, 2, "account",
        "user/emulator; calls go to account 42: use --account 123456789, or --profile",
    ),
    "no keys": (
        {"ALIBABA_CLOUD_ACCESS_KEY_ID": ""}, 2, "cloud", "no credentials: give the function a role"
    ),
    "neither keys nor an endpoint": (
        {"ALIBABA_CLOUD_ACCESS_KEY_ID": "", "REAPER_ENDPOINT": ""}, 2, "cloud", "no credentials: give the"
    ),
    "wrong keys": (
        {"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "quite-wrong"}, 3, "API 2021-04-06", "; check ALIBABA_CLOUD"
    ),
    "nobody there, as in a region without Function Compute": (
        {"REAPER_ENDPOINT": "http://127.0.0.1:9"}, 3, "API 2021-04-06",
        "no answer, ConnectionFailed: no connection: [Errno 111] Connection refused; check the endpoint",
    ),
    "a version that knows no services": (
        {"REAPER_API_VERSION": "2023-03-30"}, 2, "targets", "media/transcode@prod has a service"
    ),
}  # fmt: skip
"""What is set wrongly; the exit code, and the one check that fails, with its words."""


@pytest.mark.parametrize("case", BAD_INPUT)
def test_what_is_set_wrongly_is_one_line_and_what_to_do(case: str, folder: Path) -> None:
    """What needs no cloud is checked all the same."""
    env, code, check, words = BAD_INPUT[case]
    with running_emulator(seed=SEED) as cloud:
        ended, found = diagnose(cloud, folder, **env)
    assert ended == code
    assert list(lines(found, "fail")) == [check]
    assert words in lines(found, "fail")[check]
    assert {"policy", "lock", "runtime", "package"} - {check} <= {one.check for one in found.checks}


def test_a_profile_that_does_not_exist_is_one_line(folder: Path) -> None:
    """Exit 2, before any call."""
    ran = fc_reaper("doctor", "--profile", "nobody", env=environment(**KEYS), cwd=folder)
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    assert "--profile nobody" in ran.err


def test_where_nobody_says_whose_keys_these_are_the_rest_is_checked(folder: Path) -> None:
    """With keys of a person STS is asked first; that it does not answer hides nothing of what is here."""
    user = folder / "user"
    (user / ".aliyun").mkdir(parents=True)
    keys = {"access_key_id": "unknown", "access_key_secret": "quite-wrong"}
    profile = {"name": "one", "mode": "AK", **keys, "region_id": "cn-hangzhou"}
    (user / ".aliyun" / "config.json").write_text(json.dumps({"current": "one", "profiles": [profile]}))
    for endpoint in ("http://127.0.0.1:9", ""):
        with running_emulator(seed=SEED) as cloud:
            env = environment(HOME=str(user), REAPER_ENDPOINT=endpoint or cloud.endpoint)
            env["ALIBABA_CLOUD_CLI_PROFILE_DISABLED"] = ""
            ran = fc_reaper("doctor", "--json", env=env, cwd=folder)
        found = Diagnosis.model_validate(ran.json)
        assert (ran.code, ran.err, found.exit) == (3, "", 3)
        assert [one.check for one in found.checks] == ["account", "package", "runtime", "policy", "lock"]
        why = "no answer, ConnectionFailed" if endpoint else "HTTP 403, InvalidAccessKeyID"
        assert lines(found, "fail")["account"].startswith(f"whose keys these are is unknown: {why}")
        assert (found.coverage, found.uncovered) == ([], None)


def test_without_a_policy_every_function_is_watched_by_nobody(tmp_path: Path) -> None:
    """The first look at an account; a policy that does not read may watch them, so nothing is said then."""
    with running_emulator(seed=account("resize")) as cloud:
        code, found = diagnose(cloud, tmp_path)
        assert (code, found.uncovered, len(found.coverage)) == (2, 2, 2)
        assert "there is no such file" in lines(found)["policy"]
        for text in ("nonsense", policy(match="{alivefor: 2h}")):
            code, found = diagnose(cloud, tmp_path, REAPER_POLICY=f"{text}\n")
            assert (code, found.uncovered, found.coverage) == (2, None, [])


def test_where_no_function_could_be_listed_nobody_is_told_to_name_them(folder: Path) -> None:
    """They are not known; the right to list them comes first. Exit 3, and 1 is not enough."""
    faults = [fault("ListStatefulAsyncInvocationFunctions"), fault(FUNCTIONS)]
    with running_emulator(seed=SEED) as cloud:
        cloud.faults([{key: value for key, value in one.items() if value != ""} for one in faults])
        code, found = diagnose(cloud, folder, "--fail-uncovered")
    assert (code, found.uncovered) == (3, None)
    assert lines(found)["coverage"].endswith("of 0 functions in task mode, and some could not be listed")


def test_texts_of_the_cloud_do_not_steer_a_terminal(folder: Path) -> None:
    """Statuses of records, and what a refusal says."""
    with running_emulator(seed=account(status=f"Odd{NASTY}")) as cloud:
        cloud.faults([fault("GetFunction", message=NASTY)])
        ran: Ran = fc_reaper("doctor", env=at(cloud), cwd=folder)
    assert "unknown status Odd\\x1b[2J\\u202e" in ran.text
    assert ran.out.replace("\n", "").isprintable()


@pytest.mark.parametrize("module", [doctor, coverage], ids=lambda module: str(module.__name__))
def test_by_construction_nothing_can_be_changed(module: Any) -> None:
    """No operation of the client is used but those that read, and no request is made by its own words."""
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & {"stop", "invoke_async", "_do_request"}


@pytest.mark.parametrize("switches", list(covering(SWITCHES)), ids=lambda row: "-".join(row.values()))
def test_whatever_the_account_turns_out_to_do_is_not_held_against_it(
    switches: Mapping[str, str], folder: Path
) -> None:
    """Every pair of what is unknown: only lists without events are worth a line."""
    options = [word for name, value in switches.items() for word in (f"--{name}", value)]
    with running_emulator(*options, seed=account("resize", status="Stopping", enqueued="-5h")) as cloud:
        code, found = diagnose(cloud, folder)
    assert (code, found.uncovered) == (0, 1)
    said = lines(found)
    assert ("records" in said) == (switches["events"] != "list")
    assert set(said) <= {STOP, "coverage", "records"}
