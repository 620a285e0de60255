"""Shards: every function in exactly one, and what must be counted together in the same."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.models import Function
from fc_reaper.policy import PolicyFile, load_policy
from fc_reaper.rules.fields import parse_target
from fc_reaper.sweep.scope import Share

NAMES = st.text("ab", min_size=1, max_size=3)
FUNCTIONS = st.builds(
    Function, st.none() | NAMES, NAMES | st.just("a$b"), st.sampled_from(["LATEST", "prod", "7"])
)
GLOBS = st.text("ab*?", min_size=1, max_size=4)
TARGETS = st.builds(
    lambda service, name, qualifier: f"{service}{name}{qualifier}",
    st.just("") | GLOBS.map("{}/".format),
    GLOBS,
    st.sampled_from(["", "@*", "@prod"]),
)
WHOLE: list[dict[str, Any]] = [{}, {}, {"halt_over": 5}, {"keep": {"at_most": 1}}]


POLICIES = st.tuples(st.lists(TARGETS, min_size=1, max_size=3, unique=True), st.sampled_from(WHOLE))


def file_of(drawn: list[tuple[list[str], dict[str, Any]]]) -> PolicyFile:
    """A file of policies, of which some need all of their tasks."""
    keys: dict[str, Any] = {"match": {"running_for": "1h"}, "stop": "x"}
    policies = [
        {"name": f"p{number}", "targets": targets, **keys, **more}
        for number, (targets, more) in enumerate(drawn)
    ]
    return load_policy(json.dumps({"version": 1, "policies": policies}), source="p.yaml")


@given(
    st.lists(POLICIES, min_size=1, max_size=6).map(file_of),
    st.lists(FUNCTIONS, max_size=8),
    st.integers(1, 100),
)
def test_every_function_is_in_exactly_one_shard_and_what_belongs_together_in_the_same(
    file: PolicyFile, functions: list[Function], shards: int
) -> None:
    """For any number of shards; a `keep` or `halt_over` policy has all its functions, under any qualifier."""
    every = [Share(f"{number}/{shards}", file.policies) for number in range(1, shards + 1)]
    for function in functions:
        assert sum(share.holds(function) for share in every) == 1
    for policy in file.policies:
        if policy.keep is not None or policy.halt_over is not None:
            (owner,) = [share for share in every if share.owns(policy)]
            under_any = [target._replace(qualifier="*") for target in policy.targets]
            for function in functions:
                if any(target.fits(function) for target in under_any):
                    assert owner.holds(function)


SINGLE, TOGETHER = [5, 1, 3, 2], [5, 5, 5, 2]


def test_the_shard_of_a_function_never_changes() -> None:
    """It is the SHA-256 of its name, so that runs of different versions share the functions out alike."""
    names = ("media/transcode@prod", "media/transcode@7", "media/resize", "resize")
    functions = [Function(*parse_target(name)) for name in names]
    for more, found in (({}, SINGLE), ({"halt_over": 5}, TOGETHER)):
        policies = file_of([(["media/*@*"], more)]).policies
        shares = [Share(f"{number}/8", policies) for number in range(1, 9)]
        assert [[share.holds(one) for share in shares].index(True) + 1 for one in functions] == found
