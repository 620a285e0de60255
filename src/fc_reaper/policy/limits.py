"""Limits: a length of time, or one that the task carries itself."""

from __future__ import annotations

import re

from fc_reaper.policy.document import Entries, Node, Scalar
from fc_reaper.policy.duration import spell_duration
from fc_reaper.policy.findings import Place
from fc_reaper.policy.forms import Form
from fc_reaper.policy.keys import Fields, Key, KeyTable, mapping
from fc_reaper.policy.model import Carried, Limit
from fc_reaper.policy.values import DURATION, expression

_CARRIED_KEYS = KeyTable(
    "a limit that the task carries",
    (
        Key(
            "from",
            expression("payload.max_run"),
            "from: payload.max_run",
            "Where the task says it, as text such as 90m.",
        ),
        Key("at_most", DURATION, "at_most: 6h", "Whatever the task says, it gets no more than this."),
        Key(
            "else",
            DURATION,
            "else: 2h",
            "The limit of a task that says nothing readable. Default unknown: kept.",
        ),
    ),
    required=("from", "at_most"),
)


def _carried(fields: Fields, place: Place) -> Carried | None:
    at_most, otherwise = fields.values["at_most"], fields.values.get("else")
    if otherwise is not None and otherwise > at_most:
        place.key("else", fields.lines["else"]).wrong(
            f"{spell_duration(otherwise)} is more than at_most {spell_duration(at_most)}; "
            f"write at most {spell_duration(at_most)}"
        )
        return None
    return Carried(fields.values["from"], at_most, otherwise)


_CARRIED = mapping(
    _CARRIED_KEYS, _carried, "write {from: payload.max_run, at_most: 6h} or a length such as 2h"
)


def _read(node: Node, place: Place) -> Limit | None:
    if isinstance(node, Scalar) and re.match("(payload|ages)[.]", node.text):
        carried = f"{{from: {node.text[:60]}, at_most: 6h}}"
        place.wrong(f"an expression stands where a length of time belongs; write {carried}", node.line)
        return None
    return (_CARRIED if isinstance(node, Entries) else DURATION).read(node, place)


LIMIT: Form[Limit] = Form(_read, {"anyOf": [DURATION.reference, _CARRIED.schema]}, "limit")
