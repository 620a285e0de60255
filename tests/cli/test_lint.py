"""Warnings of `fc-reaper check`: what is valid and yet probably not meant. A warning must be right."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.cli.checking.lint import beaten, never, said_twice, unanswered, unlisted, warnings
from fc_reaper.cli.checking.lint.patterns import contains, overlap
from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.evaluator.evaluate import evaluate
from fc_reaper.evaluator.verdict import Kind
from fc_reaper.models import Task
from fc_reaper.policy import Policy, PolicyFile, load_policy
from tests.builders import NOON, rules
from tests.evaluator.small_files import files, old_tasks
from tests.evaluator.test_laws import meanings, tasks
from tests.policy.builders import a_file

ROOT = Path(__file__).parents[2]


def odd(text: str) -> list[Remark]:
    return warnings(load_policy(text, source="p.yaml"), text)


def said(text: str) -> list[tuple[str, str | None]]:
    """Which checks warn, and of what."""
    return [(one.lint, one.path) for one in odd(text)]


def two(first: dict[str, str], second: dict[str, str], exempt: str = "") -> str:
    """A file with two policies; each has what it says in place of the usual."""
    one, other = a_file(**{"name": "first", **first}), a_file(**{"name": "second", **second})
    top = f"exempt: {exempt}\n" if exempt else ""
    return one.replace("policies:", f"{top}policies:") + other.partition("policies:\n")[2]


NATIVE = "native-limit"
MATCH, UNLESS = "policies[0].match", "policies[0].unless[0]"

ODD: list[tuple[dict[str, str], list[tuple[str, str]]]] = [
    # nothing is left that could be due
    ({"unless": "['*']"}, [(never.NAME, UNLESS)]),
    ({"match": "{id: 'job-*', alive_for: 2h}", "unless": "['j*']"}, [(never.NAME, UNLESS)]),
    ({"match": "{id: [job-1, job-2], alive_for: 2h}", "unless": "[job-1, job-2]"}, [(never.NAME, MATCH)]),
    ({"unless": "[{alive_for: 2h}]"}, [(never.NAME, UNLESS)]),
    ({"unless": "[{alive_for: 1h}]"}, [(never.NAME, UNLESS)]),
    ({"match": "{running_for: 2h}", "unless": "[{running_for: 1h}]"}, [(never.NAME, UNLESS)]),
    ({"match": "{running_for: 2h}", "unless": "[{alive_for: 1h}]"}, [(never.NAME, UNLESS)]),
    ({"match": "{retries_over: 3}", "unless": "[{retries_over: 3}]"}, [(never.NAME, UNLESS)]),
    ({"unless": "[{status: [Enqueued, Dequeued, Running, Retrying]}]"}, [(never.NAME, UNLESS)]),
    (
        {"unless": "[{status: [Enqueued, Dequeued]}, {status: [Running, Retrying]}]"},
        [(never.NAME, MATCH)],
    ),
    ({"unless": "[{target: media/transcode@prod}]"}, [(never.NAME, UNLESS)]),
    ({"unless": "[{target: '*/trans*@*'}]"}, [(never.NAME, UNLESS)]),
    (
        {"match": "{alive_for: {from: payload.most, at_most: 2h}}", "unless": "[{alive_for: 2h}]"},
        [],  # a task may carry less
    ),
    (
        {"match": "{alive_for: 2h}", "unless": "[{alive_for: {from: payload.most, at_most: 2h}}]"},
        [(never.NAME, UNLESS)],
    ),
    (
        {"match": "{alive_for: 2h, where: payload.a}", "unless": "[{where: payload.a}]"},
        [(never.NAME, UNLESS)],
    ),
    # nobody can answer
    ({"match": "{alive_for: 2h, where: tier == 'gold'}"}, [(unanswered.NAME, f"{MATCH}.where")]),
    ({"match": "{alive_for: {from: max_run, at_most: 2h}}"}, [(unanswered.NAME, f"{MATCH}.alive_for.from")]),
    ({"unless": "[{where: \"functionname == 'x'\"}]"}, [(unanswered.NAME, f"{UNLESS}.where")]),
    ({"match": "{alive_for: 2h, where: ages.alive > `5`}"}, [(unanswered.NAME, f"{MATCH}.where")]),
    ({"match": "{running_for: 2h, where: ages.queued_for > `5`}"}, [(unanswered.NAME, f"{MATCH}.where")]),
    ({"match": "{alive_for: 2h, where: payload.n > '5'}"}, [(unanswered.NAME, f"{MATCH}.where")]),
    ({"match": "{alive_for: 2h, where: payload.n == `null`}"}, [(unanswered.NAME, f"{MATCH}.where")]),
    ({"match": "{alive_for: 2h, where: length(payload.items)}"}, [(unanswered.NAME, f"{MATCH}.where")]),
    ({"match": "{alive_for: 2h, where: status}"}, [(unanswered.NAME, f"{MATCH}.where")]),
    ({"match": "{alive_for: 2h, where: taskId == 'x'}"}, [(unanswered.NAME, f"{MATCH}.where")]),
    (
        {"targets": "[resize]", "match": "{alive_for: 2h, where: invocationId == 'x'}"},
        [(unanswered.NAME, f"{MATCH}.where")],
    ),
    (
        {"match": "{status: Running}", "keep": "{at_most: 3, per: order}"},
        [(unanswered.NAME, "policies[0].keep.per")],
    ),
    # more than the platform allows
    ({"match": "{running_for: 25h}"}, [("above-maximum", f"{MATCH}.running_for")]),
    ({"match": "{queued_for: 31d}"}, [("above-maximum", f"{MATCH}.queued_for")]),
    ({"match": "{queued_for: 8d}", "targets": "[resize]"}, [("above-maximum", f"{MATCH}.queued_for")]),
    (
        {"match": "{queued_for: 8d}", "targets": "[resize, media/transcode]"},
        [("above-maximum", f"{MATCH}.queued_for")],
    ),
    ({"match": "{alive_for: 40d}"}, [("above-maximum", f"{MATCH}.alive_for")]),
    ({"match": "{alive_for: 17d}", "targets": "[resize]"}, [("above-maximum", f"{MATCH}.alive_for")]),
    ({"match": "{running_for: 24h}"}, [("above-maximum", f"{MATCH}.running_for")]),
    ({"match": "{queued_for: 30d}"}, [("above-maximum", f"{MATCH}.queued_for")]),
    ({"match": "{alive_for: 39d}"}, [("above-maximum", f"{MATCH}.alive_for")]),
    ({"unless": "[{running_for: 24h}]"}, [("above-maximum", f"{UNLESS}.running_for")]),
    (
        {"match": "{running_for: {from: payload.most, at_most: 25h}}"},
        [("above-maximum", f"{MATCH}.running_for.at_most")],
    ),
    (
        {"match": "{running_for: {from: payload.most, at_most: 24h, else: 24h}}"},
        [("above-maximum", f"{MATCH}.running_for.else")],
    ),
    ({"match": "{retries_over: 8}"}, [("above-maximum", f"{MATCH}.retries_over")]),
    ({"unless": "[{retries_over: 8}]"}, [("above-maximum", f"{UNLESS}.retries_over")]),
    # the platform does it by itself
    ({"match": "{running_for: 2h}"}, [(NATIVE, MATCH)]),
    ({"match": "{running_for: 2h, status: Running}", "triggers": "[timer]"}, [(NATIVE, MATCH)]),
    ({"match": "{queued_for: 30m}", "budget": "50/run", "halt_over": "99"}, [(NATIVE, MATCH)]),
    # mercy that spares nobody
    ({"match": "{running_for: 2h}", "unless": "[{status: Retrying}]"}, [("spares-nobody", UNLESS)]),
    ({"match": "{running_for: 2h}", "unless": "[{queued_for: 1h}]"}, [("spares-nobody", UNLESS)]),
    ({"match": "{id: 'job-*', alive_for: 2h}", "unless": "['vip-*']"}, [("spares-nobody", UNLESS)]),
    ({"unless": "[{target: media/transcode}]"}, [("spares-nobody", f"{UNLESS}.target")]),
    # what something beside it says already
    ({"match": "{alive_for: 1h, running_for: 2h}"}, [(said_twice.NAME, f"{MATCH}.alive_for")]),
    ({"match": "{alive_for: 2h, queued_for: 2h}"}, [(said_twice.NAME, f"{MATCH}.alive_for")]),
    (
        {"unless": "[{alive_for: 2h, running_for: 3h}]"},
        [(said_twice.NAME, f"{UNLESS}.alive_for")],
    ),
    ({"triggers": "[timer, 'timer:a']"}, [(said_twice.NAME, "policies[0].triggers[1]")]),
    ({"triggers": "['timer:a', alert, timer]"}, [(said_twice.NAME, "policies[0].triggers[0]")]),
    ({"triggers": "[alert, timer, alert]"}, [(said_twice.NAME, "policies[0].triggers[2]")]),
    (
        {"targets": "[media/transcode, media/x, media/transcode@LATEST]"},
        [(said_twice.NAME, "policies[0].targets[2]")],
    ),
    (
        {"match": "{queued_for: 2h, status: [Enqueued, Retrying]}"},
        [(said_twice.NAME, f"{MATCH}.status")],
    ),
    ({"unless": "[{running_for: 1h, status: [Running, Stopping]}]"}, [(said_twice.NAME, f"{UNLESS}.status")]),
    # what no listing shows
    ({"match": "{queued_for: 1h, status: Dequeued}"}, [(unlisted.NAME, f"{MATCH}.status")]),
    (
        {"match": "{status: Dequeued}", "keep": "{at_most: 3}", "targets": "[resize, media/transcode]"},
        [(unlisted.NAME, f"{MATCH}.status")],
    ),
    (
        {"match": "{queued_for: 1h, status: Dequeued}", "triggers": "[timer, task]"},
        [(unlisted.NAME, f"{MATCH}.status")],
    ),
    # numbers without an effect
    ({"budget": "50/run", "halt_over": "30"}, [("no-effect", "policies[0].halt_over")]),
    ({"budget": "'50/run, 30/day'"}, [("no-effect", "policies[0].budget")]),
    ({"budget": "'20/run, 5/day'"}, [("no-effect", "policies[0].budget")]),
    ({"budget": "20/run", "halt_over": "9"}, [("no-effect", "policies[0].halt_over")]),
    (
        {"match": "{status: Running}", "keep": "{at_most: 100000}"},
        [("no-effect", "policies[0].keep.at_most")],
    ),
    ({"match": "{id: job-1}", "keep": "{at_most: 5}"}, [("no-effect", "policies[0].keep.at_most")]),
    (
        {"match": "{id: [a, b]}", "keep": "{at_most: 4}", "targets": "[media/x, media/x@prod]"},
        [("no-effect", "policies[0].keep.at_most")],
    ),
]  # fmt: skip

SANE: list[dict[str, str]] = [
    {},
    {"match": "{running_for: 23h59m59s, id: 'job-*'}"},
    {"match": "{queued_for: 29d}", "unless": "['keep-*']"},
    {"match": "{alive_for: 38d}"},
    {"match": "{alive_for: 15d}", "targets": "[resize]"},
    {"match": "{running_for: {from: payload.most, at_most: 24h, else: 2h}}"},
    {"match": "{stopping_for: {from: payload.most, at_most: 30d, else: 20d}}"},
    {"match": "{alive_for: 3h, running_for: 2h}"},
    {"match": "{alive_for: 1h, running_for: {from: payload.most, at_most: 2h}}"},
    {"match": "{alive_for: {from: payload.most, at_most: 1h}, running_for: 2h}"},
    {"triggers": "[timer, alert]"},
    {"triggers": "['timer:morning', 'timer:evening', alert]"},
    {"match": "{queued_for: 8d}", "targets": "['media$transcode']", "triggers": "[alert]"},
    {"match": "{retries_over: 7}"},
    {"match": "{running_for: 2h}", "unless": "['vip-*']"},
    {"match": "{running_for: 2h}", "triggers": "[alert]"},
    {"match": "{running_for: 2h}", "holdout": "2%"},
    {"match": "{running_for: 1h}", "triggers": "['timer:night']"},
    {"match": "{queued_for: 1h}", "triggers": "['timer:night', 'timer:noon']"},
    {"report": "slow", "holdout": "10%", "budget": "'50/run, 30/day'", "halt_over": "9"},
    {"match": "{queued_for: 1h, status: Dequeued}", "targets": "[resize]"},
    {"match": "{id: 'job-*'}", "keep": "{at_most: 5}"},
    {"match": "{id: job-1}", "keep": "{at_most: 1}", "targets": "['media/*']"},
    {"match": "{id: [a, b]}", "keep": "{at_most: 3}", "targets": "[media/x, media/x@prod]"},
    {"targets": "['media/*@*', media/transcode@prod]"},
    {"match": "{queued_for: 2h, status: Enqueued}", "unless": "['x']"},
    {"match": "{status: Dequeued, id: 'job-*'}", "triggers": "[task]"},
    {"match": "{running_for: 2h, retries_over: 1}"},
    {"match": "{running_for: 2h}", "report": "slow"},
    {"match": "{running_for: 2h}", "unless": "[{running_for: 3h}]"},
    {"match": "{alive_for: 2h}", "unless": "[{running_for: 1h}]"},
    {"match": "{alive_for: 2h}", "unless": "[{status: Enqueued}, {status: Running}]"},
    {"match": "{id: 'job-?', alive_for: 2h}", "unless": "['job-1*']"},
    {"targets": "['media/*@*']", "unless": "[{target: media/transcode@prod}]"},
    {"match": "{alive_for: 2h, where: payload.n > `5`}"},
    {"match": "{alive_for: 2h, where: payload.vip}", "unless": "[{where: payload.a == 'b'}]"},
    {"match": "{alive_for: 2h, where: ages.queued_for > `5`}"},
    {"match": "{alive_for: 2h, where: \"contains(payload.tags, 'x')\"}"},
    {"match": "{alive_for: {from: payload.most, at_most: 6h, else: 2h}}"},
    {"match": "{status: [Enqueued, Running]}", "keep": "{at_most: 1, per: payload.order_id}"},
    {"match": "{status: Running}", "triggers": "[task]"},
    {"halt_over": "10"},
    {"budget": "5/day"},
    {"budget": "5/day", "halt_over": "9"},
    {"budget": "'5/run, 5/day'"},
    {"budget": "'20/run, 200/day'", "halt_over": "100", "holdout": "2%"},
]  # fmt: skip


@pytest.mark.parametrize(("keys", "expected"), ODD, ids=[str(keys) for keys, _ in ODD])
def test_what_is_odd_is_told_where_it_stands(keys: dict[str, str], expected: list[tuple[str, str]]) -> None:
    """The check that warns, and the path; nothing else is said."""
    assert said(a_file(**keys)) == expected


@pytest.mark.parametrize("keys", SANE, ids=map(str, SANE))
def test_a_sane_policy_is_left_alone(keys: dict[str, str]) -> None:
    """A false alarm would teach people not to look."""
    assert odd(a_file(**keys)) == []


@pytest.mark.parametrize(
    "path",
    [ROOT / "policy.yaml", *sorted((ROOT / "src/fc_reaper/demo").glob("*.yaml"))],
    ids=lambda path: path.name,
)
def test_the_policies_of_this_project_are_sane(path: Path) -> None:
    """Nobody starts from a file that is warned of."""
    assert odd(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("first", "second", "exempt", "expected"),
    [
        ({}, {"match": "{alive_for: 3h}"}, "", [(beaten.NAME, "policies[1]")]),
        ({}, {"match": "{alive_for: 1h}"}, "", []),
        ({}, {"match": "{queued_for: 3h}", "unless": "['x']"}, "", [(beaten.NAME, "policies[1]")]),
        ({}, {"match": "{running_for: 3h}", "unless": "['x']"}, "", []),  # its record may lack the enqueueing
        ({"report": "slow"}, {}, "", [(beaten.NAME, "policies[0]")]),
        ({"report": "slow", "match": "{alive_for: 1h}"}, {}, "", []),
        (
            {"report": "slow"},
            {"report": "slower", "match": "{alive_for: 3h}"},
            "",
            [(beaten.NAME, "policies[1]")],
        ),
        ({"unless": "['vip-*']"}, {"match": "{alive_for: 3h}"}, "", []),
        (
            {"unless": "['vip-*']"},
            {"match": "{alive_for: 3h}", "unless": "['v*']"},
            "",
            [(beaten.NAME, "policies[1]")],
        ),
        ({"unless": "['v*']"}, {"match": "{alive_for: 3h}", "unless": "['vip-*']"}, "", []),
        (
            {"unless": "['vip-*']"},
            {"match": "{alive_for: 3h, id: 'job-*'}"},
            "",
            [(beaten.NAME, "policies[1]")],
        ),
        ({"triggers": "[timer]"}, {"match": "{alive_for: 3h}"}, "", []),
        (
            {"triggers": "[timer]"},
            {"match": "{alive_for: 3h}", "triggers": "['timer:nightly']"},
            "",
            [(beaten.NAME, "policies[1]")],
        ),
        ({}, {"match": "{alive_for: 3h}", "targets": "[media/transcode@prod, media/x]"}, "", []),
        (
            {"targets": "['media/*@*']"},
            {"match": "{alive_for: 3h}", "targets": "[media/transcode@prod, media/x]"},
            "",
            [(beaten.NAME, "policies[1]")],
        ),
        (
            {"match": "{status: Running}", "keep": "{at_most: 3}"},
            {"match": "{status: Running, retries_over: 0}"},
            "",
            [],
        ),
        (
            {"match": "{alive_for: 3h}", "keep": "{at_most: 3}"},
            {"match": "{alive_for: 2h}"},
            "",
            [(beaten.NAME, "policies[0]")],
        ),
        ({}, {"match": "{running_for: 1h}"}, "[{status: Running}]", [(never.NAME, "exempt[0]")]),
        ({}, {"match": "{running_for: 1h}"}, "['*']", [(never.NAME, "exempt[0]"), (never.NAME, "exempt[0]")]),
        (
            {},
            {"match": "{alive_for: 1h}", "targets": "[media/x]"},
            "[{target: media/x@*}]",
            [(never.NAME, "exempt[0]")],
        ),
        ({}, {"match": "{running_for: 1h}"}, "['keep-*']", []),
    ],
)  # fmt: skip
def test_two_policies_and_an_exemption(
    first: dict[str, str], second: dict[str, str], exempt: str, expected: list[tuple[str, str]]
) -> None:
    """What another policy always claims first, and what an exemption swallows."""
    assert [one for one in said(two(first, second, exempt)) if one[0] != NATIVE] == expected


def test_two_that_together_claim_all_of_a_third() -> None:
    """Neither would do alone; both are named."""
    waiting = "{status: [Enqueued, Dequeued], retries_over: 1}"
    text = two({"match": waiting}, {"match": "{status: [Running, Retrying], retries_over: 1}"})
    text += "  - {name: last, targets: [media/transcode@prod], report: x, match: {retries_over: 2}}\n"
    (remark,) = odd(text)
    assert (remark.lint, remark.path) == (beaten.NAME, "policies[2]")
    assert "first (line 4) and second (line 9) claim" in remark.cause
    assert odd(text.replace("[Running, Retrying]", "[Running]")) == []


def test_one_rival_that_does_is_named_before_two_that_do_together() -> None:
    """The first that claims all of it, in the order of the file."""
    text = two({"match": "{alive_for: 2h, status: Running}"}, {"match": "{alive_for: 1h}"})
    text += "  - {name: last, targets: [media/transcode@prod], stop: x, match: {alive_for: 3h}}\n"
    assert [one.cause.partition(" ")[0] for one in odd(text) if one.path == "policies[2]"] == ["second"]


def work(text: str) -> int:
    """How many functions are called to lint a file."""
    file, calls = load_policy(text, source="p.yaml"), 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        assert warnings(file, text) == []
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("targets", ["[media/f{0}@prod]", "[media/f{0}@prod, 'docs/f{0}@prod']"])
def test_policies_of_other_functions_are_not_compared(targets: str) -> None:
    """Twice as many of them take twice the work."""

    def many(number: int) -> str:
        entries = "".join(
            f"  - {{name: p{at}, targets: {targets.format(at)}, match: {{alive_for: {at + 60}m}}, stop: x}}\n"
            for at in range(number)
        )
        return f"version: 1\npolicies:\n{entries}"

    assert work(many(80)) < 2.5 * work(many(40))


@pytest.mark.parametrize("api_version", ["2016-08-15", "2023-03-30"])
def test_the_other_apis_list_what_is_dequeued(api_version: str) -> None:
    """The warning is about the setting, and is gone with it."""
    text = a_file(match="{queued_for: 1h, status: Dequeued}")
    assert warnings(load_policy(text, source="p.yaml"), text, api_version) == []


def test_a_line_is_that_of_the_key_itself() -> None:
    """Also where a matcher is written over several lines."""
    text = a_file(
        match="\n      status: Running\n      running_for: 25h", unless="\n    - id: x\n      where: tier"
    )
    lines = text.splitlines()
    for remark in odd(text):
        assert remark.line is not None
        assert remark.path is not None
        assert remark.path.rpartition(".")[2].partition("[")[0] in lines[remark.line - 1]
    assert len(odd(text)) == 2


def test_every_warning_says_what_to_do() -> None:
    """`FILE:LINE: path: cause; remedy`."""
    for keys, _ in ODD:
        for one in odd(a_file(**keys)):
            assert one.cause
            assert one.remedy
            assert one.text == f"p.yaml:{one.line}: {one.path}: {one.cause}; {one.remedy}"


def test_a_name_that_no_record_has_is_told_what_is_meant() -> None:
    """A slip of the pen, a clock, a field of the payload."""
    for name, meant in [
        ("functionname", "functionName"), ("running_for", "ages.running_for"), ("tier", "payload.tier"),
    ]:  # fmt: skip
        (remark,) = odd(a_file(match=f"{{alive_for: 2h, where: \"{name} == 'x'\"}}"))
        assert meant in remark.remedy


GLOBS = st.text(alphabet="ab*?", max_size=4)
TEXTS = ["".join(letters) for size in range(7) for letters in product("abc", repeat=size)]


@given(GLOBS, GLOBS)
def test_patterns_are_compared_exactly(one: str, other: str) -> None:
    """As all texts up to six letters say, of which one is in no pattern."""
    first = {text for text in TEXTS if fnmatchcase(text, one)}
    second = {text for text in TEXTS if fnmatchcase(text, other)}
    assert contains(one, other) == (second <= first)
    assert overlap(one, other) == (not first.isdisjoint(second)) or len(one) + len(other) > 6


def test_a_comparison_that_takes_too_long_is_left_open() -> None:
    """Nothing is claimed of such patterns: neither that one is in the other, nor that they are apart."""
    one, other = "*a?" * 40, "*?b" * 40
    assert not contains(one, other)
    assert overlap(one, other)


@given(files(), tasks() | old_tasks(), meanings)
def test_no_warning_is_refuted_by_any_task(file: PolicyFile, task: Task, meaning: str) -> None:
    """What never matches is never due, reported or chosen; what is beaten never has the last word."""
    for remark in warnings(file):
        for policy in _silenced(file, remark):
            alone = PolicyFile(1, file.exempt, (policy,), "p")
            judged = file if remark.lint == beaten.NAME else alone
            verdict = evaluate(task, rules(judged, started_time=meaning), NOON)
            assert verdict.policy != policy.name or verdict.kind not in (Kind.DUE, Kind.REPORTED)
            assert not any(one.selectable and one.policy == policy.name for one in verdict.members)


def _silenced(file: PolicyFile, remark: Remark) -> list[Policy]:
    """The policies of which a remark says that they never have a say."""
    path = remark.path or ""
    if remark.lint == never.NAME and path.startswith("exempt"):
        return [one for one in file.policies if f"swallows {one.name} " in remark.cause]
    if remark.lint in (never.NAME, beaten.NAME) or "the policy never matches" in remark.cause:
        return [file.policies[int(path[len("policies[")])]]
    return []
