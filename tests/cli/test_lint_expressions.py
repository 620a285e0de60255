"""What `fc-reaper check` says of expressions that no task can answer, or that are never true."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fc_reaper.cli.checking.lint import doubtful, groups, unanswered, warnings
from fc_reaper.cli.checking.lint.expressions.answers import answer
from fc_reaper.cli.checking.lint.expressions.matched import narrowed
from fc_reaper.cli.checking.lint.expressions.shapes import record
from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.models import ALIVE
from fc_reaper.policy import Matcher, load_policy
from fc_reaper.rules.asking import Undecided, ask, kind_of
from fc_reaper.rules.expression import BadExpression, parse_expression
from fc_reaper.rules.target import parse_target
from tests.policy.builders import a_file


def odd(**keys: str) -> list[Remark]:
    text = a_file(**keys)
    return warnings(load_policy(text, source="p.yaml"), text)


def asking(where: str, clock: str = "alive_for: 1h") -> dict[str, str]:
    return {"match": f"{{{clock}, where: {json.dumps(where)}}}"}


NEVER = [
    # a word without quotes is a field
    ("payload.tier == gold", "no record has a field gold", "write 'gold', or payload.gold"),
    ('payload.tier == "gold"', "no record has a field gold", "write 'gold', or payload.gold"),
    ("gold == payload.tier", "no record has a field gold", "write 'gold', or payload.gold"),
    ("tier == gold", "no record has a field gold", "write 'gold', or payload.gold"),
    ("tier == 'gold'", "no record has a field tier", "write payload.tier"),
    ("\"odd name\" == 'gold'", "no record has a field odd name", 'write payload."odd name"'),
    ("payload.vip == true", "no record has a field true", "between backticks: `true`"),
    ("payload.vip != null", "no record has a field null", "write nothing about null"),
    ("payload.vip == True", "no record has a field True", "between backticks: `true`"),
    ("contains([gold, silver], payload.tier)", "a field gold", "write 'gold', or payload.gold"),
    ("starts_with(payload.path, tmp)", "a field tmp", "write 'tmp', or payload.tmp"),
    # only unfinished tasks are asked
    ("status == 'Failed'", "Running or Retrying, never 'Failed'", "what is over is never asked"),
    ("status == 'running'", "Running or Retrying, never 'running'", "write one of those"),
    ("'Stopped' == status", "Running or Retrying, never 'Stopped'", "write one of those"),
    ("contains(['Failed', 'Timeout'], status)", "never 'Failed'", "write one of those"),
    ('contains(`["Failed"]`, status)', "never 'Failed'", "write one of those"),
    ("starts_with(status, 'Fail')", "never 'Fail'", "write one of those"),
    ("status == 'Stopping'", "Running or Retrying, never 'Stopping'", "write one of those"),
    ("endTime > `1700000000000`", "only a task that is over has endTime", "ask a clock"),
    ("`5` < durationMs", "only a task that is over has durationMs", "ask a clock"),
    ("contains(returnPayload, 'x')", "only a task that is over has returnPayload", "ask a clock"),
    ("returnPayload.x == 'y'", "only a task that is over has returnPayload", "ask a clock"),
    # kinds that do not go together
    ("invocationPayload.tier == 'gold'", "invocationPayload is text", "write payload.tier"),
    ("events.status == 'Running'", "events is a list", "write events[-1].status"),
    ("status.x == 'y'", "status is text, which has no x", "write status alone"),
    ("startedTime < '2026-01-01'", "only numbers can be more or less", "backticks"),
    ("ages.alive_for > '1h'", "only numbers can be more or less", "ages are in seconds"),
    ("ages.alive_for == '1h'", "a number is not compared with text", "one kind"),
    ("alreadyRetriedTimes == '3'", "a number is not compared with text", "one kind"),
    ("length(payload.items) == '3'", "a number is not compared with text", "one kind"),
    ("payload.n == `null`", "nothing compares with null", "compare with a value"),
    ("contains(status, ['Running'])", "text holds text only, not a list", "turn the arguments round"),
    ("contains([`1`], status)", "a number is not compared with text", "one kind"),
    ("contains(ages, 'alive_for')", "contains() does not take an object", "contains(keys(payload), 'x')"),
    ("payload.a == 'x' && contains(payload, 'y')", "contains() does not take an object", "keys(payload)"),
    ("starts_with(alreadyRetriedTimes, '1')", "starts_with() does not take a number", "give it text"),
    ("payload.a[0] == 'x' && payload.a.b == 'y'", "an object and a list at once", "one way"),
    ("status[0] == 'x'", "status is text, which has no [0]", "write status alone"),
    ("length(status[*].x) == `1`", "a projection needs a list", "leave it out"),
    # more than there can be
    ("ages.alive_for > `36000000`", "ages.alive_for is in seconds", "the key alive_for takes"),
    ("alreadyRetriedTimes > `8`", "no task is retried more than 8 times", "write less"),
    ("alreadyRetriedTimes == `9`", "no task is retried more than 8 times", "write less"),
    ("`9` <= alreadyRetriedTimes", "no task is retried more than 8 times", "write less"),
    # neither true nor false, or false in any case
    ("payload.items[?id == 'x']", "it answers a list, neither", "compare it"),
    ("status", "it answers text, neither", "compare it"),
    ("!(ages.alive_for)", "! takes only true or false, never a number", "compare it"),
    ("payload.vip && status", "&& takes only true or false, never text", "compare it"),
    ("ages.alive_for || payload.vip", "|| takes only true or false, never a number", "compare it"),
    ("!(type(payload.x) != 'str')", "not true is always false", "compare it"),
    ("payload.a == 'x' && payload.a == 'y'", "nothing is 'x' and 'y' at once", "write ||"),
    ("payload.a == `1` && payload.b && payload.a == `2`", "nothing is 1 and 2 at once", "write ||"),
    ("payload.x > `5` && payload.x < `3`", "nothing is more than 5 and less than 3 at once", "write ||"),
    ("`5` <= payload.x && payload.y && payload.x < `5`", "is 5 or more and less than 5 at once", "write ||"),
    ("payload.x == `2` && payload.x > `5`", "nothing is 2 and more than 5 at once", "write ||"),
    ("payload.x == 'a' && payload.x != 'a'", "nothing is 'a' and not 'a' at once", "write ||"),
    ("payload.vip && status == 'Failed'", "never 'Failed'", "write one of those"),
    ("status == 'Failed' || status == 'Timeout'", "never 'Failed'", "write one of those"),
    ("status == `5` || payload.vip", "text is not compared with a number", "one kind"),
    (
        "type(payload.x) == 'str'",
        "type() answers string, number, boolean, array or object, never 'str'",
        "one of",
    ),
    ("invocationId == 'job-*'", "no id holds such characters", "id: 'job-*'"),
    ("starts_with(invocationId, 'job-*')", "no id holds such characters", "id: 'job-*'"),
    # what the rest of the policy says already
    ("functionName == 'other'", "by `targets` functionName is transcode, never 'other'", "one of `targets`"),
    ("'other' == serviceName", "by `targets` serviceName is media, never 'other'", "one of `targets`"),
    ("qualifier == 'canary'", "by `targets` qualifier is prod, never 'canary'", "one of `targets`"),
    ("starts_with(functionName, 'resize')", "functionName is transcode, never 'resize'", "one of `targets`"),
    ("contains(['a', 'b'], functionName)", "functionName is transcode, never 'a'", "one of `targets`"),
    ("ages.alive_for < `100`", "ages.alive_for is in seconds, and over 3600 as alive_for is over 1h", "more"),
    ("ages.alive_for <= `3600`", "over 3600 as alive_for is over 1h", "write more than 3600"),
    ("`3600` == ages.alive_for", "over 3600 as alive_for is over 1h", "write more than 3600"),
]


@pytest.mark.parametrize(("where", "cause", "remedy"), NEVER, ids=[where for where, _, _ in NEVER])
def test_what_is_never_true_is_told_with_its_cause(where: str, cause: str, remedy: str) -> None:
    """By the parse tree alone, and what is known of every record."""
    (remark,) = odd(**asking(where))
    assert (remark.lint, remark.path) == (unanswered.NAME, "policies[0].match.where")
    assert cause in remark.cause
    assert remark.cause.endswith(", so the policy never matches")
    assert remedy in remark.remedy


@pytest.mark.parametrize(
    "where",
    [
        "payload.tier == payload.gold",
        "status == 'Running'",
        "status != 'Failed'",
        "status == 'Failed' || payload.vip",
        "contains(['Running', 'Failed'], status)",
        "endTime == `0`",
        "alreadyRetriedTimes >= `8`",
        "alreadyRetriedTimes < `100`",
        "ages.alive_for > `3600`",
        "startedTime > `1700000000000`",
        "payload.a == 'x' || payload.a == 'y'",
        "payload.a == 'x' && payload.b == 'y'",
        "payload.x > `3` && payload.x < `5`",
        "payload.x >= `5` && payload.x <= `5`",
        "payload.x > `5` && payload.y < `3`",
        "payload.x > `5` || payload.x < `3`",
        "payload.x == `5` && payload.x != `3`",
        "payload.x != `5` && payload.x != `3`",
        "functionName == 'transcode' && serviceName == 'media'",
        "functionName != 'other'",
        "qualifier == 'prod' || qualifier == 'LATEST'",
        "qualifier == '17'",
        "ages.alive_for < `3601`",
        "ages.alive_for == `3600.5`",
        "payload.a == `1` && payload.a == `1.0`",
        "merge({tier: 'free'}, payload).tier == 'gold'",
        "contains(keys(payload), 'urgent')",
        "contains(payload.tags, 'x') && contains(payload.path, 'tmp')",
        "contains(['gold', 'silver'], payload.tier)",
        "contains(invocationPayload, 'x')",
        "length(payload.items[?id == 'x']) > `0`",
        "events[-1].status == status",
        "length(events[?status == 'Retrying']) > `2`",
        "sort_by(payload.items, &age)[0].vip",
        "to_number(payload.n) > `5`",
        "type(payload.x) == 'string' && payload.x != ''",
        "max(payload.sizes) > `5`",
        "not_null(payload.vip, payload.urgent)",
        "!(payload.vip)",
        "payload.a.b == 'x' && payload.a.c == 'y'",
        "payload[0].vip",
        "starts_with(invocationId, 'job-')",
        "invocationId != 'job-*'",
        "contains(invocationErrorMessage, 'OutOfMemory')",
    ],
)
def test_an_expression_that_may_be_true_is_left_alone(where: str) -> None:
    """Of a kind that people write, or nearly one of those above."""
    assert odd(**asking(where)) == []


@pytest.mark.parametrize(
    ("match", "where", "cause"),
    [
        ("running_for: 1h", "ages.running_for < `100`", "ages.running_for is in seconds, and over 3600"),
        ("queued_for: 1h", "ages.alive_for < `100`", "over 3600 as queued_for is over 1h"),
        ("alive_for: 2h, running_for: 1h", "ages.alive_for < `7200`", "over 7200 as alive_for is over 2h"),
        ("alive_for: 2h, running_for: 1h", "ages.running_for < `7200`", None),
        ("alive_for: 1h", "ages.running_for < `100`", None),
        ("running_for: {from: payload.most, at_most: 1h}", "ages.running_for < `100`", None),
        ("retries_over: 3", "alreadyRetriedTimes <= `3`", "`match` asks for alreadyRetriedTimes over 3"),
        ("retries_over: 3", "alreadyRetriedTimes <= `4`", None),
        ("alive_for: 1h, id: 'job-*'", "starts_with(invocationId, 'vip')", "fit job-*, never 'vip'"),
        ("alive_for: 1h, id: 'job-*'", "invocationId == 'x'", "fit job-*, never 'x'"),
        ("alive_for: 1h, id: ['job-*', 'vip-?']", "ends_with(invocationId, '-x')", None),
        ("alive_for: 1h, id: ['a-?', 'b-?']", "ends_with(invocationId, '-xx')", "never '-xx'"),
        ("alive_for: 1h, id: 'job-1'", "contains(invocationId, '2')", "fit job-1, never '2'"),
        ("alive_for: 1h, id: 'job-*'", "starts_with(invocationId, 'job-1')", None),
        ("alive_for: 1h, id: 'j*'", "starts_with(invocationId, 'job-1')", None),
    ],
)
def test_the_rest_of_the_matcher_is_known(match: str, where: str, cause: str | None) -> None:
    """Its limits on that clock, or on one that cannot be ahead of it; its ids."""
    said = odd(**asking(where, match))
    assert [one.lint for one in said] == ([] if cause is None else [unanswered.NAME])
    assert cause is None or cause in said[0].cause


@pytest.mark.parametrize(
    ("targets", "where"),
    [
        ("['media/*@prod']", "functionName == 'other'"),
        ("[media/transcode, media/other]", "functionName == 'other'"),
        ("['*/transcode@*']", "serviceName == 'other' && qualifier == 'canary'"),
        ("[media/transcode, resize]", "functionName == 'resize'"),
        ("[resize@canary]", "qualifier == 'canary'"),
    ],
)
def test_a_name_that_some_target_has_is_left_alone(targets: str, where: str) -> None:
    """Also where a pattern allows it, or nobody knows what the record calls it."""
    assert odd(targets=targets, **asking(where)) == []


def test_an_exception_is_asked_of_what_the_match_lets_through() -> None:
    """There it spares nobody; an exemption may wait for other policies."""
    (remark,) = odd(match="{running_for: 1h}", unless="[{where: ages.running_for < `100`}]")
    assert (remark.path, remark.cause.endswith("so it never holds")) == ("policies[0].unless[0].where", True)
    text = a_file(match="{running_for: 1h}").replace(
        "policies:", "exempt: [{where: \"functionName == 'x'\"}]\npolicies:"
    )
    assert [one.lint for one in warnings(load_policy(text, source="p"), text)] == []


def test_a_status_is_looked_for_among_those_of_the_match() -> None:
    """`running_for` asks tasks that are Running alone."""
    (remark,) = odd(**asking("status == 'Enqueued'", "running_for: 1h"))
    assert "a task that it is asked of is Running, never 'Enqueued'" in remark.cause
    assert not odd(unless="[{where: \"status == 'Enqueued'\"}]")


@pytest.mark.parametrize(
    ("where", "so"),
    [
        ("status == 'Failed'", "so it never holds"),
        ("payload.tier == gold", "so nobody can tell what is spared, and all that it might mean is kept"),
    ],
)
def test_mercy_that_is_never_true_spares_nobody_or_everybody(where: str, so: str) -> None:
    """False is false; what is unknown is kept."""
    (remark,) = odd(unless=f'[{{where: "{where}"}}]')
    assert remark.cause.endswith(so)


def test_what_the_match_reads_is_known_of_all_that_unless_is_asked_of() -> None:
    """A payload with a field is an object there, too."""
    unless = "[{where: \"contains(payload, 'x')\"}]"
    (remark,) = odd(**asking("payload.tier == 'gold'"), unless=unless)
    assert (remark.lint, remark.path) == (unanswered.NAME, "policies[0].unless[0].where")


@pytest.mark.parametrize(
    ("limit", "cause"),
    [
        (
            "length(payload.items)",
            "it answers a number, and a limit is text such as 90m, so",
        ),
        ("to_number(payload.most)", "it answers a number"),
        ("invocationPayload.most", "invocationPayload is text"),
    ],
)
def test_a_carried_limit_must_be_text(limit: str, cause: str) -> None:
    """A number has no unit; with `else` every task has that limit."""
    (remark,) = odd(match=f"{{alive_for: {{from: '{limit}', at_most: 2h}}}}")
    assert (remark.lint, remark.path) == (unanswered.NAME, "policies[0].match.alive_for.from")
    assert cause in remark.cause
    (other,) = odd(match=f"{{alive_for: {{from: '{limit}', at_most: 2h, else: 1h}}}}")
    assert other.cause.endswith("so every task has the limit in `else`")
    assert not odd(match="{alive_for: {from: \"join('', [to_string(payload.n), 's'])\", at_most: 2h}}")


@pytest.mark.parametrize(
    ("where", "remedy"),
    [
        ("contains(payload.tier, ['gold', 'silver'])", "contains(['gold', 'silver'], payload.tier)"),
        ('contains(payload.tier, `["gold"]`)', "contains(['gold'], payload.tier)"),
        ("contains(payload, 'x')", "contains(keys(payload), 'x')"),
    ],
)
def test_contains_the_wrong_way_round_is_doubted(where: str, remedy: str) -> None:
    """Nothing more is said than is true: there are lists of lists, and payloads that are lists."""
    for keys in (asking(where), {"unless": f"[{{where: {json.dumps(where)}}}]"}):
        (remark,) = odd(**keys)
        assert (remark.lint, "never" in remark.cause) == (doubtful.NAME, False)
        assert remedy in remark.remedy


def test_an_example_shows_that_a_payload_is_no_object() -> None:
    """Then `contains` is what is meant."""
    examples = "[{given: {alive_for: 3h, payload: [x]}, expect: stop}]"
    assert odd(**asking("contains(payload, 'x')"), examples=examples) == []


GROUPED = {"match": "{status: Running}"}


@pytest.mark.parametrize(
    "per",
    [
        "invocationId", "requestId", "startedTime", "events", "'@'", "ages", "ages.running_for",
        "'[payload.tenant, invocationId]'", "'{a: payload.tenant, b: requestId}'", "to_string(invocationId)",
    ],
)  # fmt: skip
def test_groups_of_one_are_told(per: str) -> None:
    """`keep` with a group for each task never stops anything."""
    (remark,) = odd(**GROUPED, keep=f"{{at_most: 1, per: {per}}}")
    assert (remark.lint, remark.path) == (groups.NAME, "policies[0].keep.per")
    assert "alone in its group" in remark.cause
    assert "payload.order_id" in remark.remedy


def test_a_task_of_3_0_has_its_own_id() -> None:
    """`taskId` is the name of it there."""
    (remark,) = odd(**GROUPED, targets="[resize]", keep="{at_most: 1, per: taskId}")
    assert remark.lint == groups.NAME


@pytest.mark.parametrize(
    "per",
    [
        "payload", "payload.order_id", "payload.invocationId", "status", "instanceId", "function",
        "qualifier",
        "'[payload.tenant, functionName]'", "'events[-1].status'", "'ages.running_for > `60`'",
        "'payload.{id: invocationId}'", "join('-', [payload.a, payload.b])",
    ],
)  # fmt: skip
def test_groups_that_tasks_may_share_are_left_alone(per: str) -> None:
    """A field of the payload may have any name."""
    assert odd(**GROUPED, keep=f"{{at_most: 1, per: {json.dumps(per.strip(chr(39)))}}}") == []


ATOMS = st.sampled_from(
    [
        "status", "invocationId", "alreadyRetriedTimes", "endTime", "startedTime", "events", "ages", "@",
        "ages.running_for", "ages.alive_for", "functionName", "qualifier",
        "payload", "payload.a", "payload.b", "payload.a.b", "payload.a[0]", "payload.*",
        "events[0].status", "events[].status", "payload.a[?b]", "payload.a[*].b", "payload.a[0:1]",
        "'job-2'", "'b'", "`1`",
        "'Running'", "'Failed'", "'gold'", "'job-*'", "''", "`5`", "`9`", "`true`", "`false`", "`[]`", "`{}`",
        '`["Running", "x"]`', "type(payload.a)", "to_string(payload.a)", "keys(payload)", "length(payload.a)",
        "merge({a: 'x'}, payload).a", "not_null(payload.a, 'x')", "reverse(payload.a)", "max(payload.a)",
        "to_array(payload.a)", "to_number(payload.a)", "sum(payload.a)", "values(payload)",
    ]
)  # fmt: skip


def _joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    shapes = st.sampled_from(
        [
            "({0}) == ({1})", "({0}) != ({1})", "({0}) > ({1})", "({0}) <= ({1})", "({0}) && ({1})",
            "({0}) || ({1})", "!({0})", "contains({0}, {1})", "starts_with({0}, {1})", "[{0}, {1}]",
            "{{a: {0}, b: {1}}}.a", "({0}) | ({1})", "map(&a, {0})", "join('', [{0}, {1}])",
        ]
    )  # fmt: skip
    return st.builds(lambda shape, one, two: shape.format(one, two), shapes, inner, inner)


VALUES = st.recursive(
    st.sampled_from([True, False, 0, 5, 9, "", "gold", "Running", "5"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """Unfinished tasks of FC 2.0 with any payload."""
    status = draw(st.sampled_from(ALIVE))
    age = draw(st.integers(5, 86_400))
    return {
        "status": status,
        "invocationId": draw(st.sampled_from(["job-1", "job-2", "gold", "Running"])),
        "functionName": "b",
        "qualifier": draw(st.sampled_from(["LATEST", "7"])),
        "alreadyRetriedTimes": draw(st.integers(2, 8)),
        "startedTime": draw(st.sampled_from([5, 1_700_000_000_000, "2026"])),
        "endTime": 0,
        "events": [{"eventId": 1, "status": status}],
        "ages": {"alive_for": age, **({"running_for": age} if status == "Running" else {})},
        "payload": draw(VALUES),
    }


MATCH = Matcher(ids=("job-?", "g*d", "Running"), alive_for=4000, retries_over=1)


@given(st.recursive(ATOMS, _joined, max_leaves=5), records())
def test_whatever_is_answered_was_possible(text: str, subject: dict[str, Any]) -> None:
    """So a warning that something is never true, or never answered, is right."""
    try:
        expression = parse_expression(text)
    except BadExpression:
        assume(False)
    target = parse_target("a/b")
    a_record = record(ALIVE, [target], expression.paths)
    possible = answer(expression.tree, narrowed(a_record, MATCH, [target])).kinds
    try:
        found = ask(expression, subject)
    except Undecided:
        return
    kind = str(found).lower() if isinstance(found, bool) else kind_of(found)
    assert kind in possible
