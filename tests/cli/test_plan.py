"""`fc-reaper plan`: what would be stopped, for people, and nothing is touched."""

from __future__ import annotations

import json
import pty
import shlex
import subprocess
from os import close
from pathlib import Path

import pytest

from fc_reaper import run
from fc_reaper.cli.plan import every_timer
from fc_reaper.events import parse_event
from fc_reaper.policy import load_policy
from fc_reaper.sweep import SweepContext
from tests.cli.command import COMMAND, a_policy_file, at, fc_reaper, shown_on
from tests.emulator_server import Emulator, running_emulator
from tests.run.account import POLICY, operations, policy, seeded, stopped


def test_every_due_task_is_shown_with_reason_and_margin(cloud: Emulator, folder: Path) -> None:
    """Policy and reason above, then task, function, rule, age, limit, over, and what happens."""
    ran = fc_reaper("plan", env=at(cloud), cwd=folder)
    assert "runaway: A transcode takes forty minutes at worst." in ran.text
    assert "over-1 media/transcode@prod running_for 3h 2h 1h would stop" in ran.text
    assert "3 due of 7 tasks listed in 1 function: 3 would be stopped." in ran.text
    assert "nothing was touched" in ran.text


@pytest.mark.parametrize(
    ("match", "fields", "row"),
    [
        ("{running_for: 2h}", {}, "running_for 3h 2h 1h would stop"),
        ("{running_for: {from: payload.max, at_most: 2h}}", {"max": "1h"}, "3h 1h (task) 2h would"),
        ("{running_for: {from: payload.max, at_most: 2h}}", {"max": "forever"}, "3h 2h (at_most) 1h would"),
        ("{running_for: {from: payload.max, at_most: 6h, else: 2h}}", {}, "3h 2h (else) 1h would"),
        ("{retries_over: 2}", {}, "retries_over 5 retries 2 3 would stop"),
    ],
)
def test_a_row_says_what_was_measured_and_where_the_limit_comes_from(
    match: str, fields: dict[str, str], row: str, tmp_path: Path
) -> None:
    """And so do the plan file and --json."""
    retries = 5 if "retries" in match else 0
    task = seeded("job-1", "Running", enqueued="-5h", started="-3h", retries=retries, payload=fields)
    a_policy_file(tmp_path, policy(match=match))
    with running_emulator(seed={"invocations": [task]}) as cloud:
        cloud.advance("5s")
        ran = fc_reaper("plan", "--out", "plan.json", env=at(cloud, COLUMNS="120"), cwd=tmp_path)
        as_json = fc_reaper("plan", "--json", env=at(cloud), cwd=tmp_path).json["tasks"][0]
    assert row in ran.text
    planned = json.loads((tmp_path / "plan.json").read_text("utf-8"))["tasks"][0]
    for field in ("limit_from", "retries", "retries_limit", "rule"):
        assert planned[field] == as_json[field]


def test_it_touches_nothing_even_where_the_setting_enforces(cloud: Emulator, folder: Path) -> None:
    """No stop request is sent."""
    fc_reaper("plan", env=at(cloud, REAPER_MODE="enforce"), cwd=folder)
    assert "StopStatefulAsyncInvocation" not in operations(cloud)
    assert stopped(cloud) == set()


@pytest.mark.parametrize("wrong", [True, False])
def test_it_could_not_stop_a_task_even_if_the_run_did_not_know_that_it_is_dry(
    wrong: bool, cloud: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault is planted, by which every run stops what is due: the client of a plan sends no stop."""
    always = lambda *args, **more: SweepContext(*args, **more)._replace(enforce=True)  # noqa: E731
    monkeypatch.setattr(run, "SweepContext", always)
    mode = {"REAPER_MODE": "enforce"} if wrong else {}
    ran = fc_reaper(*(["invoke", "-"] if wrong else ["plan"]), env=at(cloud, **mode), cwd=folder)
    assert ("StopStatefulAsyncInvocation" in operations(cloud)) is wrong
    assert (stopped(cloud) != set()) is wrong
    assert wrong or "failed: ReadOnly" in ran.text


def test_what_is_stuck_is_shown_though_it_is_not_due(cloud: Emulator, folder: Path) -> None:
    """And makes the exit code 1."""
    ran = fc_reaper("plan", env=at(cloud), cwd=folder)
    assert "stuck-1 media/transcode@prod stopping_for 10m 3m 7m" in ran.text
    assert ran.code == 1


def test_a_pipe_gets_80_columns_no_colour_and_a_silent_second_stream(cloud: Emulator, folder: Path) -> None:
    """Also with an id of the greatest length, which is folded and not cut."""
    ran = fc_reaper("plan", env=at(cloud), cwd=folder)
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "\x1b" not in ran.out
    assert ran.err == ""


def test_long_names_are_folded_and_not_cut(tmp_path: Path) -> None:
    """An id has up to 128 characters, and people copy it."""
    seed = {"invocations": [seeded("i" * 128, "Running", enqueued="-5h", started="-3h")]}
    a_policy_file(tmp_path)
    with running_emulator(seed=seed) as cloud:
        ran = fc_reaper("plan", env=at(cloud), cwd=tmp_path)
    assert max(map(len, ran.out.splitlines())) <= 80
    assert sum(line.split(" ")[0].count("i") for line in ran.out.splitlines() if line.startswith("ii")) == 128


def test_a_terminal_gets_colour_unless_it_refuses(cloud: Emulator, folder: Path) -> None:
    """NO_COLOR is respected; bold is no colour."""
    assert "31m" in on_a_terminal(at(cloud, TERM="xterm"), folder)
    assert "31m" not in on_a_terminal(at(cloud, TERM="xterm", NO_COLOR="1"), folder)


def on_a_terminal(env: dict[str, str], folder: Path) -> str:
    """What `explain` shows of a task that is due when standard output is a terminal."""
    ours, theirs = pty.openpty()
    args = ["explain", "media/transcode@prod", "over-1"]
    with subprocess.Popen([*COMMAND, *args], env=env, cwd=folder, stdout=theirs, stderr=theirs) as process:
        close(theirs)
        shown = shown_on(ours)
        process.wait()
    return shown


def test_no_due_task_is_left_out(tmp_path: Path) -> None:
    """Not by the number of tasks a log line is written for, nor by what a result holds in the cloud."""
    seed = {"invocations": [seeded("over-{n}", "Running", count=150, enqueued="-5h", started="-3h")]}
    a_policy_file(tmp_path, policy(budget="120/run"))
    with running_emulator(seed=seed) as cloud:
        env = at(cloud, REAPER_LOG_TASKS="3")
        ran = fc_reaper("plan", env=env, cwd=tmp_path)
        as_json = fc_reaper("plan", "--json", env=env, cwd=tmp_path)
    assert ran.out.count("would stop\n") == 120
    assert ran.out.count("beyond the budget\n") == 30
    assert "150 due, its budget is 120/run" in ran.text
    assert "The others" not in ran.text  # there are none
    assert len(as_json.json["tasks"]) == 150
    assert ran.code == as_json.code == 1


def test_nothing_due_is_said_with_what_was_seen(cloud: Emulator, tmp_path: Path) -> None:
    """Exit 0: all is well."""
    a_policy_file(tmp_path, policy(targets="[resize]", match="{alive_for: 9h}"))
    ran = fc_reaper("plan", env=at(cloud), cwd=tmp_path)
    assert "Nothing is due: 1 task listed in 1 function, 1 kept." in ran.text
    assert ran.code == 0


def test_what_could_not_be_listed_is_named_with_what_to_check(cloud: Emulator, tmp_path: Path) -> None:
    """The others go on; exit 1."""
    a_policy_file(tmp_path, policy(targets="[media/transcode@prod, media/nobody@prod]"))
    ran = fc_reaper("plan", env=at(cloud), cwd=tmp_path)
    assert "3 due" in ran.out
    assert "not listed: media/nobody@prod: HTTP 404, FunctionNotFound" in ran.err
    assert "check the names" in ran.errors[-1]
    assert ran.code == 1


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"}, "ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
        ({"ALIBABA_CLOUD_ACCESS_KEY_ID": "wrong"}, "ALIBABA_CLOUD_ACCESS_KEY_ID"),
        ({"REAPER_ENDPOINT": "http://127.0.0.1:9"}, "check the endpoint"),
    ],
    ids=["wrong secret", "wrong key id", "nobody there"],
)
def test_a_cloud_that_refuses_or_is_silent_is_exit_3(
    changes: dict[str, str], check: str, cloud: Emulator, folder: Path
) -> None:
    """No table; on standard error what happened and what to check."""
    ran = fc_reaper("plan", env={**at(cloud), **changes}, cwd=folder)
    assert (ran.code, ran.out) == (3, "")
    assert check in ran.errors[-1]


def test_options_stand_for_settings(cloud: Emulator, folder: Path) -> None:
    """--endpoint and --api-version win over the environment."""
    env = at(cloud, REAPER_ENDPOINT="http://127.0.0.1:9", REAPER_API_VERSION="2021-04-06")
    ran = fc_reaper(
        "plan", "--endpoint", cloud.endpoint, "--api-version", "2016-08-15", "--json", env=env, cwd=folder
    )
    assert ran.json["counts"]["due"] == 3
    assert any("/2016-08-15/" in call["path"] for call in cloud.calls()["recent"])


def test_an_event_narrows_the_plan_as_it_narrows_a_run(cloud: Emulator, folder: Path) -> None:
    """Here to one task, by its id."""
    (folder / "event.json").write_text('{"invocationId": "over-2"}')
    ran = fc_reaper("plan", "event.json", env=at(cloud), cwd=folder)
    assert "over-2" in ran.out
    assert "over-1" not in ran.out


def test_without_an_event_every_timer_runs() -> None:
    """Those that the policy names, and one that it does not where that runs anything."""
    text = POLICY + "    triggers: ['timer:nightly', 'timer:hourly']\n"
    policies = load_policy(text, source="policy.yaml").policies
    asks = parse_event(every_timer(policies)).requests
    assert [ask.name for ask in asks] == ["hourly", "nightly"]
    asks += parse_event(every_timer(load_policy(POLICY, source="policy.yaml").policies)).requests
    assert asks[-1].name is None
    assert {ask.kind for ask in asks} == {"timer"}


def test_a_policy_that_the_event_does_not_run_is_named(cloud: Emulator, tmp_path: Path) -> None:
    """So that no answer is not taken for one."""
    a_policy_file(tmp_path, policy(triggers="[alert, task]"))
    ran = fc_reaper("plan", env=at(cloud), cwd=tmp_path)
    said = "runaway was not evaluated: it has triggers: [alert, task]."
    assert said in ran.text


def test_a_plan_can_be_written_for_apply(cloud: Emulator, folder: Path) -> None:
    """The tables as ever, then what to do with the file; a plan without a due task is one, too."""
    ran = fc_reaper("plan", "--out", "plan.json", env=at(cloud), cwd=folder)
    assert "over-1 media/transcode@prod running_for 3h 2h 1h would stop" in ran.text
    assert "Written to plan.json: 3 tasks, 3 to be stopped by the first apply." in ran.text
    assert "fc-reaper apply plan.json --enforce" in ran.text
    plan = json.loads((folder / "plan.json").read_text("utf-8"))
    assert {task["invocation_id"] for task in plan["tasks"]} == {"over-1", "over-2", "over-3"}
    assert all(task["first_enqueue"] and task["request_id"] for task in plan["tasks"])
    assert plan["endpoint"] == cloud.endpoint


def test_the_advice_for_apply_has_the_options_that_it_needs_as_well(cloud: Emulator, tmp_path: Path) -> None:
    """Else it would look for another policy, and refuse the plan; what was not written is not added."""
    a_policy_file(tmp_path).rename(tmp_path / "my policy.yaml")
    args = ("--policy", "my policy.yaml", "--endpoint", cloud.endpoint, "--api-version", "2021-04-06")
    ran = fc_reaper("plan", *args, "--out", "plan.json", env=at(cloud), cwd=tmp_path)
    line = next(line for line in ran.out.splitlines() if line.startswith("Review it"))
    words = shlex.split(line.partition(": fc-reaper ")[2])
    assert words == ["apply", *args, "plan.json", "--enforce"]
    assert fc_reaper(*words, env=at(cloud), cwd=tmp_path).code == 0


def test_a_plan_can_go_to_standard_output_alone(cloud: Emulator, folder: Path) -> None:
    """So that it can be piped; tables would be in its way."""
    ran = fc_reaper("plan", "--out", "-", env=at(cloud), cwd=folder)
    assert ran.json["format"] == "fc-reaper plan"
    piped = fc_reaper("apply", "-", "--enforce", env=at(cloud), cwd=folder, stdin=ran.out.encode())
    assert "3 stopped" in piped.text


def test_a_plan_is_never_written_over_another_file(cloud: Emulator, folder: Path) -> None:
    """Unless with --force; and the cloud is not asked in vain."""
    (folder / "plan.json").write_text("mine")
    before = operations(cloud)
    ran = fc_reaper("plan", "--out", "plan.json", env=at(cloud), cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert "the file exists; choose another name, or add --force" in ran.err
    assert operations(cloud) == before
    fc_reaper("plan", "--out", "plan.json", "--force", env=at(cloud), cwd=folder)
    assert json.loads((folder / "plan.json").read_text("utf-8"))["version"] == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--out", "-", "--json"], "--json and --out - both print to standard output"),
        (["--out", ""], "'' names no file"),
        (["--out", "one", "--html", "./one"], "two of --out, --html are the same file; choose another"),
        (["--out", "no/such/plan.json"], "there is no folder "),
        (["--out", "."], "this is not a regular file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_plan_that_could_not_be_written_is_not_made(
    args: list[str], said: str, cloud: Emulator, folder: Path
) -> None:
    """Exit 2 with one line."""
    ran = fc_reaper("plan", *args, env=at(cloud), cwd=folder)
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    assert said in ran.err


def test_a_plan_of_what_could_not_be_listed_is_not_written(cloud: Emulator, folder: Path) -> None:
    """Where the cloud refuses there is none; where it refuses a part the plan says so."""
    wrong = {**at(cloud), "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"}
    assert fc_reaper("plan", "--out", "plan.json", env=wrong, cwd=folder).code == 3
    assert not (folder / "plan.json").exists()
    a_policy_file(folder, policy(targets="[media/transcode@prod, media/nobody@prod]"))
    ran = fc_reaper("plan", "--out", "plan.json", env=at(cloud), cwd=folder)
    assert "It is not complete" in ran.out
    assert json.loads((folder / "plan.json").read_text("utf-8"))["complete"] is False


def test_what_holdout_spares_is_shown_and_planned_as_spared(cloud: Emulator, tmp_path: Path) -> None:
    """And no apply stops it."""
    a_policy_file(tmp_path, policy(holdout="99.99%"))
    ran = fc_reaper("plan", "--out", "plan.json", env=at(cloud), cwd=tmp_path)
    assert ran.out.count("spared by holdout\n") == 3
    plan = json.loads((tmp_path / "plan.json").read_text("utf-8"))
    assert {task["fate"] for task in plan["tasks"]} == {"spared"}
