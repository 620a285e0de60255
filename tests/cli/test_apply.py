"""`fc-reaper apply`: a plan is carried out as far as it still holds, and nothing else is touched."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fc_reaper.evaluator.evaluate import compile_policies
from tests.cli.command import COMMAND, a_policy_file, at, fc_reaper, shown_on
from tests.cli.plans import HERE, a_plan, became, carried_out, edited, task_of, without
from tests.emulator_server import Emulator, running_emulator
from tests.monitoring.published import must_be_published
from tests.run.account import operations, policy, seeded, stopped


def hours_ago(hours: float) -> int:
    """A moment that stays where it is, in epoch milliseconds."""
    return int((time.time() - hours * 3600) * 1000)


def test_what_is_planned_and_still_due_is_stopped_and_shown(cloud: Emulator, folder: Path) -> None:
    """Each task with what became of it; the exit code is 0, and no other task was stopped."""
    ran = carried_out(cloud, a_plan(cloud, folder))
    assert stopped(cloud) == {"over-1", "over-2", "over-3"}
    assert "over-1 media/transcode@prod stopped confirmed by reading it again" in ran.text
    assert "Of 3 planned tasks: 3 stopped (3 confirmed)." in ran.text
    assert max(map(len, ran.out.splitlines())) <= 80
    assert (ran.code, ran.err) == (0, "")


def test_a_stop_takes_three_calls(cloud: Emulator, folder: Path) -> None:
    """It is read again, stopped, and read as a proof; nothing is listed. Once the function is read."""
    plan = a_plan(cloud, folder)
    before = operations(cloud)
    carried_out(cloud, plan)
    calls = {name: number - before.get(name, 0) for name, number in operations(cloud).items()}
    assert {name: number for name, number in calls.items() if number} == {
        "GetStatefulAsyncInvocation": 6,
        "StopStatefulAsyncInvocation": 3,
        "GetFunction": 1,
    }


def test_the_policies_of_a_function_are_compiled_once(
    cloud: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a task, 5,000 of them and 100 exemptions took seconds before the first stop."""
    plan, compiled = a_plan(cloud, folder), list[object]()

    def counting(*args: Any, **more: Any) -> Any:
        compiled.append(args[0])
        return compile_policies(*args, **more)

    monkeypatch.setattr("fc_reaper.sweep.sweep.compile_policies", counting)
    carried_out(cloud, plan)
    assert (len(stopped(cloud)), len(compiled)) == (3, 1)


def test_nothing_is_stopped_without_enforce(cloud: Emulator, folder: Path) -> None:
    """Whatever REAPER_MODE says; one line says what to write."""
    plan = a_plan(cloud, folder)
    ran = fc_reaper("apply", plan.name, env=at(cloud, REAPER_MODE="enforce"), cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert ran.errors == [
        "fc-reaper: apply stops tasks, so it needs --enforce: fc-reaper apply plan.json --enforce"
    ]
    assert stopped(cloud) == set()


def test_a_dry_run_shows_what_is_still_due_and_stops_nothing(cloud: Emulator, folder: Path) -> None:
    """Whatever REAPER_MODE says: each task is read and evaluated again, and no stop is sent."""
    plan = a_plan(cloud, folder)
    a_policy_file(folder, policy(stop="In other words."))
    args = ("apply", plan.name, "--dry-run")
    ran = fc_reaper(*args, env=at(cloud, REAPER_MODE="enforce"), cwd=folder)
    as_json = fc_reaper(*args, "--json", env=at(cloud, REAPER_MODE="enforce"), cwd=folder)
    assert "Of 3 planned tasks: 3 would be stopped." in ran.text
    assert "This was a dry run; nothing was touched." in ran.text
    assert set(became(as_json).values()) == {"would_stop"}
    assert (ran.code, as_json.code, as_json.json["mode"]) == (0, 0, "dry-run")
    assert "StopStatefulAsyncInvocation" not in operations(cloud)


def test_what_has_changed_since_is_left_alone_and_shown(tmp_path: Path) -> None:
    """The account is another one by then: only what stayed as it was is stopped."""
    long_ago, begun, anew = hours_ago(5), hours_ago(3), hours_ago(0.1)

    def a_task(name: str, status: str = "Running", **fields: Any) -> dict[str, Any]:
        usual = {"enqueued": long_ago, "started": begun, "requestId": f"r-{name}"}
        return seeded(name, status, **{**usual, **fields})

    names = ("stays", "ended", "replaced", "younger", "retried", "gone", "stopping", "stopped")
    then = {"invocations": [a_task(name) for name in names]}
    now = {
        "invocations": [
            a_task("stays"),
            a_task("ended", "Succeeded", ends=anew),
            a_task("replaced", requestId="r-another"),
            a_task("younger", enqueued=long_ago + 60_000),
            a_task("retried", started=anew, retries=1),
            a_task("stopping", "Stopping", stopping=anew),
            a_task("stopped", "Stopped", ends=anew),
            a_task("new"),
        ]
    }
    a_policy_file(tmp_path)
    with running_emulator(seed=then) as cloud:
        plan = a_plan(cloud, tmp_path, **HERE)
    with running_emulator("--stopping", "5ms", seed=now) as cloud:
        ran = carried_out(cloud, plan, "--json", **HERE)
        table = carried_out(cloud, plan, **HERE)
        assert stopped(cloud) == {"stays"}
    assert became(ran) == {
        "stays": "stopped",
        "ended": "ended",
        "replaced": "replaced",
        "younger": "replaced",
        "retried": "not_due",
        "gone": "not_found",
        "stopping": "stopped_before",
        "stopped": "stopped_before",
    }
    assert "ended it is Succeeded already" in table.text
    assert "another task has this invocation id" in table.text
    assert ran.code == 0  # one is gone, which needs nobody
    assert "stays media/transcode@prod stopped before it is Stopped already" in table.text


def test_a_budget_goes_on_where_the_last_apply_ended(tmp_path: Path) -> None:
    """Three hundred tasks, fifty at a time: no task is stopped twice, and what is done counts as done."""
    seed = {"invocations": [seeded("job-{n}", "Running", count=300, enqueued="-5h", started="-3h")]}
    a_policy_file(tmp_path, policy(budget="500/run"))
    with running_emulator("--stopping", "5ms", seed=seed) as cloud:
        plan = a_plan(cloud, tmp_path)
        once = carried_out(cloud, plan, "--max", "50")
        assert len(stopped(cloud)) == 50
        twice = carried_out(cloud, plan, "--max", "50", "--json")
        assert len(stopped(cloud)) == 100
        assert stops(cloud) == dict.fromkeys(stopped(cloud), 1)
    assert "Of 300 planned tasks: 50 stopped (50 confirmed), 250 waiting." in once.text
    assert "Run the same command again to go on" in once.text
    assert (once.code, twice.code) == (1, 1)
    outcomes = Counter(became(twice).values())
    assert outcomes == {"stopped": 50, "stopped_before": 50, "waiting": 200}


def test_max_holds_for_all_policies_together_and_starves_none(tmp_path: Path) -> None:
    """Each further apply comes to the next ones, whichever policy they are of."""
    text = policy(match="{running_for: 2h}") + (
        "  - name: other\n    targets: [media/resize]\n    match: {running_for: 2h}\n    stop: Too long.\n"
    )
    other = {"serviceName": "media", "functionName": "resize", "status": "Running"}
    seed = {
        "invocations": [
            seeded("one-{n}", "Running", count=4, enqueued="-5h", started="-4h"),
            {**other, "invocationId": "two-{n}", "count": 4, "enqueued": "-5h", "started": "-3h"},
        ]
    }
    a_policy_file(tmp_path, text)
    with running_emulator("--stopping", "0ms", seed=seed) as cloud:
        plan = a_plan(cloud, tmp_path)
        seen = []
        for _ in range(3):
            carried_out(cloud, plan, "--max", "3")
            seen.append(len(stopped(cloud)))
    assert seen == [3, 6, 8]


def stops(cloud: Emulator) -> dict[str, int]:
    """How many stop requests reached each task, those that changed nothing included."""
    return dict(Counter(one["invocationId"] for one in cloud.journal() if one["to"] in ("Stopping",)
                        and one["cause"] == "stop"))  # fmt: skip


def test_interrupted_it_ends_orderly_and_goes_on_the_next_time(tmp_path: Path) -> None:
    """What was accepted is proven, and none that was stopped is said to have been left alone, though stops
    were in flight; in the end each task was asked to stop once, and no other was."""
    seed = {
        "invocations": [
            seeded("job-{n}", "Running", count=60, enqueued="-5h", started="-3h"),
            seeded("young-{n}", "Running", count=20, enqueued="-1h", started="-1h"),
        ]
    }
    a_policy_file(tmp_path, policy(budget="500/run"))
    with running_emulator("--stopping", "5ms", "--latency", "50ms", seed=seed) as cloud:
        plan = a_plan(cloud, tmp_path)
        args = [*COMMAND, "apply", plan.name, "--enforce"]
        with subprocess.Popen(
            args, env=at(cloud), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while len(stopped(cloud)) < 10:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            text, err = (" ".join(said.split()) for said in process.communicate(timeout=60))
        first = stopped(cloud)
        outcomes = dict(re.findall(r"(job-\d+) media/transcode@prod (stopped|not begun)", text))
        assert {name for name, outcome in outcomes.items() if outcome == "stopped"} == first
        assert (process.returncode, len(outcomes), "Traceback" in err) == (1, 60, False)
        assert "Interrupted:" in text
        assert f"{len(first)} stopped ({len(first)} confirmed)" in text
        again = carried_out(cloud, plan)
        assert len(first) < 60
        assert stops(cloud) == {f"job-{n}": 1 for n in range(1, 61)}
    rest = 60 - len(first)
    assert f"{rest} stopped ({rest} confirmed), {len(first)} stopped before" in again.text
    assert again.code == 0


@pytest.mark.parametrize("status", [None, 302, 408, 418, 500])
@pytest.mark.parametrize("stopping", ["5ms", "never"])
def test_a_stop_whose_answer_is_lost_is_told_by_the_task(
    status: int | None, stopping: str, tmp_path: Path
) -> None:
    """One place is spent, one task is shown as stopped, and the others wait: exit 1."""
    seed = {"invocations": [seeded("job-{n}", "Running", count=9, enqueued="-5h", started="-3h")]}
    a_policy_file(tmp_path)
    answer = {"drop": "after"} if status is None else {"status": status, "foreign": "<html>", "applied": True}
    with running_emulator("--stopping", stopping, seed=seed) as cloud:
        plan = a_plan(cloud, tmp_path)
        cloud.faults([{"operation": "StopStatefulAsyncInvocation", "times": 99, **answer}])
        ran = carried_out(cloud, plan, "--max", "1", "--json")
        really = stopped(cloud)
    assert len(really) == 1
    assert {name for name, outcome in became(ran).items() if outcome == "stopped"} == really
    assert Counter(became(ran).values()) == {"stopped": 1, "waiting": 8}
    assert ran.code == 1


def test_a_stop_of_which_nothing_is_known_is_shown_as_unclear(cloud: Emulator, folder: Path) -> None:
    """No answer to the stop, nor to a reading after it: not `none stopped`, and exit 1."""
    plan = a_plan(cloud, folder)
    cloud.faults(
        [
            {"operation": "StopStatefulAsyncInvocation", "times": 99, "drop": "after"},
            # Only the first reading of each task is answered.
            *(
                {"operation": "GetStatefulAsyncInvocation", "match": {"invocationId": one}}
                for one in ("over-1", "over-2", "over-3")
            ),
            {"operation": "GetStatefulAsyncInvocation", "times": 99, "status": 500},
        ]
    )
    ran = carried_out(cloud, plan)
    assert "Of 3 planned tasks: 3 unclear." in ran.text
    assert "3 tasks may have been stopped all the same." in ran.text
    assert len(stopped(cloud)) == 3
    assert ran.code == 1


def test_tasks_that_were_put_into_a_plan_by_hand_are_not_stopped(cloud: Emulator, folder: Path) -> None:
    """A plan only names; what is not due by the policy is left alone, and so is what is exempt or spared."""

    def add(plan: dict[str, Any]) -> None:
        model = plan["tasks"][0]
        for name in ("young-1", "keep-1", "vip-1", "waited-1"):
            nobody = {"request_id": None, "first_enqueue": None}
            plan["tasks"].append({**model, "invocation_id": name, **nobody})

    ran = carried_out(cloud, edited(a_plan(cloud, folder), add), "--json")
    assert stopped(cloud) == {"over-1", "over-2", "over-3"}
    names = ("young-1", "keep-1", "vip-1", "waited-1")
    assert {name: became(ran)[name] for name in names} == dict.fromkeys(names, "not_due")


def test_another_rule_of_the_same_policy_is_no_reason(cloud: Emulator, folder: Path) -> None:
    """What the plan says must be what is true."""
    plan = edited(a_plan(cloud, folder), lambda plan: task_of(plan, "over-1").update(rule="alive_for"))
    ran = carried_out(cloud, plan, "--json")
    assert stopped(cloud) == {"over-2", "over-3"}
    assert became(ran)["over-1"] == "not_due"


def test_a_reviewer_may_take_tasks_out_of_a_plan(cloud: Emulator, folder: Path) -> None:
    """What is not in it is not touched."""
    plan = edited(a_plan(cloud, folder), lambda plan: without(plan, "over-1"))
    assert carried_out(cloud, plan).code == 0
    assert stopped(cloud) == {"over-2", "over-3"}


def another(plan: dict[str, Any]) -> None:
    """Put a healthy task into a plan, as a copy of the first one with another id."""
    plan["tasks"].append({**plan["tasks"][0], "invocation_id": "young-1", "request_id": None})


CHANGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "a task added": another,
    "a task twice": lambda plan: plan["tasks"].append(plan["tasks"][0]),
    "another id": lambda plan: plan["tasks"][0].update(invocation_id="young-1"),
    "another fate": lambda plan: plan["tasks"][0].update(fate="budget"),
    "another age": lambda plan: plan["tasks"][0].update(age_s=1.0),
    "no checksum": lambda plan: plan["tasks"][0].pop("checksum"),
    "a later time": lambda plan: plan.update(time="2099-01-01T00:00:00Z"),
    "complete": lambda plan: plan.update(complete=False),
    "no policy halted": lambda plan: plan["policy"].update(halted=["other"]),
    "other counts": lambda plan: plan["counts"].update(due=4),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_plan_that_was_changed_is_refused_before_any_call(case: str, cloud: Emulator, folder: Path) -> None:
    """Exit 2, with what to do; only whole tasks may be taken out."""
    plan = edited(a_plan(cloud, folder), CHANGED[case], sealed=False)
    before = operations(cloud)
    ran = carried_out(cloud, plan)
    assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
    assert "plan.json was changed after it was made: its checksums do not fit" in ran.err
    assert "make a new plan" in ran.err
    assert operations(cloud) == before


def test_a_task_of_another_plan_is_refused(cloud: Emulator, folder: Path) -> None:
    """Its checksum covers the plan that it was made in."""
    first = json.loads(a_plan(cloud, folder).read_text("utf-8"))
    second = a_plan(cloud, folder, *("--target", "media/transcode@prod", "--running-for", "2h"),
                    *("--reason", "now", "--max", "9"))  # fmt: skip
    ran = carried_out(cloud, edited(second, lambda plan: plan.update(tasks=first["tasks"]), sealed=False))
    assert (ran.code, stopped(cloud)) == (2, set())


NAMED = """\
version: 1
policies:
  - name: cancelled
    targets: [media/transcode@prod]
    match: {status: [Enqueued, Running]}
    triggers: [task]
    stop: The application cancelled it.
"""


@pytest.mark.parametrize("enforce", ["--enforce", "--dry-run"])
def test_a_plan_is_never_an_event_that_names_a_task(enforce: str, cloud: Emulator, tmp_path: Path) -> None:
    """Not a sealed one, nor one that was made of such an event: the event itself has to be sent."""
    a_policy_file(tmp_path, NAMED)
    (tmp_path / "event.json").write_text('{"invocationId": "over-1"}')
    shown = fc_reaper("plan", "event.json", "--out", "plan.json", env=at(cloud), cwd=tmp_path)
    plan = edited(tmp_path / "plan.json", another)
    ran = fc_reaper("apply", plan.name, enforce, env=at(cloud), cwd=tmp_path)
    as_json = fc_reaper("apply", plan.name, enforce, "--json", env=at(cloud), cwd=tmp_path)
    assert stopped(cloud) == set()
    assert became(as_json) == {"over-1": "waiting", "young-1": "waiting"}
    assert (ran.code, as_json.code) == (1, 1)
    assert "Nothing was done: no task of the plan may be stopped." in ran.text
    assert (
        "apply will stop none of these tasks of cancelled: only an event that names the task runs it"
        in shown.text
    )
    assert "Review it" not in shown.text


def test_an_empty_plan_is_a_plan(cloud: Emulator, tmp_path: Path) -> None:
    """Nothing is asked, nothing is done."""
    a_policy_file(tmp_path, policy(match="{running_for: 9d}"))
    plan = a_plan(cloud, tmp_path)
    before = operations(cloud)
    ran = carried_out(cloud, plan)
    assert (ran.code, ran.text) == (0, "Nothing was done: no task of the plan may be stopped.")
    assert carried_out(cloud, plan, "--json").json["tasks"] == []
    assert operations(cloud) == before


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another account": (lambda plan: plan.update(account="7"), "the plan is for account 7"),
    "another region": (lambda plan: plan.update(region="cn-beijing"), "the plan is for region cn-beijing"),
    "another endpoint": (
        lambda plan: plan.update(account=None, endpoint="https://example.com"),
        "which may be another account",
    ),
    "old": (lambda plan: plan.update(time="2026-01-01T00:00:00Z"), "more than 1h; make a new one"),
    "from the future": (lambda plan: plan.update(time="2099-01-01T00:00:00Z"), "from now; check the clocks"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_for_here_and_now_is_refused_before_any_call(
    case: str, cloud: Emulator, folder: Path
) -> None:
    """Exit 2, and a line that says why."""
    change, said = REFUSED[case]
    plan = edited(a_plan(cloud, folder, **HERE), change)
    before = operations(cloud)
    ran = carried_out(cloud, plan, **HERE)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert operations(cloud) == before


@pytest.mark.parametrize("change", [{"policy": "other"}, {"qualifier": "LATEST"}], ids=str)
def test_what_its_policy_could_not_have_found_is_left_alone(
    change: dict[str, str], cloud: Emulator, folder: Path
) -> None:
    """Also where somebody computed the checksums anew."""
    plan = edited(a_plan(cloud, folder), lambda plan: task_of(plan, "over-1").update(change))
    ran = carried_out(cloud, plan, "--json")
    assert became(ran) == {"over-1": "waiting", "over-2": "stopped", "over-3": "stopped"}
    assert (stopped(cloud), ran.code) == ({"over-2", "over-3"}, 1)


def test_a_changed_policy_is_refused(cloud: Emulator, folder: Path) -> None:
    """Changed, gone or new; comments and words are no change."""
    plan = a_plan(cloud, folder)
    a_policy_file(folder, policy(match="{running_for: 1h}"))
    changed = carried_out(cloud, plan)
    a_policy_file(folder, policy().replace("name: runaway", "name: other"))
    renamed = carried_out(cloud, plan)
    a_policy_file(folder, policy().replace("[keep-*]", "[keep-1]"))
    less_exempt = carried_out(cloud, plan)
    assert [changed.code, renamed.code, less_exempt.code] == [2, 2, 2]
    assert "the plan was made of another policy.yaml; make a new plan" in changed.err
    assert stopped(cloud) == set()
    a_policy_file(folder, policy(stop="In other words.") + "# and a comment\n")
    assert carried_out(cloud, plan).code == 0


def test_an_old_plan_is_carried_out_by_somebody_who_says_so(cloud: Emulator, folder: Path) -> None:
    """--max-age takes a length of time with a unit."""
    plan = edited(a_plan(cloud, folder), lambda plan: plan.update(time="2026-01-01T00:00:00Z"))
    wrong = carried_out(cloud, plan, "--max-age", "365")
    assert (wrong.code, wrong.err) == (
        2,
        "fc-reaper: --max-age: 365 has no unit; if seconds are meant, write 365s\n",
    )


def test_log_lines_are_appended_to_a_file(cloud: Emulator, folder: Path) -> None:
    """The same lines as of any run that a command starts; one apply after the other."""
    plan = a_plan(cloud, folder)
    for _ in range(2):
        carried_out(cloud, plan, "--log", "trail.jsonl")
    lines = [json.loads(line) for line in (folder / "trail.jsonl").read_text("utf-8").splitlines()]
    for line in lines:
        must_be_published(line)
    assert {line["trigger"] for line in lines} == {"command"}
    assert {line["mode"] for line in lines} == {"enforce"}
    events = Counter(line["event"] for line in lines)
    assert events == {"run_started": 2, "accepted": 3, "confirmed": 3, "ended": 3, "run_finished": 2}


def test_a_log_that_cannot_be_written_stops_nothing(cloud: Emulator, folder: Path) -> None:
    """It is opened before the first call."""
    ran = carried_out(cloud, a_plan(cloud, folder), "--log", "no/such/folder.jsonl")
    assert (ran.code, ran.out) == (2, "")
    assert "--log no/such/folder.jsonl: No such file or directory" in ran.err
    assert stopped(cloud) == set()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_log_that_breaks_off_is_reported(cloud: Emulator, folder: Path) -> None:
    """The stops are done and shown all the same; the exit code is 1."""
    ran = carried_out(cloud, a_plan(cloud, folder), "--log", "/dev/full")
    assert ran.code == 1
    assert "the log could not be written to its end" in ran.err
    assert stopped(cloud) == {"over-1", "over-2", "over-3"}


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "wrong"}, "check ALIBABA_CLOUD_ACCESS_KEY_ID"),
        ({"REAPER_ENDPOINT": "http://127.0.0.1:9"}, "check the endpoint"),
    ],
    ids=["wrong keys", "nobody there"],
)
def test_a_cloud_that_refuses_or_is_silent_is_exit_3(
    changes: dict[str, str], check: str, cloud: Emulator, folder: Path
) -> None:
    """With what happened and what to check."""
    plan = a_plan(cloud, folder, **HERE)
    ran = carried_out(cloud, plan, **{**HERE, **changes})
    assert (ran.code, ran.out) == (3, "")
    assert check in ran.errors[-1]
    assert stopped(cloud) == set()


def test_where_the_cloud_does_not_answer_not_every_task_is_tried(tmp_path: Path) -> None:
    """Five thousand failures would not help."""
    seed = {"invocations": [seeded("job-{n}", "Running", count=300, enqueued="-5h", started="-3h")]}
    a_policy_file(tmp_path, policy(budget="500/run"))
    with running_emulator(seed=seed) as cloud:
        plan = a_plan(cloud, tmp_path)
        before = operations(cloud)["GetStatefulAsyncInvocation"]
        ran = carried_out(cloud, plan, ALIBABA_CLOUD_ACCESS_KEY_SECRET="wrong")
        tried = operations(cloud)["GetStatefulAsyncInvocation"] - before
    assert ran.code == 3
    assert tried < 100


def test_one_task_that_cannot_be_stopped_does_not_hide_the_others(cloud: Emulator, folder: Path) -> None:
    """It is shown with the cloud's own words; exit 1."""
    plan = a_plan(cloud, folder)
    cloud.faults(
        [
            {
                "operation": "StopStatefulAsyncInvocation",
                "status": 403,
                "code": "AccessDenied",
                "times": 9,
                "match": {"invocationId": "over-2"},
            }
        ]
    )
    ran = carried_out(cloud, plan, "--json")
    assert became(ran) == {"over-1": "stopped", "over-2": "failed", "over-3": "stopped"}
    assert ran.code == 1


def test_keep_counts_its_tasks_again(tmp_path: Path) -> None:
    """Three of five are too many by the plan; by then two others have ended, so one is."""
    keep = policy(match="{status: Running}", keep="{at_most: 2}")
    a_policy_file(tmp_path, keep)
    times = {n: hours_ago(6.01 - n) for n in range(1, 6)}

    def a_task(n: int, status: str = "Running", **fields: Any) -> dict[str, Any]:
        return seeded(f"job-{n}", status, enqueued=times[n], requestId=f"r-{n}", **fields)

    with running_emulator(seed={"invocations": [a_task(n) for n in times]}) as cloud:
        shown = fc_reaper("plan", env=at(cloud), cwd=tmp_path)
        plan = a_plan(cloud, tmp_path, **HERE)
    now = [a_task(n, "Succeeded", ends="-1m") if n < 3 else a_task(n) for n in times]
    with running_emulator("--stopping", "5ms", seed={"invocations": now}) as cloud:
        ran = carried_out(cloud, plan, "--json", **HERE)
        assert stopped(cloud) == {"job-5"}
    assert "job-5 media/transcode@prod keep 1h - - would stop" in shown.text
    assert became(ran) == {"job-3": "not_due", "job-4": "not_due", "job-5": "stopped"}


def test_keep_stops_no_task_that_is_not_in_the_plan(tmp_path: Path) -> None:
    """One that a reviewer took out, and one that came since, are too many as well, and go on."""
    a_policy_file(tmp_path, policy(match="{status: Running}", keep="{at_most: 1}"))
    tasks = [
        seeded(f"job-{n}", "Running", enqueued=hours_ago(9 - n), requestId=f"r-{n}") for n in range(1, 6)
    ]
    with running_emulator(seed={"invocations": tasks[:4]}) as cloud:
        plan = edited(a_plan(cloud, tmp_path, **HERE), lambda plan: without(plan, "job-3"))
    with running_emulator("--stopping", "5ms", seed={"invocations": tasks}) as cloud:
        ran = carried_out(cloud, plan, "--json", **HERE)
        assert stopped(cloud) == {"job-2", "job-4"}
    assert became(ran) == {"job-2": "stopped", "job-4": "stopped"}


def test_keep_stops_a_planned_task_by_its_own_policy_only(tmp_path: Path) -> None:
    """By the time of the apply it is too many for another policy, of which nothing is in the plan."""
    other = "  - {name: all, targets: [media/transcode@prod], match: {status: [Enqueued, Running]},"
    other += " keep: {at_most: 2}, stop: x}\n"
    a_policy_file(tmp_path, policy(match="{status: Running}", keep="{at_most: 1}") + other)
    first, planned = (
        seeded(name, "Running", enqueued=hours_ago(hours), requestId=f"r-{name}")
        for name, hours in (("first", 3), ("planned", 1))
    )
    waiting = [seeded(f"waits-{n}", "Enqueued", enqueued=hours_ago(2)) for n in (1, 2)]
    with running_emulator(seed={"invocations": [first, planned]}) as cloud:
        plan = a_plan(cloud, tmp_path, **HERE)
    with running_emulator(seed={"invocations": [planned, *waiting]}) as cloud:
        ran = carried_out(cloud, plan, "--json", **HERE)
        assert stopped(cloud) == set()
    assert became(ran) == {"planned": "not_due"}


@pytest.mark.parametrize("changed", [{"requestId": "r-another"}, {"enqueued": hours_ago(0.5)}])
def test_keep_leaves_another_task_of_the_same_id_alone(tmp_path: Path, changed: dict[str, Any]) -> None:
    """It was not in the plan, though it is one too many as well."""
    a_policy_file(tmp_path, policy(match="{status: Running}", keep="{at_most: 1}"))
    first = seeded("first", "Running", enqueued=hours_ago(3), requestId="r-first")
    second = seeded("second", "Running", enqueued=hours_ago(2), requestId="r-second")
    with running_emulator(seed={"invocations": [first, second]}) as cloud:
        plan = a_plan(cloud, tmp_path, **HERE)
    with running_emulator(seed={"invocations": [first, {**second, **changed}]}) as cloud:
        ran = carried_out(cloud, plan, "--json", **HERE)
        assert stopped(cloud) == set()
    assert became(ran) == {"second": "not_due"}


def test_a_task_that_left_the_plan_still_counts_for_no_other_policy(tmp_path: Path) -> None:
    """A task that is one too many for the first policy does not count for the second, stopped or not."""
    one, two = ("{status: Running}, keep: {at_most: 1}", "{status: Running}, keep: {at_most: 3}")
    head = "version: 1\npolicies:\n"
    text = head + "".join(
        f"  - {{name: {name}, targets: [{targets}], match: {keys}, stop: x}}\n"
        for name, targets, keys in (
            ("a", "media/one@prod", one),
            ("b", "media/one@prod, media/two@prod", two),
        )
    )
    a_policy_file(tmp_path, text)

    def a_task(function: str, name: str, hours: float) -> dict[str, Any]:
        return seeded(
            name, "Running", functionName=function, enqueued=hours_ago(hours), requestId=f"r-{name}"
        )

    ones = [a_task("one", f"x-{n}", n + 5) for n in range(4)]
    twos = [a_task("two", f"y-{n}", n + 1) for n in range(4)]
    with running_emulator(seed={"invocations": ones + twos}) as cloud:
        plan = edited(a_plan(cloud, tmp_path, **HERE), leave_to_b)
    with running_emulator(seed={"invocations": ones + twos[:2]}) as cloud:
        ran = carried_out(cloud, plan, "--json", **HERE)
        assert stopped(cloud) == set()
    assert set(became(ran).values()) == {"not_due"}


def leave_to_b(plan: dict[str, Any]) -> None:
    """A reviewer takes the tasks of the first policy out."""
    plan["tasks"] = [task for task in plan["tasks"] if task["policy"] == "b"]
    assert plan["tasks"]


def cut(plan: dict[str, Any]) -> None:
    """Leave fewer tasks in the plan than `halt_over` allows."""
    del plan["tasks"][3:]


def would_stop(plan: dict[str, Any]) -> None:
    """Write another fate behind each task."""
    for task in plan["tasks"]:
        task["fate"] = "would_stop"


HALTED: dict[str, list[Callable[[dict[str, Any]], object]]] = {
    "as it is": [],
    "cut": [cut],
    "with other fates": [would_stop],
    "cut, with other fates": [cut, would_stop],
    "with budget as a fate": [lambda plan: plan["tasks"][0].update(fate="budget")],
}


@pytest.mark.parametrize("changes", HALTED.values(), ids=list(HALTED))
def test_nothing_is_stopped_of_what_was_halted_when_it_was_planned(
    changes: list[Callable[[dict[str, Any]], object]], tmp_path: Path
) -> None:
    """A dry run that says \"this looks like a mistake\" does not allow to stop the first five of it."""
    seed = {"invocations": [seeded("job-{n}", "Running", count=6, enqueued="-5h", started="-3h")]}
    a_policy_file(tmp_path, policy(halt_over="5"))
    with running_emulator(seed=seed) as cloud:
        plan = edited(a_plan(cloud, tmp_path), lambda plan: [change(plan) for change in changes])
        ran, as_json = carried_out(cloud, plan), carried_out(cloud, plan, "--json")
        assert stopped(cloud) == set()
    (why,) = {task["why"] for task in as_json.json["tasks"]}
    assert set(became(as_json).values()) == {"waiting"}
    assert why == "halted when it was planned; check the tasks, then make a new plan"
    assert "Nothing was done: no task of the plan may be stopped." in ran.text
    assert (ran.code, as_json.code) == (1, 1)


def test_a_halted_policy_says_so_when_its_plan_is_written(tmp_path: Path) -> None:
    """The plan names it, and the output says what that means."""
    seed = {"invocations": [seeded("job-{n}", "Running", count=6, enqueued="-5h", started="-3h")]}
    a_policy_file(tmp_path, policy(halt_over="5"))
    with running_emulator(seed=seed) as cloud:
        ran = fc_reaper("plan", "--out", "plan.json", env=at(cloud), cwd=tmp_path)
    assert json.loads((tmp_path / "plan.json").read_text("utf-8"))["policy"]["halted"] == ["runaway"]
    assert "apply will stop none of these tasks of runaway: halted when it was planned;" in ran.text
    assert "Review it" not in ran.text


TWO = policy(halt_over="2") + (
    "  - name: other\n    targets: [resize]\n    match: {running_for: 2h}\n    stop: Too long.\n"
)


def test_a_halted_policy_keeps_no_other_from_stopping(cloud: Emulator, tmp_path: Path) -> None:
    """The rest is carried out; running it again would not help, and is not recommended."""
    a_policy_file(tmp_path, TWO)
    ran = carried_out(cloud, a_plan(cloud, tmp_path))
    assert stopped(cloud) == {"three-1"}
    assert "Of 4 planned tasks: 1 stopped (1 confirmed), 3 waiting." in ran.text
    assert "Run the same command again" not in ran.text
    assert ran.code == 1


def test_a_plan_that_was_not_halted_may_be_cut(cloud: Emulator, tmp_path: Path) -> None:
    """As a reviewer may; the number that was due is what counts."""
    a_policy_file(tmp_path, policy(halt_over="3"))
    plan = edited(a_plan(cloud, tmp_path), lambda plan: without(plan, "over-1"))
    assert carried_out(cloud, plan).code == 0
    assert stopped(cloud) == {"over-2", "over-3"}


@pytest.mark.parametrize(
    ("keys", "gone"),
    [
        ({}, {"over-1", "over-2", "over-3"}),
        ({"halt_over": "5"}, set()),
        ({"keep": "{at_most: 1}"}, set()),
    ],
    ids=["neither", "halt_over", "keep"],
)
def test_what_depends_on_a_number_stops_nothing_by_an_incomplete_plan(
    keys: dict[str, str], gone: set[str], cloud: Emulator, tmp_path: Path
) -> None:
    """Where not everything could be listed the number is unknown."""
    a_policy_file(tmp_path, policy(targets="[media/transcode@prod, media/nobody@prod]", **keys))
    ran = carried_out(cloud, a_plan(cloud, tmp_path))
    assert stopped(cloud) == gone
    assert ("make a new plan" in ran.text) == (not gone)
    assert ran.code == (0 if gone else 1)


def test_what_a_plan_says_does_not_steer_a_terminal(cloud: Emulator, folder: Path) -> None:
    """A refusal quotes it, with escapes for its control characters."""
    plan = edited(a_plan(cloud, folder, **HERE), lambda plan: plan.update(account="\x1b[2J\x9b7"))
    ran = carried_out(cloud, plan, **HERE)
    said = r"the plan is for account \x1b[2J\x9b7, and the settings are for account 123456789"
    assert ran.err == f"fc-reaper: {said}\n"


def test_a_policy_that_is_not_approved_any_more_stops_nothing(cloud: Emulator, folder: Path) -> None:
    """A lock beside it counts at the moment of the stop; an incident stands in no lock."""
    plan = a_plan(cloud, folder)
    (folder / "policy.lock").write_text("version: 1\nexempt: [keep-*]\npolicies: []\n")
    ran = carried_out(cloud, plan)
    assert stopped(cloud) == set()
    assert "3 waiting" in ran.text
    assert "runaway is not approved" in ran.text
    assert ran.code == 1
    shown = fc_reaper("plan", env=at(cloud), cwd=folder)
    assert "runaway is not approved, so it only reports" in shown.text
    args = ("--target", "media/transcode@prod", "--running-for", "2h", "--reason", "now", "--max", "9")
    assert carried_out(cloud, a_plan(cloud, folder, *args)).code == 0


def test_a_terminal_sees_how_far_it_is(cloud: Emulator, folder: Path) -> None:
    """A bar on standard error; standard output has the same lines as ever."""
    plan = a_plan(cloud, folder)
    ours, theirs = pty.openpty()
    args = [*COMMAND, "apply", plan.name, "--enforce"]
    env = at(cloud, TERM="xterm")
    with subprocess.Popen(args, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        seen = shown_on(ours)
        out, _ = process.communicate(timeout=60)
    assert "Stopping" in seen
    assert "100%" in seen
    assert "\x1b" not in out.decode()
    assert "3 stopped (3 confirmed)" in out.decode()
