"""What an expression reads, by its parse tree alone."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.rules.expression import Expression
from fc_reaper.rules.interpreter import DEEPEST, LONGEST, BadExpression, parse_expression

NEARLY = st.text(alphabet="ab.|&!=<>@'\"`0[]?*(){},: \n-", max_size=25)


@pytest.mark.parametrize(
    ("text", "roots"),
    [
        ("status", "status"),
        ("payload.tier == payload.other", "payload"),
        ("!(payload.a && qualifier || payload.c)", "payload, qualifier"),
        ("events[0].status", "events"),
        ("(payload.status || taskId).qualifier", "payload, taskId"),
        ("payload | status | b", "payload"),
        ("payload.{x: status, y: b.c}", "payload"),
        ("[payload.a, status]", "payload, status"),
        ("length(payload.items) > `3`", "payload"),
        ("payload.items[?id == 'x'].name", "payload"),
        ("payload.items[*].name", "payload"),
        ("payload.items[].name", "payload"),
        ("payload.items[1:3]", "payload"),
        ("payload.*.name", "payload"),
        ("sort_by(events, &age)[0].id", "events"),
        ("length(@)", "@"),
        ("@.payload.tier", "payload"),
        ("*.name", "@"),
        ('"odd name".payload', "odd name"),
    ],
)
def test_the_fields_that_an_expression_reads(text: str, roots: str) -> None:
    """From the record itself; what is asked of each element of a list is not among them."""
    assert parse_expression(text).roots == set(roots.split(", "))


@pytest.mark.parametrize(
    ("text", "payload", "ages"),
    [
        ("payload.tier == 'gold'", True, False),
        ("contains(invocationPayload, 'x')", True, False),
        ("contains(taskPayload, 'x')", True, False),
        ("ages.running_for > `60`", False, True),
        ("status == 'Running'", False, False),
        ("events[?payload == 'x'] | length(@) > `1`", False, False),
        ("length(@) > `1`", True, False),
        ("*", True, False),
    ],
)
def test_what_must_be_fetched_for_it(text: str, payload: bool, ages: bool) -> None:
    """A payload is asked for only where some expression reads it."""
    expression = parse_expression(text)
    assert (expression.needs_payload, bool(expression.ages)) == (payload, ages)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("payload.tier == gold", ("gold",)),
        ("payload.vip == true", ("true",)),
        ('payload.tier == "gold"', ("gold",)),
        ("Status == 'Running'", ("Status",)),
        ("status == 'Running' && alreadyRetriedTimes > `2`", ()),
        ("@", ()),
    ],
)
def test_names_that_no_record_has_are_found(text: str, names: tuple[str, ...]) -> None:
    """Most of them are texts that want other quotes."""
    assert parse_expression(text).unknown_roots == names


def test_two_expressions_of_one_text_are_equal() -> None:
    """And have one hash, so that a policy that holds them can be compared."""
    one, two, other = (parse_expression(text) for text in ("payload.a", "payload.a", "payload.b"))
    assert (one == two, hash(one) == hash(two), one == other) == (True, True, False)


@pytest.mark.parametrize("text", ["a" * LONGEST, "a" + ".a" * (LONGEST // 2 - 1), "!" * (DEEPEST - 1) + "a"])
def test_up_to_its_bounds_an_expression_may_be_long(text: str) -> None:
    """Exactly at them is fine."""
    assert parse_expression(text).roots


def outcome(text: str) -> Expression | str:
    """The expression, or the words that refuse it."""
    try:
        return parse_expression(text)
    except BadExpression as error:
        return str(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a" * (LONGEST + 1), "it has 1001 characters; write at most 1000"),
        ("!" * (DEEPEST + 1) + "a", "it has more than 60 steps within each other; write it in simpler parts"),
        ("a" + "||a" * 300, "it has more than 60 steps within each other"),
        ("!" * 900 + "a", "it is no JMESPath; write something like"),
    ],
)
def test_what_is_long_or_deep_without_end_is_refused_in_words(
    text: str, words: str, no_collection: None
) -> None:
    """Instead of ending in a traceback, now or when it is asked."""
    assert words in str(outcome(text))


@pytest.fixture
def no_collection() -> Iterator[None]:
    """No garbage of other tests is collected meanwhile: at the end of the stack its finalizers would fail."""
    gc.disable()
    yield
    gc.enable()


@given(st.text(max_size=40) | NEARLY | NEARLY.map("payload.{}".format))
def test_any_text_is_an_expression_or_refused_with_a_remedy(text: str) -> None:
    """Never another exception."""
    result = outcome(text)
    assert isinstance(result, Expression) or "; " in result


@pytest.mark.parametrize(
    "text",
    [
        "ages.alive_for",
        "!(ages.alive_for)",
        "ages",
        "keys(ages)",
        "ages.*",
        "ages.alive_for == `5`",
        "ages.alive_for != `5`",
        "ages.alive_for > '5'",
        "ages.alive_for > `true`",
        "ages.alive_for > payload.most",
        "ages.alive_for > ages.running_for",
        "max([ages.alive_for, `600`]) > `900`",
        "ages.alive_for.x > `5`",
        "ages[0] > `5`",
        "payload.{a: ages.alive_for}",
        "payload.a.b.[ages.alive_for]",
        "payload.items[?ages.alive_for == `5`]",
    ],
)
def test_an_age_stands_only_beside_an_order_and_a_number(text: str) -> None:
    """It is known within bounds, and nothing else can be made of these."""
    with pytest.raises(BadExpression, match="an age stands only beside < <= > >= and a number"):
        parse_expression(text)


def test_there_are_only_the_ages_of_the_clocks() -> None:
    """A field of that name further in is no age."""
    with pytest.raises(BadExpression, match="there is no age 'lifetime'; write one of queued_for"):
        parse_expression("ages.lifetime > `5`")
    assert parse_expression("payload.ages.lifetime == `5`").ages == ()


@pytest.mark.parametrize(
    ("text", "ages"),
    [
        ("ages.alive_for > `5`", (("alive_for", 5_000),)),
        ("ages.alive_for >= `5`", (("alive_for", 4_999),)),
        ("`5` < ages.alive_for || `5` <= ages.alive_for", (("alive_for", 5_000), ("alive_for", 4_999))),
        ("!(ages.alive_for <= `5`)", (("alive_for", 5_000),)),
        ("ages.queued_for < `0.0015`", (("queued_for", 1),)),
        ("ages.alive_for > `1e300` && ages.running_for > `-1`", ANY),
    ],
)
def test_the_lengths_at_which_a_comparison_changes(text: str, ages: object) -> None:
    """In milliseconds: beyond each of them a task is over it."""
    assert parse_expression(text).ages == ages
