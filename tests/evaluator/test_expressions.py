"""`where` and limits that the task carries: whatever is not there, or does not fit, makes nothing due."""

from __future__ import annotations

import gc
import json
import re
import weakref
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.evaluator.evaluate import evaluate
from fc_reaper.models import Task
from fc_reaper.rules.result import Kind, Verdict
from tests.builders import AT_NOON, TRANSCODE, a_policy, a_task, ago, compiled, ms, running_for

DUE, KEPT, UNKNOWN = Kind.DUE, Kind.KEPT, Kind.UNKNOWN


def carrying(payload: Any, age: str = "3h", **record: Any) -> Task:
    """A task that has been running for so long, with a payload; text is taken as it is."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    wire = {"invocationPayload": text, "instanceId": "c-1", "alreadyRetriedTimes": 0, **record}
    return running_for(age, record=wire)


def evaluated(task: Task, match: str, *, read: bool = True, **keys: str) -> Verdict:
    """The verdict by one stop policy."""
    return evaluate(task, compiled(a_policy(match, **keys)), AT_NOON, read=read)


def where(expression: str) -> str:
    return f"{{running_for: 2h, where: {json.dumps(expression)}}}"


ORDER = {"tier": "gold", "n": 5, "vip": False, "tags": ["a"], "items": [{"x": 1}, {"x": 2}], "none": None}


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("payload.tier == 'gold'", DUE),
        ("payload.tier != 'gold'", KEPT),
        ("payload.tier != 'silver'", DUE),
        ("payload.n > `4` && payload.n <= `5`", DUE),
        ("payload.n > `5`", KEPT),
        ("!(payload.vip)", DUE),
        ("payload.vip", KEPT),
        ("contains(payload.tags, 'a')", DUE),
        ("starts_with(payload.tier, 'g')", DUE),
        ("length(payload.items[?x > `1`]) == `1`", DUE),
        ("payload.items[0].x == `1`", DUE),
        ("instanceId == 'c-1'", DUE),
        ("ages.running_for > `3600`", DUE),
        ("ages.alive_for > `36000`", KEPT),
        ("type(payload.n) == 'number' && payload.n > `4`", DUE),
        # What is not there.
        ("payload.gone == 'gold'", UNKNOWN),
        ("payload.gone != 'gold'", UNKNOWN),
        ("!(payload.gone)", UNKNOWN),
        ("!(payload.gone == 'gold')", UNKNOWN),
        ("payload.gone == `null`", UNKNOWN),
        ("payload.tier == 'x' || payload.gone == 'x'", UNKNOWN),
        ("payload.tier == 'gold' && payload.gone == 'x'", UNKNOWN),
        ("!(payload.tier == 'gold' && payload.gone == 'x')", UNKNOWN),
        # What one side settles.
        ("payload.tier == 'gold' || payload.gone == 'x'", DUE),
        ("payload.gone == 'x' || payload.tier == 'gold'", DUE),
        ("payload.tier == 'x' && payload.gone == 'x'", KEPT),
        ("payload.gone && payload.tier == 'x'", KEPT),
        ("!(payload.gone && payload.tier == 'x')", DUE),
        ("payload.n > 'x' || payload.n == `5`", DUE),
        ("abs(payload.tier) == `1` || payload.n == `5`", DUE),
        ("length(payload.items[?gone == `1` || x > `0`]) > `0`", DUE),
        ("payload.none == `null`", UNKNOWN),
        ("payload.none != 'gold'", UNKNOWN),
        ("payload.tier.deep == 'x'", UNKNOWN),
        ("payload.items[7].x == `1`", UNKNOWN),
        ("length(payload.items[*].gone) == `0`", UNKNOWN),
        ("length(payload.items[?gone == `1`]) == `0`", UNKNOWN),
        ("not_null(payload.gone, 'gold') == 'gold'", UNKNOWN),
        ("ages.queued_for > `1`", UNKNOWN),
        ("nonsense != 'gold'", UNKNOWN),
        # What does not fit.
        ("payload.tier > `1`", UNKNOWN),
        ("payload.tier != `1`", UNKNOWN),
        ("payload.n != 'gold'", UNKNOWN),
        ("!(payload.n == '5')", UNKNOWN),
        ("payload.vip != 'false'", UNKNOWN),
        ("payload.tier < 'z'", UNKNOWN),
        ("length(payload.n) != `1`", UNKNOWN),
        ("!(length(payload.n) == `1`)", UNKNOWN),
        ("to_number(payload.tier) != `1`", UNKNOWN),
        ("max(payload.tags[?@ == 'z']) != 'a'", UNKNOWN),
        ("payload.tier", UNKNOWN),
        ("payload.tier || payload.n", UNKNOWN),
        ("payload.items[*].x", UNKNOWN),
        ("length(payload.tier[*]) == `0`", UNKNOWN),
    ],
)
def test_where(expression: str, kind: Kind) -> None:
    """True holds, false does not, and everything else leaves the task alone."""
    assert evaluated(carrying(ORDER), where(expression)).kind is kind


@pytest.mark.parametrize(
    "payload", ["", "not json", "{", "[1", '{"a": NaN}', '{"tier": Infinity}', "[" * 9999]
)
def test_a_payload_that_is_no_json_is_absent(payload: str) -> None:
    """Whatever the expression says of it."""
    for expression in ("payload.tier != 'gold'", "!(payload)", "payload == 'not json'"):
        assert evaluated(carrying(payload), where(expression)).kind is UNKNOWN


def test_a_verdict_names_fields_and_never_values() -> None:
    """The reason travels to the log; what the task carries does not."""
    secret = "sk-5ecret"
    task = carrying({"key": secret, "n": [secret], "m": {secret: secret}})
    for expression in ("payload.key > `1`", "payload.n", "length(payload.key.x)", "payload.key.x == 'a'",
                       "abs(payload.key) > `1`", "join(payload.n, payload.m) == 'x'", "payload.key == `1`",
                       "sum(payload.n) > `1`", "payload.m.x > `1`"):  # fmt: skip
        verdict = evaluated(task, where(expression))
        assert verdict.kind is UNKNOWN
        assert secret not in repr(verdict)


def test_a_vague_exemption_spares() -> None:
    """In `unless` and `exempt`, too, nobody can tell means keep."""
    task = carrying({"n": 1})
    for expression in ("payload.tier == 'gold'", "payload.n == 'gold'"):
        matcher = f"[{{where: {json.dumps(expression)}}}]"
        assert evaluated(task, "{running_for: 2h}", unless=matcher).kind is UNKNOWN
        assert evaluated(task, "{running_for: 2h}", exempt=matcher).kind is UNKNOWN
    spared = "[{where: 'payload.n == `1`'}]"
    assert evaluated(task, "{running_for: 2h}", unless=spared).kind is KEPT
    assert evaluated(task, "{running_for: 2h}", exempt=spared).kind is Kind.EXEMPT


def test_a_listed_record_that_lacks_a_field_is_read_before_it_is_evaluated() -> None:
    """A list may leave out what a reading tells; nothing follows from what it lacks."""
    listed = running_for("3h", record={"instanceId": "c-1"})
    assert evaluated(listed, where("payload.tier == 'gold'"), read=False).by.unread
    assert not evaluated(carrying({"n": 1}), where("payload.tier == 'gold'"), read=False).by.unread
    assert not evaluated(carrying(ORDER, "1h"), where("payload.gone == 'x'"), read=False).by.unread


CARRIED = "{running_for: {from: payload.max_run, at_most: 6h}}"
WITH_ELSE = "{running_for: {from: payload.max_run, at_most: 6h, else: 2h}}"


@pytest.mark.parametrize(
    ("carried", "age", "alone", "with_else"),
    [
        ("4h", "4h", KEPT, KEPT),
        ("4h", "5h", DUE, DUE),
        ("PT4H", "5h", DUE, DUE),
        ("90m", "2h", DUE, DUE),
        ("9h", "5h", KEPT, KEPT),
        ("9h", "6h", KEPT, KEPT),
        ("9h", "7h", DUE, DUE),
        (None, "9h", UNKNOWN, DUE),
        (None, "2h", UNKNOWN, KEPT),
        (14400, "9h", UNKNOWN, DUE),
        ("14400", "9h", UNKNOWN, DUE),
        ("0s", "9h", UNKNOWN, DUE),
        ("-1h", "9h", UNKNOWN, DUE),
        ("soon", "9h", UNKNOWN, DUE),
        (["4h"], "9h", UNKNOWN, DUE),
        ({"max": "4h"}, "1h", UNKNOWN, KEPT),
        (True, "9h", UNKNOWN, DUE),
    ],
)
def test_a_limit_that_the_task_carries(carried: Any, age: str, alone: Kind, with_else: Kind) -> None:
    """Capped by the policy's own; an absent or unreadable one is unknown, or `else` where that is given."""
    task = carrying({"max_run": carried}, age)
    assert evaluated(task, CARRIED).kind is alone
    assert evaluated(task, WITH_ELSE).kind is with_else


@pytest.mark.parametrize(
    ("carried", "limit", "origin"),
    [
        ("4h", "4h", "task"),
        ("6h", "6h", "task"),
        ("6h0.5s", "6h", "at_most"),
        ("400d", "6h", "at_most"),
        ("forever", "6h", "at_most"),
        ("0m", "2h", "else"),
        (None, "2h", "else"),
        (4, "2h", "else"),
    ],
)
def test_the_verdict_tells_the_limit_and_where_it_came_from(carried: Any, limit: str, origin: str) -> None:
    """Of a task that carries it; another limit is the policy's."""
    verdict = evaluated(carrying({"max_run": carried}, "7h"), WITH_ELSE)
    assert (verdict.by.rule, verdict.by.limit, verdict.by.limit_from) == ("running_for", ms(limit), origin)
    assert verdict.by.over == ms("7h") - ms(limit)
    assert evaluated(carrying({}, "7h"), "{running_for: 2h}").by.limit_from == "policy"


def test_else_is_for_a_task_that_was_read() -> None:
    """A list that leaves out the payload does not make the task one that carries no limit."""
    listed = running_for("3h", record={})
    assert evaluated(listed, WITH_ELSE, read=False).by.unread
    assert evaluated(listed, WITH_ELSE).kind is DUE


def test_a_number_of_seconds_can_be_given_its_unit() -> None:
    """A payload that holds 3600 becomes 3600s by an expression."""
    match = """{running_for: {from: "join('', [to_string(payload.s), 's'])", at_most: 6h}}"""
    assert evaluated(carrying({"s": 3600}, "2h"), match).kind is DUE
    assert evaluated(carrying({"s": 9000}, "2h"), match).kind is KEPT
    assert evaluated(carrying({"s": -1}, "2h"), match).kind is UNKNOWN


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "gold", "2h", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["payload", "payload.a", "payload.b", "payload.a.b", "payload.a[0]", "payload.c", "instanceId"]
FIELD = st.sampled_from(FIELDS)
LITERAL = st.sampled_from(["'gold'", "`1`", "`true`", "`null`", "`[]`", "'x'"])


FORMS = ["!({})", "({}) && ({})", "({}) || ({})", "length({f}) > `0`", "contains({f}, 'gold')",
         "type({f}) == 'string'", "{f}[?@ == 'gold'] == `[]`"]  # fmt: skip


@st.composite
def expressions(draw: st.DrawFn, depth: int = 2) -> str:
    """Expressions as people write them, and some that nobody would."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        sign = draw(st.sampled_from(["==", "!=", "<", ">", "<=", ">="]))
        return f"{draw(FIELD)} {sign} {draw(FIELD | LITERAL)}"
    inner = expressions(depth - 1)
    form = draw(st.sampled_from(FORMS))
    return form.replace("{f}", draw(FIELD)).format(*(draw(inner) for _ in range(form.count("{}"))))


@given(expressions(), JSON, st.data())
def test_emptying_a_field_only_makes_unknown(expression: str, payload: Any, data: st.DataObject) -> None:
    """What an expression reads and is null settles nothing that was not settled without it."""
    name = data.draw(st.sampled_from([name for name in FIELDS if name in expression]))
    path = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", name)]
    record: dict[str, Any] = {"invocationPayload": json.dumps(payload), "instanceId": "gold"}
    emptied: dict[str, Any] = {**record, str(path[0]): None}
    if path[0] == "payload":
        emptied = {**record, "invocationPayload": json.dumps(_emptied(payload, path[1:]))}
    for asked in (expression, f"!({expression})"):
        before, after = (evaluated(running_for("3h", record=one), where(asked)) for one in (record, emptied))
        assert after.kind in (before.kind, UNKNOWN)


def _emptied(value: Any, path: list[str | int]) -> Any:
    if not path:
        return None
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and step in value:
        return {**value, step: _emptied(value[step], rest)}
    if isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
        step %= len(value)
        return [*value[:step], _emptied(value[step], rest), *value[step + 1 :]]
    return value


@given(expressions(), JSON)
def test_an_expression_and_its_denial_never_both_hold(expression: str, payload: Any) -> None:
    """And where one of them cannot be told, neither can the other."""
    task = carrying(payload)
    one, other = (evaluated(task, where(text)).kind for text in (expression, f"!({expression})"))
    assert {one, other} in ({DUE, KEPT}, {UNKNOWN})


def test_an_expression_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the policy is loaded, not for each task."""
    import jmespath

    prepared = compiled(a_policy(where("payload.tier == 'gold'")))
    monkeypatch.setattr(jmespath, "compile", None)
    monkeypatch.setattr(jmespath.parser.Parser, "parse", None)
    for _ in range(3):
        assert evaluate(carrying(ORDER), prepared, AT_NOON).kind is DUE


def test_a_task_that_is_enqueued_has_no_running_age() -> None:
    """`ages` holds the clocks that run in the present status, in seconds."""
    queued = a_task("Enqueued", ("Enqueued", "3h"), record={})
    assert evaluated(queued, "{alive_for: 1h, where: 'ages.queued_for >= `10800`'}").kind is DUE
    assert evaluated(queued, "{alive_for: 1h, where: 'ages.running_for > `1`'}").kind is UNKNOWN


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("ages.alive_for > `7200`", DUE),
        ("ages.alive_for >= `10800`", DUE),
        ("ages.alive_for > `10800`", UNKNOWN),
        ("ages.alive_for < `7200`", KEPT),
        ("ages.alive_for <= `10800`", UNKNOWN),
        ("ages.running_for > `3600`", UNKNOWN),
        ("ages.running_for > `7200`", KEPT),
        ("ages.running_for <= `7200`", DUE),
        ("!(ages.running_for > `7200`)", DUE),
        ("ages.alive_for > `10800` || instanceId == 'c'", DUE),
        ("ages.running_for > `7200` && payload.gone", KEPT),
        ("ages.queued_for < `1`", UNKNOWN),
    ],
)
def test_an_age_is_compared_by_its_bounds(expression: str, kind: Kind) -> None:
    """Alive for at least three hours, running for at most two: two restarts are not shown."""
    events = [("Enqueued", "3h"), ("Running", "2h")]
    task = a_task("Running", *events, retries=2, record={"instanceId": "c"})
    assert evaluated(task, f'{{alive_for: 1h, where: "{expression}"}}').kind is kind


UNDATED = Task(TRANSCODE, "job-1", "Running", started_at=ago("30m"), retries=0, record={"instanceId": "c"})


@pytest.mark.parametrize(
    "keys",
    [
        {"match": "{alive_for: 10m}", "unless": "[{alive_for: 4h}]"},
        {"match": "{alive_for: 10m}", "exempt": "[{alive_for: 4h}]"},
        {"match": "{alive_for: 10m, where: 'ages.alive_for < `3600`'}"},
        {"match": "{alive_for: 10m}", "unless": "[{where: 'ages.alive_for > `14400`'}]"},
    ],
)
def test_an_age_that_may_be_too_young_makes_nothing_due(keys: dict[str, str]) -> None:
    """`startedTime` may be that of the last attempt: in an exemption that settles nothing."""
    match, rest = keys["match"], {name: text for name, text in keys.items() if name != "match"}
    file = a_policy(match, **rest)
    assert evaluate(UNDATED, compiled(file), AT_NOON).kind is UNKNOWN
    assert evaluate(UNDATED, compiled(file), AT_NOON, read=False).by.unread
    assert evaluate(UNDATED, compiled(file, started_time="enqueue"), AT_NOON).kind is DUE


@pytest.mark.parametrize(
    ("payload", "expression"),
    [
        ('{"n": "nan"}', "!(to_number(payload.n) <= `5`)"),
        ('{"n": "-inf"}', "to_number(payload.n) < `5`"),
        ('{"n": 1e999}', "payload.n > `5`"),
        ('{"vip": true, "vip": false}', "!(payload.vip)"),
        ('{"a": {"vip": true, "vip": false}}', "!(payload.a.vip)"),
    ],
)
def test_what_is_no_json_number_or_says_two_things_is_unknown(payload: str, expression: str) -> None:
    """Python reads more than JSON means."""
    assert evaluated(carrying(payload), where(expression)).kind is UNKNOWN


@pytest.mark.parametrize(
    ("record", "expression"),
    [
        ({"invocationPayload": "hello"}, "payload.x == 'a'"),
        ({"invocationPayload": ""}, "payload.x == 'a'"),
        ({"invocationPayload": '{"n": 1}'}, "tier == 'gold'"),
    ],
)
def test_nobody_is_read_for_what_no_reading_brings(record: dict[str, Any], expression: str) -> None:
    """A payload that is there and cannot be read, and a name that no record has."""
    verdict = evaluated(running_for("3h", record=record), where(expression), read=False)
    assert (verdict.kind, verdict.by.unread) == (UNKNOWN, False)


def test_each_side_of_a_comparison_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However deep they are nested: sixteen levels are seventeen questions, and not 131,071."""
    from fc_reaper.rules import interpreter

    asked: list[object] = []

    class Counting(interpreter.Interpreter):
        def visit_literal(self, node: Mapping[str, Any], value: Any) -> Any:
            asked.append(node)
            return super().visit_literal(node, value)

    expression = "payload.n == `5`"
    for _ in range(16):
        expression = f"({expression}) == `true`"
    monkeypatch.setattr(interpreter, "Interpreter", Counting)
    assert evaluated(carrying(ORDER), where(expression)).kind is DUE
    assert len(asked) == 17


class Record(dict[str, Any]):
    """A record that tells when it is let go of."""


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize(
    "match",
    [
        where("payload.tier == 'gold'"),
        where("payload.gone == 'x' || payload.none || payload.tier"),
        where("!(payload.gone) && length(payload.items[?x > `1`]) > `1`"),
        where("join('', payload.tags) > `1`"),
        "{alive_for: {from: payload.gone, at_most: 6h}}",
        "{alive_for: {from: payload.tier, at_most: 6h, else: 2h}}",
    ],
)
def test_a_record_is_let_go_of_at_once(match: str, read: bool) -> None:
    """It may have 8 MiB, and no collection comes between a few of them."""
    task = carrying(ORDER)
    record = Record(task.record or {})
    alive = weakref.ref(record)
    task = task._replace(record=record)
    del record
    gc.disable()
    try:
        evaluated(task, match, read=read, keep="{at_most: 1, per: payload.gone}")
        del task
        assert alive() is None
    finally:
        gc.enable()
