"""Laws of the loader, for any text whatever."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fc_reaper.errors import PolicyError
from fc_reaper.policy import PolicyFile, load_policy
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
def test_any_text_gives_a_policy_or_findings(text: str) -> None:
    """Never another exception, and every finding is one line with file, line and remedy."""
    result = outcome(text)
    if isinstance(result, PolicyError):
        assert result.findings
        for found in result.findings:
            source, line, rest = found.split(":", 2)
            assert source == "policy.yaml"
            assert 1 <= int(line) <= len(text.splitlines()) + 1
            assert "; " in rest, "no remedy"
            assert found.isprintable()


@given(st.one_of(strategies.mangled_files(), strategies.doubtful_files))
def test_what_is_accepted_says_what_yaml_says(text: str) -> None:
    """A text that stock YAML refuses is refused; one that is accepted means what stock YAML reads."""
    result = outcome(text)
    if isinstance(result, PolicyFile):
        tree = yaml.safe_load(text)
        assert (
            load_policy(strategies.as_json(tree), source="x").policies[0].targets
            == result.policies[0].targets
        )
        assert [policy.name for policy in result.policies] == [entry["name"] for entry in tree["policies"]]


@given(strategies.good_files)
def test_a_policy_that_stops_has_a_limit_or_a_named_task(text: str) -> None:
    """Whatever else a file says."""
    for policy in load_policy(text, source="policy.yaml").policies:
        limited = policy.match.limits or policy.match.retries_over is not None
        assert not policy.stops or limited or policy.triggers == ("task",)


@given(strategies.trees(), st.text(alphabet="abcdefghijk_", min_size=1, max_size=9), st.data())
def test_no_unknown_key_is_ever_ignored(tree: dict[str, object], key: str, data: st.DataObject) -> None:
    """At whatever place it stands."""
    places: list[dict[str, object]] = [tree]
    for policy in tree["policies"]:  # type: ignore[attr-defined]
        places += [
            policy,
            policy["match"],
            *(one for one in policy.get("unless", []) if isinstance(one, dict)),
        ]
    known = {"id", "name", "where", "keep"}
    place = data.draw(st.sampled_from(places))
    if key in place or key in known:
        return
    place[key] = "2h"
    with pytest.raises(PolicyError):
        load_policy(strategies.as_json(tree), source="policy.yaml")


@given(strategies.trees())
def test_block_style_and_json_mean_the_same(tree: dict[str, object]) -> None:
    """The way a file is written decides nothing but its lines."""
    block = load_policy(strategies.as_yaml(tree), source="x")
    flow = load_policy(strategies.as_json(tree), source="x")
    assert [(one.name, one.targets, one.reason, one.match.limits) for one in block.policies] == [
        (one.name, one.targets, one.reason, one.match.limits) for one in flow.policies
    ]
