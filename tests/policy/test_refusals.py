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
        (a_file(top="examples: []"), 2, "examples: it does not belong in the file; write it in an entry of"),
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
    ("where", "words"),
    [
        ("", ".where: it has no value; write an expression such as"),
        ("'  '", ".where: it is empty; write an expression"),
        ("true", ".where: 'true' is read as true; quote it"),
        ("[a]", ".where: a list stands where an expression such as payload.tier == 'gold' belongs"),
        ("'payload.'", ".where: it is no JMESPath, it ends too early; write something like"),
        ("payload.tier = 'gold'", ".where: it is no JMESPath near \"= 'gold'\"; write == to compare"),
        ("payload.a > 5", "; write a number between backticks"),
        ("payload.a == 'x' and payload.b == 'y'", "write && || ! for and, or, not"),
        ("payload.tier == `gold`", "between backticks stands JSON; write text in single quotes"),
        ("!(payload.vip)", ".where: '!(payload.vip)' cannot stand unquoted in YAML; quote it: '!(payload"),
        ("$.payload.tier == 'x'", "leave $ out, the record is meant already"),
        ("payload['tier'] == 'x'", "write payload.name, or with quotes"),
        ("payload.tier === 'x'", "write one of == != < <= > >= to compare"),
        ("payload.tier in ['x']", "write contains(['x', 'y'], payload.tier)"),
        ("payload.tags CONTAINS 'x'", "write contains(payload.list, 'x')"),
        ("payload.path like 'tmp'", "write contains(payload.list, 'x')"),
        ("payload.tier == \u2018gold\u2019", "write straight quotes, as in payload.tier == 'gold'"),
        ("payload.a == 'x' AND payload.b == 'y'", "write && || ! for and, or, not"),
        ("NOT payload.vip", "write && || ! for and, or, not"),
        ("not(payload.vip)", "there is no function not(); write !(payload.vip)"),
        ("payload.tier is null", "write nothing about null: what is absent is unknown, and kept"),
        ("payload.order-id == 'x'", "quote a name that holds other characters"),
        ("'!payload.vip'", "! takes only the name that follows it; write !(payload.vip) instead of"),
        ("is_empty(payload.a)", "there is no function is_empty(); "),
        ("contians(payload.a, 'x')", "there is no function contians(); did you mean contains?"),
        ("starts_with(payload.a)", "starts_with() takes 2 arguments, not 1"),
        ("length(payload.a, payload.b)", "length() takes 1 argument, not 2"),
        ("'`1` == `1`'", "it reads no field, so it is the same for every task; name one"),
        (f"payload.{'a' * 1000}", "it has 1008 characters; write at most 1000"),
        ("\"payload.a == '\\a'\"", "the character '\\x07' cannot be shown; delete it"),
    ],
)
@pytest.mark.parametrize("key", ["match", "unless"])
def test_faults_of_an_expression(where: str, words: str, key: str) -> None:
    """The same in `match` and in mercy: what cannot be compiled is refused before there is a task."""
    written = f"\n      where: {where}\n      alive_for: 2h"
    found = finding(**{key: written if key == "match" else f"\n    -{written[6:]}"})
    assert words in found
    assert found.split(": ")[1].startswith(f"{POLICY}.{key}")


@pytest.mark.parametrize(
    ("carried", "words"),
    [
        ("{at_most: 6h}", ".from: it is missing; write from: payload.max_run"),
        ("{from: payload.max}", ".at_most: it is missing; write at_most: 6h"),
        ("{}", ": the mapping is empty; write {from: payload.max_run, at_most: 6h} or a length"),
        ("{from: payload.max, at_most: 6}", ".at_most: 6 has no unit; if seconds are meant, write 6s"),
        ("{from: payload.max, at_most: 6h, else: 7h}", ".else: 7h is more than at_most 6h; write at most 6h"),
        ("{from: payload.max, at_most: 6h, else: 0s}", ".else: 0s is zero"),
        ("{from: payload.max, at_most: 6h, default: 2h}", ".default: a limit that the task carries has no"),
        (
            "{from: payload.max, at_mots: 6h}",
            ".at_mots: a limit that the task carries has no such key; did you",
        ),
        ("{form: payload.max, at_most: 6h}", ".form: a limit that the task carries has no such key; did you"),
        ("{from: 2h, at_most: 6h}", ".from: it is no JMESPath near '2h'"),
        ("{from: 'payload.', at_most: 6h}", ".from: it is no JMESPath, it ends too early"),
        ("payload.max_run", ": an expression stands where a length of time belongs; write {from: payload."),
        ("{from: 7200, at_most: 6h}", ".from: '7200' is read as a number; quote it: '7200', or write"),
    ],
)
@pytest.mark.parametrize("clock", ["queued_for", "running_for", "alive_for", "stopping_for"])
def test_faults_of_a_limit_that_the_task_carries(carried: str, words: str, clock: str) -> None:
    """A policy that takes the task's word has a limit of its own above it."""
    assert f"{POLICY}.match.{clock}{words}" in finding(match=f"{{{clock}: {carried}}}")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"keep": ""}, ".keep: it has no value (is every line under it commented out?); write how many"),
        ({"keep": "10"}, ".keep: a single value stands where a mapping belongs; write how many may be alive"),
        ({"keep": "{}"}, ".keep: the mapping is empty; write how many"),
        ({"keep": "{per: function}"}, ".keep.at_most: it is missing; write at_most: 10"),
        ({"keep": "{at_most: 0}"}, ".keep.at_most: '0' cannot be used; write how many may be alive"),
        ({"keep": "{at_most: 10%}"}, ".keep.at_most: '10%' is text, not a number"),
        ({"keep": "{atmost: 10}"}, ".keep.atmost: `keep` has no such key; did you mean at_most?"),
        (
            {"keep": "{at_most: 1, stop_first: old}"},
            ".keep.stop_first: 'old' cannot be used; write one of newest",
        ),
        (
            {"keep": "{at_most: 1, stop_first: newset}"},
            ".keep.stop_first: 'newset' cannot be used; did you mean newest",
        ),
        (
            {"keep": "{at_most: 1, per: functions}"},
            ".keep.per: 'functions' is a field that no record has; did",
        ),
        ({"keep": "{at_most: 1, per: [a]}"}, ".keep.per: a list stands where an expression"),
        ({"keep": "{at_most: 1, per: 'payload.'}"}, ".keep.per: it is no JMESPath"),
        (
            {"keep": "{at_most: 1, unless: [a]}"},
            ".keep.unless: it does not belong in `keep`; write it in the",
        ),
        (
            {"keep": "{at_most: 1}", "triggers": "[task]"},
            ".keep: an event that names one task does not count",
        ),
        ({"keep": "{at_most: 1}", "match": "{stopping_for: 3m}"}, ".keep: a task that is Stopping does not"),
        ({"keep": "{at_most: 1}", "match": "{status: Stopping}"}, ".keep: a task that is Stopping does not"),
        ({"at_most": "3"}, ".at_most: it does not belong in a policy; write it in `keep`"),
        (
            {"match": "{keep: {at_most: 1}, alive_for: 2h}"},
            ".match.keep: it does not belong in `match`; write",
        ),
        (
            {"match": "{at_most: 1, alive_for: 2h}"},
            ".match.at_most: it does not belong in `match`; write it in",
        ),
        (
            {"match": "{payload: x, alive_for: 2h}"},
            ".match.payload: it does not belong in `match`; write it in",
        ),
        ({"budget": "0/day"}, ".budget: 0/day would never stop anything; write 1/run or more"),
        ({"budget": "20/run, 0/day"}, ".budget: 20/run, 0/day would never stop anything"),
        (
            {"budget": "0/run, 5/week"},
            ".budget: '5/week' is no budget; write N/run, N/day or both, such as "
            "20/run, 200/day; 0/run, 5/week would never stop anything",
        ),
        ({"budget": "20/run 200/day"}, ".budget: '20/run 200/day' is no budget; write N/run, N/day or both"),
        ({"budget": "20/run; 200/day"}, ".budget: '20/run; 200/day' is no budget; write"),
        ({"budget": "20/run, 30/run"}, ".budget: '20/run, 30/run' says the same twice; write"),
        ({"200/day": ""}, ".'200/day': a comma between braces begins a new key; quote the budget"),
        ({"budget": "200/week"}, ".budget: '200/week' is no budget"),
        ({"holdout": ""}, ".holdout: it has no value; write a share such as 2%"),
        ({"holdout": "2"}, ".holdout: '2' has no %; write 2%"),
        ({"holdout": "0.02"}, ".holdout: '0.02' has no %; write 0.02% or another share such as 2%"),
        ({"holdout": "0%"}, ".holdout: 0% spares nobody; write a share such as 2%, or delete the key"),
        ({"holdout": "0.00%"}, ".holdout: 0.00% spares nobody"),
        ({"holdout": "100%"}, ".holdout: '100%' spares every task; write `report:` instead of `stop:`"),
        ({"holdout": "-2%"}, ".holdout: '-2%' is no share; write 0.01% to 99.99%"),
        ({"holdout": "0.125%"}, ".holdout: '0.125%' is finer than it can be; write at most two decimals"),
        ({"holdout": "2 percent"}, ".holdout: '2 percent' is no share"),
        ({"holdout": "[2%]"}, ".holdout: a list stands where a share"),
        ({"keeps": "{at_most: 1}"}, ".keeps: a policy has no such key; did you mean keep?"),
    ],
)
def test_faults_of_what_needs_the_other_tasks(keys: dict[str, str], words: str) -> None:
    """`keep`, `budget` and `holdout`, alone and beside other keys."""
    assert POLICY + words in finding(**keys)


@pytest.mark.parametrize(
    ("example", "words"),
    [
        (
            "3",
            ": a single value stands where a mapping belongs; write {given: {running_for: 3h}, expect: stop}",
        ),
        ("{}", ": the mapping is empty; write {given:"),
        ("{given: {alive_for: 3h}}", ".expect: it is missing; write expect: stop"),
        ("{expect: stop}", ".given: it is missing; write given: {running_for: 3h}"),
        ("{given: {}, expect: stop}", ".given: the mapping is empty; write given: {running_for: 3h}"),
        ("{given: {alive_for: 3h}, expect: kept}", ".expect: 'kept' cannot be used; did you mean keep?"),
        ("{given: {alive_for: 3h}, expect: yes}", ".expect: 'yes' is read as true; quote it"),
        ("{given: {alive_for: 3h}, expect: report}", ": expect is report, and this policy never does; write"),
        (
            "{alive_for: 3h, given: {id: a}, expect: keep}",
            ".alive_for: it does not belong in an example; write",
        ),
        (
            "{given: {expect: keep, id: a}, expect: keep}",
            ".given.expect: it does not belong in `given`; write",
        ),
        ("{given: {ages: {id: a}}, expect: keep}", ".given.ages: it does not belong in `given`; write it in"),
        (
            "{given: {where: x}, expect: keep}",
            ".given.where: it does not belong in `given`; write it in `match`",
        ),
        (
            "{given: {unless: [x]}, expect: keep}",
            ".given.unless: it does not belong in `given`; write it in the",
        ),
        ("{given: {retries_over: 3}, expect: keep}", ".given.retries_over: it does not belong in `given`; "),
        (
            "{given: {retrys: 3}, expect: keep}",
            ".given.retrys: `given` has no such key; did you mean retries?",
        ),
        ("{given: {retries: -1}, expect: keep}", ".given.retries: '-1' cannot be used; write how often"),
        ("{given: {id: 'a*'}, expect: keep}", ".given.id: 'a*' is no invocation id; this is one task"),
        ("{given: {id: a.b}, expect: keep}", ".given.id: 'a.b' is no invocation id; write 1 to 128 letters"),
        ("{given: {id: 17}, expect: keep}", ".given.id: '17' is read as a number; quote it: '17'"),
        (
            "{given: {target: 'media/*'}, expect: keep}",
            ".given.target: media/*@LATEST has a pattern; this is one",
        ),
        ("{given: {status: Succeeded}, expect: keep}", ".given.status: a task that is Succeeded is over"),
        ("{given: {status: running}, expect: keep}", ".given.status: 'running' is no status; did you mean"),
        ("{given: {alive_for: 3}, expect: keep}", ".given.alive_for: 3 has no unit"),
        ("{given: {alive_for: {from: a, at_most: 2h}}, expect: keep}", ".given.alive_for: a mapping stands"),
        (
            "{given: {running_for: 2h, queued_for: 1h}, expect: keep}",
            ".given: no task can have queued_for and running_for at once; delete one of them",
        ),
        (
            "{given: {status: Enqueued, running_for: 2h}, expect: keep}",
            ".given: no task can have status Enqueued and running_for at once",
        ),
        (
            "{given: {running_for: 2h, alive_for: 1h}, expect: keep}",
            ".given.alive_for: it is less than running_for 2h, which is a part of it; write alive_for: 2h",
        ),
    ],
)
def test_faults_of_an_example(example: str, words: str) -> None:
    """An example is one task that could exist, and what this policy could do with it."""
    found = finding(examples=f"\n      - {{given: {{id: a}}, expect: keep}}\n      - {example}")
    assert f"policy.yaml:10: {POLICY}.examples[1]{words}" in found


@pytest.mark.parametrize("examples", ["", "[]", "{given: {id: a}, expect: keep}"])
def test_examples_are_a_list(examples: str) -> None:
    """Of at least one."""
    assert "; write at least one, - {given: {running_for: 3h}, expect: stop}, or delete" in finding(
        examples=examples
    )


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (
            "on",
            ".payload: 'on' is read as true, which JSON would not write so; write true, or quote it: 'on'",
        ),
        (
            "{tier: no}",
            ".payload.tier: 'no' is read as false, which JSON would not write so; write false, or",
        ),
        ("{at: 12:30}", ".payload.at: '12:30' is read as the base-60 number 750, which JSON would not write"),
        (
            "{at: 2026-05-01}",
            ".payload.at: '2026-05-01' is read as a date, which JSON would not write so; quote",
        ),
        ("{n: 0x1f}", ".payload.n: '0x1f' is read as a number, which JSON would not write so; write a plain"),
        ("{n: 017}", ".payload.n: '017' is read as a number"),
        ("{n: 1_000}", ".payload.n: '1_000' is read as a number"),
        ("{n: +1}", ".payload.n: '+1' is read as a number"),
        ("{n: .inf}", ".payload.n: '.inf' is read as a number"),
        (
            "{n: 1e3}",
            ".payload.n: '1e3' is text in YAML and a number in JSON; write it with a dot, or quote it",
        ),
        (
            "{n: ~}",
            ".payload.n: '~' is read as nothing, which JSON would not write so; write null, or quote it",
        ),
        ("{n: }", ".payload.n: it has no value, which JSON would not write so; write null"),
        ("{1: x}", ".payload: '1' is read as a number, and a key of JSON is text; quote it: '1'"),
        ("{yes: x}", ".payload: 'yes' is read as true, and a key of JSON is text; quote it: 'yes'"),
        ("{a: 1, a: 2}", ".payload: the key 'a' is written twice; keep one"),
        ("{[a]: 1}", ".payload: a list or mapping stands where a key belongs; quote it"),
        ("[1, [on]]", ".payload[1][0]: 'on' is read as true"),
        ("[*x]", ".payload[0]: '*x' is read as a reference to &x, which is not there"),
        ("[*/x]", ".payload[0]: '*/x' cannot stand unquoted in YAML"),
    ],
)
def test_a_payload_means_what_json_means(payload: str, words: str) -> None:
    """What YAML reads otherwise is refused, so that an example tests the value that is seen."""
    found = finding(examples=f"\n      - given: {{payload: {payload}}}\n        expect: keep")
    assert f"{POLICY}.examples[0].given{words}" in found


@pytest.mark.parametrize("match", ["{status: Running}", "{id: 'job-*'}", "{where: payload.x}"])
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
        {"match": "{status: Running}", "keep": "{at_most: 10}"},
        {"match": "{id: 'job-*'}", "keep": "{at_most: 10}", "triggers": "[task, timer]"},
        {"match": "{alive_for: {from: payload.max, at_most: 6h}}"},
        {"match": "{where: payload.cancelled}", "triggers": "[task]"},
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


def test_who_wrote_target_need_not_be_told_that_targets_is_missing() -> None:
    """One mistake, one finding."""
    text = "version: 1\npolicies:\n  - {name: a, target: a/b, match: {alive_for: 2h}, stop: x}"
    assert refused(text) == [
        "policy.yaml:3: policies[0].target: it does not belong in a policy; write it in `targets`"
    ]
