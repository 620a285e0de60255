"""Warnings of `fc-reaper check`: what is valid and yet probably not meant. A warning must be right."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.errors import Issue
from fc_reaper.evaluator.evaluate import evaluate
from fc_reaper.models import Task
from fc_reaper.policy import PolicyFile, load_policy
from fc_reaper.policy.lint import lint, overlap
from fc_reaper.rules.result import Kind
from tests.builders import AT_NOON, compiled
from tests.evaluator.small_files import files, old_tasks
from tests.evaluator.test_laws import meanings, tasks
from tests.policy.builders import a_file

ROOT = Path(__file__).parents[2]


def odd(text: str) -> list[Issue]:
    return lint(load_policy(text, source="p.yaml"))


def said(text: str) -> list[tuple[str, str | None]]:
    """Which checks warn, and of what."""
    return [(one.lint, one.path) for one in odd(text)]


DAY = 86_400_000
END = 1_796_054_400_000  # 2026-11-30T16:00:00Z
ENDS = "it ends on 2026-11-30T16:00:00Z; write a later moment if it is still needed"
ENDED = "it ended on 2026-11-30T16:00:00Z; delete it"


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (END - 7 * DAY - 1, None),
        (END - 7 * DAY, ENDS),
        (END, ENDS),
        (END + 1, ENDED),
        (END + 7 * DAY, ENDED),
        (END + 365 * DAY, ENDED),
        (0, None),
    ],
)
@pytest.mark.parametrize(
    ("place", "path"), [("top", "exempt[0].until"), ("unless", "policies[0].unless[0].until")]
)
def test_an_exemption_that_ends_is_told_from_a_week_before(
    now: int, sentence: str | None, place: str, path: str
) -> None:
    """At the moment that is given: nothing here looks at a clock."""
    entries = "[{id: job-7, until: 2026-12-01T00:00:00+08:00}, {id: vip-*}]"
    file = load_policy(
        a_file(**{place: f"exempt: {entries}" if place == "top" else entries}), source="p.yaml"
    )
    found = [(one.lint, one.path, f"{one.what}; {one.remedy}") for one in lint(file, now=now)]
    assert found == ([("exemption-ends", path, sentence)] if sentence else [])


def two(first: dict[str, str], second: dict[str, str]) -> str:
    """A file with two policies; each has what it says in place of the usual."""
    one, other = a_file(**{"name": "first", **first}), a_file(**{"name": "second", **second})
    return one + other.partition("policies:\n")[2]


MATCH, UNLESS = "policies[0].match", "policies[0].unless[0]"

ODD: list[tuple[dict[str, str], str, str]] = [
    ({"match": "{alive_for: 2h, where: tier == 'gold'}"}, "unknown-field", f"{MATCH}.where"),
    ({"match": "{alive_for: {from: max_run, at_most: 2h}}"}, "unknown-field", f"{MATCH}.alive_for.from"),
    ({"unless": "[{where: \"functionname == 'x'\"}]"}, "unknown-field", f"{UNLESS}.where"),
    (
        {"match": "{status: Running}", "keep": "{at_most: 3, per: order}"},
        "unknown-field",
        "policies[0].keep.per",
    ),
    ({"owner": "{from: team}"}, "unknown-field", "policies[0].owner"),
    ({"match": "{running_for: 25h}"}, "above-maximum", f"{MATCH}.running_for"),
    ({"match": "{queued_for: 31d}"}, "above-maximum", f"{MATCH}.queued_for"),
    ({"match": "{queued_for: 8d}", "targets": "[resize]"}, "above-maximum", f"{MATCH}.queued_for"),
    ({"match": "{alive_for: 40d}"}, "above-maximum", f"{MATCH}.alive_for"),
    ({"match": "{alive_for: 17d}", "targets": "[resize]"}, "above-maximum", f"{MATCH}.alive_for"),
    ({"match": "{running_for: 24h}"}, "above-maximum", f"{MATCH}.running_for"),
    ({"match": "{queued_for: 30d}"}, "above-maximum", f"{MATCH}.queued_for"),
    ({"match": "{alive_for: 39d}"}, "above-maximum", f"{MATCH}.alive_for"),
    ({"unless": "[{running_for: 24h}]"}, "above-maximum", f"{UNLESS}.running_for"),
    (
        {"match": "{running_for: {from: payload.most, at_most: 25h}}"},
        "above-maximum",
        f"{MATCH}.running_for.at_most",
    ),
    (
        {"match": "{running_for: {from: payload.most, at_most: 24h, else: 24h}}"},
        "above-maximum",
        f"{MATCH}.running_for.else",
    ),
    ({"match": "{retries_over: 8}"}, "above-maximum", f"{MATCH}.retries_over"),
    ({"unless": "[{retries_over: 8}]"}, "above-maximum", f"{UNLESS}.retries_over"),
    ({"match": "{running_for: 2h}"}, "native-limit", MATCH),
    ({"match": "{running_for: 2h, status: Running}", "triggers": "[timer]"}, "native-limit", MATCH),
    ({"match": "{queued_for: 2h}", "budget": "50/run", "halt_over": "99"}, "native-limit", MATCH),
    ({"match": "{queued_for: 59m59s, retries_over: 1}"}, "waits-on-purpose", f"{MATCH}.queued_for"),
    ({"match": "{queued_for: 30m}", "report": "slow"}, "waits-on-purpose", f"{MATCH}.queued_for"),
    (
        {"match": "{queued_for: {from: payload.most, at_most: 30m}}"},
        "waits-on-purpose",
        f"{MATCH}.queued_for.at_most",
    ),
    (
        {"match": "{queued_for: {from: payload.most, at_most: 2h, else: 5m}}"},
        "waits-on-purpose",
        f"{MATCH}.queued_for.else",
    ),
    ({"unless": "[{target: media/transcode@test}]"}, "spares-nothing", f"{UNLESS}.target"),
    ({"unless": "[{target: 'media/a*@*'}]"}, "spares-nothing", f"{UNLESS}.target"),
    ({"top": "exempt: [{target: media/transcode@test}]"}, "spares-nothing", "exempt[0].target"),
    ({"match": "{queued_for: 1h, status: Dequeued}"}, "never-listed", f"{MATCH}.status"),
    (
        {"match": "{status: Dequeued}", "keep": "{at_most: 3}", "targets": "[resize, media/transcode]"},
        "never-listed",
        f"{MATCH}.status",
    ),
    (
        {"match": "{queued_for: 1h, status: Dequeued}", "triggers": "[timer, task]"},
        "never-listed",
        f"{MATCH}.status",
    ),
]

SANE: list[dict[str, str]] = [
    {},
    {"match": "{running_for: 23h59m59s, id: 'job-*'}"},
    {"match": "{queued_for: 29d}", "unless": "['keep-*']"},
    {"match": "{alive_for: 38d}"},
    {"match": "{alive_for: 15d}", "targets": "[resize]"},
    {"match": "{running_for: {from: payload.most, at_most: 24h, else: 2h}}"},
    {"match": "{stopping_for: {from: payload.most, at_most: 30d, else: 20d}}"},
    {"match": "{queued_for: 8d}", "targets": "['media$transcode']", "triggers": "[alert]"},
    {"match": "{retries_over: 7}"},
    {"match": "{running_for: 2h}", "unless": "['vip-*']"},
    {"match": "{running_for: 2h}", "top": "exempt: ['vip-*']"},
    {"match": "{running_for: 2h}", "triggers": "[alert]"},
    {"match": "{running_for: 2h}", "holdout": "2%"},
    {"match": "{running_for: 1h}", "triggers": "['timer:night']"},
    {"match": "{running_for: 2h}", "report": "slow"},
    {"match": "{running_for: 2h, retries_over: 1}"},
    {"match": "{queued_for: 1h, retries_over: 1}"},
    {"unless": "[{queued_for: 5m}]"},
    {"triggers": "[task, timer]", "halt_over": "9"},
    {"match": "{queued_for: 2h, status: Enqueued}"},
    {"match": "{queued_for: 1h, status: Dequeued}", "targets": "[resize]"},
    {"match": "{status: Dequeued, id: 'job-*'}", "triggers": "[task]"},
    {"targets": "['media/*@*']", "unless": "[{target: media/transcode@prod}]"},
    {"targets": "['media$*@*']", "unless": "[{target: media/transcode@prod}]"},
    {"match": "{alive_for: 2h, where: payload.vip}", "unless": "[{where: payload.a == 'b'}]"},
    {"match": "{alive_for: 2h, where: ages.queued_for > `5`}"},
    {"match": "{status: [Enqueued, Running]}", "keep": "{at_most: 1, per: payload.order_id}"},
]


@pytest.mark.parametrize(("keys", "name", "path"), ODD, ids=[str(keys) for keys, _, _ in ODD])
def test_what_is_odd_is_told_where_it_stands(keys: dict[str, str], name: str, path: str) -> None:
    """The check that warns, and the path; nothing else is said."""
    (found,) = odd(a_file(**keys))
    assert (found.lint, found.path) == (name, path)
    assert found.what
    assert found.remedy


@pytest.mark.parametrize("keys", SANE, ids=map(str, SANE))
def test_a_sane_policy_is_left_alone(keys: dict[str, str]) -> None:
    """A false alarm would teach people not to look."""
    assert odd(a_file(**keys)) == []


@pytest.mark.parametrize("path", [ROOT / "policy.yaml", ROOT / "src/fc_reaper/cli/demo_policy.yaml"])
def test_the_policies_of_this_project_are_sane(path: Path) -> None:
    """No one starts from a file with warnings."""
    assert odd(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("first", "second", "beaten"),
    [
        ({}, {}, True),
        ({}, {"unless": "[x]"}, True),
        ({"unless": "[x]"}, {}, False),
        ({"unless": "[x]"}, {"unless": "[x, y]"}, True),
        ({}, {"match": "{alive_for: 3h}"}, False),
        ({}, {"targets": "[media/x]"}, False),
        ({"report": "slow"}, {}, False),
        ({}, {"report": "slow"}, True),
        ({"report": "slow"}, {"report": "slower"}, True),
        ({"triggers": "[timer]"}, {}, False),
        ({"triggers": "[timer, alert]"}, {"triggers": "[alert]"}, True),
        ({"keep": "{at_most: 3}"}, {}, False),
        ({}, {"keep": "{at_most: 3}"}, True),
    ],
)
def test_a_policy_in_the_shadow_of_an_earlier_one(
    first: dict[str, str], second: dict[str, str], beaten: bool
) -> None:
    """Of the same targets and match; the earlier claims at least as much."""
    assert said(two(first, second)) == ([("always-beaten", "policies[1]")] if beaten else [])


@pytest.mark.parametrize("api_version", ["2016-08-15", "2023-03-30"])
def test_the_other_apis_list_what_is_dequeued(api_version: str) -> None:
    """The warning is about the setting, and is gone with it."""
    text = a_file(match="{queued_for: 1h, status: Dequeued}")
    assert lint(load_policy(text, source="p.yaml"), api_version) == []


def test_a_line_is_that_of_the_key_itself() -> None:
    """Also where a matcher is written over several lines."""
    text = a_file(
        match="\n      status: Running\n      running_for: 25h", unless="\n    - id: x\n      where: tier"
    )
    found = [(one.path, text.splitlines()[(one.line or 0) - 1].strip()) for one in odd(text)]
    assert found == [(f"{MATCH}.running_for", "running_for: 25h"), (f"{UNLESS}.where", "where: tier")]


@pytest.mark.parametrize(("name", "meant"), [("functionname", "functionName"), ("tier", "payload.tier")])
def test_a_name_that_no_record_has_is_told_what_is_meant(name: str, meant: str) -> None:
    """A slip of the pen, a field of the payload."""
    (found,) = odd(a_file(match=f"{{alive_for: 2h, where: \"{name} == 'x'\"}}"))
    assert meant in found.remedy


GLOBS = st.text(alphabet="ab*?", max_size=4)
TEXTS = ["".join(letters) for size in range(7) for letters in product("abc", repeat=size)]


@given(GLOBS, GLOBS)
def test_a_name_is_compared_exactly_and_two_patterns_are_left_open(one: str, other: str) -> None:
    """As all texts up to six letters say, of which one is in no pattern."""
    meet = any(fnmatchcase(text, one) and fnmatchcase(text, other) for text in TEXTS)
    both_patterns = all("*" in glob or "?" in glob for glob in (one, other))
    assert overlap(one, other) == (meet or both_patterns)


@given(files(), tasks() | old_tasks(), meanings)
def test_no_warning_is_refuted_by_any_task(file: PolicyFile, task: Task, meaning: str) -> None:
    """What never matches is never due, reported or selected; what is beaten never has the last word."""
    for found in lint(file):
        path = found.path or ""
        if found.lint != "always-beaten" and "the policy never matches" not in found.what:
            continue
        policy = file.policies[int(path[len("policies[")])]
        whole = file if found.lint == "always-beaten" else file.only(policy)
        verdict = evaluate(task, compiled(whole, started_time=meaning), AT_NOON)
        assert verdict.policy != policy.name or verdict.kind not in (Kind.DUE, Kind.REPORTED)
        assert not any(one.selectable and one.policy == policy.name for one in verdict.members)
