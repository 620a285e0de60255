"""An exemption with an end and a reason: in whole runs, in commands, and in what they say of a task."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.command import a_policy_file, at, fc_reaper
from tests.emulator_server import Emulator, running_emulator
from tests.reaping import reap
from tests.reliability.case import GET
from tests.run.account import POLICY, seeded, stopped

FAR = {"until": "2098-01-31T16:00:00Z", "because": "migration"}
ENDING = (
    POLICY.replace("[keep-*]", "[{id: keep-*, until: 2098-02-01T00:00:00+08:00, because: migration}]")
    .replace("[vip-*]", "[{id: vip-*, until: 2098-02-01T00:00:00+08:00, because: migration}]")
)  # fmt: skip
ENDED = ENDING.replace("2098", "2020")


def test_the_lines_of_a_spared_task_say_why_and_until_when(cloud: Emulator) -> None:
    """Those of tasks that nothing spares have neither field; once the end is over nothing spares."""
    reaped = reap(cloud.endpoint, ENDING, enforce=True, LOG_LEVEL="DEBUG")
    spared = {line["invocation_id"]: line for line in reaped.lines if "because" in line}
    assert {name: (line["event"], line["until"], line["because"]) for name, line in spared.items()} == {
        "keep-1": ("exempt", *FAR.values()),
        "vip-1": ("kept", *FAR.values()),
    }
    assert not [line for line in reaped.lines if "until" in line and line not in spared.values()]
    assert stopped(cloud) == {"over-1", "over-2", "over-3"}
    cloud.reset()
    reap(cloud.endpoint, ENDED, enforce=True)
    assert stopped(cloud) == {"over-1", "over-2", "over-3", "keep-1", "vip-1"}


def test_a_task_that_turns_out_to_be_spared_says_so_too() -> None:
    """Right before its stop it is read again, and `skipped` has the words of the exemption."""
    text = POLICY.replace(
        "[vip-*]", "[{where: payload.vip, until: 2098-02-01T00:00:00+08:00, because: migration}]"
    )
    seed = {
        "invocations": [seeded("job-1", "Running", enqueued="-5h", started="-3h", payload={"vip": False})]
    }
    with running_emulator(seed=seed) as cloud:
        record = {**cloud.task("job-1"), "invocationPayload": json.dumps({"vip": True})}
        for policy, event in ((text, "skipped"), (text.replace("2098", "2020"), "accepted")):
            cloud.faults([{"operation": GET, "times": 1, "status": 200, "body": record}])
            reaped = reap(cloud.endpoint, policy, enforce=True)
            (line,) = reaped.logged(event)
            spared = event == "skipped"
            assert {key: line.get(key) for key in FAR} == (FAR if spared else dict.fromkeys(FAR))
            assert (line["policy"], line.get("why")) == ("runaway", "spared" if spared else None)
            (task,) = reaped.finished.fields["tasks"]
            assert ("until" in task) is spared


def test_explain_says_why_and_until_when(cloud: Emulator, tmp_path: Path) -> None:
    """In its verdict, in its steps, and in JSON."""
    a_policy_file(tmp_path, ENDING)
    for task, verdict in (("keep-1", "exempt, until"), ("vip-1", "kept, runaway, until")):
        ran = fc_reaper("explain", "media/transcode@prod", task, env=at(cloud), cwd=tmp_path)
        assert f"{verdict} 2098-01-31T16:00:00Z, because migration" in ran.text
        assert "until: 2098-01-31T16:00:00Z" in ran.text
    said = fc_reaper("explain", "media/transcode@prod", "vip-1", "--json", env=at(cloud), cwd=tmp_path).json
    assert {key: said["verdict"][key] for key in FAR} == FAR


def test_check_and_doctor_say_that_an_exemption_has_ended(cloud: Emulator, tmp_path: Path) -> None:
    """As a warning: the policy is as valid as it was."""
    a_policy_file(tmp_path, ENDED)
    checked = fc_reaper("check", env=at(cloud), cwd=tmp_path)
    told = fc_reaper("doctor", env=at(cloud), cwd=tmp_path)
    for line, path in ((2, "exempt[0]"), (7, "policies[0].unless[0]")):
        said = f"policy.yaml:{line}: {path}.until: it ended on 2020-01-31T16:00:00Z; delete it"
        assert f"{said} (a warning)" in checked.errors
        assert said in told.text
    assert (checked.code, len(checked.errors), told.code) == (0, 2, 0)
