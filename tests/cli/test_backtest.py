"""`fc-reaper backtest`: what the policy would have stopped, from a file and from the cloud."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import a_policy_file, at, environment, fc_reaper
from tests.cli.histories import MIDNIGHT, POLICY, RECORDS, a_history, record
from tests.emulator_server import Emulator, running_emulator
from tests.run.account import operations, seeded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the policy and a history with known answers."""
    a_policy_file(tmp_path, POLICY)
    a_history(tmp_path)
    return tmp_path


def test_a_history_with_known_answers(folder: Path) -> None:
    """Four stops at 02:05: one success, one failure, one censored, one open; 235m + 115m + 415m saved.

    The runs are those of the nine hours from the first event to the last, 00:00 and 09:00 among them.
    """
    ran = fc_reaper("backtest", "--history", "history.jsonl", "--json", cwd=folder)
    assert ran.code == 0
    (one,) = ran.json["policies"]
    assert one["outcomes"] == {"succeeded": 1, "failed": 1, "censored": 1, "open": 1, "unknown": 0}
    assert ran.json["replay"]["unknown"] == {"tasks": 0, "why": {}}
    assert (one["tasks"], one["false_stops"], one["due"], one["halted_runs"]) == (4, 1, 4, 0)
    assert {found["at"] for found in one["found"]} == {"2026-11-18T02:05:00.000Z"}
    assert (one["first"], one["last"]) == ("2026-11-18T02:05:00.000Z", "2026-11-18T02:05:00.000Z")
    # slow succeeds at 05:00; broken fails at 06:00, cut is asked to stop at 04:00, the history ends at 09:00.
    assert one["saved_s"] == (235 + 115 + 415) * 60
    (slow,) = [found for found in one["found"] if found["invocation_id"] == "slow"]
    assert (slow["rule"], slow["age_s"], slow["limit_s"], slow["outcome"]) == (
        "running_for",
        7440,
        7200,
        "succeeded",
    )
    assert (slow["service"], slow["qualifier"], slow["request_id"]) == ("media", "prod", "r-slow")
    history = ran.json["history"]
    assert (history["records"], history["replayed"], history["undated"]) == (9, 7, 1)
    assert [task["invocation_id"] for task in history["contradicting"]] == ["strange"]
    assert (ran.json["replay"]["outside_targets"], ran.json["replay"]["runs"]) == (1, 9 * 12 + 1)


def test_it_is_said_in_words_within_80_columns(folder: Path) -> None:
    """What would have been stopped, what became of it, and all that was left out."""
    ran = fc_reaper("backtest", "--history", "history.jsonl", cwd=folder)
    assert (ran.code, ran.err) == (0, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert (
        "history.jsonl: 9 records, 7 tasks to be replayed from 2026-11-18 00:00 to 2026-11-18 09:00"
        in ran.text
    )
    assert "runaway would have stopped 4 tasks" in ran.text
    assert "1 succeeded in the end; 1 failed, expired or invalid" in ran.text
    assert "1 stopped by somebody, so the end without a stop is unknown" in ran.text
    assert "1 still alive when the history ends" in ran.text
    assert "unknown status" not in ran.text
    assert "slow media/transcode@prod 2026-11-18 02:05 running_for 2h4m 2h 2h55m" in ran.text
    assert "Records without dated events, not replayed: 1 (" in ran.text
    assert "Records that contradict themselves, not replayed: 1 (strange: status" in ran.text
    assert "Tasks outside the replayed targets: 1." in ran.text


def test_what_is_held_back_is_said(folder: Path) -> None:
    """Due tasks that are never stopped, and the runs in which the policy would have been halted."""
    a_policy_file(folder, f"{POLICY}    budget: 1/run\n    halt_over: 2\n")
    ran = fc_reaper("backtest", "--history", "history.jsonl", cwd=folder)
    assert "runaway would have been halted in 35 runs." in ran.text
    assert "2 tasks due by runaway in some run would never have been stopped." in ran.text


def test_broken_lines_are_counted_and_named(folder: Path) -> None:
    """The rest is replayed, and exit 1 says that something is missing; exit 2 where nothing is left."""
    a_history(folder, [RECORDS[0], "{", "", "7", RECORDS[1]])
    ran = fc_reaper("backtest", "--history", "history.jsonl", cwd=folder)
    assert ran.code == 1
    assert "runaway would have stopped 2 tasks" in ran.text
    assert "Lines that are no record: 2 (line 2: it is not JSON" in ran.text
    assert "line 4: it is not a JSON object" in ran.text
    a_history(folder, ["{", "x"])
    ran = fc_reaper("backtest", "--history", "history.jsonl", cwd=folder)
    assert (ran.code, len(ran.errors)) == (2, 1)
    assert "there is no record in it, first: line 1" in ran.err


def test_an_unknown_status_is_shown_as_unknown(folder: Path) -> None:
    """It is neither alive nor any of the ends; a column for it stands there only then."""
    odd = record("odd", ("Enqueued", "0s"), ("Running", "1m"), ("Pondering", "9h"))
    a_history(folder, [RECORDS[1], odd])
    ran = fc_reaper("backtest", "--history", "history.jsonl", cwd=folder)
    assert "policy would tasks succeeded failed censored open unknown saved" in ran.text
    assert "1 in an unknown status, so the end is unknown" in ran.text
    assert "alive when" not in ran.text
    assert max(map(len, ran.out.splitlines())) <= 80
    (one,) = fc_reaper("backtest", "--history", "history.jsonl", "--json", cwd=folder).json["policies"]
    assert (one["outcomes"]["open"], one["outcomes"]["unknown"]) == (0, 1)


def test_nothing_is_replayed_beyond_the_end_of_the_history(folder: Path) -> None:
    """A task that is alive then is not stopped in a future that is unknown."""
    young = record("young", ("Enqueued", "4h"), ("Running", "241m"))
    a_history(folder, [RECORDS[0], young])
    ran = fc_reaper("backtest", "--history", "history.jsonl", "--json", cwd=folder)
    assert ran.json["replay"]["last_run"] == "2026-11-18T05:00:00.000Z"
    assert [one["invocation_id"] for one in ran.json["policies"][0]["found"]] == ["slow"]
    later = record("late", ("Succeeded", "0s"), events=[], endTime=MIDNIGHT + 7 * 3_600_000)
    a_history(folder, [RECORDS[0], young, later])
    ran = fc_reaper("backtest", "--history", "history.jsonl", "--json", cwd=folder)
    assert ran.json["replay"]["last_run"] == "2026-11-18T07:00:00.000Z"
    assert [one["invocation_id"] for one in ran.json["policies"][0]["found"]] == ["slow", "young"]


def test_a_history_without_the_payloads_that_a_policy_reads_does_not_look_harmless(folder: Path) -> None:
    """Nothing would have been stopped, because nothing could be decided."""
    a_policy_file(
        folder, POLICY.replace("{running_for: 2h}", "{running_for: 2h, where: payload.tier == 'x'}")
    )
    ran = fc_reaper("backtest", "--history", "history.jsonl", cwd=folder)
    assert ran.code == 0
    assert "Tasks that the policy could not decide: 4 (where: payload is absent)." in ran.text
    found = fc_reaper("backtest", "--history", "history.jsonl", "--json", cwd=folder).json["replay"]
    assert found["unknown"] == {"tasks": 4, "why": {"where: payload is absent": 4}}


def test_standard_input_is_a_history_too(folder: Path) -> None:
    """With `-`."""
    stdin = (folder / "history.jsonl").read_bytes()
    ran = fc_reaper("backtest", "--history", "-", cwd=folder, stdin=stdin)
    assert ran.code == 0
    assert "standard input: 9 records" in ran.text


def test_policies_that_no_timer_runs_and_reports_are_kept_apart(folder: Path) -> None:
    """A report has no savings, and what only an event runs is not replayed."""
    more = """\
  - {name: long-waits, targets: [media/transcode@prod], match: {alive_for: 1h}, report: They wait.}
  - {name: asked, targets: [media/transcode@prod], match: {status: Running}, triggers: [task], stop: Asked.}
"""
    a_policy_file(folder, POLICY + more)
    ran = fc_reaper("backtest", "--history", "history.jsonl", cwd=folder)
    assert "long-waits would have reported 4 tasks" in ran.text
    assert "Policies that no timer runs, not replayed: 1 (asked: task)." in ran.text
    shown = fc_reaper("backtest", "--history", "history.jsonl", "--json", cwd=folder).json
    assert [one["does"] for one in shown["policies"]] == ["stop", "report"]
    assert shown["replay"]["not_replayed"] == [{"name": "asked", "triggers": ["task"]}]


def test_the_runs_may_be_chosen(folder: Path) -> None:
    """Their interval, the first moment and the last."""
    options = ["--interval", "1h", "--since", "2026-11-18T04:30:00Z", "--until", "2026-11-18T06:00:00Z"]
    shown = fc_reaper("backtest", "--history", "history.jsonl", "--json", *options, cwd=folder).json
    assert (shown["replay"]["interval_s"], shown["replay"]["runs"]) == (3600, 2)
    (one,) = shown["policies"]
    assert sorted(found["invocation_id"] for found in one["found"]) == ["broken", "endless"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--interval", "5"], "--interval: 5 has no unit"),
        (["--since", "yesterday"], "--since is 'yesterday'; write a day such as"),
        (["--until", "2026-11-18T06:00:00"], "--until is"),
        (["--since", "2026-11-18T06:00:00Z", "--until", "2026-11-18T05:00:00Z"], "no run from --since"),
        (["--since", "2026-11-18T04:01:00Z", "--until", "2026-11-18T04:04:00Z"], "no run from --since"),
        (
            ["--since", "2026-11-19"],
            "lies in the history, which is of 2026-11-18T00:00:00.000Z to 2026-11-18T09:00:00.000Z",
        ),
        (["--until", "2026-11-17"], "no run from --since to --until lies in the history"),
        (["--history", "nothing.jsonl"], "nothing.jsonl: it cannot be read: No such file"),
        (["--read"], "--read is about the cloud's records"),
        (["--save", "more.jsonl"], "--save is about the cloud's records"),
        (["--policy", "nothing.yaml"], "nothing.yaml: there is no such file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(folder: Path, options: list[str], why: str) -> None:
    """With what to write instead."""
    ran = fc_reaper("backtest", "--history", "history.jsonl", *options, cwd=folder)
    assert ran.code == 2
    assert why in ran.err
    assert ran.out == ""
    assert len(ran.errors) == 1


def test_suggestions_measure_each_function(folder: Path) -> None:
    """Of the policy's targets; the smallest limit spares every success."""
    args = ("backtest", "--history", "history.jsonl", "--suggest")
    alive, queued, run = fc_reaper(*args, "--json", cwd=folder).json["suggestions"]
    assert [one["clock"] for one in (alive, queued, run)] == ["alive_for", "queued_for", "running_for"]
    assert (run["function"], run["tasks"], run["p50_s"], run["max_s"], run["smallest_limit_s"]) == (
        "transcode", 4, 299 * 60, 539 * 60, 299 * 60,
    )  # fmt: skip
    ran = fc_reaper(*args, cwd=folder)
    assert "media/transcode@prod running_for 4 4h59m 8h59m 8h59m 8h59m 4h59m" in ran.text
    assert max(map(len, ran.out.splitlines())) <= 80


def test_payloads_are_read_by_expressions_and_never_shown(folder: Path) -> None:
    """Limits that a task carries count in a replay too."""
    records = [
        record(
            "gold", ("Enqueued", "0s"), ("Running", "0s"), ("Failed", "5h"), invocationPayload='{"max": "3h"}'
        ),
        record(
            "none",
            ("Enqueued", "0s"),
            ("Running", "0s"),
            ("Failed", "5h"),
            invocationPayload='{"s": "secret"}',
        ),
    ]
    a_history(folder, records)
    a_policy_file(folder, POLICY.replace("2h", "{from: payload.max, at_most: 4h, else: 1h}"))
    ran = fc_reaper("backtest", "--history", "history.jsonl", "--json", cwd=folder)
    found = {
        one["invocation_id"]: (one["at"][11:16], one["limit_from"])
        for one in ran.json["policies"][0]["found"]
    }
    assert found == {"none": ("01:05", "else"), "gold": ("03:05", "task")}
    assert "secret" not in ran.out


SEED = {
    "invocations": [
        seeded("done-{n}", "Succeeded", count=150, enqueued="-9h", started="-9h", ends="-4h"),
        seeded("over-1", "Running", enqueued="-5h", started="-3h"),
        seeded("keep-1", "Running", enqueued="-9h", started="-9h"),
        seeded("lost-1", "Expired", enqueued="-9h", ends="-4h"),
        seeded("cut-1", "Stopped", enqueued="-9h", started="-9h", ends="-1h"),
        {"functionName": "resize", "invocationId": "three-1", "status": "Failed", "enqueued": "-9h",
         "started": "-9h", "ends": "-1h"},
    ]
}  # fmt: skip

PATTERNS = POLICY.replace("[media/transcode@prod]", "['media/*@prod', resize]").replace("20/run", "999/run")


def test_the_cloud_is_asked_for_all_that_it_knows(tmp_path: Path) -> None:
    """Every status, page by page, of patterns and both generations; nothing is stopped or read."""
    a_policy_file(tmp_path, PATTERNS)
    with running_emulator(seed=SEED) as cloud:
        ran = fc_reaper("backtest", "--json", env=at(cloud), cwd=tmp_path)
        calls = operations(cloud)
    assert ran.code == 0
    assert (ran.json["history"]["records"], ran.json["history"]["source"]) == (155, "the cloud")
    assert ran.json["policies"][0]["outcomes"]["open"] == 1
    assert calls["ListStatefulAsyncInvocationFunctions"] == 1
    assert not {"StopStatefulAsyncInvocation", "GetStatefulAsyncInvocation", "StopAsyncTask"} & set(calls)


def test_what_is_saved_gives_the_same_answers_without_the_cloud(tmp_path: Path) -> None:
    """Also under a qualifier that the records do not repeat, and for 3.0."""
    a_policy_file(tmp_path, PATTERNS)
    with running_emulator("--record-qualifier", "version", seed=SEED) as cloud:
        ran = fc_reaper("backtest", "--json", "--save", "h.jsonl", env=at(cloud), cwd=tmp_path)
        again = fc_reaper("backtest", "--save", "h.jsonl", env=at(cloud), cwd=tmp_path)
    kept = fc_reaper("backtest", "--json", "--history", "h.jsonl", cwd=tmp_path)
    closed = [one for one in ran.json["policies"][0]["found"] if one["outcome"] != "open"]
    assert len(closed) > 20
    assert [one for one in kept.json["policies"][0]["found"] if one["outcome"] != "open"] == closed
    assert len((tmp_path / "h.jsonl").read_text("utf-8").splitlines()) == 155
    assert (tmp_path / "h.jsonl").stat().st_mode & 0o777 == 0o600
    assert (again.code, "a history is not overwritten" in again.err) == (2, True)


def test_tasks_without_events_are_read_one_by_one_only_when_asked(tmp_path: Path) -> None:
    """A list may leave the events out; what cannot be replayed is counted."""
    a_policy_file(tmp_path, POLICY)
    done = seeded("done-{n}", "Failed", count=3, enqueued="-9h", started="-9h", ends="-4h", payload={"a": 1})
    with running_emulator("--events", "get", seed={"invocations": [done]}) as cloud:
        listed = fc_reaper("backtest", "--json", env=at(cloud), cwd=tmp_path)
        save = ("--read", "--save", "h.jsonl")
        read = fc_reaper("backtest", "--json", *save, env=at(cloud), cwd=tmp_path)
        calls = operations(cloud)
    assert (listed.json["history"]["undated"], listed.json["history"]["replayed"]) == (3, 0)
    assert (read.json["history"]["undated"], read.json["history"]["replayed"]) == (0, 3)
    assert calls["GetStatefulAsyncInvocation"] == 3
    assert read.json["policies"][0]["outcomes"]["failed"] == 3
    assert "Payload" not in (tmp_path / "h.jsonl").read_text("utf-8")  # reading brings it along


def test_payloads_are_asked_for_only_when_an_expression_needs_them(tmp_path: Path) -> None:
    """And then stand in the saved file; what the function put out does not."""
    a_policy_file(
        tmp_path, POLICY.replace("{running_for: 2h}", "{running_for: 2h, where: payload.tier == 'x'}")
    )
    seed = {
        "invocations": [
            seeded("a", "Failed", enqueued="-9h", payload={"tier": "x"}, events=[
                {"status": "Enqueued", "timestamp": "-9h"},
                {"status": "Running", "timestamp": "-9h"},
                {"status": "Failed", "timestamp": "-4h", "eventDetail": '{"logTail": "s3cret"}'},
            ])
        ]
    }  # fmt: skip
    with running_emulator(seed=seed) as cloud:
        ran = fc_reaper("backtest", "--save", "h.jsonl", env=at(cloud), cwd=tmp_path)
    assert "s3cret" not in (tmp_path / "h.jsonl").read_text("utf-8")
    assert "h.jsonl: 1 record, for --history." in ran.text
    assert "runaway would have stopped 1 task" in ran.text
    assert json.loads((tmp_path / "h.jsonl").read_text("utf-8"))["invocationPayload"] == '{"tier": "x"}'


def test_what_cannot_be_listed_is_named_and_the_rest_is_replayed(tmp_path: Path) -> None:
    """Exit 1; nothing at all is exit 3."""
    a_policy_file(tmp_path, POLICY.replace("[media/transcode@prod]", "[media/transcode@prod, media/nobody]"))
    with running_emulator(seed=SEED) as cloud:
        ran = fc_reaper("backtest", env=at(cloud), cwd=tmp_path)
    assert ran.code == 1
    assert "not listed: media/nobody@LATEST: HTTP 404, FunctionNotFound" in ran.err
    assert "runaway would have stopped" in ran.text
    many = ", ".join(["media/transcode@prod", *(f"media/nobody-{number}" for number in range(30))])
    a_policy_file(tmp_path, POLICY.replace("media/transcode@prod", many))
    with running_emulator(seed=SEED) as cloud:
        ran = fc_reaper("backtest", env=at(cloud), cwd=tmp_path)
    assert (ran.err.count("not listed: media/nobody-"), "and 10 more" in ran.err) == (20, True)
    nobody = fc_reaper("backtest", "--save", "h.jsonl", env=at(cloud), cwd=tmp_path)
    assert (nobody.code, nobody.out) == (3, "")
    assert not (tmp_path / "h.jsonl").exists()


def test_a_function_without_tasks_has_answered(tmp_path: Path) -> None:
    """Another one that is refused makes it exit 1, not 3: something could be listed."""
    a_policy_file(tmp_path, POLICY.replace("[media/transcode@prod]", "[media/transcode@prod, media/nobody]"))
    empty = {"functions": [{"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}]}
    with running_emulator(seed=empty) as cloud:
        ran = fc_reaper("backtest", env=at(cloud), cwd=tmp_path)
        compared = fc_reaper("diff", "policy.yaml", "policy.yaml", env=at(cloud), cwd=tmp_path)
        a_policy_file(tmp_path, POLICY.replace("media/transcode@prod", "media/nobody"))
        nobody = fc_reaper("backtest", env=at(cloud), cwd=tmp_path)
    for one in (ran, compared):
        assert one.code == 1
        assert "not listed: media/nobody@LATEST: HTTP 404, FunctionNotFound" in one.err
    assert "the cloud: 0 records, 0 tasks to be replayed." in ran.text
    assert (nobody.code, nobody.out) == (3, "")


def test_it_reads_no_credentials_for_a_file(folder: Path) -> None:
    """And asks no cloud, wherever the settings point."""
    env = {"REAPER_ENDPOINT": "http://127.0.0.1:9", "REAPER_MODE": "enforce"}
    ran = fc_reaper("backtest", "--history", "history.jsonl", env=environment(**env), cwd=folder)
    assert ran.code == 0


def test_the_emulator_is_not_touched(cloud: Emulator, folder: Path) -> None:
    """Whatever the mode says."""
    ran = fc_reaper("backtest", env=at(cloud, REAPER_MODE="enforce"), cwd=folder)
    assert ran.code == 0
    assert not any(name.startswith("Stop") for name in operations(cloud))


RESOURCES = {"timeout": 7200, "cpu": 2, "memorySize": 4096, "instanceType": "e1"}


def test_what_stops_would_have_saved_needs_the_configuration_of_their_functions(folder: Path) -> None:
    """Exactly: until the task really ended. A line of the history has it; without one it is unknown."""
    words = ("backtest", "--history", "history.jsonl")
    nothing = {"vcpu_s": None, "gb_s": None, "gpu_gb_s": None}
    assert fc_reaper(*words, "--json", cwd=folder).json["policies"][0]["saved"] == {
        "tasks": 4, "unknown": 4, **nothing
    }  # fmt: skip
    assert "What 4 stops would have saved is unknown" in fc_reaper(*words, cwd=folder).out
    place = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod"}
    with (folder / "history.jsonl").open("a") as file:
        print(json.dumps({**place, **RESOURCES}), file=file)
    ran = fc_reaper(*words, "--json", cwd=folder)
    seconds = (235 + 115 + 415) * 60
    assert ran.json["policies"][0]["saved"] == {
        "tasks": 4, "unknown": 0, "vcpu_s": 2 * seconds, "gb_s": 4 * seconds, "gpu_gb_s": 0
    }  # fmt: skip
    assert (ran.code, ran.json["history"]["records"]) == (0, 9)
    said = " ".join(fc_reaper(*words, cwd=folder).out.split())
    assert "The stops would have saved 91,800 vCPU-s, 183,600 GB-s, 0 GB-s of GPU memory." in said
    both = fc_reaper("diff", "policy.yaml", "policy.yaml", "--history", "history.jsonl", "--json", cwd=folder)
    assert both.json["old"]["saved"] == both.json["new"]["saved"] == ran.json["policies"][0]["saved"]


def test_a_history_from_the_cloud_brings_the_configurations_along(tmp_path: Path) -> None:
    """One call for each function that has tasks; `--save` writes them for a later replay."""
    a_policy_file(tmp_path, POLICY)
    running = seeded("over-1", "Running", enqueued="-5h", started="-3h")
    place = {"serviceName": "media", "functionName": "transcode", "qualifier": "prod", "timeout": 86_400}
    seed = {"functions": [{**place, "resources": RESOURCES}], "invocations": [running]}
    with running_emulator(seed=seed) as cloud:
        words = ("backtest", "--json", "--save", "kept.jsonl")
        ran = fc_reaper(*words, env=at(cloud), cwd=tmp_path)
        assert operations(cloud)["GetFunction"] == 1
    saved = ran.json["policies"][0]["saved"]
    assert (saved["tasks"], saved["unknown"]) == (1, 0)
    assert saved["vcpu_s"] == pytest.approx(2 * ran.json["policies"][0]["saved_s"], abs=0.01)
    again = fc_reaper("backtest", "--json", "--history", "kept.jsonl", cwd=tmp_path)
    assert again.json["policies"][0]["saved"].keys() == saved.keys()
    assert again.json["policies"][0]["saved"]["unknown"] == 0
