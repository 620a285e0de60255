"""`fc-reaper explain`: why this one, or why not, step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import a_policy_file, at, fc_reaper
from tests.cli.records import HOUR, LATER, NOWHERE, START, TWO, from_file
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import reap
from tests.run.account import POLICY, operations, policy, seeded

PROD = "media/transcode@prod"


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (
            "over-1",
            ["due, runaway, running_for 3h of 2h, 1h over: A transcode takes", "decided by policy.yaml:4"],
        ),
        (
            "young-1",
            ["kept, runaway, running_for 9m", "due in 1h50m, if it is Running until then", "policy.yaml:4"],
        ),
        ("waited-1", ["kept, runaway, running_for 1m", "decided by policy.yaml:4"]),
        ("keep-1", ["exempt", "decided by policy.yaml:2", "time alone will not make it due"]),
        ("vip-1", ["kept, runaway: spared by unless", "decided by policy.yaml:7"]),
        ("done-1", ["kept: it is Succeeded already", "not evaluated"]),
        ("stuck-1", ["stuck: asked to stop"]),
    ],
)
def test_the_verdict_has_its_reason_and_the_line_that_decided(
    task: str, words: list[str], cloud: Emulator, folder: Path
) -> None:
    """The steps above it are in 80 columns, without colour in a pipe; one Get is all that is sent."""
    ran = fc_reaper("explain", PROD, task, env=at(cloud, REAPER_MODE="enforce"), cwd=folder)
    assert [word for word in words if word not in ran.text] == []
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "\x1b" not in ran.out
    assert (ran.code, ran.err) == (0, "")
    assert operations(cloud) == {"GetStatefulAsyncInvocation": 1}


def test_a_stopped_task_is_explained_as_it_was_when_it_was_asked_to_stop(tmp_path: Path) -> None:
    """Whoever stopped it; without dates, and as JSON, it is explained as it is."""
    a_policy_file(tmp_path)
    ended = {"status": "Stopped", "enqueued": "-5h", "started": "-4h", "stopping": "-3h", "ends": "-2h"}
    others: dict[str, Any] = {"young": {}, "undated": {"events": []}}
    tasks = [seeded(name, **{**ended, **more}) for name, more in others.items()]
    tasks.append(seeded("over", "Running", enqueued="-5h", started="-3h"))
    said = {}
    with running_emulator("--stopping", "5ms", seed={"invocations": tasks}) as cloud:
        assert reap(cloud.endpoint, POLICY, enforce=True).ids("confirmed") == {"over"}
        for task in ("over", *others):
            said[task] = fc_reaper("explain", PROD, task, env=at(cloud), cwd=tmp_path).text
        as_json = fc_reaper("explain", PROD, "over", "--json", env=at(cloud), cwd=tmp_path).json
    for task, words in (
        ("over", "due, runaway, running_for 3h of 2h, "),
        ("young", "kept, runaway, running_for 1h of 2h, "),
        ("undated", "kept: it is Stopped already"),
    ):
        assert words in said[task]
        assert (", when it was asked to stop" in said[task]) is (task != "undated")
    assert as_json["verdict"]["reason"] == "it is Stopped already"


def test_a_policy_for_named_tasks_does_not_make_a_healthy_one_due(cloud: Emulator, tmp_path: Path) -> None:
    """The table says that only such an event runs it."""
    a_policy_file(tmp_path, policy(match="{status: Running}", triggers="[task]"))
    ran = fc_reaper("explain", PROD, "young-1", env=at(cloud), cwd=tmp_path)
    assert "kept: no policy matches it" in ran.text
    assert "policy runaway (stop, only by task) policy.yaml:4 yes: its targets fit" in ran.text


def test_as_json_every_step_is_a_value(cloud: Emulator, folder: Path) -> None:
    """Record, exemptions, policies key by key, verdict."""
    said = fc_reaper("explain", PROD, "over-1", "--json", env=at(cloud), cwd=folder).json
    assert said["record"]["status"] == "Running"
    assert [(step["name"], step["holds"]) for step in said["steps"]] == [
        *(("exempt", False), ("policy", True), ("match", True), ("unless", False))
    ]
    match = said["steps"][2]
    assert (match["policy"], match["condition"]) == ("runaway", "running_for: 2h")
    assert (match["numbers"]["limit_s"], match["numbers"]["limit_from"]) == (7200, "policy")
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
    assert "yes: 3h of 1h30m (task), 1h30m over" in ran.text
    assert "due, runaway, alive_for 3h of 1h30m (task), 1h30m over" in ran.text
    numbers = from_file(tmp_path, THREE, "--json").json["steps"][2]["numbers"]
    assert (numbers["limit_s"], numbers["limit_from"]) == (5400, "task")


def test_a_reason_that_begins_like_its_rule_hides_no_number(tmp_path: Path) -> None:
    """The policy's own words may be the name of a key."""
    a_policy_file(
        tmp_path, policy(match="{running_for: 2h}").replace("stop: A", "stop: running_for too long, a")
    )
    assert "due, runaway, running_for 3h of 2h, 1h over: running_for too" in from_file(tmp_path, TWO).text


def test_retries_are_said_with_their_limit(tmp_path: Path) -> None:
    """As in a line of the log."""
    a_policy_file(tmp_path, policy(match="{retries_over: 1}"))
    again = [
        {"eventId": 3 + n, "status": status, "timestamp": START + n} for n, status in enumerate(2 * RETRIED)
    ]
    ran = from_file(tmp_path, {**TWO, "alreadyRetriedTimes": 2, "events": [*TWO["events"], *again]})
    assert "due, runaway, retries_over 2 of 1: A transcode takes" in ran.text


RETRIED = ("Retrying", "Running")


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
    "record", [TWO, {**TWO, "events": [], "startedTime": START}], ids=["events", "startedTime"]
)
def test_at_a_moment_before_its_record_a_task_is_unknown(record: dict[str, Any], folder: Path) -> None:
    """How it was then is not in it."""
    said = from_file(folder, record, at=str(START - 2000)).text
    assert "unknown, so it is kept" in said


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
        ("", (), "0 records fit"),
        ("{", (), "task.json:1: it is not JSON"),
        (json.dumps(TWO) + "\n{broken\n", (), "task.json:2: it is not JSON"),
        (b"\xff", (), "task.json:1: it is not JSON"),
        ("[]", (), "0 records fit"),
        ("7", (), "it is not a JSON object"),
        ("[[" * 5000, (), "task.json:1: it is not JSON"),
        ({"status": "Running"}, (), "it has no id"),
        (SEVERAL, (), "3 records fit; name one with TARGET and ID; it has job-1, job-2, job-3"),
        (SEVERAL, ("job-9",), "0 records fit"),
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
        (("--record", "missing.json"), "missing.json: it cannot be read: No such file"),
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


KEEP = {"match": "{status: Running}", "keep": "{at_most: 1}"}
FEW = (
    "  - {name: few, targets: [media/transcode@prod], match: {status: Running}, keep: {at_most: 1}, "
    "stop: x}\n"
)
DEPENDS = "counts for runaway: whether it is one too many depends on the other tasks"
HELD_OUT = "never stopped by runaway: `holdout` spares it"
ONLY_COUNTS = "yes: it counts, and is never stopped"


@pytest.mark.parametrize(
    ("text", "words", "never"),
    [
        *(
            pytest.param(policy(holdout="99.99%", **keys), [HELD_OUT], ["stopped only by", "one too many"])
            for keys in (
                {"match": "{running_for: 2h}", "triggers": "[timer]"},
                {"match": "{running_for: 4h}"},
                {"match": "{running_for: 2h}", "triggers": "[task]"},
                KEEP,
            )
        ),
        (policy(holdout="50%").replace("stop:", "report:"), ["reported"], ["holdout"]),
        (
            policy(**KEEP),
            [f"kept {DEPENDS}"],
            ["time alone", "no policy matches"],
        ),
        (policy(**KEEP).replace("stop:", "report:"), ["runaway (report)", f"kept {DEPENDS}"], []),
        (policy(unless="[job-*]", **KEEP), [ONLY_COUNTS], ["one too many"]),
        (policy(**KEEP).replace("[keep-*]", "[job-*]"), [ONLY_COUNTS], ["one too many"]),
        (
            policy(match="{running_for: 2h}", holdout="99.99%") + FEW,
            ["no: it does not count: another policy decides"],
            [],
        ),
        (
            policy(match="{running_for: 4h}") + FEW,
            ["kept, runaway, running_for 3h of 4h, 1h left", "counts for few"],
            [],
        ),
        (
            policy(match="{running_for: 2h, where: payload.vip}") + FEW,
            ["unknown, so it is kept, runaway: where: payload.vip is absent", "counts for few"],
            ["where: where:"],
        ),
    ],
)
def test_holdout_and_keep_are_part_of_the_verdict(
    text: str, words: list[str], never: list[str], tmp_path: Path
) -> None:
    """Of a task that has been running for three hours, in 80 columns."""
    a_policy_file(tmp_path, text)
    ran = from_file(tmp_path, TWO)
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    assert [word for word in words if word not in ran.text] == []
    assert [word for word in never if word in ran.text] == []


GROUPS = {
    "invocations": [
        *(
            seeded(f"job-{n}", "Running", enqueued=f"-{n}h", started=f"-{n}h", payload={"order": n % 2})
            for n in range(1, 7)
        ),
        seeded("keep-1", "Running", enqueued="-7h", started="-7h", payload={"order": 1}),
        seeded("vip-1", "Enqueued", enqueued="-8h", payload={"order": 0}),
        seeded("odd-1", "Running", enqueued="-2h", started="-2h"),
        {**seeded("far-1", "Running", enqueued="-9h", started="-9h", payload={}), "qualifier": "7"},
    ]
}
"""Up to three tasks of each order, an exempt one, and one that has none."""

A_KEEP = "  - {{name: {}, targets: ['media/*@*'], match: {{status: {}}}, keep: {{{}}}, {}}}\n"


@pytest.mark.parametrize(
    "policies",
    [
        [("few", "[Enqueued, Running]", "at_most: 4", "stop: x")],
        [("few", "Running", "at_most: 1, per: payload.order", "stop: x")],
        [("few", "Running", "at_most: 1, per: payload.order, stop_first: oldest", "stop: x")],
        [("few", "Running", "at_most: 2, per: qualifier", "report: x")],
        [
            ("first", "Running", "at_most: 5", "stop: x"),
            ("then", "Running", "at_most: 2, stop_first: oldest", "stop: x"),
            ("last", "Running", "at_most: 1", "report: x"),
        ],
        [("few", "Running", "at_most: 1", "stop: x, halt_over: 2, unless: [job-3]")],
    ],
)
def test_explain_knows_what_plan_knows_of_a_group(
    policies: list[tuple[str, str, str, str]], tmp_path: Path
) -> None:
    """A task is due by explain exactly if plan names it, whatever its policy keeps; likewise for reports."""
    text = "version: 1\nexempt: [keep-*]\npolicies:\n"
    text += "".join(A_KEEP.format(*one) for one in policies)
    a_policy_file(tmp_path, text)
    with running_emulator(seed=GROUPS) as cloud:
        plan = fc_reaper("invoke", "-", "--dry-run", env=at(cloud), cwd=tmp_path, stdin=b"{}")
        by_plan = {
            line["invocation_id"]: ("reported" if line["event"] == "reported" else "due", line["policy"])
            for line in map(json.loads, plan.errors)
            if line["event"] in ("would_stop", "skipped", "reported")
        }
        by_explain = {}
        for task in GROUPS["invocations"]:
            place = f"media/transcode@{task['qualifier']}"
            ran = fc_reaper("explain", place, task["invocationId"], "--json", env=at(cloud), cwd=tmp_path)
            verdict = ran.json["verdict"]
            if verdict["kind"] in ("due", "reported"):
                by_explain[task["invocationId"]] = (verdict["kind"], verdict["policy"])
    assert by_explain == by_plan
    assert by_plan


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (
            "job-1",
            ["due, few, keep 1h: x decided by policy.yaml:4"],
        ),
        ("job-6", ["kept counts for few: it is not one too many"]),
        ("job-2", ["a run now would skip it, why: budget"]),
    ],
)
def test_its_place_in_the_group_is_said(task: str, words: list[str], tmp_path: Path) -> None:
    """In 80 columns, by a run that knows the others."""
    text = A_KEEP.format("few", "Running", "at_most: 4", "stop: x, budget: 1/run")
    a_policy_file(tmp_path, f"version: 1\nexempt: [keep-*]\npolicies:\n{text}")
    with running_emulator(seed=GROUPS) as cloud:
        cloud.advance("5s")
        ran = fc_reaper("explain", PROD, task, env=at(cloud, REAPER_MODE="enforce"), cwd=tmp_path)
        assert not any(name.startswith("Stop") for name in operations(cloud))
    assert (ran.code, ran.err) == (0, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert [word for word in words if word not in ran.text] == []
    assert "depends on the other tasks" not in ran.text


def test_a_group_that_cannot_be_listed_whole_leaves_it_open(tmp_path: Path) -> None:
    """Exit 1, and what was refused: nothing follows from what was not seen."""
    a_policy_file(tmp_path, policy(**KEEP, targets="[media/transcode@prod, media/absent@prod]"))
    with running_emulator(seed=GROUPS) as cloud:
        cloud.faults([{"operation": "ListStatefulAsyncInvocations", "status": 500, "times": 99}])
        ran = fc_reaper("explain", PROD, "job-1", env=at(cloud), cwd=tmp_path)
    assert ran.code == 1
    assert f"kept {DEPENDS}" in ran.text
    assert "not listed: media/transcode@prod: HTTP 500" in ran.err


def test_a_task_of_a_policy_that_is_not_approved_does_not_count(tmp_path: Path) -> None:
    """As in a run: a policy that is no longer approved keeps its tasks."""
    a_policy_file(tmp_path, policy(match="{running_for: 2h}") + FEW)
    (tmp_path / "policy.lock").write_text("version: 1\nexempt: []\npolicies: []\n", encoding="utf-8")
    assert "no: it does not count: another policy decides" in from_file(tmp_path, TWO).text
