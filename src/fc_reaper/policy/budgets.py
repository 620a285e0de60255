"""How many may be stopped, and which share is spared: `budget` and `holdout`."""

from __future__ import annotations

import re
from typing import NamedTuple

from fc_reaper.policy.document import Node, Scalar
from fc_reaper.policy.findings import shown
from fc_reaper.policy.forms import Wrong, form, text_of

_COUNT = "[1-9][0-9]{0,8}"
_BUDGET = f"{_COUNT}/run(?: *, *{_COUNT}/day)?|{_COUNT}/day(?: *, *{_COUNT}/run)?"
_SHARE = re.compile(r"(0|[1-9][0-9]?)(?:\.([0-9]{1,2}))?%")


class Budget(NamedTuple):
    """How many may be stopped in one run and within a day; None where nothing is said of it."""

    per_run: int | None
    per_day: int | None


def _budget(node: Node) -> Budget:
    if isinstance(node, Scalar) and re.fullmatch(_COUNT, node.text):
        raise Wrong(f"{node.text} does not say per what; write {node.text}/run")
    text = text_of(node, "a budget such as 20/run or 20/run, 200/day")
    if not re.fullmatch(_BUDGET, text):
        raise Wrong(_no_budget(text))
    counts = {unit: int(count) for count, unit in re.findall("([0-9]+)/(run|day)", text)}
    return Budget(counts.get("run"), counts.get("day"))


def _no_budget(text: str) -> str:
    """All that is wrong with a budget."""
    form_of_it = "N/run, N/day or both, such as 20/run, 200/day"
    parts = [part.strip() for part in text.split(",")]
    wrong = []
    if strange := [part for part in parts if not re.fullmatch("[0-9]{1,9}/(run|day)", part)]:
        wrong.append(f"{shown(', '.join(strange))} is no budget; write {form_of_it}")
    if any(re.fullmatch("0+/(run|day)", part) for part in parts):
        nothing = f"{text[:40]} would never stop anything"
        wrong.append(f"{nothing}; write 1/run or more, or `report:` instead of `stop:`")
    if text.count("/run") > 1 or text.count("/day") > 1:
        wrong.append(f"{shown(text)} says the same twice; write {form_of_it}, each once")
    return "; ".join(wrong) or f"{shown(text)} is no budget; write {form_of_it}"


def _holdout(node: Node) -> int:
    if isinstance(node, Scalar) and node.reads_as in ("int", "float"):
        raise Wrong(f"{shown(node.text)} has no %; write {node.text[:6]}% or another share such as 2%")
    text = text_of(node, "a share such as 2%")
    share = _SHARE.fullmatch(text)
    if share is None:
        raise Wrong(_no_share(text))
    hundredths = int(share[1]) * 100 + int((share[2] or "0").ljust(2, "0"))
    if hundredths == 0:
        raise Wrong(f"{text} spares nobody; write a share such as 2%, or delete the key")
    return hundredths


def _no_share(text: str) -> str:
    if re.fullmatch(r"[1-9][0-9]{2,}(\.[0-9]*)?\s*%", text):
        return f"{shown(text)} spares every task; write `report:` instead of `stop:`, or less, such as 2%"
    if re.fullmatch(r"[0-9]+\.[0-9]{3,}%", text):
        return f"{shown(text)} is finer than it can be; write at most two decimals, such as 0.25%"
    return f"{shown(text)} is no share; write 0.01% to 99.99%, such as 2%"


BUDGET = form(_budget, {"type": "string", "pattern": f"^(?:{_BUDGET})$"})
HOLDOUT = form(_holdout, {"type": "string", "pattern": f"^{_SHARE.pattern}$"})
