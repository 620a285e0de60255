"""Matchers: the conditions in `match`, `unless` and `exempt`."""

from __future__ import annotations

from typing import Any

from fc_reaper.policy.document import Entries, Node, Scalar
from fc_reaper.policy.findings import Place
from fc_reaper.policy.forms import Form, Wrong, kind_of, list_of, misread, one_or_list, text_of
from fc_reaper.policy.keys import Fields, Key, KeyTable, read_keys, schema_of
from fc_reaper.policy.limits import LIMIT
from fc_reaper.policy.model import CLOCKS, Matcher
from fc_reaper.policy.values import EXPRESSION, ID_GLOB, STATUS, TARGET, whole_number

_STATUS = Key(
    "status",
    one_or_list(STATUS, "write one status or more, such as [Running, Retrying]"),
    "status: Running",
    "The task has this status, or one of these.",
)
_ID = Key(
    "id",
    one_or_list(ID_GLOB, "write one pattern or more, such as ['nightly-*']"),
    "id: 'nightly-*'",
    "The invocation id fits this pattern (* and ?, with case), or one of these.",
)
_TARGET = Key(
    "target",
    one_or_list(TARGET, "write one target or more, such as [media/transcode@prod]"),
    "target: media/transcode@prod",
    "The function fits this target: [service/]function[@qualifier]; without @ the qualifier is LATEST.",
)
_RETRIES = Key(
    "retries_over",
    whole_number(0, "write how many retries are still fine, such as 3"),
    "retries_over: 3",
    "The task is alive and was retried more than this many times.",
)
_CLOCK_HELP = {
    "queued_for": "The task waits (Enqueued, Dequeued) for longer than this since it was last enqueued.",
    "running_for": "The task is Running for longer than this in its present attempt.",
    "alive_for": "The task is alive for longer than this since it was first enqueued, all attempts together.",
    "stopping_for": "The task is Stopping for longer than this since it was asked to stop.",
}
_CLOCKS = tuple(Key(name, LIMIT, f"{name}: 2h", _CLOCK_HELP[name]) for name in CLOCKS)
_WHERE = Key(
    "where",
    EXPRESSION,
    "where: payload.tier == 'gold'",
    "This JMESPath over the record, payload and ages answers true; unknown where what it reads is absent.",
)

_ELSEWHERE = {
    **dict.fromkeys(
        (
            "targets",
            "unless",
            "triggers",
            "keep",
            "budget",
            "halt_over",
            "holdout",
            "examples",
            "stop",
            "report",
        ),
        "the policy, beside `match`",
    ),
    **dict.fromkeys(("from", "else"), "a clock, as in alive_for: {from: payload.max_run, at_most: 6h}"),
    "at_most": "a clock, as in alive_for: {from: payload.max_run, at_most: 6h}, or in `keep`",
    "payload": "`where`, as in where: payload.tier == 'gold'",
}
MATCH_KEYS = KeyTable(
    "`match`",
    (_STATUS, _ID, *_CLOCKS, _RETRIES, _WHERE),
    elsewhere={**_ELSEWHERE, "target": "`targets`, beside `match`"},
)
MERCY_KEYS = KeyTable("a matcher", (_STATUS, _ID, _TARGET, *_CLOCKS, _RETRIES, _WHERE), elsewhere=_ELSEWHERE)


def _matcher(node: Entries, place: Place, table: KeyTable, advice: str) -> Matcher | None:
    faults = len(place.findings)
    fields = read_keys(node, place, table)
    if not node.pairs:
        place.wrong(f"the mapping is empty; write at least one key, such as {{{advice}}}", node.line)
    if len(place.findings) > faults:
        return None
    matcher = _made_of(fields, place.line)
    if matcher.stated_statuses == ():
        place.wrong(_contradiction(matcher), node.line)
        return None
    return matcher


def _made_of(fields: Fields, line: int) -> Matcher:
    values = dict(fields.values)
    return Matcher(statuses=values.pop("status", None), ids=values.pop("id", ()), line=line, **values)


def _contradiction(matcher: Matcher) -> str:
    demands = " and ".join(f"{key} ({', '.join(wanted)})" for key, wanted in matcher.demands.items())
    return f"no task can fit {demands} at once; keep one here and give the other its own policy or matcher"


def _read_match(node: Node, place: Place) -> Matcher | None:
    if isinstance(node, Entries):
        return _matcher(node, place, MATCH_KEYS, "alive_for: 2h")
    if isinstance(node, Scalar) and _is_nothing(node):
        what = f"{misread(node)} (is every line under it commented out?); write {{alive_for: 2h}}"
    elif isinstance(node, Scalar) and (clock := node.text.partition(":"))[0] in CLOCKS:
        fault = "a blank must follow the colon" if node.plain else "what stands in quotes is a text"
        what = f"{fault}; write {clock[0]}: {clock[2].strip()[:20] or '2h'}"
    else:
        what = f"{kind_of(node)} stands where a mapping belongs; write {{alive_for: 2h}}"
    place.wrong(what, node.line)
    return None


def _read_mercy(node: Node, place: Place) -> Matcher | None:
    if isinstance(node, Entries) and not _is_accident(node):
        return _matcher(node, place, MERCY_KEYS, "id: 'nightly-*'")
    try:
        text_of(node, "a pattern for the invocation id, or a mapping such as {status: Running}")
    except Wrong as wrong:
        place.wrong(str(wrong), node.line)
        return None
    glob = ID_GLOB.read(node, place)
    return None if glob is None else Matcher(ids=(glob,), line=place.line)


def _is_accident(node: Entries) -> bool:
    """Whether it is an unquoted pattern such as `?x` in brackets, which YAML takes for a key."""
    return node.opening == "?" and all(_is_nothing(value) for _, value in node.pairs)


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.reads_as == "null"


def _mercy_schema() -> dict[str, Any]:
    return {"anyOf": [ID_GLOB.reference, {**schema_of(MERCY_KEYS), "minProperties": 1}]}


MATCH: Form[Matcher] = Form(_read_match, {**schema_of(MATCH_KEYS), "minProperties": 1})
MERCY: Form[Matcher] = Form(_read_mercy, _mercy_schema(), "mercy")
MERCIES = list_of(
    MERCY,
    "write a list such as ['keep-*', {status: Retrying}], or delete the key",
    may_be_empty=True,
)
