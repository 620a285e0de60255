"""`fc-reaper explain`: why this one, or why not, step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import a_policy_file, at, fc_reaper
from tests.cli.records import HOUR, LATER, NOWHERE, START, TWO, from_file
from tests.emulator_server import Emulator
from tests.run.account import operations, policy

PROD = "media/transcode@prod"


@pytest.mark.parametrize(
    ("task", "verdict", "line"),
    [
        ("over-1", "due, runaway, running_for 3h of 2h, 1h over: A transcode takes forty minutes", 4),
        ("young-1", "kept, runaway, running_for 9m", 4),
        ("waited-1", "kept, runaway, running_for 1m", 4),
        ("keep-1", "exempt", 2),
        ("vip-1", "kept, runaway, unless: spared by unless", 7),
    ],
)
def test_the_verdict_names_the_line_that_decided(
    task: str, verdict: str, line: int, cloud: Emulator, folder: Path
) -> None:
    """The steps above it are in 80 columns, without colour in a pipe."""
    ran = fc_reaper("explain", PROD, task, env=at(cloud), cwd=folder)
    assert verdict in ran.text
    assert f"decided by policy.yaml:{line}" in ran.text
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "\x1b" not in ran.out
    assert (ran.code, ran.err) == (0, "")


def test_it_only_reads(cloud: Emulator, folder: Path) -> None:
    """One Get and nothing else, also where the setting enforces."""
    fc_reaper("explain", PROD, "over-1", env=at(cloud, REAPER_MODE="enforce"), cwd=folder)
    assert operations(cloud) == {"GetStatefulAsyncInvocation": 1}


def test_a_task_within_its_limit_is_told_when_it_becomes_due(cloud: Emulator, folder: Path) -> None:
    """If by then it still is what it is."""
    ran = fc_reaper("explain", PROD, "young-1", env=at(cloud), cwd=folder)
    assert "due in 1h50m, if it is Running until then" in ran.text


def test_a_task_that_time_does_not_make_due_is_told_so(cloud: Emulator, folder: Path) -> None:
    """Here: an exempt one."""
    assert (
        "time alone will not make it due"
        in fc_reaper("explain", PROD, "keep-1", env=at(cloud), cwd=folder).text
    )


def test_a_finished_task_needs_no_policy(cloud: Emulator, folder: Path) -> None:
    """Its end decides before any of them is asked."""
    ran = fc_reaper("explain", PROD, "done-1", env=at(cloud), cwd=folder)
    assert "kept: it is Succeeded already" in ran.text
    assert "not evaluated" in ran.text


def test_a_stuck_task_is_called_stuck(cloud: Emulator, folder: Path) -> None:
    """As every run calls it."""
    assert "stuck: asked to stop" in fc_reaper("explain", PROD, "stuck-1", env=at(cloud), cwd=folder).text


def test_a_policy_for_named_tasks_does_not_make_a_healthy_one_due(cloud: Emulator, tmp_path: Path) -> None:
    """It is said apart what an event that names the task would do."""
    a_policy_file(tmp_path, policy(match="{status: Running}", triggers="[task]"))
    ran = fc_reaper("explain", PROD, "young-1", env=at(cloud), cwd=tmp_path)
    assert "kept: no policy matches it" in ran.text
    assert "due if an event names it, by runaway, policy.yaml:4" in ran.text


def test_as_json_every_step_is_a_value(cloud: Emulator, folder: Path) -> None:
    """Record, exemptions, policies key by key, verdict."""
    said = fc_reaper("explain", PROD, "over-1", "--json", env=at(cloud), cwd=folder).json
    assert said["record"]["status"] == "Running"
    assert said["exempt"][0]["holds"] is False
    (step,) = said["policies"]
    (key,) = step["match"]["keys"]
    assert (key["key"], key["wanted"], key["holds"], key["limit_s"]) == ("running_for", "2h", True, 7200)
    assert (said["verdict"]["kind"], said["verdict"]["line"]) == ("due", 4)


def test_a_policy_that_the_lock_does_not_approve_only_reports(cloud: Emulator, folder: Path) -> None:
    """As in a run."""
    (folder / "policy.lock").write_text("version: 1\nexempt: []\npolicies: []\n", encoding="utf-8")
    said = fc_reaper("explain", PROD, "over-1", env=at(cloud), cwd=folder).text
    assert "runaway (stop, not approved)" in said
    assert "reported, not stopped, runaway, running_for 3h of 2h" in said


@pytest.mark.parametrize(
    ("target", "task"),
    [(PROD, "absent"), ("media/absent@prod", "over-1"), ("media/transcode", "over-1"), ("absent", "over-1")],
)
def test_a_task_that_is_not_there_is_one_line_and_exit_1(
    target: str, task: str, cloud: Emulator, folder: Path
) -> None:
    """The cloud answered; the line says what to check."""
    ran = fc_reaper("explain", target, task, env=at(cloud), cwd=folder)
    assert (ran.code, ran.out) == (1, "")
    (line,) = ran.errors
    assert f"no task {task} at" in line
    assert "check the id, the qualifier" in line


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"}, "ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
        ({"REAPER_ENDPOINT": "http://127.0.0.1:9"}, "check the endpoint"),
    ],
    ids=["wrong keys", "no answer"],
)
def test_a_cloud_that_refuses_or_is_silent_is_exit_3(
    changes: dict[str, str], check: str, cloud: Emulator, folder: Path
) -> None:
    """What happened, and what to check."""
    ran = fc_reaper("explain", PROD, "over-1", env={**at(cloud), **changes}, cwd=folder)
    assert (ran.code, ran.out) == (3, "")
    assert check in ran.errors[-1]


def test_a_function_of_3_0_has_no_service(cloud: Emulator, tmp_path: Path) -> None:
    """Its target is a bare name."""
    a_policy_file(tmp_path, policy(targets="[resize]"))
    ran = fc_reaper("explain", "resize", "three-1", env=at(cloud), cwd=tmp_path)
    assert ran.out.startswith("three-1 at resize, ")
    assert "due, runaway" in ran.text


THREE: dict[str, Any] = {
    "functionArn": "acs:fc:cn-hangzhou:123456789:functions/resize/prod",
    "taskId": "job-8",
    "status": "Running",
    "alreadyRetriedTimes": 0,
    "taskPayload": '{"most": "90m"}',
    "events": TWO["events"],
}


@pytest.mark.parametrize(
    "record",
    [
        TWO,
        [TWO],
        {"invocations": [TWO], "nextToken": ""},
        {"headers": {}, "statusCode": 200, "body": TWO},
        "\ufeff" + json.dumps(TWO, indent=2),
        json.dumps(TWO) + "\n",
    ],
    ids=["Get", "list", "List", "SDK", "BOM", "JSON lines"],
)
def test_a_record_in_a_file_is_evaluated_without_a_cloud(record: object, folder: Path) -> None:
    """Target and id are the record's; no keys are needed; the moment is the one that was given."""
    ran = from_file(folder, record)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"job-7 at media/transcode@prod, evaluated as of {LATER[:-1]}.000Z\n")
    assert "due, runaway, running_for 3h of 2h, 1h over" in ran.text
    assert "s3cret" not in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_a_record_of_3_0_is_read_as_one(tmp_path: Path) -> None:
    """Its function and qualifier are in the ARN."""
    a_policy_file(
        tmp_path, policy(targets="[resize@prod]", match="{alive_for: {from: payload.most, at_most: 9h}}")
    )
    ran = from_file(tmp_path, THREE)
    assert ran.out.startswith("job-8 at resize@prod, ")
    assert "due, runaway, alive_for 3h of 1h30m" in ran.text
    assert "payload.most present: text" in ran.text
    said = json.loads(from_file(tmp_path, THREE, "--json").out)
    (question,) = said["policies"][0]["match"]["keys"]
    assert question["reads"] == [{"field": "payload.most", "present": True, "kind": "text"}]
    assert question["limit_s"] == 5400


def test_standard_input_will_do(folder: Path) -> None:
    """`-`, as elsewhere; an epoch is a moment, too."""
    ran = fc_reaper(
        "explain", "--record", "-", "--at", str(START + HOUR), env=NOWHERE, cwd=folder,
        stdin=json.dumps(TWO).encode(),
    )  # fmt: skip
    assert ran.code == 0
    assert "running_for 1h of 2h" in ran.text
    assert "due in 1h, if it is Running until then" in ran.text


@pytest.mark.parametrize(
    "record",
    [
        TWO,
        {**TWO, "events": [], "startedTime": START},
        {**TWO, "status": "Succeeded", "events": [{"eventId": 1, "status": "Succeeded", "timestamp": START}]},
    ],
    ids=["running", "no events", "over"],
)
def test_no_task_is_evaluated_as_of_a_moment_before_its_record(record: dict[str, Any], folder: Path) -> None:
    """Exit 2: how it was then is not in it. A moment without its milliseconds is late enough."""
    ran = from_file(folder, record, at=str(START - 1001))
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.errors
    assert "--at 2023-11-14T22:13:18.999Z is before the record's last change" in line
    assert from_file(folder, record, at=str(START - 1000)).code == 0


SEVERAL = "\n".join(json.dumps({**TWO, "invocationId": name}) for name in ("job-1", "job-2", "job-3"))


def test_of_several_records_one_is_named(folder: Path) -> None:
    """By its id alone, or with its target."""
    for words in (["job-2"], [PROD, "job-2"]):
        assert from_file(folder, SEVERAL, *words).out.startswith("job-2 at media/transcode@prod")


def test_a_record_without_a_function_takes_the_target_that_is_given(folder: Path) -> None:
    """Otherwise it is unknown which policies are about it."""
    bare = {
        key: value for key, value in TWO.items() if key not in ("serviceName", "functionName", "qualifier")
    }
    assert from_file(folder, bare, PROD).out.startswith("job-7 at media/transcode@prod")
    assert "add TARGET" in from_file(folder, bare).err


def test_a_record_of_another_function_than_asked_is_no_evidence(folder: Path) -> None:
    """As an answer of the cloud it would be unknown as well."""
    ran = from_file(folder, TWO, "media/other@prod", "job-7")
    assert "unknown, so it is kept" in ran.text
    assert "the record names another function" in ran.text


@pytest.mark.parametrize(
    ("record", "args", "message"),
    [
        ("", (), "no record fits"),
        ("{", (), "task.json:1: it is not JSON"),
        (json.dumps(TWO) + "\n{broken\n", (), "task.json:2: it is not JSON"),
        (b"\xff", (), "task.json:1: it is not JSON"),
        ("[]", (), "no record fits"),
        ("7", (), "it is not a JSON object"),
        ("[[" * 5000, (), "task.json:1: it is not JSON"),
        ({"status": "Running"}, (), "it has no id"),
        (SEVERAL, (), "3 records fit; name one with TARGET and ID: it has job-1, job-2, job-3"),
        (SEVERAL, ("job-9",), "no record fits"),
        (SEVERAL, ("media/*", "job-1"), "cannot be the name of a function"),
        ([TWO, TWO], (), "2 records fit"),
        ([TWO, TWO], ("job-7",), "2 records fit"),
        ({**TWO, "serviceName": "../x"}, (), "cannot be the name of a service"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(
    record: object, args: tuple[str, ...], message: str, folder: Path
) -> None:
    """Exit 2, and what is wrong with it."""
    ran = from_file(folder, record, *args)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.errors
    assert message in line


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "give TARGET and ID"),
        ((PROD,), "give TARGET and ID"),
        (("--record", "missing.json"), "missing.json: there is no such file"),
        (("--record", "."), ".: it cannot be read"),
        (("--record", "policy.yaml", "--at", "yesterday"), "--at is 'yesterday'; write a day"),
        (("--record", "policy.yaml", "--at", "2026-05-01T12:00:00"), "with its zone"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(args: tuple[str, ...], message: str, folder: Path) -> None:
    """Before anything is read."""
    ran = fc_reaper("explain", *args, env=NOWHERE, cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.errors[0]


def explained(folder: Path, text: str) -> str:
    """What is said of a task that has been running for three hours, on one line, by a policy."""
    a_policy_file(folder, text)
    ran = from_file(folder, TWO)
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    return ran.text


KEEP = {"match": "{status: Running}", "keep": "{at_most: 1}"}
DEPENDS = "counts for runaway (policy.yaml:4): whether it is one too many depends on the other tasks"


@pytest.mark.parametrize(
    "keys",
    [
        {"match": "{running_for: 2h}", "triggers": "[timer]"},
        {"match": "{running_for: 4h}"},
        {"match": "{running_for: 2h}", "triggers": "[task]"},
        KEEP,
    ],
    ids=["due", "not yet due", "due if named", "keep"],
)
def test_a_task_that_holdout_spares_is_never_stopped_by_that_policy(
    keys: dict[str, str], tmp_path: Path
) -> None:
    """Whatever else its verdict is; of one of many it is not said that the others decide."""
    text = explained(tmp_path, policy(holdout="99.99%", **keys))
    assert "never stopped by runaway: `holdout` spares 99.99% of all ids (policy.yaml:4)" in text
    assert "stopped only by a run" not in text
    assert "one too many" not in text


def test_a_due_task_that_holdout_spares_is_told_from_others_as_json(tmp_path: Path) -> None:
    """The policy that it is due by."""
    a_policy_file(tmp_path, policy(match="{running_for: 2h}", holdout="99.99%"))
    assert from_file(tmp_path, TWO, "--json").json["held_out_by"] == "runaway"


def test_of_one_of_many_the_others_decide(tmp_path: Path) -> None:
    """Unless it is spared or exempt: then it only counts."""
    text = explained(tmp_path, policy(**KEEP))
    assert f"kept, unless it is one too many {DEPENDS}" in text
    assert "time alone" not in text
    assert "no policy matches" not in text
    for spares in (policy(unless="[job-*]", **KEEP), policy(**KEEP).replace("[keep-*]", "[job-*]")):
        text = explained(tmp_path, spares)
        assert "counts: first enqueued 3h ago, and is never stopped" in text
        assert "one too many" not in text


def test_a_task_that_another_policy_claims_does_not_count(tmp_path: Path) -> None:
    """Also where that one holds it out."""
    text = explained(tmp_path, policy(match="{running_for: 2h}", holdout="99.99%") + FEW)
    assert "does not count: runaway claims it" in text


FEW = (
    "  - {name: few, targets: [media/transcode@prod], match: {status: Running}, keep: {at_most: 1}, "
    "stop: x}\n"
)


@pytest.mark.parametrize(
    ("match", "headline"),
    [
        ("{running_for: 4h}", "kept, unless it is one too many, runaway, running_for 3h of 4h"),
        (
            "{running_for: 2h, where: payload.vip}",
            "unknown, so it is kept, unless it is one too many, runaway: ",
        ),
    ],
)
def test_a_task_that_one_policy_keeps_may_be_one_too_many_for_another(
    match: str, headline: str, tmp_path: Path
) -> None:
    """The first word of the verdict says so."""
    a_policy_file(tmp_path, policy(match=match) + FEW)
    assert headline in from_file(tmp_path, TWO).text


def test_a_task_of_a_policy_that_is_not_approved_does_not_count(tmp_path: Path) -> None:
    """As in a run: a policy that is no longer approved keeps its tasks."""
    a_policy_file(tmp_path, policy(match="{running_for: 2h}") + FEW)
    (tmp_path / "policy.lock").write_text("version: 1\nexempt: []\npolicies: []\n", encoding="utf-8")
    said = from_file(tmp_path, TWO).text
    assert "does not count: runaway claims it" in said
    assert "counts for few" not in said
    keep = from_file(tmp_path, TWO, "--json").json["policies"][1]["keep"]
    assert (keep["counts"], keep["may_be_chosen"]) == (False, False)


def test_one_too_many_for_a_report_is_reported(tmp_path: Path) -> None:
    """Nothing stops it."""
    text = explained(tmp_path, policy(**KEEP).replace("stop:", "report:"))
    assert f"kept {DEPENDS}; it would be reported, not stopped" in text


def test_an_unknown_names_the_expression_once(tmp_path: Path) -> None:
    """`where` is the rule, and the reason begins with it."""
    a_policy_file(tmp_path, policy(match="{running_for: 2h, where: payload.vip}"))
    said = from_file(tmp_path, TWO).text
    assert "unknown, so it is kept, runaway: where: payload.vip is absent" in said
    assert "where: where:" not in said


def test_a_report_has_no_holdout(tmp_path: Path) -> None:
    """`holdout` has no effect there, so no step of it is shown."""
    a_policy_file(tmp_path, policy(holdout="50%").replace("stop:", "report:"))
    assert "holdout" not in from_file(tmp_path, TWO).text
