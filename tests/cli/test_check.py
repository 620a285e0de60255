"""`fc-reaper check`: what a policy means and costs, without a cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fc_reaper.policy import load_policy
from fc_reaper.policy.lock import dump_lock, lock_of
from tests.cli.command import a_policy_file, environment, fc_reaper
from tests.emulator_server import running_emulator
from tests.reaping import reap
from tests.run.account import operations, seeded

NO_CLOUD = environment(REAPER_ENDPOINT="http://127.0.0.1:9")


def test_a_valid_policy_is_summed_up_in_80_columns_without_colour(folder: Path) -> None:
    """Exit 0; nothing on standard error; no credentials are needed."""
    ran = fc_reaper("check", env=NO_CLOUD, cwd=folder)
    assert (ran.code, ran.err) == (0, "")
    assert "policy.yaml is valid: 1 policy, 1 exemption" in ran.out
    assert "media/transcode@prod" in ran.out
    assert "\x1b" not in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_every_finding_has_its_own_line(tmp_path: Path) -> None:
    """`FILE:LINE: path: what; remedy` on standard error, exit 2, and with --json the same as values."""
    wrong = (
        "version: 1\npolicies:\n  - name: x\n    targets: [a/b]\n    match: {alivefor: 2h}\n    stopp: no\n"
    )
    a_policy_file(tmp_path, wrong)
    ran = fc_reaper("check", "policy.yaml", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.errors) >= 2
    assert all(line.startswith("policy.yaml:") for line in ran.errors)
    found = fc_reaper("check", "policy.yaml", "--json", cwd=tmp_path)
    assert found.code == 2
    assert [one["text"] for one in found.json["findings"]] == ran.errors
    assert found.json["findings"][0] == {
        "file": "policy.yaml",
        "line": 5,
        "path": "policies[0].match.alivefor",
        "cause": "`match` has no such key",
        "remedy": "did you mean alive_for?",
        "lint": None,
        "text": ran.errors[0],
    }


def commands(lines: list[str]) -> list[tuple[str, dict[str, str], str]]:
    """Workflow commands as GitHub's runner reads them: the name, the properties, the message.

    https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
    """

    def decoded(text: str, escapes: str = "%0D %0A") -> str:
        for escape in [*escapes.split(), "%25"]:
            text = text.replace(escape, chr(int(escape[1:], 16)))
        return text

    found = []
    for line in lines:
        assert line.startswith("::")
        head, _, message = line[2:].partition("::")
        name, _, properties = head.partition(" ")
        pairs = (one.partition("=") for one in properties.split(",") if one)
        found.append(
            (name, {key: decoded(value, "%0D %0A %3A %2C") for key, _, value in pairs}, decoded(message))
        )
    return found


def test_for_github_every_finding_is_an_annotation_at_its_line(tmp_path: Path) -> None:
    """Whatever the names in it; the exit code is 2 as ever, and standard error is empty."""
    wrong = (
        "version: 1\npolicies:\n  - name: x\n    targets: [a]\n    match: {'a%0A::b,c': 2h}\n    stopp: n\n"
    )
    name = "pol%2C,icy:.yaml"
    (tmp_path / name).write_text(wrong, encoding="utf-8")
    ran = fc_reaper("check", name, "--format", "github", cwd=tmp_path)
    assert (ran.code, ran.err) == (2, "")
    shown = fc_reaper("check", name, "--json", cwd=tmp_path).json["findings"]
    assert len(shown) >= 2
    assert commands(ran.out.splitlines()) == [
        ("error", {"file": name, "line": str(one["line"]), "title": one["path"]}, one["text"])
        for one in shown
    ]
    missing = fc_reaper("check", "nope.yaml", "--format", "github", cwd=tmp_path)
    ((kind, place, text),) = commands(missing.out.splitlines())
    assert (missing.code, kind, place) == (2, "error", {"file": "nope.yaml"})
    assert text.startswith("nope.yaml: there is no such file")


def test_for_github_warnings_are_annotations_and_no_name_is_a_command(tmp_path: Path) -> None:
    """The tables stand between stop-commands and its token, which differs from run to run."""
    text = a_file("\n      running_for: 25h").replace("name: one", 'name: "::error::x ##[add-mask]y"')
    a_policy_file(tmp_path, text)
    tokens = set()
    for _ in range(2):
        ran = fc_reaper("check", "--format", "github", cwd=tmp_path)
        assert (ran.code, ran.err) == (0, "")
        first, *lines = ran.out.splitlines()
        token = first.removeprefix("::stop-commands::")
        end = lines.index(f"::{token}::")
        assert "policy.yaml is valid: 1 policy." in lines[:end]
        assert any("##[add-mask]y" in line for line in lines[:end])
        ((kind, place, message),) = commands(lines[end + 1 :])
        assert (kind, place) == ("warning", {"file": "policy.yaml", "line": "6", "title": "above-maximum"})
        assert message.startswith("policy.yaml:6: policies[0].match.running_for: ")
        tokens.add(token)
    assert len(tokens) == 2
    assert all(len(token) == 32 for token in tokens)


def test_for_github_what_the_lock_does_not_approve_is_a_warning_at_its_policy(tmp_path: Path) -> None:
    """The reviewer sees at the line that this change only reports until it is approved."""
    text = a_file("{running_for: 2h}")
    a_policy_file(tmp_path, text.replace("2h", "6h"))
    approved = dump_lock(lock_of(load_policy(text, source="policy.yaml"), "2026-11-01"))
    (tmp_path / "policy.lock").write_text(approved, encoding="utf-8")
    ran = fc_reaper("check", "--format", "github", cwd=tmp_path)
    lines = ran.out.splitlines()
    kind, place, message = commands(lines[lines.index(lines[0].replace("stop-commands::", "") + "::") + 1 :])[
        0
    ]
    assert (ran.code, kind) == (0, "warning")
    assert place == {"file": "policy.yaml", "line": "3", "title": "policies[0]"}
    assert (
        "it only reports: it was changed since it was approved on 2026-11-01; look at the change" in message
    )


def test_one_form_of_output_is_chosen(folder: Path) -> None:
    ran = fc_reaper("check", "--json", "--format", "github", cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert "exclude each other; choose one" in ran.err


def test_a_file_that_is_not_there_has_no_line(tmp_path: Path) -> None:
    """Nor has one of which no word could be read."""
    for name in ("missing.yaml", "bytes.yaml"):
        (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
        ran = fc_reaper("check", name, "--json", cwd=tmp_path)
        (finding,) = ran.json["findings"]
        assert (ran.code, finding["file"], finding["line"], finding["path"]) == (2, name, None, None)
        assert finding["cause"]
        assert finding["remedy"]
        assert finding["text"] == ran.errors[0]


def test_a_failing_example_is_a_finding_like_any_other(tmp_path: Path) -> None:
    """The examples are run without a cloud."""
    more = "    examples:\n      - {given: {running_for: 1h}, expect: stop}\n"
    a_policy_file(tmp_path, a_file("{running_for: 2h}", more=more))
    ran = fc_reaper("check", "--json", cwd=tmp_path)
    (finding,) = ran.json["findings"]
    assert (ran.code, finding["line"], finding["path"]) == (2, 8, "policies[0].examples[0]")


def test_warnings_have_their_place_and_do_not_spoil_the_exit_code(tmp_path: Path) -> None:
    """On standard error as text, with --json as values."""
    a_policy_file(tmp_path, a_file("\n      running_for: 25h"))
    ran = fc_reaper("check", cwd=tmp_path)
    (line,) = ran.errors
    assert line.startswith("policy.yaml:6: policies[0].match.running_for: no running_for gets beyond 1d")
    assert line.endswith("(a warning)")
    printed = fc_reaper("check", "--json", cwd=tmp_path)
    (warning,) = printed.json["warnings"]
    assert (ran.code, printed.code, printed.errors) == (0, 0, ran.errors)
    assert f"{warning['text']} (a warning)" == line
    assert warning["lint"] == "above-maximum"
    assert warning["text"] == (f"policy.yaml:6: {warning['path']}: {warning['cause']}; {warning['remedy']}")


@pytest.mark.parametrize(
    ("match", "more", "why"),
    [
        ("{running_for: 2h}", "", []),
        ("{alive_for: 2h}", "", ["REAPER_STARTED_TIME=enqueue"]),
        (
            "{alive_for: {from: payload.most, at_most: 2h}}",
            "",
            ["its own limit", "`payload.most` reads payloads"],
        ),
        ("{running_for: 2h, where: payload.x}", "", ["up to 128 KB each: 25 tasks a call, not 100"]),
        ("{running_for: 2h, where: ages.running_for > `5`}", "", []),
        ("{status: Running}", "    keep: {at_most: 3}\n", ["must see all"]),
        ("{running_for: 2h}", "    budget: 9/day\n", []),
        ("{status: Running, retries_over: 2}", "", ["No listing can filter by that"]),
        ("{status: Running}", "    triggers: [task]\n", []),
        ("{id: 'j*', where: payload.x}", "    triggers: [task]\n", ["`payload.x` reads payloads"]),
    ],
)
def test_the_cost_says_why(match: str, more: str, why: list[str], tmp_path: Path) -> None:
    """What keeps a listing from being filtered, and what is carried along."""
    cost = cost_in(tmp_path, a_file(match, more=more))
    assert cost["payload"] == any("payload" in words or "128 KB" in words for words in why)
    assert len(cost["why"]) == len(why)
    for sentence, words in zip(cost["why"], why, strict=True):
        assert words in sentence


def test_all_that_a_policy_may_say_is_told_in_80_columns(tmp_path: Path) -> None:
    """Group, budgets, share, and why it costs what it costs."""
    more = (
        "    keep: {at_most: 1, per: payload.order_id, stop_first: oldest}\n"
        "    budget: 20/run, 200/day\n    holdout: 0.25%\n    halt_over: 100\n"
    )
    a_policy_file(tmp_path, a_file("{status: [Enqueued, Running]}", more=more))
    ran = fc_reaper("check", cwd=tmp_path)
    for words in ("payload.order_id", "oldest go first", "20/run", "200/day", "0.25% held out", "over 100"):
        assert words in ran.text
    assert max(map(len, ran.out.splitlines())) <= 80


def test_a_lock_beside_the_policy_is_mentioned(folder: Path) -> None:
    """What it does not approve only reports; without a lock nothing is said."""
    assert "only reports" not in fc_reaper("check", cwd=folder).text
    (folder / "policy.lock").write_text("version: 1\nexempt: []\npolicies: []\n", encoding="utf-8")
    assert "runaway only reports: it is not in policy.lock" in fc_reaper("check", cwd=folder).text
    assert list(fc_reaper("check", "--json", cwd=folder).json["not_approved"]) == ["runaway"]


def test_the_file_may_be_named_in_three_ways(tmp_path: Path) -> None:
    """As the argument, by --policy, by REAPER_POLICY; messages call it as it was written."""
    path = a_policy_file(tmp_path).rename(tmp_path / "other.yaml")
    for ran in (
        fc_reaper("check", "other.yaml", cwd=tmp_path),
        fc_reaper("check", "--policy", "other.yaml", cwd=tmp_path),
        fc_reaper("check", env=environment(REAPER_POLICY="other.yaml"), cwd=tmp_path),
    ):
        assert (ran.code, ran.out.splitlines()[0].split()[0]) == (0, path.name)


def test_of_two_files_none_is_checked(tmp_path: Path) -> None:
    """The second would be taken for checked; one line says what to write."""
    a_policy_file(tmp_path)
    ran = fc_reaper("check", "policy.yaml", "--policy", "other.yaml", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.errors
    assert "check takes one policy; write: fc-reaper check policy.yaml" in line


def cost_in(folder: Path, text: str, **settings: str) -> Any:
    """The cost of the one policy of a file, as `check --json` prints it."""
    a_policy_file(folder, text)
    (policy,) = fc_reaper("check", "--json", env=environment(**settings), cwd=folder).json["policies"]
    return policy["cost"]


def a_file(match: str, targets: str = "[media/transcode@prod]", more: str = "") -> str:
    return (
        f"version: 1\npolicies:\n  - name: one\n    targets: {targets}\n"
        f"    match: {match}\n    stop: why\n{more}"
    )


@pytest.mark.parametrize(
    ("match", "started_time", "lists"),
    [
        ("{running_for: 2h}", "unknown", ["Running started 2h ago"]),
        ("{running_for: 2h, id: 'a-*'}", "unknown", ["Running with ids that begin with a- started 2h ago"]),
        ("{alive_for: 2h}", "unknown", ["Enqueued", "Dequeued", "Running", "Retrying"]),
        ("{queued_for: 2h}", "enqueue", ["Enqueued started 2h ago", "Dequeued started 2h ago"]),
        ("{queued_for: 2h}", "unknown", ["Enqueued", "Dequeued"]),
        ("{stopping_for: 5m}", "unknown", ["Stopping"]),
        ("{retries_over: 3, status: Retrying}", "unknown", ["Retrying"]),
    ],
)
def test_the_cost_follows_what_can_be_asked_of_a_list(
    match: str, started_time: str, lists: list[str], tmp_path: Path
) -> None:
    """Whatever is pushed down makes calls follow what is overdue."""
    cost = cost_in(tmp_path, a_file(match), REAPER_STARTED_TIME=started_time)
    assert cost["lists"] == lists
    assert cost["calls_follow"] == ("what is overdue" if "ago" in lists[0] else "what is alive")


def test_the_limit_that_is_told_is_the_policy_s_own(tmp_path: Path) -> None:
    """The question to the cloud is a second weaker; people read 2h."""
    a_policy_file(tmp_path, a_file("{running_for: 2h}"))
    ran = fc_reaper("check", cwd=tmp_path)
    assert "Running started 2h ago what is overdue" in ran.text
    assert "While nothing is alive, a run by a timer takes 2 calls" in ran.text


def test_ten_literal_targets_and_one_limit_take_twenty_calls_when_idle(tmp_path: Path) -> None:
    """Running and Stopping, once for each function."""
    targets = "[" + ", ".join(f"media/f{number}" for number in range(10)) + "]"
    a_policy_file(tmp_path, a_file("{running_for: 2h}", targets))
    assert fc_reaper("check", "--json", cwd=tmp_path).json["idle_calls"] == 20


@pytest.mark.parametrize(
    ("keys", "idle"),
    [
        ("", 2),
        ("    triggers: [timer]\n", 2),
        ("    triggers: [alert]\n", 1),
        ("    triggers: ['timer:morning']\n", 1),
    ],
)
def test_idle_calls_are_those_that_a_timer_s_run_makes(keys: str, idle: int, tmp_path: Path) -> None:
    """As the cloud counts them; a policy that no timer runs costs only the listing of what is stuck."""
    text = a_file("{running_for: 2h}", more=keys)
    a_policy_file(tmp_path, text)
    assert fc_reaper("check", "--json", cwd=tmp_path).json["idle_calls"] == idle
    with running_emulator(
        seed={"invocations": [seeded("done-1", "Succeeded", enqueued="-9h", ends="-4h")]}
    ) as idle_account:
        reap(idle_account.endpoint, text, {"triggerTime": "", "triggerName": "another", "payload": ""})
        assert sum(operations(idle_account).values()) == idle


@pytest.mark.parametrize(
    ("version", "target", "refused"),
    [
        ("2021-04-06", "media/transcode", True),
        ("2016-08-15", "media/transcode", False),
        ("2021-04-06", "resize", False),
    ],
)
def test_it_is_told_what_the_api_does_not_list(
    version: str, target: str, refused: bool, tmp_path: Path
) -> None:
    """Dequeued tasks of FC 2.0, except by its oldest API."""
    a_policy_file(tmp_path, a_file("{queued_for: 1h}", f"[{target}]"))
    ran = fc_reaper("check", env=environment(REAPER_API_VERSION=version), cwd=tmp_path)
    assert ("does not list Dequeued tasks" in ran.text) == refused


def test_patterns_are_told_to_need_discovery(tmp_path: Path) -> None:
    """It takes calls of its own."""
    a_policy_file(tmp_path, a_file("{running_for: 2h}", "['media/*', resize@*]"))
    assert "Patterns: once a run the functions in task mode" in fc_reaper("check", cwd=tmp_path).text


def test_a_policy_that_only_named_tasks_run_lists_only_what_is_stuck(tmp_path: Path) -> None:
    """Its calls follow events."""
    a_policy_file(tmp_path, a_file("{status: Running}", more="    triggers: [task]\n"))
    ran = fc_reaper("check", "--json", cwd=tmp_path)
    assert ran.json["idle_calls"] == 1
    assert ran.json["policies"][0]["cost"]["calls_follow"] == "events"
