"""`until` and `because`: an exemption that ends, and why it is there."""

from __future__ import annotations

import copy
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.evaluator.evaluate import evaluate
from fc_reaper.evaluator.examples import failing
from fc_reaper.evaluator.explain import explain
from fc_reaper.models import Moment, Task, iso
from fc_reaper.policy import Policy
from fc_reaper.rules.result import Kind, Verdict
from tests.builders import AT_NOON, NOON, a_policy, compiled, ms, running_for
from tests.evaluator import worlds
from tests.evaluator.worlds import World, evaluated, loaded

OVER = running_for("3h")
LIST = [("exempt", Kind.EXEMPT), ("unless", Kind.KEPT)]


def at(offset: str) -> str:
    """The moment so long after noon, to the second."""
    return f"{iso(NOON + ms(offset))[:19]}Z"


def verdict(place: str, entry: str, task: Task = OVER, now: Moment = AT_NOON, **how: Any) -> Verdict:
    return evaluate(task, compiled(a_policy(**{place: f"[{entry}]"})), now, **how)


@pytest.mark.parametrize(("place", "spared"), LIST)
@pytest.mark.parametrize(
    ("earliest", "latest", "holds"),
    [(-1, -1, True), (0, 0, True), (1, 1, False), (0, 30_000, True), (-30_000, 1, True), (1, 30_000, False)],
)
def test_it_ends_once_even_the_earliest_now_is_later(
    place: str, spared: Kind, earliest: int, latest: int, holds: bool
) -> None:
    """Exactly at `until` it still spares, and as long as the bounds of now stand on both sides of it."""
    now = Moment(NOON + earliest, NOON + latest, latest - earliest)
    found = verdict(place, f"{{id: job-1, until: {at('0s')}, because: migration}}", now=now)
    assert found.kind is (spared if holds else Kind.DUE)
    assert found.spared_by == ({"until": at("0s"), "because": "migration"} if holds else {})


@pytest.mark.parametrize(("place", "spared"), LIST)
@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (f"{{id: job-1, until: {at('1h')}}}", {"until": at("1h")}),
        ("{id: job-1, because: 'a\n      b'}", {"because": "a b"}),
        ("job-1", {}),
        (f"{{id: job-1, until: {at('-1h')}}}, {{id: 'job-*', because: second}}", {"because": "second"}),
    ],
)
def test_the_verdict_has_the_words_of_the_exemption_that_spares(
    place: str, spared: Kind, entry: str, said: dict[str, str]
) -> None:
    """As far as it has any; one that has ended says nothing."""
    found = verdict(place, entry)
    assert (found.kind, found.spared_by) == (spared, said)


UNREAD = running_for("3h", record={"status": "Running"})


@pytest.mark.parametrize("place", ["exempt", "unless"])
def test_one_that_has_ended_is_false_whatever_its_other_keys_are(place: str) -> None:
    """It asks for no reading, makes nothing unknown, and a flaw of the record does not revive it."""
    for key in ("where: payload.vip", "alive_for: 1h", "status: Running"):
        found = verdict(place, f"{{{key}, until: {at('-1s')}}}", UNREAD, read=False)
        assert (found.kind, found.by.unread) == (Kind.DUE, False)
    assert verdict(place, f"{{where: payload.vip, until: {at('1s')}}}", UNREAD, read=False).by.unread
    flawed = running_for("3h", inconsistency="strange")
    assert verdict("exempt", f"{{id: job-1, until: {at('0s')}}}", flawed).kind is Kind.EXEMPT
    assert verdict("exempt", f"{{id: job-1, until: {at('-1s')}}}", flawed).kind is Kind.UNKNOWN


EAST = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    "written",
    [
        "2026-12-01T00:00:00+08:00",
        "2026-12-01 00:00+08:00",
        "2026-11-30T16:00:00Z",
        "2026-11-30T10:30:00-05:30",
        datetime(2026, 12, 1, tzinfo=EAST),
    ],
)
def test_a_moment_is_text_or_a_date_with_its_zone(written: object) -> None:
    """A program may hand over what another loader of YAML made of it."""
    tree = {"name": "a", "targets": ["f"], "match": {"alive_for": "2h"}, "report": "why"}
    policy = Policy.model_validate({**tree, "unless": [{"id": "job-7", "until": written}]})
    assert (
        policy.model_dump(mode="json", exclude_defaults=True)["unless"][0]["until"] == "2026-11-30T16:00:00Z"
    )
    for bare in (datetime(2026, 12, 1), date(2026, 12, 1)):
        with pytest.raises(ValueError, match="has no zone: by UTC it is 2026-12-01T"):
            Policy.model_validate({**tree, "unless": [{"id": "job-7", "until": bare}]})


def test_explain_knows_when_an_exemption_ends() -> None:
    """The time until the task becomes due goes to the moment after it."""
    file = a_policy(exempt=f"[{{id: job-1, until: {at('1h')}, because: migration}}]")
    said = explain(OVER, file, AT_NOON, stuck_after=1)
    assert said.due_in == ms("1h") + 1
    assert said.model_dump(by_alias=True)["verdict"]["because"] == "migration"
    assert [(step.condition, step.holds) for step in said.steps[:2]] == [
        (f"until: {at('1h')}", True),
        ("id: job-1", True),
    ]
    later = explain(OVER, file, Moment.exactly(NOON + ms("1h") + 1), stuck_after=1)
    assert (later.verdict.kind, later.steps[0].holds, later.due_in) == (Kind.DUE, False, None)


def test_examples_happen_before_any_exemption_ends() -> None:
    """Else a file would be refused from some day on."""
    example = "[{given: {id: job-7, running_for: 3h}, expect: keep}]"
    assert failing(a_policy(exempt="[{id: job-7, until: 2020-01-01T00:00:00Z}]", examples=example)) == []


@given(worlds.worlds(), st.sampled_from([-86_400_000, -1000, 0, 1000, 86_400_000]))
def test_an_end_only_says_whether_the_exemption_is_there(world: World, offset: int) -> None:
    """Until its end a verdict is that without the end, and afterwards that without the exemption."""
    tree, some = world
    ending, other = copy.deepcopy(tree), copy.deepcopy(tree)
    for place, key in [(ending, "exempt"), *((one, "unless") for one in ending["policies"])]:
        entries = [{"id": one} if isinstance(one, str) else one for one in place.get(key, [])]
        place[key] = [
            {**one, "until": f"{iso(NOON + offset)[:19]}Z"} for one in entries if "until" not in one
        ]
    for place, key in [(other, "exempt"), *((one, "unless") for one in other["policies"])]:
        entries = [one for one in place.get(key, []) if "until" not in one]
        place[key] = [] if offset < 0 else entries
    one, two = loaded(ending), loaded(other)
    for task in some:
        with_end, without = evaluated(task, one), evaluated(task, two)
        assert with_end._replace(line=0, spared_by={}) == without._replace(line=0, spared_by={})
