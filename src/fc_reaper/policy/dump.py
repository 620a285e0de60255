"""A policy as YAML again: what was read, spelt in one way. Reading the dump gives the policy."""

from __future__ import annotations

import json
from typing import Any

from fc_reaper.policy.duration import spell_duration
from fc_reaper.policy.model import Carried, Example, Keep, Limit, Matcher, Policy, PolicyFile
from fc_reaper.policy.payload import looks_like_number

Plain = dict[str, Any]


def dump_policy(file: PolicyFile) -> str:
    """Write a whole policy file. Comments and whatever else decides nothing are not in it."""
    tree: Plain = {"version": file.version}
    if file.exempt:
        tree["exempt"] = [dump_matcher(one) for one in file.exempt]
    tree["policies"] = [dump_one(policy) for policy in file.policies]
    return written(tree)


def written(tree: Plain, *, width: int = 100) -> str:
    """Plain values as YAML in block style, so that every reader of YAML or JSON reads the same."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes what is text in YAML 1.1 and a number elsewhere, such as 1e3."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "'" if looks_like_number(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return str(yaml.dump(tree, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=width))


def dump_one(policy: Policy) -> Plain:
    """One entry of `policies` as plain values, its keys in the order in which people write them."""
    verb = "stop" if policy.stops else "report"
    return _stated(
        name=policy.name,
        targets=[str(target) for target in policy.targets],
        match=dump_matcher(policy.match),
        unless=[dump_matcher(one) for one in policy.unless] or None,
        **{verb: policy.reason},
        triggers=list(policy.triggers) or None,
        keep=None if policy.keep is None else _keep(policy.keep),
        budget=spell_budget(policy),
        halt_over=policy.halt_over,
        holdout=None if policy.holdout is None else spell_share(policy.holdout),
        examples=[_example(one) for one in policy.examples] or None,
    )


def dump_matcher(matcher: Matcher) -> Plain:
    """A matcher as a mapping; a bare pattern becomes `{id: …}`."""
    return _stated(
        status=_one_or_list(matcher.statuses or ()),
        id=_one_or_list(matcher.ids),
        target=_one_or_list([str(target) for target in matcher.target or ()]),
        **{clock: _limit(limit) for clock, limit in matcher.limits},
        retries_over=matcher.retries_over,
        where=None if matcher.where is None else matcher.where.text,
    )


def spell_budget(policy: Policy) -> str:
    """The budget as the file writes it, also where it is the default: `20/run, 200/day`."""
    return f"{policy.per_run}/run" + (f", {policy.per_day}/day" if policy.per_day is not None else "")


def spell_share(hundredths: int) -> str:
    """Hundredths of a percent as the file writes them: `2%`, `0.25%`."""
    whole, rest = divmod(hundredths, 100)
    return f"{whole}.{rest:02}".rstrip("0").rstrip(".") + "%"


def _limit(limit: Limit) -> str | Plain:
    if not isinstance(limit, Carried):
        return spell_duration(limit)
    carried = {"from": limit.expression.text, "at_most": spell_duration(limit.at_most)}
    return {**carried, "else": spell_duration(limit.otherwise)} if limit.otherwise is not None else carried


def _keep(keep: Keep) -> Plain:
    return _stated(
        at_most=keep.at_most, stop_first=keep.stop_first, per=None if keep.per is None else str(keep.per)
    )


def _example(example: Example) -> Plain:
    given = _stated(
        id=example.id,
        target=None if example.target is None else str(example.target),
        status=example.status,
        **{clock: spell_duration(age) for clock, age in example.ages},
        retries=example.retries,
    )
    if example.payload is not None:
        given["payload"] = json.loads(example.payload)
    return {"given": given, "expect": example.expect}


def _one_or_list(values: tuple[str, ...] | list[str]) -> str | list[str] | None:
    return values[0] if len(values) == 1 else list(values) or None


def _stated(**values: Any) -> Plain:
    """What was stated: a key without a value is none."""
    return {name: value for name, value in values.items() if value is not None}
