"""The schema for editors agrees with the loader."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given

from fc_reaper.cli.schema import policy_schema
from fc_reaper.errors import PolicyError
from fc_reaper.policy import load_policy
from tests.policy import strategies
from tests.policy.builders import a_file

VALIDATOR = jsonschema.Draft202012Validator(policy_schema())


def test_the_schema_is_a_schema() -> None:
    """Draft 2020-12, small enough to be read by a person."""
    jsonschema.Draft202012Validator.check_schema(policy_schema())
    assert len(str(policy_schema())) < 16_000


@strategies.FEWER
@given(strategies.good_files)
def test_whatever_the_loader_accepts_the_schema_accepts(text: str) -> None:
    """Of files that use every key in every form."""
    load_policy(text, source="policy.yaml")
    VALIDATOR.validate(yaml.safe_load(text))


@strategies.FEWER
@given(strategies.doubtful_files)
def test_no_red_line_under_what_the_loader_takes(text: str) -> None:
    """Of files in which values stand where others belong."""
    try:
        load_policy(text, source="policy.yaml")
    except PolicyError:
        return
    VALIDATOR.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        a_file(top="exempt:"),
        a_file(top="examples: []"),
        a_file(top="exmept: [a]"),
        a_file(without="name"),
        a_file(without="stop"),
        a_file(stop="a", report="b"),
        a_file(match="{}"),
        a_file(match="{alive_for: 7200}"),
        a_file(match="{alive_for: 2 hours}"),
        a_file(match="{status: Succeeded, alive_for: 2h}"),
        a_file(match="{target: f, alive_for: 2h}"),
        a_file(unless="['a[b]']"),
        a_file(targets="[]"),
        a_file(targets="[a/b/c]"),
        a_file(triggers="[nightly]"),
        a_file(budget="20"),
        a_file(halt_over="0"),
        a_file(match="{alive_for: {from: payload.max}}"),
        a_file(match="{alive_for: {from: payload.max, at_most: 6h, default: 2h}}"),
        a_file(match="{alive_for: 2h, where: ''}"),
        a_file(match="{alive_for: 2h, where: [a]}"),
        a_file(keep="10"),
        a_file(keep="{per: function}"),
        a_file(keep="{at_most: 0}"),
        a_file(keep="{at_most: 1, stop_first: old}"),
        a_file(budget="20/run 200/day"),
        a_file(budget="20/run, 30/run"),
        a_file(holdout="100%"),
        a_file(holdout="2"),
        a_file(examples="[]"),
        a_file(examples="[{given: {}, expect: stop}]"),
        a_file(examples="[{given: {id: 'a*'}, expect: stop}]"),
        a_file(examples="[{given: {id: a}, expect: kept}]"),
        a_file(examples="[{given: {id: a, retrys: 3}, expect: keep}]"),
    ],
)
def test_an_editor_marks_the_common_faults(text: str) -> None:
    """Before the file is ever loaded."""
    validator = jsonschema.Draft202012Validator(policy_schema())
    assert not validator.is_valid(yaml.safe_load(text))


def test_every_key_is_explained() -> None:
    """An editor shows a line of help for each key."""

    def unexplained(part: Any) -> list[str]:
        if isinstance(part, list):
            return [name for item in part for name in unexplained(item)]
        if not isinstance(part, dict):
            return []
        mute = [
            name for name, value in part.get("properties", {}).items() if value and "description" not in value
        ]
        return mute + [name for value in part.values() for name in unexplained(value)]

    assert unexplained(policy_schema()) == []


def test_the_schema_is_the_callers_own() -> None:
    """Changing the answer changes no other."""
    policy_schema()["properties"].clear()
    assert "version" in policy_schema()["properties"]
