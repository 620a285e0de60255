"""`fc-reaper approve`: the evidence, the question, the lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fc_reaper.policy.lock import load_lock
from tests.cli.command import Ran, a_policy_file, at, fc_reaper
from tests.emulator_server import Emulator, running_emulator
from tests.run.account import POLICY, seeded, stopped

TWO = (
    POLICY
    + """\
  - name: cancelled
    targets: [media/transcode@prod]
    match: {status: [Enqueued, Running]}
    triggers: [task]
    stop: The application cancelled it.
  - name: slow
    targets: [media/transcode@prod]
    match: {queued_for: 1h}
    report: Is that normal?
"""
)


def a_history(folder: Path, *records: tuple[str, str, int]) -> Path:
    """Records of tasks that ran for so many hours: their ids, how they ended, and the hours."""
    path = folder / "history.jsonl"
    path.write_text("".join(json.dumps(_record(*one)) + "\n" for one in records), "utf-8")
    return path


def _record(name: str, status: str, hours: int) -> dict[str, Any]:
    began, end = 1_795_000_000_000, 1_795_000_000_000 + hours * 3_600_000
    life = (("Enqueued", began), ("Running", began), (status, end))
    events = [{"eventId": n, "status": word, "timestamp": at} for n, (word, at) in enumerate(life, 1)]
    return {
        "serviceName": "media", "functionName": "transcode", "qualifier": "prod", "invocationId": name,
        "requestId": f"r-{name}", "status": status, "startedTime": began, "endTime": end, "events": events,
        "alreadyRetriedTimes": 0,
    }  # fmt: skip


FAIR = [*((f"fast-{n}", "Succeeded", 1) for n in range(9)), ("b", "Failed", 9)]
FALSE = [*FAIR, ("slow-1", "Succeeded", 5)]


def approve(cloud: Emulator, folder: Path, *args: str, answers: str = "", text: str = TWO) -> Ran:
    """Run the command beside a policy and a fair history."""
    a_policy_file(folder, text)
    if not (folder / "history.jsonl").exists():
        a_history(folder, *FAIR)
    args = ("--history", "history.jsonl", *args)
    return fc_reaper("approve", *args, env=at(cloud), stdin=answers.encode(), cwd=folder)


def approved(folder: Path) -> list[str]:
    """The names in the lock; nothing where there is none."""
    path = folder / "policy.lock"
    if not path.exists():
        return []
    return [one.name for one in load_lock(path.read_text("utf-8"), "policy.lock").policies]


def would_stop(cloud: Emulator, folder: Path) -> tuple[int, int]:
    """How many tasks a run of the policy as it lies there would stop, and report."""
    counts = fc_reaper("plan", "--json", env=at(cloud), cwd=folder).json["counts"]
    return counts["would_stop"], counts["reported"]


def test_the_evidence_comes_before_the_question(cloud: Emulator, tmp_path: Path) -> None:
    """What it would do now, what it would have done, and only then whether to approve it."""
    ran = approve(cloud, tmp_path, answers="y\n")
    assert ran.code == 0, ran.err
    said = (
        "What runaway would do now",
        "over-1",
        "What would have been done",
        "runaway would have stopped 1 task",
    )
    places = [ran.out.index(words) for words in (*said, "Approve runaway, cancelled?")]
    assert places == sorted(places)
    assert approved(tmp_path) == ["runaway", "cancelled"]
    assert stopped(cloud) == set()


@pytest.mark.parametrize("answers", ["", "n\n", "\n", "what?\n", "runaway\n"])
def test_anything_but_a_yes_approves_nothing(cloud: Emulator, tmp_path: Path, answers: str) -> None:
    """Nor does it write a lock, beside which all that stops today would only report."""
    ran = approve(cloud, tmp_path, answers=answers)
    assert (ran.code, approved(tmp_path), list(tmp_path.glob("policy.lock*"))) == (1, [], [])
    assert "Not approved by you: runaway, cancelled." in ran.text


def test_false_stops_are_approved_only_by_name(cloud: Emulator, tmp_path: Path) -> None:
    """A yes is not enough for what would have stopped tasks that succeeded."""
    a_history(tmp_path, *FALSE)
    ran = approve(cloud, tmp_path, answers="y\ny\n")
    assert (ran.code, approved(tmp_path)) == (1, ["cancelled"])
    assert "1 task that it would have stopped succeeded in the end" in ran.text
    ran = approve(cloud, tmp_path, answers="runaway\n")
    assert (ran.code, approved(tmp_path)) == (0, ["runaway", "cancelled"])


def test_yes_approves_only_what_has_no_objections(cloud: Emulator, tmp_path: Path) -> None:
    """For a pipeline: objections are exit 1, unless an option says that they do not count."""
    a_history(tmp_path, *FALSE)
    ran = approve(cloud, tmp_path, "--yes")
    assert (ran.code, approved(tmp_path)) == (1, ["cancelled"])
    assert any("--despite-objections" in line for line in ran.errors)
    ran = approve(cloud, tmp_path, "--yes", "--despite-objections", "--json")
    assert (ran.code, approved(tmp_path)) == (0, ["runaway", "cancelled"])
    (policy,) = ran.json["policies"]
    assert (policy["name"], policy["approved"], len(policy["objections"])) == ("runaway", True, 1)


ALERTED = """\
  - name: alerted
    targets: [media/transcode@prod]
    match: {running_for: 4h}
    triggers: [alert]
    stop: Too long.
"""


def test_what_no_timer_runs_is_tried_all_the_same(cloud: Emulator, tmp_path: Path) -> None:
    """An alert decides when it is evaluated, not how: its false stops are as false."""
    a_history(tmp_path, *FALSE)
    ran = approve(cloud, tmp_path, "--yes", text=POLICY.partition("  - name")[0] + ALERTED)
    assert (ran.code, approved(tmp_path)) == (1, [])
    assert "1 task that it would have stopped succeeded in the end" in " ".join(ran.err.split())
    assert "alerted has triggers: [alert]; it was tried as if every timer ran it." in ran.text
    assert "alerted would have stopped 2 tasks" in ran.text


def test_what_runs_at_other_times_hides_nothing(cloud: Emulator, tmp_path: Path) -> None:
    """A timer does not run the first policy, so the second one has those tasks for itself."""
    a_history(tmp_path, *FALSE)
    head, _, runaway = POLICY.partition("  - name")
    ran = approve(cloud, tmp_path, "--yes", text=f"{head}{ALERTED}  - name{runaway}    triggers: [timer]\n")
    assert (ran.code, approved(tmp_path)) == (1, [])
    for name in ("alerted", "runaway"):
        assert f"{name} would have stopped 2 tasks" in ran.text
    places = [ran.text.index(f"What {name} would") for name in ("alerted", "runaway")]
    assert places == sorted(places)


def test_what_only_a_named_task_triggers_is_approved_by_a_yes(cloud: Emulator, tmp_path: Path) -> None:
    """The application names the task; there is nothing to try, and the output says so."""
    ran = approve(cloud, tmp_path, "--only", "cancelled", answers="y\n")
    assert (ran.code, approved(tmp_path)) == (0, ["cancelled"])
    said = "cancelled has triggers: [task]; it cannot be tried."
    assert 0 < ran.text.index(said) + 1 < ran.text.index("Approve cancelled?")


def test_what_is_not_in_the_policy_any_more_leaves_the_lock(cloud: Emulator, tmp_path: Path) -> None:
    """Another file in the folder may have put it there."""
    approve(cloud, tmp_path, "--yes")
    other = TWO.replace("name: runaway", "name: other").replace("[Enqueued, Running]", "Running")
    assert approve(cloud, tmp_path, "--yes", "--only", "other", text=other).code == 0
    assert approved(tmp_path) == ["other"]


def test_a_policy_that_would_stop_most_of_what_is_alive_has_an_objection(tmp_path: Path) -> None:
    """A wrong unit, or a pattern that is too wide, shows before it is approved."""
    seed = {"invocations": [seeded("job-{n}", "Running", count=20, enqueued="-10m", started="-10m")]}
    with running_emulator(seed=seed) as cloud:
        ran = approve(cloud, tmp_path, "--yes", text=POLICY.replace("2h", "2m"))
        assert (ran.code, approved(tmp_path)) == (1, [])
        assert "20 of the 20 unfinished tasks of its functions are due" in " ".join(ran.err.split())


def test_the_share_is_that_of_its_own_functions(tmp_path: Path) -> None:
    """A busy neighbour is no excuse; that most of what is old is due is no fault."""
    busy = {"functionName": "resize", "status": "Running", "invocationId": "n-{n}", "count": 50}
    seed = {
        "invocations": [
            seeded("old-{n}", "Running", count=4, enqueued="-3h", started="-3h"),
            seeded("new-{n}", "Running", count=3, enqueued="-10m", started="-10m"),
            {**busy, "enqueued": "-10m", "started": "-10m"},
        ]
    }
    idle = "  - name: idle\n    targets: [resize]\n    match: {running_for: 2h}\n    stop: Too long.\n"
    text = POLICY + idle
    with running_emulator(seed=seed) as cloud:
        ran = approve(cloud, tmp_path, "--yes", text=text)
        assert "4 of the 7 unfinished tasks of its functions are due" in " ".join(ran.err.split())
        seed["invocations"][1]["count"] = 4
    with running_emulator(seed=seed) as cloud:
        assert approve(cloud, tmp_path, "--yes", "--only", "runaway", text=text).code == 0
    assert approved(tmp_path) == ["runaway", "idle"]


@pytest.mark.parametrize(
    "records",
    [
        [],
        [("a", "Stopped", 1)],
        [*FAIR, *((f"late-{n}", "Failed", 5) for n in range(10))],
    ],
    ids=["one", "stopped ones", "more than half"],
)
def test_a_history_without_false_stops_is_no_objection(
    records: list[tuple[str, str, int]], cloud: Emulator, tmp_path: Path
) -> None:
    """How many tasks it has, and how many would have been stopped, is shown above the question."""
    a_history(tmp_path, *(records or FAIR[:1]))
    ran = approve(cloud, tmp_path, "--yes", "--only", "runaway")
    assert (ran.code, approved(tmp_path)) == (0, ["runaway"])
    assert f"history.jsonl: {len(records) or 1} record" in ran.text
    assert "runaway would have stopped" in ran.text


@pytest.mark.parametrize(
    ("key", "objection"),
    [
        ("halt_over: 1", "it would be halted"),
        ("keep: {at_most: 2}\n    halt_over: 1", "it would be halted"),
    ],
)
def test_a_halt_is_an_objection(cloud: Emulator, tmp_path: Path, key: str, objection: str) -> None:
    """That of today; one in the history is shown."""
    ran = approve(cloud, tmp_path, "--yes", text=f"{POLICY}    {key}\n")
    assert (ran.code, approved(tmp_path)) == (1, [])
    assert objection in " ".join(ran.err.split())


def test_what_could_not_be_listed_is_an_objection(cloud: Emulator, tmp_path: Path) -> None:
    """Nobody knows what it would do there."""
    text = POLICY.replace("transcode@prod", "transcode@prod, media/other")
    ran = approve(cloud, tmp_path, "--yes", text=text)
    assert (ran.code, approved(tmp_path)) == (1, [])
    assert "runaway: not all tasks, or not all of the history, could be listed" in ran.err


def test_what_is_approved_is_not_asked_about_again(cloud: Emulator, tmp_path: Path) -> None:
    """Until it means something else; then it only reports until it is approved again."""
    approve(cloud, tmp_path, "--yes")
    assert would_stop(cloud, tmp_path) == (3, 2)
    before = (tmp_path / "policy.lock").read_bytes()
    ran = approve(cloud, tmp_path)
    assert (ran.code, "Every stop policy is approved as it is." in ran.text) == (0, True)
    assert (tmp_path / "policy.lock").read_bytes() == before
    a_policy_file(tmp_path, TWO.replace("running_for: 2h", "running_for: 90m"))
    assert would_stop(cloud, tmp_path) == (0, 5)
    ran = approve(cloud, tmp_path, answers="y\n", text=TWO.replace("running_for: 2h", "running_for: 90m"))
    assert "Approve runaway?" in ran.out
    assert would_stop(cloud, tmp_path) == (3, 2)


def test_approving_one_policy_approves_no_other(cloud: Emulator, tmp_path: Path) -> None:
    """One that lost its approval with an exemption does not get it back when another is approved."""
    approve(cloud, tmp_path, "--yes")
    bare = TWO.replace("exempt: [keep-*]\n", "")
    ran = approve(cloud, tmp_path, "--yes", "--despite-objections", "--only", "cancelled", text=bare)
    assert (ran.code, approved(tmp_path)) == (0, ["cancelled"])
    assert would_stop(cloud, tmp_path)[0] == 0


def test_a_new_exemption_is_remembered_by_the_next_approval(cloud: Emulator, tmp_path: Path) -> None:
    """So that deleting it un-approves."""
    approve(cloud, tmp_path, "--yes")
    more = TWO.replace("[keep-*]", "[keep-*, gold-*]")
    assert approve(cloud, tmp_path, "--yes", text=more).code == 0
    a_policy_file(tmp_path)
    assert would_stop(cloud, tmp_path)[0] == 0


@pytest.mark.parametrize(
    ("args", "text", "words"),
    [
        (["--only", "nobody"], TWO, "nobody is no stop policy of policy.yaml; there is: runaway, cancelled"),
        (["--json"], TWO, "add --yes"),
        ([], TWO.replace("2h", "2"), "policy.yaml:6"),
        ([], POLICY.replace("stop:", "report:"), "stops nothing"),
        (["--interval", "soon"], TWO, "--interval"),
    ],
)
def test_what_makes_no_sense_is_refused(
    cloud: Emulator, tmp_path: Path, args: list[str], text: str, words: str
) -> None:
    """With exit code 2, and no lock."""
    ran = approve(cloud, tmp_path, *args, answers="y\n", text=text)
    assert ran.code == 2, ran.out
    assert words in ran.err
    assert approved(tmp_path) == []


def test_a_policy_as_text_has_no_lock(cloud: Emulator, tmp_path: Path) -> None:
    """There is no place beside it."""
    ran = fc_reaper("approve", env=at(cloud, REAPER_POLICY=POLICY), cwd=tmp_path)
    assert (ran.code, "name a file" in ran.err) == (2, True)


def test_nothing_is_approved_that_could_not_be_tried(cloud: Emulator, tmp_path: Path) -> None:
    """Without an answer of the cloud there is nothing to approve by."""
    a_policy_file(tmp_path, TWO)
    a_history(tmp_path, *FAIR)
    env = {**at(cloud), "REAPER_ENDPOINT": "http://127.0.0.1:9"}
    ran = fc_reaper("approve", "--yes", "--history", "history.jsonl", env=env, cwd=tmp_path)
    assert (ran.code, approved(tmp_path)) == (3, [])


def test_a_broken_lock_is_written_anew(cloud: Emulator, tmp_path: Path) -> None:
    """It approved nothing, so nothing of it stays; which exemptions were in it nobody can compare."""
    (tmp_path / "policy.lock").write_text("policies: [", "utf-8")
    ran = approve(cloud, tmp_path, "--yes", "--only", "runaway")
    assert (ran.code, approved(tmp_path)) == (0, ["runaway"])
    assert ran.errors[0].startswith("fc-reaper: the lock cannot be used, and is written anew: policy.lock:")


def test_a_lock_that_cannot_be_written_is_an_error(cloud: Emulator, tmp_path: Path) -> None:
    """Where and why."""
    (tmp_path / "policy.lock").mkdir()
    ran = approve(cloud, tmp_path, "--yes")
    assert (ran.code, "policy.lock: it cannot be written" in ran.err) == (2, True)


def test_the_api_s_own_history_will_do(cloud: Emulator, tmp_path: Path) -> None:
    """Without --history the records that the cloud keeps are replayed."""
    a_policy_file(tmp_path, TWO)
    ran = fc_reaper("approve", "--yes", env=at(cloud), cwd=tmp_path)
    assert ran.code == 1  # the account's only finished task succeeded after five hours
    assert approved(tmp_path) == ["cancelled"]
    assert "the cloud:" in ran.out


def test_a_policy_is_tried_alone(cloud: Emulator, tmp_path: Path) -> None:
    """What an earlier one takes today it would take once that one is not approved."""
    a_history(tmp_path, *FALSE)
    again = POLICY.partition("policies:\n")[2].replace("runaway", "shadowed").replace("2h", "150m")
    ran = approve(cloud, tmp_path, "--yes", text=POLICY + again)
    assert (ran.code, approved(tmp_path)) == (1, [])


def test_a_no_leaves_the_lock_as_it_is(cloud: Emulator, tmp_path: Path) -> None:
    """Also where a policy has changed since: put back, it is approved as before."""
    approve(cloud, tmp_path, "--yes")
    before = (tmp_path / "policy.lock").read_bytes()
    ran = approve(cloud, tmp_path, answers="n\n", text=TWO.replace("running_for: 2h", "running_for: 90m"))
    assert (ran.code, (tmp_path / "policy.lock").read_bytes()) == (1, before)


def test_an_exemption_that_is_gone_is_an_objection(cloud: Emulator, tmp_path: Path) -> None:
    """The lock must not lose it silently."""
    approve(cloud, tmp_path, "--yes")
    before = (tmp_path / "policy.lock").read_bytes()
    ran = approve(cloud, tmp_path, "--yes", text=TWO.replace("exempt: [keep-*]\n", ""))
    assert "the exemption keep-* is gone, or ends earlier, since the lock was written" in " ".join(
        ran.err.split()
    )
    assert (ran.code, (tmp_path / "policy.lock").read_bytes()) == (1, before)
