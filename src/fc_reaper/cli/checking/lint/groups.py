"""Groups of `keep` that hold no tasks together: each has its own, or another one at each look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fc_reaper.cli.checking.remarks import Remark
from fc_reaper.policy import PolicyFile
from fc_reaper.rules.expression import AGES, Expression

NAME = "no-groups"

Node = Mapping[str, Any]

_OWN = ("invocationId", "taskId", "requestId")
"""What no two tasks share."""

_HARDLY_SHARED = ("events", "startedTime", AGES)


def remarks(file: PolicyFile) -> Iterator[Remark]:
    """One remark for each `per` by which every task comes to be alone in its group."""
    for number, policy in enumerate(file.policies):
        per = None if policy.keep is None else policy.keep.per
        name = _lonely(per.tree) if isinstance(per, Expression) else None
        if name is not None:
            remedy = "write what tasks have in common, such as function or payload.order_id, or leave it out"
            yield Remark(file.source, policy.line, f"policies[{number}].keep.per", _why(name), remedy, NAME)


def _why(name: str) -> str:
    alone = "is alone in its group, and none is one too many"
    if name in _OWN:
        return f"{name} is another one for each task, so every task {alone}"
    if name == "@":
        return f"@ is the whole record, and no two are alike, so every task {alone}"
    when = " and changes with time" if name.partition(".")[0] == AGES else ""
    return f"{name} is hardly ever the same for two tasks{when}, so about every task {alone}"


def _lonely(node: Node) -> str | None:
    """The part of an answer that no other task has, where it comes out as it is."""
    kind, children = node["type"], node["children"]
    if kind == "current":
        return "@"
    if kind == "field":
        return node["value"] if node["value"] in (*_OWN, *_HARDLY_SHARED) else None
    if kind == "subexpression":
        steps = [child["value"] for child in children if child["type"] == "field"]
        return ".".join(steps) if len(steps) == len(children) and steps[0] == AGES else None
    if kind in ("multi_select_list", "multi_select_dict", "key_val_pair"):
        return next((name for child in children if (name := _lonely(child))), None)
    return _lonely(children[0]) if kind == "function_expression" and node["value"] == "to_string" else None
