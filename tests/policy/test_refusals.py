"""Policies that are refused: text, line, path, and a word of what is said."""

from __future__ import annotations

import pytest

from fc_reaper.errors import Issue, PolicyError
from fc_reaper.policy import load_policy
from tests.policy.builders import a_file, issue, issues, loaded

FILES = [
    ("- a", 1, "policy", "a list stands where"),
    ("hello", 1, "policy", "stands where a"),
    ("version: 2\npolicies: []", 1, "version", "cannot be used"),
    ("version: '1'", 1, "version", "stands where a whole"),
    ("version: 1.0", 1, "version", "stands where a whole"),
    ("version: true", 1, "version", "stands where a whole"),
    ("version: 0x1", 1, "policies", "it is missing"),
    ("version:", 1, "version", "it has no value"),
    ("version: [1]", 1, "version", "a list stands where"),
    ("policies: []", 1, "version", "it is missing"),
    ("version: 1", 1, "policies", "it is missing"),
    ("version: 1\npolicies:", 2, "policies", "it has no value"),
    ("version: 1\npolicies: []", 2, "policies", "the list is empty"),
    ("version: 1\npolicies: {name: x}", 2, "policies", "a mapping stands where"),
    ("version: 1\npolicies: [x]", 2, "policies[0]", "stands where a"),
    (a_file(top="exempt:"), 2, "exempt", "it has no value"),
    (a_file(top="exempt: null"), 2, "exempt", "it has no value"),
    (a_file(top="exempt: ~"), 2, "exempt", "it has no value"),
    (a_file(top="exempt: keep-*"), 2, "exempt", "stands where a"),
    (a_file(top="version: 1"), 2, "version", "it is written twice"),
    (a_file(top="targets: [f]"), 2, "targets", "has no such key"),
    (a_file(top="examples: []"), 2, "examples", "has no such key"),
]

NOT_YAML = [
    ("version: 1\npolicies:\n\t- name: x", 3, "near policies", "a tab does not"),
    ("version: 1\nexempt: [a, b\npolicies: x", 2, "near exempt", "this is not YAML"),
    ("a: {b: c\n", 1, "near a", "this is not YAML"),
    ('version: 1\nexempt: ["a]\n', 2, "near exempt", "this is not YAML"),
    (a_file(stop="it takes: forty minutes"), 7, "near stop", "a colon does not"),
    ("version: 1\n exempt: [a]", 2, "near version", "a colon does not"),
    ("exempt:\n  - a\n b: c", 3, "near exempt", "this is not YAML"),
    ("a: - b", 1, "near a", "this is not YAML"),
    ("a: 'x' y", 1, "near a", "this is not YAML"),
    ("version: 1\nb: \x07", 2, "near b", "the character"),
    ("version: 1\nb: \ud800", 2, "near b", "the character"),
    ('a: b\nc: "\\U00110000"', 2, "near c", "an escape or number"),
    ('a: b\nc: "\\UFFFFFFFF"', 2, "near c", "an escape or number"),
    ("%YAML 9.9\n---\na: b", 1, "policy", "this is not YAML"),
    ("a: %b", 1, "near a", "a text has a char"),
    ("a: [b, c\n d?e]", 1, "near a", "a text has a char"),
    ("a: &*", 1, "near a", "a text has a char"),
    ("a: b\n---\nc: d", 2, "near a", "this is not YAML"),
    ("[" * 100_000, 1, "policy", "more than 24 levels"),
    ("{a: " * 30_000, 1, "near a", "more than 24 levels"),
    ("- " * 60_000, 1, "policy", "more than 24 levels"),
    ("? " * 60_000, 1, "policy", "more than 24 levels"),
    ("a: &a [*a]", 1, "near a", "more than 24 levels"),
    ("- a\n" * 30_000, 20_000, "policy", "more than 20000 keys"),
    ("a" * 131_073, 1, "policy", "it has 131073 characters"),
]

POLICIES = [
    ({"without": "name"}, 4, "name", "it is missing"),
    ({"without": "targets"}, 4, "targets", "it is missing"),
    ({"without": "match"}, 4, "match", "it is missing"),
    ({"without": "stop"}, 4, "", "it neither stops nor"),
    ({"stop": "why", "report": "why"}, 8, "report", "it stands beside `stop`"),
    ({"name": ""}, 4, "name", "it has no value"),
    ({"name": "''"}, 4, "name", "it is empty"),
    ({"name": "17"}, 4, "name", "a number stands"),
    ({"name": "1e3"}, 4, "name", "a number stands"),
    ({"name": "[a]"}, 4, "name", "a list stands where"),
    ({"name": "x" * 101}, 4, "name", "it has 101 characters"),
    ({"stop": "''"}, 7, "stop", "it is empty"),
    ({"stop": ""}, 7, "stop", "it has no value"),
    ({"stop": "{reason: x}"}, 7, "stop", "a mapping stands where"),
    ({"stop": '"a\\u0007"'}, 7, "stop", "the character"),
    ({"stop": "x" * 501}, 7, "stop", "it has 501 characters"),
    ({"owner": ""}, 8, "owner", "it has no value"),
    ({"owner": "' '"}, 8, "owner", "it is empty"),
    ({"owner": "17"}, 8, "owner", "a number stands"),
    ({"owner": "[a]"}, 8, "owner", "a list stands where"),
    ({"owner": "x" * 129}, 8, "owner", "it has 129 characters"),
    ({"owner": '"a\\u0007"'}, 8, "owner", "the character"),
    ({"owner": "{}"}, 8, "owner", "other keys than from"),
    ({"owner": "{form: payload.team}"}, 8, "owner", "other keys than from"),
    ({"owner": "{from: payload.team, else: x}"}, 8, "owner", "other keys than from"),
    ({"owner": "{from: }"}, 8, "owner", "it has no value"),
    ({"owner": "{from: 'payload.'}"}, 8, "owner", "it is no JMESPath"),
    ({"targets": ""}, 5, "targets", "it has no value"),
    ({"targets": "[]"}, 5, "targets", "the list is empty"),
    ({"targets": "media/x"}, 5, "targets", "stands where a"),
    ({"targets": "[a/b/c]"}, 5, "targets[0]", "is not a target"),
    ({"targets": "[f, 'a b']"}, 5, "targets[1]", "is not a target"),
    ({"targets": "['']"}, 5, "targets[0]", "it is empty"),
    ({"targets": "[~]"}, 5, "targets[0]", "it has no value"),
    ({"match": ""}, 6, "match", "it has no value"),
    ({"match": "{}"}, 6, "match", "the mapping is empty"),
    ({"match": "keep-*"}, 6, "match", "stands where a"),
    ({"match": "[{alive_for: 2h}]"}, 6, "match", "a list stands where"),
    ({"match": "{target: f, alive_for: 2h}"}, 6, "match.target", "has no such key"),
    ({"match": "{stop: x, alive_for: 2h}"}, 6, "match.stop", "has no such key"),
    ({"match": "{max_age: 2h}"}, 6, "match.max_age", "`match` has no such"),
    ({"match": "{alive_for: 2h, alive_for: 3h}"}, 6, "match.alive_for", "it is written twice"),
    ({"match": "{alive_for: 0s}"}, 6, "match.alive_for", "0s is zero, so"),
    ({"match": "{alive_for: -2h}"}, 6, "match.alive_for", "is not a length"),
    ({"match": "{alive_for: 400d}"}, 6, "match.alive_for", "is longer than 366d"),
    ({"match": "{alive_for: on}"}, 6, "match.alive_for", "is not a length"),
    ({"match": "{alive_for: [2h]}"}, 6, "match.alive_for", "a list stands where"),
    ({"match": "{alive_for: ''}"}, 6, "match.alive_for", "it is empty"),
    ({"match": "{retries_over: -1}"}, 6, "match.retries_over", "cannot be used"),
    ({"match": "{retries_over: many}"}, 6, "match.retries_over", "stands where a whole"),
    ({"match": "{status: [], alive_for: 1h}"}, 6, "match.status", "the list is empty"),
    ({"match": "{status: Succeeded, alive_for: 1h}"}, 6, "match.status", "is not a status"),
    ({"match": "{status: Stopped, alive_for: 1h}"}, 6, "match.status", "is not a status"),
    ({"match": "{status: Waiting, alive_for: 1h}"}, 6, "match.status", "is not a status"),
    ({"match": "{id: [], alive_for: 1h}"}, 6, "match.id", "the list is empty"),
    ({"match": "{id: 'a[bc]', alive_for: 1h}"}, 6, "match.id", "cannot be used"),
    ({"match": "{id: a.b, alive_for: 1h}"}, 6, "match.id", "cannot be used"),
    ({"match": "{id: {a: b}, alive_for: 1h}"}, 6, "match.id", "a mapping stands where"),
    ({"unless": ""}, 8, "unless", "it has no value"),
    ({"unless": "vip-*"}, 8, "unless", "stands where a"),
    ({"unless": "[{}]"}, 8, "unless[0]", "the mapping is empty"),
    ({"unless": "['']"}, 8, "unless[0]", "it is empty"),
    ({"unless": "[media/x]"}, 8, "unless[0]", "cannot be used"),
    ({"unless": "[[]]"}, 8, "unless[0]", "a list stands where"),
    ({"unless": "[[a]]"}, 8, "unless[0][0]", "a list stands where"),
    ({"unless": "[{target: []}]"}, 8, "unless[0].target", "the list is empty"),
    ({"triggers": ""}, 8, "triggers", "it has no value"),
    ({"triggers": "[]"}, 8, "triggers", "the list is empty"),
    ({"triggers": "timer"}, 8, "triggers", "stands where a"),
    ({"triggers": "[tiemr]"}, 8, "triggers[0]", "is not a trigger"),
    ({"triggers": "['timer:']"}, 8, "triggers[0]", "is not a trigger"),
    ({"triggers": "['alert:x']"}, 8, "triggers[0]", "is not a trigger"),
    ({"triggers": "[timer: x]"}, 8, "triggers[0]", "a mapping stands"),
    ({"budget": "20"}, 8, "budget", "does not say per"),
    ({"budget": "0/run"}, 8, "budget", "cannot be used"),
    ({"budget": "-1/run"}, 8, "budget", "cannot be used"),
    ({"budget": "20/hour"}, 8, "budget", "cannot be used"),
    ({"budget": ""}, 8, "budget", "it has no value"),
    ({"budget": "[20/run]"}, 8, "budget", "a list stands where"),
    ({"halt_over": "0"}, 8, "halt_over", "cannot be used"),
    ({"halt_over": "1.5"}, 8, "halt_over", "stands where a whole"),
    ({"halt_over": "9" * 5000}, 8, "halt_over", "stands where a whole"),
    ({"exempt": "[a]"}, 8, "exempt", "has no such key"),
    ({"alive_for": "2h"}, 8, "alive_for", "has no such key"),
    ({"without": "stop", "stops": "why"}, 7, "stops", "a policy has no"),
    ({"max_stops": "3"}, 8, "max_stops", "a policy has no"),
    ({"keep": ""}, 8, "keep", "it has no value"),
    ({"keep": "10"}, 8, "keep", "stands where a"),
    ({"keep": "{}"}, 8, "keep", "the mapping is empty"),
    ({"keep": "{per: function}"}, 8, "keep.at_most", "it is missing"),
    ({"keep": "{at_most: 0}"}, 8, "keep.at_most", "cannot be used"),
    ({"keep": "{at_most: 10%}"}, 8, "keep.at_most", "stands where a whole"),
    ({"keep": "{atmost: 10}"}, 8, "keep.atmost", "`keep` has no such"),
    ({"keep": "{at_most: 1, stop_first: old}"}, 8, "keep.stop_first", "cannot be used"),
    ({"keep": "{at_most: 1, stop_first: newset}"}, 8, "keep.stop_first", "cannot be used"),
    ({"keep": "{at_most: 1, per: functions}"}, 8, "keep.per", "is a field that"),
    ({"keep": "{at_most: 1, per: [a]}"}, 8, "keep.per", "a list stands where"),
    ({"keep": "{at_most: 1, per: 'payload.'}"}, 8, "keep.per", "it is no JMESPath"),
    ({"keep": "{at_most: 1, unless: [a]}"}, 8, "keep.unless", "has no such key"),
    ({"keep": "{at_most: 1}", "triggers": "[task]"}, 8, "keep", "an event that names"),
    ({"halt_over": "9", "triggers": "[task]"}, 8, "halt_over", "an event that names"),
    ({"halt_over": "9", "triggers": "[task]", "report": "why"}, 7, "halt_over", "an event that names"),
    ({"at_most": "3"}, 8, "at_most", "has no such key"),
    ({"match": "{keep: {at_most: 1}, alive_for: 2h}"}, 6, "match.keep", "has no such key"),
    ({"match": "{at_most: 1, alive_for: 2h}"}, 6, "match.at_most", "has no such key"),
    ({"match": "{payload: x, alive_for: 2h}"}, 6, "match.payload", "has no such key"),
    ({"budget": "0/day"}, 8, "budget", "cannot be used"),
    ({"budget": "20/run, 0/day"}, 8, "budget", "cannot be used"),
    ({"budget": "0/run, 5/week"}, 8, "budget", "cannot be used"),
    ({"budget": "20/run 200/day"}, 8, "budget", "cannot be used"),
    ({"budget": "20/run; 200/day"}, 8, "budget", "cannot be used"),
    ({"budget": "20/run, 30/run"}, 8, "budget", "cannot be used"),
    ({"200/day": ""}, 8, "'200/day'", "a policy has no"),
    ({"budget": "200/week"}, 8, "budget", "cannot be used"),
    ({"holdout": ""}, 8, "holdout", "it has no value"),
    ({"holdout": "2"}, 8, "holdout", "a number stands"),
    ({"holdout": "0.02"}, 8, "holdout", "a number stands"),
    ({"holdout": "0%"}, 8, "holdout", "cannot be used"),
    ({"holdout": "0.00%"}, 8, "holdout", "cannot be used"),
    ({"holdout": "100%"}, 8, "holdout", "cannot be used"),
    ({"holdout": "-2%"}, 8, "holdout", "cannot be used"),
    ({"holdout": "0.125%"}, 8, "holdout", "cannot be used"),
    ({"holdout": "2 percent"}, 8, "holdout", "cannot be used"),
    ({"holdout": "[2%]"}, 8, "holdout", "a list stands where"),
    ({"keeps": "{at_most: 1}"}, 8, "keeps", "a policy has no"),
    ({"examples": ""}, 8, "examples", "it has no value"),
    ({"examples": "[]"}, 8, "examples", "the list is empty"),
    ({"examples": "{given: {id: a}, expect: keep}"}, 8, "examples", "a mapping stands where"),
    (
        {"examples": "\n      - given: {payload: {n: 1e999}}\n        expect: keep"},
        9,
        "examples[0].given.payload",
        "JSON has no infinite",
    ),
    (
        {"examples": "\n      - given: {payload: {1: x}}\n        expect: keep"},
        9,
        "examples[0].given.payload.1",
        "a key is text",
    ),
    (
        {"examples": "\n      - given: {payload: {a: 1, a: 2}}\n        expect: keep"},
        9,
        "examples[0].given.payload.a",
        "it is written twice",
    ),
    (
        {"examples": "\n      - given: {payload: {[a]: 1}}\n        expect: keep"},
        9,
        "examples[0].given.payload",
        "a key is text",
    ),
    (
        {"examples": "\n      - given: {payload: [*x]}\n        expect: keep"},
        9,
        "near payload",
        "a text has a char",
    ),
    (
        {"examples": "\n      - given: {payload: [*/x]}\n        expect: keep"},
        9,
        "near payload",
        "a text has a char",
    ),
    ({"targets": "[*/f]"}, 5, "near targets", "a text has a char"),
    ({"targets": "\n    - *"}, 6, "near targets", "a text has a char"),
    ({"targets": "[*@prod, f]"}, 5, "near targets", "a text has a char"),
    ({"targets": "\n    - */f # all"}, 6, "near targets", "a text has a char"),
    ({"targets": "[*f]"}, 5, "near targets", "a text has a char"),
    ({"targets": "[@x]"}, 5, "near targets", "a text has a char"),
    ({"targets": "[resi?e@*]"}, 5, "near targets", "a text has a char"),
    ({"match": "{id: job-?, alive_for: 2h}"}, 6, "near match", "a text has a char"),
    ({"match": "{id: ?x, alive_for: 2h}"}, 6, "near id", "a text has a char"),
    ({"unless": "[?x]"}, 8, "unless[0].x", "an entry of `exempt`"),
    ({"unless": "[17]"}, 8, "unless[0]", "a number stands"),
    ({"unless": "[12:30]"}, 8, "unless[0]", "cannot be used"),
    ({"unless": "[1.5]"}, 8, "unless[0]", "a number stands"),
    ({"unless": "[=]"}, 8, "unless[0]", "cannot be used"),
    ({"unless": "[{target: 3}]"}, 8, "unless[0].target", "a number stands"),
    ({"match": "{alive_for: 12:30}"}, 6, "match.alive_for", "is not a length"),
    ({"match": "{alive_for: 1:30:00}"}, 6, "match.alive_for", "is not a length"),
    ({"match": "{alive_for: 7200}"}, 6, "match.alive_for", "has no unit"),
    ({"match": "{alive_for: 1.5}"}, 6, "match.alive_for", "is not a length"),
    ({"match": "{alive_for:2h}"}, 6, "match.'alive_for:2h'", "has no such"),
    ({"match": "{alive_for:\xa02h}"}, 6, "match.'alive_for:\\xa02h'", "has no such"),
    ({"match": "'alive_for: 2h'"}, 6, "match", "stands where a"),
    ({"match": "{alive_for: {from: 2h, at_most: 6h}}"}, 6, "match.alive_for.from", "it is no JMESPath"),
    ({"keep": "{at_most: 1, per: ''}"}, 8, "keep.per", "it is empty"),
    ({"match": "{alive_for: 2h, where: 'payload.名 == `1`'}"}, 6, "match.where", "it is no JMESPath"),
    ({"match": "{alive_for: 2h, where: payload.tier is null}"}, 6, "match.where", "JMESPath near 'is null'"),
    ({"match": "alive_for:2h"}, 6, "match", "stands where a"),
    ({"match": "{id: 17, alive_for: 2h}"}, 6, "match.id", "a number stands"),
    ({"on": "x"}, 8, "on", "a policy has no"),
    ({"12": "x"}, 8, "12", "a key is text"),
    ({"<<": "{name: x}"}, 8, "'<<'", "a policy has no"),
    ({"? [a]\n    ": "x"}, 8, "", "a key is text"),
    ({"name": "!!python/object:os.system x"}, 4, "near name", "is taken for a"),
    ({"name": "!!str 17"}, 4, "near name", "is taken for a"),
    ({"unless": "!!set {x}"}, 8, "near unless", "is taken for a"),
    ({"match": "{status: Running}"}, 6, "match", "a stop without a limit"),
    ({"match": "{status: Running}", "triggers": "[timer]"}, 6, "match", "a stop without a limit"),
    ({"match": "{id: 'job-*'}", "triggers": "[task, timer]"}, 6, "match", "a stop without a limit"),
    ({"match": "{where: payload.x}"}, 6, "match", "a stop without a limit"),
]

LIMITS = [
    ("{at_most: 6h}", "from", "it is missing"),
    ("{from: payload.max}", "at_most", "it is missing"),
    ("{}", "", "the mapping is empty"),
    ("{from: payload.max, at_most: 6}", "at_most", "has no unit"),
    ("{from: payload.max, at_most: 6h, else: 7h}", "else", "7h is more than"),
    ("{from: payload.max, at_most: 6h, else: 0s}", "else", "0s is zero, so"),
    ("{from: payload.max, at_most: 6h, default: 2h}", "default", "a limit that the"),
    ("{from: payload.max, at_mots: 6h}", "at_mots", "a limit that the"),
    ("{form: payload.max, at_most: 6h}", "form", "a limit that the"),
    ("{from: 2h, at_most: 6h}", "from", "it is no JMESPath"),
    ("{from: 'payload.', at_most: 6h}", "from", "it is no JMESPath"),
    ("payload.max_run", "", "is not a length"),
    ("{from: 7200, at_most: 6h}", "from", "a number stands"),
]

EXAMPLES = [
    ("3", "", "stands where a"),
    ("{given: {alive_for: 3h}}", "expect", "it is missing"),
    ("{expect: stop}", "given", "it is missing"),
    ("{given: {}, expect: stop}", "given", "the mapping is empty"),
    ("{given: {alive_for: 3h}, expect: kept}", "expect", "cannot be used"),
    ("{given: {alive_for: 3h}, expect: yes}", "expect", "cannot be used"),
    ("{given: {alive_for: 3h}, expect: report}", "", "expect is report"),
    ("{alive_for: 3h, given: {id: a}, expect: keep}", "alive_for", "has no such key"),
    ("{given: {expect: keep, id: a}, expect: keep}", "given.expect", "has no such key"),
    ("{given: {ages: {id: a}}, expect: keep}", "given.ages", "`given` has no such"),
    ("{given: {where: x}, expect: keep}", "given.where", "has no such key"),
    ("{given: {unless: [x]}, expect: keep}", "given.unless", "has no such key"),
    ("{given: {retries_over: 3}, expect: keep}", "given.retries_over", "`given` has no such"),
    ("{given: {retrys: 3}, expect: keep}", "given.retrys", "`given` has no such"),
    ("{given: {retries: -1}, expect: keep}", "given.retries", "cannot be used"),
    ("{given: {id: 'a*'}, expect: keep}", "given.id", "cannot be used"),
    ("{given: {id: a.b}, expect: keep}", "given.id", "cannot be used"),
    ("{given: {id: 17}, expect: keep}", "given.id", "a number stands"),
    ("{given: {target: 'media/*'}, expect: keep}", "given.target", "media/*@LATEST has a pattern"),
    ("{given: {status: Succeeded}, expect: keep}", "given.status", "is not a status"),
    ("{given: {status: running}, expect: keep}", "given.status", "is not a status"),
    ("{given: {alive_for: 3}, expect: keep}", "given.alive_for", "has no unit"),
    (
        "{given: {alive_for: {from: a, at_most: 2h}}, expect: keep}",
        "given.alive_for",
        "a mapping stands where",
    ),
    ("{given: {running_for: 2h, queued_for: 1h}, expect: keep}", "given", "no task can have"),
    ("{given: {status: Enqueued, running_for: 2h}, expect: keep}", "given", "no task can have"),
]

EXPRESSIONS = [
    ("", "write an expression such as payloa"),
    ("'  '", "write an expression such as payloa"),
    ("true", "quote it, or write an expr"),
    ("[a]", "quote it, or write an expr"),
    ("'payload.'", "write something like payload.tier"),
    ("payload.tier = 'gold'", "write something like payload.tier"),
    ("payload.a > 5", "write something like payload.tier"),
    ("payload.a == 'x' and payload.b == 'y'", "write something like payload.tier"),
    ("payload.tier == `gold`", "write text in single quotes, 'gold"),
    ("!(payload.vip)", "quote the text that begins with !,"),
    ("payload.tier in ['x']", "write something like payload.tier"),
    ("payload.tier == ‘gold’", "write something like payload.tier"),
    ("payload.a == 'x' AND payload.b == 'y'", "write something like payload.tier"),
    ("NOT payload.vip", "write something like payload.tier"),
    ("not(payload.vip)", "write !(payload.vip)"),
    ("payload.tier is null", "write something like payload.tier"),
    ("payload.order-id == 'x'", "write something like payload.tier"),
    ("'!payload.vip'", "write !(payload.vip) instead of !p"),
    ("is_empty(payload.a)", "the functions are abs, avg, ceil,"),
    ("contians(payload.a, 'x')", "did you mean contains?"),
    ("starts_with(payload.a)", "see https://jmespath.org"),
    ("length(payload.a, payload.b)", "see https://jmespath.org"),
    ("'`1` == `1`'", "name one, such as payload.tier =="),
    (f"payload.{'a' * 1000}", "write at most 1000"),
    ("\"payload.a == '\\a'\"", "delete it"),
]


@pytest.mark.parametrize("text", ["", "\n\n", "# only comments\n", "---\n", "null", "~", "---\n...\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    """An empty file is never meant."""
    assert issues(text) == [Issue("policy.yaml", 1, "policy", "the policy is empty", "start with version: 1")]


@pytest.mark.parametrize(("text", "line", "path", "word"), [*FILES, *NOT_YAML])
def test_faults_of_the_whole_file(text: str, line: int, path: str, word: str) -> None:
    """Each at its line."""
    assert any((one.line, one.path) == (line, path) and word in one.what for one in issues(text)), issues(
        text
    )


@pytest.mark.parametrize(("keys", "line", "path", "word"), POLICIES)
def test_faults_of_one_policy(keys: dict[str, str], line: int, path: str, word: str) -> None:
    """One fault gives one issue; nothing follows from it."""
    (found,) = issues(a_file(**keys))
    within = path if path.startswith("near ") else f"policies[0].{path}".rstrip(".")
    assert (found.line, found.path) == (line, within)
    assert word in found.what
    assert found.remedy


MATCH_ONLY = "`match` has no such key; it stands only in entries of `exempt` and `unless`"
ALONE = "it says when or why, and not which tasks; write another key beside it, such as id: job-7"
ENDS = [
    ({"unless": "[{until: 2026-12-01T00:00:00Z}]"}, 8, "unless[0]", ALONE),
    ({"unless": "[{because: why}]"}, 8, "unless[0]", ALONE),
    ({"unless": "[{until: 2026-12-01T00:00:00Z, because: why}]"}, 8, "unless[0]", ALONE),
    ({"match": "{alive_for: 2h, until: 2026-12-01T00:00:00Z}"}, 6, "match.until", MATCH_ONLY),
    ({"match": "{alive_for: 2h, because: why}"}, 6, "match.because", MATCH_ONLY),
    ({"unless": "[{id: a, untill: 2026-12-01T00:00:00Z}]"}, 8, "unless[0].untill", "did you mean until?"),
    ({"unless": "[{id: a, because: ''}]"}, 8, "unless[0].because", "it is empty; write the reason in words"),
    *(
        ({"unless": f"[{{id: a, until: {written}}}]"}, 8, "unless[0].until", said)
        for written, said in {
            "2026-12-01T00:00:00": "2026-12-01T00:00:00 has no zone: by UTC it is 2026-12-01T00:00:00Z, by "
            "+08:00 2026-11-30T16:00:00Z; write 2026-12-01T00:00:00Z or 2026-12-01T00:00:00+08:00",
            "2026-12-01 06:30": "by UTC it is 2026-12-01T06:30:00Z, by +08:00 2026-11-30T22:30:00Z; "
            "write 2026-12-01T06:30Z or 2026-12-01T06:30+08:00",
            "2026-12-01": "2026-12-01 has no zone: by UTC it is 2026-12-01T23:59:59Z, by +08:00 "
            "2026-12-01T15:59:59Z; write 2026-12-01T23:59:59Z or 2026-12-01T23:59:59+08:00",
            "2026-13-01T00:00:00Z": "is no moment from 2000 to 2099; write it as in 2026-12-01",
            "1926-12-01T00:00:00Z": "is no moment",
            "9999-12-31T23:59:59Z": "is no moment from 2000 to 2099",
            "2099-12-31T23:59:59-03:00": "is no moment from 2000 to 2099",  # by UTC, as a lock has it
            "2000-01-01T00:00:00+08:00": "is no moment from 2000 to 2099",
            "2026-12-31T23:59:60Z": "is no moment",
            "2026-12-01T00:00:00 CST": "is no moment",
            "2026-12-01T00:00:00+8": "is no moment",
            "2026-12-01T24:00:00Z": "is no moment",
            "2026-12-01Z": "is no moment",
            "friday": "is no moment",
            "7d": "is no moment",
            "1796054400": "a number stands where text belongs",
            "[2026-12-01T00:00:00Z]": "a list stands where text belongs",
            "": "it has no value",
        }.items()
    ),
]


@pytest.mark.parametrize(("keys", "line", "path", "said"), ENDS)
def test_faults_of_an_end_and_a_reason(keys: dict[str, str], line: int, path: str, said: str) -> None:
    """A date without a zone is two moments; which one is meant is not for a machine to say."""
    (found,) = issues(a_file(**keys))
    assert (found.line, found.path) == (line, f"policies[0].{path}")
    assert said in f"{found.what}; {found.remedy}"


@pytest.mark.parametrize("clock", ["queued_for", "running_for", "alive_for", "stopping_for"])
@pytest.mark.parametrize(("carried", "path", "word"), LIMITS)
def test_faults_of_a_limit_that_the_task_carries(carried: str, path: str, word: str, clock: str) -> None:
    """A policy that takes the task's word has a limit of its own above it."""
    found = issue(match=f"{{{clock}: {carried}}}")
    assert (found.line, found.path) == (6, f"policies[0].match.{clock}.{path}".rstrip("."))
    assert word in found.what


@pytest.mark.parametrize(("example", "path", "word"), EXAMPLES)
def test_faults_of_an_example(example: str, path: str, word: str) -> None:
    """An example is one task that could exist, and what this policy could do with it."""
    found = issue(examples=f"\n      - {{given: {{id: a}}, expect: keep}}\n      - {example}")
    assert (found.line, found.path) == (10, f"policies[0].examples[1].{path}".rstrip("."))
    assert word in found.what


@pytest.mark.parametrize("key", ["match", "unless"])
@pytest.mark.parametrize(("where", "remedy"), EXPRESSIONS)
def test_faults_of_an_expression(where: str, remedy: str, key: str) -> None:
    """What cannot be compiled is refused before there is a task; the remedy says what to write."""
    written = f"\n      where: {where}\n      alive_for: 2h"
    found = issue(**{key: written if key == "match" else f"\n    -{written[6:]}"})
    assert remedy in found.remedy
    assert (found.path or "").endswith("where")


def test_every_fault_is_told_in_one_go() -> None:
    """In the order of the file."""
    text = """\
versoin: 1
exempt:
  # - keep-*
policies:
  - name: a
    targets: ['*/f', 12, media/x@]
    match: {alive-for: 2h, status: running}
    stop: why
    budget: 20
  - name: a
    targets: [f]
    match: {running_for: 7200}
    report: why
    halt_over: 3
"""
    assert [(one.line, one.path) for one in issues(text)] == [
        (1, "versoin"),
        (2, "exempt"),
        (6, "policies[0].targets[1]"),
        (6, "policies[0].targets[2]"),
        (7, "policies[0].match.status"),
        (7, "policies[0].match.alive-for"),
        (9, "policies[0].budget"),
        (12, "policies[1].match.running_for"),
    ]


def test_several_faults_between_sound_keys_are_told_in_one_go() -> None:
    """Each at its own key."""
    text = a_file(match="{status: Stopping}", report="x", stop="y", keep="{at_most: 1}", triggers="[task]")
    assert [one.path for one in issues(text)] == ["policies[0].report", "policies[0].keep"]


def test_two_policies_of_one_name_are_refused() -> None:
    """They could not be told apart in a log."""
    (found,) = issues(a_file() + a_file().partition("policies:\n")[2])
    assert (found.line, found.path) == (9, "policies[1].name")


@pytest.mark.parametrize(
    ("keys", "remedy"),
    [
        ({"match": "{alive_fr: 2h}"}, "did you mean alive_for?"),
        ({"match": "{keep: {at_most: 1}, alive_for: 2h}"}, "the keys are status, id,"),
        ({"match": "{from: payload.x, alive_for: 2h}"}, "the keys are status, id,"),
        ({"alive_for": "2h"}, "the keys are name, targets,"),
        ({"exempt": "[a]"}, "the keys are name, targets,"),
        ({"per": "function"}, "the keys are name, targets,"),
        ({"examples": "[{alive_for: 3h, given: {id: a}, expect: keep}]"}, "the keys are given, expect"),
    ],
)
def test_a_strange_key_is_told_which_keys_there_are(keys: dict[str, str], remedy: str) -> None:
    """A slip of the pen, or a key of another mapping: one issue."""
    assert issue(**keys).remedy.startswith(remedy)


def test_a_word_that_is_no_choice_is_answered_with_all_choices() -> None:
    """A single example might be the opposite of what was meant."""
    assert issue(keep="{at_most: 1, stop_first: new}").remedy == "write stop_first: newest or oldest"
    found = issue(examples="[{given: {id: a}, expect: none}]")
    assert found.remedy == "write expect: stop, report or keep"


def test_who_wrote_target_need_not_be_told_that_targets_is_missing() -> None:
    """One mistake, one issue."""
    text = "version: 1\npolicies:\n  - {name: a, target: a/b, match: {alive_for: 2h}, stop: x}"
    (found,) = issues(text)
    assert (found.path, found.remedy) == ("policies[0].target", "did you mean targets?")


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
    """The other side of the rule that a stop needs a limit: these are fine."""
    assert loaded(a_file(**keys)).policies


@pytest.mark.parametrize(
    "keys",
    [
        {"stop": "yes"},
        {"unless": "[no, off, 1_000, 2026-05-01, y]"},
        {"targets": "[on]"},
        {"triggers": "[timer:12]"},
        {"name": "12:30"},
        {"examples": "[{given: {payload: {at: 12:30, on: no, n: 1e3, hex: 0x1f, none: ~}}, expect: keep}]"},
    ],
)
def test_yaml_is_read_as_1_2(keys: dict[str, str]) -> None:
    """What YAML 1.1 takes for booleans, dates and numbers in base 60 is text."""
    assert loaded(a_file(**keys)).policies


def test_aliases_cannot_multiply() -> None:
    """A few lines that stand for a billion values are refused."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "more than 20000 keys and values" in issues("\n".join(lines))[0].what


def test_an_issue_stays_on_its_line() -> None:
    """Whatever a file holds, an issue is one printable line of bounded length."""
    for found in issues(a_file(name='"a\\n\\ud800b"', targets=f'["a\\nb", "{"x" * 5000}."]', zzz="x")):
        assert found.text.isprintable()
        assert len(found.text) < 700


def test_the_source_names_the_file_in_every_issue() -> None:
    """As the operator called it: FILE:LINE: path: what is wrong; what to write."""
    with pytest.raises(PolicyError) as caught:
        load_policy("", source="REAPER_POLICY")
    assert str(caught.value) == "REAPER_POLICY:1: policy: the policy is empty; start with version: 1"
