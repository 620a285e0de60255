"""What would have to be otherwise, in one sentence that names file and line, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fc_reaper.cli.screen import plain
from fc_reaper.evaluator.explain import Asked, Explanation
from fc_reaper.evaluator.outlook import APPROVED, EXEMPT, MATCH, Change, Outlook
from fc_reaper.evaluator.verdict import Kind
from fc_reaper.models import Millis
from fc_reaper.policy import Carried, Limit, Matcher, spell_duration

_MOST = 3
"""Ways that one sentence tells."""


def sentence(explained: Explanation, source: str) -> str:
    """`to be kept, …` or `to become due, …`: the steps that would have to change, each way tried out."""
    outlook = explained.outlook
    if not outlook.ways:
        return f"no step would make it due: {plain(outlook.why)}"
    ways = [_way(way, explained, source) for way in _told(outlook)]
    if outlook.towards is Kind.DUE:
        return f"to become due, {', or '.join(ways)}"
    left = len(outlook.ways) - len(ways)
    return f"to be kept, {', or '.join(ways)}{f', or {left} more' if left else ''}"


def _told(outlook: Outlook) -> Sequence[Sequence[Change]]:
    """The first ways; towards being due, where each is another policy's, only those that are shortest."""
    shortest = len(outlook.ways[0])
    due = outlook.towards is Kind.DUE
    return [way for way in outlook.ways if not due or len(way) == shortest][:_MOST]


def _way(way: Sequence[Change], explained: Explanation, source: str) -> str:
    return " and ".join(f"{_change(one, explained)} ({source}:{one.line})" for one in way)


def _change(change: Change, explained: Explanation) -> str:
    step = next(
        (one for one in explained.steps if change.policy and one.policy.index == change.policy.index), None
    )
    if change.part == APPROVED:
        return f"{_name(change)} would have to be approved"
    if change.part == MATCH and change.policy is not None:
        asked = () if step is None or step.match is None else step.match.questions
        finding = next((one.finding for one in asked if one.key == change.key), None)
        return _key(change, change.policy.match, None if finding is None else finding.limit)
    mercies = explained.exempt if change.part == EXEMPT else () if step is None else step.unless
    wanted = _spoken(mercies[change.number]) if change.number < len(mercies) else ""
    return f"`{change.part}`{wanted} would have to {'hold' if change.holds else 'not hold'}"


def _spoken(mercy: Asked) -> str:
    texts = [f"{one.key}: {plain(one.wanted)}" for one in mercy.questions]
    return f" {', '.join(texts)}" if sum(map(len, texts)) <= 60 else ""


def _key(change: Change, match: Matcher, known: Millis | None) -> str:
    key, holds = change.key, change.holds
    limit = dict(match.limits).get(key)
    if limit is not None:
        return f"{key} would have to be {'over' if holds else 'within'} {_spelt(limit, known)}"
    if key == "retries_over":
        number = f"{'more than' if holds else 'at most'} {match.retries_over}"
        return f"its retries would have to be {number}"
    if key == "where":
        return f"`{plain(str(match.where))}` would have to answer {'true' if holds else 'false'}"
    wanted = match.ids if key == "id" else match.condition_statuses
    verb = "fit" if key == "id" else "be"
    return f"its {key} would have to {'' if holds else 'not '}{verb} {' or '.join(wanted)}"


def _spelt(limit: Limit, known: Millis | None) -> str:
    """The limit, also one that the task carries, where it can be read."""
    if not isinstance(limit, Carried):
        return spell_duration(limit)
    if known is not None:
        return f"the {spell_duration(known)} that it carries"
    return f"a limit that it carries, {spell_duration(limit.at_most)} at most"


def _name(change: Change) -> str:
    return "" if change.policy is None else change.policy.name


def ways_as_json(explained: Explanation) -> dict[str, Any]:
    """Every way, each a list of changes that are all needed."""
    outlook = explained.outlook
    return {
        "towards": outlook.towards.value,
        "ways": [[_as_json(one, explained) for one in way] for way in outlook.ways],
        "why_none": outlook.why or None,
    }


def _as_json(change: Change, explained: Explanation) -> dict[str, Any]:
    return {
        "step": change.part,
        "policy": _name(change) or None,
        "key": change.key or None,
        "line": change.line,
        "must_hold": change.holds,
        "text": _change(change, explained),
    }
