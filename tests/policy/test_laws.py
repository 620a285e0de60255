"""Laws of the loader, for any text whatever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fc_reaper.errors import PolicyError
from fc_reaper.policy import PolicyFile, load_policy
from fc_reaper.policy.load import dump_policy
from fc_reaper.rules.fields import parse_target
from tests.policy import strategies

YAMLISH = st.text(alphabet="ab1:-?*&!%@`|>'\"[]{},#~=<\\\n\r\t \x00\x85\u2028\ud800é", max_size=40)


def outcome(text: str) -> PolicyFile | PolicyError:
    try:
        return load_policy(text, source="policy.yaml")
    except PolicyError as error:
        return error


@given(st.one_of(st.text(), YAMLISH, strategies.mangled_files(), strategies.doubtful_files))
@example('{0,"":": "?0')
@example("? " * 3000)
@example("&a [*a]")
@example('"\\UFFFFFFFF"')
@example("%YAML 1." + "9" * 5000 + "\n---\na")
def test_any_text_gives_a_policy_or_issues(text: str) -> None:
    """Never another exception, and every finding is one line with file, line and remedy."""
    result = outcome(text)
    if isinstance(result, PolicyError):
        assert result.issues
        for found in (issue.text for issue in result.issues):
            source, line, rest = found.split(":", 2)
            assert source == "policy.yaml"
            assert 1 <= int(line) <= len(text.splitlines()) + 1
            assert "; " in rest, "no remedy"
            assert found.isprintable()


@strategies.FEWER
@given(st.one_of(strategies.mangled_files(), strategies.doubtful_files))
def test_what_is_accepted_says_what_yaml_says(text: str) -> None:
    """A text that stock YAML refuses is refused; one that is accepted means what stock YAML reads."""
    result = outcome(text)
    if isinstance(result, PolicyFile):
        tree = yaml.load(text, Loader=yaml.BaseLoader)
        assert [str(one) for one in result.policies[0].targets][:1] == [
            str(parse_target(entry)) for entry in tree["policies"][0]["targets"]
        ][:1]
        assert [policy.name for policy in result.policies] == [
            " ".join(entry["name"].split()) for entry in tree["policies"]
        ]


@strategies.FEWER
@given(strategies.good_files)
def test_a_policy_that_stops_has_a_limit_or_a_named_task(text: str) -> None:
    """Whatever else a file says."""
    for policy in load_policy(text, source="policy.yaml").policies:
        limited = any(rule.is_limit for rule in policy.match.rules) or policy.keep
        assert not policy.stops or limited or policy.triggers == ("task",)


def places(part: object, key: str = "") -> Iterator[dict[str, object]]:
    """Every mapping in which only known keys may stand: all but what a payload holds."""
    if isinstance(part, dict) and key != "payload":
        yield part
        for name, value in part.items():
            yield from places(value, name)
    elif isinstance(part, list) and key != "payload":
        for item in part:
            yield from places(item)


@strategies.FEWER
@given(strategies.trees(), st.text(alphabet="abcdefghijk_", min_size=1, max_size=9), st.data())
def test_no_unknown_key_is_ever_ignored(tree: dict[str, object], key: str, data: st.DataObject) -> None:
    """At whatever place it stands."""
    place = data.draw(st.sampled_from(list(places(tree))))
    if key in place or key in ("id", "name", "where", "keep", "per", "else", "from"):
        return
    place[key] = "2h"
    with pytest.raises(PolicyError):
        load_policy(strategies.as_json(tree), source="policy.yaml")


@strategies.FEWER
@given(strategies.trees())
def test_block_style_and_json_mean_the_same(tree: dict[str, object]) -> None:
    """The way a file is written decides nothing but its lines."""
    block = load_policy(strategies.as_yaml(tree), source="x")
    flow = load_policy(strategies.as_json(tree), source="x")
    assert block == flow


@strategies.FEWER
@given(strategies.good_files)
def test_loading_the_dump_of_a_policy_gives_the_policy(text: str) -> None:
    """Nothing but comments, places and spellings is lost."""
    file = load_policy(text, source="x")
    assert load_policy(dump_policy(file), source="x") == file


@strategies.FEWER
@given(strategies.good_files)
def test_a_dump_is_written_in_one_way(text: str) -> None:
    """So that two dumps can be compared line by line."""
    dumped = dump_policy(load_policy(text, source="x"))
    assert dump_policy(load_policy(dumped, source="x")) == dumped
