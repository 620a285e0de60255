"""`keep`: of what matches only so many may be alive at once."""

from __future__ import annotations

import re
from typing import Literal, cast

from fc_reaper.policy.document import Node, Scalar
from fc_reaper.policy.findings import Place, nearest, shown
from fc_reaper.policy.forms import Form
from fc_reaper.policy.keys import Fields, Key, KeyTable, mapping
from fc_reaper.policy.model import Keep
from fc_reaper.policy.values import choice, expression, whole_number
from fc_reaper.rules.expression import Expression

_GROUPS = ("function", "qualifier")
_PER = expression("payload.order_id")


def _read_per(node: Node, place: Place) -> str | Expression | None:
    if isinstance(node, Scalar) and node.reads_as == "str" and node.text in _GROUPS:
        return node.text
    per = _PER.read(node, place)
    if per is None or not re.fullmatch("[A-Za-z_]+", per.text) or not per.strange_roots:
        return per
    if (near := nearest(per.text, _GROUPS)) is not None:
        place.wrong(f"{shown(per.text)} is a field that no record has; did you mean {near}?", node.line)
        return None
    return per


_KEEP_KEYS = KeyTable(
    "`keep`",
    (
        Key(
            "at_most",
            whole_number(1, "write how many may be alive at once, 1 or more, such as 10"),
            "at_most: 10",
            "How many may be alive at once, in each group.",
        ),
        Key(
            "stop_first",
            choice("newest or oldest", "newest", "oldest"),
            "stop_first: oldest",
            "Which of the others go first, by their first enqueueing. Default newest.",
        ),
        Key(
            "per",
            Form(_read_per, _PER.reference),
            "per: payload.order_id",
            "The groups: function (under all qualifiers), qualifier, or an expression such as "
            "payload.order_id. Default one group of all.",
        ),
    ),
    required=("at_most",),
    elsewhere=dict.fromkeys(
        ("match", "unless", "stop", "report", "budget", "halt_over", "triggers"), "the policy, beside `keep`"
    ),
)


def _keep(fields: Fields, place: Place) -> Keep:
    values = fields.values
    first = cast('Literal["newest", "oldest"]', values.get("stop_first", "newest"))
    return Keep(values["at_most"], first, values.get("per"))


KEEP: Form[Keep] = mapping(_KEEP_KEYS, _keep, "write how many may be alive at once: keep: {at_most: 10}")
