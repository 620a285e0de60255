"""An incident: a plan without a policy file, by the rules of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fc_reaper.policy import load_policy
from fc_reaper.policy.lock import dump_lock, lock_of
from fc_reaper.rules.rules import RULES
from tests.cli.command import a_policy_file, at, fc_reaper
from tests.cli.plans import a_plan, became, carried_out, edited
from tests.emulator_server import Emulator, running_emulator
from tests.run.account import policy, seeded, stopped

TARGET = ("--target", "media/transcode@prod")
BAD_DEPLOY = (*TARGET, "--running-for", "1h", "--reason", "bad deploy", "--max", "5000")


def test_it_stops_what_the_options_say_and_spares_what_the_policy_file_spares(
    cloud: Emulator, folder: Path
) -> None:
    """`exempt` is above an incident, `unless` of another policy is not."""
    shown = fc_reaper("plan", *BAD_DEPLOY, env=at(cloud), cwd=folder)
    assert "incident: bad deploy" in shown.text
    assert "4 would be stopped" in shown.text
    ran = carried_out(cloud, a_plan(cloud, folder, *BAD_DEPLOY))
    assert stopped(cloud) == {"over-1", "over-2", "over-3", "vip-1"}
    assert ran.code == 0


def test_the_plan_holds_the_whole_policy_and_no_payload(tmp_path: Path) -> None:
    """Line by line, so that it can be reviewed; also when an expression read the payload."""
    secret = {"tier": "bulk", "token": "hush"}
    seed = {"invocations": [seeded("job-1", "Running", enqueued="-5h", payload=secret)]}
    where = ("--where", "payload.tier == 'bulk'")
    with running_emulator(seed=seed) as cloud:
        text = a_plan(cloud, tmp_path, *BAD_DEPLOY, *where).read_text("utf-8")
    whole = json.loads(text)
    assert whole["policy"]["source"] == "incident"
    assert "  stop: bad deploy" in whole["policy"]["text"]
    assert [task["invocation_id"] for task in whole["tasks"]] == ["job-1"]
    assert "hush" not in text


def test_without_a_policy_file_nothing_is_exempt(cloud: Emulator, tmp_path: Path) -> None:
    """An incident needs none; that is said, and stands in the plan."""
    ran = fc_reaper("plan", *BAD_DEPLOY, "--out", "plan.json", env=at(cloud), cwd=tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text("utf-8"))
    assert "keep-1" in {task["invocation_id"] for task in plan["tasks"]}
    assert plan["policy"]["exempt_from"] is None
    assert ran.errors == ["fc-reaper: no policy file, so nothing is exempt"]


def test_the_plan_names_the_file_whose_exemptions_are_in_it(cloud: Emulator, folder: Path) -> None:
    """So that a reviewer knows where they came from."""
    plan = json.loads(a_plan(cloud, folder, *BAD_DEPLOY).read_text("utf-8"))
    assert plan["policy"]["exempt_from"] == "policy.yaml"


def test_a_pattern_that_may_mean_the_reaper_is_refused_before_the_plan_is_reviewed(
    cloud: Emulator, tmp_path: Path
) -> None:
    """Not only when it is carried out."""
    args = ("--target", "media/*@prod", *BAD_DEPLOY[2:])
    ran = fc_reaper("plan", *args, env=at(cloud), cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "target media/*@prod may mean the reaper itself" in ran.err
    assert "set REAPER_SELF to [service/]function" in ran.err
    known = fc_reaper("plan", *args, env=at(cloud, REAPER_SELF="ops/reaper"), cwd=tmp_path)
    assert "5 would be stopped" in known.text


def test_a_policy_file_that_was_named_or_is_broken_is_an_error(cloud: Emulator, tmp_path: Path) -> None:
    """It may hold exemptions."""
    named = fc_reaper("plan", *BAD_DEPLOY, "--policy", "other.yaml", env=at(cloud), cwd=tmp_path)
    a_policy_file(tmp_path, "version: 2\n")
    broken = fc_reaper("plan", *BAD_DEPLOY, env=at(cloud), cwd=tmp_path)
    assert (named.code, broken.code) == (2, 2)
    assert "other.yaml: there is no such file" in named.err
    assert "policy.yaml:1: version" in broken.err


def test_what_became_exempt_after_the_plan_is_spared(cloud: Emulator, tmp_path: Path) -> None:
    """What the policy file spares now, and what it spared then."""
    a_policy_file(tmp_path, policy().replace("[keep-*]", "[vip-*]"))
    plan = a_plan(cloud, tmp_path, *BAD_DEPLOY)
    a_policy_file(tmp_path, policy().replace("[keep-*]", "[keep-*, over-1]"))
    ran = carried_out(cloud, plan, "--json")
    assert stopped(cloud) == {"over-2", "over-3"}
    assert became(ran)["over-1"] == "not_due"
    assert became(ran)["keep-1"] == "not_due"


def test_an_exemption_that_only_the_lock_has_holds_and_is_named(cloud: Emulator, tmp_path: Path) -> None:
    """An incident needs no approval, yet it does not stop what an approved policy spared."""
    file = load_policy(policy(), source="policy.yaml")
    a_policy_file(tmp_path, policy().replace("[keep-*]", "[vip-*]"))
    (tmp_path / "policy.lock").write_text(dump_lock(lock_of(file, "2026-11-20")), encoding="utf-8")
    planned = fc_reaper("plan", *BAD_DEPLOY, "--out", "plan.json", env=at(cloud), cwd=tmp_path)
    assert planned.errors == [
        "fc-reaper: policy.lock spares keep-*, the policy does not any more; it is spared here"
    ]
    carried_out(cloud, tmp_path / "plan.json")
    assert stopped(cloud) == {"over-1", "over-2", "over-3"}


def test_an_exemption_that_ends_earlier_than_in_the_lock_holds_as_long_as_there(
    cloud: Emulator, tmp_path: Path
) -> None:
    """One that ends later is spared by the policy, and nothing is to be said."""
    entry = "[{id: keep-*, until: 2098-01-01T00:00:00Z}]"
    file = load_policy(policy().replace("[keep-*]", entry), source="policy.yaml")
    (tmp_path / "policy.lock").write_text(dump_lock(lock_of(file, "2026-11-20")), encoding="utf-8")
    for year, said in (("2099", []), ("2020", ["keep-* until 2098-01-01T00:00:00Z"])):
        a_policy_file(tmp_path, policy().replace("[keep-*]", entry.replace("2098", year)))
        planned = fc_reaper("plan", *BAD_DEPLOY, "--out", f"{year}.json", env=at(cloud), cwd=tmp_path)
        spares = "fc-reaper: policy.lock spares {}, the policy does not any more; it is spared here"
        assert planned.errors == [spares.format(one) for one in said]
        plan = json.loads((tmp_path / f"{year}.json").read_text("utf-8"))
        assert "keep-1" not in {task["invocation_id"] for task in plan["tasks"]}


def test_its_budget_is_its_own_and_an_apply_goes_on_with_the_rest(tmp_path: Path) -> None:
    """--max of the plan is the budget of each apply."""
    seed = {"invocations": [seeded("job-{n}", "Running", count=7, enqueued="-5h")]}
    with running_emulator("--stopping", "0ms", seed=seed) as cloud:
        args = (*TARGET, "--alive-for", "10m", "--reason", "bad deploy", "--max", "5")
        plan = a_plan(cloud, tmp_path, *args)
        codes = [carried_out(cloud, plan).code for _ in range(2)]
        assert len(stopped(cloud)) == 7
    assert codes == [1, 0]


def test_the_reaper_never_stops_itself(cloud: Emulator, tmp_path: Path) -> None:
    """Neither in an incident."""
    ran = fc_reaper("plan", *BAD_DEPLOY, env=at(cloud, REAPER_SELF="media/transcode"), cwd=tmp_path)
    assert "Nothing is due" in ran.out


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan["policy"]["text"].append("# a comment"),
        lambda plan: plan["policy"].update(
            text=[line.replace("1h", "1m") for line in plan["policy"]["text"]]
        ),
    ],
    ids=["a comment", "a limit"],
)
def test_a_policy_that_was_edited_in_the_plan_is_refused(change: Any, cloud: Emulator, folder: Path) -> None:
    """Letter by letter."""
    ran = carried_out(cloud, edited(a_plan(cloud, folder, *BAD_DEPLOY), change, sealed=False))
    assert ran.code == 2
    assert "was changed after it was made" in ran.err
    assert stopped(cloud) == set()


OUT = ["--out", "plan.json"]
ALL = ["--alive-for", "10m", "--reason", "bad deploy", "--max", "5"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ["--alive-for", "10m"],
            "an incident needs --target and --reason and --max as well; write: fc-reaper plan --target",
        ),
        (["--reason", "x", "--max", "3"], "needs --queued-for or"),
        ([*TARGET, "--alive-for", "10m", *OUT], "an incident needs --reason and --max as well"),
        (
            TARGET,
            "needs --queued-for or --running-for or --alive-for or --stopping-for or --retries-over as well",
        ),
        (["event.json", *TARGET, *ALL], "cannot stand beside an EVENT: an incident has its own policy"),
        ([*TARGET, *ALL, "--alive-for", "10"], "--alive-for: 10 has no unit"),
        ([*TARGET, *ALL, "--status", "running"], "over; did you mean Running?"),
        ([*TARGET, *ALL, "--id", "a[b]"], "--id: 'a[b]' cannot be used"),
        ([*TARGET, *ALL, "--where", "payload."], "--where: it is no JMESPath"),
        (["--target", "a/b/c", *ALL], "--target: 'a/b/c' is not a target"),
        ([*TARGET, *ALL, "--reason", " "], "--reason: "),
        ([*TARGET, *ALL, "--queued-for", "1h", "--running-for", "1h"], "no task can fit"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_options_that_make_no_incident_are_refused_with_what_to_write(
    args: list[str], said: str, cloud: Emulator, tmp_path: Path
) -> None:
    """Exit 2, before any call."""
    ran = fc_reaper("plan", *args, env=at(cloud), cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_all_that_is_wrong_with_the_options_is_said_at_once(tmp_path: Path) -> None:
    """And nothing is said of what was not given."""
    wrong = ("--target", "a/b/c", "--alive-for", "10", "--status", "Failed", "--where", "payload.")
    ran = fc_reaper("plan", *wrong, "--reason", "x", "--max", "3", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    flags = {line.split(" ")[1] for line in ran.errors}
    assert flags == {"--target:", "--status:", "--alive-for:", "--where:"}


def test_what_is_missing_is_said_before_what_is_wrong(tmp_path: Path) -> None:
    """All of it in one line, with an example; an event beside the options is said first."""
    ran = fc_reaper("plan", "--target", "a/b/c", "--out", "p.json", cwd=tmp_path)
    assert ran.code == 2
    (line,) = ran.errors
    assert "--retries-over and --reason and --max as well; write: fc-reaper plan" in line
    ran = fc_reaper("plan", "event.json", "--target", "a/b/c", cwd=tmp_path)
    assert (ran.code, "cannot stand beside an EVENT" in ran.err) == (2, True)


def test_a_number_below_one_is_no_maximum(tmp_path: Path) -> None:
    """Usage, exit 2."""
    assert fc_reaper("plan", *TARGET, *ALL, "--max", "0", cwd=tmp_path).code == 2


def test_the_policy_is_made_by_all_rules_of_one(cloud: Emulator, folder: Path) -> None:
    """Each option has its key, and what the policy file spares stands in `exempt`."""
    args = (
        *("--target", "media/transcode@7", "--target", "resize", "--alive-for", "10m", "--status", "Running"),
        *("--id", "a-*", "--id", "b-*", "--where", "payload.tier == 'bulk'", "--retries-over", "3"),
        *("--reason", "yes: #1 'bad' deploy", "--max", "5000"),
    )
    plan = json.loads(a_plan(cloud, folder, *args).read_text("utf-8"))
    expected = """\
version: 1
exempt: [keep-*]
policies:
  - name: incident
    targets: [media/transcode@7, resize]
    match: {status: Running, id: [a-*, b-*], alive_for: 10m, retries_over: 3, where: "payload.tier == 'bulk'"}
    stop: "yes: #1 'bad' deploy"
    budget: 5000/run
"""
    assert load_policy("\n".join(plan["policy"]["text"]), source="x") == load_policy(expected, source="x")


def test_every_key_of_a_match_is_an_option() -> None:
    """They come from the registry of the rules."""
    words = fc_reaper("plan", "--help").out.split()
    for key, rule in RULES.items():
        assert (f"--{key.replace('_', '-')}" in words) == (rule.in_match or key == "target")
