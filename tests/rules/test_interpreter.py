"""What an expression answers, and when it has no answer: what is absent decides nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.rules.ages import Reading
from fc_reaper.rules.expression import Undecided, ask
from fc_reaper.rules.interpreter import parse_expression
from fc_reaper.rules.result import UNKNOWN, Truth
from tests.builders import AT_NOON, running_for
from tests.policy.strategies import PAYLOADS

SUBJECT: dict[str, Any] = {
    "status": "Running",
    "instanceId": None,
    "alreadyRetriedTimes": 2,
    "events": [{"eventId": 1, "status": "Enqueued"}, {"eventId": 2, "status": "Running"}],
    "payload": {
        "tier": "gold",
        "vip": True,
        "size": 5,
        "none": None,
        "tags": ["a", "b"],
        "flags": [True],
        "empty": [],
        "blank": "",
        "holes": [None, {"vip": None}],
        "hole": {"a": None},
        "pairs": [["tier", "silver"], "ab"],
        "loose": "1_000",
        "spaced": " 5 ",
        "digits": "-12.5e1",
        "mixed": [{"id": 1}, {"name": "x"}],
        "deep": {"a": {"b": "c"}},
    },
}


def reading(record: dict[str, Any]) -> Reading:
    """The record of a task that has been running for 61 seconds."""
    written = {**record, "invocationPayload": json.dumps(record["payload"])}
    return Reading(running_for("61s", record=written), AT_NOON, "unknown", read=True)


def holds(text: str, record: dict[str, Any] = SUBJECT) -> bool:
    """Whether the expression holds."""
    return ask(parse_expression(text), reading(record), bool)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("payload.tier == 'gold'", True),
        ("payload.tier != 'gold'", False),
        ("payload.vip", True),
        ("!(payload.vip)", False),
        ("payload.size > `4` && payload.size <= `5.0`", True),
        ("ages.running_for > `60`", True),
        ("alreadyRetriedTimes == `2`", True),
        ("contains(payload.tags, 'a')", True),
        ("contains(payload.tags, 'z')", False),
        ("contains(payload.tier, 'ol')", True),
        ("length(events) == `2`", True),
        ("events[-1].status == status", True),
        ("length(events[?status == 'Enqueued']) == `1`", True),
        ("payload.deep.a.b == 'c'", True),
        ("payload.deep.{x: a.b}.x == 'c'", True),
        ('payload.tags == `["a", "b"]`', True),
        ("payload.empty == `[]`", True),
        ("starts_with(payload.tier, 'go')", True),
        ("sort_by(events, &eventId)[0].status == 'Enqueued'", True),
        ("payload.size == `5` || payload.tier == 'x'", True),
        ("to_number(payload.digits) == `-125`", True),
        ("merge({tier: 'free'}, payload).tier == 'gold'", True),
        ("merge({tier: 'free'}, payload.deep).tier == 'free'", True),
    ],
)
def test_what_is_there_is_answered(text: str, answer: bool) -> None:
    """As JMESPath says."""
    assert holds(text) is answer


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("payload.absent == 'x'", "payload.absent is absent"),
        ("payload.absent != 'x'", "payload.absent is absent"),
        ("!(payload.absent)", "payload.absent is absent"),
        ("!(payload.absent == 'x')", "payload.absent is absent"),
        ("payload.none == 'x'", "payload.none is absent"),
        ("!(payload.none)", "payload.none is absent"),
        ("payload.none == `null`", "payload.none is absent"),
        ("payload.absent == payload.absent", "payload.absent is absent"),
        ("instanceId != 'x'", "instanceId is absent"),
        ("ages.queued_for > `1`", "queued_for is not known"),
        ("payload.tier == 'silver' || payload.absent == 'x'", "payload.absent is absent"),
        ("payload.tier == 'gold' && payload.absent == 'x'", "payload.absent is absent"),
        ("not_null(payload.absent, `true`)", "payload.absent is absent"),
        ("payload.tier == gold", "gold is absent"),
        ("payload.tags[5] == 'a'", "the index finds nothing"),
        ("payload.tags[-3] != 'a'", "the index finds nothing"),
        ("payload.tier.deeper != 'a'", "payload.tier.deeper is absent"),
        ("payload.mixed[?id == `1`] | length(@) == `1`", "id is absent"),
        ("!(payload.mixed[?name == 'y'])", "name is absent"),
        ("length(payload.mixed[*].id) == `1`", "id is absent"),
        ("payload.size == '5'", "it compares a number with text"),
        ("payload.size != '5'", "it compares a number with text"),
        ("payload.vip == `1`", "it compares true or false with a number"),
        ("payload.vip != 'true'", "it compares true or false with text"),
        ("payload.flags == `[1]`", "it compares true or false with a number"),
        ("payload.flags != `[1]`", "it compares true or false with a number"),
        ('payload.deep != `{"a": {"b": 1}}`', "it compares text with a number"),
        ("payload.tier == `null`", "the literal finds nothing"),
        ("payload.tier > 'a'", "it asks whether text is more or less"),
        ("payload.vip > `false`", "it asks whether true or false is more or less"),
        ("!contains(payload.tags, `1`)", "it compares text with a number"),
        ("contains(payload.flags, `1`)", "it compares true or false with a number"),
        ("!contains(payload.tier, payload.size)", "it cannot be computed"),
        ("!(payload.tags)", "! is asked of a list"),
        ("!(payload.blank)", "! is asked of text"),
        ("!(payload.size)", "! is asked of a number"),
        ("merge({tier: 'free'}, payload.empty).tier == 'free'", "merge() does not take a list"),
        ("merge({tier: 'free'}, payload.blank).tier == 'free'", "merge() does not take text"),
        ("merge({tier: 'free'}, payload.pairs).tier == 'free'", "merge() does not take a list"),
        ("merge({tier: 'free'}, payload.deep, payload.blank).tier == 'free'", "merge() does not take text"),
        ("to_number(payload.loose) == `1000`", "to_number() answers nothing"),
        ("to_number(payload.spaced) == `5`", "to_number() answers nothing"),
        ("!to_number(payload.tier)", "to_number() answers nothing"),
        ("!max(payload.empty)", "max() answers nothing"),
        ("avg(payload.empty) < `3`", "avg() answers nothing"),
        ("length(payload.size) > `1`", "length() does not take"),
        ("starts_with(payload.size, 'x')", "starts_with() does not take"),
        ("sum(payload.tags) > `1`", "sum() does not take"),
        ("!(payload.tier[0:1])", "the slice finds nothing"),
        ("payload.tier", "it answers text, not true or false"),
        ("payload.size", "it answers a number, not true or false"),
        ("payload.tags", "it answers a list, not true or false"),
        ("payload.deep", "it answers an object, not true or false"),
        ("payload.tier && payload.vip", "&& is asked of text"),
        ("payload.vip && payload.tier", "&& is asked of text"),
        ("payload.blank || !(payload.vip)", "|| is asked of text"),
        ("!(contains(payload.holes, 'vip'))", "it compares null with text"),
        ("!(contains(payload.holes[*], 'vip'))", "one of several is null"),
        ("!(contains(payload.holes[], 'vip'))", "one of several is null"),
        ("!(contains(payload.hole.*, 'vip'))", "one of several is null"),
        ("length(payload.holes[*].{v: vip}) == `0`", "one of several is null"),
        ("length(payload.holes[1:].{v: vip}) == `0`", "vip is absent"),
        ("length(payload.holes[1:].[vip]) == `0`", "vip is absent"),
        ("length(payload.holes[?`true`]) == `0`", "one of several is null"),
        ("length(values(payload.hole)[?@ == 'x']) == `0`", "one of several is null"),
        ("payload.size == `4` || payload.size", "|| is asked of a number"),
        ("length(payload.mixed[?'false']) > `1`", "[? ] is asked of text"),
        ("length(payload.tier[?vip]) < `1`", "the filter_projection finds nothing"),
    ],
)
def test_what_is_not_there_decides_nothing(text: str, why: str) -> None:
    """Absence, null, different types and failures leave it open, however they are negated."""
    with pytest.raises(Undecided) as caught:
        holds(text)
    assert str(caught.value).startswith(why)


def test_a_group_may_be_any_answer() -> None:
    """`per` and `from` take what `where` does not."""
    assert ask(parse_expression("payload.tier"), reading(SUBJECT), str) == "gold"
    assert ask(parse_expression("[payload.tier, payload.size]"), reading(SUBJECT), object) == ["gold", 5]


TESTS = st.sampled_from(
    [
        "payload.{0} == 'x'",
        "payload.{0} != 'x'",
        "!(payload.{0})",
        "!(payload.{0} == `1`)",
        "payload.{0} > `1` || payload.{0} <= `1`",
        "!contains(payload.{0}, 'x')",
        "payload.{0}.b != `true`",
        "length(payload.{0}) != `1`",
        "payload.{0}[?b] == `[]`",
        "payload.{0}[0] != 'x' || status == 'Running'",
    ]
)


def truth(text: str, record: dict[str, Any]) -> Truth:
    """What an expression comes to."""
    try:
        return Truth(holds(text, record))
    except Undecided:
        return UNKNOWN


@given(TESTS, TESTS, PAYLOADS, PAYLOADS)
def test_and_or_not_are_those_of_three_values(one: str, two: str, a: Any, b: Any) -> None:
    """Whatever the sides ask, and whatever is absent, fails or has another type."""
    record = {"status": "Running", "payload": {"a": a, "b": b}}
    for field in ("b", "absent"):
        left, right = one.format("a"), two.format(field)
        sides = truth(left, record), truth(right, record)
        assert truth(f"({left}) || ({right})", record) is sides[0] | sides[1]
        assert truth(f"({left}) && ({right})", record) is sides[0] & sides[1]
        assert truth(f"!({right})", record) is ~sides[1]


@pytest.mark.parametrize(
    "text",
    [
        " | ".join(["[payload, payload]"] + ["[@, @]"] * 25),
        " | ".join(["payload.tags"] + ["[@, @][]"] * 25) + " | length(@)",
        " | ".join(["payload.tier"] + ["join('', [@, @])"] * 25),
        " | ".join(["payload"] + ["{a: @, b: @}"] * 25) + " | to_string(@)",
        " | ".join(["payload.tags"] + ["[*].[@, @][]"] * 25),
    ],
)
def test_an_expression_that_makes_too_much_is_undecided(text: str) -> None:
    """Also where something else would settle it."""
    for expression in (text, f"payload.vip && ({text}) == `1` || payload.vip"):
        with pytest.raises(Undecided) as caught:
            ask(parse_expression(expression), reading(SUBJECT), object)
        assert str(caught.value).startswith("it takes too many steps")


def said(text: str, payload: Any) -> str:
    """What is said of an answer that there is not; empty where there is one."""
    try:
        holds(text, {"status": "Running", "payload": payload})
    except Undecided as undecided:
        return str(undecided)
    return ""


@given(TESTS, PAYLOADS)
def test_any_payload_is_answered_or_left_open(test: str, payload: Any) -> None:
    """Never another exception."""
    assert isinstance(said(test.format("a"), {"a": payload}), str)


@given(TESTS, st.sampled_from(["hunter2", ["hunter2"], {"hunter2": "hunter2"}, [{"b": "hunter2"}]]))
def test_what_is_said_names_no_value(test: str, payload: Any) -> None:
    """It ends up in a log."""
    assert "hunter2" not in said(test.format("a"), {"a": payload})
