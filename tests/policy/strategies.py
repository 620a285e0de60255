"""Generators of policy files: good ones, doubtful ones, and texts that are hardly files."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from fc_reaper.policy.load import write_yaml
from fc_reaper.rules.duration import LONGEST, spell_duration

FEWER = settings(max_examples=settings().max_examples // 2)
"""For laws about whole files: each takes as long to make as many small values."""

WORD = st.text(alphabet="abcXYZ019_-", min_size=1, max_size=8)
GLOB = st.text(alphabet="abcXYZ019_-*?", min_size=1, max_size=8)
SHOWN = st.characters(
    exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"), include_characters=" "
)
"""All that Python calls printable: a filter would throw half of the files away."""
REASON = st.text(SHOWN, min_size=1, max_size=30).filter(str.strip)
CLOCK_STATUSES = {
    "queued_for": ["Enqueued"],
    "running_for": ["Running"],
    "alive_for": ["Running", "Retrying"],
    "stopping_for": ["Stopping"],
}
NAME = st.from_regex("[a-z]{1,5}", fullmatch=True)
PRINTABLE = st.text(SHOWN, max_size=8)
NO_NUMBER = PRINTABLE.filter(lambda text: not re.fullmatch(r"-?[0-9]+[eE].*", text))

EXPRESSIONS = st.sampled_from(
    [
        "payload.tier == 'gold'",
        "payload.items[?id==`5`] | length(@) > `1`",
        "ages.alive_for > `60` && !(payload.vip)",
        "contains(payload.tags, 'a: b # c') || status != 'Running'",
        "payload.\"odd name\" == 'é'",
        "payload.n\n\t== `1.5`",
        "to_number(payload.n) < `3`",
        "invocationId",
        "!(payload.vip)",
        "*.a | [0]",
    ]
) | st.builds("payload.{} == '{}'".format, NAME, NAME)
"""Texts of JMESPath, with whatever YAML may stumble over."""

NUMBERS = st.integers(-(10**12), 10**12) | st.floats(-(10**6), 10**6).map(lambda number: round(number, 3))
PAYLOADS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | NO_NUMBER | st.sampled_from(["on", "12:30", "<<", "=", "~"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PRINTABLE, inner, max_size=3),
    max_leaves=6,
)
"""Any JSON."""


@st.composite
def targets(draw: st.DrawFn) -> str:
    """A target, with or without service and qualifier."""
    service = draw(st.none() | GLOB)
    qualifier = draw(st.none() | GLOB)
    path = draw(GLOB) if service is None else f"{service}/{draw(GLOB)}"
    return path if qualifier is None else f"{path}@{qualifier}"


@st.composite
def durations(draw: st.DrawFn) -> str:
    """A length of time in one of its two spellings."""
    seconds = draw(st.integers(1, LONGEST // 1000))
    return draw(st.sampled_from([spell_duration(seconds * 1000), f"PT{seconds}S"]))


@st.composite
def limits(draw: st.DrawFn) -> Any:
    """A length of time, or one that the task carries."""
    if draw(st.booleans()):
        return draw(durations())
    shorter, longer = sorted(draw(st.tuples(*[st.integers(1, LONGEST // 1000)] * 2)))
    carried = {"from": draw(EXPRESSIONS), "at_most": spell_duration(longer * 1000)}
    return {**carried, "else": spell_duration(shorter * 1000)} if draw(st.booleans()) else carried


@st.composite
def keeps(draw: st.DrawFn) -> dict[str, Any]:
    """How many may be alive at once."""
    keep: dict[str, Any] = {"at_most": draw(st.integers(1, 99))}
    if draw(st.booleans()):
        keep["stop_first"] = draw(st.sampled_from(["newest", "oldest"]))
    if draw(st.booleans()):
        keep["per"] = draw(st.sampled_from(["function", "qualifier"]) | EXPRESSIONS)
    return keep


BUDGETS = st.builds("{}/run".format, st.integers(1, 999)) | st.builds("{}/day".format, st.integers(1, 999))
BUDGETS |= st.builds("{}/run, {}/day".format, st.integers(1, 999), st.integers(1, 999))
BUDGETS |= st.builds("{}/day,{}/run".format, st.integers(1, 999), st.integers(1, 999))
HOLDOUTS = st.integers(1, 9999).map(lambda hundredths: f"{hundredths // 100}.{hundredths % 100:02}%")
HOLDOUTS |= st.integers(1, 99).map("{}%".format)


@st.composite
def examples(draw: st.DrawFn, expect: str) -> dict[str, Any]:
    """A task, and what is said to become of it, rightly or not."""
    given: dict[str, Any] = {"id": draw(WORD)}
    clock = draw(st.sampled_from(sorted(CLOCK_STATUSES)))
    optional: dict[str, st.SearchStrategy[Any]] = {
        "target": st.builds("{}/{}".format, NAME, NAME) | NAME,
        "status": st.sampled_from(CLOCK_STATUSES[clock]),
        clock: durations(),
        "retries": st.integers(0, 9),
        "payload": PAYLOADS,
    }
    for key in draw(st.sets(st.sampled_from(sorted(optional)))):
        given[key] = draw(optional[key])
    return {"given": given, "expect": draw(st.sampled_from([expect, "keep"]))}


def _one_or_list(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return value | st.lists(value, min_size=1, max_size=3)


ZONES = st.sampled_from(["Z", "+00:00", "+08:00", "-05:30"])
MOMENTS = st.builds(
    lambda moment, zone: moment.isoformat("T", "seconds") + zone,
    st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)),
    ZONES,
)


@st.composite
def matches(draw: st.DrawFn, *, exemption: bool = False) -> dict[str, Any]:
    """A matcher with at most one clock and a status that agrees with it."""
    clock = draw(st.sampled_from(sorted(CLOCK_STATUSES)))
    matcher: dict[str, Any] = {clock: draw(limits())}
    if draw(st.booleans()):
        matcher["status"] = draw(_one_or_list(st.sampled_from(CLOCK_STATUSES[clock])))
    if draw(st.booleans()):
        matcher["id"] = draw(_one_or_list(GLOB))
    if draw(st.booleans()) and clock != "stopping_for":
        matcher["retries_over"] = draw(st.integers(0, 9))
    if draw(st.booleans()):
        matcher["where"] = draw(EXPRESSIONS)
    if exemption and draw(st.booleans()):
        matcher["target"] = draw(_one_or_list(targets()))
    if exemption and draw(st.booleans()):
        matcher["until"] = draw(MOMENTS)
        matcher["because"] = draw(REASON)
    return matcher


EXEMPTIONS = st.lists(GLOB | matches(exemption=True), max_size=3)
TRIGGERS = st.sampled_from(["timer", "alert", "command", "task"]) | WORD.map(lambda name: f"timer:{name}")


@st.composite
def policies(draw: st.DrawFn, name: str = "a") -> dict[str, Any]:
    """One entry of `policies` with any of its keys."""
    does = draw(st.sampled_from(["stop", "report"]))
    policy: dict[str, Any] = {
        "name": name,
        "targets": draw(st.lists(targets(), min_size=1, max_size=3)),
        "match": draw(matches()),
        does: draw(REASON),
    }
    optional = {
        "unless": EXEMPTIONS,
        "owner": REASON | st.fixed_dictionaries({"from": EXPRESSIONS}),
        "triggers": st.lists(TRIGGERS, min_size=1, max_size=3),
        "keep": keeps(),
        "budget": BUDGETS,
        "halt_over": st.integers(1, 999),
        "holdout": HOLDOUTS,
        "examples": st.lists(examples(does), min_size=1, max_size=2),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(optional))))
    policy |= {key: draw(optional[key]) for key in sorted(chosen)}
    if "stopping_for" in policy["match"] or set(policy.get("triggers", ())) == {"task"}:
        policy.pop("keep", None)
    if set(policy.get("triggers", ())) == {"task"}:
        policy.pop("halt_over", None)
    return policy


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """A whole policy file as plain data."""
    names = draw(st.lists(WORD, min_size=1, max_size=3, unique=True))
    tree: dict[str, Any] = {"version": 1, "policies": [draw(policies(name)) for name in names]}
    if draw(st.booleans()):
        tree["exempt"] = draw(EXEMPTIONS)
    return tree


def as_yaml(tree: Any) -> str:
    """Plain data as YAML in block style, quoted where YAML needs it."""
    return write_yaml(tree)


def as_json(tree: Any) -> str:
    """Plain data as JSON; what lies beyond the first plane unescaped, which YAML needs."""
    return json.dumps(tree, ensure_ascii=False)


STRANGE: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**12),
    st.floats(allow_nan=False),
    st.sampled_from(["", " ", "Running", "2h", "20/run", "task", "*", "where", "on", "12:30", "a\nb"]),
    st.text(max_size=6),
    st.lists(st.sampled_from(["a", "task", "Running"]), max_size=2),
    st.dictionaries(st.sampled_from(["id", "where", "from", "status"]), st.just("Running"), max_size=2),
)


@st.composite
def doubtful_trees(draw: st.DrawFn) -> Any:
    """A good file in which a value or two were exchanged, dropped or added somewhere."""
    tree: Any = json.loads(json.dumps(draw(trees())))
    for _ in range(draw(st.integers(1, 2))):
        _disturb(draw, tree)
    return tree


def _disturb(draw: st.DrawFn, tree: Any) -> None:
    place = tree
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], (dict, list)) and place[key] and draw(st.booleans()):
            place = place[key]
            continue
        if draw(st.booleans()):
            place[key] = draw(STRANGE)
        else:
            del place[key]
        return


good_files = trees().map(as_yaml) | trees().map(as_json)
doubtful_files = doubtful_trees().map(as_yaml)


@st.composite
def mangled_files(draw: st.DrawFn) -> str:
    """A good file with a few characters put in or taken out."""
    text = draw(good_files)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        insert = draw(
            st.sampled_from(
                ["*", "@", "&a ", "*a", "- ", ": ", "\n", "\t", "[", "}", '"', "'", "#", "?", "!x "]
            )
        )
        text = text[:at] + insert + text[at + draw(st.integers(0, 3)) :]
    return text
