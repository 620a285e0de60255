"""Policies that are refused: what is wrong is said, where, and what to write instead."""

from __future__ import annotations

import pytest

from fc_reaper.errors import PolicyError
from fc_reaper.policy import load_policy
from tests.policy.builders import a_file, finding, loaded, refused

POLICY = "policies[0]"


def test_every_fault_is_told_in_one_go() -> None:
    """In the order of the file, each with file, line, path and remedy."""
    text = """\
versoin: 1
exempt:
  # - keep-*
policies:
  - name: a
    targets: [*/f, 12, media/x@]
    match: {alive-for: 2h, status: running}
    stop: why
    budget: 20
  - name: a
    targets: [f]
    match: {running_for: 7200}
    report: why
    halt_over: 3
"""
    assert [line.split("; ")[0] for line in refused(text)] == [
        "policy.yaml:1: versoin: the file has no such key",
        "policy.yaml:2: exempt: it has no value (is every line under it commented out?)",
        "policy.yaml:6: policies[0].targets[0]: '*/f' cannot stand unquoted in YAML",
        "policy.yaml:6: policies[0].targets[1]: '12' is read as a number",
        "policy.yaml:6: policies[0].targets[2]: 'media/x@' is not a target",
        "policy.yaml:7: policies[0].match.status: 'running' is no status",
        "policy.yaml:7: policies[0].match.alive-for: `match` has no such key",
        "policy.yaml:9: policies[0].budget: 20 does not say per what",
        "policy.yaml:10: policies[1].name: the policy on line 5 has the same name",
        "policy.yaml:12: policies[1].match.running_for: 7200 has no unit",
    ]


@pytest.mark.parametrize("text", ["", "\n\n", "# only comments\n", "---\n", "null", "~", "---\n...\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    """Nothing to watch is nothing anybody means."""
    assert refused(text) == ["policy.yaml:1: policy: the policy is empty; start with version: 1"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("- a", 1, "policy: a list stands where the file's keys belong"),
        ("hello", 1, "policy: a single value stands"),
        ("version: 2\npolicies: []", 1, "version: '2' cannot be used; this fc-reaper reads version 1"),
        ("version: '1'", 1, "version: '1' is text, not a number; this fc-reaper reads version 1"),
        ("version: 1.0", 1, "version: '1.0' is read as a number; this fc-reaper"),
        ("version: true", 1, "version: 'true' is read as true"),
        ("version: 0x1", 1, "version: '0x1' cannot be used"),
        ("version:", 1, "version: it has no value"),
        ("version: [1]", 1, "version: a list stands where a number belongs"),
        ("policies: []", 1, "version: it is missing; write version: 1"),
        ("version: 1", 1, "policies: it is missing"),
        ("version: 1\npolicies:", 2, "policies: it has no value (is every line under it commented out?)"),
        ("version: 1\npolicies: []", 2, "policies: the list is empty"),
        ("version: 1\npolicies: {name: x}", 2, "policies: a mapping stands where a list belongs"),
        ("version: 1\npolicies: [x]", 2, "policies[0]: a single value stands where a policy belongs"),
        (a_file(top="exempt:"), 2, "exempt: it has no value (is every line under it commented out?)"),
        (a_file(top="exempt: null"), 2, "exempt: 'null' is read as nothing"),
        (a_file(top="exempt: ~"), 2, "exempt: '~' is read as nothing"),
        (a_file(top="exempt: keep-*"), 2, "exempt: a single value stands where a list belongs"),
        (a_file(top="version: 1"), 2, "version: it is written twice, on lines 1 and 2; keep one"),
        (a_file(top="targets: [f]"), 2, "targets: it does not belong in the file; write it in an entry"),
        (a_file(top="examples: []"), 2, "examples: it is not supported by this version"),
    ],
)
def test_faults_of_the_whole_file(text: str, line: int, words: str) -> None:
    """Each at its line."""
    assert any(found.startswith(f"policy.yaml:{line}: {words}") for found in refused(text)), refused(text)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"without": "name"}, ": name: it is missing; write name: runaway-transcodes"),
        ({"without": "targets"}, ".targets: it is missing; write targets: [media/transcode@prod]"),
        ({"without": "match"}, ".match: it is missing; write match: {alive_for: 2h}"),
        ({"without": "stop"}, ": it neither stops nor reports; write `stop:` or `report:`"),
        ({"stop": "why", "report": "why"}, ".report: it stands beside `stop`; keep one"),
        ({"name": ""}, ".name: it has no value; write a name"),
        ({"name": "''"}, ".name: it is empty; write a name"),
        ({"name": "17"}, ".name: '17' is read as a number; quote it: '17'"),
        ({"name": "[a]"}, ".name: a list stands where a name belongs"),
        ({"name": "x" * 101}, ".name: it has 101 characters; write at most 100"),
        ({"stop": "''"}, ".stop: it is empty; write the reason in words"),
        ({"stop": ""}, ".stop: it has no value; write the reason in words"),
        ({"stop": "yes"}, ".stop: 'yes' is read as true; quote it: 'yes', or write the reason"),
        ({"stop": "{reason: x}"}, ".stop: a mapping stands where the reason in words belongs"),
        ({"stop": '"a\\u0007"'}, ".stop: the character '\\x07' cannot be shown; delete it"),
        ({"stop": "x" * 501}, ".stop: it has 501 characters; write at most 500"),
        ({"targets": ""}, ".targets: it has no value (is every line under it commented out?)"),
        ({"targets": "[]"}, ".targets: the list is empty; write at least one target"),
        ({"targets": "media/x"}, ".targets: a single value stands where a list belongs"),
        ({"targets": "[a/b/c]"}, ".targets[0]: 'a/b/c' is not a target; write [service/]function"),
        ({"targets": "[f, 'a b']"}, ".targets[1]: 'a b' is not a target: 'a b' holds a character"),
        ({"targets": "['']"}, ".targets[0]: it is empty; write a target"),
        ({"targets": "[~]"}, ".targets[0]: '~' is read as nothing; write a target"),
        ({"match": ""}, ".match: it has no value (is every line under it commented out?)"),
        ({"match": "{}"}, ".match: the mapping is empty; write at least one key"),
        ({"match": "keep-*"}, ".match: a single value stands where a mapping belongs"),
        ({"match": "[{alive_for: 2h}]"}, ".match: a list stands where a mapping belongs"),
        ({"match": "{target: f, alive_for: 2h}"}, ".match.target: it does not belong in `match`; write it"),
        ({"match": "{stop: x, alive_for: 2h}"}, ".match.stop: it does not belong in `match`"),
        ({"match": "{max_age: 2h}"}, ".match.max_age: `match` has no such key; the keys are status, id,"),
        ({"match": "{alive_for: 2h, alive_for: 3h}"}, ".match.alive_for: it is written twice"),
        ({"match": "{alive_for: 0s}"}, ".match.alive_for: 0s is zero"),
        ({"match": "{alive_for: -2h}"}, ".match.alive_for: '-2h' is negative"),
        ({"match": "{alive_for: 400d}"}, ".match.alive_for: '400d' is longer than 366d"),
        ({"match": "{alive_for: on}"}, ".match.alive_for: 'on' is read as true; write a length"),
        ({"match": "{alive_for: [2h]}"}, ".match.alive_for: a list stands where a length of time"),
        ({"match": "{alive_for: ''}"}, ".match.alive_for: the length of time is empty"),
        ({"match": "{retries_over: -1}"}, ".match.retries_over: '-1' cannot be used; write how many"),
        ({"match": "{retries_over: many}"}, ".match.retries_over: 'many' is text, not a number"),
        ({"match": "{status: [], alive_for: 1h}"}, ".match.status: the list is empty"),
        ({"match": "{status: Succeeded, alive_for: 1h}"}, ".match.status: a task that is Succeeded is over"),
        ({"match": "{status: Stopped, alive_for: 1h}"}, ".match.status: a task that is Stopped is over"),
        (
            {"match": "{status: Waiting, alive_for: 1h}"},
            ".match.status: 'Waiting' is no status; write one of",
        ),
        ({"match": "{id: [], alive_for: 1h}"}, ".match.id: the list is empty"),
        ({"match": "{id: 'a[bc]', alive_for: 1h}"}, ".match.id: 'a[bc]' fits no invocation id; brackets"),
        ({"match": "{id: a.b, alive_for: 1h}"}, ".match.id: 'a.b' fits no invocation id; write letters"),
        ({"match": "{id: {a: b}, alive_for: 1h}"}, ".match.id: a mapping stands where a pattern"),
        ({"unless": ""}, ".unless: it has no value (is every line under it commented out?)"),
        ({"unless": "vip-*"}, ".unless: a single value stands where a list belongs"),
        ({"unless": "[{}]"}, ".unless[0]: the mapping is empty"),
        ({"unless": "['']"}, ".unless[0]: it is empty"),
        (
            {"unless": "[media/x]"},
            ".unless[0]: 'media/x' fits no invocation id; if a function is meant, write",
        ),
        ({"unless": "[[a]]"}, ".unless[0]: a list stands where a pattern"),
        ({"unless": "[{target: []}]"}, ".unless[0].target: the list is empty"),
        ({"triggers": ""}, ".triggers: it has no value (is every line under it commented out?)"),
        ({"triggers": "[]"}, ".triggers: the list is empty; write at least one of timer, alert"),
        ({"triggers": "timer"}, ".triggers: a single value stands where a list belongs"),
        ({"triggers": "[tiemr]"}, ".triggers[0]: 'tiemr' is no trigger; did you mean timer?"),
        ({"triggers": "['timer:']"}, ".triggers[0]: 'timer:' names no timer; write timer:NAME"),
        ({"triggers": "['alert:x']"}, ".triggers[0]: 'alert:x' names no timer; write timer:NAME"),
        ({"triggers": "[timer: x]"}, ".triggers[0]: a blank after the colon makes it a mapping"),
        ({"budget": "20"}, ".budget: 20 does not say per what; write 20/run"),
        ({"budget": "0/run"}, ".budget: 0/run would never stop anything; write 1/run or more"),
        ({"budget": "-1/run"}, ".budget: '-1/run' is no budget; write N/run"),
        ({"budget": "20/hour"}, ".budget: '20/hour' is no budget; write N/run"),
        ({"budget": ""}, ".budget: it has no value; write a budget such as 20/run"),
        ({"budget": "[20/run]"}, ".budget: a list stands where a budget"),
        ({"halt_over": "0"}, ".halt_over: '0' cannot be used; write how many may be due at once"),
        ({"halt_over": "1.5"}, ".halt_over: '1.5' is read as a number; write how many"),
        ({"halt_over": "9" * 5000}, ".halt_over: '999"),
        ({"exempt": "[a]"}, ".exempt: it does not belong in a policy; write it in the top of the file"),
        ({"alive_for": "2h"}, ".alive_for: it does not belong in a policy; write it in `match`"),
        ({"without": "stop", "stops": "why"}, ".stops: a policy has no such key; did you mean stop?"),
        ({"max_stops": "3"}, ".max_stops: a policy has no such key; the keys are name, targets"),
    ],
)
def test_faults_of_one_policy(keys: dict[str, str], words: str) -> None:
    """One fault gives one finding; nothing follows from it."""
    assert words.lstrip(": ") in finding(**keys)
    assert finding(**keys).split(": ", 1)[1].startswith(POLICY)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"keep": "{at_most: 10}"}, ".keep: it is not supported by this version"),
        ({"holdout": "2%"}, ".holdout: it is not supported by this version"),
        ({"examples": "[]"}, ".examples: it is not supported by this version"),
        ({"match": "{alive_for: 2h, where: x}"}, ".match.where: it is not supported by this version"),
        ({"match": "{where: x}"}, ".match.where: it is not supported by this version"),
        ({"unless": "[{where: x}]"}, ".unless[0].where: it is not supported by this version"),
        ({"match": "{alive_for: {from: payload.max, at_most: 6h}}"}, "is not supported by this version"),
        ({"budget": "20/run, 200/day"}, "N/day is not supported by this version"),
        ({"budget": "200/day"}, "N/day is not supported by this version"),
    ],
)
def test_what_a_later_version_will_know_is_refused_not_ignored(keys: dict[str, str], words: str) -> None:
    """A file that relies on it would stop what it means to keep."""
    assert words in finding(**keys)


@pytest.mark.parametrize("match", ["{status: Running}", "{id: 'job-*'}", "{status: [Running], id: x}"])
@pytest.mark.parametrize("triggers", [{}, {"triggers": "[timer]"}, {"triggers": "[task, timer]"}])
def test_a_stop_without_a_limit_must_be_asked_for_task_by_task(match: str, triggers: dict[str, str]) -> None:
    """Else it would take every task it sees."""
    assert "a stop without a limit would take every such task" in finding(match=match, **triggers)


@pytest.mark.parametrize(
    "keys",
    [
        {"match": "{status: Running}", "triggers": "[task]"},
        {"match": "{status: Running}", "report": "why"},
        {"match": "{retries_over: 3}"},
        {"match": "{stopping_for: 9m}"},
    ],
)
def test_a_limit_or_a_named_task_or_a_report_is_enough(keys: dict[str, str]) -> None:
    """The other side of the rule above: these are fine."""
    assert loaded(a_file(**keys)).policies


def test_a_finding_stays_on_its_line() -> None:
    """Whatever a file holds, a finding is one printable line of bounded length."""
    for found in refused(a_file(name='"a\\n\\ud800b"', targets=f'["a\\nb", "{"x" * 5000}."]', zzz="x")):
        assert found.isprintable()
        assert len(found) < 700


def test_the_source_names_the_file_in_every_finding() -> None:
    """As the operator called it."""
    with pytest.raises(PolicyError, match=r"^REAPER_POLICY:1: policy: "):
        load_policy("", source="REAPER_POLICY")
