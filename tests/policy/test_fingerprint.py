"""A fingerprint is the meaning of a policy: what decides changes it, what only looks different does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.policy import Keep, Policy
from fc_reaper.policy.load import policy_models
from fc_reaper.policy.lock import BESIDE_THE_MEANING, exemptions, file_fingerprint, fingerprint
from fc_reaper.rules import fields, language
from fc_reaper.rules.fields import CarriedLimit
from fc_reaper.rules.language import keys_of
from tests.policy import strategies
from tests.policy.builders import a_file, loaded, policy

USUAL = {
    "match": "{status: [Running, Retrying], id: [a-*, b-*], alive_for: 1d12h, retries_over: 3}",
    "targets": "[media/transcode@prod, resize]",
    "unless": "[vip-*, {status: Retrying, target: [f, g]}, {where: payload.vip}]",
    "triggers": "[timer, alert]",
    "keep": "{at_most: 3, per: payload.order_id}",
    "budget": "20/run, 200/day",
    "halt_over": "100",
    "holdout": "2%",
    "examples": "[{given: {id: a-1}, expect: keep}]",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"stop": "another reason"},
        {"examples": "[{given: {id: b-1}, expect: keep}]"},
        {"owner": "media-team"},
        {"owner": "{from: payload.team}"},
        {"without": "examples"},
        {"stop": "forty minutes at worst # and a comment"},
        {"match": "{retries_over: 3, alive_for: 36h, id: [b-*, a-*], status: [Retrying, Running]}"},
        {"match": "{status: [Running, Retrying], id: [a-*, b-*], alive_for: P1DT12H, retries_over: 3}"},
        {"match": "{status: [Running, Retrying, Running], id: [a-*, b-*], alive_for: 36h, retries_over: 3}"},
        {"targets": "[resize@LATEST, media/transcode@prod]"},
        {"targets": "[resize, media/transcode@prod, resize]"},
        {"unless": "[{where: payload.vip}, {target: [g, f@*], status: [Retrying]}, {id: vip-*}]"},
        {"unless": "\n      - vip-*\n      - {status: Retrying, target: [f, g]}\n      - where: >-\n"
                   "          payload.vip"},
        {"triggers": "[alert, timer]"},
        {"triggers": "[timer, alert, 'timer:night']"},
        {"keep": "{per: payload.order_id, at_most: 3, stop_first: newest}"},
        {"budget": "200/day, 20/run"},
        {"budget": "200/day"},
        {"holdout": "2.00%"},
    ],
)  # fmt: skip
def test_what_only_looks_different_means_the_same(changes: dict[str, str]) -> None:
    """Names, words, examples, comments, order, spellings, and defaults that are written out."""
    assert fingerprint(policy(**{**USUAL, **changes})) == fingerprint(policy(**USUAL))


@pytest.mark.parametrize(
    "changes",
    [
        {"targets": "[media/transcode@prod]"},
        {"targets": "[media/transcode@prod, resize@*]"},
        {"match": "{status: Running, id: [a-*, b-*], alive_for: 1d12h, retries_over: 3}"},
        {"match": "{status: [Running, Retrying], id: [a-*, B-*], alive_for: 1d12h, retries_over: 3}"},
        {"match": "{status: [Running, Retrying], id: [a-*, b-*], alive_for: 36h1s, retries_over: 3}"},
        {"match": "{status: [Running, Retrying], id: [a-*, b-*], alive_for: 1d12h, retries_over: 4}"},
        {"match": "{status: [Running, Retrying], id: [a-*, b-*], alive_for: 1d12h}"},
        {
            "match": "{status: [Running, Retrying], id: [a-*, b-*], alive_for: 1d12h, retries_over: 3, "
            "where: payload.a}"
        },
        {"unless": "[vip-*, {status: Retrying, target: [f, g]}]"},
        {"unless": "[vip-*, {status: Retrying, target: [f, g]}, {where: payload.gold}]"},
        {"unless": "[vip-*, {target: [f, g]}, {where: payload.vip}]"},
        {"without": "unless"},
        {"report": "forty minutes at worst"},
        {"triggers": "[timer]"},
        {"without": "triggers"},
        {"keep": "{at_most: 4, per: payload.order_id}"},
        {"keep": "{at_most: 3, per: payload.order_id, stop_first: oldest}"},
        {"keep": "{at_most: 3, per: function}"},
        {"keep": "{at_most: 3}"},
        {"without": "keep"},
        {"budget": "21/run, 200/day"},
        {"budget": "20/run, 201/day"},
        {"budget": "20/run"},
        {"halt_over": "101"},
        {"without": "halt_over"},
        {"holdout": "2.01%"},
        {"without": "holdout"},
    ],
)
def test_whatever_decides_is_part_of_the_meaning(changes: dict[str, str]) -> None:
    """One row for each key, and for its absence."""
    assert fingerprint(policy(**{**USUAL, **changes})) != fingerprint(policy(**USUAL))


CARRIED = "{alive_for: {from: payload.max, at_most: 6h, else: 2h}}"


@pytest.mark.parametrize(
    ("match", "same"),
    [
        ("{alive_for: {else: 120m, at_most: PT6H, from: ' payload.max '}}", True),
        ("{alive_for: {from: payload.min, at_most: 6h, else: 2h}}", False),
        ("{alive_for: {from: payload.max, at_most: 5h, else: 2h}}", False),
        ("{alive_for: {from: payload.max, at_most: 6h, else: 3h}}", False),
        ("{alive_for: {from: payload.max, at_most: 6h}}", False),
        ("{running_for: {from: payload.max, at_most: 6h, else: 2h}}", False),
    ],
)
def test_a_carried_limit_is_part_of_the_meaning(match: str, same: bool) -> None:
    """All three of its parts."""
    assert (fingerprint(policy(match=match)) == fingerprint(policy(match=CARRIED))) is same


def test_a_fingerprint_stays_what_it_is() -> None:
    """A lock outlives releases: if this changes, every approved policy is unapproved."""
    written = "sha256:1f3928889016d65adfc3f9b4bab8dfe1e4b21fc435abff8552329ab6f748afea"
    assert fingerprint(policy(**USUAL)) == written


OTHER: dict[str, object] = {
    "name": "other", "targets": ["other"], "unless": ["a", "b"], "stop": "other", "report": "other",
    "triggers": ["command"], "keep": {"at_most": 7}, "budget": "7/run", "halt_over": 7, "holdout": "7%",
    "examples": [{"given": {"id": "a-7"}, "expect": "keep"}], "match": {"status": "Running", "id": "a"},
    "status": "Enqueued", "id": "other-*", "target": "other", "queued_for": "7h", "running_for": "7h",
    "alive_for": "7h", "stopping_for": "7h", "retries_over": 7, "where": "payload.other",
    "at_most": "5h", "stop_first": "oldest", "per": "qualifier", "from": "payload.other", "else": "1m",
    "owner": {"from": "payload.other"}, "until": "2026-12-01T00:00:00+08:00", "because": "other",
}  # fmt: skip
"""Another value for each key of the language; a new key fails below until it has one here."""


CARRIED_KEYS = {"from": "payload.max", "at_most": "6h", "else": "2h"}
BASE: dict[str, Any] = {
    "name": "a",
    "targets": ["media/transcode"],
    "match": {"alive_for": CARRIED_KEYS},
    "unless": [{"running_for": "1h"}],
    "report": "why",
}


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """The policy above with one key changed or added: every key of every model of a policy."""
    models = policy_models()
    yield from ((key, {**BASE, key: OTHER[key]}) for key in keys_of(Policy) if key != "stop")
    for key in keys_of(models["match"]):
        yield f"match.{key}", {**BASE, "match": {key: OTHER[key]}}
    for key in keys_of(models["unless"]):
        beside = {"running_for": "1h"} if key in ("until", "because") else {}
        yield f"unless.{key}", {**BASE, "unless": [{**beside, key: OTHER[key]}]}
    for key in keys_of(CarriedLimit):
        yield f"carried.{key}", {**BASE, "match": {"alive_for": {**CARRIED_KEYS, key: OTHER[key]}}}
    for key in keys_of(Keep):
        yield f"keep.{key}", {**BASE, "keep": {"at_most": 7, key: 8 if key == "at_most" else OTHER[key]}}


def test_every_key_that_decides_changes_the_fingerprint() -> None:
    """Whatever keys there are, each in its own way; those that do not decide are named once."""
    seen = {fingerprint(Policy.model_validate(BASE)): "nothing"}
    for path, tree in variants():
        after = fingerprint(Policy.model_validate(tree))
        if path.removeprefix("unless.") in BESIDE_THE_MEANING:
            assert seen[after] == "nothing", path
        else:
            assert after not in seen, (path, seen[after])
            seen[after] = path
    stop = {key: value for key, value in BASE.items() if key != "report"} | {"stop": "why"}
    assert fingerprint(Policy.model_validate(stop)) not in seen


class NightKeep(Keep):
    """`keep` as a later version may have it."""

    by_night: fields.Count | None = language.key("Another number by night.", 3, None)


class NightPolicy(Policy):
    """A policy with a key that nobody told the lock of, and a part with another one."""

    pause: fields.Count | None = language.key("Seconds between two stops.", 7, None)
    keep: NightKeep | None = language.key("How many may be alive.", {"at_most": 10}, None)


def test_a_key_that_the_language_gets_later_is_part_of_the_meaning() -> None:
    """Without a word in the lock; a policy that does not state it keeps its fingerprint."""
    plain = {**BASE, "keep": {"at_most": 7}}
    changed = [{**plain, "pause": 7}, {**plain, "keep": {"at_most": 7, "by_night": 3}}]
    found = {fingerprint(NightPolicy.model_validate(tree)) for tree in (plain, *changed)}
    assert len(found) == 3
    assert fingerprint(Policy.model_validate(plain)) in found


def test_exemptions_are_spelt_in_one_way() -> None:
    """Patterns as they are, whatever else as one line of JSON, sorted."""
    exempt = (
        "[keep-*, {id: [b, a]}, {target: f, alive_for: 120m}, {id: keep-*}, {id: x, status: Running}, "
        "{id: [b, c], until: 2026-12-01T00:00:00+08:00}, {where: a, because: why, until: 2026-12-01T00:00Z}]"
    )
    assert exemptions(loaded(a_file(top=f"exempt: {exempt}"))) == (
        "a",
        "b",
        "b until 2026-11-30T16:00:00Z",
        "c until 2026-11-30T16:00:00Z",
        "keep-*",
        '{"alive_for": "2h", "target": "f@*"}',
        '{"id": "x", "status": "Running"}',
        '{"where": "a"} until 2026-12-01T00:00:00Z',
    )


def test_the_fingerprint_of_a_file_knows_names_order_and_exemptions() -> None:
    """Order decides between two claims, and a plan names policies."""
    one, two = (
        a_file(name=name, match=match) for name, match in (("a", "{id: x, alive_for: 1h}"), ("b", CARRIED))
    )
    entry = two.partition("policies:\n")[2]
    files = [
        one,
        one + entry,
        two + one.partition("policies:\n")[2],
        one.replace("name: a", "name: c") + entry,
        a_file(top="exempt: [keep-*]", name="a", match="{id: x, alive_for: 1h}") + entry,
    ]
    assert len({file_fingerprint(loaded(text)) for text in files}) == len(files)
    assert file_fingerprint(loaded(one)) == file_fingerprint(loaded(one.replace("forty", "fifty")))


@strategies.FEWER
@given(strategies.trees(), st.randoms(use_true_random=False))
def test_the_order_of_keys_and_of_lists_decides_nothing(tree: dict[str, object], random: object) -> None:
    """Of any policy."""
    straight = loaded(strategies.as_yaml(tree))
    shuffled = loaded(strategies.as_yaml(_shuffled(tree, random)))
    found = {policy.name: fingerprint(policy) for policy in shuffled.policies}
    assert found == {policy.name: fingerprint(policy) for policy in straight.policies}
    assert exemptions(shuffled) == exemptions(straight)


def _shuffled(part: object, random: object) -> object:
    if isinstance(part, dict):
        items = list(part.items())
        random.shuffle(items)  # type: ignore[attr-defined]
        return {name: _shuffled(value, random) for name, value in items}
    if isinstance(part, list):
        entries = [_shuffled(item, random) for item in part]
        random.shuffle(entries)  # type: ignore[attr-defined]
        return entries
    return part


def test_every_trigger_is_what_no_trigger_is() -> None:
    """Written out or left out, all of them run it."""
    named = policy(**{**USUAL, "triggers": "[task, timer, command, alert]"})
    plain = policy(**{key: value for key, value in USUAL.items() if key != "triggers"})
    assert fingerprint(named) == fingerprint(plain)
